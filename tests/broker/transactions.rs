//! Records that are written in transactions, some of which are aborted, and topics that are compacted: the
//! offsets have gaps, where control records, aborted records and older values stand or stood.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use sluicegate_tests::{Broker, Job, Message, PATIENCE, TABLE, TOPIC, produce};
use tokio::time::{Instant, sleep};

const CREATE: &str = "CREATE TABLE t (id UInt64, k UInt64) ENGINE = MergeTree ORDER BY id";
const TRANSACTIONS: u64 = 60;
const RECORDS: u64 = 100;

fn record(id: u64, key: u64) -> String {
    format!(r#"{{"id":{id},"k":{key}}}"#)
}

/// Every third is aborted.
fn is_aborted(transaction: u64) -> bool {
    transaction % 3 == 1
}

/// Writes each transaction over both partitions, once its records have left for the broker.
fn write_transactions(brokers: &str) -> anyhow::Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", "writer")
        .create()?;
    producer.init_transactions(PATIENCE)?;
    for transaction in 0..TRANSACTIONS {
        producer.begin_transaction()?;
        for id in (0..RECORDS).map(|record| transaction * RECORDS + record) {
            let payload = record(id, 0);
            let partition = i32::try_from(id % 2)?;
            let record = BaseRecord::<(), str>::to(TOPIC).partition(partition).payload(&payload);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(PATIENCE)?;
        match is_aborted(transaction) {
            true => producer.abort_transaction(PATIENCE)?,
            false => producer.commit_transaction(PATIENCE)?,
        }
    }
    Ok(())
}

async fn read_in_transactions(is_exact: bool) -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, CREATE, 2).await?;
    job = job.with("NUM_MESSAGES", "70").with("BATCH_LINGER_MS", "50");
    if is_exact {
        job = job.exactly_once(10_000).await?;
    }
    let brokers = job.kafka().to_owned();
    let written = tokio::task::spawn_blocking(move || write_transactions(&brokers));
    for round in 0..4 {
        let mut host = job.start()?;
        host.wait_for_count(&["batch settled"], 2 + round * 2).await?;
        host.kill().await?;
    }
    written.await??;
    let host = job.start()?;
    let committed = (0..TRANSACTIONS).filter(|transaction| !is_aborted(*transaction)).count();
    let expected = committed as u64 * RECORDS;
    wait_for(&job, "SELECT uniqExact(id) FROM t", &expected.to_string()).await?;
    let ledger = host.stop().await?;
    assert_eq!(ledger.dead_lettered, 0);
    let aborted = format!("SELECT count() FROM t WHERE intDiv(id, {RECORDS}) % 3 = 1");
    assert_eq!(job.query(&aborted).await?, "0");
    if is_exact {
        assert_eq!(job.query("SELECT count() FROM t").await?, expected.to_string());
    }
    Ok(())
}

