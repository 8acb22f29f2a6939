//! `sluicegate schema infer`: ClickHouse takes the table that it prints, and the records that it was
//! inferred from land there.

use std::collections::BTreeMap;
use std::path::Path;

use sluicegate_tests::{Job, Message, once, path_of};

/// A job needs some table at its start; the inferred one is `t`.
const OTHER: &str = "CREATE TABLE other (x UInt8) ENGINE = Memory";

/// What `schema infer` printed, and its exit code.
struct Inferred {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn infer(
    environment: &BTreeMap<String, String>,
    options: &[&str],
) -> anyhow::Result<Inferred> {
    let output = once(environment, &[&["schema", "infer"], options].concat()).await?;
    Ok(Inferred {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

impl Inferred {
    #[track_caller]
    fn assert_ended(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
    }

    #[track_caller]
    fn assert_says(&self, parts: &[&str]) {
        let text = format!("{}{}", self.stdout, self.stderr);
        let is_it = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(text.lines().any(is_it), "no line with {parts:?}:\n{text}");
    }
}

/// The types of the table as ClickHouse has it.
async fn types(job: &Job) -> anyhow::Result<BTreeMap<String, String>> {
    let sql = "SELECT name, type FROM system.columns WHERE table = 't' FORMAT JSONCompactEachRow";
    let rows = job.query(sql).await?;
    let pairs = rows.lines().map(serde_json::from_str::<(String, String)>);
    Ok(pairs.collect::<Result<_, _>>()?)
}

const TELEMETRY: &[&str] = &[
    r#"{"at":"2026-03-01T10:00:00.5Z","id":1,"unit":"6f1d2c3b-0000-4000-8000-000000000000","speed":1.5,
        "tags":["a","b"],"position":{"lat":52.5,"lon":13.4},"labels":{"1":"x"},"ip":"10.0.0.1",
        "day":"2026-03-01","on":true,"big":18446744073709551615,"free":{"a":[1,"x",{"b":null}]}}"#,
    r#"{"at":"2026-03-01 10:00:01","id":2,"unit":"6f1d2c3b-0000-4000-8000-000000000001","speed":null,
        "tags":[],"position":null,"labels":{"2":"y","3":"z"},"ip":"10.0.0.2","on":false,"big":1,
        "`odd` -- \n name; \u0000":["2026-03-01"],"free":{"a":{"b.c":1},"d":"2026-03-01T10:00:00Z"}}"#,
    r#"{"at":"2026-03-01 10:00:02+02:00","id":3,"unit":"6f1d2c3b-0000-4000-8000-000000000002",
        "position":{"lat":1,"lon":2},"day":"1999-12-31","":1,"nothing":null}"#,
];

#[tokio::test]
async fn a_table_for_a_topic_takes_its_records() -> anyhow::Result<()> {
    let mut job = Job::with_partitions(OTHER, 3).await?;
    let bad = [
        Message::from("{\"id\":"),
        Message::from(r#"{"id":1,"id":2}"#),
        Message { key: Some(b"gone".to_vec()), ..Message::default() },
    ];
    let good = TELEMETRY.iter().map(|record| Message::from(record.replace("\n        ", "")));
    job.produce(good.chain(bad)).await?;
    let inferred = infer(&job.environment, &["--topic", "records"]).await?;
    inferred.assert_ended(0);
    inferred.assert_says(&["topic `records`: the newest 6 records, of 3 partitions"]);
    inferred.assert_says(&["left out: records[1] offset 1: malformed_json"]);
    inferred.assert_says(&["left out: records[2] offset 0: duplicate_key"]);
    inferred.assert_says(&["left out: 1 record without a payload"]);
    inferred.assert_says(&["-- Inferred from 3 records of topic `records`"]);
    inferred.assert_says(&["left out: \"nothing\": only null was seen"]);
    assert_eq!(job.committed()?, [0, 0, 0]);

    job.query(&inferred.stdout).await?;
    let found = types(&job).await?;
    for (name, ty) in [
        ("at", "DateTime64(3, 'UTC')"),
        ("id", "Int64"),
        ("unit", "UUID"),
        ("speed", "Nullable(Float64)"),
        ("tags", "Array(String)"),
        ("position", "Tuple(lat Nullable(Float64), lon Nullable(Float64))"),
        ("labels", "Map(String, String)"),
        ("ip", "Nullable(IPv4)"),
        ("day", "Nullable(Date32)"),
        ("on", "Nullable(Bool)"),
        ("big", "Nullable(UInt64)"),
        ("free", "JSON"),
    ] {
        assert_eq!(found.get(name).map(String::as_str), Some(ty), "{name}: {found:?}");
    }
    assert_eq!(found.len(), 13, "{found:?}");
    let ledger = job.run_to_the_end().await?;
    let letters: Vec<String> =
        job.dead_letters()?.iter().map(|letter| letter.reason().to_owned()).collect();
    assert_eq!((ledger.landed, ledger.skipped), (3, 1), "{letters:?}");
    assert_eq!(
        job.query("SELECT max(at), sum(id), sum(speed), max(big), max(length(tags)) FROM t")
            .await?,
        "2026-03-01 10:00:01.000\t6\t1.5\t18446744073709551615\t2"
    );

    let newest = infer(&job.environment, &["--topic", "records", "--sample", "1"]).await?;
    newest.assert_says(&["the newest 1 record,"]);
    Ok(())
}

#[tokio::test]
async fn a_table_for_a_file_takes_its_records_and_more_of_them() -> anyhow::Result<()> {
    let data = path_of("SLUICEGATE_VEGA")?.join("data");
    for (file, records) in [("movies.json", 3_201), ("flights-200k.json", 200_000)] {
        let path = data.join(file);
        let nothing = BTreeMap::new();
        let inferred = infer(&nothing, &["--file", &path.display().to_string()]).await?;
        inferred.assert_ended(0);
        let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
        inferred.assert_says(&[&format!("CREATE TABLE `{stem}`")]);
        let mut job = Job::with_partitions(OTHER, 4).await?.with("CLICKHOUSE_TABLE", &stem);
        job.query(&inferred.stdout).await?;
        let bytes = std::fs::read(path)?;
        let all: Vec<&serde_json::value::RawValue> = serde_json::from_slice(&bytes)?;
        job.produce(all.iter().map(|record| record.get())).await?;
        let ledger = job.run_to_the_end().await?;
        assert_eq!((ledger.landed, ledger.dead_lettered), (records, 0), "{}", inferred.stdout);
        assert_eq!(job.query(&format!("SELECT count() FROM `{stem}`")).await?, records.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn whatever_the_records_are_clickhouse_takes_the_table_and_its_rows() -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(26);
    for _ in 0..4 {
        // A field holds a few values, so that some are of one kind and some are mixed.
        let pools: Vec<Vec<String>> = (0..40)
            .map(|_| (0..random.usize(1..4)).map(|_| value(&mut random, 3)).collect())
            .collect();
        let record = |random: &mut fastrand::Rng| {
            let mut fields = Vec::new();
            for (at, pool) in pools.iter().enumerate() {
                if random.u8(..10) > 0 {
                    let held = random.usize(..pool.len());
                    fields.push(format!("\"f{at}\":{}", pool[held]));
                }
            }
            format!("{{{}}}", fields.join(","))
        };
        let records: Vec<String> = (0..50).map(|_| record(&mut random)).collect();
        let mut job = Job::new(OTHER).await?;
        job.produce(&records).await?;
        let inferred = infer(&job.environment, &["--topic", "records"]).await?;
        inferred.assert_ended(0);
        let created = job.query(&inferred.stdout).await;
        assert!(created.is_ok(), "{created:?}\n{}", inferred.stdout);
        let ledger = job.run_to_the_end().await?;
        let letters = job.dead_letters()?;
        let told: Vec<&str> = letters
            .iter()
            .map(|letter| letter.header("__connect.errors.exception.message"))
            .collect();
        assert_eq!(ledger.landed, 50, "{told:?}\n{}", inferred.stdout);
        let against = infer(&job.environment, &["--topic", "records", "--against-table"]).await?;
        against.assert_says(&["50 would land"]);
        assert!(matches!(against.code, Some(0 | 4)), "{}", against.stdout);
    }
    Ok(())
}

/// A value of any kind.
fn value(random: &mut fastrand::Rng, levels: u8) -> String {
    const TEXTS: &[&str] = &[
        "",
        "7",
        "x",
        "2026-03-01",
        "2026-03-01T10:00:00.25Z",
        "2026-03-01 10:00:00",
        "1.2.3.4",
        "::1",
        "123e4567-e89b-12d3-a456-426614174000",
        "\\u00e9\\n\\\"`'",
        "true",
        "2026/3/1",
    ];
    const NUMBERS: &[&str] =
        &["1.5", "-0", "1e3", "9007199254740993", "18446744073709551615", "1.0"];
    const NAMES: &[&str] = &["a", "b", "c", "A", "7", "a.b", "x y", "order"];
    let list = |random: &mut fastrand::Rng| random.usize(..4);
    match random.u8(..if levels > 0 { 9 } else { 6 }) {
        0 => "null".to_owned(),
        1 => random.bool().to_string(),
        2 => random.i64(-300..300).to_string(),
        3 => random.choice(NUMBERS).copied().unwrap_or_default().to_owned(),
        4 | 5 => format!("\"{}\"", random.choice(TEXTS).copied().unwrap_or_default()),
        6 => {
            let elements: Vec<_> = (0..list(random)).map(|_| value(random, levels - 1)).collect();
            format!("[{}]", elements.join(","))
        }
        _ => {
            let mut members = BTreeMap::new();
            for _ in 0..list(random) {
                let name = random.choice(NAMES).copied().unwrap_or_default();
                members.insert(name, value(random, levels - 1));
            }
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_the_table_is_told_and_room_is_made_for_new_fields() -> anyhow::Result<()>
{
    let mut job = Job::new(
        "CREATE TABLE t (id UInt8, gone String, later UInt8, twice UInt64 MATERIALIZED id * 2) \
         ENGINE = MergeTree ORDER BY id",
    )
    .await?
    .with("REQUIRED_COLUMNS", "gone");
    job.produce([
        r#"{"id":256,"gone":"x"}"#,
        r#"{"id":1}"#,
        r#"{"id":2}"#,
        r#"{"id":3,"gone":"x","twice":1,"new; -- \n field":{"a":1},"list":[1]}"#,
        "no JSON",
    ])
    .await?;
    let against = &["--topic", "records", "--against-table"];
    let told = infer(&job.environment, against).await?;
    told.assert_ended(3);
    told.assert_says(&["5 records of topic `records` against `default`.`t`: 1 would land"]);
    let place = "such as records[0] offset";
    told.assert_says(&["rejected: 2 missing_column at `gone`", &format!("{place} 1: ")]);
    told.assert_says(&["rejected: 1 out_of_range at `id`", &format!("{place} 0: "), "got 256"]);
    told.assert_says(&["rejected: 1 malformed_json", &format!("{place} 4: ")]);
    told.assert_says(&["no column takes the field \"twice\" of 1 record:", "MATERIALIZED"]);
    told.assert_says(&["no record has the field of column `later`"]);
    told.assert_says(&["sluicegate: 4 of 5 records would be rejected by `default`.`t`"]);
    assert_eq!(job.committed()?, [0]);

    // What it prints runs as it is.
    job.query(&told.stdout).await?;
    let found = types(&job).await?;
    assert_eq!(found["new; -- \n field"], "Tuple(a Nullable(Int64))");
    assert_eq!(found["list"], "Array(Int64)");
    // The host agrees on what lands.
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 4));

    let file = tempfile::Builder::new().suffix(".ndjson").tempfile()?;
    std::fs::write(file.path(), "{\"id\":1,\"gone\":\"x\",\"later\":2}\n")?;
    let path = file.path().display().to_string();
    let fits = infer(&job.environment, &["--file", &path, "--against-table"]).await?;
    fits.assert_ended(0);
    assert!(!fits.stdout.contains("ALTER"), "{}", fits.stdout);
    std::fs::write(file.path(), "{\"id\":1,\"gone\":\"x\",\"later\":2,\"other\":1}\n")?;
    let more = infer(&job.environment, &["--file", &path, "--against-table"]).await?;
    more.assert_ended(4);
    more.assert_says(&["ADD COLUMN `other` Nullable(Int64);"]);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_exit_code_of_its_side() -> anyhow::Result<()> {
    let mut job = Job::new(OTHER).await?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str, content: &str| -> anyhow::Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    };
    let (none, blank) = (path("none.ndjson", "[1]\n\"x\"\n")?, path("blank.ndjson", "\n \n")?);
    let (null, good) =
        (path("null.ndjson", "{\"a\":null}\n")?, path("good.ndjson", "{\"a\":1}\n")?);
    for (options, code, parts) in [
        (&["--topic", "records"][..], 1, &["topic `records` holds no record"][..]),
        (&["--topic", "nope"], 1, &["topic `nope` does not exist", "--topic"]),
        (&["--file", "/nonexistent.ndjson"], 1, &["/nonexistent.ndjson", "No such file"]),
        (&["--file", "/nonexistent.csv"], 1, &["ends in .json, .ndjson or .jsonl"]),
        (&["--file", &blank], 1, &["holds no record"]),
        (&["--file", &none], 1, &["no record of file", "JSON object"]),
        (&["--file", &none], 1, &["left out: line 2: type_mismatch"]),
        (&["--file", &null], 1, &["no field of file", "yields a column"]),
        (&["--file", &good, "--against-table"], 1, &["table `default`.`t` is unknown"]),
        (&["--file", &good, "--topic", "records"], 2, &["cannot be used with"]),
        (&[], 2, &["required"]),
    ] {
        let found = infer(&job.environment, options).await?;
        assert!(found.stdout.is_empty(), "{}", found.stdout);
        found.assert_ended(code);
        found.assert_says(parts);
    }
    job = job.with("KAFKA_BROKER", "127.0.0.1:1");
    let away = infer(&job.environment, &["--topic", "records", "--timeout-s", "1"]).await?;
    away.assert_ended(1);
    away.assert_says(&["no broker of KAFKA_BROKER (127.0.0.1:1) answers"]);
    job.environment.remove("KAFKA_BROKER");
    let unset = infer(&job.environment, &["--topic", "records"]).await?;
    unset.assert_ended(64);
    unset.assert_says(&["KAFKA_BROKER"]);
    Ok(())
}
