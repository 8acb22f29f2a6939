//! Arrays, maps and tuples, to any depth, in the order of the record.
//!
//! - An Array is a JSON array.
//! - A Map is a JSON object. Its names are parsed as the type of its keys; two equal keys are a fault, since either
//!   could be meant.
//! - A Tuple is a JSON array of exactly its elements. One with names may also be a JSON object: as in the record
//!   itself, an unknown field is ignored, a repeated one is a fault, and an absent one is null.
//! - A null is a fault if the type is not Nullable: within a column there is no DEFAULT, and the server would store a
//!   zero.
#![allow(clippy::inline_always, reason = "as in `record`")]

use super::columns::Column;
use super::fault::{expected, fault, found, nothing, twice, within};
use super::number::Number;
use super::reader::{Name, Reader};
use super::scalar::{put_escaped, put_key, put_number, put_text, put_token};
use super::serde_walk::each_member;
use super::{json_column, lenient, variant};
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::ValueRules;
use crate::schema::types::{Element, Kind, Type};

/// Puts a value that is not null. On a fault the column's parts may hold some of it, and the value may
/// be read in part.
#[inline(always)]
pub fn put<'r, R: Reader<'r>>(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    value: &mut R,
) -> Result<(), Box<Fault>> {
    let start = value.place();
    match ty.kind {
        Kind::Array(_) | Kind::Map(..) | Kind::Tuple(_) => {
            return put_parts(column, ty, rules, value);
        }
        Kind::Variant(_) | Kind::Dynamic(_) | Kind::Json(_) => {
            return put_whole(column, ty, rules, value.token()?);
        }
        // Fast path for nearly all values of these types.
        Kind::Int(_) | Kind::Float32 | Kind::Float64 | Kind::Decimal { .. } => {
            if let Some(short) = value.short() {
                if column.put_short(short).is_some() {
                    return Ok(());
                }
                let number = Number { text: value.since(start), short: Some(short) };
                return put_number(column, ty, rules, number);
            }
        }
        _ => {
            if let Some((inner, is_plain)) = value.string() {
                let put = if is_plain { put_text } else { put_escaped };
                return put(column, ty, rules, inner)
                    .map_err(|fault| found(fault, value.since(start)));
            }
        }
    }
    value.go_back(start);
    let token = value.token()?;
    let put = put_token(column, ty, rules, token);
    if R::IS_LENIENT {
        return put.or_else(|fault| lenient::put(column, ty, rules, token, fault));
    }
    put
}

/// Puts a value whose token is needed whole.
fn put_whole(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    match &ty.kind {
        Kind::Variant(members) | Kind::Dynamic(members) => {
            variant::put(column, (ty, members), rules, token)
        }
        Kind::Json(paths) if token.starts_with('{') => {
            json_column::put_object(column, paths, rules, token)
        }
        _ => put_token(column, ty, rules, token),
    }
}

fn put_parts<'r>(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    value: &mut impl Reader<'r>,
) -> Result<(), Box<Fault>> {
    let start = value.place();
    match (&ty.kind, value.first()) {
        (Kind::Array(element), Some(b'[')) => put_array(column, element, rules, value)?,
        (Kind::Map(key, of), Some(b'{')) => put_map(column, (key, of), rules, value)?,
        (Kind::Tuple(elements), Some(b'[')) => put_in_order(column, (ty, elements), rules, value)?,
        (Kind::Tuple(elements), Some(b'{')) if has_names(elements) => {
            put_by_name(column, elements, rules, value)?;
        }
        // A value of another kind fails like any scalar.
        _ => return put_token(column, ty, rules, value.token()?),
    }
    let too_many = |value: &str| fault(Reason::TooLarge, "fewer elements in one batch", value);
    column.close().ok_or_else(|| too_many(value.again(start)))
}

/// Puts a value nested in another.
pub fn put_part<'r>(
    part: &mut Column,
    ty: &Type,
    rules: ValueRules,
    value: &mut impl Reader<'r>,
) -> Result<(), Box<Fault>> {
    if value.first() != Some(b'n') {
        return put(part, ty, rules, value);
    }
    let null = value.token()?;
    if !ty.is_nullable {
        return Err(fault(Reason::NullNotAllowed, expected(ty), null));
    }
    part.put_null();
    Ok(())
}

