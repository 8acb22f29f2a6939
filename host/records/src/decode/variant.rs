//! Chooses the type of a Variant or Dynamic for a value.
//!
//! The first type that accepts it wins, among those for its kind of JSON; exact types are tried before those that
//! accept nearly anything:
//!
//! | JSON | types, in the order in which they are tried |
//! |---|---|
//! | number | integers, decimals, floats, times if TIMESTAMP_UNIT is set |
//! | string | UUIDs, dates and times, FixedString, String, then numbers that a string may hold |
//! | array | Arrays, Tuples |
//! | object | Maps, Tuples with names |
//!
//! Within an array or an object, strings stay strings if one of the types holds them so; only otherwise are they tried
//! as numbers. An integer that no float represents does not become a float.

use super::columns::Column;
use super::fault::{expected, fault, kind_of};
use super::nested::put_part;
use super::parser::Parser;
use super::reader::Reader as _;
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::{Forms, ValueRules};
use crate::schema::types::{Kind, Type};

/// Puts a value that is not null. On a fault the column's parts are unchanged.
pub fn put(
    column: &mut Column,
    (ty, members): (&Type, &[Type]),
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    let forms: &[Forms] = match token.as_bytes().first() {
        Some(b'[' | b'{') => &[Forms::MemberExact, Forms::Member],
        _ => &[Forms::Member],
    };
    let room = column.room().clone();
    let mut last: Option<Box<Fault>> = None;
    for (forms, turn) in forms.iter().flat_map(|forms| (0..TURNS).map(move |turn| (*forms, turn))) {
        let rules = ValueRules { forms, ..rules };
        for (at, (member, part)) in members.iter().zip(column.parts()).enumerate() {
            if turn_of(&member.kind, kind_of(token), rules) != Some(turn) {
                continue;
            }
            let (len, left) = (part.len(), room.left());
            match put_part(part, member, rules, &mut Parser::of(token)) {
                Ok(()) => {
                    let mismatch = || fault(Reason::TypeMismatch, expected(ty), token);
                    return column.choose(at).ok_or_else(mismatch);
                }
                Err(fault) if room.is_over() => return Err(fault),
                Err(fault) => {
                    part.truncate(len);
                    room.give_back(left.saturating_sub(room.left()));
                    if last.is_none() || fault.reason != Reason::TypeMismatch {
                        last = Some(fault);
                    }
                }
            }
        }
    }
    // The fault of the closest type: of the right kind, and tried last.
    Err(last.unwrap_or_else(|| fault(Reason::TypeMismatch, expected(ty), token)))
}

const TURNS: u8 = 4;

