//! ClickHouse, the broker and the dead letter topic, each away under load: the host waits, says
//! for what, keeps its memory, and loses nothing.

use std::time::Duration;

use sluicegate_tests::{Answer, Broker, Host, Job, Load, NUMBERED};

/// Payload bytes that the host may hold.
const BUDGET_BYTES: u64 = 16 * 1024 * 1024;
/// What the process may take beside it: code, stacks, columns, buffers of the clients, and what
/// librdkafka needs beside each fetched payload.
const OVERHEAD_BYTES: u64 = 64 * 1024 * 1024;
/// More in a minute than the budget holds.
const RECORDS_PER_SECOND: u64 = 3_000;

/// `SLUICEGATE_OUTAGE_SECONDS`, or a minute.
fn outage() -> Duration {
    let seconds = std::env::var("SLUICEGATE_OUTAGE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(60))
}

async fn job() -> anyhow::Result<Job> {
    Ok(Job::on_broker(Broker::start().await?, NUMBERED, 4)
        .await?
        .with("MEMORY_BUDGET_BYTES", &BUDGET_BYTES.to_string())
        .with("BATCH_MAX_BYTES", &(BUDGET_BYTES / 4).to_string()))
}

/// Waits until the host says on its readiness page what it waits for.
async fn says_that_it_waits(host: &mut Host, words: &[&str]) -> anyhow::Result<()> {
    let waits = |page: &Answer| words.iter().all(|word| page.body.contains(word));
    let page = host.wait_for_answer("/readyz", waits).await?;
    assert_eq!(page.status, 503, "{}", page.body);
    Ok(())
}

/// Fails if the host holds more than its budget.
async fn is_within_its_budget(host: &mut Host) -> anyhow::Result<()> {
    let metrics = host.admin("GET", "/metrics").await?;
    let used = metrics.metric("sluicegate_budget_used_bytes");
    let limit = metrics.metric("sluicegate_budget_limit_bytes");
    assert!(used <= limit && used.is_some(), "{used:?} of {limit:?} bytes");
    assert!(limit < Some(BUDGET_BYTES as f64), "{limit:?}: the client's queue has its share");
    Ok(())
}

/// Lets the host catch up, and looks at what it took and where every record is.
async fn is_caught_up(mut job: Job, host: Host, load: Load) -> anyhow::Result<()> {
    let records = load.stop(&mut job).await?;
    job.wait_until_committed(&host).await?;
    let peak_bytes = host.peak_memory_bytes()?;
    let ledger = host.stop().await?;
    println!("peak {} MiB, {ledger:?}", peak_bytes >> 20);
    assert!(peak_bytes < BUDGET_BYTES + OVERHEAD_BYTES, "{peak_bytes} bytes at the peak");
    records.audit(&job).await
}

#[tokio::test]
async fn clickhouse_is_away_and_comes_back() -> anyhow::Result<()> {
    let mut job = job().await?;
    let load = Load::start(&job, RECORDS_PER_SECOND)?;
    let mut host = job.start()?;
    host.wait_for(&["batch settled"]).await?;
    let watched = async {
        says_that_it_waits(&mut host, &["CLICKHOUSE_HOST", "refused"]).await?;
        tokio::time::sleep(outage().mul_f64(0.8)).await;
        is_within_its_budget(&mut host).await
    };
    tokio::try_join!(job.kill_clickhouse_for(outage()), watched)?;
    is_caught_up(job, host, load).await
}

#[tokio::test]
async fn the_broker_is_away_and_comes_back() -> anyhow::Result<()> {
    let mut job = job().await?;
    let load = Load::start(&job, RECORDS_PER_SECOND)?;
    let mut host = job.start()?;
    host.wait_for(&["batch settled"]).await?;
    job.broker()?.kill().await?;
    says_that_it_waits(&mut host, &["KAFKA_BROKER"]).await?;
    tokio::time::sleep(outage()).await;
    is_within_its_budget(&mut host).await?;
    job.broker()?.restart().await?;
    is_caught_up(job, host, load).await
}

#[tokio::test]
async fn the_dead_letter_topic_is_away_and_comes_back() -> anyhow::Result<()> {
    let mut job = job().await?;
    let mut host = job.start()?;
    host.wait_for(&["partitions assigned"]).await?;
    job.broker()?.delete_topic("dead-letters").await?;
    // The broker takes letters until it has heard of it from the controller.
    while job.broker()?.knows_topic("dead-letters")? {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let load = Load::start(&job, RECORDS_PER_SECOND)?;
    says_that_it_waits(&mut host, &["dead-letters", "KAFKA_DLQ_TOPIC"]).await?;
    tokio::time::sleep(outage()).await;
    is_within_its_budget(&mut host).await?;
    assert_eq!(job.committed()?.iter().sum::<i64>(), 0);
    job.broker()?.create_topic("dead-letters", 3).await?;
    is_caught_up(job, host, load).await
}
