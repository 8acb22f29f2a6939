//! What records and tables make the host take is bounded, whatever they are.

use sluicegate_tests::{Job, Message};

const MIB: u64 = 1024 * 1024;

fn wide(columns: usize) -> String {
    let columns: Vec<String> = (0..columns).map(|at| format!("c{at} Nullable(Float64)")).collect();
    format!("CREATE TABLE t (id UInt64, {}) ENGINE = MergeTree ORDER BY id", columns.join(", "))
}

#[tokio::test]
async fn a_batch_of_a_wide_table_is_inserted_in_pieces_within_the_budget() -> anyhow::Result<()> {
    // 120 MB of columns in one batch, and as much again in its body.
    let mut job = Job::new(&wide(1_000))
        .await?
        .with("MEMORY_BUDGET_BYTES", "33554432")
        .with("BATCH_MAX_BYTES", "16777216")
        .with("NUM_MESSAGES", "15000");
    job.produce((0..15_000).map(|id| format!(r#"{{"id":{id},"c{}":{id}}}"#, id % 1_000))).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    let peak = host.peak_memory_bytes()?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (15_000, 0));
    assert_eq!(
        job.query("SELECT count(), uniqExact(id), sum(c7) FROM t").await?,
        "15000\t15000\t105105"
    );
    // As deploy/README.md has it: three budgets, and 128 MiB.
    assert!(peak < (3 * 32 + 128) * MIB, "{} MiB at the peak", peak / MIB);
    Ok(())
}

#[tokio::test]
async fn a_table_whose_rows_would_be_too_wide_is_named_and_waited_for() -> anyhow::Result<()> {
    let create = format!(
        "CREATE TABLE t (id UInt64, wide Tuple({})) ENGINE = MergeTree ORDER BY id",
        vec!["FixedString(256)"; 1_200].join(", ")
    );
    let mut job = Job::new(&create)
        .await?
        .with("MEMORY_BUDGET_BYTES", "1048576")
        .with("BATCH_MAX_BYTES", "524288");
    job.produce((0..1_000).map(|id| format!(r#"{{"id":{id}}}"#))).await?;
    let mut host = job.start()?;
    let says = |body: &str| body.contains("table `t`") && body.contains("a row takes 308");
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
    let peak = host.peak_memory_bytes()?;
    assert!(peak < 140 * MIB, "{} MiB at the peak", peak / MIB);
    job.query("ALTER TABLE t DROP COLUMN wide").await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1_000, 0));
    Ok(())
}

#[tokio::test]
async fn with_exactly_once_the_batches_of_a_wide_table_are_small_from_the_first()
-> anyhow::Result<()> {
    let mut job = Job::new(&wide(1_500))
        .await?
        .exactly_once(1_000)
        .await?
        .with("MEMORY_BUDGET_BYTES", "33554432")
        .with("BATCH_MAX_BYTES", "4194304")
        .with("NUM_MESSAGES", "6000");
    job.produce((0..6_000).map(|id| format!(r#"{{"id":{id},"c{}":{id}}}"#, id % 1_500))).await?;
    // Were records read before the table is known, they would be one batch, which a plan names whole.
    job.query("RENAME TABLE t TO later").await?;
    let mut host = job.start()?;
    host.wait_for(&["partitions assigned"]).await?;
    let says = |body: &str| body.contains("is unknown to CLICKHOUSE_HOST");
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    job.query("RENAME TABLE later TO t").await?;
    job.wait_until_committed(&host).await?;
    let peak = host.peak_memory_bytes()?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (6_000, 0));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "6000\t6000");
    assert!(peak < 140 * MIB, "{} MiB at the peak", peak / MIB);
    Ok(())
}

#[tokio::test]
async fn a_record_of_few_bytes_that_would_become_many_is_refused() -> anyhow::Result<()> {
    let columns: Vec<String> =
        (0..50).map(|at| format!("c{at} Nullable(Decimal(76, 0))")).collect();
    let mut job = Job::new(&format!(
        "CREATE TABLE t (id UInt64, a Array(Tuple({})), j JSON) ENGINE = MergeTree ORDER BY id",
        columns.join(", ")
    ))
    .await?;
    let elements = vec!["{}"; 300_000].join(",");
    let names: Vec<String> = (0..40_000).map(|at| format!("\"{at}\":1")).collect();
    let path = format!(r#"{{"{}":{{{}}}}}"#, "p".repeat(400_000), names.join(","));
    let records: Vec<String> = (0..10)
        .map(|id| match id {
            3 => format!(r#"{{"id":{id},"j":{path}}}"#),
            id if id % 2 == 1 => format!(r#"{{"id":{id},"a":[{elements}]}}"#),
            id => format!(r#"{{"id":{id},"a":[{{}}],"j":{{"a":{{"b":1}}}}}}"#),
        })
        .collect();
    job.produce(records).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    let peak = host.peak_memory_bytes()?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 5));
    for letter in job.dead_letters()? {
        assert_eq!(letter.reason(), "too_large");
        let text = letter.header("__connect.errors.exception.message");
        assert!(text.contains("a quarter of MEMORY_BUDGET_BYTES"), "{text}");
    }
    assert_eq!(
        job.query("SELECT groupArray(id) FROM (SELECT id FROM t ORDER BY id)").await?,
        "[0,2,4,6,8]"
    );
    assert!(peak < 250 * MIB, "{} MiB at the peak", peak / MIB);
    Ok(())
}

#[tokio::test]
async fn a_record_of_more_headers_than_are_read_is_refused_and_says_so() -> anyhow::Result<()> {
    let mut job = Job::new("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    let headers = |count: usize| vec![(String::new(), Vec::new()); count];
    let record = |id: u64, count: usize| Message {
        headers: headers(count),
        ..Message::from(format!(r#"{{"id":{id}}}"#))
    };
    job.produce([record(1, 0), record(2, 100_001), record(3, 100_000)]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    let letters = job.dead_letters()?;
    assert_eq!(letters[0].reason(), "too_large");
    assert_eq!(letters[0].payload.as_deref(), Some(&br#"{"id":2}"#[..]));
    let text = letters[0].header("__connect.errors.exception.message");
    assert!(text.contains("at most 100000 headers") && text.contains("none is kept"), "{text}");
    assert_eq!(job.query("SELECT groupArray(id) FROM t").await?, "[1,3]");
    Ok(())
}

#[tokio::test]
async fn a_record_that_one_query_has_no_memory_for_is_found_among_its_neighbours()
-> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, n UInt32, m UInt64 MATERIALIZED length(range(n))) \
         ENGINE = MergeTree ORDER BY id",
    )
    .await?
    .with("CLICKHOUSE_SETTINGS", "max_memory_usage=100000000");
    let record = |id: u32| format!(r#"{{"id":{id},"n":{}}}"#, if id == 3 { 40_000_000 } else { 1 });
    job.produce((0..6).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 1));
    let letters = job.dead_letters()?;
    assert_eq!(letters[0].reason(), "insert_refused");
    assert_eq!(letters[0].payload.as_deref(), Some(record(3).as_bytes()));
    assert!(letters[0].header("__connect.errors.exception.message").contains("Code: 241"));
    assert_eq!(job.query("SELECT count(), sum(m) FROM t").await?, "5\t5");
    Ok(())
}
