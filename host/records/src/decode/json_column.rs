//! A value of a JSON column: one object, sent unchanged.
//!
//! The server parses the object again, by its own rules. What it would refuse is refused here, so that the other
//! records land at once; and so is what it would change silently:
//!
//! - an integer in an array with a fraction, if no float represents it;
//! - a null beside an array in an array, which would become an empty array;
//! - two values at one path, such as `{"a.b":1,"a":{"b":2}}`;
//! - at a path with a declared type, any value of another type: 1.5 would become 1, and 2026-02-30 a day in March.
//!
//! If a table also has a Variant or a Dynamic, which the server's older reader of Arrow does not support, the server
//! infers types within JSON, and no setting turns that off. Then two more are refused: a text that it would take for a
//! time and rewrite, and true or false beside numbers or strings in an array.
//!
//! A null member and an empty object are stored as nothing: ClickHouse's JSON does not distinguish them from absent
//! ones. Neither is a fault.

mod repeated;

use std::cell::Cell;

use hashbrown::HashSet;

use super::columns::Column;
use super::fault::{expected, fault, kind_of, no_character, twice, within};
use super::number::Number;
use super::parser::Parser;
use super::reader::Reader as _;
use super::room::Room;
use super::scalar::{text_of, ticks};
use super::serde_walk::{each_element, each_member};
use super::{date, nested};
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::{Forms, ValueRules};
use crate::schema::ranges::fits;
use crate::schema::types::{Element, Kind, Type};
use crate::schema::width::width;

/// Puts an object; `paths` are those with a declared type.
pub fn put_object(
    column: &mut Column,
    paths: &[Element],
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    let root = (!paths.is_empty()).then_some("");
    let reader = Reader { paths, rules, room: column.room(), has_points: Cell::new(false) };
    reader.object(token, root, 0)?;
    if reader.has_points.get() {
        reader.each_path_once(token)?;
    }
    column.put_text(token).ok_or_else(|| fault(Reason::TooLarge, "less JSON in one batch", "more"))
}

/// What an array and the arrays within it hold, as bits.
type Mixture = u8;
const NULL: Mixture = 1;
const ARRAY: Mixture = 1 << 1;
const BOOL: Mixture = 1 << 2;
const TEXT: Mixture = 1 << 3;
const NUMBER: Mixture = 1 << 4;
/// A number with a point or an exponent, which the server reads as a float.
const FRACTION: Mixture = 1 << 5;
/// An integer that no float represents.
const LONG: Mixture = 1 << 6;

/// Bytes kept for each name, beside it, while its object is read.
const NAME_BYTES: usize = 64;

struct Reader<'a> {
    paths: &'a [Element],
    rules: ValueRules,
    room: &'a Room,
    /// A name with a point was read: only then can two names lead to one path.
    has_points: Cell<bool>,
}

