//! Values as producers were seen to write them, each with what a table has of it.

use std::collections::BTreeMap;

use sluicegate::schema::plan::{Rules, TimestampUnit};

use crate::cells::Matrix;

/// A form, and what a SELECT prints of it; `None` where it is refused.
type Value = (&'static str, Option<&'static str>);

fn lenient() -> Rules {
    Rules { is_lenient: true, ..Rules::default() }
}

/// Sends forms through the host; so many values are cut.
async fn assert_stored(
    ty: &str,
    rules: &Rules,
    values: &[Value],
    cut: usize,
) -> anyhow::Result<()> {
    let forms: Vec<&str> = values.iter().map(|(form, _)| *form).collect();
    let found = Matrix::get().await?.through_the_host(ty, rules, &forms).await?;
    let stored = values.iter().enumerate();
    let stored: BTreeMap<usize, String> =
        stored.filter_map(|(id, (_, value))| Some((id, (*value)?.to_owned()))).collect();
    assert_eq!(found, (stored, cut), "{ty}: {forms:?}");
    Ok(())
}

#[tokio::test]
async fn javascripts_milliseconds_land_in_a_column_of_seconds() -> anyhow::Result<()> {
    let second = Some("\"2026-02-03 04:05:06\"");
    let values = [
        ("\"2026-02-03T04:05:06.789Z\"", second),
        ("\"2026-02-03T04:05:06.000Z\"", second),
        ("\"2026-02-03T04:05:06Z\"", second),
    ];
    assert_stored("DateTime('UTC')", &lenient(), &values, 1).await?;
    let strict = [("\"2026-02-03T04:05:06.789Z\"", None), ("\"2026-02-03T04:05:06.000Z\"", second)];
    assert_stored("DateTime('UTC')", &Rules::default(), &strict, 0).await
}

#[tokio::test]
async fn digits_behind_the_precision_are_cut_and_counted() -> anyhow::Result<()> {
    let millis = Some("\"2026-02-03 04:05:06.123\"");
    let values = [
        ("\"2026-02-03T04:05:06.123456789Z\"", millis),
        ("\"2026-02-03T04:05:06.123456+00:00\"", millis),
        ("\"2026-02-03T04:05:06.123000Z\"", millis),
        ("\"2026-02-03 04:05:06.1234567\"", millis),
        ("\"2026-02-03T04:05:06,123Z\"", None),
        ("\"2026-02-03T04:05:06.1234567890123Z\"", millis),
    ];
    assert_stored("DateTime64(3, 'UTC')", &lenient(), &values, 4).await
}

#[tokio::test]
async fn offsets_of_postgres_and_go_land() -> anyhow::Result<()> {
    let values = [
        ("\"2026-02-03 04:05:06.123456+00\"", Some("\"2026-02-03 04:05:06.123456\"")),
        ("\"2026-02-03 04:05:06-05\"", Some("\"2026-02-03 09:05:06.000000\"")),
        ("\"2026-02-03t04:05:06z\"", None),
        ("\"2026-02-03 04:05:06 UTC\"", Some("\"2026-02-03 04:05:06.000000\"")),
        ("\"2026-02-03 04:05:06 +0000 UTC\"", Some("\"2026-02-03 04:05:06.000000\"")),
        ("\"2026-02-03T04:05:06+01:00[Europe/Paris]\"", None),
        ("\"2026-12-31T23:59:60Z\"", Some("\"2027-01-01 00:00:00.000000\"")),
        ("\"2026-02-03T24:00:00Z\"", Some("\"2026-02-04 00:00:00.000000\"")),
        ("\" 2026-02-03 04:05:06 \"", Some("\"2026-02-03 04:05:06.000000\"")),
        ("\"2026-02-03T04:05Z\"", Some("\"2026-02-03 04:05:00.000000\"")),
    ];
    assert_stored("DateTime64(6, 'UTC')", &lenient(), &values, 0).await
}

#[tokio::test]
async fn seconds_with_a_fraction_land_where_it_is_told_what_they_count() -> anyhow::Result<()> {
    let second = Some("\"2026-02-03 04:05:06.000\"");
    let millis = Some("\"2026-02-03 04:05:06.789\"");
    let values = [
        ("1770091506.789", None),
        ("1770091507.0", None),
        ("1.770091506e9", None),
        ("\"1770091506.789\"", millis),
        ("\"1770091506\"", second),
        ("-1", Some("\"1969-12-31 23:59:59.999\"")),
        ("1770091506789", millis),
    ];
    assert_stored("DateTime64(3, 'UTC')", &lenient(), &values, 0).await?;
    let unit = Rules { timestamp_unit: Some(TimestampUnit::Seconds), ..lenient() };
    let values = [
        ("1770091506.789", millis),
        ("1770091506.0", second),
        ("1.770091506e9", second),
        ("\"1770091506.7899\"", millis),
        ("\"1770091506\"", second),
        ("-1.5", Some("\"1969-12-31 23:59:58.500\"")),
        ("1770091506789", None),
    ];
    assert_stored("DateTime64(3, 'UTC')", &unit, &values, 1).await?;
    let values = [("1770091506.789", Some("\"2026-02-03 04:05:06\""))];
    assert_stored("DateTime('UTC')", &unit, &values, 1).await?;
    let strict = Rules { is_lenient: false, ..unit };
    assert_stored("DateTime('UTC')", &strict, &[("1770091506.789", None)], 0).await
}

