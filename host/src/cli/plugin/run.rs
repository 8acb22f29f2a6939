//! `plugin run`: records of a file through a plugin, in the sandbox that a host has.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use super::verdict::{self, Line};
use crate::config::{Environment, LogFormat, Plugins};
use crate::hooks::Hooks;
use crate::observe::status::Status;
use crate::record::{Batch, RawRecord, TopicPartition};

/// Options of `sluicegate plugin run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's file.
    file: PathBuf,
    /// Records, one payload a line.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The plugin's configuration: JSON, or `@` and the path of a file.
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// Longest call, in milliseconds.
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u32>,
    /// What is to be printed, one JSON object a line; anything else fails.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

/// Prints a verdict for each record, or what differs from the expectation.
///
/// # Errors
/// What is wrong with the plugin or a file, or how many lines differ.
pub fn run(args: &Args) -> anyhow::Result<()> {
    crate::observe::log::init(LogFormat::Text, "warn,sluicegate::hooks=debug")?;
    let batch = Arc::new(read(&args.input)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let lines = runtime.block_on(async {
        let hooks = Hooks::load(&plugins(args)?, Arc::new(Status::default())).await?;
        let hooks = hooks.context("this build runs no plugins")?;
        let hooked = hooks.run(&batch, (0..batch.len()).collect()).await;
        anyhow::Ok(verdict::lines(&batch, &hooked))
    })?;
    match &args.expect {
        None => {
            let mut out = std::io::stdout().lock();
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            Ok(())
        }
        Some(path) => compare(&lines, &expected(path)?),
    }
}

/// The plugin as PLUGINS would name it; one that fails on everything is no reason to stop.
fn plugins(args: &Args) -> anyhow::Result<Plugins> {
    let file = args.file.display();
    let mut variables = vec![
        // With a line break, so that a comma belongs to the path.
        ("PLUGINS", format!("plugin={file}\n")),
        ("PLUGIN_BREAKER_SHARE", "1".to_owned()),
        ("PLUGIN_ON_BREAKER", "dead_letter".to_owned()),
    ];
    variables.extend(args.config.clone().map(|config| ("PLUGIN_PLUGIN_CONFIG", config)));
    let timeout_ms = args.timeout_ms.map(|timeout_ms| timeout_ms.to_string());
    variables.extend(timeout_ms.map(|timeout_ms| ("PLUGIN_PLUGIN_TIMEOUT_MS", timeout_ms)));
    Ok(Plugins::from_env(&Environment::from_pairs(variables))?)
}

/// The lines of a file as the records of a partition; their numbers are the offsets, from 1.
fn read(path: &Path) -> anyhow::Result<Batch> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let source = TopicPartition { topic: "input".into(), partition: 0 };
    let mut batch = Batch::with_capacity(bytes.len());
    let lines =
        bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for (offset, line) in (1..).zip(lines).filter(|(_, line)| !line.is_empty()) {
        let record = RawRecord { offset, payload: Some(line), ..RawRecord::default() };
        batch.push(&source, 0, &record);
    }
    ensure!(!batch.is_empty(), "{}: no record", path.display());
    Ok(batch)
}

fn expected(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| format!("{}, line {at}", path.display()))
        })
        .collect()
}

/// Prints what differs, line by line.
fn compare(found: &[Line], expected: &[Line]) -> anyhow::Result<()> {
    let text = |line: Option<&Line>| line.map_or("nothing".to_owned(), ToString::to_string);
    let mut differ = 0;
    for at in 0..found.len().max(expected.len()) {
        let (found, expected) = (text(found.get(at)), text(expected.get(at)));
        if found != expected {
            differ += 1;
            println!("expected {expected}\nfound    {found}\n");
        }
    }
    ensure!(differ == 0, "{differ} of {} lines differ from the expectation", expected.len());
    println!("{} records as expected", found.len());
    Ok(())
}
