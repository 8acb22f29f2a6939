//! The dead letter topic when it does not take what it is given.

use std::time::Duration;

use serde_json::Value;
use sluicegate_tests::{Host, Job, Message, PATIENCE};
use tokio::time::{Instant, sleep};

const TABLE: &str = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";

/// A record that is rejected, with a name of so many bytes.
fn bad(bytes: usize) -> String {
    format!(r#"{{"id":"x","name":"{}"}}"#, "n".repeat(bytes))
}

#[tokio::test]
async fn a_letter_too_large_for_the_topic_pauses_and_is_never_cut_unasked() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let record = bad(100_000);
    job.produce([record.as_str(), r#"{"id":1,"name":"n"}"#]).await?;
    // From here on the host alone produces. The first refusal may be of the batch, the others are of the letter.
    job.stack.kafka_errors("produce", &["MSG_SIZE_TOO_LARGE"; 3]).await?;
    let mut host = job.start()?;
    let parts = ["paused", "`records`, partition 0, offset 0", "max.message.bytes"];
    host.wait_for(&[&parts[..], &["DLQ_ON_TOO_LARGE=cut"]].concat()).await?;
    assert_eq!(job.committed()?, [0]);
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    let letters = job.dead_letters()?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload.as_deref(), Some(record.as_bytes()));
    assert_eq!(letters[0].header("sluicegate.truncated-from"), "");
    Ok(())
}

#[tokio::test]
async fn a_letter_that_may_be_cut_says_what_it_was() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("DLQ_ON_TOO_LARGE", "cut");
    let record = bad(100_000);
    job.produce([record.as_str(), r#"{"id":1,"name":"n"}"#]).await?;
    job.stack.kafka_errors("produce", &["MSG_SIZE_TOO_LARGE"; 2]).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let cut = host.wait_for(&["dead letter cut"]).await?;
    assert!(cut.contains(r#""part":"payload""#) && cut.contains(r#""offset":0"#), "{cut}");
    let page = host.admin("GET", "/metrics").await?;
    for (part, count) in [("payload", 1), ("headers", 0), ("key", 0)] {
        let line = format!("sluicegate_letters_cut_total{{part=\"{part}\"}} {count}");
        assert!(page.body.contains(&line), "no {line}");
    }
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    let letters = job.dead_letters()?;
    assert_eq!(letters.len(), 1);
    let payload = letters[0].payload.as_deref().unwrap_or_default();
    assert_eq!(payload, &record.as_bytes()[..64_000]);
    assert_eq!(letters[0].header("sluicegate.truncated-from"), record.len().to_string());
    assert_eq!(letters[0].header("sluicegate.sha256").len(), 64);
    assert_eq!(letters[0].reason(), "type_mismatch");
    Ok(())
}

#[tokio::test]
async fn a_cut_envelope_is_json_with_its_facts_whatever_was_large() -> anyhow::Result<()> {
    let mut job =
        Job::new(TABLE).await?.with("DLQ_ON_TOO_LARGE", "cut").with("DLQ_FORMAT", "envelope");
    let large = vec![b'k'; 200_000];
    let message = Message {
        key: Some(large.clone()),
        headers: vec![("h".into(), large.clone()), ("small".into(), b"v".to_vec())],
        ..bad(100_000).into()
    };
    job.produce([message]).await?;
    job.stack.kafka_errors("produce", &["MSG_SIZE_TOO_LARGE"; 4]).await?;
    job.run_to_the_end().await?;
    let letter = job.dead_letters()?.remove(0);
    let body: Value = serde_json::from_slice(letter.payload.as_deref().unwrap_or_default())?;
    assert_eq!(body["failure_reason"], "type_mismatch");
    assert_eq!((&body["topic"], &body["offset"]), (&"records".into(), &0.into()));
    assert_eq!(body["record"].as_str().map(str::len), Some(64_000));
    assert_eq!(body["record_truncated_from"], bad(100_000).len());
    assert_eq!(body["key"].as_str().map(str::len), Some(1_000));
    assert_eq!(body["key_truncated_from"], 200_000);
    assert_eq!(body["headers_truncated_from"], 200_007);
    assert_eq!(body["headers"][1]["value"], "v");
    assert_eq!(letter.key.map(|key| key.len()), Some(1_000));
    assert_eq!(letter.headers["sluicegate.key-truncated-from"], "200000");
    Ok(())
}

#[tokio::test]
async fn what_an_operator_must_mend_is_paused_with_what_to_mend() -> anyhow::Result<()> {
    for (code, parts) in [
        ("TOPIC_AUTHORIZATION_FAILED", &["KAFKA_DLQ_TOPIC", "grant WRITE"][..]),
        ("INVALID_RECORD", &["cleanup.policy=delete", "partition 0, offset 0"]),
        ("INVALID_TIMESTAMP", &["message.timestamp.after.max.ms", "partition 0, offset 0"]),
        ("POLICY_VIOLATION", &["policy", "partition 0, offset 0"]),
        ("INVALID_REQUIRED_ACKS", &["acks=all"]),
        ("UNSUPPORTED_COMPRESSION_TYPE", &["compression.type"]),
    ] {
        let mut job = Job::new(TABLE).await?;
        job.produce([r#"{"id":"x"}"#, r#"{"id":1}"#]).await?;
        job.stack.kafka_errors("produce", &[code; 3]).await?;
        let mut host = job.start()?;
        let line = host.wait_for(&[&["paused", "dead letters"], parts].concat()).await?;
        assert_eq!(job.committed()?, [0], "{line}");
        job.wait_until_committed(&host).await?;
        let ledger = host.stop().await?;
        assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1), "{code}");
        assert_eq!(job.dead_letters()?.len(), 1, "{code}");
    }
    Ok(())
}

#[tokio::test]
async fn what_librdkafka_tries_again_by_itself_is_told_by_its_cause() -> anyhow::Result<()> {
    for (code, word, hint) in [
        ("NOT_ENOUGH_REPLICAS", "waiting", "min.insync.replicas"),
        ("KAFKA_STORAGE_ERROR", "paused", "look at the disks"),
    ] {
        let mut job = Job::new(TABLE).await?;
        job.produce([r#"{"id":"x"}"#, r#"{"id":1}"#]).await?;
        job.stack.kafka_errors("produce", &[code; 40]).await?;
        let mut host = job.start()?;
        host.wait_for(&[word, "dead letters", hint]).await?;
        assert_eq!(job.committed()?, [0]);
        host.kill().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_passes_by_itself_is_waited_for_and_alarms_nobody() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.produce([r#"{"id":"x"}"#, r#"{"id":1}"#]).await?;
    job.stack.kafka_errors("produce", &["THROTTLING_QUOTA_EXCEEDED"; 2]).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "dead letters", "KAFKA_DLQ_TOPIC"]).await?;
    job.wait_until_committed(&host).await?;
    assert!(!host.log().iter().any(|line| line.contains("paused")));
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    Ok(())
}

#[tokio::test]
async fn many_letters_that_are_refused_are_told_as_one() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("DLQ_MAX_SHARE", "1");
    job.produce(vec![r#"{"id":"x"}"#; 50]).await?;
    job.stack.kafka_errors("produce", &["POLICY_VIOLATION"; 60]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "dead letters", "policy of the cluster"]).await?;
    job.wait_until_committed(&host).await?;
    let told = host.log().iter().filter(|line| line.contains("paused")).count();
    assert!(told < 15, "{told} lines of 50 letters");
    host.stop().await?;
    assert_eq!(job.dead_letters()?.len(), 50);
    Ok(())
}

#[tokio::test]
async fn a_name_of_a_header_with_a_nul_comes_through_whole() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, h Map(String, String)) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table).await?.with("METADATA_COLUMNS", "h=headers");
    let headers = vec![("a\0b".to_owned(), b"1".to_vec()), ("a".to_owned(), b"2".to_vec())];
    let message = |payload: &str| Message { headers: headers.clone(), ..payload.into() };
    job.produce([message(r#"{"id":1}"#), message(r#"{"id":"x"}"#)]).await?;
    job.run_to_the_end().await?;
    let landed = "SELECT count() FROM t WHERE h[concat('a', char(0), 'b')] = '1' AND h['a'] = '2'";
    assert_eq!(job.query(landed).await?, "1");
    // Letters are records too: read by another host, its headers show what they are.
    let letters = "dead-letters-of-letters";
    job.stack.create_topic(letters, 1).await?;
    job = job
        .with("KAFKA_SOURCE_TOPIC", "dead-letters")
        .with("KAFKA_DLQ_TOPIC", letters)
        .with("KAFKA_CONSUMER_GROUP_ID", "of-letters")
        .with("COLUMN_ON_INVALID", "id=default");
    let mut host = job.start()?;
    host.wait_for(&["batch settled"]).await?;
    host.stop().await?;
    assert_eq!(job.query(landed).await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_replayed_letter_that_fails_again_carries_its_new_facts_alone() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.produce([r#"{"id":"x"}"#]).await?;
    job.run_to_the_end().await?;
    let first = job.dead_letters()?.remove(0);
    let headers = first.headers.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    let replayed = Message {
        payload: Some(br#"{"id":-1}"#.to_vec()),
        headers: headers.collect(),
        ..Default::default()
    };
    job.produce([replayed]).await?;
    job.run_to_the_end().await?;
    let second = &job.dead_letters()?[1];
    assert_eq!(second.reason(), "out_of_range");
    assert_eq!(second.header("__connect.errors.offset"), "1");
    assert_eq!(second.headers.len(), first.headers.len());
    Ok(())
}

/// Waits until the table has so many rows.
async fn wait_for_rows(job: &Job, host: &Host, rows: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while job.query("SELECT count() FROM t").await? != rows {
        anyhow::ensure!(Instant::now() < deadline, "no {rows} rows:\n{}", host.log().join("\n"));
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_letter_that_waits_holds_up_no_row_and_a_stop_commits_nothing_of_its_batch()
-> anyhow::Result<()> {
    let mut job = Job::with_partitions(TABLE, 2).await?.with("SHUTDOWN_TIMEOUT_MS", "1000");
    job.produce([r#"{"id":1}"#, r#"{"id":"x"}"#, r#"{"id":2}"#, r#"{"id":3}"#]).await?;
    job.stack.kafka_errors("produce", &["POLICY_VIOLATION"; 200]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "dead letters", "policy of the cluster"]).await?;
    wait_for_rows(&job, &host, "3").await?;
    // Both partitions may be in one batch; the one with the letter stays where it is in any case.
    assert_eq!(job.committed()?[0], 0);
    let told = host.admin("GET", "/readyz").await?;
    assert!(told.status == 503 && told.body.contains("dead letters: "), "{}", told.body);
    let ledger = host.stop().await?;
    assert_eq!(ledger.dead_lettered, 0, "{ledger:?}");
    assert!(ledger.in_flight >= 2, "{ledger:?}");
    assert_eq!(job.committed()?[0], 0);
    assert_eq!(job.dead_letters()?.len(), 0);

    job.stack.kafka_errors("produce", &[]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!(ledger.dead_lettered, 1);
    assert_eq!(job.dead_letters()?.len(), 1);
    let rows: u64 = job.query("SELECT count() FROM t").await?.parse()?;
    assert!((4..=6).contains(&rows), "{rows}: those beside the letter land again");
    assert_eq!(job.query("SELECT uniqExact(id) FROM t").await?, "3");
    Ok(())
}

#[tokio::test]
async fn rows_that_clickhouse_takes_land_while_the_letter_of_one_that_it_refuses_waits()
-> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 2").await?;
    job.produce([r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]).await?;
    job.stack.kafka_errors("produce", &["POLICY_VIOLATION"; 200]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "dead letters", "policy of the cluster"]).await?;
    wait_for_rows(&job, &host, "2").await?;
    assert_eq!(job.committed()?, [0]);
    job.stack.kafka_errors("produce", &[]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    assert_eq!(job.query("SELECT count() FROM t").await?, "2");
    Ok(())
}

#[tokio::test]
async fn with_exactly_once_a_row_lands_after_the_letters_before_it() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.exactly_once(1_000).await?;
    job.produce([r#"{"id":1}"#, r#"{"id":"x"}"#, r#"{"id":3}"#]).await?;
    job.stack.kafka_errors("produce", &["POLICY_VIOLATION"; 200]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "dead letters", "policy of the cluster"]).await?;
    // It was tried for some seconds by then.
    host.wait_for_answer("/metrics", |metrics| {
        let retries = r#"sluicegate_retries_total{step="dead_letter",class="paused"}"#;
        metrics.metric(retries) >= Some(6.0)
    })
    .await?;
    assert_eq!(job.query("SELECT count() FROM t").await?, "0");
    job.stack.kafka_errors("produce", &[]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    assert_eq!(job.query("SELECT count() FROM t").await?, "2");
    Ok(())
}
