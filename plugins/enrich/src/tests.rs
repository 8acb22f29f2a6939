use sluicegate_plugin::testing::{Answer, run_arrow, table, with_table};

use super::*;

const CONFIG: &str = r#"{"table":"fleets","key":"fleet",
    "columns":{"region":"region_name","owner":"owner"}}"#;
const FLEETS: [&str; 3] = [
    r#"{"id":"f1","region_name":"north","owner":"Ann"}"#,
    r#"{"id":"f2","region_name":"south","owner":null}"#,
    r#"{"id":"","region_name":"-","owner":"-"}"#,
];
const TABLE: [(&str, &str); 4] = [
    ("id", "UInt64"),
    ("fleet", "LowCardinality(Nullable(String))"),
    ("region", "LowCardinality(String)"),
    ("owner", "Nullable(String)"),
];

fn run(config: &str, columns: &[(&str, &str)], rows: &[&str]) -> Result<Vec<Answer>, String> {
    let table = table(columns).unwrap();
    with_table("fleets", "id", &FLEETS, || run_arrow::<Enrich>(config, &table, rows))
}

#[test]
fn each_column_is_what_stands_at_the_key_and_null_where_nothing_does() {
    let rows = [
        r#"{"fleet":"f1"}"#,
        r#"{"fleet":"f2","owner":"overwritten"}"#,
        r#"{"fleet":"f3"}"#,
        r#"{"fleet":null}"#,
        "{}",
    ];
    let none = r#"{"owner":null,"region":null}"#;
    let written = [
        r#"{"owner":"Ann","region":"north"}"#,
        r#"{"owner":null,"region":"south"}"#,
        none,
        none,
        none,
    ];
    let expected = written.map(|row| Answer::Replace(row.to_owned()));
    assert_eq!(run(CONFIG, &TABLE, &rows), Ok(expected.to_vec()));
}

#[test]
fn a_column_that_is_none_or_no_text_is_refused_by_its_name() {
    let error = |columns: &[(&str, &str)]| run(CONFIG, columns, &["{}"]).unwrap_err();
    assert_eq!(
        error(&[("fleets", "String")]),
        "config, key `key`: column `fleet`: the table has none that records fill; did you mean \
         `fleets`?"
    );
    assert_eq!(
        error(&[("fleet", "String"), ("owner", "Array(String)")]),
        "config, key `columns`: column `owner`: expected String, got Array(String)"
    );
}

#[test]
fn a_config_that_cannot_be_looked_up_is_refused() {
    let error = |config| run(config, &TABLE, &["{}"]).unwrap_err();
    let none = r#"{"table":"fleets","key":"fleet","columns":{}}"#;
    assert_eq!(error(none), "config, key `columns`: name at least one column");
    let cars = r#"{"table":"cars","key":"fleet","columns":{"region":"region_name"}}"#;
    assert!(error(cars).starts_with("table `cars`: not granted"), "{}", error(cars));
    let colour = r#"{"table":"fleets","key":"fleet","columns":{"region":"colour"}}"#;
    assert_eq!(error(colour), "table `fleets`: no column `colour`");
}
