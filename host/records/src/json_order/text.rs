//! The facts of one object: at which of its places stand values that others change, or that change others.

/// Hash of a column's path and the depth in arrays. A collision of two places changes the order of rows but no value.
pub type PathHash = u64;

/// An integer that no float represents.
pub const LONG: u8 = 1;
/// A number that the server reads as a float.
pub const FRACTION: u8 = 1 << 1;
/// A null in an array.
pub const NULL: u8 = 1 << 2;
/// An array that holds arrays, or objects and no null.
pub const NEST: u8 = 1 << 3;
// What an array itself holds.
const ARRAY: u8 = 1 << 4;
const OBJECT: u8 = 1 << 5;
const SCALAR: u8 = 1 << 6;

/// The shortest run of digits of an integer that no float represents.
const LONG_DIGITS: usize = 16;

/// A value that no order of records can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clash {
    /// An integer that no float represents, after a fraction at the same path.
    Integer,
    /// A null in an array, after an array of arrays or of objects at the same path.
    Null,
}

/// The facts of a record by place, in the order in which the server reads them.
#[derive(Debug, Default)]
pub struct PlaceFacts(pub Vec<(PathHash, u8)>);

impl PlaceFacts {
    /// Removes all facts.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The first value after one that changes it.
    pub fn clash(&self) -> Option<Clash> {
        // Most records have few facts, and not both a value that changes and one that is changed.
        let all = self.0.iter().fold(0, |all, (_, bits)| all | bits);
        if victims_of(all) & all == 0 {
            return None;
        }
        let mut seen = std::collections::HashMap::new();
        self.0.iter().find_map(|(place, bits)| {
            let seen = seen.entry(*place).or_insert(0);
            let changed = victims_of(*seen) & bits;
            *seen |= bits;
            match changed {
                0 => None,
                changed if changed & LONG != 0 => Some(Clash::Integer),
                _ => Some(Clash::Null),
            }
        })
    }

    fn push(&mut self, place: PathHash, bits: u8) {
        if bits != 0 {
            self.0.push((place, bits));
        }
    }
}

/// The values that change after these.
pub fn victims_of(bits: u8) -> u8 {
    let mut victims = 0;
    if bits & FRACTION != 0 {
        victims |= LONG;
    }
    if bits & NEST != 0 {
        victims |= NULL;
    }
    victims
}

/// The place of a column's objects.
pub fn root(column: usize) -> PathHash {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    column.to_le_bytes().into_iter().fold(BASIS, fold)
}

/// The place of the objects in an element of a tuple.
pub fn part(place: PathHash, element: u32) -> PathHash {
    element.to_le_bytes().into_iter().fold(fold(place, 0xfe), fold)
}

