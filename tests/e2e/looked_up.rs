//! DELIVERY=exactly_once: what a look at the table proves of rows that may have landed, and what it does not.

use std::sync::{Arc, Mutex};

use serde_json::json;
use sluicegate_tests::Job;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::exactly_once::{
    OURS, fault, insert_beside, job, job_by_day, job_with_tokens, kill_before_the_answer, merge,
    record, rows,
};

const WITH_TOKENS: &str = "CREATE TABLE t (id UInt64, name String, token LowCardinality(String)) \
                           ENGINE = MergeTree ORDER BY id";

/// A host that is killed while it sends its rows, of which none lands.
async fn kill_before_the_rows(job: &Job) -> anyhow::Result<()> {
    fault(job, json!({"match": "`t`", "times": null, "kind": "reset_during"})).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting"]).await?;
    host.kill().await?;
    job.stack.clear_faults().await
}

#[tokio::test]
async fn a_column_for_tokens_that_is_named_later_proves_nothing_of_rows_without_it()
-> anyhow::Result<()> {
    let mut job = job(WITH_TOKENS).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    insert_beside(&job, 510).await?;
    merge(&job).await?;
    job = job.with("METADATA_COLUMNS", "token=token");
    let mut host = job.start()?;
    host.wait_for(&["paused", "cannot be told", "records[0] at the offsets 0..500"]).await?;
    host.kill().await?;
    assert_eq!(job.query("SELECT count() FROM t WHERE id < 500").await?, "500");
    Ok(())
}

#[tokio::test]
async fn a_column_for_tokens_that_is_named_later_is_left_out_of_what_was_sent_without_it()
-> anyhow::Result<()> {
    let table = WITH_TOKENS.replace("token LowCardinality(String)", "token String DEFAULT 'none'");
    let mut job = job(&table).await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_rows(&job).await?;
    job.produce((500..600).map(record)).await?;
    job = job.with("METADATA_COLUMNS", "token=token");
    job.run_to_the_end().await?;
    assert_eq!(rows(&job).await?, "600\t600");
    let tokens = "SELECT countIf(token = 'none' AND id < 500), countIf(length(token) = 32) FROM t";
    assert_eq!(job.query(tokens).await?, "500\t100");
    Ok(())
}

#[tokio::test]
async fn a_column_for_tokens_that_is_not_named_any_more_is_asked_for_by_name() -> anyhow::Result<()>
{
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    merge(&job).await?;
    let named = job.environment.remove("METADATA_COLUMNS").unwrap_or_default();
    let mut host = job.start()?;
    host.wait_for(&["paused", "cannot be told", "METADATA_COLUMNS does not name any more"]).await?;
    host.kill().await?;
    job = job.with("METADATA_COLUMNS", &named);
    job.run_to_the_end().await?;
    assert_eq!(job.query(OURS).await?, "500\t500");
    Ok(())
}

#[tokio::test]
async fn parts_tell_rows_whose_column_for_tokens_is_not_named_any_more() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    job.environment.remove("METADATA_COLUMNS");
    job.produce((500..600).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["looked at the parts", "Rows"]).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(rows(&job).await?, "600\t600");
    Ok(())
}

/// Some records have a field that the table has no column for until a host was killed.
async fn column_is_added(landed: bool) -> anyhow::Result<String> {
    let mut job = job("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    let further = |id: u64| if id.is_multiple_of(16) { ",\"a\":[7]" } else { "" };
    job.produce((0..64).map(|id| format!("{{\"id\":{id}{}}}", further(id)))).await?;
    match landed {
        true => kill_before_the_answer(&job).await?,
        false => kill_before_the_rows(&job).await?,
    }
    job.query("ALTER TABLE t ADD COLUMN a Array(Int8) DEFAULT [1, 2]").await?;
    job.run_to_the_end().await?;
    job.query("SELECT count(), uniqExact(id), countIf(a = [7]), countIf(a = [1, 2]) FROM t").await
}

