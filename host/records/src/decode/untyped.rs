//! Records without a table: whether one is sound, its fields, and which types take a value.

use hashbrown::HashSet;

use super::columns::Column;
use super::fault::{kind_of, no_character, twice, within};
use super::malformed::{no_object, not_json, sound_text};
use super::parser::Parser;
use super::reader::Reader as _;
use super::scalar::text_of;
use super::serde_walk::{each_element, each_spelled};
use super::{lenient, nested};
use crate::flow::rejection::Fault;
use crate::schema::plan::{Forms, ValueRules};
use crate::schema::types::Type;

/// Visits the fields of a record with their tokens, after checking all of it: refuses what some table would refuse
/// whatever its types.
///
/// # Errors
/// Not a JSON object, a name that occurs twice in one object, a lone surrogate in a value or in the name of a field
/// within one.
pub fn each_field(payload: &[u8], mut visit: impl FnMut(&str, &str)) -> Result<(), Box<Fault>> {
    let text = sound_text(payload)?;
    if let Some(fault) = not_json(text) {
        return Err(fault);
    }
    let token = text.trim_ascii();
    if kind_of(token) != "object" {
        return Err(no_object(token));
    }
    sound_members(token, true)?;
    each_spelled(token, |name, token| {
        if let Some(name) = text_of(name) {
            visit(&name, token);
        }
        Ok(())
    })
}

/// In the record itself, an invalid name is an unknown field.
fn sound_members(token: &str, is_record: bool) -> Result<(), Box<Fault>> {
    let mut names: HashSet<String, foldhash::fast::RandomState> = HashSet::default();
    each_spelled(token, |spelled, token| {
        let Some(name) = text_of(spelled) else {
            return if is_record { sound(token) } else { Err(no_character(spelled)) };
        };
        let sound = match names.insert(name.clone().into_owned()) {
            true => sound(token),
            false => Err(twice("each field once")),
        };
        sound.map_err(|fault| within(fault, name))
    })
}

fn sound(token: &str) -> Result<(), Box<Fault>> {
    match kind_of(token) {
        "object" => sound_members(token, false),
        "array" => {
            each_element(token, |index, token| sound(token).map_err(|fault| within(fault, index)))
        }
        "string" if text_of(token).is_none() => Err(no_character(token)),
        _ => Ok(()),
    }
}

/// Whether a column of the type takes a non-null value with COERCION=lenient, without cutting any of it.
pub fn takes_leniently(ty: &Type, token: &str) -> bool {
    let rules = ValueRules { forms: Forms::Lenient, ..ValueRules::default() };
    let mut column = Column::new(ty, 1);
    lenient::read(&mut column, ty, rules, token).is_ok() && !column.room().is_noted()
}

/// Whether a column of the type takes a non-null value.
pub fn takes(ty: &Type, rules: ValueRules, token: &str) -> bool {
    nested::put(&mut Column::new(ty, 1), ty, rules, &mut Parser::of(token)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::rejection::Reason;

    fn fields(record: &[u8]) -> Result<Vec<(String, String)>, (Reason, String)> {
        let mut fields = Vec::new();
        let read = each_field(record, |name, token| fields.push((name.into(), token.into())));
        read.map(|()| fields).map_err(|fault| (fault.reason, fault.pointer))
    }

    #[test]
    fn the_fields_of_a_sound_record_come_in_their_order_as_they_stand() {
        let found = fields(br#" {"b": 1.0 ,"\u0061":{"x":[ ]},"":"\u00e9"} "#).unwrap();
        let expected = [("b", "1.0"), ("a", r#"{"x":[ ]}"#), ("", r#""\u00e9""#)];
        assert!(found.iter().map(|(n, t)| (&**n, &**t)).eq(expected), "{found:?}");
        assert_eq!(fields(b"{}"), Ok(vec![]));
        let nobodys = fields(br#"{"\ud800":1,"a":2,"\ud800":3}"#);
        assert_eq!(nobodys, Ok(vec![("a".into(), "2".into())]), "a name that is no text");
    }

    #[test]
    fn what_no_table_would_take_is_refused_with_its_place() {
        use Reason::*;
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(127), "]".repeat(127));
        let table: [(&[u8], Reason, &str); 11] = [
            (b"", MalformedJson, ""),
            (b" ", MalformedJson, ""),
            (br#"{"a":1"#, MalformedJson, ""),
            (b"{} {}", MalformedJson, ""),
            (b"[]", TypeMismatch, ""),
            (b"null", TypeMismatch, ""),
            (b"{\"a\":\"\xff\"}", InvalidUtf8, ""),
            (br#"{"a":[{"b":1,"b":2}]}"#, DuplicateKey, "/a/0/b"),
            (br#"{"a":[1,"\ud800"]}"#, MalformedJson, "/a/1"),
            (br#"{"a":{"\ud800":1}}"#, MalformedJson, "/a"),
            (deep.as_bytes(), TooDeep, ""),
        ];
        for (record, reason, pointer) in table {
            let shown = String::from_utf8_lossy(record);
            assert_eq!(fields(record), Err((reason, pointer.to_owned())), "{shown}");
        }
    }
}
