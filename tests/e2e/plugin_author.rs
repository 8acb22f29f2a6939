//! An author's walk: from an empty folder to rows that a plugin changed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use sluicegate_tests::{Job, path_of};

const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk");

/// Runs `sluicegate plugin` in a folder.
fn plugin(folder: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(path_of("SLUICEGATE_BIN")?);
    command.arg("plugin").args(arguments);
    in_folder(command, folder)
}

fn in_folder(mut command: Command, folder: &Path) -> anyhow::Result<Output> {
    // Where the example plugins were built, so that what they share is not built again.
    command.env("CARGO_TARGET_DIR", path_of("SLUICEGATE_PLUGINS")?);
    command.current_dir(folder).output().context("starting it")
}

/// What it printed, if it went well.
fn done(output: anyhow::Result<Output>) -> anyhow::Result<String> {
    let output = output?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What it complained of.
fn refused(output: anyhow::Result<Output>) -> anyhow::Result<String> {
    let output = output?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn built(name: &str) -> anyhow::Result<PathBuf> {
    Ok(path_of("SLUICEGATE_PLUGINS")?.join(name))
}

#[tokio::test]
async fn a_new_plugin_builds_is_tried_and_changes_the_rows_of_a_host() -> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    done(plugin(here.path(), &["new", "add-region", "--sdk", SDK]))?;
    let folder = here.path().join("add-region");
    let readme = std::fs::read_to_string(folder.join("README.md"))?;
    assert!(readme.contains("`PLUGIN_ADD_REGION_CONFIG`"), "{readme}");
    let mut tests = Command::new(env!("CARGO"));
    tests.arg("test");
    let tested = done(in_folder(tests, &folder))?;
    assert!(tested.contains("1 passed"), "{tested}");

    // The author's own edit.
    let source = folder.join("src/lib.rs");
    let text = std::fs::read_to_string(&source)?;
    std::fs::write(&source, text.replace("\"unknown\".to_owned()", "\"none\".to_owned()"))?;
    done(plugin(&folder, &["build", "--output", "add-region.wasm"]))?;
    let inspected = done(plugin(&folder, &["inspect", "add-region.wasm"]))?;
    for part in ["add-region 0.1.0", "sluicegate:plugin 0.1.0", "sha256: ", r#""default":"region""#]
    {
        assert!(inspected.contains(part), "{part} in {inspected}");
    }

    let run = ["run", "add-region.wasm", "--input", "sample.ndjson"];
    let verdicts = done(plugin(&folder, &run))?;
    let lines: Vec<&str> = verdicts.lines().collect();
    let [first, second, third] = *lines else { anyhow::bail!("{verdicts}") };
    let written = r#"{"id":1,"name":"a","region":"none"}"#;
    assert_eq!(first, format!(r#"{{"line":1,"verdict":"replace","payloads":[{written}]}}"#));
    assert_eq!(second, r#"{"line":2,"verdict":"keep"}"#);
    assert!(
        third.starts_with(r#"{"line":3,"verdict":"reject","message":"not the JSON"#),
        "{third}"
    );

    std::fs::write(folder.join("expected.ndjson"), &verdicts)?;
    let expecting = [&run[..], &["--expect", "expected.ndjson"]].concat();
    let told = done(plugin(&folder, &expecting))?;
    assert!(told.contains("3 records as expected"), "{told}");
    let otherwise = [&expecting[..], &["--config", r#"{"value":"eu"}"#]].concat();
    let differs = refused(plugin(&folder, &otherwise))?;
    assert!(differs.contains("1 of 3 lines differ"), "{differs}");
    let mistyped = refused(plugin(&folder, &[&run[..], &["--config", r#"{"val":1}"#]].concat()))?;
    assert!(
        mistyped.contains("--config: at ``") && mistyped.contains("'val' was unexpected"),
        "{mistyped}"
    );

    let table = "CREATE TABLE t (id UInt64, region String) ENGINE = MergeTree ORDER BY id";
    let entry = format!("add-region={}", folder.join("add-region.wasm").display());
    let mut job = Job::new(table)
        .await?
        .with("PLUGINS", &entry)
        .with("PLUGIN_ADD_REGION_CONFIG", r#"{"value":"eu"}"#);
    job.produce([r#"{"id":1}"#, r#"{"id":2,"region":"us"}"#]).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT id, region FROM t ORDER BY id").await?, "1\teu\n2\tus");
    Ok(())
}

#[tokio::test]
async fn a_new_plugin_on_decoded_rows_is_tried_on_a_table_and_changes_the_rows_of_a_host()
-> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    done(plugin(here.path(), &["new", "clean-mail", "--stage", "arrow", "--sdk", SDK]))?;
    let folder = here.path().join("clean-mail");
    let mut tests = Command::new(env!("CARGO"));
    tests.arg("test");
    let tested = done(in_folder(tests, &folder))?;
    assert!(tested.contains("1 passed"), "{tested}");
    done(plugin(&folder, &["build", "--output", "clean-mail.wasm"]))?;
    let inspected = done(plugin(&folder, &["inspect", "clean-mail.wasm"]))?;
    assert!(inspected.contains("arrow"), "{inspected}");

    let run = ["run", "clean-mail.wasm", "--input", "sample.ndjson"];
    let without = refused(plugin(&folder, &run))?;
    assert!(without.contains("--table FILE"), "{without}");
    let verdicts = done(plugin(&folder, &[&run[..], &["--table", "columns.txt"]].concat()))?;
    let lines: Vec<&str> = verdicts.lines().collect();
    let [first, second, third] = *lines else { anyhow::bail!("{verdicts}") };
    let written = r#"{"id":1,"email":"ann@example.org"}"#;
    assert_eq!(first, format!(r#"{{"line":1,"verdict":"replace","payloads":[{written}]}}"#));
    assert_eq!(second, r#"{"line":2,"verdict":"keep"}"#);
    let why = r#""message":"expected an e-mail address","column":"email"}"#;
    assert_eq!(third, format!(r#"{{"line":3,"verdict":"reject",{why}"#));

    let table = "CREATE TABLE t (id UInt64, email String) ENGINE = MergeTree ORDER BY id";
    let entry = format!("clean-mail={}", folder.join("clean-mail.wasm").display());
    let mut job = Job::new(table).await?.with("PLUGINS", &entry);
    job.produce([r#"{"id":1,"email":" Ann@Example.org "}"#]).await?;
    job.run_to_the_end().await?;
    assert_eq!(job.query("SELECT id, email FROM t").await?, "1\tann@example.org");
    Ok(())
}

#[test]
fn a_plugin_is_tried_with_lookups_from_files() -> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(here.path().join(name), text);
    write("x.ndjson", "{\"fleet\":\"a\"}\n{\"fleet\":\"b\"}\n")?;
    write("columns.txt", "fleet String\nowner Nullable(String)\n")?;
    write("fleets.csv", "name,owner\na,x\n")?;
    write("fleets.ndjson", "{\"owner\":\"x\",\"name\":\"a\"}\n")?;
    let file = built("enrich.wasm")?;
    let file = file.to_string_lossy();
    let config = r#"{"table":"fleets","key":"fleet","columns":{"owner":"owner"}}"#;
    let table = ["--table", "columns.txt", "--config", config];
    let run = [&["run", &file, "--input", "x.ndjson"], &table[..]].concat();
    for lookup in ["fleets=fleets.csv", "fleets:name=fleets.ndjson"] {
        let verdicts = done(plugin(here.path(), &[&run[..], &["--lookup", lookup]].concat()))?;
        let written = r#"{"line":1,"verdict":"replace","payloads":[{"fleet":"a","owner":"x"}]}"#;
        assert_eq!(verdicts, format!("{written}\n{{\"line\":2,\"verdict\":\"keep\"}}\n"));
    }
    let missing = refused(plugin(here.path(), &run))?;
    assert!(missing.contains("`fleets` is not granted: name it in --lookup"), "{missing}");
    let gone = [&run[..], &["--lookup", "fleets:name=gone.csv"]].concat();
    let gone = refused(plugin(here.path(), &gone))?;
    assert!(gone.contains("LOOKUP_FLEETS") && gone.contains("gone.csv: No such file"), "{gone}");
    Ok(())
}

#[test]
fn a_file_that_no_host_loads_is_told_before_a_host_does() -> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    for (file, import) in [
        ("misbehaving-files.wasm", "import: wasi:filesystem/types@"),
        ("misbehaving-network.wasm", "import: wasi:sockets/tcp@"),
    ] {
        let path = built(file)?;
        let output = plugin(here.path(), &["inspect", &path.to_string_lossy()])?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = printed.lines().find(|line| line.starts_with(import));
        assert!(line.is_some_and(|line| line.ends_with("REFUSED")), "{printed}");
        assert!(refused(Ok(output))?.contains("a host refuses it"), "{file}");
    }
    let passes = built("passthrough.wasm")?;
    let printed = done(plugin(here.path(), &["inspect", &passes.to_string_lossy()]))?;
    assert!(!printed.contains("REFUSED"), "{printed}");
    Ok(())
}

#[test]
fn what_a_plugin_fails_on_is_told_by_line() -> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    let input = here.path().join("x.ndjson");
    std::fs::write(&input, "{\"do\":\"keep\"}\n\n{\"do\":\"panic\"}\n{\"do\":\"drop\"}\n")?;
    let file = built("misbehaving.wasm")?;
    let (file, input) = (file.to_string_lossy(), input.to_string_lossy());
    let verdicts = done(plugin(here.path(), &["run", &file, "--input", &input]))?;
    let lines: Vec<&str> = verdicts.lines().collect();
    let [first, second, third] = *lines else { anyhow::bail!("{verdicts}") };
    assert_eq!(first, r#"{"line":1,"verdict":"keep"}"#);
    assert!(second.starts_with(r#"{"line":3,"verdict":"fail","message":"panic: it panicked"#));
    assert!(second.contains("told to panic"), "{second}");
    assert_eq!(third, r#"{"line":4,"verdict":"drop"}"#);
    Ok(())
}

#[test]
fn a_row_that_the_table_does_not_take_is_rejected_as_a_host_would() -> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(here.path().join(name), text);
    write("columns.txt", "id Int64\ndo String\nkind Enum8('a' = 1)\n")?;
    write(
        "x.ndjson",
        "{\"id\":1,\"do\":\"keep\",\"kind\":\"a\"}\n{\"id\":2,\"do\":\"keep\",\"kind\":null}\n",
    )?;
    let file = built("misbehaving-arrow.wasm")?;
    let run = ["run", &file.to_string_lossy(), "--input", "x.ndjson", "--table", "columns.txt"];
    let verdicts = done(plugin(here.path(), &run))?;
    let lines: Vec<&str> = verdicts.lines().collect();
    let [first, second] = *lines else { anyhow::bail!("{verdicts}") };
    assert_eq!(first, r#"{"line":1,"verdict":"keep"}"#);
    let refused =
        r#"{"line":2,"verdict":"reject","message":"column `kind`: expected a value of Enum8"#;
    assert!(second.starts_with(refused), "{second}");
    assert!(second.ends_with(r#","column":"kind"}"#), "{second}");
    Ok(())
}

#[test]
fn a_plugin_is_measured_beside_another() -> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    let input = here.path().join("x.ndjson");
    std::fs::write(&input, "{\"email\":\"a@example.com\"}\n")?;
    let (redact, passthrough) = (built("redact.wasm")?, built("passthrough.wasm")?);
    let arguments = [
        "bench",
        &redact.to_string_lossy(),
        "--baseline",
        &passthrough.to_string_lossy(),
        "--input",
        &input.to_string_lossy(),
        "--config",
        r#"{"fields":["email"]}"#,
        "--records",
        "2000",
        "--rounds",
        "3",
    ];
    let table = done(plugin(here.path(), &arguments))?;
    for part in ["3 rounds of 2000 records", "no hook", "passthrough", "redact takes "] {
        assert!(table.contains(part), "{part} in {table}");
    }
    Ok(())
}

#[test]
fn a_new_plugin_needs_a_name_a_free_folder_and_the_sdk() -> anyhow::Result<()> {
    let here = tempfile::tempdir()?;
    for name in ["Mask", "", "-mask", "mask mail", "../mask"] {
        let error = refused(plugin(here.path(), &["new", "--sdk", SDK, "--", name]))?;
        assert!(error.contains("a name begins with a lower-case letter"), "{error}");
    }
    let error = refused(plugin(here.path(), &["new", "mask"]))?;
    assert!(error.contains("--sdk"), "{error}");
    std::fs::create_dir(here.path().join("mask"))?;
    let error = refused(plugin(here.path(), &["new", "mask", "--sdk", SDK]))?;
    assert!(error.contains("`mask` is there already"), "{error}");
    Ok(())
}