#[tokio::test]
async fn rows_of_a_range_that_no_insert_takes_together_any_more_get_the_default()
-> anyhow::Result<()> {
    assert_eq!(column_is_added(false).await?, "64\t64\t4\t60");
    Ok(())
}

#[tokio::test]
async fn a_range_that_landed_before_a_column_came_does_not_land_again() -> anyhow::Result<()> {
    assert_eq!(column_is_added(true).await?, "64\t64\t0\t64");
    Ok(())
}

#[tokio::test]
async fn rows_of_another_insert_with_the_same_sums_are_not_taken_for_those_of_a_range()
-> anyhow::Result<()> {
    let mut job =
        job("CREATE TABLE t (id UInt64, of UInt64) ENGINE = MergeTree ORDER BY id").await?;
    job.produce((0..100).map(|id| format!(r#"{{"id":{id},"of":{id}}}"#))).await?;
    kill_before_the_rows(&job).await?;
    // As many rows, and each column adds up to the same.
    job.query("INSERT INTO t SELECT number, 99 - number FROM numbers(100)").await?;
    job.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 50 OR of != 50").await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "cannot be told", "records[0] at the offsets 0..100"]).await?;
    assert_eq!(job.committed()?, [0]);
    host.kill().await?;
    Ok(())
}

#[tokio::test]
async fn rows_that_a_setting_of_the_profile_hides_are_found() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    insert_beside(&job, 510).await?;
    merge(&job).await?;
    // Parameters that come first stand for the user's profile.
    let between = Between::new(job.stack.clickhouse_url(), |request| {
        let profile = "POST /?additional_table_filters=%7B%27default.t%27%3A%27id%3E%3D1000%27%7D&";
        request.replace("POST /?", profile)
    });
    let between = between.await?;
    job = job.with("CLICKHOUSE_HOST", &between.url);
    job.run_to_the_end().await?;
    between.task.abort();
    assert_eq!(job.query("SELECT count() FROM t WHERE id < 1000").await?, "500");
    Ok(())
}

#[tokio::test]
async fn a_profile_that_cuts_an_insert_into_blocks_loses_no_record() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, token LowCardinality(String), CONSTRAINT c CHECK id != 55) \
                 ENGINE = MergeTree ORDER BY id";
    let mut job = job(table).await?.with("METADATA_COLUMNS", "token=token");
    job.produce((0..100).map(|id| format!(r#"{{"id":{id}}}"#))).await?;
    // A try that may have left rows, so that they are looked up once the constraint refuses them.
    fault(&job, json!({"match": "`t`", "times": 1, "kind": "reset_before"})).await?;
    let between = Between::new(job.stack.clickhouse_url(), |request| {
        let profile = "POST /?use_strict_insert_block_limits=1&max_insert_block_size=10&";
        request.replace("POST /?", profile)
    });
    let between = between.await?;
    job = job.with("CLICKHOUSE_HOST", &between.url);
    let ledger = job.run_to_the_end().await?;
    between.task.abort();
    assert_eq!((ledger.landed, ledger.dead_lettered), (99, 1));
    assert_eq!(rows(&job).await?, "99\t99");
    Ok(())
}

#[tokio::test]
async fn a_part_of_the_rows_is_no_proof_of_the_whole_in_one_partition_either() -> anyhow::Result<()>
{
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    merge(&job).await?;
    job.query("ALTER TABLE t DELETE WHERE id < 40 SETTINGS mutations_sync = 1").await?;
    job.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 321").await?;
    // What the window may have forgotten is looked up.
    insert_beside(&job, 510).await?;
    let mut host = job.start()?;
    host.wait_for(&["looked for its rows", r#""landed":460"#]).await?;
    host.wait_for(&["paused", "cannot be told"]).await?;
    host.kill().await?;
    Ok(())
}

#[tokio::test]
async fn a_profile_with_other_rules_for_queries_changes_no_answer() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String, k UInt64 DEFAULT 1, part String DEFAULT 'p', \
                 rows UInt64 DEFAULT 7, token LowCardinality(String)) ENGINE = MergeTree ORDER BY id";
    let mut job = job(table).await?.with("METADATA_COLUMNS", "token=token");
    job.produce((0..500).map(record)).await?;
    kill_before_the_rows(&job).await?;
    // Parts do not tell then, and the search for the token finds none.
    job.query("INSERT INTO t (id) VALUES (1000000)").await?;
    job.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 321").await?;
    let between = Between::new(job.stack.clickhouse_url(), |request| {
        let profile = "/?use_query_cache=1&prefer_column_name_to_alias=1&extremes=1&";
        request.replacen("/?", profile, 1)
    });
    let between = between.await?;
    job = job.with("CLICKHOUSE_HOST", &between.url);
    job.run_to_the_end().await?;
    between.task.abort();
    assert_eq!(job.query(OURS).await?, "499\t499");
    Ok(())
}

#[tokio::test]
async fn a_look_at_what_runs_that_is_refused_is_asked_again() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_rows(&job).await?;
    job.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 321").await?;
    let busy = json!({"code": 202, "text": "Too many simultaneous queries"});
    let busy =
        json!({"match": "system.processes", "applies_to": "query", "times": 2, "kind": busy});
    fault(&job, busy).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query(OURS).await?, "499\t499");
    let hits: Vec<u64> = job.stack.faults().await?.iter().map(|fault| fault.hits).collect();
    assert_eq!(hits, [2]);
    Ok(())
}

#[tokio::test]
async fn rows_that_were_deleted_had_landed() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    insert_beside(&job, 510).await?;
    merge(&job).await?;
    job.query("DELETE FROM t WHERE id < 1000").await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT count() FROM t WHERE id < 1000").await?, "0");
    Ok(())
}

