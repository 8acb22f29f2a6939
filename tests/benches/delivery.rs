//! What DELIVERY=exactly_once costs: one host reads the same backlog in turn with it and with
//! at_least_once, from a real broker into one table.

#![allow(missing_docs)]

use std::time::Duration;

use anyhow::Context as _;
use sluicegate_tests::{Broker, Job};
use tokio::time::{Instant, sleep};

const PARTITIONS: u32 = 4;
const RECORDS: u64 = 1_000_000;
/// Each delivery is measured so often, in turn.
const ROUNDS: usize = 3;
const LONGEST: Duration = Duration::from_mins(3);

const TABLE: &str = "CREATE TABLE t (id UInt64, name String, city LowCardinality(String), \
                     price Float64, at DateTime64(3)) ENGINE = MergeTree ORDER BY id \
                     SETTINGS non_replicated_deduplication_window = 10000";

fn record(id: u64) -> String {
    format!(
        r#"{{"id":{id},"name":"name of record {id}","city":"city {}","price":{}.25,"at":"2026-01-01 00:00:{:02}.125"}}"#,
        id % 100,
        id % 1_000,
        id % 60
    )
}

/// How long it took from the assignment until every row was in the table.
async fn measure(job: &mut Job, delivery: &str, round: usize) -> anyhow::Result<Duration> {
    job.query("TRUNCATE TABLE t").await?;
    let group = format!("{delivery}-{round}");
    for (name, value) in [
        ("DELIVERY", delivery),
        ("KAFKA_CONSUMER_GROUP_ID", &group),
        ("BATCH_LINGER_MS", "1000"),
        ("LOG_LEVEL", "info"),
    ] {
        job.environment.insert(name.to_owned(), value.to_owned());
    }
    let mut host = job.start()?;
    host.wait_for(&["partitions assigned"]).await?;
    let started = Instant::now();
    while job.query("SELECT count() FROM t").await? != RECORDS.to_string() {
        anyhow::ensure!(started.elapsed() < LONGEST, "{delivery} is not done");
        sleep(Duration::from_millis(20)).await;
    }
    let took = started.elapsed();
    host.stop().await?;
    Ok(took)
}

fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, TABLE, PARTITIONS).await?;
    job.produce((0..RECORDS).map(record)).await?;
    println!("{RECORDS} records in {PARTITIONS} partitions, records a second:");
    println!("round  at_least_once  exactly_once  ratio");
    let mut ratios = Vec::new();
    // The first reads what the broker has to fetch from its disk.
    measure(&mut job, "at_least_once", 0).await?;
    for round in 1..=ROUNDS {
        let rate = |took: Duration| RECORDS as f64 / took.as_secs_f64();
        let least = rate(measure(&mut job, "at_least_once", round).await?);
        let exact = rate(measure(&mut job, "exactly_once", round).await?);
        ratios.push(exact / least);
        println!("{round:>5}  {least:>13.0}  {exact:>12.0}  {:>5.2}", exact / least);
    }
    let ratio = median(ratios).context("no round")?;
    println!("exactly_once has {ratio:.2} of the throughput of at_least_once (0.90 wanted)");
    Ok(())
}
