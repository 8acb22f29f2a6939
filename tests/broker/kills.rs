//! Ended without warning, again and again: every record is somewhere in the end.

use std::time::Duration;

use serde_json::json;
use sluicegate_tests::{Broker, Job, NUMBERED, Numbered};

/// Kills the host ten times in mid-run, then lets one run to the end.
async fn killed_ten_times(mut job: Job) -> anyhow::Result<()> {
    let fault = json!({"match": "`t`", "times": null, "kind": {"delay_ms": 20}});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job = job.with("NUM_MESSAGES", "100").with("BATCH_LINGER_MS", "50");
    let mut records = Numbered::default();
    records.produce(&mut job, 30_000).await?;
    for round in 0..10 {
        let mut host = job.start()?;
        host.wait_for_count(&["batch settled"], 2 + round * 3).await?;
        host.kill().await?;
    }
    let committed: i64 = job.committed()?.iter().sum();
    anyhow::ensure!(committed < 30_000, "the host was done before it was killed for the last time");
    job.stack.clear_faults().await?;
    job = job.with("NUM_MESSAGES", "").with("BATCH_LINGER_MS", "");
    job.run_to_the_end().await?;
    records.audit(&job).await
}

#[tokio::test]
async fn a_host_killed_ten_times_loses_nothing_on_the_mock() -> anyhow::Result<()> {
    killed_ten_times(Job::with_partitions(NUMBERED, 4).await?).await
}

#[tokio::test]
async fn a_host_killed_ten_times_loses_nothing_on_the_real_broker() -> anyhow::Result<()> {
    killed_ten_times(Job::on_broker(Broker::start().await?, NUMBERED, 4).await?).await
}

#[tokio::test]
async fn a_host_killed_ten_times_doubles_nothing_on_the_real_broker_with_exactly_once()
-> anyhow::Result<()> {
    let job = Job::on_broker(Broker::start().await?, NUMBERED, 4).await?;
    killed_ten_times(job.exactly_once(10_000).await?).await
}

#[tokio::test]
async fn an_engine_killed_in_mid_insert_and_restarted_doubles_nothing_with_exactly_once()
-> anyhow::Result<()> {
    // A server that was started again may know tokens without their rows: only the rows' own tokens tell.
    let table =
        "CREATE TABLE t (id UInt64, token LowCardinality(String)) ENGINE = MergeTree ORDER BY id";
    let job = Job::on_broker(Broker::start().await?, table, 4).await?;
    let job = job.exactly_once(10_000).await?.with("METADATA_COLUMNS", "token=token");
    engine_killed_five_times(job).await
}

#[tokio::test]
async fn an_engine_killed_in_mid_insert_and_restarted_loses_nothing() -> anyhow::Result<()> {
    engine_killed_five_times(Job::on_broker(Broker::start().await?, NUMBERED, 4).await?).await
}

/// Kills the engine five times in mid-run, and lets the host run to the end.
async fn engine_killed_five_times(job: Job) -> anyhow::Result<()> {
    let mut job = job.with("NUM_MESSAGES", "200").with("BATCH_LINGER_MS", "50");
    let mut records = Numbered::default();
    records.produce(&mut job, 40_000).await?;
    let mut host = job.start()?;
    for round in 1..=5 {
        host.wait_for_count(&["batch settled"], round * 10).await?;
        job.kill_clickhouse_for(Duration::from_secs(1)).await?;
    }
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    records.audit(&job).await
}

/// A host before this one named no table in its plans.
#[tokio::test]
async fn a_plan_of_the_format_before_is_taken_over() -> anyhow::Result<()> {
    let mut job =
        Job::on_broker(Broker::start().await?, NUMBERED, 1).await?.exactly_once(1_000).await?;
    let mut records = Numbered::default();
    records.produce(&mut job, 500).await?;
    let lost = json!({"match": "`t`", "times": null, "kind": "reset_after_commit"});
    job.stack.fault(&serde_json::from_value(lost)?).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting"]).await?;
    // A member that is gone may be spoken for; what it planned is left behind.
    host.stop().await?;
    job.stack.clear_faults().await?;
    let plan = job.committed_metadata()?;
    let fields: Vec<&str> = plan.split([';', ':']).collect();
    let ["sg2", topic, "0", end, nonce, print, mark, _, _, _, _] = fields[..] else {
        panic!("{plan}");
    };
    let [end, mark] = [end, mark].map(|field| u64::from_str_radix(field, 16));
    let (end, mark) = (end?, mark?);
    let plan = format!("sg1;{topic};0;{end}:{nonce}:{print}00000000:{mark}");
    job.commit_with(0, &plan)?;
    records.produce(&mut job, 100).await?;
    job.run_to_the_end().await?;
    records.audit(&job).await
}
