//! Tests of decode as a whole: verdicts, pointers, and no trace in columns of what failed.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int64Type, TimestampMillisecondType, UInt64Type};
use arrow_array::{Array as _, RecordBatch};
use proptest::prelude::*;

use super::decode;
use crate::flow::rejection::Reason;
use crate::flow::rows::Rows;
use crate::schema::plan::{Rules, TablePlan, TimestampUnit};

const TABLE: &[(&str, &str)] = &[
    ("i8", "Int8"),
    ("u64", "UInt64"),
    ("i64", "Int64"),
    ("f32", "Float32"),
    ("f64", "Float64"),
    ("b", "Bool"),
    ("s", "String"),
    ("fs", "FixedString(3)"),
    ("lc", "LowCardinality(Nullable(String))"),
    ("e", "Enum8('on' = 1, 'off' = 2)"),
    ("d", "Date"),
    ("dt", "DateTime('Europe/Berlin')"),
    ("dt64", "DateTime64(3)"),
    ("id", "UUID"),
    ("lid", "LowCardinality(UUID)"),
    ("li", "LowCardinality(Nullable(Int256))"),
    ("dec", "Decimal(10, 2)"),
    ("a", "Array(Array(Nullable(Int8)))"),
    ("as", "Array(String)"),
];

fn plan_of(rules: &Rules) -> TablePlan {
    TablePlan::of_types(TABLE, rules)
}

fn decode_all<T: AsRef<[u8]>>(rules: &Rules, records: &[T]) -> Rows {
    let payloads = (0..).zip(records.iter().map(AsRef::as_ref));
    decode(&plan_of(rules), payloads)
}

fn one(record: impl AsRef<[u8]>) -> Rows {
    decode_all(&Rules::default(), &[record])
}

/// Reason, pointer and text of the one rejection.
fn fault_of(record: impl AsRef<[u8]>) -> (Reason, String, String) {
    let rows = one(record);
    assert_eq!((rows.batch.num_rows(), rows.rejections.len()), (0, 1));
    let fault = rows.rejections[0].fault.clone();
    (fault.reason, fault.pointer.clone(), fault.to_string())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a dyn arrow_array::Array {
    batch.column_by_name(name).unwrap()
}

#[test]
fn each_value_reaches_its_column() {
    let rows = one(
        r#" {"dec":-1.5,"i8":-128,"u64":"18446744073709551615","i64":1e3,"f32":0.1,"f64":2,
        "b":true,"s":"a\"\u00e9","fs":"ab","lc":null,"e":"off","d":"2026-03-01",
        "dt":"2026-07-01 12:00:00","dt64":"2026-03-01T10:00:00.123Z",
        "id":"123e4567-e89b-12d3-a456-426614174000",
        "lid":"123E4567E89B12D3A456426614174000","li":-1.20e1,"a":[[1,null],[]],"as":["x"],"other":[{}]} "#,
    );
    assert!(rows.rejections.is_empty(), "{:?}", rows.rejections);
    let batch = &rows.batch;
    assert_eq!(column(batch, "u64").as_primitive::<UInt64Type>().value(0), u64::MAX);
    assert_eq!(column(batch, "i64").as_primitive::<Int64Type>().value(0), 1000);
    assert_eq!(column(batch, "s").as_string::<i32>().value(0), "a\"é");
    assert_eq!(column(batch, "fs").as_fixed_size_binary().value(0), b"ab\0");
    assert!(column(batch, "lc").is_null(0));
    assert_eq!(column(batch, "dec").as_primitive::<Decimal128Type>().value(0), -150);
    // The server reads neither from bytes.
    assert_eq!(
        column(batch, "lid").as_string::<i32>().value(0),
        "123e4567-e89b-12d3-a456-426614174000"
    );
    assert_eq!(column(batch, "li").as_string::<i32>().value(0), "-12");
    let ticks = column(batch, "dt64").as_primitive::<TimestampMillisecondType>().value(0);
    assert_eq!(ticks, 1_772_359_200_123);
    let nested = column(batch, "a").as_list::<i32>().value(0);
    assert_eq!(nested.as_list::<i32>().value(0).len(), 2);
}

