//! Columns of dotted names, filled from within objects.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;

use super::*;
use crate::schema::plan::Rules;
use crate::schema::source::{Pointer, UnknownFields};
use crate::schema::types::TypeCount;

const TABLE: &[(&str, &str)] = &[
    ("id", "Nullable(Int32)"),
    ("a.b", "Nullable(Int32)"),
    ("a.c.d", "Nullable(Int32)"),
    ("n.x", "Array(Int32)"),
    ("n.y", "Array(String)"),
    ("whole", "JSON"),
    ("whole.part", "Nullable(Int32)"),
];

fn plan(rules: &Rules) -> TablePlan {
    TablePlan::of_types(TABLE, rules)
}

fn read(rules: &Rules, payload: &str) -> Rows {
    let plan = plan(rules);
    let one = || std::iter::once((0, payload.as_bytes()));
    let rows = decode(&plan, one());
    let oracle = seed_path(&plan, one());
    assert_eq!(rows.rejections, oracle.rejections, "{payload}");
    assert_eq!((&rows.noticed, &rows.batch), (&oracle.noticed, &oracle.batch), "{payload}");
    rows
}

/// `a.b`, `a.c.d` and `whole.part` of the only row.
fn numbers(rules: &Rules, payload: &str) -> [Option<i32>; 3] {
    let rows = read(rules, payload);
    assert_eq!(rows.rejections, [], "{payload}");
    let number = |name| rows.batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().iter();
    ["a.b", "a.c.d", "whole.part"].map(|name| number(name).next().unwrap())
}

fn fault(rules: &Rules, payload: &str) -> (Reason, String, String) {
    let mut rows = read(rules, payload);
    assert_eq!(rows.batch.num_rows(), 0, "{payload}");
    let fault = rows.rejections.remove(0).fault;
    (fault.reason, fault.pointer.clone(), fault.to_string())
}

fn unknown(rules: &Rules, payload: &str) -> Vec<(String, u64)> {
    let noticed = read(rules, payload).noticed.unknown;
    noticed.into_iter().map(|(name, count)| (name.into(), count)).collect()
}

