//! The main job: records land, bad ones are dead-lettered, everything is committed.

use anyhow::Context as _;
use sluicegate_tests::{Job, Message};

const TABLE: &str = "CREATE TABLE t (
    id UInt64, name String, price Decimal(10, 2), at DateTime64(3), kind Enum8('a' = 1, 'b' = 2),
    note Nullable(String), tags Array(String), created DateTime DEFAULT toDateTime('2020-01-02')
) ENGINE = MergeTree ORDER BY id";

fn record(id: u64) -> String {
    format!(
        r#"{{"id":{id},"name":"n{id}","price":{}.25,"at":"2026-03-01T10:00:00.{:03}Z","kind":"b",
        "tags":["x","y"],"unknown":{{"a":[1]}}}}"#,
        id % 1000,
        id % 1000
    )
}

#[tokio::test]
async fn records_of_several_partitions_land_and_are_committed() -> anyhow::Result<()> {
    let mut job = Job::with_partitions(TABLE, 4).await?;
    job.produce((0..20_000).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.consumed, ledger.landed, ledger.in_flight), (20_000, 20_000, 0));
    assert_eq!(
        job.query(
            "SELECT count(), uniqExact(id), sum(id), sum(price), countIf(note IS NULL), \
             sum(length(tags)), any(kind), any(created), sum(toUnixTimestamp64Milli(at) % 1000) FROM t"
        )
        .await?,
        "20000\t20000\t199990000\t9995000\t20000\t40000\tb\t2020-01-02 00:00:00\t9990000"
    );
    assert!(job.dead_letters()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_bad_record_is_dead_lettered_whole_while_its_neighbours_land() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let bad = Message {
        key: Some(b"key".to_vec()),
        payload: Some(br#"{"id": "seven", "at": "2026-03-01T10:00:00Z"}"#.to_vec()),
        headers: vec![("trace".into(), b"abc".to_vec())],
        timestamp_ms: Some(1_700_000_000_123),
    };
    job.produce([record(1).into(), bad.clone(), record(2).into()]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    let letters = job.dead_letters()?;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((&letter.key, &letter.payload), (&bad.key, &bad.payload));
    assert_eq!(letter.header("sluicegate.timestamp-ms"), "1700000000123");
    let old = "the letter's own timestamp is when it was written";
    assert!(letter.timestamp_ms.unwrap_or_default() > 1_750_000_000_000, "{old}");
    assert_eq!(letter.header("trace"), "abc");
    assert_eq!(letter.reason(), "type_mismatch");
    assert_eq!(letter.header("sluicegate.column"), "id");
    assert_eq!(letter.header("__connect.errors.topic"), "records");
    assert_eq!(letter.header("__connect.errors.offset"), "1");
    assert_eq!(letter.header("sluicegate.table"), "default.t");
    Ok(())
}

#[tokio::test]
async fn batches_grow_while_there_is_a_backlog_unless_they_are_capped() -> anyhow::Result<()> {
    let largest = async |cap: &str| -> anyhow::Result<u64> {
        let table = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";
        let mut job = Job::new(table).await?.with("NUM_MESSAGES", cap);
        job.produce((0..120_000).map(|id| format!(r#"{{"id":{id}}}"#))).await?;
        let host = job.start()?;
        job.wait_until_committed(&host).await?;
        let lines = host.log();
        let settled = lines.iter().filter(|line| line.contains("batch settled"));
        let records = settled
            .map(|line| Ok(serde_json::from_str::<serde_json::Value>(line)?["records"].as_u64()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        assert_eq!(host.stop().await?.landed, 120_000);
        records.into_iter().flatten().max().context("no batch was settled")
    };
    assert_eq!(largest("").await?, 50_000);
    assert_eq!(largest("25000").await?, 25_000);
    Ok(())
}

#[tokio::test]
async fn an_envelope_holds_record_and_facts_in_one_object() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("DLQ_FORMAT", "envelope");
    job.produce(["{\"id\":-1}"]).await?;
    job.run_to_the_end().await?;
    let letters = job.dead_letters()?;
    let body: serde_json::Value = serde_json::from_slice(letters[0].payload.as_deref().unwrap())?;
    assert_eq!(body["failure_reason"], "out_of_range");
    assert_eq!((&body["record"], &body["offset"]), (&"{\"id\":-1}".into(), &0.into()));
    Ok(())
}

#[tokio::test]
async fn absent_and_null_fields_follow_the_rules_of_their_columns() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, a Int32 DEFAULT id * 10, b String DEFAULT 'none', \
         c Nullable(Int8) DEFAULT 5, d Enum8('x' = 1, 'DEFAULT' = 2), e DateTime, f String) \
         ENGINE = MergeTree ORDER BY id",
    )
    .await?
    .with("REQUIRED_COLUMNS", "f")
    .with("DATETIME_COLUMNS", "e")
    .with("STRING_ENUM_COLUMNS", "b,d");
    job.produce([
        r#"{"id":1,"f":"x"}"#,
        r#"{"id":2,"f":"x","a":null,"b":null,"c":null,"d":null,"e":null}"#,
        r#"{"id":3,"f":"x","a":7,"b":"given","c":1,"d":"x","e":""}"#,
        r#"{"id":4,"f":null}"#,
        r#"{"id":5}"#,
    ])
    .await?;
    job.run_to_the_end().await?;
    assert_eq!(
        job.query("SELECT id, a, b, c, d, toUnixTimestamp(e) FROM t ORDER BY id").await?,
        "1\t10\tDEFAULT\t\\N\tDEFAULT\t0\n2\t20\tDEFAULT\t\\N\tDEFAULT\t0\n3\t7\tgiven\t1\tx\t0"
    );
    let mut reasons: Vec<String> =
        job.dead_letters()?.iter().map(|letter| letter.reason().to_owned()).collect();
    reasons.sort();
    assert_eq!(reasons, ["missing_column", "null_not_allowed"]);
    Ok(())
}

#[tokio::test]
async fn rows_land_from_compressed_bodies_too_which_are_smaller() -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    for compression in ["none", "lz4"] {
        let mut job = Job::new(TABLE).await?.with("CLICKHOUSE_COMPRESSION", compression);
        job.produce((1..=1_000).map(record)).await?;
        job.run_to_the_end().await?;
        let sums = job.query("SELECT count(), sum(id), min(name) FROM t").await?;
        assert_eq!(sums, "1000\t500500\tn1", "{compression}");
        let inserts = job.stack.inserts("`t`").await?;
        bytes.push(inserts.iter().map(|insert| insert.body_bytes).sum::<u64>());
    }
    assert!(bytes[1] * 4 < bytes[0] * 3, "{bytes:?}");
    Ok(())
}

#[tokio::test]
async fn inserts_carry_a_token_and_go_through_the_async_queue_unless_told_otherwise()
-> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.produce([record(1)]).await?;
    job.run_to_the_end().await?;
    job = job.with("CLICKHOUSE_ASYNC_INSERT", "0");
    job.produce([record(2)]).await?;
    job.run_to_the_end().await?;
    let inserts = job.stack.inserts("`t`").await?;
    let of = |name: &str| -> Vec<Option<String>> {
        inserts.iter().map(|insert| insert.settings.get(name).cloned()).collect()
    };
    assert_eq!(of("async_insert"), [Some("1".into()), Some("0".into())]);
    // A table may have the queue on by a setting of its own.
    assert_eq!(of("wait_for_async_insert"), [Some("1".into()), Some("1".into())]);
    let tokens = of("insert_deduplication_token");
    assert!(tokens.iter().all(Option::is_some) && tokens[0] != tokens[1]);
    assert_eq!(of("input_format_null_as_default"), [Some("1".into()), Some("1".into())]);
    Ok(())
}