#[test]
fn each_fault_has_its_reason_and_place() {
    let table = [
        (r#"{"i8":300}"#, Reason::OutOfRange, "/i8"),
        (r#"{"i8":"1"}"#, Reason::TypeMismatch, "/i8"),
        (r#"{"i8":1.5}"#, Reason::TypeMismatch, "/i8"),
        (r#"{"u64":-1}"#, Reason::OutOfRange, "/u64"),
        (r#"{"u64":18446744073709551616}"#, Reason::OutOfRange, "/u64"),
        (r#"{"u64":"x"}"#, Reason::TypeMismatch, "/u64"),
        (r#"{"f32":1e39}"#, Reason::OutOfRange, "/f32"),
        (r#"{"f64":1e400}"#, Reason::OutOfRange, "/f64"),
        (r#"{"f64":"1"}"#, Reason::TypeMismatch, "/f64"),
        (r#"{"b":1}"#, Reason::TypeMismatch, "/b"),
        (r#"{"s":1}"#, Reason::TypeMismatch, "/s"),
        (r#"{"s":{}}"#, Reason::TypeMismatch, "/s"),
        (r#"{"fs":"abcd"}"#, Reason::TooLarge, "/fs"),
        (r#"{"e":"dim"}"#, Reason::UnknownLabel, "/e"),
        (r#"{"e":1}"#, Reason::TypeMismatch, "/e"),
        (r#"{"d":"2026-02-30"}"#, Reason::BadDatetime, "/d"),
        (r#"{"dt":""}"#, Reason::BadDatetime, "/dt"),
        (r#"{"dt":"2026-03-29 02:30:00"}"#, Reason::BadDatetime, "/dt"),
        (r#"{"dt64":1772359200}"#, Reason::TypeMismatch, "/dt64"),
        (r#"{"id":"123"}"#, Reason::BadUuid, "/id"),
        (r#"{"dec":1.234}"#, Reason::BadDecimal, "/dec"),
        (r#"{"a":[[1],[2,300]]}"#, Reason::OutOfRange, "/a/1/1"),
        (r#"{"a":[null]}"#, Reason::NullNotAllowed, "/a/0"),
        (r#"{"a":{}}"#, Reason::TypeMismatch, "/a"),
        (r#"{"as":["x",null]}"#, Reason::NullNotAllowed, "/as/1"),
        (r#"{"i8":1,"i8":1}"#, Reason::DuplicateKey, "/i8"),
        (r#"{"s":"\ud83d"}"#, Reason::MalformedJson, "/s"),
        (r#"{"as":["x","\udc00\ud83d"]}"#, Reason::MalformedJson, "/as/1"),
        ("[1]", Reason::TypeMismatch, ""),
        ("7", Reason::TypeMismatch, ""),
        ("", Reason::MalformedJson, ""),
        ("  ", Reason::MalformedJson, ""),
        ("nope", Reason::MalformedJson, ""),
        (r#"{"i8":1}{"#, Reason::MalformedJson, ""),
        (r#"{"i8":1},"#, Reason::MalformedJson, ""),
        (r#"{"i8":300"#, Reason::MalformedJson, ""),
        (r#"{"i8":01}"#, Reason::MalformedJson, ""),
        ("{\"other\":\"\u{1}\"}", Reason::MalformedJson, ""),
    ];
    for (record, reason, pointer) in table {
        let (found, place, text) = fault_of(record);
        assert_eq!((found, place.as_str()), (reason, pointer), "{record}: {text}");
    }
}

#[test]
fn what_is_no_record_is_named_by_what_it_is() {
    let table: [(&[u8], Reason, &str); 19] = [
        (b"", Reason::MalformedJson, "got an empty payload (only null is a tombstone)"),
        (b"{} {}", Reason::MalformedJson, "got more than one JSON text"),
        (
            b"{\"i8\":1}\n{\"i8\":2}\n",
            Reason::MalformedJson,
            "one in each line with RECORD_SPLIT=lines",
        ),
        (b"{}\n{\"i8\":", Reason::MalformedJson, "RECORD_SPLIT=lines"),
        (b"{\n}\n{}", Reason::MalformedJson, "expected one JSON object, got more than one"),
        (b"{}{}\n{}", Reason::MalformedJson, "expected one JSON object, got more than one"),
        (b"[[{}]]", Reason::TypeMismatch, "expected a JSON object, got [[{}]]"),
        (
            b"\x03\0\0\x01\x02\x03\x04\x05\x06\x07\0\x01\x02\x03\x04\x05\x06\x07{}",
            Reason::MalformedJson,
            "not JSON (AWS Glue), got byte 3 and a schema version id",
        ),
        (
            b"\x03\x05\0\x01\x02\x03\x04\x05\x06\x07\0\x01\x02\x03\x04\x05\x06\x07\xff",
            Reason::InvalidUtf8,
            "this is the wire format of a schema registry, not JSON (AWS Glue)",
        ),
        (b"{}}", Reason::MalformedJson, "got trailing characters at line 1 column 3"),
        (b"[{}]", Reason::TypeMismatch, "an array of them with RECORD_SPLIT=array, got [{}]"),
        (b"7", Reason::TypeMismatch, "expected a JSON object, got 7"),
        (
            b"\0\0\0\0\x07{}",
            Reason::MalformedJson,
            "the wire format of a schema registry, not JSON",
        ),
        (
            b"\0\0\0\0\x07\xff",
            Reason::InvalidUtf8,
            "the wire format of a schema registry, not JSON",
        ),
        (b"\0\0\0\0", Reason::MalformedJson, "got expected value at line 1 column 1"),
        (b"\xff\xfe{\0}\0", Reason::InvalidUtf8, "a byte order mark of UTF-16"),
        (b"\xfe\xff\0{\0}", Reason::InvalidUtf8, "expected UTF-8, not UTF-16"),
        (b"\xef\xbb\xbf\xff", Reason::InvalidUtf8, "an invalid byte at offset 3"),
        (
            br#"{"s":"cut \ud83d"}"#,
            Reason::MalformedJson,
            r#"lone surrogate escape, got "cut \ud83d""#,
        ),
    ];
    for (record, reason, words) in table {
        let (found, _, text) = fault_of(record);
        assert!(found == reason && text.contains(words), "{found}: {text}");
    }
}

#[test]
fn a_byte_order_mark_before_a_record_is_no_part_of_it() {
    let rows = one("\u{feff}{\"s\":\"\u{feff}x\"}");
    assert!(rows.rejections.is_empty(), "{:?}", rows.rejections);
    assert_eq!(column(&rows.batch, "s").as_string::<i32>().value(0), "\u{feff}x");
    assert_eq!(fault_of("\u{feff}\u{feff}{}").0, Reason::MalformedJson);
    assert_eq!(fault_of("\u{feff}").0, Reason::MalformedJson);
}

#[test]
fn bytes_that_are_not_utf8_are_refused_in_every_field() {
    for record in [&b"{\"s\":\"\xff\"}"[..], b"{\"unwanted\":\"\xff\"}", b"\xff"] {
        assert_eq!(fault_of(record).0, Reason::InvalidUtf8);
    }
}

#[test]
fn depth_is_bounded_in_every_field_and_brackets_in_strings_do_not_count() {
    let nested = |field: &str, depth: usize| {
        format!("{{\"i8\":1,\"{field}\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(fault_of(nested("unwanted", 127)).0, Reason::TooDeep);
    assert_eq!(fault_of(nested("a", 10_000)).0, Reason::TooDeep);
    assert!(one(nested("unwanted", 126)).rejections.is_empty());
    assert!(one(format!(r#"{{"s":"{}\"["}}"#, "[".repeat(500))).rejections.is_empty());
}

#[test]
fn a_fault_says_what_was_expected_and_shows_a_bounded_part_of_what_was_found() {
    assert_eq!(
        fault_of(r#"{"i8":300}"#).2,
        "column `i8`: expected integer from -128 to 127, got 300"
    );
    let long = "é".repeat(500);
    let (.., text) = fault_of(format!(r#"{{"i8":"{long}"}}"#));
    assert!(text.len() < 220 && text.ends_with("..."), "{text}");
    let (.., text) = fault_of(r#"{"dt64":1}"#);
    assert!(text.contains("TIMESTAMP_UNIT"), "{text}");
}

#[test]
fn a_number_is_a_time_only_in_the_unit_that_is_set() {
    let rules = Rules { timestamp_unit: Some(TimestampUnit::Milliseconds), ..Rules::default() };
    let rows = decode_all(&rules, &[r#"{"dt64":1772359200123}"#, r#"{"dt":1772359200123}"#]);
    let ticks = column(&rows.batch, "dt64").as_primitive::<TimestampMillisecondType>().value(0);
    assert_eq!(ticks, 1_772_359_200_123);
    // DateTime holds whole seconds.
    assert_eq!(rows.rejections[0].fault.reason, Reason::OutOfRange);
}

#[test]
fn an_absent_required_field_is_told_apart_from_a_null_one() {
    let rules = Rules { required: vec!["s".into()], ..Rules::default() };
    let rows = decode_all(&rules, &[r#"{"s":null}"#, r#"{"i8":1}"#, r#"{"s":"x"}"#]);
    let s = plan_of(&rules).column_of("s").unwrap();
    assert!(rows.absent.contains(&(s, 1)));
    assert_eq!(rows.absent.iter().filter(|(column, _)| *column == s).count(), 1);
    assert_eq!(rows.origins, [0, 1, 2]);
}

/// Records of which some are good; the flag says so.
fn record() -> impl Strategy<Value = (String, bool)> {
    let good = (any::<i8>(), "[a-z]{0,8}", prop::collection::vec(any::<i8>(), 0..4)).prop_map(
        |(i8, s, a)| (format!(r#"{{"i8":{i8},"s":"{s}","a":[{a:?}],"as":["{s}"]}}"#), true),
    );
    let bad = prop_oneof![
        Just(r#"{"s":"left","as":["left","behind"],"a":[[1,2],[3,400]]}"#),
        Just(r#"{"as":["left"],"lc":"left","i8":300}"#),
        Just(r#"{"s":"left","fs":"ab","dec":1,"id":"#),
        Just(r#"{"i8":1,"s":"x","s":"y"}"#),
    ];
    prop_oneof![3 => good, 1 => bad.prop_map(|bad| (bad.to_owned(), false))]
}

proptest! {
    #[test]
    fn a_bad_record_leaves_no_trace_in_the_columns(
        records in prop::collection::vec(record(), 0..30),
    ) {
        let all: Vec<&String> = records.iter().map(|(record, _)| record).collect();
        let good: Vec<&String> =
            records.iter().filter(|(_, good)| *good).map(|(record, _)| record).collect();
        let (mixed, alone) =
            (decode_all(&Rules::default(), &all), decode_all(&Rules::default(), &good));
        prop_assert_eq!(mixed.batch, alone.batch);
        prop_assert_eq!(mixed.rejections.len(), all.len() - good.len());
    }

    #[test]
    fn no_bytes_panic(payload in prop::collection::vec(any::<u8>(), 0..80)) {
        let rows = one(&payload);
        prop_assert_eq!(rows.batch.num_rows() + rows.rejections.len(), 1);
    }
}
