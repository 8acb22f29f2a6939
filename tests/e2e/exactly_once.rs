//! DELIVERY=exactly_once: what lands twice with at_least_once lands once.

use serde_json::{Value, json};
use sluicegate_tests::{Host, Job};

const TABLE: &str = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";

fn record(id: u64) -> String {
    format!(r#"{{"id":{id},"name":"n{id}"}}"#)
}

async fn job(create_table: &str) -> anyhow::Result<Job> {
    Job::new(create_table).await?.exactly_once(1_000).await
}

async fn fault(job: &Job, fault: Value) -> anyhow::Result<()> {
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    Ok(())
}

async fn rows(job: &Job) -> anyhow::Result<String> {
    job.query("SELECT count(), uniqExact(id) FROM t").await
}

/// A host that is killed once ClickHouse has the rows and before it hears of it.
async fn kill_before_the_answer(job: &Job) -> anyhow::Result<()> {
    fault(job, json!({"match": "`t`", "times": null, "kind": "reset_after_commit"})).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting"]).await?;
    host.kill().await?;
    job.stack.clear_faults().await
}

#[tokio::test]
async fn what_landed_before_a_crash_does_not_land_again() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    assert_eq!(rows(&job).await?, "500\t500");
    assert_eq!(job.committed()?, [0]);
    job.produce((500..600).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!(ledger.landed, 600);
    assert_eq!(rows(&job).await?, "600\t600");
    Ok(())
}

#[tokio::test]
async fn with_at_least_once_the_same_crash_doubles() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?.with("DELIVERY", "at_least_once");
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "1000\t500");
    Ok(())
}

#[tokio::test]
async fn ranges_are_cut_again_as_they_were_planned_though_the_bounds_are_others()
-> anyhow::Result<()> {
    let mut job = job(TABLE).await?.with("NUM_MESSAGES", "100");
    job.produce((0..1_000).map(record)).await?;
    kill_before_the_answer(&job).await?;
    let landed: u64 = job.query("SELECT uniqExact(id) FROM t").await?.parse()?;
    assert!((100..1_000).contains(&landed), "{landed}");
    job = job.with("NUM_MESSAGES", "1000").with("IN_FLIGHT_BATCHES", "1");
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "1000\t1000");
    Ok(())
}

#[tokio::test]
async fn one_record_that_is_refused_is_found_and_its_neighbours_land_once() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String, CONSTRAINT c CHECK id % 1000 != 321) \
                 ENGINE = MergeTree ORDER BY id";
    let mut job = job(table).await?.with("BATCH_LINGER_MS", "3000");
    job.produce((0..5_000).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (4_995, 5));
    assert_eq!(rows(&job).await?, "4995\t4995");
    let mut refused: Vec<_> = job
        .dead_letters()?
        .iter()
        .map(|letter| letter.header("__connect.errors.offset").to_owned())
        .collect();
    refused.sort_unstable();
    assert_eq!(refused, ["1321", "2321", "321", "3321", "4321"]);
    let inserts = job.stack.inserts("`t`").await?;
    let tokens: std::collections::BTreeSet<_> =
        inserts.iter().map(|insert| &insert.settings["insert_deduplication_token"]).collect();
    assert_eq!(tokens.len(), inserts.len(), "what is split has tokens of its own");
    Ok(())
}

#[tokio::test]
async fn a_batch_that_is_refused_after_a_crash_is_split_once_it_can_be_told() -> anyhow::Result<()>
{
    let table = "CREATE TABLE t (id UInt64, name String, CONSTRAINT c CHECK id != 321) \
                 ENGINE = MergeTree ORDER BY id";
    let mut job = job(table).await?.with("BATCH_LINGER_MS", "1000");
    fault(&job, json!({"match": "`t`", "times": null, "kind": "reset_during"})).await?;
    job.produce((0..1_000).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting"]).await?;
    host.kill().await?;
    job.stack.clear_faults().await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (999, 1));
    assert_eq!(rows(&job).await?, "999\t999");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_told_pauses_with_the_range_until_an_operator_answers() -> anyhow::Result<()>
{
    let mut job = job(TABLE).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    // The rows are in the table; a constraint refuses them all the same if they are sent again.
    job.stack.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 321").await?;
    let mut host = job.start()?;
    let paused = ["paused", "records[0] at the offsets 0..500", "DELIVERY_ANSWERS="];
    let text = host.wait_for(&paused).await?;
    assert_eq!(job.committed()?, [0]);
    host.kill().await?;
    let (_, rest) = text.split_once("DELIVERY_ANSWERS=").unwrap();
    let (token, _) = rest.split_once('=').unwrap();
    job = job.with("DELIVERY_ANSWERS", &format!("{token}=landed"));
    job.produce((500..600).map(record)).await?;
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "600\t600");
    Ok(())
}

#[tokio::test]
async fn a_token_that_the_window_may_have_forgotten_is_not_sent() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    let others = "INSERT INTO t SELECT number + 1000, '' FROM numbers(2) \
                  SETTINGS max_block_size = 1, min_insert_block_size_rows = 1";
    for _ in 0..260 {
        job.stack.query(others).await?;
    }
    let mut host = job.start()?;
    host.wait_for(&["paused", "records[0] at the offsets 0..500", "cannot be told"]).await?;
    assert_eq!(job.committed()?, [0]);
    host.kill().await?;
    assert_eq!(job.query("SELECT count() FROM t WHERE id < 1000").await?, "500");
    Ok(())
}

