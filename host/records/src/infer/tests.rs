use proptest::prelude::*;

use super::*;
use crate::flow::parts::Split;
use crate::flow::record::{RawRecord, TopicPartition};
use crate::schema::source::OnInvalid;

fn batch<T: AsRef<[u8]>>(records: impl IntoIterator<Item = T>) -> Batch {
    let (mut batch, partition) =
        (Batch::default(), TopicPartition { topic: "t".into(), partition: 0 });
    for record in records {
        let payload = Some(record.as_ref());
        batch.push(&partition, 0, &RawRecord { payload, ..RawRecord::default() });
    }
    batch
}

fn inferred(batch: &Batch, there: Option<&TableSchema>) -> (Survey, Vec<Column>) {
    let split = Hooked::of_records(batch);
    let survey = Survey::of(batch, &split);
    let columns = Column::of(&survey, (batch, &split.payloads), there, |_| true);
    (survey, columns)
}

/// A table with one column.
fn table(name: &str, ty: &str) -> TableSchema {
    let (default_kind, default_expression) = (String::new(), String::new());
    let row = ColumnRow { name: name.into(), ty: ty.into(), default_kind, default_expression };
    TableSchema::from_rows("d", "t", "UTC", [row]).unwrap()
}

/// The type chosen for a field's values, of which an empty one is absent; the reason if the field
/// is left out.
fn chosen(values: &[&str]) -> String {
    let record = |value: &&str| match *value {
        "" => "{}".to_owned(),
        value => format!(r#"{{"c":{value}}}"#),
    };
    let (_, columns) = inferred(&batch(values.iter().map(record)), None);
    let column = &columns[0];
    column.type_text().map_or_else(|| format!("left out: {}", column.why), str::to_owned)
}

#[test]
fn each_rule_chooses_its_type() {
    let table: &[(&[&str], &str)] = &[
        // Scalars, missing and null.
        (&["1", "255"], "Int64"),
        (&["1", "", "2"], "Nullable(Int64)"),
        (&["1", "null"], "Nullable(Int64)"),
        (&["-1", "18446744073709551615"], "Int128"),
        (&["1.0", "2"], "Float64"),
        (&["1", "2.5", "12345678901234567890123"], "Float64"),
        (&["1e400"], "left out: a number is beyond Float64"),
        (&["true", "false"], "Bool"),
        (&["\"a\"", "\"1\""], "String"),
        (&["\"1\"", "\"2\""], "String"),
        (&["\"2026-03-01T10:00:00Z\""], "DateTime64(3, 'UTC')"),
        (&["\"2026-03-01T10:00:00.123456Z\"", "null"], "Nullable(DateTime64(6, 'UTC'))"),
        (&["\"2026-03-01\""], "Date32"),
        (&["\"2026-03-01\"", "\"\""], "String"),
        (&["\"1.2.3.4\""], "IPv4"),
        (&["\"::1\"", "\"1.2.3.4\""], "IPv6"),
        (&["\"123E4567-E89B-12D3-A456-426614174000\""], "UUID"),
        (&["null", ""], "left out: only null was seen"),
        // Arrays.
        (&["[1,2]", "[]"], "Array(Int64)"),
        (&["[1,2]", ""], "Array(Int64)"),
        (&["[1,null]"], "Array(Nullable(Int64))"),
        (&["[[1],[\"2\"]]"], "Array(Array(Int64))"),
        (&["[1,\"a\"]"], "Array(Variant(Int64, String))"),
        (&["[1,\"a\",null]"], "Array(Variant(Int64, String))"),
        (&["[]"], "left out: only arrays without elements were seen"),
        (&["[null]"], "left out: only null was seen"),
        (&["[[1],null]"], "left out: null stands beside arrays or objects in an array"),
        (&[r#"[{"a":1},{"a":2}]"#], "Array(Tuple(`a` Int64))"),
        (&[r#"[{"a":1},null]"#], "left out: null stands beside arrays or objects in an array"),
        // Objects.
        (&[r#"{"a":1,"b":"x"}"#], "Tuple(`a` Int64, `b` String)"),
        (&[r#"{"a":1,"b":"x"}"#, r#"{"a":1}"#], "Tuple(`a` Int64, `b` Nullable(String))"),
        (&[r#"{"a":1}"#, ""], "Tuple(`a` Nullable(Int64))"),
        (&[r#"{"a":1,"b":null}"#], "Tuple(`a` Int64)"),
        (&[r#"{"a":1,"b":[]}"#], "Tuple(`a` Int64)"),
        (&[r#"{"a":{"b":1}}"#], "Tuple(`a` Tuple(`b` Int64))"),
        (&[r#"{"a":{"b":1}}"#, r#"{"a":null}"#], "JSON"),
        (&[r#"{"a":[1]}"#, "{}"], "JSON"),
        (&[r#"{"a":1}"#, r#"{"a":"x"}"#], "JSON"),
        (&["{}"], "JSON"),
        (&[r#"{"7":1}"#, r#"{"8":2}"#], "Map(String, Int64)"),
        (&[r#"{"7":1}"#, r#"{"8":null}"#], "Map(String, Nullable(Int64))"),
        (&[r#"{"7":1}"#, r#"{"8":"x"}"#], "JSON"),
        (&[r#"{"":1}"#], "Map(String, Int64)"),
        (&[r#"{"null":1}"#], "Map(String, Int64)"),
        (&[r#"{"a.b":1,"a":{"b":2}}"#], "left out: no type takes its objects but JSON"),
        (&[r#"{"a":1}"#, r#"{"b":1}"#, r#"{"c":1}"#], "Map(String, Int64)"),
        // What JSON does not accept either.
        (&[r#"{"a":1,"b":1e400}"#], "left out: column `c` at /c/b: expected number within Int64"),
        // Several kinds.
        (&["1", "\"2\""], "Int64"),
        (&["1", "\"x\""], "Variant(Int64, String)"),
        (&["1.5", "\"x\"", "true", ""], "Variant(Bool, Float64, String)"),
        (&["[1]", "1"], "Variant(Array(Int64), Int64)"),
        (
            &["{\"a\":\"1.2.3.4\"}", "[null,1]"],
            "Variant(Array(Nullable(Int64)), Tuple(`a` String))",
        ),
        (&["-1", "18446744073709551615", "\"x\""], "Dynamic"),
        (&["[1,\"x\"]", "1"], "left out: column `c` at /c/1: expected integer"),
        (&["{}", "1"], "left out: 1 number, 1 object were seen, which no one type takes"),
    ];
    for (values, expected) in table {
        let found = chosen(values);
        assert!(
            found == *expected || expected.starts_with("left out") && found.starts_with(expected),
            "{values:?}: {found}, expected {expected}"
        );
    }
}

#[test]
fn few_distinct_strings_among_many_are_of_low_cardinality() {
    let of = |count: usize, distinct: usize| {
        let values: Vec<String> = (0..count).map(|at| format!("\"v{}\"", at % distinct)).collect();
        let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
        let always = chosen(&values);
        values.push("null");
        (always, chosen(&values))
    };
    let low = ("LowCardinality(String)".to_owned(), "LowCardinality(Nullable(String))".to_owned());
    let plain = ("String".to_owned(), "Nullable(String)".to_owned());
    assert_eq!(of(100, 10), low);
    assert_eq!(of(99, 2), plain);
    assert_eq!(of(100, 11), plain);
    assert_eq!(of(11_000, 1_001), plain);
}

#[test]
fn what_is_past_a_bound_is_said_and_lands_all_the_same() {
    let many: Vec<String> = (0..1_200).map(|at| format!("\"f{at}\":{at}")).collect();
    let many = many.join(",");
    let keys: Vec<String> = (0..300).map(|at| format!(r#"{{"m":{{"k{at}":{at}}}}}"#)).collect();
    let deep = format!("{}1{}", r#"{"a":["#.repeat(8), "]}".repeat(8));
    let records = [format!("{{{many},\"d\":{deep}}}"), format!("{{\"d\":{deep}}}")];
    let (survey, columns) = inferred(&batch(records), None);
    assert_eq!((columns.len(), survey.passed_over), (MAX_FIELDS, 202));
    let (_, columns) = inferred(&batch(keys), None);
    assert_eq!(columns[0].type_text(), Some("Map(String, Int64)"));
    assert_eq!(chosen(&[&deep]), "JSON");
    let nested = format!("{}{}", "[".repeat(20), "]".repeat(20));
    assert_eq!(chosen(&[&nested]), "left out: it nests deeper than 8 levels, or is too wide");
}

#[test]
fn a_field_that_is_too_wide_leaves_its_neighbours_their_columns() {
    let members: Vec<String> = (0..80).map(|at| format!("\"x{at}\":1")).collect();
    let members = members.join(",");
    let wide: Vec<String> = (0..90).map(|at| format!("\"d{at}\":{{{members}}}")).collect();
    let record = format!(r#"{{"wide":{{{}}},"speed":1.5}}"#, wide.join(","));
    let (survey, columns) = inferred(&batch([record]), None);
    let types: Vec<_> = columns.iter().map(|column| (column.name(), column.type_text())).collect();
    assert_eq!(types, [("wide", Some("JSON")), ("speed", Some("Float64"))]);
    assert_eq!(survey.passed_over, 0);
}

#[test]
fn no_variant_stands_beside_json() {
    let (_, columns) = inferred(&batch([r#"{"a":1,"b":{}}"#, r#"{"a":"x"}"#]), None);
    assert_eq!((columns[0].type_text(), columns[1].type_text()), (None, Some("JSON")));
    assert!(columns[0].why.contains("no Variant stands beside JSON"), "{}", columns[0].why);
}

#[test]
fn names_that_make_no_column_are_left_out() {
    let record =
        r#"{"":1,"_row_exists":1,"n.a":[1],"n.b":[1,2],"n.c":1,"a":1,"A":2,"a.b.c":1,".":1}"#;
    let (_, columns) = inferred(&batch([record]), None);
    let typed = columns.iter().filter(|column| column.type_text().is_some());
    assert_eq!(typed.map(Column::name).collect::<Vec<_>>(), ["n.a", "n.c", "a", "A", "."]);
    for (there, left) in [("n.b", None), ("n", None), ("m.a", Some("Array(Int64)"))] {
        let table = table(there, "Array(Int64)");
        let (_, columns) = inferred(&batch([r#"{"n.a":[1]}"#]), Some(&table));
        assert_eq!(columns[0].type_text(), left, "{there}");
    }
}

#[test]
fn records_that_no_table_takes_do_not_count() {
    let (mut batch, partition) = (
        batch([r#"{"a":1}"#, "{", "[1]", r#"{"a":1,"a":2}"#]),
        batch([""]).runs()[0].partition.clone(),
    );
    batch.push(&partition, 0, &RawRecord::default());
    let survey = Survey::of(&batch, &Hooked::of_records(&batch));
    let codes: Vec<_> = survey.told.iter().map(|(at, fault)| (*at, fault.reason.code())).collect();
    assert_eq!(codes, [(1, "malformed_json"), (2, "type_mismatch"), (3, "duplicate_key")]);
    assert_eq!((survey.records(), survey.unusable, survey.tombstones), (1, 3, 1));
}

#[test]
fn the_statement_says_what_speaks_for_each_column() {
    let records = [
        r#"{"at":"2026-03-01 10:00:00","id":9007199254740993,"kind":"a\n-- b","tags":["x"],"speed":1.5}"#,
        r#"{"at":"2026-03-01T10:00:01Z","id":2,"kind":"`'","tags":[],"speed":null,"x":null}"#,
        r#"{"at":"2026-03-01T10:00:01Z","id":3,"kind":"c","extra; --\n`":{"a":1},"mix":1}"#,
        r#"{"at":"2026-03-01T10:00:02Z","id":3,"kind":"c","mix":{}}"#,
    ];
    let (survey, columns) = inferred(&batch(records), None);
    let sql = create_table("`t`", "topic `t`\n;", &survey, &columns, 0).unwrap();
    insta::assert_snapshot!(sql, @r#"
    -- Inferred from 4 records of topic `t`\n;: all of them land in this table.
    CREATE TABLE `t`
    (
        `at` DateTime64(3, 'UTC'),                   -- in every record; 4 strings; characters 19 to 20; 3 distinct; e.g. "2026-03-01 10:00:00"; 1 without an offset, read as UTC
        `id` Int64,                                  -- in every record; 4 numbers; values 2 to 9007199254740993; 3 distinct; e.g. 9007199254740993
        `kind` String,                               -- in every record; 4 strings; characters 1 to 6; 3 distinct; e.g. "a\n-- b"
        `tags` Array(String),                        -- in 50.00 % of records; 2 arrays; elements 0 to 1; e.g. ["x"]; [] where it is missing or null
        `speed` Nullable(Float64),                   -- in 50.00 % of records, null in 25.00 %; 1 number; values 1.5; 1 distinct; e.g. 1.5
        `extra; --\n\`` Tuple(`a` Nullable(Int64))   -- in 25.00 % of records; 1 object; names a; e.g. {"a":1}; a Tuple of NULL and zeros where it is missing or null
        -- left out: "x": only null was seen (in 25.00 % of records, null in 25.00 %)
        -- left out: "mix": 1 number, 1 object were seen, which no one type takes (in 50.00 % of records; 1 number, 1 object; values 1; no names; 1 distinct; e.g. 1)
    )
    ENGINE = MergeTree
    -- ORDER BY is the one decision that is yours, and cannot be changed later: put first what
    -- queries filter by. This is the first time that every record has.
    ORDER BY `at`;
    "#);
    let only_null = inferred(&batch([r#"{"a":null}"#]), None);
    assert_eq!(create_table("`t`", "x", &only_null.0, &only_null.1, 0), None);
}

#[test]
fn strings_that_are_times_with_lenient_alone_are_told_of_it() {
    let told = |at: &[&str]| {
        let records: Vec<String> = at.iter().map(|at| format!("{{\"at\":\"{at}\"}}")).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let (survey, columns) = inferred(&batch(records), None);
        create_table("`t`", "x", &survey, &columns, 0).unwrap()
    };
    let hint =
        |digits| format!("DateTime64({digits}, 'UTC') takes these times with COERCION=lenient");
    let of_postgres = told(&["2026-03-01 10:00:00+00", "2026-03-01T10:00:00Z"]);
    assert!(of_postgres.contains("`at` String") && of_postgres.contains(&hint(3)), "{of_postgres}");
    let longer = told(&["2026-03-01 10:00:00+00", "2026-03-01 10:00:00.1234+00"]);
    assert!(longer.contains(&hint(6)), "{longer}");
    for at in [&["2026-03-01 10:00:00+00", "x"][..], &["1770091506.5"], &["2026-03-01T10:00:00Z"]] {
        assert!(!told(at).contains("COERCION"), "{at:?}");
    }
}

#[test]
fn a_field_that_a_table_lacks_is_added_for_rows_that_have_none() {
    let batch =
        batch([r#"{"a":1,"b":[1],"c":{"x":1},"d":null}"#, r#"{"a":1,"b":[1],"c":{"x":2}}"#]);
    let split = Hooked::of_records(&batch);
    let survey = Survey::of(&batch, &split);
    let columns =
        Column::of(&survey, (&batch, &split.payloads), Some(&table("a", "Int64")), |name| {
            name != "a"
        });
    let sql = alter_table("`d`.`t`", &survey, &columns);
    insta::assert_snapshot!(sql, @r#"
    ALTER TABLE `d`.`t`
        ADD COLUMN `b` Array(Int64),                -- in every record; 2 arrays; elements 1; e.g. [1]
        ADD COLUMN `c` Tuple(`x` Nullable(Int64));  -- in every record; 2 objects; names x; e.g. {"x":1}
    -- left out: "d": only null was seen (in 50.00 % of records, null in 50.00 %)
    "#);
}

#[test]
fn what_does_not_fit_a_table_is_told_by_reason_and_column() {
    let rules = Rules { required: vec!["id".into(), "gone".into()], ..Rules::default() };
    let columns = [("id", "UInt8"), ("gone", "String"), ("at", "Nullable(Date)")];
    let row = |(name, ty): &(&str, &str)| ColumnRow {
        name: (*name).into(),
        ty: (*ty).into(),
        default_kind: if *name == "at" { "MATERIALIZED" } else { "" }.into(),
        default_expression: String::new(),
    };
    let table = TableSchema::from_rows("d", "t", "UTC", columns.iter().map(row)).unwrap();
    let plan = TablePlan::new(&table, &rules).unwrap();
    let records = [
        r#"{"id":1,"at":"x","new":1}"#,
        r#"{"id":256,"gone":"x"}"#,
        r#"{"id":1}"#,
        r#"{"id":1,"gone":"x","new":2}"#,
    ];
    let batch = batch(records);
    let split = Hooked::of_records(&batch);
    let survey = Survey::of(&batch, &split);
    let misfits = Misfits::of(&table, &plan, None, &survey, (&batch, &split));
    assert_eq!(misfits.landing, 1);
    let refused = misfits.refused.iter().map(|refused| {
        (refused.reason.code(), refused.column.as_deref(), refused.records, refused.first)
    });
    assert_eq!(
        refused.collect::<Vec<_>>(),
        [("missing_column", Some("gone"), 2, 0), ("out_of_range", Some("id"), 1, 1)]
    );
    let unfilled = &misfits.unfilled;
    assert!(unfilled[0].0 == "at".into() && unfilled[0].2.is_some(), "{unfilled:?}");
    assert_eq!(unfilled[1], ("new".into(), 2, None));
    assert_eq!((misfits.unseen, misfits.replaced), (vec![], vec![]));
    let rules = Rules { on_invalid: vec![("id".into(), OnInvalid::Default)], ..Rules::default() };
    let plan = TablePlan::new(&table, &rules).unwrap();
    let split = Hooked::of_records(&batch);
    let survey = Survey::of(&batch, &split);
    let misfits = Misfits::of(&table, &plan, None, &survey, (&batch, &split));
    assert_eq!((misfits.landing, misfits.replaced), (4, vec![("id".into(), 1)]));
}

#[test]
fn what_stands_within_objects_of_dotted_columns_is_looked_at_and_envelopes_are_told() {
    let columns = [("id", "UInt8"), ("geo.lat", "Float64"), ("geo.lon", "Float64")];
    let plan = TablePlan::of_types(&columns, &Rules::default());
    let row = |(name, ty): (&str, &str)| ColumnRow {
        name: name.into(),
        ty: ty.into(),
        default_kind: String::new(),
        default_expression: String::new(),
    };
    let table = TableSchema::from_rows("d", "t", "UTC", columns.map(row)).unwrap();
    let told = |records: &[&str]| {
        let batch = batch(records);
        let split = Hooked::of_records(&batch);
        let survey = Survey::of(&batch, &split);
        Misfits::of(&table, &plan, None, &survey, (&batch, &split))
    };
    let misfits = told(&[r#"{"id":1,"geo":{"lat":1.5,"alt":2}}"#, r#"{"id":1,"geo":{"alt":2}}"#]);
    assert_eq!(misfits.unfilled, [("geo.alt".into(), 2, None)]);
    assert_eq!(misfits.unseen, [("geo.lon".into(), false)]);
    assert_eq!(misfits.envelope, None, "records land");
    let misfits = told(&[r#"{"op":"c","after":{"id":1,"geo":{"lon":1.5}}}"#]);
    let envelope = misfits.envelope.unwrap();
    assert_eq!((&*envelope.pointer, envelope.columns.len()), ("/after", 2));
    assert_eq!(told(&[r#"{"id":256,"after":{"id":1}}"#]).envelope, None, "a column is filled");
    let misfits = told(&[r#"{"id":1,"after":{"id":1,"geo":{"lat":1.5,"lon":1.5}}}"#]);
    let ways = misfits.envelope.unwrap().column_from(9);
    assert_eq!(ways, "geo.lat=/after/geo/lat,geo.lon=/after/geo/lon", "most have no field");
}

/// Scalars near the limits of types, and strings that resemble something.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u128>().prop_map(|number| number.to_string()),
        (-9..9_i8).prop_map(|number| number.to_string()),
        any::<f64>().prop_filter_map("finite", |number| {
            number.is_finite().then(|| format!("{number:e}"))
        }),
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "1.0",
            "-0",
            "-0.0",
            "1e400",
            "1e77",
            "9007199254740993",
            "\"\"",
            "\"7\"",
            "\"1.5\"",
            "\"null\"",
            "\"2026-03-01\"",
            "\"2026-02-30\"",
            "\"1899-01-01\"",
            "\"2026-03-01T10:00:00Z\"",
            "\"2026-03-01 10:00\"",
            "\"2026-03-01T10:00:00.123456789+05:30\"",
            "\"2290-01-01T00:00:00.000000001Z\"",
            "\"1.2.3.4\"",
            "\"::1\"",
            "\"123e4567-e89b-12d3-a456-426614174000\"",
            "\"123e4567e89b12d3a456426614174000\"",
            "\"\\u00e9\\n`'\"",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9:./-]{0,12}".prop_map(|text| format!("\"{text}\"")),
    ]
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "A", "7", "", "a.b", "é `", "id"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|members| object(&members)),
        ]
    })
}

fn object<'a>(members: impl IntoIterator<Item = (&'a &'a str, &'a String)>) -> String {
    let member =
        |(name, value): (&&str, &String)| format!("{}:{value}", serde_json::Value::from(*name));
    format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
}

/// Records whose fields have few values each, so that some fields are of one kind and some mixed.
fn records() -> impl Strategy<Value = Vec<String>> {
    let field = || prop::collection::vec(value(), 1..4);
    let fields = prop::collection::btree_map(
        prop::sample::select(vec!["id", "at", "a", "A", "n.a", "n.b", "", "x`y"]),
        field(),
        1..6,
    );
    (fields, 1..8_usize, any::<u64>()).prop_map(|(fields, records, seed)| {
        let record = |at: usize| {
            let chance = |name: &str, of: usize| {
                let mixed = seed.wrapping_mul(at as u64 + 1).wrapping_add(name.len() as u64 * 31);
                usize::try_from(mixed >> 40).unwrap() % of
            };
            let held: std::collections::BTreeMap<&str, String> = fields
                .iter()
                .filter(|(name, _)| chance(name, 5) > 0)
                .map(|(name, values)| (*name, values[chance(name, values.len())].clone()))
                .collect();
            object(&held)
        };
        (0..records).map(record).collect()
    })
}

#[test]
fn the_parts_of_a_message_are_records_to_infer_and_land_together() {
    let whole = r#"[{"id":1},{"id":2,"n":null},{"id":"x"}]"#;
    let batch = batch([whole, r#"[{"id":3}]"#, "{}"]);
    let parts = |payload: &str| {
        let ends = payload.match_indices('}').map(|(at, _)| at + 1);
        let part = |end: usize| payload.get(payload.get(..end)?.rfind('{')?..end);
        ends.filter_map(part).map(str::len).collect::<Vec<_>>()
    };
    let mut payloads = Payloads::of_parts(Split::Array);
    for origin in 0..2 {
        let payload = batch.payload(origin).unwrap();
        let mut at = 1;
        for len in parts(std::str::from_utf8(payload).unwrap()) {
            payloads.put_part(&batch, origin, &payload[at..at + len]);
            at += len + 1;
        }
    }
    let split = Hooked { payloads, rejections: vec![], dropped: vec![2] };
    let survey = Survey::of(&batch, &split);
    assert_eq!((survey.records(), survey.empty), (4, 1));
    let table = table("id", "Int64");
    let plan = TablePlan::new(&table, &Rules::default()).unwrap();
    let misfits = Misfits::of(&table, &plan, None, &survey, (&batch, &split));
    assert_eq!((misfits.landing, misfits.refused.len()), (1, 1), "in messages");
    assert!(misfits.refused[0].text.contains("at /2/id"), "{}", misfits.refused[0].text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_record_that_was_looked_at_lands_in_the_table(
        records in records(), there in prop::option::of(prop::sample::select(vec!["JSON", "Dynamic", "Int8"]))
    ) {
        let batch = batch(&records);
        let table = there.map(|ty| table("id", ty));
        let (survey, columns) = inferred(&batch, table.as_ref());
        prop_assert_eq!(survey.records(), records.len() as u64);
        for column in &columns {
            let (profile, ty) = (&column.profile, column.type_text().unwrap_or_default());
            let is_scalar = profile.arrays.count + profile.objects.count == 0;
            let is_one = profile.kinds().len() == 1 && profile.numbers.beyond_float == 0;
            // `n.b` may be left out next to `n.a`.
            let is_left_out = ty.is_empty() && !column.name.is_empty();
            prop_assert!(!(is_left_out && is_scalar && is_one), "{}: {}", column.name, column.why);
            let is_union = ty.contains("Variant") || ty.contains("Dynamic");
            prop_assert!(!is_union || there != Some("JSON"), "{}", ty);
            prop_assert!(!ty.contains("JSON") || there != Some("Dynamic"), "{}", ty);
        }
        let Some(plan) = plan(&columns) else { return Ok(()) };
        let rows = decode(&plan, (0..).zip(records.iter().map(String::as_bytes)));
        let checked = check(&plan, rows, Vec::new(), judge_text);
        prop_assert!(checked.rejections.is_empty(), "{:?}", checked.rejections);
        prop_assert_eq!(checked.origins.len(), records.len());
        // The printed table is the proved one.
        let sql = create_table("`t`", "x", &survey, &columns, 0).unwrap();
        let lines: Vec<&str> = sql.lines().filter(|line| line.starts_with("    `")).collect();
        for (line, column) in lines.iter().zip(&plan.columns) {
            let (name, rest) = crate::schema::quoted::leading_identifier(line.trim_start()).unwrap();
            prop_assert_eq!(&*name, &*column.name);
            prop_assert!(rest.trim_start().starts_with(&column.type_text), "{}", line);
        }
        prop_assert_eq!(lines.len(), plan.columns.len());
    }
}