#[tokio::test]
async fn debeziums_days_and_ticks_land() -> anyhow::Result<()> {
    let days = [("20487", Some("\"2026-02-03\"")), ("null", Some("null"))];
    assert_stored("Nullable(Date32)", &lenient(), &days, 0).await?;
    assert_stored("Date32", &lenient(), &[("-25567", Some("\"1900-01-01\""))], 0).await?;
    let millis = [("1770091506789", Some("\"2026-02-03 04:05:06.789\""))];
    assert_stored("DateTime64(3, 'UTC')", &lenient(), &millis, 0).await?;
    let micros = [
        ("1770091506789123", Some("\"2026-02-03 04:05:06.789123\"")),
        ("\"2026-02-03T04:05:06.789123Z\"", Some("\"2026-02-03 04:05:06.789123\"")),
    ];
    assert_stored("DateTime64(6, 'UTC')", &lenient(), &micros, 0).await
}

#[tokio::test]
async fn numbers_and_booleans_land_as_text() -> anyhow::Result<()> {
    let texts = [
        ("\"17\"", Some("\"17\"")),
        ("17", Some("\"17\"")),
        ("true", Some("\"true\"")),
        ("12345678901234567890123", Some("\"12345678901234567890123\"")),
        ("1.50", Some("\"1.50\"")),
    ];
    for ty in ["String", "LowCardinality(String)"] {
        assert_stored(ty, &lenient(), &texts, 0).await?;
    }
    let low = [("5", Some("\"5\"")), ("false", Some("\"false\"")), ("null", Some("null"))];
    assert_stored("LowCardinality(Nullable(String))", &lenient(), &low, 0).await?;
    let maps = [
        (r#"{"zone":4,"live":true}"#, Some(r#"{"zone":"4","live":"true"}"#)),
        (r#"{"x":1.50}"#, Some(r#"{"x":"1.50"}"#)),
        (r#"{"p":null}"#, None),
    ];
    assert_stored("Map(String, String)", &lenient(), &maps, 0).await?;
    let lists =
        [("[\"a\",2]", Some("[\"a\",\"2\"]")), ("[1e3]", Some("[\"1e3\"]")), ("[null]", None)];
    assert_stored("Array(String)", &lenient(), &lists, 0).await
}

#[tokio::test]
async fn objects_land_as_the_text_that_the_record_has() -> anyhow::Result<()> {
    let values = [
        (
            r#"{"plan":"trial","n":1.0, "deep":{"a":[1,null]}}"#,
            Some(r#""{\"plan\":\"trial\",\"n\":1.0, \"deep\":{\"a\":[1,null]}}""#),
        ),
        (r#""{\"plan\":\"trial\"}""#, Some(r#""{\"plan\":\"trial\"}""#)),
        ("[1,2]", Some("\"[1,2]\"")),
        ("null", Some("\"\"")),
    ];
    assert_stored("String", &lenient(), &values, 0).await?;
    let lists = [(r#"[{"k":"v"}]"#, Some(r#"["{\"k\":\"v\"}"]"#)), ("null", Some("[]"))];
    assert_stored("Array(String)", &lenient(), &lists, 0).await
}

#[tokio::test]
async fn labels_land_by_their_numbers() -> anyhow::Result<()> {
    let ty = "Enum8('off' = 0, 'on' = 1, '2' = 7, 'fault' = -1)";
    let values = [
        ("\"on\"", Some("1")),
        ("1", Some("1")),
        ("\"1\"", Some("1")),
        // A label comes before a number.
        ("\"2\"", Some("7")),
        ("2", None),
        ("-1", Some("-1")),
        ("\"A\"", None),
        ("\"\"", None),
        ("null", None),
    ];
    assert_stored(ty, &lenient(), &values, 0).await?;
    let values = [("1000", Some("1000")), ("1001", None), ("null", Some("null"))];
    assert_stored("Nullable(Enum16('a' = 1000))", &lenient(), &values, 0).await
}

#[tokio::test]
async fn decimals_land_as_producers_write_them() -> anyhow::Result<()> {
    let values = [
        ("0.30000000000000004", Some("0.3")),
        ("1e3", Some("1000")),
        ("19.990", Some("19.99")),
        ("\"Dzw=\"", None),
        ("\"1,5\"", None),
        ("\"\"", None),
        ("-0.0", Some("0")),
        ("12345678901234567.89", None),
    ];
    assert_stored("Decimal(18, 2)", &lenient(), &values, 1).await?;
    let values = [
        ("1.6e-9", Some("0.0000000016")),
        ("\"1.6E-9\"", Some("0.0000000016")),
        ("0.0000000000010", Some("0.000000000001")),
        ("\"+1.5\"", Some("1.5")),
        ("\".5\"", Some("0.5")),
        ("\"5.\"", Some("5")),
        ("\"-0\"", Some("0")),
        ("\" 1\"", None),
    ];
    assert_stored("Decimal(38, 12)", &lenient(), &values, 0).await?;
    assert_stored("Decimal(76, 30)", &lenient(), &[("\"1e-31\"", Some("0"))], 1).await
}
