//! DELIVERY=exactly_once: what lands twice with at_least_once lands once.

use serde_json::{Value, json};
use sluicegate_tests::{Host, Job};

pub const TABLE: &str = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";

/// For a member that is to keep its partition, however busy the machine is.
const PATIENT: &str = "fetch.wait.max.ms=20,session.timeout.ms=45000,heartbeat.interval.ms=500";

pub fn record(id: u64) -> String {
    format!(r#"{{"id":{id},"name":"n{id}"}}"#)
}

pub async fn job(create_table: &str) -> anyhow::Result<Job> {
    Job::new(create_table).await?.exactly_once(1_000).await
}

pub async fn fault(job: &Job, fault: Value) -> anyhow::Result<()> {
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    Ok(())
}

pub async fn rows(job: &Job) -> anyhow::Result<String> {
    job.query("SELECT count(), uniqExact(id) FROM t").await
}

/// A host that is killed once ClickHouse has the rows and before it hears of it.
pub async fn kill_before_the_answer(job: &Job) -> anyhow::Result<()> {
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
    merge(&job).await?;
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
    assert_eq!(job.query(OURS).await?, "600\t600");
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
    merge(&job).await?;
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
pub async fn job_with_tokens() -> anyhow::Result<Job> {
    let table = "CREATE TABLE t (id UInt64, name String, token LowCardinality(String)) \
                 ENGINE = MergeTree ORDER BY id";
    Ok(job(table).await?.with("METADATA_COLUMNS", "token=token"))
}

pub async fn insert_beside(job: &Job, inserts: u64) -> anyhow::Result<()> {
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
    merge(&job).await?;
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

/// Has the parts of the table merged with another row, so that what landed cannot be told from them.
pub async fn merge(job: &Job) -> anyhow::Result<()> {
    job.stack.query("INSERT INTO t (id) VALUES (1000000)").await?;
    job.stack.query("OPTIMIZE TABLE t FINAL").await?;
    Ok(())
}

pub const OURS: &str = "SELECT count(), uniqExact(id) FROM t WHERE id < 1000000";

#[tokio::test]
async fn a_table_whose_place_a_copy_takes_pauses_where_rows_have_no_token() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    copy(&job).await?;
    let mut host = job.start()?;
    let paused = ["paused", "cannot be told", "`default.t` is another table", "DELIVERY_ANSWERS="];
    let text = host.wait_for(&paused).await?;
    host.kill().await?;
    assert_eq!((rows(&job).await?.as_str(), job.committed()?), ("500\t500", vec![0]));
    let (_, rest) = text.split_once("DELIVERY_ANSWERS=").unwrap();
    let (token, _) = rest.split_once('=').unwrap();
    job = job.with("DELIVERY_ANSWERS", &format!("{token}=landed"));
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "500\t500");
    Ok(())
}

/// A copy of the table in its place, as of a migration.
async fn copy(job: &Job) -> anyhow::Result<()> {
    for sql in [
        "CREATE TABLE t2 AS t",
        "INSERT INTO t2 SELECT * FROM t",
        "RENAME TABLE t TO t_old, t2 TO t",
    ] {
        job.stack.query(sql).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_table_whose_place_a_copy_takes_is_asked_where_rows_have_a_token() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    copy(&job).await?;
    job.produce((500..600).map(record)).await?;
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "600\t600");
    Ok(())
}

#[tokio::test]
async fn a_window_that_got_smaller_has_what_it_may_have_forgotten_looked_up() -> anyhow::Result<()>
{
    let mut job = job_with_tokens().await?.exactly_once(5_000).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    let mut job = job.exactly_once(1_000).await?;
    job.produce((500..600).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["another non_replicated_deduplication_window", "is looked up"]).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(rows(&job).await?, "600\t600");
    Ok(())
}

/// One column of the table, with a partition for each value.
pub async fn job_by_day(has_tokens: bool) -> anyhow::Result<Job> {
    let table = "CREATE TABLE t (id UInt64, day Date, token LowCardinality(String)) \
                 ENGINE = MergeTree PARTITION BY day ORDER BY id";
    let mut job = job_of_window(table, 10_000).await?.with("COLUMN_FROM", "day=/a");
    if has_tokens {
        job = job.with("METADATA_COLUMNS", "token=token");
    }
    let record = |id| format!(r#"{{"id":{id},"a":"2026-01-01","b":"2026-02-01"}}"#);
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    Ok(job.with("COLUMN_FROM", "day=/b"))
}

async fn job_of_window(table: &str, window: u64) -> anyhow::Result<Job> {
    Job::new(table).await?.exactly_once(window).await
}

#[tokio::test]
async fn rows_that_would_go_into_another_partition_are_looked_up() -> anyhow::Result<()> {
    let job = job_by_day(true).await?;
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "500\t500");
    Ok(())
}

#[tokio::test]
async fn rows_that_would_go_into_another_partition_pause_where_rows_have_no_token()
-> anyhow::Result<()> {
    let job = job_by_day(false).await?;
    merge(&job).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "cannot be told", "other partitions of the table"]).await?;
    host.kill().await?;
    assert_eq!(job.query(OURS).await?, "500\t500");
    Ok(())
}

