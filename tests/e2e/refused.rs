//! INSERTs that ClickHouse refuses: one record, the table, or for a while.

use serde_json::json;
use sluicegate_tests::Job;

fn record(id: u64) -> String {
    format!(r#"{{"id":{id},"name":"n{id}"}}"#)
}

#[tokio::test]
async fn one_record_that_a_constraint_refuses_is_found_among_25_000() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, name String, CONSTRAINT c CHECK id != 17321) \
         ENGINE = MergeTree ORDER BY id",
    )
    .await?
    .with("BATCH_LINGER_MS", "3000");
    job.produce((0..25_000).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (24_999, 1));
    assert_eq!(
        job.query("SELECT count(), uniqExact(id), countIf(id = 17321) FROM t").await?,
        "24999\t24999\t0"
    );
    let letters = job.dead_letters()?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason(), "insert_refused");
    assert_eq!(letters[0].payload.as_deref(), Some(record(17_321).as_bytes()));
    assert!(letters[0].header("__connect.errors.exception.message").contains("Code: 469"));
    let inserts = job.stack.inserts("`t`").await?;
    let refused_alone = inserts.last().is_some_and(|last| last.settings["async_insert"] == "0");
    assert!(refused_alone, "after a refusal every further INSERT is synchronous");
    Ok(())
}

#[tokio::test]
async fn a_failure_that_passes_is_waited_out_with_the_same_token() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    for (code, text) in [(241, "Memory limit exceeded"), (252, "Too many parts (300)")] {
        let kind = json!({"code": code, "text": text});
        let fault = json!({"match": "`t`", "times": 2, "kind": kind});
        job.stack.fault(&serde_json::from_value(fault)?).await?;
    }
    job.produce((0..5).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    let inserts = job.stack.inserts("`t`").await?;
    let tokens: std::collections::BTreeSet<_> =
        inserts.iter().map(|insert| &insert.settings["insert_deduplication_token"]).collect();
    assert_eq!((inserts.len(), tokens.len()), (5, 1));
    assert_eq!(job.query("SELECT count() FROM t").await?, "5");
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_is_not_doubled_where_the_table_deduplicates() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id \
         SETTINGS non_replicated_deduplication_window = 100",
    )
    .await?;
    let fault = json!({"match": "`t`", "times": 1, "kind": "reset_after_commit"});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..5).map(record)).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT count() FROM t").await?, "5");
    let inserts = job.stack.inserts("`t`").await?;
    let are_synchronous = inserts.iter().all(|insert| insert.settings["async_insert"] == "0");
    assert!(are_synchronous, "older servers ignore the token of an async insert");
    Ok(())
}

