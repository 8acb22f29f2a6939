//! Stopping, being killed, and coming back: nothing is lost, and nothing is committed early.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use sluicegate_tests::{Job, Ledger};

const TABLE: &str = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";

fn record(id: u64) -> String {
    format!(r#"{{"id":{id}}}"#)
}

#[tokio::test]
async fn sigterm_drains_what_was_taken_and_commits_it() -> anyhow::Result<()> {
    let mut job = Job::with_partitions(TABLE, 3).await?.with("BATCH_LINGER_MS", "10000");
    job.produce((0..3_000).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["partitions assigned"]).await?;
    // Long enough to have read records, far too short for their batch to be due.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ledger = host.stop().await?;
    assert_eq!(ledger.in_flight, 0);
    assert_eq!(ledger.landed, 3_000);
    assert_eq!(job.committed()?.iter().sum::<i64>(), 3_000);
    assert_eq!(job.query("SELECT uniqExact(id), count() FROM t").await?, "3000\t3000");
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once_and_loses_nothing() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let fault = json!({"match": "`t`", "times": null, "kind": {"code": 241, "text": "memory"}});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..100).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "241"]).await?;
    host.signal(Signal::SIGTERM)?;
    host.wait_for(&["stopping"]).await?;
    // One that comes within a second of the first is the same.
    let ended = loop {
        if let Some(ended) = host.ended()? {
            break ended;
        }
        host.signal(Signal::SIGTERM)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(ended.code(), Some(143));
    assert_eq!(job.committed()?, [0]);
    job.stack.clear_faults().await?;
    assert_eq!(job.run_to_the_end().await?.landed, 100);
    assert_eq!(job.query("SELECT uniqExact(id) FROM t").await?, "100");
    Ok(())
}

#[tokio::test]
async fn two_signals_in_a_row_are_one() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.produce((0..100).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["partitions assigned"]).await?;
    for signal in [Signal::SIGTERM, Signal::SIGTERM, Signal::SIGINT] {
        host.signal(signal)?;
    }
    // It drains, commits and leaves its group as after one.
    let ended = host.wait().await?;
    assert_eq!(ended.code(), Some(0), "{}", host.log().join("\n"));
    assert!(host.log().iter().any(|line| line.contains("\"stopped\"")));
    Ok(())
}

#[tokio::test]
async fn a_stop_that_takes_too_long_commits_only_what_is_settled() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("SHUTDOWN_TIMEOUT_MS", "1000");
    let fault = json!({"match": "`t`", "times": null, "kind": {"code": 241, "text": "memory"}});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..100).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "241"]).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.in_flight), (0, 100));
    assert_eq!(job.committed()?, [0]);
    Ok(())
}

/// A host whose INSERTs are held as by this fault, once it said so, is stopped: how long that takes, and what is left.
async fn stopped_while(
    fault: serde_json::Value,
    says: &[&str],
) -> anyhow::Result<(Duration, Ledger)> {
    let mut job = Job::new(TABLE).await?.with("SHUTDOWN_TIMEOUT_MS", "20000");
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..100).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(says).await?;
    let started = Instant::now();
    let ledger = host.stop().await?;
    assert_eq!(job.committed()?, [i64::try_from(ledger.landed)?]);
    Ok((started.elapsed(), ledger))
}

#[tokio::test]
async fn a_stop_waits_for_inserts_under_way_and_for_no_operator() -> anyhow::Result<()> {
    let denied = json!({"match": "`t`", "times": null, "kind": {"code": 497, "text": "denied"}});
    let (took, ledger) = stopped_while(denied, &["paused", "497"]).await?;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!((ledger.landed, ledger.in_flight), (0, 100));
    let slow = json!({"match": "`t`", "times": null, "kind": {"delay_ms": 3_000}});
    let (took, ledger) = stopped_while(slow, &["batch taken"]).await?;
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!((ledger.landed, ledger.in_flight), (100, 0));
    Ok(())
}

