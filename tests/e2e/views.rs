//! Materialized views that throw after the rows are in the table, and what only looks like one.

use std::time::Duration;

use serde_json::json;
use sluicegate_tests::Job;

fn record(id: u64) -> String {
    format!(r#"{{"id":{id},"name":"n{id}"}}"#)
}

#[tokio::test]
async fn a_view_that_throws_pauses_and_leaves_the_base_count_exact() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    job.stack.query("CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.stack
        .query(
            "CREATE MATERIALIZED VIEW broken TO seen AS \
             SELECT id FROM t WHERE NOT throwIf(id = 3, 'three')",
        )
        .await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "broken"]).await?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(job.query("SELECT count() FROM t").await?, "5");
    assert_eq!(job.committed()?, [0]);

    job.stack.query("DROP TABLE broken").await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    assert_eq!(job.query("SELECT count() FROM t").await?, "5");
    Ok(())
}

#[tokio::test]
async fn where_the_table_deduplicates_a_mended_view_gets_its_rows() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id \
         SETTINGS non_replicated_deduplication_window = 100",
    )
    .await?;
    job.stack.query("CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    let view =
        |limit: u64| format!("SELECT id FROM t WHERE NOT throwIf(id > {limit}, 'too large')");
    job.stack.query(&format!("CREATE MATERIALIZED VIEW broken TO seen AS {}", view(3))).await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "broken"]).await?;
    job.stack.query(&format!("ALTER TABLE broken MODIFY QUERY {}", view(100))).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT count(), (SELECT count() FROM seen) FROM t").await?, "5\t5");
    Ok(())
}

#[tokio::test]
async fn two_views_into_one_target_each_keep_their_rows_and_double_none() -> anyhow::Result<()> {
    let window = "SETTINGS non_replicated_deduplication_window = 100";
    let table = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(&format!("{table} {window}")).await?;
    let seen = "CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id";
    job.stack.query(&format!("{seen} {window}")).await?;
    for view in ["one", "two"] {
        let view = format!("CREATE MATERIALIZED VIEW {view} TO seen AS SELECT id FROM t");
        job.stack.query(&view).await?;
    }
    let fault = serde_json::json!({"match": "`t`", "times": 1, "kind": "reset_after_commit"});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..5).map(record)).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT count(), (SELECT count() FROM seen) FROM t").await?, "5\t10");
    let inserts = job.stack.inserts("`t`").await?;
    let setting = "update_insert_deduplication_token_in_dependent_materialized_views";
    assert!(inserts.iter().all(|insert| insert.settings[setting] == "1"));
    Ok(())
}

#[tokio::test]
async fn a_view_that_throws_for_longer_than_the_table_remembers_tokens_doubles_no_row()
-> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id \
         SETTINGS non_replicated_deduplication_window = 10",
    )
    .await?;
    job.stack.query("CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    let view = |thrown: u64| format!("SELECT id FROM t WHERE NOT throwIf(id = {thrown}, 'no')");
    job.stack.query(&format!("CREATE MATERIALIZED VIEW broken TO seen AS {}", view(3))).await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "broken"]).await?;
    for id in 0..12 {
        job.stack.query(&format!("INSERT INTO t VALUES ({}, 'theirs')", 1_000 + id)).await?;
    }
    job.stack.query(&format!("ALTER TABLE broken MODIFY QUERY {}", view(999))).await?;
    host.wait_for(&["ERROR", "in the table but not in the view", "broken"]).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t WHERE id < 1000").await?, "5\t5");
    Ok(())
}

/// The table that the view fills refuses the rows: the view itself is not what has to be mended.
#[tokio::test]
async fn a_view_whose_target_is_mended_goes_on() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    job.stack
        .query("CREATE TABLE seen (id UInt64, CONSTRAINT c CHECK id < 3) ENGINE = MergeTree ORDER BY id")
        .await?;
    job.stack.query("CREATE MATERIALIZED VIEW strict TO seen AS SELECT id FROM t").await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "strict"]).await?;
    job.stack.query("ALTER TABLE seen DROP CONSTRAINT c").await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    assert_eq!(job.query("SELECT count() FROM t").await?, "5");
    Ok(())
}

