//! A part that ClickHouse cannot publish, once the token of its INSERT is in the log of tokens: what is sent
//! again under the token is answered as if the rows were there.

use sluicegate_tests::{Ask, Job, Preload, stack_options};

const COLUMNS: &str = "(id UInt64, token LowCardinality(String)) ENGINE = MergeTree ORDER BY id";
const WINDOW: &str = "SETTINGS non_replicated_deduplication_window = 10000";

/// A job whose ClickHouse has a disk that fails on demand.
async fn job(preload: &Preload, partition_by: &str) -> anyhow::Result<Job> {
    let mut options = stack_options()?;
    for (name, value) in preload.variables() {
        options = options.with_variable(name, &value);
    }
    let table = format!("CREATE TABLE t {COLUMNS} {partition_by} {WINDOW}");
    Ok(Job::on(options, &table, 1).await?.with("CLICKHOUSE_ASYNC_INSERT", "0"))
}

fn exactly_once(job: Job) -> Job {
    job.with("DELIVERY", "exactly_once").with("METADATA_COLUMNS", "token=token")
}

fn records() -> impl Iterator<Item = String> {
    (0..100).map(|id| format!(r#"{{"id":{id}}}"#))
}

#[tokio::test]
async fn a_part_that_is_not_published_is_missed_and_sent_again() -> anyhow::Result<()> {
    for is_exact in [false, true] {
        let preload = Preload::build()?;
        let job = job(&preload, "").await?;
        let mut job = if is_exact { exactly_once(job) } else { job };
        preload.ask(Ask::PublishFails)?;
        job.produce(records()).await?;
        let ledger = job.run_to_the_end().await?;
        assert_eq!((ledger.landed, ledger.dead_lettered), (100, 0));
        assert_eq!(preload.struck(), 1);
        let rows = job.query("SELECT count(), uniqExact(id) FROM t").await?;
        assert_eq!(rows, "100\t100", "exactly once: {is_exact}");
    }
    Ok(())
}

/// Half of the rows are there, and the token is used up: neither sending again nor a new token is right.
/// Returns the job, paused and stopped, and the token.
async fn half_landed(preload: &Preload) -> anyhow::Result<(Job, String)> {
    let mut job = exactly_once(job(preload, "PARTITION BY id % 2").await?);
    preload.ask(Ask::PublishFails)?;
    job.produce(records()).await?;
    let mut host = job.start()?;
    let line = host.wait_for(&["paused", "cannot be told", "DELIVERY_ANSWERS="]).await?;
    assert_eq!(job.committed()?, [0]);
    host.stop().await?;
    assert_eq!(job.query("SELECT count() <= 50, count() = uniqExact(id) FROM t").await?, "1\t1");
    let (_, asked) = line.split_once("DELIVERY_ANSWERS=").unwrap();
    Ok((job, asked.chars().take_while(char::is_ascii_hexdigit).collect()))
}

#[tokio::test]
async fn an_insert_of_which_one_partition_is_not_published_is_for_an_operator() -> anyhow::Result<()>
{
    let preload = Preload::build()?;
    half_landed(&preload).await.map(drop)
}

#[tokio::test]
async fn what_an_operator_says_has_not_landed_is_sent_under_another_token() -> anyhow::Result<()> {
    let preload = Preload::build()?;
    let (job, token) = half_landed(&preload).await?;
    let delete =
        format!("ALTER TABLE t DELETE WHERE token = '{token}' SETTINGS mutations_sync = 1");
    job.query(&delete).await?;
    let job = job.with("DELIVERY_ANSWERS", &format!("{token}=not_landed"));
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "100\t100");
    Ok(())
}

#[tokio::test]
async fn a_disk_that_is_full_is_waited_for() -> anyhow::Result<()> {
    let preload = Preload::build()?;
    let mut job = job(&preload, "").await?;
    preload.ask(Ask::DiskFull)?;
    job.produce(records()).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "No space left on device", "look at the server's disk"]).await?;
    preload.take_back(Ask::DiskFull)?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (100, 0));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "100\t100");
    Ok(())
}
