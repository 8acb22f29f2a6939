//! Plugins through the whole path: what they make of records, and what they cannot do to it.

use std::path::PathBuf;

use sluicegate_tests::{DeadLetter, Job, Message, path_of, plugins};

const TABLE: &str = "CREATE TABLE t (id UInt64, email String, item String, price Int8)
    ENGINE = MergeTree ORDER BY id";

/// A job whose records go through `misbehaving`, in batches of a thousand.
async fn misbehaving() -> anyhow::Result<Job> {
    let job = Job::new(TABLE).await?;
    Ok(job.with("PLUGINS", &plugins(&["misbehaving"])?).with("NUM_MESSAGES", "1000"))
}

/// A record that tells `misbehaving` what to do.
fn told(id: u64, what: &str) -> String {
    format!(r#"{{"id":{id},"do":"{what}"}}"#)
}

#[tokio::test]
async fn records_are_masked_then_made_many_and_keep_one_fate() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE)
        .await?
        .with("PLUGINS", &plugins(&["redact", "explode"])?)
        .with("PLUGIN_REDACT_CONFIG", r#"{"fields":["email"]}"#)
        .with("PLUGIN_EXPLODE_CONFIG", r#"{"array":"items"}"#);
    let two = r#"{"id":2,"email":"write to a@example.com","items":[{"item":"x"},{"item":"y"}]}"#;
    let bad = r#"{"id":3,"items":[{"price":1},{"price":300},{"price":-300}]}"#;
    let refused = r#"{"id":4,"items":"x"}"#;
    let whole = r#"{"id":1,"email":"none"}"#;
    let none = r#"{"id":5,"items":[]}"#;
    let tombstone = Message { key: Some(b"k".to_vec()), ..Message::default() };
    let records = [whole, two, bad, refused, none].map(Message::from);
    job.produce(records.into_iter().chain([tombstone])).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 2));
    assert_eq!((ledger.dropped, ledger.skipped, ledger.in_flight), (1, 1, 0));
    let rows = job.query("SELECT id, email, item FROM t ORDER BY id, item").await?;
    assert_eq!(rows, "1\tnone\t\n2\twrite to ***\tx\n2\twrite to ***\ty");

    let letters = job.dead_letters()?;
    let of = |payload: &str| {
        let found: Vec<&DeadLetter> = letters
            .iter()
            .filter(|letter| letter.payload.as_deref() == Some(payload.as_bytes()))
            .collect();
        assert_eq!(found.len(), 1, "{payload}: once, as it was");
        found[0]
    };
    assert_eq!((of(bad).reason(), of(bad).header("sluicegate.column")), ("out_of_range", "price"));
    let refused = of(refused);
    assert_eq!(
        (refused.reason(), refused.header("sluicegate.plugin")),
        ("hook_rejected", "explode 0.1.0")
    );
    assert_eq!(refused.header("sluicegate.column"), "items");
    assert_eq!(refused.header("__connect.errors.stage"), "rows_hook");
    assert_eq!(refused.failure(), "expected an array");
    Ok(())
}

#[tokio::test]
async fn a_row_that_the_server_refuses_takes_its_record_along_and_no_hook_runs_twice()
-> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, item UInt8, CONSTRAINT c CHECK item != 13)
        ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table)
        .await?
        .with("PLUGINS", &plugins(&["explode"])?)
        .with("PLUGIN_EXPLODE_CONFIG", r#"{"array":"item"}"#);
    let of = |id: u64, items: &str| format!(r#"{{"id":{id},"item":[{items}]}}"#);
    let good = (0..100).filter(|id| *id != 50).map(|id| of(id, "1,2,3"));
    let bad = of(50, "1,13,2");
    job.produce(good.chain([bad.clone()])).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let metrics = host.admin("GET", "/metrics").await?;
    let batches = metrics.metric("sluicegate_batch_bytes_count");
    assert!(batches.is_some(), "{}", metrics.body);
    assert_eq!(metrics.metric("sluicegate_hook_seconds_count{plugin=\"explode\"}"), batches);
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (99, 1));
    let rows = job.query("SELECT count(), uniq(id), countIf(id = 50) FROM t").await?;
    assert_eq!(rows, "297\t99\t0");
    let letter = &job.dead_letters()?[0];
    assert_eq!((letter.reason(), &letter.payload), ("insert_refused", &Some(bad.into_bytes())));
    Ok(())
}

