//! Plugins on decoded rows through the whole path: what they make of rows, and what they cannot do
//! to them.

use sluicegate_tests::{Job, plugins};

/// A table that `misbehaving-arrow` works on.
const TABLE: &str = "CREATE TABLE t (id Int64, do String, note String DEFAULT 'none')
    ENGINE = MergeTree ORDER BY id";

/// A job whose records go through `misbehaving-arrow`, in batches of a thousand.
async fn misbehaving() -> anyhow::Result<Job> {
    let job = Job::new(TABLE).await?;
    Ok(job.with("PLUGINS", &plugins(&["misbehaving-arrow"])?).with("NUM_MESSAGES", "1000"))
}

/// A record that tells `misbehaving-arrow` what to do.
fn told(id: u64, what: &str) -> String {
    format!(r#"{{"id":{id},"do":"{what}"}}"#)
}

#[tokio::test]
async fn rows_are_dropped_multiplied_and_refused_and_columns_that_stay_at_home_go_along()
-> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    let of = |id: u64, what: &str| format!(r#"{{"id":{id},"do":"{what}","note":"n{id}"}}"#);
    let refused = of(3, "reject");
    let unread = r#"{"id":"x","do":"keep"}"#.to_owned();
    job.produce([
        of(0, "keep"),
        of(1, "drop"),
        of(2, "many"),
        refused.clone(),
        unread,
        of(5, "keep"),
    ])
    .await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered, ledger.dropped), (3, 2, 1));
    let rows = job.query("SELECT id, do, note FROM t ORDER BY id").await?;
    assert_eq!(rows, "0\tkeep\tn0\n2\tmany\tn2\n2\tmany\tn2\n2\tmany\tn2\n5\tkeep\tn5");
    let letters = job.dead_letters()?;
    let letter = letters.iter().find(|letter| letter.reason() == "hook_rejected");
    let letter = letter.unwrap_or_else(|| panic!("{letters:?}"));
    assert_eq!(letter.payload, Some(refused.into_bytes()));
    assert_eq!(letter.header("sluicegate.plugin"), "misbehaving-arrow 0.1.0");
    assert_eq!(letter.header("__connect.errors.stage"), "arrow_hook");
    assert_eq!(letter.failure(), "told to reject");
    Ok(())
}

#[tokio::test]
async fn a_record_whose_rows_fail_in_a_plugin_costs_itself_alone() -> anyhow::Result<()> {
    const CASES: &[(&str, &str)] = &[
        ("loop", "timeout: no answer within its deadline"),
        ("panic", "panic: it panicked: "),
        ("error", "error: told to fail"),
        ("huge_output", "out_of_memory: more than 67108864 bytes"),
        ("million", "too_much_output: 1000000 rows of one call"),
        ("out_of_range", "wrong_answer: `__row` holds 1, of 1 rows"),
        ("descending", "wrong_answer: `__row` descends"),
        ("null_row", "wrong_answer: a null in `__row`"),
        ("no_row", "wrong_answer: no column `__row` of type UInt32"),
        ("row_of_other_type", "wrong_answer: no column `__row` of type UInt32"),
        ("extra_column", "wrong_answer: other columns than it planned: __row, do, extra"),
        ("column_twice", "wrong_answer: other columns than it planned: __row, do, do"),
        ("missing_column", "wrong_answer: no column `do`"),
        ("wrong_type", "wrong_answer: column `do` is of type Null, expected Utf8"),
        ("cut", "wrong_answer: its stream: "),
        ("empty", "wrong_answer: its stream: no batch"),
        ("no_batch", "wrong_answer: its stream: no batch"),
        ("two_batches", "wrong_answer: its stream: more than one batch"),
        ("bad_utf8", "wrong_answer: its stream: "),
        ("bad_offsets", "wrong_answer: its stream: "),
        ("reject_out_of_range", "wrong_answer: row 1 is rejected, of 1 rows"),
        ("reject_and_keep", "wrong_answer: row 0 is rejected and goes on"),
        ("reject_twice", "wrong_answer: the rejected rows do not ascend"),
    ];
    let mut job = misbehaving().await?.with("PLUGIN_MISBEHAVING_ARROW_TIMEOUT_MS", "2000");
    let records = (0..1_000 * CASES.len()).map(|id| match CASES.get(id / 1_000) {
        Some((what, _)) if id % 1_000 == 617 => told(id as u64, what),
        _ => told(id as u64, "keep"),
    });
    job.produce(records).await?;
    let ledger = job.run_to_the_end().await?;
    let letters = job.dead_letters()?;
    for (at, (what, expected)) in CASES.iter().enumerate() {
        let payload = told((1_000 * at + 617) as u64, what).into_bytes();
        let letter = letters.iter().find(|letter| letter.payload.as_ref() == Some(&payload));
        let letter = letter.unwrap_or_else(|| panic!("`{what}` is not dead-lettered"));
        assert_eq!(letter.reason(), "hook_failed", "{what}");
        assert_eq!(letter.header("sluicegate.plugin"), "misbehaving-arrow 0.1.0", "{what}");
        let failure = letter.failure();
        assert!(failure.starts_with(expected), "{what}: {failure}");
    }
    assert_eq!(ledger.dead_lettered, CASES.len() as u64);
    assert_eq!(job.query("SELECT uniq(id) FROM t").await?, (999 * CASES.len()).to_string());
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_fails_on_everything_pauses_the_host_or_dead_letters_as_configured()
-> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    job.produce((0..1_000).map(|id| told(id, "panic"))).await?;
    let mut host = job.start()?;
    let words = ["plugin `misbehaving-arrow 0.1.0`", "panic", "PLUGIN_ON_BREAKER"];
    let says = |body: &str| words.iter().all(|word| body.contains(word));
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.dead_lettered, ledger.in_flight), (0, 1_000));

    job = job.with("PLUGIN_ON_BREAKER", "dead_letter").with("DLQ_MAX_SHARE", "1");
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (0, 1_000));
    Ok(())
}

