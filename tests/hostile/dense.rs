//! Records of few bytes that take nearly as much in columns as one record may: a batch of them takes no more than the
//! limit of a container, however many stand in it.

use sluicegate_tests::{Host, Job, MemoryLimit};

use crate::sweep::LIMIT_BYTES;

const PARTITIONS: u32 = 4;

fn list(element: &str, count: usize) -> String {
    format!("[{}]", vec![element; count].join(","))
}

async fn job(ty: &str) -> anyhow::Result<Job> {
    let create = format!(
        "CREATE TABLE t (id UInt64, x {ty}) ENGINE = MergeTree ORDER BY id \
         SETTINGS allow_suspicious_fixed_string_types = 1"
    );
    Job::with_partitions(&create, PARTITIONS).await
}

/// Takes so many records with this value through the host.
async fn withstand(mut job: Job, value: &str, count: u64) -> anyhow::Result<()> {
    job.produce((0..count).map(|id| format!(r#"{{"id":{id},"x":{value}}}"#))).await?;
    let limit = MemoryLimit::new(LIMIT_BYTES);
    let host = Host::start_within(&job.environment, &limit)?;
    job.wait_until_committed(&host).await?;
    let peak = host.peak_memory_bytes()?;
    let ledger = host.stop().await?;
    println!("{} MiB at the peak, {ledger:?}", peak >> 20);
    assert_eq!((ledger.landed, ledger.dead_lettered), (count, 0));
    assert_eq!(
        job.query("SELECT count(), uniqExact(id), min(length(x)) = max(length(x)) FROM t").await?,
        format!("{count}\t{count}\t1")
    );
    Ok(())
}

const FIXED: &str = "Array(FixedString(1000000))";

#[tokio::test]
async fn many_in_one_batch_withstand() -> anyhow::Result<()> {
    withstand(job(FIXED).await?, &list(r#""""#, 31), 40).await
}

#[tokio::test]
async fn many_in_one_batch_withstand_exactly_once() -> anyhow::Result<()> {
    let job = job(FIXED).await?.exactly_once(1_000).await?;
    withstand(job, &list(r#""""#, 31), 40).await
}

#[tokio::test]
async fn tuples_of_many_nulls_withstand() -> anyhow::Result<()> {
    let parts: Vec<String> = (0..50).map(|at| format!("c{at} Nullable(Decimal(76, 0))")).collect();
    let job = job(&format!("Array(Tuple({}))", parts.join(", "))).await?;
    withstand(job, &list("{}", 18_000), 16).await
}
