//! JSON_SCHEMA_FILE: what violates the user's schema is dead-lettered with its place in both, and a
//! schema that cannot be used is refused at the start.

use std::path::PathBuf;

use sluicegate_tests::{Job, once, path_of};
use tempfile::TempDir;

const TABLE: &str = "CREATE TABLE t (id UInt64, n Int32, note Nullable(String)) \
                     ENGINE = MergeTree ORDER BY id";

/// A job whose records are held against a schema in a file.
async fn job_with(schema: &str) -> anyhow::Result<(Job, TempDir)> {
    let (folder, path) = file(schema)?;
    let job = Job::new(TABLE).await?.with("JSON_SCHEMA_FILE", &path.display().to_string());
    Ok((job, folder))
}

fn file(schema: &str) -> anyhow::Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("schema.json");
    std::fs::write(&path, schema)?;
    Ok((folder, path))
}

#[tokio::test]
async fn a_violation_is_dead_lettered_with_the_schema_path_and_its_neighbours_land()
-> anyhow::Result<()> {
    let schema = r##"{"$schema": "http://json-schema.org/draft-07/schema#", "required": ["note"],
        "properties": {"n": {"$ref": "#/definitions/small"}, "other": {"minLength": 2}},
        "definitions": {"small": {"maximum": 100}}}"##;
    let (mut job, _folder) = job_with(schema).await?;
    let cases = [
        (r#"{"id":1,"n":100,"note":null,"other":"ab"}"#, "", ""),
        (r#"{"id":2,"n":101,"note":"x"}"#, "n", "/definitions/small/maximum (100), got 101"),
        (r#"{"id":3,"n":1}"#, "note", "/required"),
        (r#"{"id":4,"note":"x","other":"a"}"#, "", "/properties/other/minLength (2)"),
        (r#"{"id":5,"n":7,"note":"x"}"#, "", ""),
    ];
    // The table says first what is wrong, so that a schema that asks for no more changes nothing.
    let of_the_table =
        [(r#"{"id":6,"n":"101","note":"x"}"#, "type_mismatch"), ("{", "malformed_json")];
    job.produce(cases.map(|(record, ..)| record)).await?;
    job.produce(of_the_table.map(|(record, _)| record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 5));
    assert_eq!(
        job.query("SELECT groupArray(id) FROM (SELECT id FROM t ORDER BY id)").await?,
        "[1,5]"
    );

    let letters = job.dead_letters()?;
    let of =
        |record: &str| letters.iter().find(|l| l.payload.as_deref() == Some(record.as_bytes()));
    for (record, column, message) in cases.iter().filter(|(.., message)| !message.is_empty()) {
        let letter = of(record).unwrap();
        assert_eq!(
            (letter.reason(), letter.header("sluicegate.column")),
            ("schema_violation", *column)
        );
        let told = letter.header("__connect.errors.exception.message");
        assert!(told.contains(message), "{told}");
        assert_eq!(letter.header("__connect.errors.stage"), "check");
    }
    for (record, reason) in of_the_table {
        assert_eq!(of(record).unwrap().reason(), reason);
    }
    Ok(())
}

#[tokio::test]
async fn what_plugins_put_out_is_judged_and_one_bad_row_takes_its_record_along()
-> anyhow::Result<()> {
    let schema = r#"{"properties": {"n": {"maximum": 100}}}"#;
    let (job, _folder) = job_with(schema).await?;
    let explode = path_of("SLUICEGATE_PLUGINS")?.join("explode.wasm");
    let mut job = job
        .with("PLUGINS", &format!("explode={}", explode.display()))
        .with("PLUGIN_EXPLODE_CONFIG", r#"{"array":"items"}"#);
    let bad = r#"{"id":1,"items":[{"n":1},{"n":101},{"n":102}]}"#;
    job.produce([bad, r#"{"id":2,"items":[{"n":1},{"n":2}]}"#]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    assert_eq!(job.query("SELECT count(), min(id) FROM t").await?, "2\t2");
    let letters = job.dead_letters()?;
    assert_eq!(letters[0].payload.as_deref(), Some(bad.as_bytes()));
    assert_eq!(letters[0].reason(), "schema_violation");
    Ok(())
}

#[tokio::test]
async fn a_schema_that_leads_out_of_its_file_stops_the_host_before_it_begins() -> anyhow::Result<()>
{
    let (_folder, path) = file(r#"{"properties": {"n": {"$ref": "https://example.com/n.json"}}}"#)?;
    let job = Job::new(TABLE).await?.with("JSON_SCHEMA_FILE", &path.display().to_string());
    for command in ["run", "check"] {
        let output = once(&job.environment, &[command]).await?;
        let told = String::from_utf8([output.stdout, output.stderr].concat())?;
        assert_eq!(output.status.code(), Some(64), "{told}");
        for part in ["JSON_SCHEMA_FILE", "/properties/n/$ref", "https://example.com/n.json"] {
            assert!(told.contains(part), "{command}: {told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_that_the_table_covers_is_not_run_until_the_table_no_longer_does()
-> anyhow::Result<()> {
    let (mut job, _folder) = job_with(r#"{"properties": {"n": {"maximum": 2147483647}}}"#).await?;
    let checked = once(&job.environment, &["check"]).await?;
    let told = String::from_utf8(checked.stdout)?;
    assert!(told.contains("asks for no more than the table does"), "{told}");
    let mut host = job.start()?;
    host.wait_for(&["asks for no more than the table does"]).await?;
    job.query("ALTER TABLE t MODIFY COLUMN n Int64").await?;
    job.produce([r#"{"id":1,"n":2147483648}"#, r#"{"id":2,"n":7}"#]).await?;
    host.wait_for(&["is run on every record", "/properties/n/maximum"]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    assert_eq!(job.dead_letters()?[0].reason(), "schema_violation");
    Ok(())
}
