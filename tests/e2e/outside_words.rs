//! Words from outside, sent in through each door: none makes a line of its own or moves a terminal, and no
//! secret comes out.

use std::collections::BTreeMap;
use std::process::Output;

use serde_json::json;
use sluicegate::plugins::hooks::Manifest;
use sluicegate::schema::quoted::identifier;
use sluicegate::words::plain::is_hidden;
use sluicegate_tests::{Answer, Job, once, path_of};

/// A line of its own, a screen that is cleared, and an order that is turned.
const HOSTILE: &str =
    "x\nFORGED offsets committed\r\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2066}\u{2028}\u{85}y";

const TABLE: &str = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";

#[track_caller]
fn assert_plain(text: &str, of: &str) {
    let text = text.replace('\t', " ");
    for line in text.split('\n') {
        assert!(!line.contains(is_hidden), "{of}: {line:?}");
        assert!(!line.trim_start().starts_with("FORGED"), "{of}: {line:?}");
    }
}

/// What a command printed; it has to hold what was sent in, or nothing is shown by its absence.
#[track_caller]
fn assert_shown_plain(output: &Output, of: &str) -> anyhow::Result<String> {
    let text = String::from_utf8(output.stdout.clone())? + std::str::from_utf8(&output.stderr)?;
    assert!(text.contains("FORGED"), "{of}: {text}");
    assert_plain(&text, of);
    Ok(text)
}

#[tokio::test]
async fn commands_print_what_files_say_on_one_line() -> anyhow::Result<()> {
    let (folder, none) = (tempfile::tempdir()?, BTreeMap::new());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let built = path_of("SLUICEGATE_PLUGINS")?.join("wasm32-wasip2/release/misbehaving.wasm");
    let component = std::fs::read(&built)?;
    let manifest = Manifest {
        name: HOSTILE.into(),
        version: HOSTILE.into(),
        config_schema: Some(json!({"description": HOSTILE, "type": "object"})),
    };
    std::fs::write(at("named.wasm"), manifest.append_to(component.clone())?)?;
    let manifest = Manifest { config_schema: Some(json!({"required": [HOSTILE]})), ..manifest };
    std::fs::write(at("refuses.wasm"), manifest.append_to(component)?)?;
    std::fs::write(at(&format!("{HOSTILE}.wasm")), "no component")?;
    let record = json!({HOSTILE: HOSTILE, "id": 1}).to_string();
    std::fs::write(at("records.ndjson"), format!("{record}\nno json {HOSTILE:?}\n"))?;
    std::fs::write(at("raw.ndjson"), "{\"a\":\"FORGED \u{9b}2J\u{202e}\"}\n")?;
    std::fs::write(at(&format!("{HOSTILE}.ndjson")), format!("{record}\n"))?;
    let hostile_input = at(&format!("{HOSTILE}.ndjson"));
    for arguments in [
        &["plugin", "inspect", &at("named.wasm")][..],
        &["plugin", "inspect", &at(&format!("{HOSTILE}.wasm"))],
        &["plugin", "run", &at("refuses.wasm"), "--input", &at("records.ndjson")],
        &["plugin", "run", &at("named.wasm"), "--input", &at(&format!("{HOSTILE}.none"))],
        &["schema", "infer", "--file", &at("records.ndjson")],
        &["schema", "infer", "--file", &hostile_input],
    ] {
        let output = once(&none, arguments).await?;
        assert_shown_plain(&output, &format!("{arguments:?}"))?;
    }
    // The table that is printed has the name as the records have it.
    let output = once(&none, &["schema", "infer", "--file", &at("records.ndjson")]).await?;
    assert!(String::from_utf8(output.stdout)?.contains(&identifier(HOSTILE)));
    let redact = path_of("SLUICEGATE_PLUGINS")?.join("redact.wasm").display().to_string();
    let config = r#"{"fields":["b"]}"#;
    let arguments = ["plugin", "run", &redact, "--input", &at("raw.ndjson"), "--config", config];
    let output = once(&none, &arguments).await?;
    assert_plain(std::str::from_utf8(&output.stdout)?, "plugin run");
    Ok(())
}