/// What stands between a host and ClickHouse.
pub struct Between {
    pub url: String,
    /// The server that is behind it.
    to: Arc<Mutex<String>>,
    pub task: JoinHandle<()>,
}

impl Between {
    /// The head of each request goes on as `edit` has it.
    pub async fn new(to: &str, edit: fn(String) -> String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let to = Arc::new(Mutex::new(to.trim_start_matches("http://").to_owned()));
        let now = Arc::clone(&to);
        let task = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let to = now.lock().unwrap().clone();
                tokio::spawn(async move {
                    let Ok(to) = TcpStream::connect(to).await else { return };
                    let _ended = pass(from, to, edit).await;
                });
            }
        });
        Ok(Self { url, to, task })
    }
}

async fn pass(from: TcpStream, to: TcpStream, edit: fn(String) -> String) -> std::io::Result<()> {
    let ((mut from, mut back), (mut answers, mut to)) = (from.into_split(), to.into_split());
    let answering = tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        let Some(request) = bytes.get(..read).filter(|request| !request.is_empty()) else { break };
        // The body of an INSERT is no text, and needs no edit.
        let head =
            request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(request.len());
        let (head, body) = request.split_at(head);
        match std::str::from_utf8(head) {
            Ok(text) => to.write_all(&[edit(text.to_owned()).as_bytes(), body].concat()).await?,
            Err(_) => to.write_all(request).await?,
        }
    }
    answering.abort();
    Ok(())
}