/// While they are as they were written, the newest parts tell what landed, whatever the token is worth.
#[tokio::test]
async fn rows_that_would_go_into_another_partition_are_found_in_parts_that_no_merge_took()
-> anyhow::Result<()> {
    let job = job_by_day(false).await?;
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "500\t500");
    Ok(())
}

#[tokio::test]
async fn a_constraint_over_another_table_proves_nothing_of_an_earlier_insert() -> anyhow::Result<()>
{
    let job = Job::new("CREATE TABLE j (k UInt64, v UInt64) ENGINE = Join(ANY, LEFT, k)").await?;
    let table = "CREATE TABLE t (id UInt64, name String, \
                 CONSTRAINT c CHECK joinGet('default.j', 'v', id) = 0) \
                 ENGINE = MergeTree ORDER BY id";
    job.stack.query(table).await?;
    let mut job = job.exactly_once(1_000).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    // The table, the rows and the settings are what they were, and are refused all the same.
    job.stack.query("INSERT INTO j VALUES (321, 1)").await?;
    merge(&job).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "cannot be told", "DELIVERY_ANSWERS="]).await?;
    host.kill().await?;
    assert_eq!(job.query(OURS).await?, "500\t500");
    Ok(())
}

/// The server took the token, and the rows are not in the table.
#[tokio::test]
async fn a_token_that_is_known_without_its_rows_is_no_proof() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    job.stack.query("ALTER TABLE t DELETE WHERE 1 SETTINGS mutations_sync = 1").await?;
    let mut host = job.start()?;
    host.wait_for(&["looked for its rows", r#""landed":0"#]).await?;
    host.wait_for(&["range planned anew"]).await?;
    job.wait_until_committed(&host).await?;
    // A table without rows tells which server it is on, too.
    assert!(!host.log().iter().any(|line| line.contains("another server answers")));
    host.stop().await?;
    assert_eq!(rows(&job).await?, "500\t500");
    Ok(())
}

#[tokio::test]
async fn a_search_for_a_token_may_take_its_time_and_is_asked_once() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    merge(&job).await?;
    // Longer than any other answer is waited for.
    let slow = json!({"match": "WHERE `token` = ", "applies_to": "query", "times": null, "kind": {"delay_ms": 12_000}});
    fault(&job, slow).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query(OURS).await?, "500\t500");
    let hits: Vec<u64> = job.stack.faults().await?.iter().map(|fault| fault.hits).collect();
    assert_eq!(hits, [1]);
    Ok(())
}

#[tokio::test]
async fn rows_that_are_found_without_the_view_that_threw_are_told() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?.with("KAFKA_PROPERTIES", PATIENT);
    let window = "SETTINGS non_replicated_deduplication_window = 1000";
    for sql in [
        &format!("CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id {window}"),
        "CREATE MATERIALIZED VIEW v TO seen AS SELECT id FROM t WHERE NOT throwIf(id = 3, 'three')",
    ] {
        job.stack.query(sql).await?;
    }
    job.produce((0..500).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "default.v"]).await?;
    insert_beside(&job, 510).await?;
    let told = ["ERROR", "in the table but not in the view", "default.v", "records[0]"];
    host.wait_for(&told).await?;
    job.wait_until_committed(&host).await?;
    let series = "sluicegate_rows_without_view_total";
    let metrics = host.admin("GET", "/metrics").await?;
    assert_eq!(metrics.metric(series), Some(500.0));
    host.stop().await?;
    assert_eq!(job.query("SELECT count() FROM t WHERE id < 500").await?, "500");
    assert_eq!(job.query("SELECT count() FROM seen WHERE id < 500").await?, "0");
    Ok(())
}

#[tokio::test]
async fn what_was_never_taken_is_split_at_once() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?.with("KAFKA_PROPERTIES", PATIENT);
    let denied = json!({"match": "`t`", "times": null, "kind": {"code": 497, "text": "denied"}});
    fault(&job, denied).await?;
    job.produce((0..500).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "denied"]).await?;
    job.stack.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 321").await?;
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    assert!(!host.log().iter().any(|line| line.contains("may have landed before")));
    host.stop().await?;
    assert_eq!(rows(&job).await?, "499\t499");
    Ok(())
}

/// A balancer that gives each new connection to the next server.
async fn balance(urls: [String; 2]) -> anyhow::Result<(String, tokio::task::JoinHandle<()>)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let task = tokio::spawn(async move {
        for url in urls.iter().cycle() {
            let Ok((mut from, _)) = listener.accept().await else { return };
            let to = url.trim_start_matches("http://").to_owned();
            tokio::spawn(async move {
                if let Ok(mut to) = tokio::net::TcpStream::connect(to).await {
                    let _ended = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                }
            });
        }
    });
    Ok((url, task))
}