#[tokio::test]
async fn a_host_killed_in_mid_run_is_followed_by_one_that_loses_nothing() -> anyhow::Result<()> {
    let mut job = Job::with_partitions(TABLE, 2).await?.with("NUM_MESSAGES", "500");
    let fault = json!({"match": "`t`", "times": null, "kind": {"delay_ms": 100}});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..20_000).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["batch settled"]).await?;
    host.kill().await?;
    job.stack.clear_faults().await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT uniqExact(id) FROM t").await?, "20000");
    Ok(())
}

#[tokio::test]
async fn a_second_member_takes_partitions_over_and_nothing_is_lost() -> anyhow::Result<()> {
    let mut job = Job::with_partitions(TABLE, 4).await?.with("NUM_MESSAGES", "500");
    job.produce((0..10_000).map(record)).await?;
    let mut first = job.start()?;
    first.wait_for(&["batch settled"]).await?;
    let mut second = job.start()?;
    second.wait_for(&["partitions assigned"]).await?;
    job.produce((10_000..20_000).map(record)).await?;
    job.wait_until_committed(&second).await?;
    let (first, second) = (first.stop().await?, second.stop().await?);
    assert_eq!((first.in_flight, second.in_flight), (0, 0));
    assert!(second.landed > 0, "the second member had no part in it");
    assert_eq!(job.query("SELECT uniqExact(id) FROM t").await?, "20000");
    Ok(())
}

/// A host that is overtaken by retention: all that Kafka still has is read, whatever is configured.
async fn overtaken_by_retention(changes: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, s String) ENGINE = MergeTree ORDER BY id").await?;
    job.produce([r#"{"id":0,"s":""}"#]).await?;
    job.run_to_the_end().await?;
    for (name, value) in changes {
        job = job.with(name, value);
    }
    // The mock broker keeps 5 MiB of a partition, as compressed by the producer: of these 40 MB
    // of noise most are gone before they are read.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = |id: u64| {
        let text = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("{state:016x}")
        });
        format!(r#"{{"id":{id},"s":"{}"}}"#, text.take(125).collect::<String>())
    };
    job.produce((1..20_000).map(&mut noise)).await?;
    let mut host = job.start()?;
    host.wait_for(&["records lost", "retention"]).await?;
    let metrics = host.admin("GET", "/metrics").await?;
    assert!(metrics.metric("sluicegate_retention_losses_total").is_some_and(|lost| lost >= 1.0));
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert!(ledger.landed > 0 && ledger.landed < 19_999, "{ledger:?}");
    // The mock keeps whole batches, so the rows that landed are the last ones without a gap.
    let gaps = "SELECT max(id) - min(id) + 1 - count() FROM t WHERE id > 0";
    assert_eq!(job.query(gaps).await?, "0");
    assert_eq!(job.query("SELECT max(id) FROM t").await?, "19999");
    Ok(())
}

#[tokio::test]
async fn offsets_that_retention_took_are_said_to_be_lost_and_read_on() -> anyhow::Result<()> {
    overtaken_by_retention(&[]).await
}

#[tokio::test]
async fn what_retention_left_is_read_with_latest_in_a_group_of_the_eager_protocol()
-> anyhow::Result<()> {
    let properties = "fetch.wait.max.ms=20,session.timeout.ms=3000,heartbeat.interval.ms=500,\
                      partition.assignment.strategy=range";
    let latest = ("KAFKA_AUTO_OFFSET_RESET", "latest");
    overtaken_by_retention(&[latest, ("KAFKA_PROPERTIES", properties)]).await
}

#[tokio::test]
async fn a_commit_is_answered_and_not_repeated_while_nothing_comes() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.produce((0..100).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["offsets committed"]).await?;
    job.wait_until_committed(&host).await?;
    // Long enough for two more commits, were the first one not known to be stored.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let commits = host.log().iter().filter(|line| line.contains("offsets committed")).count();
    assert_eq!(commits, 1, "{}", host.log().join("\n"));
    assert_eq!(host.stop().await?.landed, 100);
    Ok(())
}