/// One step of FNV-1a; bytewise, since `{"a.b":1}` and `{"a":{"b":1}}` are one path.
fn fold(place: PathHash, byte: u8) -> PathHash {
    (place ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Within an array: adds a byte that no name holds.
fn in_array(place: PathHash) -> PathHash {
    fold(place, 0xff)
}

/// Whether a text may hold a value that others change: a long integer, or a null in an array. May be true of a text
/// that does not.
pub fn is_at_risk(text: &[u8]) -> bool {
    has_long_run(text) || has_null_element(text)
}

fn has_long_run(text: &[u8]) -> bool {
    let is_digit = |at: &usize| text.get(*at).is_some_and(u8::is_ascii_digit);
    // Every such run contains one of these bytes.
    (LONG_DIGITS - 1..text.len()).step_by(LONG_DIGITS).filter(is_digit).any(|at| {
        let before = (0..at).rev().take_while(is_digit).count();
        let behind = (at + 1..text.len()).take_while(is_digit).count();
        before + 1 + behind >= LONG_DIGITS
    })
}

fn has_null_element(text: &[u8]) -> bool {
    const NULL_TEXT: &[u8] = b"null";
    // Every fourth byte is checked, so each null is met once.
    (NULL_TEXT.len() - 1..text.len()).step_by(NULL_TEXT.len()).any(|at| {
        let is_one = |byte: &u8| matches!(byte, b'n' | b'u' | b'l');
        text.get(at).is_some_and(is_one)
            && (at.saturating_sub(NULL_TEXT.len() - 1)..=at).any(|start| {
                let before = text.get(..start).unwrap_or_default().trim_ascii_end();
                text.get(start..start + NULL_TEXT.len()) == Some(NULL_TEXT)
                    && matches!(before.last(), Some(b'[' | b','))
            })
    })
}

/// Reads an object, and returns a clash within one of its arrays. The text is known to be JSON.
pub fn read_facts(text: &str, place: PathHash, facts: &mut PlaceFacts) -> Option<Clash> {
    let mut walk = Walk { text: text.as_bytes(), at: 0, facts, clash: None };
    walk.value(place, true);
    walk.clash
}

/// The arrays of one value, down to the objects in them: ClickHouse makes one type for them all.
#[derive(Default)]
struct ArrayShape {
    /// What the arrays hold, by depth.
    levels: Vec<u8>,
    /// What each array holds, with its depth, in order.
    arrays: Vec<(usize, u8)>,
}

struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    facts: &'a mut PlaceFacts,
    clash: Option<Clash>,
}

impl Walk<'_> {
    /// Reads a value at a path, and returns its facts for the array around it.
    fn value(&mut self, place: PathHash, is_root: bool) -> u8 {
        match self.next() {
            Some(b'{') => {
                self.object(place, is_root);
                OBJECT
            }
            Some(b'[') => {
                self.outer_array(place);
                ARRAY
            }
            _ => self.scalar(),
        }
    }

    fn object(&mut self, place: PathHash, is_root: bool) {
        let prefix = if is_root { place } else { fold(place, b'.') };
        self.at += 1;
        while let Some(b'"') = self.next() {
            let member = self.name(prefix);
            self.skip(b':');
            let bits = self.value(member, false);
            self.facts.push(member, bits & (LONG | FRACTION));
            self.skip(b',');
        }
        self.skip(b'}');
    }

    /// Reads an outermost array of a value: none, or an object, is around it.
    fn outer_array(&mut self, place: PathHash) {
        let mut shape = ArrayShape::default();
        self.array(in_array(place), 0, &mut shape);
        // Elements without a common type are read one after another.
        let is_mixed =
            shape.levels.iter().any(|bits| bits & ARRAY != 0 && bits & (SCALAR | OBJECT) != 0);
        if shape.levels.iter().any(|bits| bits & ARRAY != 0 && bits & NULL != 0)
            || is_mixed && has_late_null(&shape.arrays)
        {
            self.clash = self.clash.or(Some(Clash::Null));
        }
        let mut place = place;
        for bits in shape.levels {
            place = in_array(place);
            let is_nest = bits & (ARRAY | OBJECT) != 0 && (bits & NULL == 0 || is_mixed);
            let nest = if is_nest { NEST } else { 0 };
            self.facts.push(place, bits & (LONG | FRACTION | NULL) | nest);
        }
    }

    fn array(&mut self, place: PathHash, depth: usize, shape: &mut ArrayShape) {
        if shape.levels.len() <= depth {
            shape.levels.push(0);
        }
        self.at += 1;
        let mut bits = 0;
        while let Some(byte) = self.next().filter(|byte| *byte != b']') {
            bits |= match byte {
                b'[' => {
                    self.array(in_array(place), depth + 1, shape);
                    ARRAY
                }
                b'{' => {
                    self.object(place, false);
                    OBJECT
                }
                _ => self.scalar(),
            };
            self.skip(b',');
        }
        self.skip(b']');
        if let Some(level) = shape.levels.get_mut(depth) {
            *level |= bits;
        }
        shape.arrays.push((depth, bits));
    }

    fn scalar(&mut self) -> u8 {
        let start = self.at;
        match self.next() {
            Some(b'"') => {
                self.string();
                return SCALAR;
            }
            Some(b'n') => {
                self.at += 4;
                return NULL;
            }
            _ => {}
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        let token = rest.get(..length).unwrap_or_default();
        // Always advances, whatever the text is.
        self.at = (self.at + length).max(start + 1);
        SCALAR | number(token)
    }

    /// Skips a string and returns its bytes, without the quotes.
    fn string(&mut self) -> &[u8] {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let end = self.at.min(self.text.len());
        self.at += 1;
        self.text.get(start..end).unwrap_or_default()
    }

    /// Skips a name and returns the place of its member.
    fn name(&mut self, prefix: PathHash) -> PathHash {
        let name = self.string();
        if !name.contains(&b'\\') {
            return name.iter().copied().fold(prefix, fold);
        }
        let quoted = [b"\"", name, b"\""].concat();
        let name: String = serde_json::from_slice(&quoted).unwrap_or_default();
        name.bytes().fold(prefix, fold)
    }

    /// The next byte that is not a space.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) {
        if self.next() == Some(byte) {
            self.at += 1;
        }
    }
}

/// Whether a null follows an array of objects without one at the same depth.
fn has_late_null(arrays: &[(usize, u8)]) -> bool {
    // Whether there was such an array, by depth.
    let mut nests: Vec<bool> = Vec::new();
    arrays.iter().any(|(depth, bits)| {
        if nests.len() <= *depth {
            nests.resize(depth + 1, false);
        }
        let Some(was_nest) = nests.get_mut(*depth) else { return false };
        let is_late = bits & NULL != 0 && *was_nest;
        *was_nest |= bits & OBJECT != 0 && bits & NULL == 0;
        is_late
    })
}