#[tokio::test]
async fn a_record_that_only_its_own_values_make_fail_is_dead_lettered() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, share UInt64 MATERIALIZED intDiv(100, id), \
         steps Array(UInt64) MATERIALIZED range(id)) ENGINE = MergeTree ORDER BY id",
    )
    .await?;
    job.produce([1, 0, 9_999_999_999, 2_u64].map(|id| format!(r#"{{"id":{id}}}"#))).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 2));
    for (letter, code) in job.dead_letters()?.iter().zip(["Code: 153", "Code: 69"]) {
        assert!(letter.header("__connect.errors.exception.message").contains(code));
    }
    Ok(())
}

#[tokio::test]
async fn a_record_costs_itself_alone_whatever_code_an_expression_throws() -> anyhow::Result<()> {
    // An expression over a text, a text that it takes, one that it throws on, and the code on 26.7.
    const CASES: [(&str, &str, &str, &str); 7] = [
        ("toFloat64(s)", "1", "x", "Code: 72"),
        ("toUInt64(s)", "1", "", "Code: 32"),
        ("match('a', s)", "a", "(", "Code: 427"),
        ("bitTest(toUInt8(1), length(s))", "a", "xxxxxxxxxxxxxxxxxxxx", "Code: 12"),
        ("length(arrayResize([toUInt8(1)], length(s) * 1000000000))", "", "xx", "Code: 128"),
        ("accurateCast(length(s) * 100, 'UInt8')", "a", "abcdef", "Code: 70"),
        ("parseTimeDelta(s)", "1s", "x", "Code: 36"),
    ];
    let columns: Vec<String> = (0..)
        .zip(&CASES)
        .map(|(at, (expression, ..))| {
            let of =
                expression.replace("(s", &format!("(s{at}")).replace(", s)", &format!(", s{at})"));
            format!("s{at} String, c{at} Float64 MATERIALIZED {of}")
        })
        .collect();
    let mut job = Job::new(&format!(
        "CREATE TABLE t (id UInt64, {}) ENGINE = MergeTree ORDER BY id",
        columns.join(", ")
    ))
    .await?;
    let record = |id: usize, bad: Option<usize>| {
        let fields = (0..).zip(&CASES).map(|(at, (_, takes, throws, _))| {
            format!(r#","s{at}":"{}""#, if bad == Some(at) { throws } else { takes })
        });
        format!(r#"{{"id":{id}{}}}"#, fields.collect::<String>())
    };
    let good = (0..50).map(|id| record(id, None));
    let bad = (0..CASES.len()).map(|at| record(100 + at, Some(at)));
    job.produce(good.chain(bad)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (50, 7));
    for (letter, (expression, _, _, code)) in job.dead_letters()?.iter().zip(CASES) {
        let message = letter.header("__connect.errors.exception.message");
        assert!(message.contains(code), "{expression}: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn a_table_that_refuses_an_insert_without_rows_is_no_record_s_fault() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    let kind = json!({"code": 72, "text": "Cannot read: while executing 'FUNCTION f(x : 1)'"});
    let fault = json!({"match": "`t`", "times": null, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..5).map(record)).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "refuses an INSERT without rows too"]).await?;
    assert_eq!((job.committed()?, job.dead_letters()?.len()), (vec![0], 0));
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    Ok(())
}

#[tokio::test]
async fn a_batch_for_more_partitions_than_an_insert_takes_is_split_between_them()
-> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, day Int32) ENGINE = MergeTree PARTITION BY day ORDER BY id",
    )
    .await?;
    // Any half of them as they come goes into as many partitions as the whole.
    let record = |id: u64| format!(r#"{{"id":{id},"day":{}}}"#, id % 400);
    job.produce((0..4_000).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (4_000, 0));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "4000\t4000");
    // The whole twice, once of them asynchronously, two halves, and four quarters that fit.
    let inserts = job.stack.inserts("`t`").await?.len();
    assert!((6..=8).contains(&inserts), "{inserts}");
    Ok(())
}

#[tokio::test]
async fn rows_that_the_server_has_no_memory_for_are_tried_again_and_then_split()
-> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
            .await?
            .with("CLICKHOUSE_ASYNC_INSERT", "0");
    let kind = json!({"code": 241, "text": "Memory limit exceeded"});
    let fault = json!({"match": "`t`", "times": 4, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..10).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (10, 0));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "10\t10");
    let inserts = job.stack.inserts("`t`").await?;
    let token = |at: usize| &inserts[at].settings["insert_deduplication_token"];
    assert_eq!(inserts.len(), 6);
    assert!((1..4).all(|at| token(at) == token(0)), "the same rows, tried again");
    assert!(token(4) != token(0) && token(5) != token(4), "halves are other INSERTs");
    Ok(())
}

#[tokio::test]
async fn rows_that_may_have_landed_keep_their_token_where_the_table_knows_it() -> anyhow::Result<()>
{
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id \
         SETTINGS non_replicated_deduplication_window = 100",
    )
    .await?;
    let memory = json!({"code": 241, "text": "Memory limit exceeded"});
    for (times, kind) in [(1, json!("reset_after_commit")), (4, memory)] {
        let fault = json!({"match": "`t`", "times": times, "kind": kind});
        job.stack.fault(&serde_json::from_value(fault)?).await?;
    }
    job.produce((0..10).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (10, 0));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "10\t10");
    Ok(())
}

