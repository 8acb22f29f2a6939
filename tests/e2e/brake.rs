//! The brake: records that are mostly refused pause the host, on a slow topic too, before they fill the
//! dead letters.

use sluicegate_tests::{Host, Job, Ledger};

const TABLE: &str = "CREATE TABLE t (id UInt64, size Int8) ENGINE = MergeTree ORDER BY id";

fn record(id: u64) -> String {
    format!(r#"{{"id":{id},"size":1}}"#)
}

/// One that an Int8 does not take.
fn large(id: u64) -> String {
    format!(r#"{{"id":{id},"size":300}}"#)
}

/// The lines of the log about the brake.
fn lines(host: &Host, word: &str) -> Vec<String> {
    let log = host.log().into_iter();
    log.filter(|line| line.contains(r#""who":"brake""#) && line.contains(word)).collect()
}

/// Waits until the batches were decoded so many times more.
async fn wait_for_decodes(host: &mut Host, more: f64) -> anyhow::Result<()> {
    let series = "sluicegate_decode_seconds_count";
    let before = host.admin("GET", "/metrics").await?.metric(series).unwrap_or_default();
    let is_over = |now: Option<f64>| now.is_some_and(|now| now >= before + more);
    host.wait_for_answer("/metrics", |metrics| is_over(metrics.metric(series))).await.map(drop)
}

#[tokio::test]
async fn a_slow_topic_pulls_it_once_and_goes_on_by_itself_when_the_table_is_mended()
-> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("NUM_MESSAGES", "10");
    job.produce((0..100).map(large)).await?;
    let mut host = job.start()?;
    let line = host.wait_for(&["paused", "DLQ_MAX_SHARE"]).await?;
    for words in [
        r#""who":"brake""#,
        "of the last",
        "more than 50 % (DLQ_MAX_SHARE)",
        "out_of_range in column `size`",
        "such as at topic `records`, partition 0, offset ",
        "mend the table or the producer",
    ] {
        assert!(line.contains(words), "{words} in {line}");
    }
    // Every batch that is in flight is tried again, and again.
    wait_for_decodes(&mut host, 12.0).await?;
    let ready = host.admin("GET", "/readyz").await?;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("brake: ") && ready.body.contains("`size`"), "{}", ready.body);
    let metrics = host.admin("GET", "/metrics").await?;
    assert_eq!(metrics.metric("sluicegate_brake_holds"), Some(1.0));
    assert_eq!(metrics.metric("sluicegate_brake_share"), Some(1.0));
    let waited = metrics.metric(r#"sluicegate_longest_wait_seconds{waiter="brake"}"#);
    assert!(waited >= Some(5.0), "{waited:?}");
    assert_eq!(lines(&host, r#""goes on""#), [""; 0]);
    let begins = lines(&host, r#""waited_s":0"#);
    assert_eq!(begins.len(), 1, "several batches are one pause: {begins:?}");
    assert_eq!(job.dead_letters()?.len(), 40, "49 would be few, and batches are judged whole");
    assert!(job.committed()?.iter().all(|committed| *committed <= 40));

    job.query("ALTER TABLE t MODIFY COLUMN size Int16").await?;
    job.wait_until_committed(&host).await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    let metrics = host.admin("GET", "/metrics").await?;
    assert_eq!(metrics.metric("sluicegate_brake_holds"), Some(0.0));
    assert_eq!(metrics.metric("sluicegate_brake_share"), Some(0.4));
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (60, 40));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "60\t60");
    Ok(())
}

#[tokio::test]
async fn single_bad_records_of_a_slow_topic_are_letters() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("NUM_MESSAGES", "1");
    job.produce((0..49).map(large)).await?;
    let few = job.run_to_the_end().await?;
    assert_eq!((few.landed, few.dead_lettered), (0, 49), "the first after the start");
    job.produce((0..200).map(|id| if id % 3 == 0 { large(id) } else { record(id) })).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    assert_eq!(lines(&host, "paused"), [""; 0]);
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (133, 67));
    Ok(())
}

/// What ClickHouse refuses, after the rest of the host found nothing wrong.
async fn refused_by_clickhouse(mut job: Job, tries: f64) -> anyhow::Result<(Job, Ledger)> {
    job.query("ALTER TABLE t ADD CONSTRAINT c CHECK id > 1000000").await?;
    job.produce((0..100).map(record)).await?;
    let mut host = job.start()?;
    let words = "insert_refused (Code: 469 VIOLATED_CONSTRAINT, constraint `c` of `default.t`)";
    let line = host.wait_for(&["paused", r#""who":"brake""#, "DLQ_MAX_SHARE", words]).await?;
    assert!(line.contains("such as at topic `records`, partition 0, offset "), "{line}");
    wait_for_decodes(&mut host, tries).await?;
    assert_eq!(lines(&host, r#""goes on""#), [""; 0]);
    job.query("ALTER TABLE t DROP CONSTRAINT c").await?;
    job.wait_until_committed(&host).await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    let begins = lines(&host, r#""waited_s":0"#).into_iter().filter(|line| line.contains("paused"));
    assert_eq!(begins.count(), 1, "{}", host.log().join("\n"));
    assert_eq!(lines(&host, r#""goes on""#).len(), 1, "{}", host.log().join("\n"));
    let ledger = host.stop().await?;
    assert_eq!(ledger.landed + ledger.dead_lettered, 100);
    assert_eq!(job.dead_letters()?.len() as u64, ledger.dead_lettered);
    let ids = job.query("SELECT count(), uniqExact(id) FROM t").await?;
    assert_eq!(ids, format!("{0}\t{0}", ledger.landed));
    Ok((job, ledger))
}

#[tokio::test]
async fn what_clickhouse_refuses_pulls_it_before_a_letter_is_written() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("BATCH_LINGER_MS", "3000");
    // It is tried again rarely, since each try sends records one by one.
    let (_, ledger) = refused_by_clickhouse(job, 0.0).await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (100, 0));
    Ok(())
}

#[tokio::test]
async fn what_clickhouse_refuses_pulls_it_with_exactly_once_too() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("BATCH_LINGER_MS", "3000").exactly_once(1_000).await?;
    let (_, ledger) = refused_by_clickhouse(job, 2.0).await?;
    assert!(ledger.dead_lettered <= 50, "{ledger:?}");
    Ok(())
}

#[tokio::test]
async fn a_stop_while_it_holds_a_batch_commits_nothing_of_it() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("SHUTDOWN_TIMEOUT_MS", "1000");
    let mut job = job.with("BATCH_LINGER_MS", "500");
    job.produce((0..60).map(large)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "DLQ_MAX_SHARE"]).await?;
    let ledger = host.stop().await?;
    assert_eq!(ledger.landed, 0);
    assert_eq!(ledger.consumed, ledger.dead_lettered + ledger.in_flight);
    assert!(ledger.in_flight > 0, "{ledger:?}");
    assert_eq!(job.dead_letters()?.len() as u64, ledger.dead_lettered);
    assert_eq!(job.committed()?, [i64::try_from(ledger.dead_lettered)?]);
    Ok(())
}