async fn wait_for(job: &Job, sql: &str, wanted: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = job.query(sql).await?;
        if found == wanted {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "`{sql}` still gives {found}, not {wanted}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_is_committed_lands_and_what_is_aborted_does_not() -> anyhow::Result<()> {
    read_in_transactions(false).await
}

#[tokio::test]
async fn what_is_committed_lands_exactly_once_behind_gaps() -> anyhow::Result<()> {
    read_in_transactions(true).await
}

/// The records of a plan, and most of those behind it, are compacted away while no host runs.
#[tokio::test]
async fn the_last_value_of_each_key_lands_once_from_a_topic_that_is_compacted_meanwhile()
-> anyhow::Result<()> {
    const KEYS: u64 = 40;
    const IDS: u64 = 4_000;
    let mut job = Job::on_broker(Broker::start().await?, CREATE, 1).await?;
    let broker = job.broker()?;
    broker
        .set_topic_to(
            TOPIC,
            &[
                ("cleanup.policy", "compact"),
                ("segment.bytes", "1048576"),
                ("segment.ms", "500"),
                ("min.cleanable.dirty.ratio", "0.01"),
                ("max.compaction.lag.ms", "500"),
            ],
        )
        .await?;
    let mut job = job.with("NUM_MESSAGES", "100").exactly_once(10_000).await?;
    let brokers = job.kafka().to_owned();
    let messages = |ids: std::ops::Range<u64>| -> Vec<Message> {
        let message = |id: u64| Message {
            key: Some((id % KEYS).to_string().into_bytes()),
            ..Message::from(record(id, id % KEYS))
        };
        ids.map(message).collect()
    };
    produce(&brokers, TOPIC, 0, &messages(0..IDS)).await?;
    // What is planned has landed, or not, when the host dies.
    let delay = serde_json::json!({"match": "`t`", "times": null, "kind": {"delay_ms": 100}});
    job.stack.fault(&serde_json::from_value(delay)?).await?;
    let mut host = job.start()?;
    host.wait_for_count(&["batch settled"], 2).await?;
    host.kill().await?;
    job.stack.clear_faults().await?;
    let before: u64 = job.query("SELECT count() FROM t").await?.parse()?;
    // Segments roll, and are compacted but for the last one, when something is written.
    for round in 0..10 {
        produce(&brokers, TOPIC, 0, &messages(IDS + round..IDS + round + 1)).await?;
        sleep(Duration::from_millis(600)).await;
    }
    job.count_produced(0, i64::try_from(IDS)? + 10);
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    let counts = job.query(&format!("SELECT count(), uniqExact(id) FROM {TABLE}")).await?;
    let (rows, ids) = counts.split_once('\t').unwrap();
    assert_eq!(rows, ids, "rows are doubled");
    let landed: u64 = rows.parse()?;
    assert!(landed < IDS, "nothing was compacted: {landed} rows, {before} before");
    let last = format!(
        "SELECT count() FROM (SELECT k, max(id) AS last FROM {TABLE} GROUP BY k) WHERE last >= {}",
        IDS - KEYS
    );
    assert_eq!(job.query(&last).await?, KEYS.to_string());
    Ok(())
}

/// Records behind a transaction that nobody ends are waited for by name, and count as lag.
#[tokio::test]
async fn a_transaction_that_stays_open_is_told_of_until_it_is_over() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, CREATE, 1)
        .await?
        .with("KAFKA_PROPERTIES", "fetch.wait.max.ms=20,statistics.interval.ms=500");
    job.produce((0..100).map(|id| record(id, 0))).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", job.kafka())
        .set("transactional.id", "hanging")
        .set("transaction.timeout.ms", "600000")
        .create()?;
    producer.init_transactions(PATIENCE)?;
    producer.begin_transaction()?;
    let payload = record(100, 0);
    let first = BaseRecord::<(), str>::to(TOPIC).partition(0).payload(&payload);
    producer.send(first).map_err(|(error, _)| error)?;
    producer.flush(PATIENCE)?;
    job.produce((101..1_101).map(|id| record(id, 0))).await?;
    let place = "kafka: topic `records`, partition 0, offset 100: a transaction is open";
    let told = host.wait_for_answer("/readyz", |ready| ready.body.contains(place)).await?;
    assert!(told.status == 503 && told.body.contains("find-hanging"), "{}", told.body);
    let metrics = host.admin("GET", "/metrics").await?;
    let labels = r#"{topic="records",partition="0"}"#;
    assert_eq!(metrics.metric(&format!("sluicegate_lag_records{labels}")), Some(1_001.0));
    let freshness = metrics.metric(&format!("sluicegate_freshness_seconds{labels}"));
    assert!(freshness > Some(25.0), "{freshness:?}");
    producer.abort_transaction(PATIENCE)?;
    wait_for(&job, "SELECT uniqExact(id) FROM t", "1100").await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    let lag = format!("sluicegate_lag_records{labels}");
    // The marker that ended it is an offset too, and no record that waits.
    host.wait_for_answer("/metrics", |metrics| metrics.metric(&lag) == Some(0.0)).await?;
    host.stop().await.map(drop)
}
