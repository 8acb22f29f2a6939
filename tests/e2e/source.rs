//! What Kafka may do to a host that reads: nothing is passed over, nothing is taken twice, and no topic
//! stops another.

use std::time::Duration;

use sluicegate_tests::{Host, Job, Message, PATIENCE, produce};
use tokio::time::{Instant, sleep};

const TABLE: &str = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";

/// Topics that appear are noticed at once, where the default is five minutes.
const PROPERTIES: &str = "fetch.wait.max.ms=20,session.timeout.ms=3000,heartbeat.interval.ms=500,\
                          topic.metadata.refresh.interval.ms=500";

fn records(ids: std::ops::Range<u64>) -> impl Iterator<Item = String> {
    ids.map(|id| format!(r#"{{"id":{id}}}"#))
}

/// Waits until a query answers this.
async fn wait_for_answer(job: &Job, host: &Host, sql: &str, wanted: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = job.query(sql).await?;
        if answer == wanted {
            return Ok(());
        }
        let log = host.log().join("\n");
        anyhow::ensure!(Instant::now() < deadline, "{sql}: {answer:?}, not {wanted:?}:\n{log}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn latest_is_committed_where_it_begins_and_passes_over_nothing_that_comes_after()
-> anyhow::Result<()> {
    for delivery in ["at_least_once", "exactly_once"] {
        let mut job = Job::new(TABLE).await?.exactly_once(1_000).await?;
        job = job.with("DELIVERY", delivery).with("KAFKA_AUTO_OFFSET_RESET", "latest");
        job.produce(records(0..10)).await?;
        let host = job.start()?;
        job.wait_until_committed(&host).await?;
        host.stop().await?;
        // Nobody is there for a moment.
        job.produce(records(10..60)).await?;
        job.run_to_the_end().await?;
        assert_eq!(job.query("SELECT min(id), count() FROM t").await?, "10\t50", "{delivery}");
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_that_appears_is_read_from_its_beginning_with_latest() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE)
        .await?
        .with("KAFKA_SOURCE_TOPIC", "^records.*")
        .with("KAFKA_AUTO_OFFSET_RESET", "latest")
        .with("KAFKA_PROPERTIES", PROPERTIES);
    job.produce(records(0..10)).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.stack.create_topic("records-of-tomorrow", 1).await?;
    let messages: Vec<Message> = records(10..30).map(Message::from).collect();
    produce(job.kafka(), "records-of-tomorrow", 0, &messages).await?;
    wait_for_answer(&job, &host, "SELECT min(id), count() FROM t", "10\t20").await?;
    host.stop().await.map(drop)
}

#[tokio::test]
async fn one_missing_topic_is_named_stops_no_other_and_is_taken_up_when_it_comes()
-> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("KAFKA_SOURCE_TOPIC", "records,soon");
    job.produce(records(0..10)).await?;
    let mut host = job.start()?;
    wait_for_answer(&job, &host, "SELECT count() FROM t", "10").await?;
    // What is read of the one says nothing of the other.
    let page = host.admin("GET", "/readyz").await?;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("topic `soon` does not exist"), "{}", page.body);
    job.stack.create_topic("soon", 1).await?;
    let messages: Vec<Message> = records(10..30).map(Message::from).collect();
    produce(job.kafka(), "soon", 0, &messages).await?;
    wait_for_answer(&job, &host, "SELECT count() FROM t", "30").await?;
    host.wait_for_answer("/readyz", |page| page.status == 200).await?;
    host.stop().await.map(drop)
}

#[tokio::test]
async fn an_offset_that_is_told_to_be_out_of_range_and_is_not_moves_nothing() -> anyhow::Result<()>
{
    for delivery in ["at_least_once", "exactly_once"] {
        let mut job = Job::new(TABLE).await?.exactly_once(1_000).await?.with("DELIVERY", delivery);
        job.produce(records(0..100)).await?;
        let mut host = job.start()?;
        job.wait_until_committed(&host).await?;
        job.stack.kafka_errors("fetch", &["OFFSET_OUT_OF_RANGE"]).await?;
        host.wait_for(&["reading it again", "out of range"]).await?;
        job.produce(records(100..120)).await?;
        job.wait_until_committed(&host).await?;
        host.stop().await?;
        assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "120\t120");
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_that_a_changing_group_refuses_is_tried_again_in_a_while_and_alarms_nobody()
-> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.exactly_once(1_000).await?;
    job.stack.kafka_errors("offset_commit", &["REBALANCE_IN_PROGRESS"; 4]).await?;
    job.produce(records(0..100)).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let told = |log: &[String]| {
        log.iter()
            .filter(|line| line.contains("offsets not committed"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let lines = told(&host.log());
    assert!(lines.len() == 1 && !lines[0].contains("WARN"), "{lines:?}");
    let metrics = host.admin("GET", "/metrics").await?;
    assert_eq!(metrics.metric("sluicegate_commit_failures_total"), Some(0.0));
    host.stop().await?;
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "100\t100");
    Ok(())
}