impl Reader<'_> {
    /// Reads an object whose members' paths begin with `prefix`; `None` if no path has a type. Paths begin with `above`
    /// bytes, which count for each member: the server stores each path in full.
    fn object(&self, token: &str, prefix: Option<&str>, above: usize) -> Result<(), Box<Fault>> {
        let mut names: HashSet<String, foldhash::fast::RandomState> = HashSet::default();
        let mut of_names = 0;
        each_member(token, |name, token| {
            self.room.take(name.len() + NAME_BYTES).map_err(|fault| within(fault, name))?;
            of_names += name.len() + NAME_BYTES;
            self.room.take(above).map_err(|fault| within(fault, name))?;
            if !names.insert(name.to_owned()) {
                return Err(within(twice("each field once"), name));
            }
            if name.contains('.') {
                self.has_points.set(true);
            }
            let path = prefix.map(|prefix| format!("{prefix}{name}"));
            let is_at =
                |typed: &&Element| path.is_some() && typed.name.as_deref() == path.as_deref();
            let read = match self.paths.iter().find(is_at) {
                Some(typed) => self.typed(&typed.ty, token),
                None => {
                    self.value(token, path.as_deref(), above.saturating_add(name.len())).map(drop)
                }
            };
            read.map_err(|fault| within(fault, name))
        })?;
        self.room.give_back(of_names);
        Ok(())
    }

    /// Reads a value, and returns what it adds to the array around it. `path_bytes` is the length of its path.
    fn value(
        &self,
        token: &str,
        path: Option<&str>,
        path_bytes: usize,
    ) -> Result<Mixture, Box<Fault>> {
        match kind_of(token) {
            "object" => {
                let prefix = path.map(|path| format!("{path}."));
                self.object(token, prefix.as_deref(), path_bytes + 1).map(|()| 0)
            }
            "array" => self.array(token),
            "number" => number(token),
            "string" => match text_of(token) {
                None => Err(no_character(token)),
                Some(text) if self.rules.is_inferred && is_rewritten(&text, self.rules) => {
                    let expected = "a time as YYYY-MM-DD or YYYY-MM-DD hh:mm:ss: beside a Variant \
                                    or Dynamic, ClickHouse writes others anew";
                    Err(fault(Reason::BadDatetime, expected, token))
                }
                Some(_) => Ok(TEXT),
            },
            "boolean" => Ok(BOOL),
            _ => Ok(NULL),
        }
    }

    fn array(&self, token: &str) -> Result<Mixture, Box<Fault>> {
        let mut held = 0;
        each_element(token, |index, element| {
            // An object within an array is at no path of the column.
            held |= self.value(element, None, 0).map_err(|fault| within(fault, index))?;
            Ok(())
        })?;
        let holds = |mixture| held & mixture == mixture;
        let refuse = |reason, expected: &str| Err(fault(reason, expected, token));
        if holds(NULL | ARRAY) {
            return refuse(Reason::TypeMismatch, "no null beside arrays in an array");
        }
        if holds(FRACTION | LONG) {
            return refuse(Reason::OutOfRange, "no integer beyond 2^53 in an array with fractions");
        }
        if self.rules.is_inferred && (holds(BOOL | NUMBER) || holds(BOOL | TEXT)) {
            let expected = "no numbers or strings beside true or false in an array: beside a \
                            Variant or Dynamic, ClickHouse makes them one type";
            return refuse(Reason::TypeMismatch, expected);
        }
        Ok(ARRAY | (held & !NULL))
    }

    /// Checks a value at a typed path by the rules of a column of that type.
    fn typed(&self, ty: &Type, token: &str) -> Result<(), Box<Fault>> {
        if token == "null" {
            let refused = || fault(Reason::NullNotAllowed, expected(ty), token);
            return if ty.is_nullable { Ok(()) } else { Err(refused()) };
        }
        let before = self.room.left();
        self.room.take(width(ty))?;
        let mut column = Column::within(ty, 1, self.room);
        // ClickHouse parses the text again by its own rules.
        let rules = ValueRules { forms: Forms::Strict, ..self.rules };
        nested::put(&mut column, ty, rules, &mut Parser::of(token)).map_err(without_unit)?;
        self.room.give_back(before.saturating_sub(self.room.left()));
        is_read_alike(ty, token)
    }
}

/// A fault without the hint on units: TIMESTAMP_UNIT does not apply within JSON.
#[cold]
fn without_unit(mut fault: Box<Fault>) -> Box<Fault> {
    if fault.expected.contains("TIMESTAMP_UNIT") {
        let end = fault.expected.find("; ").unwrap_or(fault.expected.len());
        fault.expected.truncate(end);
    }
    fault
}

/// Refuses a text from which the server would read another value.
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

/// Whether a date or time is written as the server writes it, with at least `len` bytes.
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

/// Whether the server would take a text for a time and rewrite it. Based on measurements; includes some texts that it
/// leaves alone.
fn is_rewritten(text: &str, rules: ValueRules) -> bool {
    let bytes = text.as_bytes();
    let is_part = |(at, byte): (usize, &u8)| match (at, byte) {
        (_, b'0'..=b'9') | (19.., b'.') | (10, b'T' | b' ') => true,
        (0..4 | 19.., _) => false,
        (_, byte) => matches!(byte, b'-' | b'/' | b':' | b'.'),
    };
    if bytes.len() < 8
        || bytes.get(4).is_none_or(u8::is_ascii_digit)
        || !bytes.iter().enumerate().all(is_part)
    {
        return false;
    }
    let moment = date::parse(text, false).filter(|_| bytes.get(4) == Some(&b'-'));
    let is_kept = moment.is_some_and(|moment| match bytes.len() {
        10 => moment.days(false).is_some_and(|days| fits(&Kind::Date, days)),
        19 if bytes.get(10) == Some(&b' ') => {
            let nanos = moment.nanos(rules.zone);
            nanos.and_then(|nanos| ticks(&Kind::DateTime { zone: None }, nanos)).is_some()
        }
        _ => false,
    });
    !is_kept
}

