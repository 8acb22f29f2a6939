//! A value of a JSON column: one object, sent as it is written.
//!
//! The server reads the object anew, by rules of its own. What it would refuse is refused here, so
//! that the record's neighbours land at once; and so is what it would change without a word:
//!
//! - an integer in an array with a fraction, where no float is that integer;
//! - a null beside an array in an array, which would become an empty array;
//! - at a path that the column gives a type, whatever is no value of that type: 1.5 would become
//!   1, and 2026-02-30 a day in March.
//!
//! A member that is null and an object without members are stored as nothing: to ClickHouse's JSON
//! they are the same as absent. Neither is a fault.

use hashbrown::HashSet;

use super::columns::Column;
use super::fault::{expected, fault, kind_of, twice, within};
use super::nested;
use super::number::{Misfit, integer, is_beyond_float};
use super::value::text_of;
use super::walk::{each_element, each_member};
use crate::rejection::{Fault, Reason};
use crate::schema::plan::ValueRules;
use crate::schema::types::{Element, Kind, Type};

/// Puts an object; `paths` are those that the column gives a type.
pub fn put_object(
    column: &mut Column,
    paths: &[Element],
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    let root = (!paths.is_empty()).then(String::new);
    Reader { paths, rules }.object(token, root.as_deref())?;
    column.put_text(token).ok_or_else(|| fault(Reason::TooLarge, "less JSON in one batch", "more"))
}

/// What an array holds, in itself and in arrays within it, as bits.
type Mixture = u8;
const NULL: Mixture = 1;
const ARRAY: Mixture = 1 << 1;
/// A number with a point or an exponent, which is a float to the server.
const FRACTION: Mixture = 1 << 2;
/// An integer that no float is.
const LONG: Mixture = 1 << 3;

struct Reader<'a> {
    paths: &'a [Element],
    rules: ValueRules,
}

impl Reader<'_> {
    /// Reads an object at a path; `None` where no path has a type.
    fn object(&self, token: &str, at: Option<&str>) -> Result<(), Box<Fault>> {
        let mut names: HashSet<String, foldhash::fast::RandomState> = HashSet::default();
        each_member(token, |name, token| {
            if !names.insert(name.to_owned()) {
                return Err(within(twice("a field that stands once"), name));
            }
            let path =
                at.map(|at| if at.is_empty() { name.into() } else { format!("{at}.{name}") });
            let is_at = |typed: &&Element| typed.name.as_deref() == path.as_deref();
            let read = match self.paths.iter().find(is_at).filter(|_| path.is_some()) {
                Some(typed) => self.typed(&typed.ty, token),
                None => self.value(token, path.as_deref()).map(drop),
            };
            read.map_err(|fault| within(fault, name))
        })
    }

    /// Reads a value, and says what it adds to an array that it stands in.
    fn value(&self, token: &str, at: Option<&str>) -> Result<Mixture, Box<Fault>> {
        match kind_of(token) {
            "object" => self.object(token, at).map(|()| 0),
            "array" => self.array(token),
            "number" => number(token),
            "string" => match text_of(token) {
                Some(_) => Ok(0),
                None => Err(fault(Reason::MalformedJson, "a text of characters", token)),
            },
            "null" => Ok(NULL),
            _ => Ok(0),
        }
    }

    fn array(&self, token: &str) -> Result<Mixture, Box<Fault>> {
        let mut held = 0;
        each_element(token, |index, element| {
            // What is in an object within an array is at no path of the column.
            held |= self.value(element, None).map_err(|fault| within(fault, index))?;
            Ok(())
        })?;
        let holds = |mixture| held & mixture == mixture;
        if holds(NULL | ARRAY) {
            return Err(fault(Reason::TypeMismatch, "no null beside arrays in an array", token));
        }
        if holds(FRACTION | LONG) {
            let expected = "no integer beyond 2^53 in an array with fractions";
            return Err(fault(Reason::OutOfRange, expected, token));
        }
        Ok(ARRAY | (held & !NULL))
    }

    /// Reads the value at a path that has a type, by the rules of a column of that type.
    fn typed(&self, ty: &Type, token: &str) -> Result<(), Box<Fault>> {
        if token == "null" {
            let refused = || fault(Reason::NullNotAllowed, expected(ty), token);
            return if ty.is_nullable { Ok(()) } else { Err(refused()) };
        }
        nested::put(&mut Column::new(ty, 1), ty, self.rules, token)?;
        is_read_alike(ty, token)
    }
}