fn put_array<'r>(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    value: &mut impl Reader<'r>,
) -> Result<(), Box<Fault>> {
    let ([elements], width, room) = column.runs() else { return Err(differ()) };
    value.each_element(|index, value| {
        room.take(width)
            .and_then(|()| put_part(elements, ty, rules, value))
            .map_err(|fault| within(fault, index))
    })
}

fn put_map<'r, R: Reader<'r>>(
    column: &mut Column,
    (key, of): (&Type, &Type),
    rules: ValueRules,
    value: &mut R,
) -> Result<(), Box<Fault>> {
    let ([keys, values], width, room) = column.runs() else { return Err(differ()) };
    let (place, start) = (value.place(), keys.len());
    let put_key = if R::IS_LENIENT { lenient::put_key } else { put_key };
    value.each_member(|name, value| {
        room.take(width)
            .and_then(|()| put_key(keys, key, rules, name))
            .and_then(|()| put_part(values, of, rules, value))
            .map_err(|fault| within(fault, name))
    })?;
    match keys.repeated_from(start) {
        None => Ok(()),
        Some(repeated) => repeated_key(value.again(place), repeated - start),
    }
}

/// The fault of a map's member that repeats a key.
#[cold]
fn repeated_key(token: &str, member: usize) -> Result<(), Box<Fault>> {
    let mut at = 0;
    each_member(token, |name, _| {
        if at == member {
            return Err(within(twice("each key once"), name));
        }
        at += 1;
        Ok(())
    })
}

fn put_in_order<'r>(
    column: &mut Column,
    (ty, elements): (&Type, &[Element]),
    rules: ValueRules,
    value: &mut impl Reader<'r>,
) -> Result<(), Box<Fault>> {
    let start = value.place();
    let mut places = elements.iter().zip(column.parts());
    let mut are_too_many = false;
    let read = value.each_element(|index, value| match places.next() {
        Some((element, part)) => {
            put_part(part, &element.ty, rules, value).map_err(|fault| within(fault, index))
        }
        None => {
            are_too_many = true;
            value.token().map(drop)
        }
    });
    read?;
    if are_too_many || places.next().is_some() {
        return Err(fault(Reason::TypeMismatch, expected(ty), value.again(start)));
    }
    Ok(())
}

fn put_by_name<'r>(
    column: &mut Column,
    elements: &[Element],
    rules: ValueRules,
    value: &mut impl Reader<'r>,
) -> Result<(), Box<Fault>> {
    let row = column.len();
    let Some((parts, order)) = column.tuple() else { return Err(differ()) };
    value.each_field(elements, order, |name, value| {
        let Name::Field(at) = name else { return value.token().map(drop) };
        let (Some(element), Some(part)) = (elements.get(at), parts.get_mut(at)) else {
            return Err(differ());
        };
        let put = match part.len() > row {
            true => Err(twice("each field once")),
            false => put_part(part, &element.ty, rules, value),
        };
        put.map_err(|fault| within(fault, element.name.as_deref().unwrap_or_default()))
    })?;
    for (element, part) in elements.iter().zip(parts).filter(|(_, part)| part.len() == row) {
        if !element.ty.is_nullable {
            let absent = nothing(Reason::NullNotAllowed, expected(&element.ty));
            return Err(within(absent, element.name.as_deref().unwrap_or_default()));
        }
        part.put_null();
    }
    Ok(())
}

fn has_names(elements: &[Element]) -> bool {
    elements.first().is_some_and(|element| element.name.is_some())
}

