//! Topics that change under a host: made again, deleted, grown. What is there is read, all of it, and the
//! topics beside them go on.

use std::time::Duration;

use nix::sys::signal::Signal;
use sluicegate_tests::{Broker, Host, Job, Message, PATIENCE, TOPIC, produce};
use tokio::time::{Instant, sleep};

const TABLE: &str = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";

fn records(ids: std::ops::Range<u64>) -> Vec<Message> {
    ids.map(|id| Message::from(format!(r#"{{"id":{id}}}"#))).collect()
}

/// Deletes the source topic and makes it again.
async fn make_again(job: &mut Job, topic: &str) -> anyhow::Result<()> {
    job.broker()?.delete_topic(topic).await?;
    let deadline = Instant::now() + PATIENCE;
    while job.broker()?.create_topic(topic, 1).await.is_err() {
        anyhow::ensure!(Instant::now() < deadline, "`{topic}` cannot be created again");
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Waits until so many different records from an id on are in the table.
async fn wait_for_rows(job: &Job, host: &Host, from: u64, count: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let sql = format!("SELECT uniqExact(id) FROM t WHERE id >= {from}");
    loop {
        let found = job.query(&sql).await?;
        if found == count.to_string() {
            return Ok(());
        }
        let log = host.log().join("\n");
        anyhow::ensure!(Instant::now() < deadline, "{found} rows, not {count}:\n{log}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The new topic has more records than the old one by the time the host comes to it, so that its offset
/// seems to fit.
#[tokio::test]
async fn a_topic_that_was_made_again_is_read_from_its_beginning() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, TABLE, 1).await?;
    let broker = job.kafka().to_owned();
    produce(&broker, TOPIC, 0, &records(0..500)).await?;
    job.count_produced(0, 500);
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    // While the host runs, and is slow.
    host.signal(Signal::SIGSTOP)?;
    make_again(&mut job, TOPIC).await?;
    produce(&broker, TOPIC, 0, &records(1_000..3_000)).await?;
    host.signal(Signal::SIGCONT)?;
    wait_for_rows(&job, &host, 1_000, 2_000).await?;
    host.wait_for(&["`records` was deleted and made again", "from its beginning"]).await?;
    job.count_produced(0, 1_500);
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    // While no host runs. Kafka forgets the group's offset with the topic, and an operator or a tool may
    // bring it back.
    let mark = job.committed_metadata()?;
    make_again(&mut job, TOPIC).await?;
    produce(&broker, TOPIC, 0, &records(5_000..8_000)).await?;
    job.commit_with(2_000, &mark)?;
    let mut host = job.start()?;
    wait_for_rows(&job, &host, 5_000, 3_000).await?;
    host.wait_for(&["deleted and made again since offset 2000", "lost"]).await?;
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_topic_that_is_made_again_with_fewer_partitions_leaves_nothing_to_wait_for()
-> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, TABLE, 3).await?;
    let broker = job.kafka().to_owned();
    for partition in 0..3_u16 {
        let ids = u64::from(partition) * 100;
        produce(&broker, TOPIC, partition.into(), &records(ids..ids + 10)).await?;
        job.count_produced(partition.into(), 10);
    }
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    host.signal(Signal::SIGSTOP)?;
    make_again(&mut job, TOPIC).await?;
    produce(&broker, TOPIC, 0, &records(1_000..3_000)).await?;
    host.signal(Signal::SIGCONT)?;
    wait_for_rows(&job, &host, 1_000, 2_000).await?;
    host.wait_for(&["the new one has fewer partitions, and not this one"]).await?;
    // Longer than a commit that fails is borne.
    sleep(Duration::from_secs(20)).await;
    host.wait_for_answer("/readyz", |page| page.status == 200).await?;
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_topic_that_is_made_again_while_it_is_read_exactly_once_is_paused() -> anyhow::Result<()>
{
    let job = Job::on_broker(Broker::start().await?, TABLE, 1).await?;
    let mut job = job.exactly_once(10_000).await?;
    let broker = job.kafka().to_owned();
    produce(&broker, TOPIC, 0, &records(0..500)).await?;
    job.count_produced(0, 500);
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    host.signal(Signal::SIGSTOP)?;
    make_again(&mut job, TOPIC).await?;
    produce(&broker, TOPIC, 0, &records(1_000..3_000)).await?;
    host.signal(Signal::SIGCONT)?;
    host.wait_for(&["paused", "records[0]", "made again", "set its offset"]).await?;
    let page = host.admin("GET", "/readyz").await?;
    assert!(page.status == 503 && page.body.contains("made again"), "{}", page.body);
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_topic_that_is_deleted_stops_no_other_and_partitions_that_are_added_are_read()
-> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, TABLE, 1).await?;
    let properties = job.environment["KAFKA_PROPERTIES"].clone();
    job = job
        .with("KAFKA_SOURCE_TOPIC", "records,other")
        .with("KAFKA_AUTO_OFFSET_RESET", "latest")
        .with("KAFKA_PROPERTIES", &format!("{properties},topic.metadata.refresh.interval.ms=1000"));
    let broker = job.kafka().to_owned();
    job.broker()?.create_topic("other", 1).await?;
    produce(&broker, TOPIC, 0, &records(0..10)).await?;
    job.count_produced(0, 10);
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    // What comes before a partition is noticed comes after the start.
    job.broker()?.grow_topic(TOPIC, 2).await?;
    produce(&broker, TOPIC, 1, &records(100..110)).await?;
    wait_for_rows(&job, &host, 0, 10).await?;
    job.broker()?.delete_topic("other").await?;
    let page = host.wait_for_answer("/readyz", |page| page.body.contains("`other`")).await?;
    assert!(page.status == 503 && page.body.contains("does not exist"), "{}", page.body);
    produce(&broker, TOPIC, 0, &records(200..210)).await?;
    wait_for_rows(&job, &host, 0, 20).await?;
    job.broker()?.create_topic("other", 1).await?;
    produce(&broker, "other", 0, &records(300..310)).await?;
    wait_for_rows(&job, &host, 0, 30).await?;
    host.wait_for_answer("/readyz", |page| page.status == 200).await?;
    host.stop().await.map(drop)
}