/// Whether the server, too, reads the same value from this text.
fn is_read_alike(ty: &Type, token: &str) -> Result<(), Box<Fault>> {
    let (is_alike, expected) = match &ty.kind {
        Kind::Array(element) => {
            return each_element(token, |index, token| match token {
                "null" => Ok(()),
                _ => is_read_alike(element, token).map_err(|fault| within(fault, index)),
            });
        }
        // It reads others by way of a float.
        Kind::Int(_) => {
            (!token.contains(['.', 'e', 'E']), "integer without a point or an exponent")
        }
        Kind::Date | Kind::Date32 => (is_plain(token, 10), "date as YYYY-MM-DD"),
        Kind::DateTime { .. } | Kind::DateTime64 { .. } => {
            (is_plain(token, 19), "time as YYYY-MM-DD hh:mm:ss, in the zone of the path")
        }
        _ => (true, ""),
    };
    if is_alike { Ok(()) } else { Err(fault(Reason::TypeMismatch, expected, token)) }
}

/// Whether a date or time is written as the server writes it, at least `len` bytes of it.
fn is_plain(token: &str, len: usize) -> bool {
    let text = token.trim_matches('"').as_bytes();
    let is = |at: usize, byte: u8| text.get(at).is_none_or(|found| *found == byte);
    text.len() >= len
        && is(4, b'-')
        && is(10, b' ')
        && is(16, b':')
        && is(19, b'.')
        && text.iter().skip(20).all(u8::is_ascii_digit)
}

