//! Real data, as its publishers left it. What must come out is computed from the file alone.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sluicegate_tests::Job;

/// A record as its bytes stand in the file, and as what they mean.
type Record = (Box<RawValue>, Map<String, Value>);

fn records_of(file: &str) -> anyhow::Result<Vec<Record>> {
    let path = sluicegate_tests::path_of("SLUICEGATE_VEGA")?.join("data").join(file);
    let records: Vec<Box<RawValue>> = serde_json::from_slice(&std::fs::read(path)?)?;
    let meaning = |record: Box<RawValue>| Ok((serde_json::from_str(record.get())?, record));
    records.into_iter().map(|record| meaning(record).map(|(map, record)| (record, map))).collect()
}

fn integer(record: &Map<String, Value>, name: &str) -> Option<i64> {
    record[name].as_i64()
}

#[tokio::test]
async fn two_hundred_thousand_flights_land_bit_by_bit() -> anyhow::Result<()> {
    // Flights more than 127 minutes late do not fit the column.
    let mut job = Job::with_partitions(
        "CREATE TABLE t (delay Int8, distance UInt16, time Float64) ENGINE = MergeTree ORDER BY ()",
        4,
    )
    .await?;
    let fits =
        |flight: &&Map<String, Value>| integer(flight, "delay").is_some_and(|delay| delay <= 127);
    let flights = records_of("flights-200k.json")?;
    job.produce(flights.iter().map(|(bytes, _)| bytes.get())).await?;
    let ledger = job.run_to_the_end().await?;

    let (kept, late): (Vec<_>, Vec<_>) = flights.iter().map(|(_, flight)| flight).partition(fits);
    let sum = |flights: &[&Map<String, Value>], name| -> i64 {
        flights.iter().filter_map(|flight| integer(flight, name)).sum()
    };
    // `Value` reads a float only nearly, so its text is taken.
    let mut bits = 0_u64;
    for (bytes, _) in flights.iter().filter(|(_, flight)| fits(&flight)) {
        let fields: BTreeMap<&str, &RawValue> = serde_json::from_str(bytes.get())?;
        bits = bits.wrapping_add(fields["time"].get().parse::<f64>()?.to_bits());
    }
    assert_eq!(ledger.landed, u64::try_from(kept.len())?);
    assert_eq!(
        job.query(
            "SELECT count(), sum(delay), sum(distance), sum(reinterpretAsUInt64(time)) FROM t"
        )
        .await?,
        format!("{}\t{}\t{}\t{bits}", kept.len(), sum(&kept, "delay"), sum(&kept, "distance"))
    );

    let letters = job.dead_letters()?;
    assert!(late.len() > 2_000 && letters.len() == late.len(), "{}", letters.len());
    let mut refused = 0;
    for letter in &letters {
        assert_eq!(
            (letter.reason(), letter.header("sluicegate.column")),
            ("out_of_range", "delay")
        );
        let flight: Map<String, Value> =
            serde_json::from_slice(letter.payload.as_deref().unwrap_or_default())?;
        refused += integer(&flight, "delay").unwrap();
    }
    assert_eq!(refused, sum(&late, "delay"));
    Ok(())
}

const MOVIES: &str = "CREATE TABLE t (
    Title String, `US Gross` Nullable(UInt32), `Worldwide Gross` Nullable(Int32),
    `Production Budget` UInt32, `Release Date` Date32,
    `MPAA Rating` Enum8('R', 'PG-13', 'PG', 'Not Rated', 'G', 'NC-17', 'DEFAULT'),
    `Running Time min` Nullable(UInt8), Distributor LowCardinality(String),
    Source LowCardinality(Nullable(String)), Director Nullable(String) DEFAULT 'nobody',
    `IMDB Rating` Nullable(Decimal(3, 1)), `IMDB Votes` Nullable(UInt32)
) ENGINE = MergeTree ORDER BY ()";