fn number(token: &[u8]) -> u8 {
    match token.first() {
        Some(b'-' | b'0'..=b'9') => {}
        _ => return 0,
    }
    if token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return FRACTION;
    }
    if token.len() < LONG_DIGITS {
        return 0;
    }
    let value = std::str::from_utf8(token).ok().and_then(|text| text.parse::<i128>().ok());
    let is_float = value.is_some_and(|value| {
        let value = value.unsigned_abs();
        // The mantissa of a float has 53 bits.
        value == 0 || 128 - value.leading_zeros() - value.trailing_zeros() <= 53
    });
    if is_float { 0 } else { LONG }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Vec<u8> {
        let mut facts = PlaceFacts::default();
        read_facts(text, root(0), &mut facts);
        facts.0.into_iter().map(|(_, bits)| bits).collect()
    }

    fn clash(text: &str) -> Option<Clash> {
        let mut facts = PlaceFacts::default();
        let clash = read_facts(text, root(0), &mut facts);
        clash.or_else(|| facts.clash())
    }

    #[test]
    fn a_text_at_risk_is_found_wherever_the_value_stands() {
        for before in 0..40 {
            let at_risk = |value: &str| {
                let text = format!("{{\"{}\":{value}}}", "a".repeat(before));
                is_at_risk(text.as_bytes())
            };
            assert!(at_risk("9007199254740993") && at_risk("[1,-9007199254740993]"), "{before}");
            assert!(at_risk("[null]") && at_risk("[1 , null]") && at_risk("[[{}],\nnull]"));
            assert!(!at_risk("null") && !at_risk("123456789012345") && !at_risk("\"nullnull\""));
        }
    }

    #[test]
    fn facts_are_told_of_arrays_and_numbers() {
        assert!(facts(r#"{"a":1,"b":"9007199254740993","c":{"d":[1,"x"]}}"#).is_empty());
        assert_eq!(
            facts(r#"{"a":9007199254740993,"b":9007199254740992,"c":1.0}"#),
            [LONG, FRACTION]
        );
        assert_eq!(facts(r#"{"a" : [ 0.5 , null ], "b":[[1],[]]}"#), [FRACTION | NULL, NEST]);
        assert_eq!(facts(r#"{"a":[{"b":[null]},null]}"#), [NULL, NULL]);
        assert_eq!(facts(r#"{"a":[[null],[{}]],"e\"":[{}]}"#), [NEST, NULL, NEST]);
    }

    #[test]
    fn a_path_is_the_same_however_it_is_written() {
        let place = |text: &str| {
            let mut facts = PlaceFacts::default();
            read_facts(text, root(0), &mut facts);
            facts.0.last().map(|(place, _)| *place)
        };
        let plain = place(r#"{"a":{"b":[null]}}"#);
        assert!(plain.is_some());
        assert_eq!(plain, place(r#"{"x":{}, "a.b":[null]}"#));
        assert_eq!(plain, place(r#"{"\u0061":{"b":[ {"c":1}, null]}}"#));
        assert_ne!(plain, place(r#"{"a":{"b":[[null]]}}"#));
        assert_ne!(plain, place(r#"{"ab":[null]}"#));
    }

    #[test]
    fn what_stands_in_the_wrong_order_within_a_record_clashes() {
        for (text, expected) in [
            (r#"{"a":[{"b":[0.5]},{"b":[9007199254740993]}]}"#, Some(Clash::Integer)),
            (r#"{"a":[{"b":[9007199254740993]},{"b":[0.5]}]}"#, None),
            (r#"{"a":[{"b":[{}]},{"b":[null]}]}"#, Some(Clash::Null)),
            (r#"{"a":[{"b":[{"c":1}]},{"b":[{"c":1},null]}]}"#, Some(Clash::Null)),
            (r#"{"a":[{"b":[null]},{"b":[[1]]}]}"#, None),
            (r#"{"a":[[[1]],[null]]}"#, Some(Clash::Null)),
            (r#"{"a":[[{"b":1}],[null]]}"#, None),
            (r#"{"a":["x",[{"b":1}],[null]]}"#, Some(Clash::Null)),
            (r#"{"a":["x",[null],[{"b":1}]]}"#, None),
            (r#"{"a":[0.5],"b":[9007199254740993]}"#, None),
        ] {
            assert_eq!(clash(text), expected, "{text}");
        }
    }
}