#[tokio::test]
async fn a_record_that_a_plugin_fails_on_costs_itself_alone() -> anyhow::Result<()> {
    const CASES: &[(&str, &str)] = &[
        ("loop", "timeout: no answer within its deadline"),
        ("allocate", "out_of_memory: more than 67108864 bytes"),
        ("huge_output", "out_of_memory: more than 67108864 bytes"),
        ("recurse", "stack_overflow: "),
        ("panic", "panic: it panicked: "),
        ("abort", "panic: it panicked"),
        ("exit", "trap: "),
        ("sleep", "trap: "),
        ("error", "error: told to fail"),
        ("long_error", "error: xxxxx"),
        ("many_rows", "too_much_output: 1000000 payloads of one call"),
        ("few_actions", "wrong_answer: 0 actions for 1 rows"),
        ("many_actions", "wrong_answer: 2 actions for 1 rows"),
        ("bad_ends", "wrong_answer: payloads end at byte"),
        ("descending_ends", "wrong_answer: the ends of payloads descend"),
        ("few_counts", "wrong_answer: 0 counts for 1 `many`"),
        ("few_rejections", "wrong_answer: 0 rejections for 1 `reject`"),
    ];
    let mut job = misbehaving().await?.with("PLUGIN_MISBEHAVING_TIMEOUT_MS", "2000");
    let records = (0..1_000 * CASES.len()).map(|id| match CASES.get(id / 1_000) {
        Some((what, _)) if id % 1_000 == 617 => told(id as u64, what),
        _ => told(id as u64, "keep"),
    });
    job.produce(records).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!(ledger.dead_lettered, CASES.len() as u64);
    assert_eq!(job.query("SELECT uniq(id) FROM t").await?, (999 * CASES.len()).to_string());
    let letters = job.dead_letters()?;
    for (at, (what, expected)) in CASES.iter().enumerate() {
        let payload = told((1_000 * at + 617) as u64, what).into_bytes();
        let letter = letters.iter().find(|letter| letter.payload.as_ref() == Some(&payload));
        let letter = letter.unwrap_or_else(|| panic!("`{what}` is not dead-lettered"));
        assert_eq!(letter.reason(), "hook_failed", "{what}");
        assert_eq!(letter.header("sluicegate.plugin"), "misbehaving 0.1.0", "{what}");
        let failure = letter.failure();
        assert!(failure.starts_with(expected), "{what}: {failure}");
    }
    let says = |text: &str| letters.iter().any(|letter| letter.failure().contains(text));
    assert!(says("it waits, which no plugin may (wasi:clocks/monotonic-clock@"), "what ended it");
    let panic = letters.iter().find(|letter| letter.failure().starts_with("panic: it panicked: "));
    assert!(panic.is_some_and(|letter| letter.failure().contains("told to panic")), "its own text");
    Ok(())
}

#[tokio::test]
async fn a_plugin_is_told_what_it_wants_to_know_of_a_record() -> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    let headers = vec![("h".to_owned(), b"v".to_vec())];
    let message = Message { key: Some(b"k".to_vec()), headers, ..told(0, "tell").into() };
    let plain = Message { timestamp_ms: Some(1_700_000_000_000), ..told(0, "tell").into() };
    job.produce([Message { timestamp_ms: Some(1_700_000_000_001), ..message }, plain]).await?;
    job.run_to_the_end().await?;
    let first = r#"records 0 Some(1700000000001) Some("k") [("h", Some("v"))]"#;
    let second = "records 0 Some(1700000000000) None []";
    let rows = job.query("SELECT id, item FROM t ORDER BY id").await?;
    assert_eq!(rows, format!("0\t{first}\n1\t{second}"));
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_loops_on_many_records_pauses_the_host_or_loses_those_alone()
-> anyhow::Result<()> {
    let mut job = misbehaving().await?.with("PLUGIN_MISBEHAVING_TIMEOUT_MS", "300");
    let is_poison = |id: u64| id % 100 == 7;
    let what = |id| if is_poison(id) { "loop" } else { "keep" };
    job.produce((0..1_000).map(|id| told(id, what(id)))).await?;
    let mut host = job.start()?;
    let words = ["plugin `misbehaving 0.1.0`", "too long", "timeout"];
    let says = |body: &str| words.iter().all(|word| body.contains(word));
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
    // A guest that runs is no reason to stay.
    let ledger = host.stop().await?;
    assert_eq!((ledger.dead_lettered, ledger.in_flight), (0, 1_000));

    job = job.with("PLUGIN_ON_BREAKER", "dead_letter");
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (990, 10));
    let letters = job.dead_letters()?;
    assert!(letters.iter().all(|letter| letter.failure().starts_with("timeout: ")));
    Ok(())
}