/// Why this table cannot hold a film, if so, by a plain look at its fields.
fn refusal(movie: &Map<String, Value>) -> Option<&'static str> {
    match &movie["Title"] {
        Value::Number(_) => return Some("Title: type_mismatch"),
        Value::Null => return Some("Title: null_not_allowed"),
        _ => {}
    }
    if integer(movie, "Worldwide Gross").is_some_and(|gross| gross > i64::from(i32::MAX)) {
        return Some("Worldwide Gross: out_of_range");
    }
    (movie["MPAA Rating"] == "Open").then_some("MPAA Rating: unknown_label")
}

#[tokio::test]
async fn films_with_numbers_for_titles_land_without_those() -> anyhow::Result<()> {
    let mut job = Job::new(MOVIES)
        .await?
        .with("REQUIRED_COLUMNS", "Title")
        .with("DATETIME_COLUMNS", "Release Date")
        .with("STRING_ENUM_COLUMNS", "MPAA Rating");
    let movies = records_of("movies.json")?;
    job.produce(movies.iter().map(|(bytes, _)| bytes.get())).await?;
    let ledger = job.run_to_the_end().await?;

    let mut expected: BTreeMap<&str, u32> = BTreeMap::new();
    let mut kept = Vec::new();
    for (_, movie) in &movies {
        match refusal(movie) {
            Some(reason) => *expected.entry(reason).or_default() += 1,
            None => kept.push(movie),
        }
    }
    assert_eq!(expected.len(), 4, "the file holds each kind of refusal: {expected:?}");
    let letters = job.dead_letters()?;
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for letter in &letters {
        let reason = format!("{}: {}", letter.header("sluicegate.column"), letter.reason());
        *found.entry(reason).or_default() += 1;
    }
    assert!(
        found
            .iter()
            .map(|(reason, count)| (reason.as_str(), count))
            .eq(expected.iter().map(|(reason, count)| (*reason, count))),
        "{found:?} for {expected:?}"
    );
    assert_eq!((ledger.landed, ledger.dead_lettered), (kept.len() as u64, letters.len() as u64));

    let sum = |name| kept.iter().filter_map(|movie| integer(movie, name)).sum::<i64>();
    let nulls = |name: &str| kept.iter().filter(|movie| movie[name].is_null()).count();
    let bytes = |name: &str| {
        kept.iter().filter_map(|movie| movie[name].as_str()).map(str::len).sum::<usize>()
    };
    // "Jun 12 1998": the day and the year stand in fixed places.
    let part = |from: usize, to: usize| -> u64 {
        kept.iter()
            .filter_map(|movie| movie["Release Date"].as_str()?.get(from..to)?.parse::<u64>().ok())
            .sum()
    };
    let tenths: f64 = kept.iter().filter_map(|movie| movie["IMDB Rating"].as_f64()).sum();
    let r_rated = kept.iter().filter(|movie| movie["MPAA Rating"] == "R").count();
    for (sql, expected) in [
        ("count()", kept.len().to_string()),
        ("sum(`US Gross`)", sum("US Gross").to_string()),
        ("sum(`Worldwide Gross`)", sum("Worldwide Gross").to_string()),
        ("sum(`Production Budget`)", sum("Production Budget").to_string()),
        ("sum(`Running Time min`)", sum("Running Time min").to_string()),
        ("sum(`IMDB Votes`)", sum("IMDB Votes").to_string()),
        ("sum(`IMDB Rating`)", format!("{tenths:.1}")),
        ("sum(toDayOfMonth(`Release Date`))", part(4, 6).to_string()),
        ("sum(toYear(`Release Date`))", part(7, 11).to_string()),
        ("countIf(`MPAA Rating` = 'R')", r_rated.to_string()),
        ("countIf(`MPAA Rating` = 'DEFAULT')", nulls("MPAA Rating").to_string()),
        ("countIf(Distributor = '')", nulls("Distributor").to_string()),
        ("countIf(Source IS NULL)", nulls("Source").to_string()),
        ("countIf(Director IS NULL)", nulls("Director").to_string()),
        ("sum(length(Title))", bytes("Title").to_string()),
        ("sum(length(Director))", bytes("Director").to_string()),
    ] {
        assert_eq!(job.query(&format!("SELECT {sql} FROM t")).await?, expected, "{sql}");
    }
    Ok(())
}
