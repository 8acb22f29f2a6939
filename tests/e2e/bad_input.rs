//! Bad input: each kind is dead-lettered with its precise reason while its neighbours land.

use sluicegate_tests::{Job, Message};

const TABLE: &str = "CREATE TABLE t (
    id UInt64, i8 Int8, f Float64, e Enum8('on' = 1, 'off' = 2), d DateTime, day Date, u UUID,
    price Decimal(6, 2), code FixedString(3), must String, tags Array(String)
) ENGINE = MergeTree ORDER BY id";

fn good(id: u64) -> Message {
    Message::from(format!(r#"{{"id":{id},"e":"on","must":"x","tags":[]}}"#))
}

fn with(field: &str) -> Vec<u8> {
    format!(r#"{{"id":1,"e":"on","must":"x","tags":[],{field}}}"#).into_bytes()
}

/// What is produced, and the reason and column that are expected of it.
fn cases() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    let deep_unwanted = [br#"{"id":1,"x":"#.to_vec(), deep.clone(), b"}".to_vec()].concat();
    vec![
        (b"not json".to_vec(), "malformed_json", ""),
        (br#"{"id":1,"e":"#.to_vec(), "malformed_json", ""),
        (br#"{"id":1}{"id":2}"#.to_vec(), "malformed_json", ""),
        (b"".to_vec(), "malformed_json", ""),
        (with("\"x\":\"\u{1}\""), "malformed_json", ""),
        ([br#"{"must":""#.to_vec(), vec![0xff], b"\"}".to_vec()].concat(), "invalid_utf8", ""),
        ([br#"{"unwanted":""#.to_vec(), vec![0xff], b"\"}".to_vec()].concat(), "invalid_utf8", ""),
        (b"[1]".to_vec(), "type_mismatch", ""),
        (b"17".to_vec(), "type_mismatch", ""),
        (with(r#""i8":"a""#), "type_mismatch", "i8"),
        (with(r#""i8":{}"#), "type_mismatch", "i8"),
        (with(r#""i8":1.5"#), "type_mismatch", "i8"),
        (with(r#""i8":300"#), "out_of_range", "i8"),
        (with(r#""f":1e400"#), "out_of_range", "f"),
        (br#"{"id":1,"e":"dim","must":"x","tags":[]}"#.to_vec(), "unknown_label", "e"),
        (with(r#""d":"yesterday""#), "bad_datetime", "d"),
        (with(r#""d":"2026-02-30T00:00:00Z""#), "bad_datetime", "d"),
        (with(r#""day":"1969-12-31""#), "bad_datetime", "day"),
        (with(r#""u":"123e4567""#), "bad_uuid", "u"),
        (with(r#""price":1.234"#), "bad_decimal", "price"),
        (with(r#""price":12345.6"#), "bad_decimal", "price"),
        (with(r#""code":"abcd""#), "too_large", "code"),
        (br#"{"id":1,"e":"on","tags":[]}"#.to_vec(), "missing_column", "must"),
        (br#"{"id":1,"e":"on","must":null,"tags":[]}"#.to_vec(), "null_not_allowed", "must"),
        (br#"{"id":1,"e":null,"must":"x","tags":[]}"#.to_vec(), "null_not_allowed", "e"),
        (br#"{"id":1,"e":"on","must":"x","tags":["a",null]}"#.to_vec(), "null_not_allowed", "tags"),
        (with(r#""id":2"#), "duplicate_key", "id"),
        (b"{}".to_vec(), "no_known_field", ""),
        (br#"{"after":{"id":1},"op":"c"}"#.to_vec(), "no_known_field", ""),
        (deep, "too_deep", ""),
        (deep_unwanted, "too_deep", ""),
        (vec![b' '; 9_000_000], "too_large", ""),
    ]
}

#[tokio::test]
async fn each_is_dead_lettered_with_its_reason_while_its_neighbours_land() -> anyhow::Result<()> {
    let mut job =
        Job::new(TABLE).await?.with("REQUIRED_COLUMNS", "must").with("BATCH_MAX_BYTES", "8000000");
    let cases = cases();
    let mut messages = Vec::new();
    for (payload, ..) in &cases {
        messages.extend([good(messages.len() as u64), Message::from(payload)]);
    }
    job.produce(messages).await?;
    let ledger = job.run_to_the_end().await?;
    let bad = cases.len() as u64;
    assert_eq!((ledger.landed, ledger.dead_lettered), (bad, bad));
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, format!("{bad}\t{bad}"));

    let letters = job.dead_letters()?;
    for (payload, reason, column) in &cases {
        let shown = String::from_utf8_lossy(payload.get(..60).unwrap_or(payload));
        let found: Vec<_> = letters
            .iter()
            .filter(|letter| letter.payload.as_ref() == Some(payload))
            .map(|letter| (letter.reason(), letter.header("sluicegate.column")))
            .collect();
        assert_eq!(found, [(*reason, *column)], "of {shown}");
    }
    Ok(())
}

#[tokio::test]
async fn the_log_tells_where_a_rejected_record_is_and_its_payload_only_if_asked()
-> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    for (switch, is_shown) in [("0", false), ("1", true)] {
        job = job.with("LOG_PAYLOADS", switch);
        job.produce([r#"{"id":"four-o-two"}"#]).await?;
        let mut host = job.start()?;
        let line = host.wait_for(&["record dead-lettered", "type_mismatch", "\"offset\":"]).await?;
        assert_eq!(line.contains("four-o-two"), is_shown, "{line}");
        assert_eq!(line.contains("\"pointer\":\"/id\""), is_shown, "{line}");
        job.wait_until_committed(&host).await?;
        host.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_tombstone_is_skipped_or_dead_lettered_and_always_settles() -> anyhow::Result<()> {
    let tombstone = Message { key: Some(b"k".to_vec()), ..Message::default() };
    let mut job = Job::new(TABLE).await?;
    job.produce([tombstone.clone(), good(1)]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.skipped, ledger.landed, ledger.dead_lettered), (1, 1, 0));

    job = job.with("TOMBSTONES", "dead_letter");
    job.produce([good(2), tombstone]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.skipped, ledger.landed, ledger.dead_lettered), (0, 1, 1));
    let letters = job.dead_letters()?;
    assert_eq!((letters[0].reason(), &letters[0].payload), ("null_not_allowed", &None));
    assert_eq!(letters[0].key.as_deref(), Some(&b"k"[..]));
    Ok(())
}