#[tokio::test]
async fn a_record_alone_too_large_for_an_insert_waits_for_a_setting() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    let text = "Too many partitions for single INSERT block (more than 1)";
    let fault = json!({"match": "`t`", "times": null, "kind": {"code": 252, "text": text}});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce([record(1)]).await?;
    let mut host = job.start()?;
    let line = host.wait_for(&["paused", "max_partitions_per_insert_block"]).await?;
    assert!(!line.contains("DLQ_MAX_SHARE"), "{line}");
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_column_dropped_or_added_meanwhile_is_decoded_anew() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, name String, old Int8) ENGINE = MergeTree ORDER BY id",
    )
    .await?;
    let record = |id: u64| format!(r#"{{"id":{id},"name":"n","old":1,"size":300}}"#);
    job.produce([record(1)]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.stack.query("ALTER TABLE t DROP COLUMN old, ADD COLUMN size Int16").await?;
    job.produce([record(2)]).await?;
    job.wait_until_committed(&host).await?;
    let log = host.log().join("\n");
    let changes = ["table changed", "column `old` dropped", "column `size` added: Int16"];
    assert!(changes.iter().all(|change| log.contains(change)), "{log}");
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 0));
    assert_eq!(job.query("SELECT id, size FROM t ORDER BY id").await?, "1\t0\n2\t300");
    Ok(())
}

#[tokio::test]
async fn nothing_is_dead_lettered_for_a_plan_that_is_stale() -> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, size Int8) ENGINE = MergeTree ORDER BY id").await?;
    job.produce([r#"{"id":1,"size":1}"#]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.stack.query("ALTER TABLE t MODIFY COLUMN size Int16").await?;
    job.produce([r#"{"id":2,"size":300}"#]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 0));
    assert_eq!(job.query("SELECT max(size) FROM t").await?, "300");
    Ok(())
}

/// A column is made required: elements that were allowed to be null no longer are.
#[tokio::test]
async fn what_a_column_requires_meanwhile_is_asked_of_the_next_record() -> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, sizes Array(Nullable(Int16))) ENGINE = MergeTree ORDER BY id",
    )
    .await?
    .with("DLQ_MAX_SHARE", "1");
    let record = |id: u64, sizes: &str| format!(r#"{{"id":{id},"sizes":{sizes}}}"#);
    job.produce([record(1, "[1,null]")]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.stack.query("ALTER TABLE t DROP COLUMN sizes, ADD COLUMN sizes Array(Int16)").await?;
    job.produce([record(2, "[2,null]"), record(3, "[3]")]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    let letters = job.dead_letters()?;
    assert_eq!((letters.len(), letters[0].reason()), (1, "null_not_allowed"));
    assert_eq!(job.query("SELECT id FROM t ORDER BY id").await?, "1\n3");
    Ok(())
}

#[tokio::test]
async fn a_batch_that_is_mostly_bad_pulls_the_brake_instead_of_filling_the_dead_letters()
-> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, size Int8) ENGINE = MergeTree ORDER BY id").await?;
    job = job.with("BATCH_LINGER_MS", "3000");
    job.produce((0..2_000).map(|id| format!(r#"{{"id":{id},"size":300}}"#))).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "DLQ_MAX_SHARE"]).await?;
    assert!(job.dead_letters()?.is_empty());
    assert_eq!(job.committed()?, [0]);
    job.stack.query("ALTER TABLE t MODIFY COLUMN size Int16").await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2_000, 0));
    Ok(())
}

#[tokio::test]
async fn a_column_that_narrows_meanwhile_cuts_no_value_short() -> anyhow::Result<()> {
    let create = "CREATE TABLE t (id UInt64, v Int64) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(create).await?;
    job.produce([r#"{"id":1,"v":1}"#]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.query("ALTER TABLE t MODIFY COLUMN v Int8").await?;
    // What is known of a table may be a second old when a batch begins.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    job.produce([r#"{"id":2,"v":300}"#, r#"{"id":3,"v":3}"#]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    assert_eq!(
        job.query("SELECT groupArray(v) FROM (SELECT v FROM t ORDER BY id)").await?,
        "[1,3]"
    );
    assert_eq!(job.dead_letters()?[0].reason(), "out_of_range");
    Ok(())
}
