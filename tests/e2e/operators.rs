//! What an operator must mend at ClickHouse: the host waits and says for what, and no record pays.

use serde_json::json;
use sluicegate_tests::Job;

/// Codes, what ClickHouse says, and what the log tells to look at.
const ERRORS: [(u32, &str, &str); 13] = [
    (27, "Cannot parse input: expected 'eof' before: 'x'", "CLICKHOUSE_SETTINGS"),
    (46, "Unknown function f", "the server's version"),
    (62, "Syntax error", "the server's version"),
    (73, "Unknown format ArrowStream", "the server's version"),
    (115, "Unknown setting s", "CLICKHOUSE_SETTINGS"),
    (164, "Cannot execute query in readonly mode", "CLICKHOUSE_USER"),
    (192, "Unknown user", "CLICKHOUSE_USER"),
    (193, "Wrong password", "CLICKHOUSE_PASSWORD"),
    (194, "Password required", "CLICKHOUSE_PASSWORD"),
    (201, "Quota exceeded", "quota"),
    (452, "Setting s should not be changed", "CLICKHOUSE_SETTINGS"),
    (497, "Not enough privileges", "grant INSERT"),
    (516, "Authentication failed", "CLICKHOUSE_PASSWORD"),
];

#[tokio::test]
async fn each_error_that_an_operator_must_mend_is_waited_out_and_costs_no_record()
-> anyhow::Result<()> {
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id").await?;
    for (code, text, _) in ERRORS {
        let fault = json!({"match": "`t`", "times": 1, "kind": {"code": code, "text": text}});
        job.stack.fault(&serde_json::from_value(fault)?).await?;
    }
    job.produce([r#"{"id":1,"name":"n"}"#, r#"{"id":"x"}"#]).await?;
    let mut host = job.start()?;
    for (code, _, look) in ERRORS {
        host.wait_for(&["paused", &format!("Code: {code}."), look]).await?;
        assert!(job.committed()?.iter().all(|offset| *offset <= 0), "committed at {code}");
    }
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    Ok(())
}