#[tokio::test]
async fn a_long_word_of_a_plugin_is_cut() -> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    job.produce([told(0, "long_rejection"), told(1, "keep")]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    let letter = &job.dead_letters()?[0];
    assert_eq!(letter.header("sluicegate.column").len(), 128);
    assert!(letter.header("__connect.errors.exception.message").len() <= 1_200);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_too_large_costs_its_record() -> anyhow::Result<()> {
    let mut job = misbehaving().await?.with("PLUGIN_MISBEHAVING_MEMORY_BYTES", "1073741824");
    job.produce([told(0, "keep"), told(1, "huge_output"), told(2, "keep")]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    let letters = job.dead_letters()?;
    assert!(letters[0].failure().starts_with("too_much_output: "), "{}", letters[0].failure());
    Ok(())
}

#[tokio::test]
async fn several_poison_records_of_a_batch_are_each_found() -> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    let is_poison = |id: u64| [0, 1, 499, 500, 999].contains(&id);
    let what = |id| if is_poison(id) { "panic" } else { "keep" };
    job.produce((0..1_000).map(|id| told(id, what(id)))).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (995, 5));
    let lost =
        "SELECT groupArray(number) FROM numbers(1000) WHERE number NOT IN (SELECT id FROM t)";
    assert_eq!(job.query(lost).await?, "[0,1,499,500,999]");
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_refuses_everything_pulls_the_brake() -> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    job.produce((0..1_000).map(|id| told(id, "reject"))).await?;
    let mut host = job.start()?;
    host.wait_for_answer("/readyz", |ready| ready.body.contains("DLQ_MAX_SHARE")).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.dead_lettered, ledger.in_flight), (0, 1_000));
    assert_eq!(job.dead_letters()?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_fails_on_everything_pauses_the_host_or_dead_letters_as_configured()
-> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    job.produce((0..1_000).map(|id| told(id, "panic"))).await?;
    let mut host = job.start()?;
    let words = ["plugin `misbehaving 0.1.0`", "panic", "PLUGIN_ON_BREAKER"];
    let says = |body: &str| words.iter().all(|word| body.contains(word));
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.dead_lettered, ledger.in_flight), (0, 1_000));

    job = job.with("PLUGIN_ON_BREAKER", "dead_letter").with("DLQ_MAX_SHARE", "1");
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (0, 1_000));
    assert_eq!(job.dead_letters()?.len(), 1_000);
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_shouts_is_cut_short() -> anyhow::Result<()> {
    let mut job = misbehaving().await?;
    job.produce([told(0, "log_flood"), told(1, "counter_flood"), told(2, "panic")]).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let metrics = host.admin("GET", "/metrics").await?;
    let counters = metrics
        .body
        .lines()
        .filter(|line| line.starts_with("sluicegate_plugin_counter_total{plugin=\"misbehaving\""));
    assert_eq!(counters.count(), 20, "{}", metrics.body);
    let failures = "sluicegate_hook_failures_total{plugin=\"misbehaving\",kind=\"panic\"}";
    assert!(metrics.metric(failures) >= Some(1.0), "{}", metrics.body);
    let runs = metrics.metric("sluicegate_hook_seconds_count{plugin=\"misbehaving\"}");
    assert!(runs >= Some(1.0), "{}", metrics.body);
    let lines = host.log().iter().filter(|line| line.contains("\"line ")).count();
    // A hundred in each of the ten seconds' windows that the run may have touched.
    assert!((1..=300).contains(&lines), "{lines} lines");
    host.stop().await.map(drop)
}

/// Writes other bytes of the same length over each place of some.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    for at in 0..bytes.len() {
        if let Some(place) = bytes.get_mut(at..at + old.len()).filter(|place| *place == old) {
            place.copy_from_slice(new);
        }
    }
}