/// Columns are made from the same types.
#[cold]
fn differ() -> Box<Fault> {
    unreachable!("columns and types differ")
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::{Int8Type, Int32Type};
    use arrow_array::{Array as _, ArrayRef, RecordBatch, make_array};
    use proptest::prelude::*;

    use crate::decode::decode;
    use crate::flow::rejection::Reason;
    use crate::flow::rows::Rows;
    use crate::schema::plan::{Rules, TablePlan};
    use crate::schema::table::{ColumnRow, TableSchema};

    const TABLE: &[(&str, &str)] = &[
        ("m", "Map(String, Int8)"),
        ("mi", "Map(UInt8, Nullable(String))"),
        ("mu", "Map(UUID, Bool)"),
        ("md", "Map(Date, Bool)"),
        ("me", "Map(Enum8('on' = 1, 'off' = 2), Bool)"),
        ("mf", "Map(Float64, Bool)"),
        ("mb", "Map(Bool, Bool)"),
        ("mx", "Map(FixedString(3), Bool)"),
        ("mc", "Map(Decimal(4, 2), Bool)"),
        ("ml", "Map(Int64, Bool)"),
        ("t", "Tuple(a Int8, `b/c` Nullable(String))"),
        ("u", "Tuple(Int8, Array(Bool))"),
        ("n", "Nullable(Tuple(a Int8))"),
        ("at", "Array(Tuple(id UInt8, tags Map(String, Array(Nullable(Int8)))))"),
    ];

    fn decode_all<T: AsRef<[u8]>>(records: &[T]) -> Rows {
        let rows = TABLE.iter().map(|(name, ty)| ColumnRow {
            name: (*name).into(),
            ty: (*ty).into(),
            default_kind: String::new(),
            default_expression: String::new(),
        });
        let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
        let plan = TablePlan::new(&schema, &Rules::default()).unwrap();
        decode(&plan, (0..).zip(records.iter().map(AsRef::as_ref)))
    }

    fn good(record: &str) -> RecordBatch {
        let rows = decode_all(&[record]);
        assert!(rows.rejections.is_empty(), "{record}: {:?}", rows.rejections);
        rows.batch
    }

    #[test]
    fn a_map_keeps_its_entries_in_their_order() {
        let batch = good(r#"{"m":{"b":1,"":-2,"a\u00e9":3},"me":{"off":true,"on":false}}"#);
        let entries = batch.column_by_name("m").unwrap().as_map().value(0);
        let keys: Vec<_> = entries.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(keys, ["b", "", "aé"]);
        assert_eq!(entries.column(1).as_primitive::<Int8Type>().values(), &[1, -2, 3]);
        let entries = batch.column_by_name("me").unwrap().as_map().value(0);
        let labels = entries.column(0).as_dictionary::<Int32Type>().keys().values().to_vec();
        assert_eq!(labels, [1, 0]);
    }

    #[test]
    fn a_tuple_with_names_is_an_object_in_any_order_or_an_array() {
        for (t, b) in [
            (r#"{"b/c":"x","other":{},"a":1}"#, Some("x")),
            (r#"{"a":1,"other":1,"other":1}"#, None),
            (r#"{"a":1,"b/c":null}"#, None),
            (r#"[1,"x"]"#, Some("x")),
            ("[1,null]", None),
        ] {
            let batch = good(&format!(r#"{{"t":{t}}}"#));
            let tuple = batch.column_by_name("t").unwrap().as_struct();
            assert_eq!(tuple.column(0).as_primitive::<Int8Type>().value(0), 1, "{t}");
            let found = tuple.column(1).as_string::<i32>();
            assert_eq!(found.is_valid(0).then(|| found.value(0)), b, "{t}");
        }
    }

    #[test]
    fn a_null_column_is_null_in_all_of_its_parts() {
        let batch = good(r#"{"t":null,"n":null}"#);
        for name in ["m", "t", "n", "at"] {
            assert!(batch.column_by_name(name).unwrap().is_null(0), "{name}");
        }
        assert!(batch.column_by_name("t").unwrap().as_struct().column(0).is_null(0));
        assert!(good(r#"{"n":[1]}"#).column_by_name("n").unwrap().is_valid(0));
    }

    #[test]
    fn each_fault_has_its_reason_and_place() {
        use Reason::*;
        let table = [
            (r#"{"m":{"a":300}}"#, OutOfRange, "/m/a"),
            (r#"{"m":{"a~/":"x"}}"#, TypeMismatch, "/m/a~0~1"),
            (r#"{"m":{"a":null}}"#, NullNotAllowed, "/m/a"),
            (r#"{"m":[["a",1]]}"#, TypeMismatch, "/m"),
            (r#"{"m":"{}"}"#, TypeMismatch, "/m"),
            (r#"{"m":{"a":1,"b":2,"\u0061":3,"b":4}}"#, DuplicateKey, "/m/a"),
            (r#"{"m":{"\ud800":1}}"#, MalformedJson, "/m"),
            (r#"{"mi":{"0":"a","00":"b"}}"#, TypeMismatch, "/mi/00"),
            (r#"{"mi":{"256":"a"}}"#, OutOfRange, "/mi/256"),
            (r#"{"mi":{"-1":"a"}}"#, OutOfRange, "/mi/-1"),
            (r#"{"mi":{"":"a"}}"#, TypeMismatch, "/mi/"),
            (r#"{"mi":{" 1":"a"}}"#, TypeMismatch, "/mi/ 1"),
            (r#"{"mi":{"1":"a","1.0":null}}"#, DuplicateKey, "/mi/1.0"),
            (r#"{"ml":{"9223372036854775808":true}}"#, OutOfRange, "/ml/9223372036854775808"),
            (r#"{"mu":{"123":true}}"#, BadUuid, "/mu/123"),
            (
                r#"{"mu":{"123e4567-e89b-12d3-a456-426614174000":true,
                    "123E4567-E89B-12D3-A456-426614174000":true}}"#,
                DuplicateKey,
                "/mu/123E4567-E89B-12D3-A456-426614174000",
            ),
            (r#"{"md":{"2026-02-30":true}}"#, BadDatetime, "/md/2026-02-30"),
            (r#"{"me":{"dim":true}}"#, UnknownLabel, "/me/dim"),
            (r#"{"mf":{"1.":true}}"#, TypeMismatch, "/mf/1."),
            (r#"{"mf":{"inf":true}}"#, TypeMismatch, "/mf/inf"),
            (r#"{"mf":{"-inf":true}}"#, TypeMismatch, "/mf/-inf"),
            (r#"{"mf":{"1e400":true}}"#, OutOfRange, "/mf/1e400"),
            (r#"{"mf":{"0":true,"-0":true}}"#, DuplicateKey, "/mf/-0"),
            (r#"{"mb":{"1":true}}"#, TypeMismatch, "/mb/1"),
            (r#"{"mx":{"abcd":true}}"#, TooLarge, "/mx/abcd"),
            (r#"{"mc":{"1.234":true}}"#, BadDecimal, "/mc/1.234"),
            (r#"{"t":{"a":300}}"#, OutOfRange, "/t/a"),
            (r#"{"t":{"a":1,"b/c":2}}"#, TypeMismatch, "/t/b~1c"),
            (r#"{"t":{"b/c":"x"}}"#, NullNotAllowed, "/t/a"),
            (r#"{"t":{"a":null}}"#, NullNotAllowed, "/t/a"),
            (r#"{"t":{"a":1,"b/c":null,"a":1}}"#, DuplicateKey, "/t/a"),
            (r#"{"t":{"a":1,"b/c":null,"b/c":null}}"#, DuplicateKey, "/t/b~1c"),
            (r#"{"t":{"A":1}}"#, NullNotAllowed, "/t/a"),
            (r#"{"t":[1]}"#, TypeMismatch, "/t"),
            (r#"{"t":[1,"x",2]}"#, TypeMismatch, "/t"),
            (r#"{"t":[]}"#, TypeMismatch, "/t"),
            (r#"{"t":[null,"x"]}"#, NullNotAllowed, "/t/0"),
            (r#"{"t":7}"#, TypeMismatch, "/t"),
            (r#"{"u":{"1":1,"2":[]}}"#, TypeMismatch, "/u"),
            (r#"{"u":[1,[true,null]]}"#, NullNotAllowed, "/u/1/1"),
            (r#"{"u":[1,null]}"#, NullNotAllowed, "/u/1"),
            (r#"{"n":{}}"#, NullNotAllowed, "/n/a"),
            (
                r#"{"at":[{"id":1,"tags":{"x":[null,1],"y":[1,300]}}]}"#,
                OutOfRange,
                "/at/0/tags/y/1",
            ),
            (r#"{"at":[{"id":1,"tags":null}]}"#, NullNotAllowed, "/at/0/tags"),
            (r#"{"at":[[1,{}],[2]]}"#, TypeMismatch, "/at/1"),
            (r#"{"at":[[1,{}],null]}"#, NullNotAllowed, "/at/1"),
            (r#"{"at":{}}"#, TypeMismatch, "/at"),
        ];
        for (record, reason, pointer) in table {
            let rows = decode_all(&[record]);
            assert_eq!((rows.batch.num_rows(), rows.rejections.len()), (0, 1), "{record}");
            let fault = &rows.rejections[0].fault;
            assert_eq!(
                (fault.reason, fault.pointer.as_str()),
                (reason, pointer),
                "{record}: {fault}"
            );
            let column = fault.pointer.split('/').nth(1);
            assert_eq!(fault.column.as_deref(), column, "{record}");
        }
    }

    #[test]
    fn a_fault_says_what_was_expected_and_shows_no_more_of_a_key_than_of_a_value() {
        let text = |record: &str| decode_all(&[record]).rejections[0].fault.to_string();
        assert_eq!(
            text(r#"{"mi":{"256":"a"}}"#),
            r#"column `mi` at /mi/256: expected as key: integer from 0 to 255, got "256""#
        );
        assert_eq!(
            text(r#"{"t":{"b/c":"x"}}"#),
            "column `t` at /t/a: expected integer from -128 to 127, got nothing"
        );
        assert_eq!(
            text(r#"{"t":7}"#),
            "column `t`: expected object with a, b/c, or array of 2 values, got 7"
        );
        assert_eq!(text(r#"{"u":[1]}"#), "column `u`: expected array of 2 values, got [1]");
        assert_eq!(
            text(r#"{"m":{"a":1,"a":2}}"#),
            "column `m` at /m/a: expected each key once, got a duplicate"
        );
        let long = text(&format!(r#"{{"mi":{{"{}":"a"}}}}"#, "x".repeat(5_000)));
        assert!(long.len() < 400, "{long}");
    }

    /// Records of which some are good; the flag says so.
    fn record() -> impl Strategy<Value = (String, bool)> {
        let good = (any::<u8>(), "[a-z]{0,4}", prop::collection::vec(any::<i8>(), 0..4));
        let good = good.prop_map(|(id, key, list)| {
            let tuple = format!(r#"{{"id":{id},"tags":{{"{key}":{list:?},"{key}_":[null]}}}}"#);
            let record = format!(
                r#"{{"m":{{"{key}":1}},"at":[{tuple},[{id},{{}}]],"t":[1,"{key}"],"mu":{{}}}}"#
            );
            (record, true)
        });
        let bad = prop_oneof![
            Just(r#"{"m":{"left":1,"behind":2,"a":300}}"#),
            Just(r#"{"m":{"left":1,"left":2}}"#),
            Just(r#"{"m":{"left":1},"at":[{"id":1,"tags":{"left":[1,2],"x":[1,"y"]}}]}"#),
            Just(r#"{"at":[[1,{"left":[1]}],{"tags":{}}],"t":[1,"left"]}"#),
            Just(r#"{"t":{"b/c":"left"},"m":{}}"#),
            Just(r#"{"u":[1,[true,false],3],"mi":{"1":"left"}}"#),
            Just(r#"{"me":{"on":true,"dim":true},"n":[1]}"#),
            Just(r#"{"n":[1],"md":{"2026-01-01":true},"t":"#),
        ];
        prop_oneof![3 => good, 2 => bad.prop_map(|bad| (bad.to_owned(), false))]
    }

    /// The buffers of an array and its parts, including what no value refers to.
    fn buffers(array: &ArrayRef) -> Vec<Vec<u8>> {
        let data = array.to_data();
        let own = data.buffers().iter().map(|buffer| buffer.as_slice().to_vec());
        let parts = data.child_data().iter().flat_map(|part| buffers(&make_array(part.clone())));
        own.chain(parts).collect()
    }

    proptest! {
        #[test]
        fn a_bad_record_leaves_no_trace_in_any_part(
            records in prop::collection::vec(record(), 0..30),
        ) {
            let all: Vec<&String> = records.iter().map(|(record, _)| record).collect();
            let good: Vec<&String> =
                records.iter().filter(|(_, good)| *good).map(|(record, _)| record).collect();
            let (mixed, alone) = (decode_all(&all), decode_all(&good));
            prop_assert_eq!(mixed.rejections.len(), all.len() - good.len());
            for (mixed, alone) in mixed.batch.columns().iter().zip(alone.batch.columns()) {
                prop_assert_eq!(mixed, alone);
                prop_assert_eq!(buffers(mixed), buffers(alone));
            }
        }
    }
}
