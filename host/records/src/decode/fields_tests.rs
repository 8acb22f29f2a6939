//! Which fields fill columns: COLUMN_FROM, FIELD_CASE, UNKNOWN_FIELDS, METADATA_COLUMNS and COLUMN_ON_INVALID.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;

use super::*;
use crate::schema::plan::{Rules, TimestampUnit};
use crate::schema::source::{Metadata, OnInvalid, Pointer, UnknownFields};
use crate::schema::table::{ColumnRow, TableSchema};
use crate::schema::types::TypeCount;

fn from(columns: &[(&str, &str)]) -> Vec<(String, Pointer)> {
    let from = |(column, text): &(&str, &str)| ((*column).into(), Pointer::parse(text).unwrap());
    columns.iter().map(from).collect()
}

pub fn read(plan: &TablePlan, payload: &str) -> Rows {
    decode(plan, std::iter::once((0, payload.as_bytes())))
}

/// The only column of Int32, a row for each payload; `None` is a null.
fn numbers(plan: &TablePlan, payload: &str) -> Vec<Option<i32>> {
    let rows = read(plan, payload);
    assert_eq!(rows.rejections, [], "{payload}");
    rows.batch.columns().iter().map(|c| c.as_primitive::<Int32Type>().iter().next()?).collect()
}

fn fault(plan: &TablePlan, payload: &str) -> (Reason, String, String) {
    let mut rows = read(plan, payload);
    assert_eq!(rows.batch.num_rows(), 0, "{payload}");
    let fault = rows.rejections.remove(0).fault;
    (fault.reason, fault.pointer.clone(), fault.to_string())
}