#[tokio::test]
async fn a_column_of_any_name_is_filled_and_checked() -> anyhow::Result<()> {
    let column = identifier(HOSTILE);
    let table =
        format!("CREATE TABLE t (id UInt64, {column} Int64) ENGINE = MergeTree ORDER BY id");
    let mut job = Job::new(&table).await?;
    let names = "SELECT count() FROM system.columns WHERE table = 't' AND name = unhex";
    let bytes: Vec<String> = HOSTILE.bytes().map(|byte| format!("{byte:02x}")).collect();
    let hex = bytes.concat();
    assert_eq!(job.query(&format!("{names}('{hex}')")).await?, "1");
    for options in [&["check"][..], &["check", "--json"], &["schema"]] {
        let output = once(&job.environment, options).await?;
        let text = assert_shown_plain(&output, &format!("{options:?}"))?;
        assert_eq!(output.status.code(), Some(0), "{text}");
    }
    job.produce([json!({"id": 1, HOSTILE: 7}).to_string()]).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query(&format!("SELECT id, {column} FROM t")).await?, "1\t7");
    Ok(())
}

#[tokio::test]
async fn logs_and_pages_hold_what_servers_and_records_say_on_one_line() -> anyhow::Result<()> {
    for format in ["text", "json"] {
        let mut job = Job::new(TABLE)
            .await?
            .with("LOG_FORMAT", format)
            .with("LOG_PAYLOADS", "1")
            .with("UNKNOWN_FIELD_NAMES", "1");
        let kind = json!({"code": 241, "text": format!("memory {HOSTILE}")});
        let fault = json!({"match": "`t`", "times": null, "kind": kind});
        job.stack.fault(&serde_json::from_value(fault)?).await?;
        let record = json!({"id": 1, HOSTILE: HOSTILE}).to_string();
        job.produce([record, format!("no json {HOSTILE}")]).await?;
        let mut host = job.start()?;
        host.wait_for(&["waiting", "FORGED"]).await?;
        host.wait_for(&["dead-lettered", "FORGED"]).await?;
        if format == "json" {
            let is_told = |page: &Answer| page.body.contains("FORGED");
            assert_plain(&host.wait_for_answer("/readyz", is_told).await?.body, "/readyz");
        }
        job.stack.clear_faults().await?;
        job.wait_until_committed(&host).await?;
        host.wait_for(&["fields that fill no column", "FORGED"]).await?;
        if format == "json" {
            let page = host.admin("GET", "/metrics").await?.body;
            assert!(page.contains("FORGED"), "{page}");
            assert_plain(&page, "/metrics");
        }
        for line in host.log() {
            assert_plain(&line, format);
            let is_json = serde_json::from_str::<serde_json::Value>(&line).is_ok();
            assert_eq!(is_json, format == "json", "{line}");
        }
        host.kill().await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_secret_comes_out_at_any_level() -> anyhow::Result<()> {
    const SECRET: &str = "sentinel-9f3c";
    let options = sluicegate_tests::stack_options()?.with_credentials("default", SECRET);
    let plugin = sluicegate_tests::plugins(&["redact"])?;
    let config = format!(r#"{{"fields":["{SECRET}"]}}"#);
    let properties = format!("ssl.key.password={SECRET},fetch.wait.max.ms=20");
    let mut job = Job::on(options, TABLE, 1)
        .await?
        .with("KAFKA_PROPERTIES", &properties)
        .with("PLUGINS", &plugin)
        .with("PLUGIN_REDACT_CONFIG", &config)
        .with("LOOKUP_ZONES", &format!("SELECT 1 AS id, '{SECRET}' AS name"))
        .with("LOOKUP_ZONES_KEY", "id")
        .with("LOG_LEVEL", "trace");
    let wrong = format!("{SECRET}-wrong");
    job.produce([r#"{"id":1}"#, "no json"]).await?;
    let mut said = Vec::new();
    for password in [SECRET, &wrong] {
        job = job.with("CLICKHOUSE_PASSWORD", password);
        for arguments in [&["check"][..], &["check", "--json"], &["schema"]] {
            let output = once(&job.environment, arguments).await?;
            said.push(String::from_utf8(output.stdout)? + std::str::from_utf8(&output.stderr)?);
        }
        let mut host = job.start()?;
        if password == SECRET {
            job.wait_until_committed(&host).await?;
        } else {
            host.wait_for(&["paused", "CLICKHOUSE_PASSWORD"]).await?;
        }
        for path in ["/readyz", "/metrics"] {
            said.push(host.admin("GET", path).await?.body);
        }
        said.extend(host.log());
        host.kill().await?;
    }
    let broken =
        job.with("KAFKA_PROPERTIES", &format!("{SECRET},acks={SECRET},ssl.key.pem={SECRET}"));
    let broken = broken.with("PLUGIN_REDACT_CONFIG", &format!("{{{SECRET}"));
    let output = once(&broken.environment, &["run"]).await?;
    assert_eq!(output.status.code(), Some(64));
    said.push(String::from_utf8(output.stderr)?);
    assert!(said.len() > 20);
    for text in &said {
        assert!(!text.contains(SECRET), "{text}");
    }
    Ok(())
}