#[tokio::test]
async fn a_value_that_reads_like_a_view_that_throws_is_dead_lettered() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, name String, CONSTRAINT c CHECK name NOT LIKE 'secret%') \
         ENGINE = MergeTree ORDER BY id",
    )
    .await?
    .with("BATCH_LINGER_MS", "3000");
    job.stack.query("CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.stack.query("CREATE MATERIALIZED VIEW v TO seen AS SELECT id FROM t").await?;
    let posing = r#"{"id":2,"name":"secret: while pushing to view default.v"}"#;
    job.produce([record(1), posing.to_owned()]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    let log = host.log().join("\n");
    assert!(log.contains("VIOLATED_CONSTRAINT") && !log.contains("secret"), "{log}");
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    let letters = job.dead_letters()?;
    assert_eq!(letters[0].payload.as_deref(), Some(posing.as_bytes()));
    assert!(letters[0].header("__connect.errors.exception.message").contains("secret"));
    assert_eq!(job.query("SELECT count(), (SELECT count() FROM seen) FROM t").await?, "1\t1");
    Ok(())
}

#[tokio::test]
async fn a_view_behind_a_view_created_meanwhile_pauses_without_telling_values() -> anyhow::Result<()>
{
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    job.produce([record(1)]).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    for sql in [
        "CREATE TABLE seen (id UInt64, name String) ENGINE = MergeTree ORDER BY id",
        "CREATE TABLE sizes (size UInt64) ENGINE = MergeTree ORDER BY size",
        "CREATE MATERIALIZED VIEW `first one` TO seen AS SELECT id, name FROM t",
        "CREATE MATERIALIZED VIEW behind TO sizes AS SELECT toUInt64(name) AS size FROM seen",
    ] {
        job.stack.query(sql).await?;
    }
    job.produce([r#"{"id":2,"name":"secret"}"#.to_owned(), record(3)]).await?;
    host.wait_for(&["paused", "default.behind"]).await?;
    assert_eq!(job.query("SELECT count() FROM t").await?, "3");
    job.stack.query("DROP TABLE behind").await?;
    job.wait_until_committed(&host).await?;
    let log = host.log().join("\n");
    assert!(log.contains("CANNOT_PARSE_TEXT") && !log.contains("secret"), "{log}");
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (3, 0));
    assert_eq!(job.query("SELECT count() FROM t").await?, "3");
    Ok(())
}

#[tokio::test]
async fn a_view_is_watched_though_its_definition_was_not_read_at_once() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    job.stack.query("CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.stack
        .query("CREATE MATERIALIZED VIEW broken TO seen AS SELECT id FROM t WHERE NOT throwIf(1)")
        .await?;
    let kind = json!({"code": 241, "text": "memory limit exceeded"});
    let fault =
        json!({"match": "create_table_query", "applies_to": "query", "times": 1, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce([record(1)]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "broken"]).await?;
    job.stack.query("DROP TABLE broken").await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_view_that_is_dropped_before_it_is_looked_up_lets_the_host_go_on() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    job.stack.query("CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.stack
        .query(
            "CREATE MATERIALIZED VIEW broken TO seen AS \
             SELECT id FROM t WHERE NOT throwIf(id = 3, 'three')",
        )
        .await?;
    // The host asks whether there is such a view at once, and what it is made of after a second.
    let slow = json!({"match": "create_table_query", "times": 1, "applies_to": "query",
                      "kind": {"delay_ms": 1500}});
    job.stack.fault(&serde_json::from_value(slow)?).await?;
    job.produce((0..5).map(record)).await?;
    let host = job.start()?;
    while job.stack.faults().await?.iter().all(|fault| fault.hits == 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    job.stack.query("DROP TABLE broken").await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    assert_eq!(job.query("SELECT count() FROM t").await?, "5");
    Ok(())
}