/// The turn in which a type is tried; `None` if it holds no such JSON.
fn turn_of(kind: &Kind, json: &str, rules: ValueRules) -> Option<u8> {
    match (kind, json) {
        (Kind::Int(_), "number")
        | (Kind::Uuid | Kind::Date32 | Kind::DateTime64 { .. } | Kind::Time64 { .. }, "string")
        | (Kind::Bool, "boolean")
        | (Kind::Array(_), "array")
        | (Kind::Map(..), "object") => Some(0),
        (Kind::Decimal { .. }, "number")
        | (Kind::FixedString(_), "string")
        | (Kind::Tuple(_), "array" | "object") => Some(1),
        (Kind::Float32 | Kind::Float64, "number") | (Kind::String, "string") => Some(2),
        (Kind::Int(_) | Kind::Decimal { .. }, "string") => Some(3),
        (Kind::Date32 | Kind::DateTime64 { .. } | Kind::Time64 { .. }, "number")
            if rules.unit_of(kind).is_some() =>
        {
            Some(3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;
    use arrow_array::{Array as _, UnionArray};
    use proptest::prelude::*;

    use crate::decode::decode;
    use crate::flow::rejection::Reason;
    use crate::flow::rows::Rows;
    use crate::schema::plan::{Rules, TablePlan};

    const VARIANT: &str = "Variant(Array(Nullable(Int8)), Date32, Decimal(4, 2), FixedString(3), \
                           Float64, Int64, Map(String, Int8), String, Tuple(a Int8, b String), \
                           UInt64, UUID)";

    fn read<T: AsRef<[u8]>>(ty: &str, records: &[T]) -> Rows {
        let plan = TablePlan::of_types(&[("c", ty)], &Rules::default());
        decode(&plan, (0..).zip(records.iter().map(AsRef::as_ref)))
    }

    fn good(ty: &str, value: &str) -> UnionArray {
        let rows = read(ty, &[format!("{{\"c\":{value}}}")]);
        assert!(rows.rejections.is_empty(), "{value}: {:?}", rows.rejections);
        rows.batch.column(0).as_union().clone()
    }

    #[test]
    fn the_exact_types_are_asked_before_those_that_take_nearly_anything() {
        // By the index of the type in the list.
        let table = [
            ("[1,null]", 0),
            ("\"2026-03-01\"", 1),
            ("1.25", 2),
            ("\"ab\"", 3),
            ("1.234", 4),
            ("1e300", 4),
            ("5", 5),
            ("5.0", 5),
            ("{\"a\":1}", 6),
            ("\"2026-02-30\"", 7),
            ("\"12345\"", 7),
            ("{\"a\":1,\"b\":\"x\"}", 8),
            ("[1,\"x\"]", 8),
            ("18446744073709551615", 9),
            ("\"123e4567-e89b-12d3-a456-426614174000\"", 10),
            ("null", 11),
        ];
        for (value, member) in table {
            assert_eq!(good(VARIANT, value).type_id(0), member, "{value}");
        }
    }

    #[test]
    fn strings_within_arrays_and_objects_stay_strings_where_a_type_holds_them() {
        for (ty, value, member) in [
            ("Dynamic", r#"["49151234567"]"#, 9),
            ("Dynamic", r#"["1","1e2"]"#, 9),
            ("Dynamic", r#"["-0",null]"#, 9),
            ("Dynamic", "[1]", 5),
            ("Variant(Array(Int64), Array(String))", r#"["1","1e2"]"#, 1),
            ("Variant(Array(Int64), Array(String))", r#"["1",2]"#, 0),
            ("Variant(Array(Int64), String)", r#"["1"]"#, 0),
            ("Variant(Map(String, Int64), Map(String, String))", r#"{"a":"1"}"#, 1),
        ] {
            assert_eq!(good(ty, value).type_id(0), member, "{ty}: {value}");
        }
    }

    #[test]
    fn a_dynamic_takes_the_scalars_of_json_and_arrays_of_one_kind() {
        let table = [
            ("-1", 0),
            ("18446744073709551615", 1),
            ("1.5", 2),
            ("true", 3),
            ("\"5\"", 4),
            ("[1,null,-1]", 5),
            ("[]", 5),
            ("[18446744073709551615]", 6),
            ("[1,1.5]", 7),
            ("[false]", 8),
            ("[\"a\",null]", 9),
            ("null", 10),
        ];
        for (value, member) in table {
            assert_eq!(good("Dynamic", value).type_id(0), member, "{value}");
        }
    }

    #[test]
    fn an_absent_field_is_null_and_a_null_stands_in_any_part() {
        let rows = read("Array(Dynamic)", &[r#"{"c":[1,null,"x"]}"#]);
        let elements = rows.batch.column(0).as_list::<i32>().value(0);
        assert_eq!(elements.as_union().type_ids(), &[0, 10, 4]);
        let rules = Rules { takes_unfilled: true, ..Rules::default() };
        let plan = TablePlan::of_types(&[("c", "Variant(Int8, String)")], &rules);
        let rows = decode(&plan, std::iter::once((0, b"{}".as_slice())));
        assert!(rows.batch.column(0).logical_nulls().unwrap().is_null(0));
    }

    #[test]
    fn what_no_type_takes_has_its_reason_and_place() {
        use Reason::*;
        let table = [
            ("Dynamic", "{}", TypeMismatch, "/c"),
            ("Dynamic", "[1,\"x\"]", TypeMismatch, "/c/1"),
            ("Dynamic", "18446744073709551616", OutOfRange, "/c"),
            ("Dynamic", "[-1,18446744073709551615]", OutOfRange, "/c/1"),
            ("Dynamic", "1e400", OutOfRange, "/c"),
            ("Variant(Int8, UInt8)", "256", OutOfRange, "/c"),
            ("Variant(Int8, UInt8)", "\"1\"", TypeMismatch, "/c"),
            ("Variant(Decimal(4, 2), Int8)", "1.234", BadDecimal, "/c"),
            ("Variant(Int8, UUID)", "\"x\"", BadUuid, "/c"),
            ("Variant(Array(Int8), Int8)", "[1,300]", OutOfRange, "/c/1"),
            ("Variant(Array(Int8), Int8)", "[1,null]", NullNotAllowed, "/c/1"),
            ("Variant(Int8, String)", "true", TypeMismatch, "/c"),
            ("Array(Variant(Int8, String))", "[1,\"x\",[]]", TypeMismatch, "/c/2"),
        ];
        for (ty, value, reason, pointer) in table {
            let rows = read(ty, &[format!("{{\"c\":{value}}}")]);
            assert_eq!(rows.rejections.len(), 1, "{ty}: {value}");
            let fault = &rows.rejections[0].fault;
            let found = (fault.reason, fault.pointer.as_str());
            assert_eq!(found, (reason, pointer), "{ty}: {value}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn a_bad_record_leaves_no_trace_in_any_member(
            records in prop::collection::vec(prop_oneof![
                3 => prop_oneof![
                    any::<i64>().prop_map(|number| format!(r#"{{"c":[{number},null]}}"#)),
                    "[a-z]{0,5}".prop_map(|text| format!(r#"{{"c":["{text}",[1,{{}}]]}}"#)),
                    Just(r#"{"c":[[[],["left"]],{"k":1}]}"#.to_owned()),
                ].prop_map(|record| (record, true)),
                2 => prop_oneof![
                    Just(r#"{"c":["left",{"k":1,"l":300}]}"#),
                    Just(r#"{"c":[[1,["left",1]]]}"#),
                    Just(r#"{"c":[1,true"#),
                ].prop_map(|record| (record.to_owned(), false)),
            ], 0..30),
        ) {
            let ty = "Array(Variant(Array(Int8), Int64, Map(String, Int8), String, \
                      Tuple(Int8, Map(String, Int8)), Tuple(Array(Int8), Array(String))))";
            let all: Vec<&String> = records.iter().map(|(record, _)| record).collect();
            let good: Vec<&String> =
                records.iter().filter(|(_, good)| *good).map(|(record, _)| record).collect();
            let (mixed, alone) = (read(ty, &all), read(ty, &good));
            prop_assert_eq!(mixed.batch, alone.batch);
            prop_assert_eq!(mixed.rejections.len(), all.len() - good.len());
        }
    }
}
