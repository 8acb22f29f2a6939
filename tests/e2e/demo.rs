//! The demo: what a newcomer runs first.

use std::process::Stdio;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sluicegate_local::LocalStack;
use sluicegate_tests::PATIENCE;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

fn demo(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(sluicegate_tests::path_of("SLUICEGATE_BIN")?);
    command.arg("demo").args(args).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// What the demo printed, and its last line as an object.
pub async fn run(args: &[&str]) -> anyhow::Result<(String, Value)> {
    let output = demo(args)?.arg("--json").output().await?;
    let text = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}:\n{text}\n{errors}", output.status);
    let last = text.lines().last().context("the demo printed nothing")?;
    let last = serde_json::from_str(last)?;
    Ok((text, last))
}

#[tokio::test]
async fn telemetry_lands_but_for_one_record_in_a_hundred() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let kept = folder.path().to_str().context("a path of UTF-8")?;
    let (text, last) = run(&["--records", "5000", "--keep", kept]).await?;
    let count = |name: &str| last[name].as_u64().with_context(|| format!("`{name}` in {last}"));
    assert_eq!(count("consumed")?, 5_000);
    assert_eq!(count("inserted")? + count("dead_lettered")?, 5_000);
    assert!((20..100).contains(&count("dead_lettered")?), "{last}");
    assert_eq!(count("skipped")? + count("dropped")?, 0);
    for rate in ["seconds", "host_cpu_seconds", "rows_per_second"] {
        assert!(last[rate].as_f64().is_some_and(|value| value > 0.0), "{rate} in {last}");
    }
    for reason in ["malformed_json", "missing_column", "unknown_label", "out_of_range"] {
        assert!(text.contains(reason), "no {reason} in:\n{text}");
    }
    let stack = LocalStack::start(sluicegate_tests::stack_options()?.with_data(kept)).await?;
    let rows = stack.query("SELECT sum(total_rows) FROM system.tables WHERE database = 'default'");
    assert_eq!(rows.await?.trim(), count("inserted")?.to_string());
    Ok(())
}

#[tokio::test]
async fn plugins_mask_and_enrich_each_row_and_their_cost_is_told() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let kept = folder.path().to_str().context("a path of UTF-8")?;
    let (text, last) = run(&["--records", "5000", "--plugins", "--keep", kept]).await?;
    for plugin in ["redact", "enrich"] {
        let cost = last["plugin_seconds"][plugin].as_f64();
        assert!(cost.is_some_and(|seconds| seconds > 0.0), "{plugin} in {last}\n{text}");
    }
    let stack = LocalStack::start(sluicegate_tests::stack_options()?.with_data(kept)).await?;
    let rows = "SELECT uniqExact(fleet_owner), countIf(fleet_owner = '') = 0, \
        countIf(driver_note LIKE '%***%') > 0, countIf(driver_note LIKE '%@%') \
        FROM vehicle_telemetry";
    assert_eq!(stack.query(rows).await?.trim(), "4\t1\t1\t0");
    Ok(())
}

#[tokio::test]
async fn a_file_of_ones_own_lands_in_a_table_of_ones_own() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("readings.ndjson");
    std::fs::write(&file, "{\"id\":1}\n{\"id\":2}\n{\"id\":\"x\"}\n")?;
    let input = file.to_str().context("a path of UTF-8")?;
    let create = "CREATE TABLE readings (id UInt8) ENGINE = MergeTree ORDER BY id";
    let (text, last) = run(&["--input", input, "--create", create]).await?;
    assert_eq!((&last["inserted"], &last["dead_lettered"]), (&2.into(), &1.into()));
    assert!(text.contains("type_mismatch"), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_input_that_is_no_json_is_named() -> anyhow::Result<()> {
    let create = "CREATE TABLE readings (id UInt8) ENGINE = MergeTree ORDER BY id";
    let error = run(&["--input", "/nowhere/at-all.json", "--create", create]).await.unwrap_err();
    assert!(error.to_string().contains("--input /nowhere/at-all.json"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_engine_answers_queries_until_it_is_told_to_stop() -> anyhow::Result<()> {
    let mut child = demo(&["--records", "1000", "--serve"])?.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
    let curl = loop {
        let line = lines.next_line().await?.context("the demo ended before it served")?;
        if line.starts_with("  curl ") {
            break line;
        }
    };
    let quoted: Vec<&str> = curl.split('\'').skip(1).step_by(2).collect();
    let ask = async |header: &str| {
        let mut server = TcpStream::connect(quoted[0].trim_start_matches("http://")).await?;
        let request = format!("GET /?query=SELECT+17 HTTP/1.0\r\n{header}\r\n");
        server.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        server.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = ask(&format!("{}\r\n", quoted[1])).await?;
    assert!(answer.ends_with("\r\n\r\n17\n"), "{answer}");
    // Another user of the machine, or a page in a browser, does not know the password.
    let answer = ask("").await?;
    assert!(answer.contains("Code: 516") && !answer.ends_with("17\n"), "{answer}");
    kill(Pid::from_raw(i32::try_from(child.id().context("it has ended")?)?), Signal::SIGINT)?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
    assert!(status.success(), "{status}");
    Ok(())
}