/// Files that no host may load, each with the words that say so.
fn unfit() -> anyhow::Result<Vec<(Vec<u8>, &'static [&'static str])>> {
    let read = |name: &str| -> anyhow::Result<Vec<u8>> {
        Ok(std::fs::read(path_of("SLUICEGATE_PLUGINS")?.join(name))?)
    };
    let whole = read("passthrough.wasm")?;
    let cut = whole.iter().take(1_000).copied().collect();
    let mut newer = whole;
    for interface in ["lifecycle", "rows", "types", "host"] {
        replace(
            &mut newer,
            format!("sluicegate:plugin/{interface}@0.1.0").as_bytes(),
            format!("sluicegate:plugin/{interface}@0.2.0").as_bytes(),
        );
    }
    Ok(vec![
        (b"# A readme".to_vec(), &["no WebAssembly component"]),
        (b"\0asm\x01\0\0\0".to_vec(), &["a core module", "wasm32-wasip2"]),
        (b"\0asm\x0d\0\x01\0".to_vec(), &["exports no world of sluicegate:plugin"]),
        (newer, &["built for sluicegate:plugin 0.2.0", "this host speaks 0.1"]),
        (cut, &["unexpected end"]),
        (read("misbehaving-files.wasm")?, &["wasi:filesystem/", "(files)"]),
        (read("misbehaving-network.wasm")?, &["wasi:sockets/", "(the network)"]),
    ])
}

/// Starts a host that must refuse its plugin `p`, and returns its log.
async fn refused(job: Job) -> anyhow::Result<String> {
    let mut host = job.start()?;
    let status = host.wait().await?;
    let log = host.log().join("\n");
    assert_eq!(status.code(), Some(64), "{log}");
    assert!(log.contains("PLUGINS: `p`"), "{log}");
    Ok(log)
}

#[tokio::test]
async fn a_file_that_is_no_plugin_of_this_host_is_refused_by_name() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path: PathBuf = folder.path().join("p.wasm");
    for (bytes, words) in unfit()? {
        std::fs::write(&path, bytes)?;
        let job = Job::new(TABLE).await?.with("PLUGINS", &format!("p={}", path.display()));
        let log = refused(job).await?;
        assert!(words.iter().all(|word| log.contains(word)), "{words:?} in {log}");
        assert!(log.contains("p.wasm"), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_by_name() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("p.wasm");
    std::fs::File::create(&path)?.set_len(64 * 1024 * 1024 + 1)?;
    let job = Job::new(TABLE).await?.with("PLUGINS", &format!("p={}", path.display()));
    let log = refused(job).await?;
    assert!(log.contains("p.wasm") && log.contains("a plugin may have 67108864"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_does_not_start_is_refused_with_its_own_words() -> anyhow::Result<()> {
    let path = path_of("SLUICEGATE_PLUGINS")?.join("misbehaving.wasm");
    for (config, words) in [
        (r#"{"init":"error"}"#, "refuses its configuration: config, key `init`"),
        (r#"{"init":"panic"}"#, "init failed (panic): it panicked: "),
        (r#"{"init":"loop"}"#, "init failed (timeout)"),
        (r#"{"init":"allocate"}"#, "init failed (out_of_memory)"),
        (r#"{"init":7}"#, "PLUGIN_P_CONFIG: at `/init`"),
        (r#"{"intit":"ok"}"#, "'intit' was unexpected"),
    ] {
        let job = Job::new(TABLE)
            .await?
            .with("PLUGINS", &format!("p={}", path.display()))
            .with("PLUGIN_P_TIMEOUT_MS", "2000")
            .with("PLUGIN_P_CONFIG", config);
        let log = refused(job).await?;
        assert!(log.contains(words), "{words} in {log}");
    }
    let job = Job::new(TABLE)
        .await?
        .with("PLUGINS", &format!("p={}", path.display()))
        .with("PLUGIN_P_SHA256", &"0".repeat(64));
    let log = refused(job).await?;
    assert!(log.contains("PLUGIN_P_SHA256"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_cache_keeps_compiled_plugins_and_is_nobody_elses() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    let mut job = Job::new(TABLE)
        .await?
        .with("PLUGINS", &plugins(&["passthrough"])?)
        .with("PLUGIN_CACHE_DIR", &cache.display().to_string());
    for id in 0..2 {
        job.produce([told(id, "keep")]).await?;
        job.run_to_the_end().await?;
        assert_eq!(std::fs::metadata(&cache)?.permissions().mode() & 0o777, 0o700);
        assert!(std::fs::read_dir(&cache)?.count() > 0, "nothing is kept");
    }
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o770))?;
    let mut host = job.start()?;
    assert_eq!(host.wait().await?.code(), Some(64));
    let log = host.log().join("\n");
    assert!(log.contains("PLUGIN_CACHE_DIR") && log.contains("0700"), "{log}");
    Ok(())
}