#[tokio::test]
async fn a_search_that_finds_no_row_proves_nothing_where_rows_are_hidden() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    insert_beside(&job, 510).await?;
    merge(&job).await?;
    // Hides what a row policy would hide, which the engine of the tests does not have.
    let between = Between::new(job.stack.clickhouse_url(), |request| {
        let policy = "additional_table_filters=%7B%27default.t%27%3A%27id%3E%3D1000%27%7D";
        request.replace("additional_table_filters=%7B%7D", policy)
    });
    let between = between.await?;
    job = job.with("CLICKHOUSE_HOST", &between.url);
    let mut host = job.start()?;
    host.wait_for(&["looked for its rows", r#""landed":0"#]).await?;
    host.wait_for(&["WARN", "does not see every row", "row policies"]).await?;
    host.wait_for(&["paused", "cannot be told", "DELIVERY_ANSWERS="]).await?;
    host.kill().await?;
    between.task.abort();
    assert_eq!(job.query("SELECT count() FROM t WHERE id < 1000").await?, "500");
    Ok(())
}

#[tokio::test]
async fn rows_that_may_go_into_other_partitions_wait_for_the_server_that_has_them()
-> anyhow::Result<()> {
    let mut job = job_by_day(false).await?;
    let other = Job::new(
        "CREATE TABLE t (id UInt64, day Date, token LowCardinality(String)) \
         ENGINE = MergeTree PARTITION BY day ORDER BY id",
    );
    let other = other.await?.exactly_once(10_000).await?;
    let between = Between::new(other.stack.clickhouse_url(), |request| request).await?;
    job = job.with("CLICKHOUSE_HOST", &between.url);
    let mut host = job.start()?;
    host.wait_for(&["paused", "planned for another server"]).await?;
    let here = job.stack.clickhouse_url().trim_start_matches("http://").to_owned();
    *between.to.lock().unwrap() = here;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    between.task.abort();
    assert_eq!((rows(&job).await?, rows(&other).await?), ("500\t500".into(), "0\t0".into()));
    Ok(())
}

/// A column for tokens that loses them has none to be found, though the rows are there.
#[tokio::test]
async fn tokens_that_went_away_prove_nothing() -> anyhow::Result<()> {
    let with_ttl = "CREATE TABLE t (id UInt64, name String, at DateTime DEFAULT '2020-01-01 00:00:00', \
                    token LowCardinality(String) TTL at + INTERVAL 1 DAY) ENGINE = MergeTree ORDER BY id \
                    SETTINGS merge_with_ttl_timeout = 0";
    let clear = "ALTER TABLE t CLEAR COLUMN token SETTINGS mutations_sync = 2";
    for (table, alter, said) in [
        (with_ttl, None, "its column `token` has a TTL"),
        (WITH_TOKENS, Some(clear), "the column `token` was altered since"),
    ] {
        let mut job = job(table).await?.with("METADATA_COLUMNS", "token=token");
        job.produce((0..500).map(record)).await?;
        kill_before_the_answer(&job).await?;
        if let Some(alter) = alter {
            job.query(alter).await?;
        }
        insert_beside(&job, 1).await?;
        merge(&job).await?;
        assert_eq!(job.query("SELECT countIf(token != '') FROM t").await?, "0");
        let mut host = job.start()?;
        host.wait_for(&["looked for its rows", r#""landed":0"#]).await?;
        host.wait_for(&["WARN", said]).await?;
        host.wait_for(&["paused", "cannot be told", "DELIVERY_ANSWERS="]).await?;
        host.kill().await?;
        let counts = "SELECT count(), uniqExact(id) FROM t WHERE id < 1000";
        assert_eq!(job.query(counts).await?, "500\t500");
    }
    Ok(())
}

#[tokio::test]
async fn a_search_that_no_waiting_mends_is_an_operator_s_question() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    insert_beside(&job, 1).await?;
    merge(&job).await?;
    let kind = json!({"code": 47, "text": "Unknown expression identifier `token`"});
    let matched = "FROM `default`.`t` WHERE `token` =";
    fault(&job, json!({"match": matched, "times": null, "kind": kind, "applies_to": "query"}))
        .await?;
    let mut host = job.start()?;
    host.wait_for(&["WARN", "a search for a token is refused", "Unknown expression"]).await?;
    host.wait_for(&["paused", "cannot be told", "DELIVERY_ANSWERS="]).await?;
    host.kill().await?;
    Ok(())
}

#[tokio::test]
async fn a_column_for_tokens_that_is_not_stored_is_refused() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String, token String EPHEMERAL) ENGINE = MergeTree ORDER BY id";
    let mut job = job(table).await?.with("METADATA_COLUMNS", "token=token");
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "does not store the column `token`", "EPHEMERAL"]).await?;
    assert_eq!(job.committed()?, [0]);
    job.query("ALTER TABLE t DROP COLUMN token").await?;
    job.query("ALTER TABLE t ADD COLUMN token String").await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(rows(&job).await?, "5\t5");
    Ok(())
}

