//! Rights that are taken away for a while, by Kafka and by ClickHouse: the host waits, says for what, and
//! loses nothing.

use serde_json::json;
use sluicegate_tests::Job;

const TABLE: &str = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";
/// So many requests are refused.
const TIMES: usize = 3;

/// Nine records in ten are good.
fn records() -> impl Iterator<Item = String> {
    (0..200).map(|id| match id % 10 {
        0 => format!(r#"{{"id":"no number {id}"}}"#),
        _ => format!(r#"{{"id":{id}}}"#),
    })
}

async fn revoked(api: &str, error: &str, is_exact: bool) -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    if is_exact {
        job = job.exactly_once(1_000).await?;
    }
    job.produce(records()).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.stack.kafka_errors(api, &[error; TIMES]).await?;
    job.produce(records()).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    let expected = (360, 40);
    assert_eq!((ledger.landed, ledger.dead_lettered), expected, "{api}: {error}");
    let rows = job.query("SELECT count(), uniqExact(id) FROM t").await?;
    assert_eq!(rows, "360\t180", "{api}: {error}");
    Ok(())
}

#[tokio::test]
async fn the_right_to_read_is_revoked_and_granted_again() -> anyhow::Result<()> {
    revoked("fetch", "TOPIC_AUTHORIZATION_FAILED", false).await
}

#[tokio::test]
async fn the_right_to_commit_is_revoked_and_granted_again() -> anyhow::Result<()> {
    revoked("offset_commit", "GROUP_AUTHORIZATION_FAILED", false).await?;
    revoked("offset_commit", "GROUP_AUTHORIZATION_FAILED", true).await
}

#[tokio::test]
async fn the_grant_to_insert_is_revoked_and_given_again() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let kind = json!({"code": 497, "text": "default: Not enough privileges"});
    let fault = json!({"match": "`t`", "times": 2, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce(records()).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "grant INSERT"]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (180, 20));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "180\t180");
    Ok(())
}

#[tokio::test]
async fn an_index_that_may_not_be_looked_at_holds_nothing_up() -> anyhow::Result<()> {
    let table =
        "CREATE TABLE t (id UInt64, token LowCardinality(String)) ENGINE = MergeTree ORDER BY id";
    let mut job =
        Job::new(table).await?.exactly_once(1_000).await?.with("METADATA_COLUMNS", "token=token");
    let text = "default: Not enough privileges. To execute this query, it's necessary to have the grant \
                SELECT ON system.data_skipping_indices";
    let kind = json!({"code": 497, "text": text});
    let fault = json!({"match": "data_skipping_indices", "times": null, "kind": kind, "applies_to": "query"});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce(records()).await?;
    let mut host = job.start()?;
    host.wait_for(&["WARN", "may have no index on `token`", "grant it to CLICKHOUSE_USER"]).await?;
    job.wait_until_committed(&host).await?;
    let told = host.log().iter().filter(|line| line.contains("may have no index")).count();
    assert_eq!(told, 1);
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (180, 20));
    Ok(())
}

#[tokio::test]
async fn settings_of_the_server_that_may_not_be_looked_at_hold_nothing_up() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.exactly_once(1_000).await?;
    let kind = json!({"code": 497, "text": "default: Not enough privileges"});
    let fault =
        json!({"match": "merge_tree_settings", "times": null, "kind": kind, "applies_to": "query"});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce(records()).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (180, 20));
    Ok(())
}

/// Commits fail for good, by a code that no operator is known to mend, until the broker takes them again.
async fn never_committed(code: &str, is_exact: bool) -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    if is_exact {
        job = job.exactly_once(1_000).await?;
    }
    job.produce(records()).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.stack.kafka_errors("offset_commit", &vec![code; 3_000]).await?;
    job.produce(records()).await?;
    let told = |body: &str| body.contains("commit: Kafka does not take the offsets");
    let unready = host.wait_for_answer("/readyz", |ready| told(&ready.body)).await?;
    assert_eq!(unready.status, 503);
    host.wait_for(&["WARN", "waiting: Kafka does not take the offsets"]).await?;
    let waits = r#"sluicegate_longest_wait_seconds{waiter="commit"}"#;
    host.wait_for_answer("/metrics", |metrics| metrics.metric(waits) > Some(0.0)).await?;
    // With each rejoining of the group the host is a member again.
    for _ in 0..20 {
        let still = host.admin("GET", "/readyz").await?;
        assert!(still.status == 503 && told(&still.body), "{}", still.body);
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    job.stack.kafka_errors("offset_commit", &[]).await?;
    job.wait_until_committed(&host).await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    let ledger = host.stop().await?;
    assert!(ledger.landed >= 360, "{ledger:?}");
    Ok(())
}

#[tokio::test]
async fn a_broker_that_takes_no_commit_is_told_of_until_it_does() -> anyhow::Result<()> {
    never_committed("KAFKA_STORAGE_ERROR", false).await
}

#[tokio::test]
async fn a_broker_that_takes_no_plan_is_told_of_until_it_does() -> anyhow::Result<()> {
    never_committed("KAFKA_STORAGE_ERROR", true).await
}
