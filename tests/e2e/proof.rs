//! An INSERT counts as landed only by an answer that proves it.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use sluicegate_tests::Job;

use crate::looked_up::Between;

fn record(id: u64) -> String {
    format!(r#"{{"id":{id},"name":"n{id}"}}"#)
}

const PLAIN: &str = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";

#[tokio::test]
async fn a_page_with_status_200_is_no_proof_of_an_insert() -> anyhow::Result<()> {
    let mut job = Job::new(PLAIN).await?;
    let kind = json!({"http_status": 200, "body": "<html>We are under maintenance</html>"});
    let fault = json!({"match": "`t`", "times": 1, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "something else than ClickHouse answers"]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    assert_eq!(job.query("SELECT count() FROM t").await?, "5");
    Ok(())
}

#[tokio::test]
async fn the_answer_to_another_insert_is_no_proof() -> anyhow::Result<()> {
    for delivery in ["at_least_once", "exactly_once"] {
        let table = format!("{PLAIN} SETTINGS non_replicated_deduplication_window = 1000");
        let mut job = Job::new(&table).await?.with("DELIVERY", delivery);
        let fault = json!({"match": "`t`", "times": 2, "kind": "success_of_another"});
        job.stack.fault(&serde_json::from_value(fault)?).await?;
        job.produce((0..5).map(record)).await?;
        let mut host = job.start()?;
        host.wait_for(&["the answer is to another query"]).await?;
        job.wait_until_committed(&host).await?;
        host.stop().await?;
        assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "5\t5", "{delivery}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_a_proxy_finds_too_large_is_split() -> anyhow::Result<()> {
    let mut job = Job::new(PLAIN).await?;
    let kind = json!({"http_status": 413, "body": "<html>413</html>"});
    let fault = json!({"match": "`t`", "times": 3, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..10).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (10, 0));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "10\t10");
    Ok(())
}

#[tokio::test]
async fn a_table_that_keeps_nothing_is_refused_until_a_view_does() -> anyhow::Result<()> {
    let mut job = Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = Null").await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "engine Null, which keeps no row"]).await?;
    job.query("CREATE MATERIALIZED VIEW v ENGINE = MergeTree ORDER BY id AS SELECT id FROM t")
        .await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT count() FROM v").await?, "5");
    Ok(())
}

/// A job whose INSERT waits in the server, in front of a view that is gone once it runs.
async fn without_its_view(view: &str) -> anyhow::Result<(Job, sluicegate_tests::Host)> {
    let mut job = Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = Null").await?;
    job.query("CREATE DATABASE ids ENGINE = Atomic").await?;
    job.query("CREATE TABLE stored (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.query(view).await?;
    let fault = json!({"match": "`t`", "times": 1, "kind": {"delay_ms": 3_000}});
    let fault = job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..5).map(record)).await?;
    let host = job.start()?;
    for _ in 0..600 {
        let faults = job.stack.faults().await?;
        if faults.iter().any(|status| status.id == fault && status.hits == 1) {
            job.query("DROP TABLE ids.v SYNC").await?;
            return Ok((job, host));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("no INSERT came")
}

const VIEW: &str = "CREATE MATERIALIZED VIEW ids.v TO stored AS SELECT id FROM default.t";

#[tokio::test]
async fn rows_that_came_while_the_view_was_away_are_sent_again() -> anyhow::Result<()> {
    let (job, mut host) = without_its_view(VIEW).await?;
    host.wait_for(&["paused", "engine Null, which keeps no row"]).await?;
    assert_eq!(job.committed()?, [0]);
    job.query(VIEW).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT uniqExact(id) FROM stored").await?, "5");
    Ok(())
}

#[tokio::test]
async fn a_view_that_was_made_again_in_time_is_another_one() -> anyhow::Result<()> {
    let (job, mut host) = without_its_view(VIEW).await?;
    let kind = json!({"delay_ms": 8_000});
    let look = json!({"match": "v.uuid", "times": null, "kind": kind, "applies_to": "query"});
    job.stack.fault(&serde_json::from_value(look)?).await?;
    for _ in 0..600 {
        let inserts = job.stack.inserts("`t`").await?;
        if let Some(insert) = inserts.first() {
            ensure!(insert.outcome_code == 0, "{insert:?}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    job.query(VIEW).await?;
    host.wait_for(&["WARN", "dropped or made again"]).await?;
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT uniqExact(id) FROM stored").await?, "5");
    Ok(())
}

#[tokio::test]
async fn a_view_is_judged_by_what_it_stores_in() -> anyhow::Result<()> {
    let kept = "CREATE TABLE kept (id UInt64) ENGINE = MergeTree ORDER BY id";
    let buffer = "CREATE TABLE target AS kept ENGINE = \
                  Buffer(currentDatabase(), kept, 1, 1, 2, 1, 2, 1, 2)";
    let view = "CREATE MATERIALIZED VIEW t TO target AS SELECT id FROM source";
    for (target, behind, said) in [
        (
            "CREATE TABLE target (id UInt64) ENGINE = Null",
            view,
            "`default.target` is of the engine Null",
        ),
        (buffer, view, "`default.target` is of the engine Buffer"),
        (
            "CREATE TABLE target (id UInt64) ENGINE = Null",
            "CREATE TABLE t ENGINE = Alias('default', 'target')",
            "`default.target` is of the engine Null",
        ),
    ] {
        let mut job =
            Job::new("CREATE TABLE source (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
        for statement in [kept, target, behind] {
            job.query(statement).await?;
        }
        job.produce((0..5).map(record)).await?;
        let mut host = job.start()?;
        host.wait_for(&["paused", said, "`default.t`"]).await?;
        assert_eq!(job.committed()?, [0]);
        job.query("DROP TABLE target").await?;
        job.query("CREATE TABLE target (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
        job.wait_until_committed(&host).await?;
        host.stop().await?;
        assert_eq!(job.query("SELECT count() FROM target").await?, "5");
    }
    Ok(())
}

#[tokio::test]
async fn a_buffer_is_refused_for_its_destination() -> anyhow::Result<()> {
    let mut job = Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = Memory").await?;
    job.query("DROP TABLE t").await?;
    job.query(&PLAIN.replace("TABLE t", "TABLE stored")).await?;
    job.query(
        "CREATE TABLE t AS stored ENGINE = Buffer(currentDatabase(), stored, 1, 1, 2, 1, 2, 1, 2)",
    )
    .await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "engine Buffer", "set CLICKHOUSE_TABLE to the destination"]).await?;
    assert_eq!(job.committed()?, [0]);
    host.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_view_in_front_of_which_nothing_is_stored_costs_the_record_that_it_throws_on()
-> anyhow::Result<()> {
    let mut job = Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = Null").await?;
    job.query("CREATE TABLE stored (id UInt64, size UInt64) ENGINE = MergeTree ORDER BY id")
        .await?;
    job.query("CREATE MATERIALIZED VIEW v TO stored AS SELECT id, toUInt64(name) AS size FROM t")
        .await?;
    let name = |id: u64| if id == 17 { "x".to_owned() } else { id.to_string() };
    job.produce((0..100).map(|id| format!(r#"{{"id":{id},"name":"{}"}}"#, name(id)))).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (99, 1));
    assert_eq!(job.query("SELECT uniqExact(id), countIf(id = 17) FROM stored").await?, "99\t0");
    assert_eq!(job.dead_letters()?[0].reason(), "insert_refused");
    Ok(())
}

#[tokio::test]
async fn a_view_whose_target_has_no_room_loses_nothing() -> anyhow::Result<()> {
    let mut job = Job::new(PLAIN).await?;
    job.query(
        "CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS \
         parts_to_throw_insert = 1, parts_to_delay_insert = 1, max_delay_to_insert = 1",
    )
    .await?;
    job.query("SYSTEM STOP MERGES seen").await?;
    job.query("INSERT INTO seen SELECT 1000").await?;
    job.query("INSERT INTO seen SELECT 1001").await.ok();
    job.query("CREATE MATERIALIZED VIEW v TO seen AS SELECT id FROM t").await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "default.v"]).await?;
    job.query("TRUNCATE TABLE seen").await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT uniqExact(id) FROM t").await?, "5");
    Ok(())
}

#[tokio::test]
async fn an_alter_while_an_insert_is_held_cuts_no_value() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, v Int64) ENGINE = MergeTree ORDER BY id").await?;
    let kind = json!({"code": 252, "text": "Too many parts (3000 in all)"});
    job.stack
        .fault(&serde_json::from_value(json!({"match": "`t`", "times": null, "kind": kind}))?)
        .await?;
    job.produce(
        (0..10).map(|id| format!(r#"{{"id":{id},"v":{}}}"#, if id == 3 { 300 } else { id })),
    )
    .await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "252"]).await?;
    job.query("ALTER TABLE t MODIFY COLUMN v Int8").await?;
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (9, 1));
    assert_eq!(job.query("SELECT count(), sum(v) FROM t").await?, "9\t42");
    Ok(())
}

#[tokio::test]
async fn what_a_proxy_forbids_of_a_query_is_paused_by_name_and_what_passes_is_waited_out()
-> anyhow::Result<()> {
    let mut job = Job::new(PLAIN).await?;
    job.produce((0..5).map(record)).await?;
    let fault = |status: u16| {
        let kind = json!({"http_status": status, "body": "<html>no</html>"});
        json!({"match": "", "times": null, "kind": kind, "applies_to": "query"})
    };
    job.stack.fault(&serde_json::from_value(fault(503))?).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "with status 503", "CLICKHOUSE_HOST"]).await?;
    job.stack.clear_faults().await?;
    job.stack.fault(&serde_json::from_value(fault(403))?).await?;
    host.wait_for(&["paused", "with status 403: <html>no</html>; a rule of the proxy"]).await?;
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_partitioned_by_a_part_of_a_column_is_known_to_be_partitioned()
-> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, at Tuple(day Int32, name String)) ENGINE = MergeTree \
                 PARTITION BY at.day ORDER BY id";
    let mut job = Job::new(table).await?.exactly_once(1_000).await?;
    job.produce((0..400).map(|id| format!(r#"{{"id":{id},"at":{{"day":{},"name":""}}}}"#, id % 4)))
        .await?;
    let mut host = job.start()?;
    let alter =
        "ALTER TABLE `default`.`t` MODIFY SETTING non_replicated_deduplication_window = 10000";
    host.wait_for(&["paused", "1000 tokens by a setting of its own", alter]).await?;
    host.kill().await?;
    let job = job.with("DELIVERY", "at_least_once");
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (400, 0));
    for insert in job.stack.inserts("`t`").await? {
        let setting = insert.settings.get("max_insert_delayed_streams_for_parallel_write");
        assert_eq!(setting.map(String::as_str), Some("1000000"));
    }
    Ok(())
}

#[tokio::test]
async fn a_profile_that_finds_columns_by_other_names_changes_no_value() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, a Int64, A Int64) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table).await?;
    job.produce((0..5).map(|id| format!(r#"{{"id":{id},"a":1,"A":2}}"#))).await?;
    let between = Between::new(job.stack.clickhouse_url(), |request| {
        request.replace("POST /?", "POST /?input_format_arrow_case_insensitive_column_matching=1&")
    });
    let between = between.await?;
    job = job.with("CLICKHOUSE_HOST", &between.url);
    job.run_to_the_end().await?;
    between.task.abort();
    assert_eq!(job.query("SELECT a, A, count() FROM t GROUP BY a, A").await?, "1\t2\t5");
    Ok(())
}

/// The names are those that the host's own queries might use.
#[tokio::test]
async fn rows_are_found_whatever_their_columns_are_called() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (k UInt64, part UInt64, rows UInt64, seen UInt64) ENGINE = MergeTree ORDER BY k \
                 SETTINGS non_replicated_deduplication_window = 1000";
    let mut job = Job::new(table).await?;
    let fault = json!({"match": "`t`", "times": 1, "kind": "reset_after_commit"});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    let of = |id: u64| format!(r#"{{"k":{id},"part":{id},"rows":{id},"seen":{id}}}"#);
    job.produce((0..500).map(of)).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT count(), uniqExact(k) FROM t").await?, "500\t500");
    Ok(())
}