#[tokio::test]
async fn a_partition_that_was_detached_does_not_get_its_rows_twice() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    job.produce((0..500).map(record)).await?;
    kill_before_the_answer(&job).await?;
    job.query("ALTER TABLE t DETACH PARTITION ID 'all'").await?;
    job.query("ALTER TABLE t ATTACH PARTITION ID 'all'").await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!(ledger.landed, 500);
    assert_eq!(job.query(OURS).await?, "500\t500");
    Ok(())
}

/// Rows that cancel out would leave no part, which proves nothing of whether they landed.
#[tokio::test]
async fn rows_that_cancel_out_reach_a_view_once() -> anyhow::Result<()> {
    for engine in ["CollapsingMergeTree(sign)", "SummingMergeTree(n)"] {
        let table =
            format!("CREATE TABLE t (id UInt64, n Int64, sign Int8) ENGINE = {engine} ORDER BY id");
        let mut job = job(&table).await?;
        for sql in [
            "CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id \
             SETTINGS non_replicated_deduplication_window = 1000",
            "CREATE MATERIALIZED VIEW v TO seen AS SELECT id FROM t",
        ] {
            job.query(sql).await?;
        }
        let sign = |id: u64| if id.is_multiple_of(2) { 1 } else { -1 };
        let record =
            |id: u64| format!(r#"{{"id":{},"n":{},"sign":{}}}"#, id / 2, sign(id), sign(id));
        job.produce((0..200).map(record)).await?;
        fault(&job, json!({"match": "`t`", "times": 1, "kind": "reset_after_commit"})).await?;
        let ledger = job.run_to_the_end().await?;
        assert_eq!(ledger.landed, 200, "{engine}");
        assert_eq!(job.query("SELECT count() FROM seen").await?, "200", "{engine}");
    }
    Ok(())
}

#[tokio::test]
async fn a_profile_with_other_rules_for_json_and_zones_changes_no_value() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, j JSON, at DateTime, hour UInt8 MATERIALIZED toHour(at)) \
                 ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table).await?;
    let record = |id: u64| {
        format!(
            r#"{{"id":{id},"j":{{"a":[true,1],"b.c":1,"m":[1,2,"z"]}},"at":"2026-07-01 12:00:00"}}"#
        )
    };
    job.produce([record(1)]).await?;
    job.run_to_the_end().await?;
    let between = Between::new(job.stack.clickhouse_url(), |request| {
        let profile = "/?input_format_try_infer_variants=1&json_type_escape_dots_in_keys=1&\
                       input_format_json_infer_array_of_dynamic_from_array_of_different_types=0&\
                       session_timezone=Asia%2FTokyo&max_result_rows=1&";
        request.replacen("/?", profile, 1)
    });
    let between = between.await?;
    job.produce([record(2)]).await?;
    job = job.with("CLICKHOUSE_HOST", &between.url);
    job.run_to_the_end().await?;
    between.task.abort();
    let counts = "SELECT count(), uniqExact(toString(j)), uniqExact(at), uniqExact(hour) FROM t";
    assert_eq!(job.query(counts).await?, "2\t1\t1\t1");
    Ok(())
}

/// A definition that changes without a column has the INSERT sent again, and nobody called.
#[tokio::test]
async fn an_alter_of_no_column_calls_nobody() -> anyhow::Result<()> {
    let mut job = job_with_tokens().await?;
    let host = job.start()?;
    for id in 0..4 {
        job.produce([record(id)]).await?;
        job.wait_until_committed(&host).await?;
        job.query(&format!("ALTER TABLE t MODIFY COMMENT 'c{id}'")).await?;
    }
    job.produce([record(4)]).await?;
    job.wait_until_committed(&host).await?;
    let log = host.log().join("\n");
    assert!(!log.contains("paused"), "{log}");
    host.stop().await?;
    assert_eq!(job.query(OURS).await?, "5\t5");
    Ok(())
}