#[tokio::test]
async fn servers_that_are_no_replicas_do_not_each_take_a_try() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    let other = sluicegate_local::LocalStack::start(sluicegate_tests::stack_options()?).await?;
    other.query(TABLE).await?;
    let window = "ALTER TABLE t MODIFY SETTING non_replicated_deduplication_window = 1000";
    other.query(window).await?;
    let urls = [job.stack.clickhouse_url().to_owned(), other.clickhouse_url().to_owned()];
    let (url, balancer) = balance(urls).await?;
    job = job.with("CLICKHOUSE_HOST", &url).with("NUM_MESSAGES", "100");
    let lost = json!({"match": "`t`", "times": 2, "kind": "reset_after_commit"});
    fault(&job, lost.clone()).await?;
    other.fault(&serde_json::from_value(lost)?).await?;
    job.produce((0..500).map(record)).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    balancer.abort();
    let counts = "SELECT count() FROM t";
    let here: u64 = job.query(counts).await?.parse()?;
    let there: u64 = other.query(counts).await?.trim().parse()?;
    assert_eq!(here + there, 500, "{here} and {there}");
    Ok(())
}

#[tokio::test]
async fn what_waits_for_another_server_says_so() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    // Another server takes the place of the one that has the rows.
    let other = Job::new(TABLE).await?.exactly_once(1_000).await?;
    let here = job.stack.clickhouse_url().to_owned();
    job = job.with("CLICKHOUSE_HOST", other.stack.clickhouse_url());
    let mut host = job.start()?;
    host.wait_for(&["paused", "cannot be told", "planned for another server"]).await?;
    host.kill().await?;
    assert_eq!(rows(&other).await?, "0\t0");
    job = job.with("CLICKHOUSE_HOST", &here);
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "500\t500");
    Ok(())
}

/// What the server calls its own clock, or has no fixed answer for, has more names than a list holds.
#[tokio::test]
async fn a_partition_key_that_a_function_without_a_fixed_answer_fills_is_refused()
-> anyhow::Result<()> {
    for (default, names) in [
        ("UTCTimestamp()", "`at` (DEFAULT UTCTimestamp())"),
        ("CURRENT_TIMESTAMP", "`at` (DEFAULT CURRENT_TIMESTAMP)"),
        ("toDateTime(arrayShuffle(range(1, 9))[1])", "`at` (DEFAULT toDateTime(arrayShuffle("),
    ] {
        let table = format!(
            "CREATE TABLE t (id UInt64, at DateTime DEFAULT {default}) ENGINE = MergeTree \
             PARTITION BY toUnixTimestamp(at) % 1000 ORDER BY id"
        );
        let mut job = Job::new(&table).await?.exactly_once(10_000).await?;
        job.produce((0..5).map(record)).await?;
        let mut host = job.start()?;
        host.wait_for(&["paused", names, "remembers tokens for each partition"]).await?;
        assert_eq!(job.committed()?, [0]);
        job.query("DROP TABLE t").await?;
        let sound = table.replace(&format!("DEFAULT {default}"), "DEFAULT toDateTime(id)");
        let window = "SETTINGS non_replicated_deduplication_window = 10000";
        job.query(&format!("{sound} {window}")).await?;
        job.wait_until_committed(&host).await?;
        host.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_view_that_moves_rows_between_partitions_of_its_target_is_refused() -> anyhow::Result<()>
{
    let mut job = job(TABLE).await?;
    job.query(
        "CREATE TABLE target (id UInt64, seen DateTime, at DateTime) ENGINE = MergeTree \
         PARTITION BY toUnixTimestamp(at) % 1000 ORDER BY id \
         SETTINGS non_replicated_deduplication_window = 10000",
    )
    .await?;
    let view = "CREATE MATERIALIZED VIEW v TO target AS WITH now() AS n SELECT id";
    job.query(&format!("{view}, n AS at FROM t")).await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "`default.target` is partitioned by column `at` (by now())"]).await?;
    assert_eq!(job.committed()?, [0]);
    job.query("DROP TABLE v").await?;
    job.query(&format!("{view}, n AS seen, toDateTime(id) AS at FROM t")).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT count(), sum(toUnixTimestamp(at)) FROM target").await?, "5\t10");
    Ok(())
}

#[tokio::test]
async fn what_is_behind_a_table_without_rows_needs_a_window_too() -> anyhow::Result<()> {
    let mut job = job(TABLE).await?;
    job.query("CREATE TABLE passing (id UInt64) ENGINE = Null").await?;
    job.query("CREATE TABLE target (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.query("CREATE MATERIALIZED VIEW v TO passing AS SELECT id FROM t").await?;
    job.query("CREATE MATERIALIZED VIEW w TO target AS SELECT id FROM passing").await?;
    job.produce((0..500).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "`default.target` remembers 0 tokens", "view `default.w`"]).await?;
    assert_eq!(job.committed()?, [0]);
    host.kill().await?;
    job.query("ALTER TABLE target MODIFY SETTING non_replicated_deduplication_window = 1000")
        .await?;
    kill_before_the_answer(&job).await?;
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "500\t500");
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM target").await?, "500\t500");
    Ok(())
}