fn number(token: &str) -> Result<Mixture, Box<Fault>> {
    let refuse = || fault(Reason::OutOfRange, "number within Int64, UInt64 or Float64", token);
    if token.contains(['.', 'e', 'E']) {
        let value: Option<f64> = fast_float2::parse(token).ok();
        return value.filter(|value| value.is_finite()).map(|_| FRACTION).ok_or_else(refuse);
    }
    match integer(token) {
        Ok(value) if i64::try_from(value).is_ok() || u64::try_from(value).is_ok() => {
            Ok(if is_beyond_float(value) { LONG } else { 0 })
        }
        Ok(_) | Err(Misfit::Range | Misfit::Fraction | Misfit::NotANumber) => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;

    use crate::decode::decode;
    use crate::rejection::Reason;
    use crate::rows::Rows;
    use crate::schema::plan::{Rules, TablePlan};
    use crate::schema::table::{ColumnRow, TableSchema};

    const TYPED: &str = "JSON(max_dynamic_paths=8, `a.b` UInt8, d DateTime64(3, 'UTC'), \
                         l Array(Nullable(Int64)), n Nullable(Date), SKIP x, SKIP REGEXP 'y,.*')";

    fn read(ty: &str, object: &str) -> Rows {
        let row = ColumnRow {
            name: "c".into(),
            ty: ty.into(),
            default_kind: String::new(),
            default_expression: String::new(),
        };
        let schema = TableSchema::from_rows("d", "t", "UTC", [row]).unwrap();
        let plan = TablePlan::new(&schema, &Rules::default()).unwrap();
        decode(&plan, std::iter::once((0, format!("{{\"c\":{object}}}").as_bytes())))
    }

    #[test]
    fn an_object_goes_out_as_it_is_written() {
        for (ty, object) in [
            ("JSON", r#"{ "a" : 1.50, "b":[1,"x",{"c":null}], "é\n":{}, "":"\u00e9" }"#),
            ("JSON", r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":5e-324}"#),
            ("JSON", r#"{"a":[9007199254740992,1.5],"b":[9007199254740993],"c":[null,1]}"#),
            ("JSON", r#"{"a":[[null],[1]],"b":[{"c":[1.5]},9007199254740993]}"#),
            (TYPED, r#"{"a":{"b":255,"c":1.5},"d":"2026-03-01 10:00:00.5","l":["7",null,-1]}"#),
            (TYPED, r#"{"n":null,"x":[1],"a":7,"b":"y"}"#),
            (TYPED, r#"{"n":"2026-03-01","l":[]}"#),
        ] {
            let rows = read(ty, object);
            assert!(rows.rejections.is_empty(), "{object}: {:?}", rows.rejections);
            assert_eq!(rows.batch.column(0).as_string::<i32>().value(0), object);
        }
    }

    #[test]
    fn what_the_server_would_refuse_or_change_has_its_reason_and_place() {
        use Reason::*;
        let table = [
            ("JSON", "[]", TypeMismatch, "/c"),
            ("JSON", r#""{}""#, TypeMismatch, "/c"),
            ("JSON", r#"{"a":18446744073709551616}"#, OutOfRange, "/c/a"),
            ("JSON", r#"{"a":-9223372036854775809}"#, OutOfRange, "/c/a"),
            ("JSON", r#"{"a":[{"b":1e400}]}"#, OutOfRange, "/c/a/0/b"),
            ("JSON", r#"{"a":{"b":1,"b":1}}"#, DuplicateKey, "/c/a/b"),
            ("JSON", r#"{"a":1,"\u0061":1}"#, DuplicateKey, "/c/a"),
            ("JSON", r#"{"a":"\ud800"}"#, MalformedJson, "/c/a"),
            ("JSON", r#"{"a":[1.5,[9007199254740993]]}"#, OutOfRange, "/c/a"),
            ("JSON", r#"{"a":[-9007199254740993,1e0]}"#, OutOfRange, "/c/a"),
            ("JSON", r#"{"a":{"b":[[1],null]}}"#, TypeMismatch, "/c/a/b"),
            (TYPED, r#"{"a":{"b":256}}"#, OutOfRange, "/c/a/b"),
            (TYPED, r#"{"a":{"b":1.0}}"#, TypeMismatch, "/c/a/b"),
            (TYPED, r#"{"a":{"b":null}}"#, NullNotAllowed, "/c/a/b"),
            (TYPED, r#"{"a.b":"1"}"#, TypeMismatch, "/c/a.b"),
            (TYPED, r#"{"l":[1,9223372036854775808]}"#, OutOfRange, "/c/l/1"),
            (TYPED, r#"{"l":[1,1e2]}"#, TypeMismatch, "/c/l/1"),
            (TYPED, r#"{"d":"2026-02-30 00:00:00"}"#, BadDatetime, "/c/d"),
            (TYPED, r#"{"d":"2026-03-01T10:00:00"}"#, TypeMismatch, "/c/d"),
            (TYPED, r#"{"d":"2026-03-01 10:00:00Z"}"#, TypeMismatch, "/c/d"),
            (TYPED, r#"{"d":"2026-03-01 10:00"}"#, TypeMismatch, "/c/d"),
            (TYPED, r#"{"n":"2026/03/01"}"#, TypeMismatch, "/c/n"),
            ("Array(JSON)", r#"[{"a":1},{"a":1,"a":2}]"#, DuplicateKey, "/c/1/a"),
        ];
        for (ty, object, reason, pointer) in table {
            let rows = read(ty, object);
            assert_eq!(rows.rejections.len(), 1, "{object}");
            let fault = &rows.rejections[0].fault;
            let found = (fault.reason, fault.pointer.as_str());
            assert_eq!(found, (reason, pointer), "{object}: {fault}");
        }
    }
}
