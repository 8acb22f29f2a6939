//! RECORD_SPLIT: several records in one message, which land together or not at all; and what is told of payloads
//! that are no record.

use sluicegate_tests::{DeadLetter, Job, Message, once, path_of};

const TABLE: &str = "CREATE TABLE t (id UInt64, n Nullable(Int8), must String) \
                     ENGINE = MergeTree ORDER BY id";

/// What a letter says is wrong.
fn told(letter: &DeadLetter) -> &str {
    letter.header("__connect.errors.exception.message")
}

async fn ids(job: &Job) -> anyhow::Result<String> {
    job.query("SELECT groupArray(id) FROM (SELECT id FROM t ORDER BY id)").await
}

/// The letter of a payload, if it is there once and as it was.
fn of<'a>(letters: &'a [DeadLetter], payload: &str) -> Option<&'a DeadLetter> {
    let is_it = |letter: &&DeadLetter| letter.payload.as_deref() == Some(payload.as_bytes());
    let mut found = letters.iter().filter(is_it);
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

#[tokio::test]
async fn each_line_is_a_row_and_one_bad_line_takes_its_message_along() -> anyhow::Result<()> {
    let schema = r#"{"properties":{"n":{"maximum":100}}}"#;
    let mut job = Job::new(TABLE)
        .await?
        .with("RECORD_SPLIT", "lines")
        .with("REQUIRED_COLUMNS", "must")
        .with("JSON_SCHEMA", schema);
    let good = "\u{feff}{\"id\":1,\"must\":\"x\"}\r\n\n{\"id\":2,\"must\":\"x\",\"n\":1}\n";
    let row = r#"{"id":9,"must":"x"}"#;
    let cases = [
        (
            format!("{row}\n\n\n{{\"id\":9,\"must\":\"x\",\"n\":300}}\n{row}"),
            "out_of_range",
            "column `n` at line 4, /n: expected integer from -128 to 127, or null, got 300",
        ),
        (format!("{row}\n{{\"id\":9}}"), "missing_column", "column `must` at line 2, /must: "),
        (format!("{row}\n{{\"id\":"), "malformed_json", "line 2: expected one JSON object, got "),
        (
            format!("{{\"id\":9,\"must\":\"x\",\"n\":101}}\n{row}"),
            "schema_violation",
            " at line 1, /n",
        ),
        (format!("{row}\n[{row}]"), "type_mismatch", "line 2: expected a JSON object"),
    ];
    job.produce([good, "", "\n \r\n", "{\"id\":3,\"must\":\"\"}"]).await?;
    job.produce(cases.each_ref().map(|(payload, ..)| payload.as_str())).await?;
    job.produce([Message { key: Some(b"k".to_vec()), ..Message::default() }]).await?;
    let ledger = job.run_to_the_end().await?;
    let bad = cases.len() as u64;
    assert_eq!((ledger.landed, ledger.dead_lettered, ledger.skipped), (2, bad, 3));
    assert_eq!(ids(&job).await?, "[1,2,3]");
    let letters = job.dead_letters()?;
    for (payload, reason, words) in &cases {
        let letter = of(&letters, payload).unwrap();
        assert_eq!(letter.reason(), *reason, "{payload}");
        assert!(told(letter).contains(words), "{payload}: {}", told(letter));
    }
    Ok(())
}

