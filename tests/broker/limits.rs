//! What a broker does at its limits, and the mock does not.

use sluicegate_tests::{Broker, Job};

#[tokio::test]
async fn a_record_larger_than_a_fetch_is_read_all_the_same() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, text String) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::on_broker(Broker::start().await?, table, 1)
        .await?
        .with("MEMORY_BUDGET_BYTES", "16777216")
        .with("BATCH_MAX_BYTES", "8388608");
    let record = |id: u64| format!(r#"{{"id":{id},"text":"{}"}}"#, "x".repeat(6_000_000));
    job.produce((0..5).map(record)).await?;
    assert_eq!(job.run_to_the_end().await?.landed, 5);
    assert_eq!(job.query("SELECT count(), sum(length(text)) FROM t").await?, "5\t30000000");
    Ok(())
}
