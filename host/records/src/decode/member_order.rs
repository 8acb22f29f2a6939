//! The order in which the members of objects come.

use std::sync::Arc;

use hashbrown::HashMap;

use super::reader::Name;
use crate::schema::names::FindField;

/// Which member followed which, the last time. Producers write members in the same order again and again, so a
/// comparison with the expected name replaces a search.
#[derive(Debug, Default)]
pub struct Order {
    /// The first is the position before any member.
    members: Vec<Member>,
    by_name: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    is_used: bool,
}

/// A member of objects.
#[derive(Debug)]
pub struct Member {
    name: Arc<str>,
    field: Option<usize>,
    /// Its name as most records write it; `None` if JSON must escape it.
    pub quoted: Option<Quoted>,
    /// The index of the member after it.
    pub next: usize,
}

impl Member {
    /// The field, if any.
    #[inline]
    pub fn name(&self) -> Name<'_> {
        self.field.map_or(Name::Other(&self.name), Name::Field)
    }
}

/// The index before any member was read.
pub const START: usize = 0;

/// Most members that are remembered, and most bytes of a name: an object may have other names in each record, of any
/// length.
const MAX_MEMBERS: usize = 4096;
const MAX_NAME_BYTES: usize = 128;

impl Order {
    /// Begins an object. The first one is not learnt: a column may be made for one value.
    pub fn begin(&mut self) {
        if std::mem::replace(&mut self.is_used, true) && self.members.is_empty() {
            let start = Member { name: Arc::default(), quoted: None, field: None, next: START };
            self.members.push(start);
        }
    }

    /// The member at an index, if it was learnt.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&Member> {
        self.members.get(at)
    }

    /// Records that `name` followed `last` instead of the expected member; returns its index and field.
    #[cold]
    pub fn learn<'n, F: FindField + ?Sized>(
        &mut self,
        fields: &F,
        last: usize,
        name: &'n str,
    ) -> (usize, Name<'n>) {
        let known = self.by_name.get(name).copied();
        let field = match known.and_then(|at| self.members.get(at)) {
            Some(member) => member.field,
            None => fields.find(name, 0),
        };
        let at = known.or_else(|| self.add(name, field));
        if let Some(at) = at
            && let Some(before) = self.members.get_mut(last)
        {
            before.next = at;
        }
        (at.unwrap_or(last), field.map_or(Name::Other(name), Name::Field))
    }

    fn add(&mut self, name: &str, field: Option<usize>) -> Option<usize> {
        let at = self.members.len();
        let is_learning = (1..=MAX_MEMBERS).contains(&at);
        if !is_learning || name.len() > MAX_NAME_BYTES {
            return None;
        }
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), at);
        let quoted = Quoted::new(&name);
        self.members.push(Member { name, quoted, field, next: START });
        Some(at)
    }
}

/// A name with quotes and a colon.
#[derive(Debug)]
pub struct Quoted {
    text: Box<str>,
    /// The first bytes, and a mask of their bits that count.
    head: u128,
    mask: u128,
}

impl Quoted {
    fn new(name: &str) -> Option<Self> {
        const BYTES: usize = size_of::<u128>();
        let has_escapes = name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        if has_escapes {
            return None;
        }
        let text = format!("\"{name}\":").into_boxed_str();
        let [mut head, mut mask] = [[0; BYTES]; 2];
        for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(text.bytes()) {
            (*head, *mask) = (byte, u8::MAX);
        }
        Some(Self { head: u128::from_le_bytes(head), mask: u128::from_le_bytes(mask), text })
    }

    /// How many bytes it takes.
    #[inline]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether a text begins with it.
    #[inline]
    pub fn begins(&self, text: &[u8]) -> bool {
        let Some((head, rest)) = text.split_first_chunk() else {
            return text.starts_with(self.text.as_bytes());
        };
        let is_head = (u128::from_le_bytes(*head) ^ self.head) & self.mask == 0;
        is_head && self.text.as_bytes().get(head.len()..).is_none_or(|tail| rest.starts_with(tail))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::decode::parser::Parser;
    use crate::decode::reader::Reader as _;

    /// Fields with names of one letter, from `a` on.
    #[derive(Default)]
    struct Letters {
        searches: Cell<usize>,
    }

    impl FindField for Letters {
        fn find(&self, name: &str, _guess: usize) -> Option<usize> {
            self.searches.set(self.searches.get() + 1);
            "abcdef".find(name).filter(|_| name.len() == 1)
        }
    }

    /// The members of a record, fields by index, and how many were searched for.
    fn read(order: &mut Order, record: &str) -> (Vec<String>, usize) {
        let (letters, mut found) = (Letters::default(), Vec::new());
        let mut parser = Parser::new(record);
        let read = parser.each_field(&letters, order, |name, value| {
            found.push(match name {
                Name::Field(at) => at.to_string(),
                Name::Other(name) | Name::Broken(name) => name.to_owned(),
            });
            value.token().map(drop)
        });
        read.unwrap();
        parser.end().unwrap();
        (found, letters.searches.get())
    }

    #[test]
    fn members_that_come_as_in_the_last_record_are_not_searched_for() {
        let mut order = Order::default();
        let record = r#"{"c":1,"x":2,"a name of more than sixteen bytes":3, "b" :4,"a":5}"#;
        let found = ["2", "x", "a name of more than sixteen bytes", "1", "0"];
        // The first object may be the only one.
        for _ in 0..2 {
            assert_eq!(read(&mut order, record), (found.map(String::from).to_vec(), 5));
        }
        // `"b" :` is not written as usual, but it is known.
        assert_eq!(read(&mut order, record), (found.map(String::from).to_vec(), 0));
        // Neither is the expected name, though it begins like it.
        let record = r#"{"cc":1,"a name of more than sixteen signs":2}"#;
        let found = ["cc", "a name of more than sixteen signs"];
        assert_eq!(read(&mut order, record), (found.map(String::from).to_vec(), 2));
    }

    #[test]
    fn a_member_that_is_left_out_or_comes_back_costs_no_search() {
        let mut order = Order::default();
        for (record, searches) in [
            (r#"{"a":1,"b":2,"c":3}"#, 3),
            (r#"{"a":1,"b":2,"c":3}"#, 3),
            (r#"{"a":1,"c":3}"#, 0),
            (r#"{"b":2}"#, 0),
            (r#"{"a":1,"b":2,"c":3}"#, 0),
            (r#"{"c":1,"b":2,"a":3}"#, 0),
            (r#"{"c":1,"b":2,"a":3}"#, 0),
            ("{}", 0),
        ] {
            assert_eq!(read(&mut order, record).1, searches, "{record}");
        }
    }

    #[test]
    fn names_with_escapes_are_what_they_mean() {
        let mut order = Order::default();
        for _ in 0..3 {
            let (found, _) = read(&mut order, r#"{"\u0061":1,"x\"y":2,"b":3}"#);
            assert_eq!(found, ["0", "x\"y", "1"]);
        }
    }

    #[test]
    fn other_names_in_each_record_take_no_more_memory_for_ever() {
        let mut order = Order::default();
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for name in 0..MAX_MEMBERS * 2 {
            let record = format!("{{\"a\":1,\"{name}\":2,\"{long}\":3,\"b\":4}}");
            let (found, _) = read(&mut order, &record);
            assert_eq!(found, ["0", &name.to_string(), &long, "1"]);
        }
        assert_eq!(order.members.len(), MAX_MEMBERS + 1);
        assert_eq!(order.by_name.len(), MAX_MEMBERS);
    }
}
