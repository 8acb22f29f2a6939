//! What an operator must mend at ClickHouse: the host waits and says for what, and no record pays.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sluicegate_tests::{Host, Job};

/// Codes, what ClickHouse says, and what the log tells to look at.
const ERRORS: [(u32, &str, &str); 13] = [
    (27, "Cannot parse input: expected 'eof' before: 'x'", "CLICKHOUSE_SETTINGS"),
    (46, "Unknown function f", "the server's version"),
    (62, "Syntax error", "the server's version"),
    (73, "Unknown format ArrowStream", "the server's version"),
    (115, "Unknown setting s", "CLICKHOUSE_SETTINGS"),
    (164, "Cannot execute query in readonly mode", "CLICKHOUSE_USER"),
    (192, "Unknown user", "CLICKHOUSE_USER"),
    (193, "Wrong password", "CLICKHOUSE_PASSWORD"),
    (194, "Password required", "CLICKHOUSE_PASSWORD"),
    (201, "Quota exceeded", "quota"),
    (452, "Setting s should not be changed", "CLICKHOUSE_SETTINGS"),
    (497, "Not enough privileges", "grant INSERT"),
    (516, "Authentication failed", "CLICKHOUSE_PASSWORD"),
];

#[tokio::test]
async fn each_error_that_an_operator_must_mend_is_waited_out_and_costs_no_record()
-> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    for (code, text, _) in ERRORS {
        let fault = json!({"match": "`t`", "times": 1, "kind": {"code": code, "text": text}});
        job.stack.fault(&serde_json::from_value(fault)?).await?;
    }
    job.produce([r#"{"id":1,"name":"n"}"#, r#"{"id":"x"}"#]).await?;
    let mut host = job.start()?;
    for (code, _, look) in ERRORS {
        host.wait_for(&["paused", &format!("Code: {code}."), look]).await?;
        assert!(job.committed()?.iter().all(|offset| *offset <= 0), "committed at {code}");
    }
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    Ok(())
}

/// A job whose INSERTs are refused until somebody grants the right to.
async fn without_a_grant() -> anyhow::Result<Job> {
    let create = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(create).await?.with("NUM_MESSAGES", "2");
    let kind = json!({"code": 497, "text": "Not enough privileges"});
    let fault = json!({"match": "`t`", "times": null, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..4).map(|id| format!(r#"{{"id":{id}}}"#))).await?;
    Ok(job)
}

/// What the log says of the INSERT's waits: each message up to its colon, and how long was waited.
fn waits(host: &Host) -> Vec<(String, u64)> {
    let lines = host.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let waits = lines.filter_map(|line| {
        let message = line.get("message")?.as_str()?.split(':').next()?.to_owned();
        let waited_s = line.get("waited_s")?.as_u64()?;
        (line.get("who")? == "insert").then_some((message, waited_s))
    });
    waits.collect()
}

#[tokio::test]
async fn a_pause_is_told_once_for_all_batches_with_its_length_and_the_records_that_it_holds_up()
-> anyhow::Result<()> {
    let job = without_a_grant().await?;
    let mut host = job.start()?;
    let place = "topic `records`, partition 0, offsets ";
    host.wait_for(&["paused", r#""who":"insert""#, place]).await?;
    let words = ["insert: ", "grant INSERT", "batches held up: 2, records: 4", "topic `records`"];
    let is_told = |body: &str| words.iter().all(|word| body.contains(word));
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && is_told(&ready.body)).await?;
    let tries = r#"sluicegate_retries_total{step="insert",class="paused"}"#;
    host.wait_for_answer("/metrics", |metrics| metrics.metric(tries) >= Some(6.0)).await?;
    let metrics = host.admin("GET", "/metrics").await?;
    let waited = metrics.metric(r#"sluicegate_longest_wait_seconds{waiter="insert"}"#);
    assert!(waited >= Some(5.0), "{waited:?}");
    assert_eq!(metrics.metric("sluicegate_paused"), Some(1.0));
    let before = waits(&host);
    assert!(before.iter().all(|(what, _)| what == "paused"), "{before:?}");
    assert_eq!(before.iter().filter(|(_, waited_s)| *waited_s == 0).count(), 1, "{before:?}");

    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    let after = waits(&host);
    let over: Vec<_> = after.iter().filter(|(what, _)| what == "goes on").collect();
    assert!(matches!(*over, [(_, 5..)]), "{after:?}");
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_host_that_is_stopped_while_it_is_paused_does_not_say_that_it_goes_on()
-> anyhow::Result<()> {
    let job = without_a_grant().await?.with("SHUTDOWN_TIMEOUT_MS", "1000");
    let mut host = job.start()?;
    host.wait_for(&["paused", r#""who":"insert""#]).await?;
    host.signal(Signal::SIGTERM)?;
    assert!(host.wait().await?.success());
    let told: Vec<String> = waits(&host).into_iter().map(|(what, _)| what).collect();
    assert!(told.iter().all(|what| what != "goes on"), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("given up"));
    Ok(())
}

#[tokio::test]
async fn why_an_insert_was_held_is_not_told_while_it_is_sent_again_in_parts() -> anyhow::Result<()>
{
    let create =
        "CREATE TABLE t (id UInt64, CONSTRAINT c CHECK id != 63) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(create).await?;
    let kind = json!({"code": 16, "text": "No such column"});
    let fault = json!({"match": "`t`", "times": null, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..64).map(|id| format!(r#"{{"id":{id}}}"#))).await?;
    let mut host = job.start()?;
    let is_held = |body: &str| body.contains("insert: ") && body.contains("still refuses its rows");
    host.wait_for_answer("/readyz", |ready| is_held(&ready.body)).await?;
    job.stack.clear_faults().await?;
    let delay = json!({"match": "`t`", "times": null, "kind": {"delay_ms": 1_000}});
    job.stack.fault(&serde_json::from_value(delay)?).await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    let metrics = host.admin("GET", "/metrics").await?;
    assert_eq!(metrics.metric("sluicegate_records_in_flight"), Some(64.0), "it is not over yet");
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (63, 1));
    Ok(())
}