#[test]
fn a_pointer_leads_into_objects_and_arrays_and_nothing_is_there_where_it_does_not() {
    let columns = [("x", "Nullable(Int32)"), ("y", "Nullable(Int32)"), ("a", "Nullable(Int32)")];
    let column_from = from(&[("x", "/p/x"), ("y", "/p/list/1/y")]);
    let plan = TablePlan::of_types(&columns, &Rules { column_from, ..Rules::default() });
    for (payload, expected) in [
        (r#"{"p":{"x":1,"list":[{"y":7},{"y":2}]},"a":3}"#, [Some(1), Some(2), Some(3)]),
        // The field of the column's own name is another one.
        (r#"{"x":1,"y":2,"a":3}"#, [None, None, Some(3)]),
        (r#"{"p":null,"a":3}"#, [None, None, Some(3)]),
        (r#"{"p":[1],"a":null}"#, [None, None, None]),
        (r#"{"p":{"list":{"1":{"y":2}}}}"#, [None, Some(2), None]),
        (r#"{"p":{"list":[1]},"a":4}"#, [None, None, Some(4)]),
    ] {
        assert_eq!(numbers(&plan, payload), expected, "{payload}");
    }
    let (reason, pointer, _) = fault(&plan, r#"{"p":{"list":[0,{"y":"z"}]}}"#);
    assert_eq!((reason, &*pointer), (Reason::TypeMismatch, "/p/list/1/y"));
    let (reason, pointer, _) = fault(&plan, r#"{"p":{"x":1,"x":2}}"#);
    assert_eq!((reason, &*pointer), (Reason::DuplicateKey, "/p/x"));
    assert_eq!(fault(&plan, r#"{"p":{"\ud800":1}}"#).0, Reason::MalformedJson);
}

#[test]
fn a_name_that_is_no_text_is_that_of_no_field() {
    let of = |unknown_fields, ty| {
        let rules = Rules { unknown_fields, ..Rules::default() };
        TablePlan::of_types(&[("a", "Int32"), ("t", "Tuple(b Int32)"), ("rest", ty)], &rules)
    };
    let payload = r#"{"\ud800":1,"a":2,"t":{"\ud800":3,"b":4},"\ud800":{"x":5}}"#;
    let ignored = read(&of(UnknownFields::Ignore, "String"), payload);
    assert_eq!((ignored.batch.num_rows(), &*ignored.rejections), (1, &[][..]));
    assert_eq!(ignored.noticed.unknown, [(r"\ud800".into(), 2)]);
    let (reason, _, text) = fault(&of(UnknownFields::Reject, "String"), payload);
    assert!(reason == Reason::UnknownField && text.contains(r"`\ud800`"), "{reason}: {text}");
    let kept = of(UnknownFields::Column("rest".into()), "String");
    let rest = r#"{"\ud800":1,"\ud800":{"x":5}}"#;
    let rows = read(&kept, payload);
    assert_eq!(rows.batch.column(2).as_string::<i32>().value(0), rest, "as it stands");
    let (reason, pointer, text) = fault(&of(UnknownFields::Column("rest".into()), "JSON"), payload);
    assert_eq!((reason, &*pointer), (Reason::MalformedJson, ""));
    assert!(text.contains("lone surrogate"), "{text}");
    assert_eq!(fault(&kept, r#"{"\ud800":1,"a":}"#).0, Reason::MalformedJson);
    assert_eq!(fault(&kept, r#"{"\ud80":1,"a":1}"#).0, Reason::MalformedJson);
}

#[test]
fn a_number_in_quotes_that_does_not_fit_is_shown_as_it_stands() {
    let unit = Some(TimestampUnit::Milliseconds);
    let rules = Rules { is_lenient: true, timestamp_unit: unit, ..Rules::default() };
    for ty in ["DateTime", "Int32", "UInt64", "Float32", "Decimal(4, 2)"] {
        let plan = TablePlan::of_types(&[("c", ty)], &rules);
        let rows = read(&plan, r#"{"c":"9e99"}"#);
        let fault = &rows.rejections[0].fault;
        assert_eq!((fault.got_kind, &*fault.got), ("string", "\"9e99\""), "{ty}");
    }
}

#[test]
fn one_field_may_fill_two_columns() {
    let column_from = from(&[("x", "/a")]);
    let columns = [("a", "Int32"), ("x", "Int32")];
    let plan = TablePlan::of_types(&columns, &Rules { column_from, ..Rules::default() });
    assert_eq!(numbers(&plan, r#"{"a":1}"#), [Some(1), Some(1)]);
}

#[test]
fn case_is_ignored_where_that_is_asked_for_and_two_of_a_name_are_too_many() {
    let rules = Rules { ignores_case: true, ..Rules::default() };
    let insensitive = TablePlan::of_types(&[("Id", "Int32")], &rules);
    for payload in [r#"{"Id":1}"#, r#"{"ID":1}"#, r#"{"id":1}"#] {
        assert_eq!(numbers(&insensitive, payload), [Some(1)], "{payload}");
    }
    assert_eq!(fault(&insensitive, r#"{"id":1,"ID":1}"#).0, Reason::DuplicateKey);
    let exact = TablePlan::of_types(&[("Id", "Nullable(Int32)")], &Rules::default());
    assert_eq!(fault(&exact, r#"{"id":1}"#).0, Reason::NoKnownField);
}

#[test]
fn fields_that_fill_no_column_are_counted_refused_or_kept() {
    let of = |unknown_fields, ty: &str| {
        let rules = Rules { unknown_fields, ..Rules::default() };
        TablePlan::of_types(&[("a", "Int32"), ("rest", ty)], &rules)
    };
    let payload = r#"{"b":{"c":1},"a":1,"rest":"x","d\"":2,"b":3}"#;
    let noticed = read(&of(UnknownFields::Ignore, "String"), payload).noticed;
    assert_eq!(noticed.unknown, [("b".into(), 2), ("d\"".into(), 1)]);
    let (reason, pointer, text) = fault(&of(UnknownFields::Reject, "String"), payload);
    assert_eq!((reason, &*pointer), (Reason::UnknownField, "/b"));
    assert_eq!(text, "/b: expected fields that fill a column, got `b`");
    let kept = of(UnknownFields::Column("rest".into()), "String");
    let rows = read(&kept, payload);
    let rest = r#"{"b":{"c":1},"rest":"x","d\"":2,"b":3}"#;
    assert_eq!(rows.batch.column(1).as_string::<i32>().value(0), rest);
    let rows = read(&kept, r#"{"a":1}"#);
    assert_eq!(rows.batch.column(1).as_string::<i32>().value(0), "{}");
    let json = of(UnknownFields::Column("rest".into()), "JSON");
    let (reason, pointer, _) = fault(&json, payload);
    assert_eq!((reason, &*pointer), (Reason::DuplicateKey, "/b"), "where the record has it");
    assert_eq!(fault(&json, r#"{"a":1,"c":{"d":[1e400]}}"#).1, "/c/d/0");
}

#[test]
fn an_unknown_field_of_a_column_that_another_variable_fills_is_told_of_it() {
    let column_from = from(&[("x", "/p/x")]);
    let metadata = vec![("_offset".to_owned(), Metadata::Offset)];
    let unknown_fields = UnknownFields::Reject;
    let rules =
        Rules { column_from, metadata, unknown_fields, ignores_case: true, ..Rules::default() };
    let columns = [("a", "Int32"), ("x", "Int32"), ("_offset", "Int64")];
    let plan = TablePlan::of_types(&columns, &rules);
    for (field, variable) in [("_Offset", "METADATA_COLUMNS"), ("x", "COLUMN_FROM")] {
        let (_, _, text) = fault(&plan, &format!("{{\"a\":1,\"{field}\":5}}"));
        assert!(text.contains(&format!("; {variable} fills the column of this name")), "{text}");
    }
    assert!(!fault(&plan, r#"{"a":1,"y":5}"#).2.contains("of this name"));
}

#[test]
fn a_record_of_which_no_field_fills_a_column_is_rejected() {
    let columns = [("id", "Int32"), ("name", "Nullable(Int32)")];
    let plan = TablePlan::of_types(&columns, &Rules::default());
    for (payload, got) in [
        (r#"{"before":null,"after":{"id":1},"op":"c"}"#, "only before, after, op"),
        (" {} ", "an object without fields"),
        (r#"{"\u0000\"":[{"id":1}]}"#, "only \0\""),
    ] {
        let (reason, pointer, text) = fault(&plan, payload);
        assert_eq!((reason, &*pointer), (Reason::NoKnownField, ""), "{payload}");
        assert_eq!(
            text,
            format!("expected a field that fills a column, such as id, name, got {got}")
        );
    }
    let many: Vec<String> = (0..20).map(|n| format!("\"{}{n}\":1", "x".repeat(90))).collect();
    let text = fault(&plan, &format!("{{{}}}", many.join(","))).2;
    assert!(text.len() < 220 && text.ends_with("..."), "{text}");
    // Other faults keep their own reasons.
    assert_eq!(fault(&plan, r#"{"x":1"#).0, Reason::MalformedJson);
    assert_eq!(fault(&plan, r#"{"x":1}}"#).0, Reason::MalformedJson);
    assert_eq!(fault(&plan, "{} {}").0, Reason::MalformedJson);
    assert_eq!(fault(&plan, r#"{"id":"x"}"#).0, Reason::TypeMismatch);
    for payload in [r#"{"id":null,"x":1}"#, r#"{"name":null}"#] {
        assert_eq!(numbers(&plan, payload), [None, None], "{payload}");
    }
}

#[test]
fn such_a_record_is_a_row_of_defaults_where_that_is_asked_for_and_counted_if_it_lands() {
    let rules = Rules { takes_unfilled: true, ..Rules::default() };
    let plan = TablePlan::of_types(&[("id", "Nullable(Int32)")], &rules);
    let payloads: [&[u8]; 5] = [b"{}", br#"{"x":1}"#, br#"{"id":1}"#, b"{} x", br#"{"x":1} x"#];
    let rows = decode(&plan, (0..).zip(payloads));
    assert_eq!((rows.origins, rows.rejections.len()), (vec![0, 1, 2], 2));
    assert_eq!(rows.noticed.unfilled, 2);
}

#[test]
fn what_counts_as_filled_follows_from_where_columns_come_from() {
    let columns = [("id", "Int32"), ("rest", "String"), ("offset", "Int64")];
    let plan = |rules: &Rules| TablePlan::of_types(&columns, rules);
    let verdict = |rules: &Rules, payload: &str| {
        read(&plan(rules), payload).rejections.first().map(|rejection| rejection.fault.reason)
    };
    let metadata = vec![("offset".to_owned(), Metadata::Offset)];
    let kept = Rules {
        unknown_fields: UnknownFields::Column("rest".into()),
        metadata: metadata.clone(),
        ..Rules::default()
    };
    let unfilled = Some(Reason::NoKnownField);
    for (payload, expected) in [(r#"{"x":1}"#, None), ("{}", unfilled), (r#"{"id":null}"#, None)] {
        assert_eq!(verdict(&kept, payload), expected, "{payload}");
    }
    let strict = Rules { unknown_fields: UnknownFields::Reject, metadata, ..Rules::default() };
    assert_eq!(verdict(&strict, r#"{"x":1}"#), Some(Reason::UnknownField));
    assert_eq!(verdict(&strict, "{}"), unfilled);
    assert_eq!(verdict(&strict, r#"{"offset":1}"#), Some(Reason::UnknownField));
    let from = Rules { column_from: from(&[("id", "/after/id")]), ..Rules::default() };
    assert_eq!(verdict(&from, r#"{"after":{"id":1}}"#), None);
    assert_eq!(verdict(&from, r#"{"after":{"x":1},"id":2}"#), unfilled);
    let text = fault(&plan(&from), r#"{"after":null}"#).2;
    assert!(text.contains("such as /after/id, rest, offset, got only after"), "{text}");
    // A table that takes only Kafka's metadata needs no field.
    let only = Rules { metadata: vec![("offset".into(), Metadata::Offset)], ..Rules::default() };
    let plan = TablePlan::of_types(&[("offset", "Int64")], &only);
    for payload in ["{}", r#"{"x":1}"#] {
        let rows = read(&plan, payload);
        assert_eq!((rows.rejections.len(), rows.noticed.unfilled), (0, 0), "{payload}");
    }
}

#[test]
fn fields_that_plugins_read_and_columns_that_they_write_alone_do_and_do_not_count_as_filled() {
    let table = [("id", "Int32"), ("made", "Int32")];
    let plan = TablePlan::of_types(&table, &Rules::default());
    let field = plan.field("wanted", "String", &TypeCount::default()).unwrap();
    let plan = plan.with_fields(vec![field], &BTreeSet::from([1]));
    assert_eq!(read(&plan, r#"{"wanted":"x"}"#).rejections, []);
    assert_eq!(fault(&plan, r#"{"made":1}"#).0, Reason::NoKnownField);
}

#[test]
fn columns_that_a_way_of_column_from_ends_before_are_counted() {
    let column_from = from(&[("id", "/after/id"), ("x", "/after/p/x"), ("y", "/after/p/0")]);
    let columns = ["id", "x", "y", "op"].map(|name| (name, "Nullable(Int32)"));
    let plan = TablePlan::of_types(&columns, &Rules { column_from, ..Rules::default() });
    for (payload, expected) in [
        (r#"{"after":null,"op":1}"#, vec![0, 1, 2]),
        (r#"{"after":"x","op":1}"#, vec![0, 1, 2]),
        (r#"{"after":{"id":1,"p":7}}"#, vec![1, 2]),
        // Absent, like any missing field.
        (r#"{"op":1}"#, vec![]),
        (r#"{"after":{},"op":1}"#, vec![]),
        // Nor for a record that does not land.
        (r#"{"after":null,"op":1} x"#, vec![]),
        (r#"{"after":null,"op":"x"}"#, vec![]),
        // An array has elements, and no field `x`.
        (r#"{"after":{"id":null,"p":[1]}}"#, vec![1]),
    ] {
        let noticed = read(&plan, payload).noticed;
        assert_eq!(noticed.unreached, expected, "{payload}");
    }
}

#[test]
fn a_name_past_those_that_are_told_apart_is_counted_with_others() {
    let plan = TablePlan::of_types(&[("a", "Int32")], &Rules::default());
    let payloads: Vec<String> = (0..150).map(|n| format!(r#"{{"n{n}":1}}"#)).collect();
    let rows = decode(&plan, (0..).zip(payloads.iter().map(String::as_bytes)));
    assert_eq!((rows.noticed.unknown.len(), rows.noticed.other_unknown), (100, 50));
}

#[test]
fn an_invalid_value_is_replaced_where_that_is_asked_for_and_counted_if_its_record_stays() {
    let on_invalid = vec![("a".to_owned(), OnInvalid::Default), ("b".to_owned(), OnInvalid::Null)];
    let rules = Rules { on_invalid, ..Rules::default() };
    let columns = [("a", "Int32"), ("b", "Nullable(Int32)"), ("c", "Nullable(Int32)")];
    let plan = TablePlan::of_types(&columns, &rules);
    let payload = r#"{"a":"x","b":99999999999,"c":3}"#;
    assert_eq!(numbers(&plan, payload), [None, None, Some(3)]);
    assert_eq!(read(&plan, payload).noticed.replaced, [0, 1]);
    let refused = read(&plan, r#"{"a":"x","c":"x"}"#);
    assert_eq!((refused.rejections.len(), refused.noticed.replaced), (1, vec![]));
    assert_eq!(fault(&plan, r#"{"a":1,"a":2}"#).0, Reason::DuplicateKey);
}

#[test]
fn a_rule_that_does_not_fit_the_table_is_told_by_its_variable() {
    let rules = Rules {
        ignores_case: true,
        column_from: from(&[("gone", "/x"), ("n", "/x")]),
        unknown_fields: UnknownFields::Column("n".into()),
        metadata: vec![("n".into(), Metadata::Topic), ("N".into(), Metadata::Topic)],
        on_invalid: vec![
            ("n".into(), OnInvalid::Null),
            ("m".into(), OnInvalid::Default),
            ("e".into(), OnInvalid::Default),
        ],
        ..Rules::default()
    };
    let columns = [("n", "Int8"), ("N", "Int8"), ("m", "Nullable(Int8)"), ("e", "Enum8('a' = 1)")];
    let rows = columns.map(|(name, ty)| ColumnRow {
        name: name.into(),
        ty: ty.into(),
        default_kind: String::new(),
        default_expression: String::new(),
    });
    let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
    let errors = TablePlan::new(&schema, &rules).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    UNKNOWN_FIELDS: `n` is of type Int8, expected String or JSON
    METADATA_COLUMNS: `n` is filled by UNKNOWN_FIELDS too; take it out of one
    METADATA_COLUMNS: `N` is of type Int8, expected String
    COLUMN_FROM: `gone` is no column of `t`
    COLUMN_FROM: `n` is filled by UNKNOWN_FIELDS too; take it out of one
    COLUMN_ON_INVALID: `n` is of type Int8, which holds no null
    COLUMN_ON_INVALID: `m` is Nullable: its DEFAULT cannot be asked for; use null
    COLUMN_ON_INVALID: `e` has no DEFAULT that ClickHouse puts in the place of a null
    FIELD_CASE: `N` differs from `n` only by case
    ");
}

/// A record with this key and these headers.
#[test]
fn replaced_values_leave_no_level_open_however_many_there_are() {
    let names: Vec<String> = (0..=MAX_DEPTH).map(|at| format!("c{at}")).collect();
    let columns: Vec<(&str, &str)> =
        names.iter().map(|name| (&**name, "Array(Array(Int8))")).collect();
    let on_invalid = names.iter().map(|name| (name.clone(), OnInvalid::Default)).collect();
    let plan = TablePlan::of_types(&columns, &Rules { on_invalid, ..Rules::default() });
    let fields: Vec<String> = names.iter().map(|name| format!("\"{name}\":[[\"x\"]]")).collect();
    let rows = read(&plan, &format!("{{{}}}", fields.join(",")));
    assert_eq!(rows.rejections, []);
    assert_eq!(rows.noticed.replaced.len(), names.len());
}