#[tokio::test]
async fn a_table_that_remembers_too_little_pauses_with_the_alter_that_heals_it()
-> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("DELIVERY", "exactly_once");
    job.produce((0..10).map(record)).await?;
    let mut host = job.start()?;
    let alter =
        "ALTER TABLE `default`.`t` MODIFY SETTING non_replicated_deduplication_window = 1000";
    host.wait_for(&["paused", alter]).await?;
    job.stack.query(alter).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(rows(&job).await?, "10\t10");
    Ok(())
}

#[tokio::test]
async fn a_view_whose_target_remembers_nothing_pauses_and_names_both() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    for sql in [
        "CREATE TABLE `the seen` (id UInt64) ENGINE = MergeTree ORDER BY id",
        "CREATE MATERIALIZED VIEW v TO `the seen` AS SELECT id FROM t",
    ] {
        job.stack.query(sql).await?;
    }
    job.produce((0..10).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "default.the seen", "the view `default.v`"]).await?;
    let setting = "non_replicated_deduplication_window = 1000";
    job.stack.query(&format!("ALTER TABLE `the seen` MODIFY SETTING {setting}")).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(
        job.query("SELECT count(), (SELECT count() FROM `the seen`) FROM t").await?,
        "10\t10"
    );
    Ok(())
}

#[tokio::test]
async fn two_members_share_partitions_and_hand_them_over_without_a_double() -> anyhow::Result<()> {
    let mut job = Job::with_partitions(TABLE, 4)
        .await?
        .exactly_once(1_000)
        .await?
        .with("NUM_MESSAGES", "100")
        .with("BATCH_LINGER_MS", "50");
    fault(&job, json!({"match": "`t`", "times": null, "kind": {"delay_ms": 20}})).await?;
    job.produce((0..20_000).map(record)).await?;
    let mut first = job.start()?;
    first.wait_for_count(&["batch settled"], 5).await?;
    let mut second: Host = job.start()?;
    second.wait_for_count(&["batch settled"], 5).await?;
    let first = first.stop().await?;
    job.wait_until_committed(&second).await?;
    let second = second.stop().await?;
    assert!(first.landed > 0 && second.landed > 0, "{first:?} {second:?}");
    assert_eq!(rows(&job).await?, "20000\t20000");
    Ok(())
}

#[tokio::test]
async fn a_plan_that_is_open_is_told_to_who_takes_over_at_least_once() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    let job = job.with("DELIVERY", "at_least_once");
    let mut host = job.start()?;
    host.wait_for(&["WARN", "a plan of DELIVERY=exactly_once is open"]).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(rows(&job).await?, "1000\t500");
    Ok(())
}

/// A table that has a column for tokens.
async fn job_with_tokens() -> anyhow::Result<Job> {
    let table = "CREATE TABLE t (id UInt64, name String, token LowCardinality(String)) \
                 ENGINE = MergeTree ORDER BY id";
    Ok(job(table).await?.with("METADATA_COLUMNS", "token=token"))
}

async fn insert_beside(job: &Job, inserts: u64) -> anyhow::Result<()> {
    for id in 1_000..1_000 + inserts {
        job.stack.query(&format!("INSERT INTO t (id) VALUES ({id})")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_column_of_tokens_tells_what_landed_once_the_window_has_forgotten() -> anyhow::Result<()>
{
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    insert_beside(&job, 510).await?;
    job.produce((500..510).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["looked for its rows", r#""landed":500"#]).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    let counts = "SELECT count(), uniqExact(id), countIf(token = '') FROM t WHERE id < 1000";
    assert_eq!(job.query(counts).await?, "510\t510\t0");
    Ok(())
}

#[tokio::test]
async fn what_a_column_of_tokens_does_not_show_is_planned_anew() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    fault(&job, json!({"match": "`t`", "times": null, "kind": "reset_during"})).await?;
    job.produce((0..500).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting"]).await?;
    host.kill().await?;
    job.stack.clear_faults().await?;
    insert_beside(&job, 510).await?;
    job.run_to_the_end().await?;
    let counts = "SELECT count(), uniqExact(id), uniqExact(token) FROM t WHERE id < 1000";
    assert_eq!(job.query(counts).await?, "500\t500\t1");
    Ok(())
}

#[tokio::test]
async fn rows_that_cannot_be_written_leave_nothing_in_any_partition_of_the_table()
-> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String, INDEX i intDiv(1, id - 7) TYPE minmax) \
                 ENGINE = MergeTree PARTITION BY id % 4 ORDER BY id";
    let mut job =
        Job::new(table).await?.exactly_once(10_000).await?.with("BATCH_LINGER_MS", "1000");
    job.produce((0..8).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (7, 1));
    assert_eq!(rows(&job).await?, "7\t7");
    Ok(())
}

/// Each partition of the table has its part: a server that died in between would have some of them.
#[tokio::test]
async fn a_part_of_a_range_in_the_table_is_no_proof_that_the_whole_landed() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String, token LowCardinality(String)) \
                 ENGINE = MergeTree PARTITION BY id % 2 ORDER BY id";
    let mut job =
        Job::new(table).await?.exactly_once(10_000).await?.with("METADATA_COLUMNS", "token=token");
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    job.stack.query("ALTER TABLE t DROP PARTITION 1").await?;
    job.stack.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 321").await?;
    let mut host = job.start()?;
    host.wait_for(&["looked for its rows", r#""landed":250"#]).await?;
    host.wait_for(&["paused", "cannot be told"]).await?;
    host.kill().await?;
    Ok(())
}
