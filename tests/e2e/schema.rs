//! `sluicegate schema`: the schema that it prints is that of the table, and one that records can be held
//! against.

use serde_json::Value;
use sluicegate_tests::{Job, once};

const TABLE: &str = "CREATE TABLE t (id UInt8, at DateTime64(3), kind Enum8('a' = 1), \
     tags Array(String), note Nullable(FixedString(3)), twice UInt64 MATERIALIZED id * 2) \
     ENGINE = MergeTree ORDER BY id";

#[tokio::test]
async fn the_schema_of_the_table_is_printed_and_can_be_given_back() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("REQUIRED_COLUMNS", "id");
    let mut environment = job.environment.clone();
    environment.retain(|name, _| !name.starts_with("KAFKA_"));
    let output = once(&environment, &["schema"]).await?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let schema: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], serde_json::json!(["id"]));
    assert_eq!(schema["properties"]["id"]["maximum"], 255);
    assert_eq!(schema["properties"]["kind"]["enum"], serde_json::json!(["a"]));
    assert_eq!(schema["properties"]["twice"], Value::Null);

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("schema.json");
    std::fs::write(&path, &output.stdout)?;
    job = job.with("JSON_SCHEMA_FILE", &path.display().to_string());
    job.produce([
        r#"{"id":1,"at":"2026-03-01T10:00:00.5Z","kind":"a","tags":["x"],"note":"abc","more":{}}"#,
        r#"{"id":2.0,"kind":"a"}"#,
        r#"{"id":256,"kind":"a"}"#,
    ])
    .await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 1));
    assert_eq!(job.dead_letters()?[0].reason(), "out_of_range");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_exit_code_of_its_side() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?;
    let cases = [
        ("CLICKHOUSE_TABLE", "later", 1, "`later`"),
        ("REQUIRED_COLUMNS", "nope", 1, "REQUIRED_COLUMNS: `nope`"),
        ("CLICKHOUSE_HOST", "", 64, "CLICKHOUSE_HOST"),
        ("TIMESTAMP_UNIT", "weeks", 64, "TIMESTAMP_UNIT"),
        ("COERCION", "lenient", 64, "with COERCION set, nothing is derived"),
    ];
    for (name, value, code, told) in cases {
        let mut environment = job.environment.clone();
        environment.insert(name.into(), value.into());
        let output = once(&environment, &["schema"]).await?;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(code), "{name}: {stderr}");
        assert!(stderr.contains(told) && output.stdout.is_empty(), "{stderr}");
    }
    Ok(())
}
