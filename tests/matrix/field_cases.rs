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

#[tokio::test]
async fn numbers_at_the_edges_land_exactly_or_not_at_all() -> anyhow::Result<()> {
    let floats = [
        ("NaN", None),
        ("-Infinity", None),
        ("\"NaN\"", Some("\"nan\"")),
        ("\"nan\"", Some("\"nan\"")),
        ("\"inf\"", Some("\"inf\"")),
        ("\"-Infinity\"", Some("\"-inf\"")),
        ("1e400", None),
        ("5e-324", Some("5e-324")),
        ("-0.0", Some("-0")),
    ];
    assert_stored("Float64", &lenient(), &floats, 0).await?;
    let short = [("0.1", Some("0.1")), ("1e39", None), ("null", Some("null"))];
    assert_stored("Nullable(Float32)", &lenient(), &short, 0).await?;
    let integers = [
        ("1.0E10", Some("10000000000")),
        ("1e18", Some("1000000000000000000")),
        ("9007199254740993", Some("9007199254740993")),
        ("-0", Some("0")),
        ("1e999999999", None),
        ("1e-999999999", None),
    ];
    assert_stored("Int64", &lenient(), &integers, 0).await?;
    let unsigned = [
        ("18446744073709551615", Some("18446744073709551615")),
        ("1.8446744073709552e19", None),
        ("-0.0", Some("0")),
        ("-1", None),
    ];
    assert_stored("UInt64", &lenient(), &unsigned, 0).await?;
    let wide = [
        ("1e70", Some("10000000000000000000000000000000000000000000000000000000000000000000000")),
        ("1e78", None),
        ("-1", None),
    ];
    assert_stored("UInt256", &lenient(), &wide, 0).await?;
    // Within JSON a float is the nearest one, and an integer is never made one.
    let json = [
        (r#"{"x":1e26}"#, Some(r#"{"x":1e26}"#)),
        (r#"{"x":18446744073709551616}"#, None),
        (r#"{"x":-9223372036854775809}"#, None),
        (r#"{"x":9007199254740993}"#, Some(r#"{"x":9007199254740993}"#)),
        (r#"{"x":NaN}"#, None),
        (r#"{"x":1e400}"#, None),
        (r#"{"y":1E-400}"#, Some(r#"{"y":0}"#)),
        (r#"{"z":123456789012345678901234567890.5}"#, Some(r#"{"z":1.2345678901234568e29}"#)),
    ];
    assert_stored("JSON", &lenient(), &json, 0).await
}

#[tokio::test]
async fn local_times_land_by_the_zone_of_their_column() -> anyhow::Result<()> {
    // In UTC, as `selected` prints them.
    let athens = [
        // It never occurs.
        ("\"2026-03-29 03:30:00\"", None),
        // It occurs twice; the first counts.
        ("\"2026-10-25 03:30:00\"", Some("\"2026-10-25 00:30:00\"")),
        ("\"2026-03-29T03:30:00+02:00\"", Some("\"2026-03-29 01:30:00\"")),
        // Two hours before 1970 in UTC.
        ("\"1970-01-01 00:00:00\"", None),
        ("\"2026-02-03\"", Some("\"2026-02-02 22:00:00\"")),
    ];
    assert_stored("DateTime('Europe/Athens')", &lenient(), &athens, 0).await?;
    let toronto = [
        ("\"2026-03-08 02:30:00\"", None),
        ("\"2026-11-01 01:30:00\"", Some("\"2026-11-01 05:30:00.000\"")),
        ("\"2026-11-01T01:30:00-05:00\"", Some("\"2026-11-01 06:30:00.000\"")),
        ("\"9999-12-31 23:59:59\"", None),
        ("\"1899-12-31 12:00:00\"", None),
    ];
    assert_stored("DateTime64(3, 'America/Toronto')", &lenient(), &toronto, 0).await?;
    let kolkata = [("\"2026-02-03 04:05:06\"", Some("\"2026-02-02 22:35:06.000000\""))];
    assert_stored("DateTime64(6, 'Asia/Kolkata')", &lenient(), &kolkata, 0).await?;
    let utc = [
        ("\"2106-02-07 06:28:15\"", Some("\"2106-02-07 06:28:15\"")),
        ("\"2106-02-07 06:28:16\"", None),
        ("\"0000-00-00 00:00:00\"", None),
    ];
    assert_stored("DateTime('UTC')", &lenient(), &utc, 0).await
}

#[tokio::test]
async fn texts_that_are_cut_within_a_character_are_rejected() -> anyhow::Result<()> {
    let texts = [
        (r#""cut \ud83d""#, None),
        (r#""\ude00\ud83d""#, None),
        (r#""ok \ud83d\ude00""#, Some("\"ok 😀\"")),
        (r#""nul \u0000 in""#, Some(r#""nul \u0000 in""#)),
        (r#""\uffff\ufdd0""#, Some("\"\u{ffff}\u{fdd0}\"")),
    ];
    assert_stored("String", &lenient(), &texts, 0).await?;
    let maps = [(r#"{"\udead":"x"}"#, None), (r#"{"\ud83d\ude00":"x"}"#, Some(r#"{"😀":"x"}"#))];
    assert_stored("Map(String, String)", &lenient(), &maps, 0).await?;
    let objects = [
        (r#"{"e":"cut \ud83d"}"#, None),
        (r#"{"\ud83d":1}"#, None),
        (r#"{"e":"\ud83d\ude00"}"#, Some(r#"{"e":"😀"}"#)),
    ];
    assert_stored("JSON", &lenient(), &objects, 0).await
}