fn number(token: &str) -> Result<Mixture, Box<Fault>> {
    let refuse = || fault(Reason::OutOfRange, "number within Int64, UInt64 or Float64", token);
    if token.contains(['.', 'e', 'E']) {
        let value: Option<f64> = fast_float2::parse(token).ok();
        value.filter(|value| value.is_finite()).ok_or_else(refuse)?;
        return Ok(NUMBER | FRACTION);
    }
    let is_held = |value| i64::try_from(value).is_ok() || u64::try_from(value).is_ok();
    let number = Number::of(token);
    number.integer().ok().filter(|value| is_held(*value)).ok_or_else(refuse)?;
    Ok(if number.is_long_integer() { NUMBER | LONG } else { NUMBER })
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;

    use crate::decode::decode;
    use crate::flow::rejection::Reason;
    use crate::flow::rows::Rows;
    use crate::schema::plan::{Rules, TablePlan};
    use crate::schema::table::{ColumnRow, TableSchema};

    const TYPED: &str = "JSON(max_dynamic_paths=8, `a.b` UInt8, d DateTime64(3, 'UTC'), \
                         l Array(Nullable(Int64)), n Nullable(Date), SKIP x, SKIP REGEXP 'y,.*')";

    const TYPED_NULL: &str = "JSON(`a.b` Nullable(UInt8))";

    /// Reads into a column of a table without others.
    fn read(ty: &str, object: &str) -> Rows {
        read_beside(&[], ty, object)
    }

    fn read_beside(others: &[&str], ty: &str, object: &str) -> Rows {
        let rows = std::iter::once(&ty).chain(others).zip(["c", "d"]).map(|(ty, name)| ColumnRow {
            name: name.into(),
            ty: (*ty).into(),
            default_kind: String::new(),
            default_expression: String::new(),
        });
        let schema = TableSchema::from_rows("d", "t", "Europe/Berlin", rows).unwrap();
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
            ("JSON", r#"{"a.b":1,"a":{"b":null,"c":2}}"#),
            ("JSON", r#"{"a.b":1,"a":{"b":{}}}"#),
            ("JSON", r#"{"a.b":{"x":1},"a":{"b":{"y":2}}}"#),
            ("JSON", r#"{"a.b":1,"a":{"b":{"x":2}}}"#),
            ("JSON", r#"{"l":[{"a.b":1},{"a":{"b":2}}],"a.b":1}"#),
            (TYPED_NULL, r#"{"l":[{"a.b":null,"a":{"b":null}}]}"#),
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
            ("JSON", r#"{"a.b":1,"a":{"b":2}}"#, DuplicateKey, "/c/a/b"),
            ("JSON", r#"{"a":{"b":1},"a.b":[]}"#, DuplicateKey, "/c/a.b"),
            ("JSON", r#"{"a.b":{"x":1},"a":{"b":{"x":1}}}"#, DuplicateKey, "/c/a/b/x"),
            ("JSON", r#"{"l":[[{"x":1},{"a.b":1,"a":{"b":2}}]]}"#, DuplicateKey, "/c/l/0/1/a/b"),
            (TYPED_NULL, r#"{"a.b":null,"a":{"b":null}}"#, DuplicateKey, "/c/a/b"),
            ("Array(JSON)", r#"[{"a":1},{"a.b":1,"a":{"b":2}}]"#, DuplicateKey, "/c/1/a/b"),
        ];
        for (ty, object, reason, pointer) in table {
            let rows = read(ty, object);
            assert_eq!(rows.rejections.len(), 1, "{object}");
            let fault = &rows.rejections[0].fault;
            let found = (fault.reason, fault.pointer.as_str());
            assert_eq!(found, (reason, pointer), "{object}: {fault}");
        }
    }

    #[test]
    fn beside_a_union_nothing_is_left_to_inference() {
        let kept = [
            r#""2026-03-01""#,
            r#""2026-03-01 10:00:00""#,
            r#""2026-03-01T10:00:00Z""#,
            r#""2026-03-01 10:00:00.5+01:00""#,
            r#""2026-03-01x""#,
            r#""12:00:00""#,
            r#""20260301""#,
            r#""1.2.3.4""#,
            r#""2026 03 01""#,
            "[true,null]",
            "[true,{}]",
            r#"[1,"x"]"#,
        ];
        let changed = [
            r#""2026-3-1""#,
            r#""2026/03/01""#,
            r#""2026:03:01""#,
            r#""2026-02-30""#,
            r#""1969-12-31""#,
            r#""2149-06-07""#,
            r#""2026-03-01 25:00:00""#,
            r#""2026-03-01 10:00:00.5""#,
            r#""2026-03-01T10:00:00""#,
            r#""2026-03-29 02:30:00""#,
            r#""2106-02-08 00:00:00""#,
            "[true,1]",
            r#"[[false],["x"]]"#,
        ];
        for (values, is_kept) in [(&kept[..], true), (&changed[..], false)] {
            for value in values {
                let object = format!("{{\"a\":[{{\"b\":{value}}}]}}");
                assert!(read("JSON", &object).rejections.is_empty(), "{value}");
                for other in ["Dynamic", "Array(Variant(Int8, String))"] {
                    let rows = read_beside(&[other], "JSON", &object);
                    assert_eq!(rows.rejections.is_empty(), is_kept, "{value} beside {other}");
                }
            }
        }
    }
}