#[test]
fn an_object_fills_them_to_any_depth_and_so_do_the_dotted_names() {
    for (payload, expected) in [
        (r#"{"a.b":1,"a.c.d":2}"#, [Some(1), Some(2), None]),
        (r#"{"a":{"b":1,"c":{"d":2}}}"#, [Some(1), Some(2), None]),
        (r#"{"a":{"b":1,"c.d":2}}"#, [Some(1), Some(2), None]),
        (r#"{"a":{"b":1},"a.c.d":2}"#, [Some(1), Some(2), None]),
        (r#"{"a":{"b":1},"a":{"c":{"d":2}}}"#, [Some(1), Some(2), None]),
        (r#"{"a":{"b":null}}"#, [None; 3]),
        // The object belongs to the column `whole`.
        (r#"{"whole":{"part":1}}"#, [None; 3]),
        (r#"{"whole.part":1}"#, [None, None, Some(1)]),
    ] {
        assert_eq!(numbers(&Rules::default(), payload), expected, "{payload}");
        assert_eq!(unknown(&Rules::default(), payload), [], "{payload}");
    }
    let rows = read(&Rules::default(), r#"{"n":{"x":[1,2],"y":["a","b"]}}"#);
    assert_eq!(rows.rejections, []);
    assert_eq!(rows.batch.column(3).as_list::<i32>().value_length(0), 2);
    assert_eq!(rows.batch.column(4).as_list::<i32>().value_length(0), 2);
}

#[test]
fn a_fault_points_to_the_place_in_the_record() {
    let cases = [
        (
            r#"{"a":{"b":"x"}}"#,
            Reason::TypeMismatch,
            "/a/b",
            "column `a.b` at /a/b: expected integer",
        ),
        (r#"{"a":{"c":{"d":"x"}}}"#, Reason::TypeMismatch, "/a/c/d", "column `a.c.d` at /a/c/d"),
        (r#"{"n":{"x":[1,"x"]}}"#, Reason::TypeMismatch, "/n/x/1", "column `n.x` at /n/x/1"),
        (r#"{"a.b":1,"a":{"b":2}}"#, Reason::DuplicateKey, "/a/b", "each field once"),
        (r#"{"a":{"b":2},"a.b":1}"#, Reason::DuplicateKey, "/a.b", "each field once"),
        (r#"{"a":{"b":1},"a":{"b":2}}"#, Reason::DuplicateKey, "/a/b", "each field once"),
        (r#"{"a":{"c":{"d":1},"c.d":1}}"#, Reason::DuplicateKey, "/a/c.d", "each field once"),
        (r#"{"a":{"b":1,"\ud800":1}}"#, Reason::MalformedJson, "/a", ""),
        (
            r#"{"n":[{"x":1,"y":"a"}]}"#,
            Reason::TypeMismatch,
            "/n",
            "object with an array for each of x, y",
        ),
        (r#"{"n":[]}"#, Reason::TypeMismatch, "/n", "got []"),
    ];
    for (payload, reason, pointer, text) in cases {
        let (found, place, told) = fault(&Rules::default(), payload);
        assert_eq!((found, &*place), (reason, pointer), "{payload}: {told}");
        assert!(told.contains(text), "{told}");
    }
}

#[test]
fn what_fills_no_column_within_such_an_object_is_unknown_by_its_dotted_name() {
    let payload = r#"{"id":1,"a":{"z":1,"b":2,"c":{"d":3,"y":[4]}},"a":5}"#;
    let counted = [("a.z", 1), ("a.c.y", 1), ("a", 1)];
    let counted = counted.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(unknown(&Rules::default(), payload), counted);
    assert_eq!(numbers(&Rules::default(), payload), [Some(2), Some(3), None]);
    // Only an object has fields.
    for value in ["null", "1", "\"x\"", "[1]"] {
        let payload = format!(r#"{{"id":1,"a":{value}}}"#);
        assert_eq!(unknown(&Rules::default(), &payload), [("a".to_owned(), 1)], "{value}");
    }
    let reject = Rules { unknown_fields: UnknownFields::Reject, ..Rules::default() };
    for (payload, pointer, got) in [
        (r#"{"a":{"b":1,"z":1}}"#, "/a/z", "`a.z`"),
        (r#"{"a":{"c":{"z":1}}}"#, "/a/c/z", "`a.c.z`"),
        (r#"{"a":null}"#, "/a", "`a`"),
    ] {
        let (reason, place, text) = fault(&reject, payload);
        assert_eq!((reason, &*place), (Reason::UnknownField, pointer), "{payload}");
        assert!(text.ends_with(got), "{text}");
    }
    assert_eq!(fault(&Rules::default(), r#"{"a":{"z":1}}"#).0, Reason::NoKnownField);
    let columns = [("a.b", "Nullable(Int32)"), ("rest", "String")];
    let kept = Rules { unknown_fields: UnknownFields::Column("rest".into()), ..Rules::default() };
    let kept = TablePlan::of_types(&columns, &kept);
    let payload = br#"{"a":{"b":1,"z":{"w": 2}},"x":3}"#;
    let rows = decode(&kept, std::iter::once((0, payload.as_slice())));
    assert_eq!(rows.batch.column(1).as_string::<i32>().value(0), r#"{"a.z":{"w": 2},"x":3}"#);
}

#[test]
fn case_and_pointers_through_the_same_object_hold() {
    let rules = Rules { ignores_case: true, ..Rules::default() };
    assert_eq!(numbers(&rules, r#"{"A":{"B":1,"c":{"D":2}}}"#), [Some(1), Some(2), None]);
    assert_eq!(unknown(&Rules::default(), r#"{"id":1,"A":{"B":1}}"#), [("A".to_owned(), 1)]);
    let column_from = vec![
        ("id".to_owned(), Pointer::parse("/a/z").unwrap()),
        ("a.c.d".to_owned(), Pointer::parse("/n/0/x").unwrap()),
    ];
    let rules = Rules { column_from, ..Rules::default() };
    let payload = r#"{"a":{"z":1,"b":2,"w":3,"c":{"d":4}},"n":[{"x":5}]}"#;
    assert_eq!(numbers(&rules, payload), [Some(2), Some(5), None]);
    assert_eq!(unknown(&rules, payload), [("a.w".to_owned(), 1), ("a.c".to_owned(), 1)]);
}

#[test]
fn a_field_that_a_plugin_reads_does_not_take_the_object_away() {
    let plan = plan(&Rules::default());
    let field = plan.field("a", "JSON", &TypeCount::default()).unwrap();
    let plan = plan.with_fields(vec![field], &BTreeSet::new());
    let rows = decode(&plan, std::iter::once((0, br#"{"a":{"b":1,"z":2}}"#.as_slice())));
    assert_eq!(rows.rejections, []);
    assert_eq!(rows.batch.column(1).as_primitive::<Int32Type>().value(0), 1);
    assert_eq!(rows.batch.column(7).as_string::<i32>().value(0), r#"{"b":1,"z":2}"#);
    assert_eq!(rows.noticed.unknown, []);
    let plan = self::plan(&Rules { unknown_fields: UnknownFields::Reject, ..Rules::default() });
    let field = plan.field("n", "Array(JSON)", &TypeCount::default()).unwrap();
    let plan = plan.with_fields(vec![field], &BTreeSet::new());
    let rows = decode(&plan, std::iter::once((0, br#"{"n":[{"x":1}]}"#.as_slice())));
    assert_eq!(rows.rejections, []);
}
