//! The log, where nobody reads it.

use nix::sys::signal::Signal;
use sluicegate_tests::{Host, Job, UNREAD_BYTES};

const RECORDS: u64 = 10;

/// A host whose log nobody reads, behind more of it than a pipe holds, and records that landed all the same.
async fn unread() -> anyhow::Result<(Job, Host)> {
    let create = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(create).await?;
    let host = Host::start_unread(&job.environment)?;
    for id in 0..RECORDS {
        job.produce([format!(r#"{{"id":{id}}}"#)]).await?;
        job.wait_until_committed(&host).await?;
    }
    Ok((job, host))
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_no_record_and_is_whole_once_it_is_read()
-> anyhow::Result<()> {
    let (job, mut host) = unread().await?;
    host.read_log()?;
    assert_eq!(host.admin("GET", "/readyz").await?.body, "ready\n");
    let log = host.log();
    let logged: usize = log.iter().map(String::len).sum();
    assert!(logged > 2 * UNREAD_BYTES, "a pipe holds {logged} bytes");
    let first = log.first().map(String::as_str).unwrap_or_default();
    assert!(first.contains(r#""starting""#), "{first}");
    let ledger = host.stop().await?;
    assert_eq!(ledger.landed, RECORDS, "the last line of the log came");
    assert_eq!(job.query("SELECT count() FROM t").await?, RECORDS.to_string());
    Ok(())
}

#[tokio::test]
async fn a_host_whose_log_nobody_reads_can_be_stopped() -> anyhow::Result<()> {
    let (job, mut host) = unread().await?;
    host.signal(Signal::SIGTERM)?;
    assert!(host.wait().await?.success());
    assert_eq!(job.query("SELECT count() FROM t").await?, RECORDS.to_string());
    Ok(())
}
