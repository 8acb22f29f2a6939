//! What is wrong at the start is said in words that name the variable to look at, and waited for
//! where it may heal.

use nix::sys::signal::Signal;
use sluicegate_tests::Job;

const TABLE: &str = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";

#[tokio::test]
async fn a_wrong_configuration_lists_every_rule_and_exits_64() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE)
        .await?
        .with("NUM_MESSAGES", "many")
        .with("DLQ_MAX_SHARE", "2")
        .with("CLICKHOUSE_HOST", "http://user:secret@db");
    job.environment.remove("KAFKA_BROKER");
    let mut host = job.start()?;
    let status = host.wait().await?;
    assert_eq!(status.code(), Some(64));
    let log = host.log().join("\n");
    for variable in ["KAFKA_BROKER", "NUM_MESSAGES", "DLQ_MAX_SHARE", "CLICKHOUSE_HOST"] {
        assert!(log.contains(variable), "{variable} is not in:\n{log}");
    }
    assert!(!log.contains("secret"), "the password is in:\n{log}");
    Ok(())
}

#[tokio::test]
async fn a_pattern_that_matches_the_dead_letter_topic_is_refused() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("KAFKA_SOURCE_TOPIC", "^dead-.*");
    let mut host = job.start()?;
    assert_eq!(host.wait().await?.code(), Some(64));
    let log = host.log().join("\n");
    assert!(log.contains("KAFKA_SOURCE_TOPIC") && log.contains("KAFKA_DLQ_TOPIC"), "{log}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_table_is_named_and_taken_once_it_exists() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("CLICKHOUSE_TABLE", "later");
    job.produce([r#"{"id":1}"#]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "later", "CLICKHOUSE_TABLE"]).await?;
    job.stack.query("CREATE TABLE later (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.wait_until_committed(&host).await?;
    assert_eq!(host.stop().await?.landed, 1);
    Ok(())
}

#[tokio::test]
async fn a_table_whose_name_holds_dots_is_filled() -> anyhow::Result<()> {
    const NAME: &str = "shop.orders.v1";
    for delivery in ["at_least_once", "exactly_once"] {
        let mut job = Job::new(TABLE)
            .await?
            .with("CLICKHOUSE_DATABASE", "default")
            .with("CLICKHOUSE_TABLE", NAME)
            .with("DELIVERY", delivery);
        let of =
            "ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 10000";
        job.stack.query(&format!("CREATE TABLE `{NAME}` (id UInt64, name String) {of}")).await?;
        job.produce([r#"{"id":1,"name":"a"}"#, r#"{"id":"no"}"#]).await?;
        let ledger = job.run_to_the_end().await?;
        assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
        assert_eq!(
            job.query(&format!("SELECT * FROM `{NAME}` FORMAT CSV")).await?.trim(),
            "1,\"a\""
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_named_and_taken_once_it_exists() -> anyhow::Result<()> {
    for (variable, topic) in [("KAFKA_SOURCE_TOPIC", "soon"), ("KAFKA_DLQ_TOPIC", "soon-dead")] {
        let job = Job::new(TABLE).await?.with(variable, topic);
        let mut host = job.start()?;
        host.wait_for(&["paused", topic, variable]).await?;
        job.stack.create_topic(topic, 1).await?;
        host.wait_for(&["partitions assigned"]).await?;
        host.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_column_name_in_a_rule_that_is_no_column_is_named_with_its_near_miss()
-> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, created_at DateTime) ENGINE = MergeTree ORDER BY id")
            .await?
            .with("REQUIRED_COLUMNS", "craeted_at");
    job.produce([r#"{"id":1}"#]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "REQUIRED_COLUMNS", "craeted_at", "created_at"]).await?;
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_column_of_an_unsupported_type_is_named_at_the_start() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, state Array(AggregateFunction(sum, UInt64))) ENGINE = MergeTree ORDER BY id",
    )
    .await?;
    job.produce([r#"{"id":1}"#]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "`state`", "AggregateFunction", "not supported"]).await?;
    job.stack
        .query("ALTER TABLE t MODIFY COLUMN state Array(AggregateFunction(sum, UInt64)) DEFAULT []")
        .await?;
    job.wait_until_committed(&host).await?;
    assert_eq!(host.stop().await?.landed, 1);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_waited_for() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("KAFKA_BROKER", "127.0.0.1:1");
    let mut host = job.start()?;
    host.wait_for(&["waiting", "KAFKA_BROKER", "127.0.0.1:1"]).await?;
    host.signal(Signal::SIGTERM)?;
    assert_eq!(host.wait().await?.code(), Some(0), "{}", host.log().join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_clickhouse_that_does_not_answer_is_named_and_waited_for() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("CLICKHOUSE_HOST", "127.0.0.1:1");
    job.produce([r#"{"id":1}"#]).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "CLICKHOUSE_HOST", "127.0.0.1:1"]).await?;
    assert_eq!(host.stop().await?.landed, 0);
    assert_eq!(job.committed()?, [0]);
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_laid_to_its_variable_and_never_shown() -> anyhow::Result<()> {
    let options = sluicegate_tests::stack_options()?.with_credentials("default", "right-one");
    let mut job = Job::on(options, TABLE, 1)
        .await?
        .with("CLICKHOUSE_USER", "default")
        .with("CLICKHOUSE_PASSWORD", "wrong-one");
    job.produce([r#"{"id":1}"#]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "CLICKHOUSE_PASSWORD"]).await?;
    let log = host.log().join("\n");
    assert!(!log.contains("wrong-one"), "the password is in:\n{log}");
    host.stop().await?;
    job = job.with("CLICKHOUSE_PASSWORD", "right-one");
    assert_eq!(job.run_to_the_end().await?.landed, 1);
    Ok(())
}