#[tokio::test]
async fn each_element_goes_through_the_plugins_and_is_told_by_its_index() -> anyhow::Result<()> {
    let explode = path_of("SLUICEGATE_PLUGINS")?.join("explode.wasm");
    let mut job = Job::new(TABLE)
        .await?
        .with("RECORD_SPLIT", "array")
        .with("METADATA_COLUMNS", "must=offset")
        .with("PLUGINS", &format!("explode={}", explode.display()))
        .with("PLUGIN_EXPLODE_CONFIG", r#"{"array":"items"}"#);
    job.stack.query("ALTER TABLE t MODIFY COLUMN must Int64").await?;
    let good = r#" [ {"id":1}, {"id":2,"items":[{"n":1},{"n":2}]} ] "#;
    let refused = r#"[{"id":9},{"id":9},{"id":9,"items":"x"}]"#;
    let bad = r#"[{"id":9},{"id":9,"n":"]"}]"#;
    let cut = r#"[{"id":9},{"id":9}"#;
    job.produce([good, "[]", refused, bad, cut, r#"{"id":3}"#]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered, ledger.skipped), (2, 3, 1));
    let rows = job.query("SELECT id, n, must FROM t ORDER BY id, n").await?;
    assert_eq!(
        rows, "1\t\\N\t0\n2\t1\t0\n2\t2\t0\n3\t\\N\t5",
        "rows of one message have its offset"
    );
    let letters = job.dead_letters()?;
    let words = |payload| {
        let letter = of(&letters, payload).unwrap();
        (letter.reason(), told(letter))
    };
    let (reason, text) = words(refused);
    assert!(reason == "hook_rejected" && text.contains("/2: expected"), "{text}");
    assert_eq!(
        words(bad),
        (
            "type_mismatch",
            "column `n` at /1/n: expected integer from -128 to 127, or null, got \"]\""
        )
    );
    let (reason, text) = words(cut);
    assert!(reason == "malformed_json" && text.contains("EOF while parsing a list"), "{text}");
    Ok(())
}

#[tokio::test]
async fn the_rows_of_a_message_land_exactly_once() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, n Nullable(Int8), must LowCardinality(String)) \
                 ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table)
        .await?
        .exactly_once(1_000)
        .await?
        .with("RECORD_SPLIT", "lines")
        .with("METADATA_COLUMNS", "must=token");
    let message = |at: u64| {
        let line = |line: u64| format!("{{\"id\":{}}}", at * 100 + line);
        (0..100).map(line).collect::<Vec<_>>().join("\n")
    };
    job.produce((0..20).map(message)).await?;
    job.produce([format!("{}\n{{\"id\":-1}}", message(99)), "\n".to_owned()]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    host.kill().await?;
    job.produce((20..40).map(message)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!(ledger.dead_lettered, 0);
    let rows = "SELECT count(), uniqExact(id), max(id), countIf(must = '') FROM t";
    assert_eq!(job.query(rows).await?, "4000\t4000\t3999\t0");
    let letters = job.dead_letters()?;
    assert_eq!((letters.len(), letters[0].reason()), (1, "out_of_range"));
    assert!(told(&letters[0]).contains("line 101, /id"), "{}", told(&letters[0]));
    Ok(())
}

#[tokio::test]
async fn what_is_no_record_is_told_by_what_it_is() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let cases: [(&[u8], &str, &str); 6] = [
        (
            b"\0\0\0\0\x2a\x02\x08",
            "malformed_json",
            "the wire format of a schema registry, not JSON",
        ),
        (b"\0\0\0\0\x2a\xff", "invalid_utf8", "the wire format of a schema registry, not JSON"),
        (b"\xff\xfe{\0}\0", "invalid_utf8", "a byte order mark of UTF-16"),
        (b"{\"id\":8}\n{\"id\":9}", "malformed_json", "RECORD_SPLIT=lines"),
        (b"[{\"id\":8}]", "type_mismatch", "RECORD_SPLIT=array"),
        (br#"{"id":9,"must":"cut \ud83d"}"#, "malformed_json", "lone surrogate"),
    ];
    job.produce(cases.map(|(payload, ..)| Message::from(payload))).await?;
    job.produce(["\u{feff}{\"id\":1}", r#"{"id":2,"\ud83d":1}"#]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, cases.len() as u64));
    assert_eq!(ids(&job).await?, "[1,2]");
    let letters = job.dead_letters()?;
    for (payload, reason, words) in cases {
        let letter = letters.iter().find(|letter| letter.payload.as_deref() == Some(payload));
        let letter = letter.unwrap();
        assert_eq!(letter.reason(), reason);
        assert!(told(letter).contains(words), "{}", told(letter));
    }
    Ok(())
}

#[tokio::test]
async fn messages_of_very_many_records_are_rows_within_the_budget_or_letters() -> anyhow::Result<()>
{
    let mut job = Job::new("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
        .await?
        .with("RECORD_SPLIT", "lines")
        .with("UNFILLED_RECORDS", "accept");
    let lines = |count| "{}\n".repeat(count);
    // All of them together hold three million places.
    job.produce((0..10).map(|_| lines(300_000))).await?;
    job.produce([lines(1_000_001), "{\"id\":1}".to_owned()]).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    let peak = host.peak_memory_bytes()?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (11, 1));
    assert_eq!(job.query("SELECT count() FROM t").await?, "3000001");
    assert_eq!(job.dead_letters()?[0].reason(), "too_large");
    assert!(peak < 256 << 20, "{peak} bytes");
    Ok(())
}

#[tokio::test]
async fn infer_splits_as_the_host_does() -> anyhow::Result<()> {
    let mut job = Job::new("CREATE TABLE other (x UInt8) ENGINE = Memory")
        .await?
        .with("RECORD_SPLIT", "array");
    job.produce([r#"[{"id":1},{"id":2,"n":"x"}]"#, "[]", "[{}", r#"{"id":3}"#]).await?;
    let inferred = once(&job.environment, &["schema", "infer", "--topic", "records"]).await?;
    let (sql, notes) = (String::from_utf8(inferred.stdout)?, String::from_utf8(inferred.stderr)?);
    assert!(inferred.status.success(), "{notes}");
    assert!(notes.contains("1 record whose payload holds none"), "{notes}");
    assert!(notes.contains("malformed_json"), "{notes}");
    job.stack.query(&sql.replace("`records`", "t")).await?;
    assert_eq!(job.run_to_the_end().await?.landed, 2);
    assert_eq!(
        job.query("SELECT groupArray(id) FROM (SELECT id FROM t ORDER BY id)").await?,
        "[1,2,3]"
    );
    Ok(())
}
