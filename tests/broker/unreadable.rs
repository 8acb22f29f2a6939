//! Batches that cannot be read: their partition is paused by name, no other one is, nothing is passed
//! over or taken twice, and the partition goes on by itself once it can.

use sluicegate_tests::{Broker, Job, Message, TOPIC, produce, produce_batch};

const TABLE: &str = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";

fn records(ids: std::ops::Range<u64>, name: &str) -> Vec<Message> {
    ids.map(|id| Message::from(format!(r#"{{"id":{id},"name":"{name}"}}"#))).collect()
}

async fn rows(job: &Job) -> anyhow::Result<String> {
    job.query("SELECT count(), uniqExact(id) FROM t").await
}

#[tokio::test]
async fn a_damaged_batch_pauses_its_partition_until_it_is_whole_again() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, TABLE, 2).await?;
    let broker = job.kafka().to_owned();
    for (ids, name) in [(0..100, "hay"), (100..200, "needle"), (200..300, "hay")] {
        produce_batch(&broker, TOPIC, 0, &records(ids, name), "none").await?;
    }
    job.count_produced(0, 300);
    produce(&broker, TOPIC, 1, &records(1_000..1_010, "hay")).await?;
    job.count_produced(1, 10);
    job.broker()?.overwrite(TOPIC, 0, b"needle", b"beetle")?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "topic `records`, partition 0, offset 100: ", "damaged"]).await?;
    let page = host.wait_for_answer("/readyz", |page| page.status == 503).await?;
    assert!(page.body.contains("partition 0, offset 100"), "{}", page.body);
    // The other partition goes on, and what is behind the batch is not taken before it.
    produce(&broker, TOPIC, 1, &records(1_010..1_020, "hay")).await?;
    job.count_produced(1, 10);
    while job.committed()? != [100, 20] {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(rows(&job).await?, "120\t120");
    job.broker()?.overwrite(TOPIC, 0, b"beetle", b"needle")?;
    job.wait_until_committed(&host).await?;
    host.wait_for_answer("/readyz", |page| page.status == 200).await?;
    host.stop().await?;
    assert_eq!(rows(&job).await?, "320\t320");
    assert_eq!(job.query("SELECT countIf(name = 'needle') FROM t").await?, "100");
    Ok(())
}

#[tokio::test]
async fn a_batch_that_unpacks_to_more_than_is_taken_pauses_its_partition() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, TABLE, 2).await?;
    let broker = job.kafka().to_owned();
    let name = "x".repeat(1_000);
    produce_batch(&broker, TOPIC, 0, &records(0..5_000, &name), "zstd").await?;
    job.count_produced(0, 5_000);
    produce(&broker, TOPIC, 1, &records(9_000..9_010, "hay")).await?;
    job.count_produced(1, 10);
    let properties = job.environment["KAFKA_PROPERTIES"].clone();
    let bound = "receive.message.max.bytes=2000000,fetch.max.bytes=1000000";
    job = job.with("KAFKA_PROPERTIES", &format!("{properties},{bound}"));
    let mut host = job.start()?;
    host.wait_for(&["paused", "partition 0, offset 0: ", "receive.message.max.bytes"]).await?;
    let page = host.admin("GET", "/readyz").await?;
    assert!(page.status == 503 && page.body.contains("partition 0, offset 0"), "{}", page.body);
    host.stop().await?;
    assert_eq!(rows(&job).await?, "10\t10");
    job = job.with("KAFKA_PROPERTIES", &properties);
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "5010\t5010");
    Ok(())
}