#[tokio::test]
async fn a_table_that_a_plugin_cannot_work_on_is_waited_for_until_it_is_mended()
-> anyhow::Result<()> {
    for (plan, words) in [
        ("unknown_read", "with the column `no_such`"),
        ("unknown_write", "with the column `no_such`"),
        ("error", "config, key `plan`: told to refuse"),
        ("panic", "(panic)"),
        ("loop", "(timeout)"),
        ("known_field", "it belongs into `reads`"),
        ("unknown_type", "field `beside`"),
        ("wide_field", "a row takes 2147483"),
        ("many_types", "field `beside`"),
    ] {
        let mut job = misbehaving()
            .await?
            .with("SHUTDOWN_TIMEOUT_MS", "1000")
            .with("PLUGIN_MISBEHAVING_ARROW_CONFIG", &format!(r#"{{"plan":"{plan}"}}"#));
        job.produce([told(0, "keep")]).await?;
        let mut host = job.start()?;
        let says = |body: &str| body.contains("misbehaving-arrow") && body.contains(words);
        host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
        let peak = host.peak_memory_bytes()?;
        assert!(peak < 512 << 20, "{plan}: {} MiB at the peak", peak >> 20);
        if !plan.starts_with("unknown_w") {
            host.stop().await?;
            assert_eq!(job.committed()?, [0], "{plan}");
            continue;
        }
        job.query("ALTER TABLE t ADD COLUMN no_such String").await?;
        // The plugin gives no such column after all, so its record fails alone.
        job.wait_until_committed(&host).await?;
        let ledger = host.stop().await?;
        assert_eq!(ledger.dead_lettered, 1);
        assert!(job.dead_letters()?[0].failure().contains("no_such"));
    }
    Ok(())
}

#[tokio::test]
async fn an_instance_that_plans_otherwise_than_the_first_one_makes_the_host_wait()
-> anyhow::Result<()> {
    let job = misbehaving().await?;
    let mut job = job.with("PLUGIN_MISBEHAVING_ARROW_CONFIG", r#"{"plan":"differs"}"#);
    // The first instance is dropped, so another one is asked for the other half.
    job.produce([told(0, "keep"), told(1, "panic")]).await?;
    let mut host = job.start()?;
    let says = |body: &str| body.contains("misbehaving-arrow") && body.contains("plans otherwise");
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.dead_lettered, ledger.in_flight), (0, 2));
    Ok(())
}

#[tokio::test]
async fn a_column_that_is_added_while_records_flow_is_planned_for() -> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    job.produce([told(0, "keep")]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    job.query("ALTER TABLE t ADD COLUMN late Int8").await?;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    job.produce([r#"{"id":1,"do":"keep","late":7}"#.to_owned(), told(2, "panic")]).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT id, late FROM t ORDER BY id").await?, "0\t0\n1\t7");
    assert!(job.dead_letters()?[0].failure().starts_with("panic: "));
    Ok(())
}

#[tokio::test]
async fn a_plugin_on_payloads_behind_one_on_decoded_rows_is_refused() -> anyhow::Result<()> {
    let order = plugins(&["misbehaving-arrow", "passthrough"])?;
    let mut host = Job::new(TABLE).await?.with("PLUGINS", &order).start()?;
    assert_eq!(host.wait().await?.code(), Some(64));
    let log = host.log().join("\n");
    assert!(log.contains("put it in front of them"), "{log}");
    Ok(())
}

#[tokio::test]
async fn records_that_were_made_many_are_passed_on_with_one_fate() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE)
        .await?
        .with("PLUGINS", &plugins(&["explode", "misbehaving-arrow", "passthrough-arrow"])?)
        .with("PLUGIN_EXPLODE_CONFIG", r#"{"array":"do"}"#)
        .with("PLUGIN_PASSTHROUGH_ARROW_CONFIG", r#"{"write":true}"#);
    let bad = r#"{"id":2,"do":["keep","panic","many"]}"#;
    job.produce([r#"{"id":1,"do":["keep","drop","many"]}"#, bad, r#"{"id":3,"do":["drop"]}"#])
        .await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered, ledger.dropped), (1, 1, 1));
    let rows = job.query("SELECT id, do, count() FROM t GROUP BY id, do ORDER BY do").await?;
    assert_eq!(rows, "1\tkeep\t1\n1\tmany\t3");
    assert_eq!(job.dead_letters()?[0].payload.as_deref(), Some(bad.as_bytes()));
    Ok(())
}

#[tokio::test]
async fn a_column_that_a_plugin_gives_is_shown_by_check() -> anyhow::Result<()> {
    let job = misbehaving().await?.with("PLUGIN_MISBEHAVING_ARROW_CONFIG", "{}");
    let checked = sluicegate_tests::once(&job.environment, &["check"]).await?;
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(text.contains("those on decoded rows take this table"), "{text}");
    let config = r#"{"plan":"unknown_read"}"#;
    let job = job.with("PLUGIN_MISBEHAVING_ARROW_CONFIG", config);
    let checked = sluicegate_tests::once(&job.environment, &["check"]).await?;
    assert_eq!(checked.status.code(), Some(1));
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(text.contains("with the column `no_such`"), "{text}");
    Ok(())
}
