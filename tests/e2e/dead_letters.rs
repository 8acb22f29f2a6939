//! The dead letter topic when it does not take what it is given.

use sluicegate_tests::Job;

const TABLE: &str = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";

#[tokio::test]
async fn a_letter_too_large_for_the_topic_is_cut_and_says_what_it_was() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let record = format!(r#"{{"id":"x","name":"{}"}}"#, "n".repeat(100_000));
    job.produce([record.as_str(), r#"{"id":1,"name":"n"}"#]).await?;
    // From here on the host alone produces.
    job.stack.kafka_errors("produce", &["MSG_SIZE_TOO_LARGE"]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    let letters = job.dead_letters()?;
    assert_eq!(letters.len(), 1);
    let payload = letters[0].payload.as_deref().unwrap_or_default();
    assert_eq!(payload, &record.as_bytes()[..64_000]);
    assert_eq!(letters[0].header("sluicegate.truncated-from"), record.len().to_string());
    assert_eq!(letters[0].header("sluicegate.sha256").len(), 64);
    assert_eq!(letters[0].reason(), "type_mismatch");
    Ok(())
}

#[tokio::test]
async fn nothing_is_committed_while_a_letter_cannot_be_written() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.produce([r#"{"id":"x"}"#, r#"{"id":1}"#]).await?;
    job.stack.kafka_errors("produce", &["TOPIC_AUTHORIZATION_FAILED"; 3]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "KAFKA_DLQ_TOPIC", "WRITE"]).await?;
    assert_eq!(job.committed()?, [0]);
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    assert_eq!(job.dead_letters()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_replayed_letter_that_fails_again_carries_its_new_facts_alone() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.produce([r#"{"id":"x"}"#]).await?;
    job.run_to_the_end().await?;
    let first = job.dead_letters()?.remove(0);
    let headers = first.headers.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    let replayed = sluicegate_tests::Message {
        payload: Some(br#"{"id":-1}"#.to_vec()),
        headers: headers.collect(),
        ..Default::default()
    };
    job.produce([replayed]).await?;
    job.run_to_the_end().await?;
    let second = &job.dead_letters()?[1];
    assert_eq!(second.reason(), "out_of_range");
    assert_eq!(second.header("__connect.errors.offset"), "1");
    assert_eq!(second.headers.len(), first.headers.len());
    Ok(())
}
