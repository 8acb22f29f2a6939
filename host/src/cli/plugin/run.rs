//! `plugin run`: runs records of a file through a plugin, in the same sandbox as a host.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use super::trial::{self, LoadedPlugin, Trial};
use super::verdict::{self, VerdictLine};
use crate::check::check;
use crate::cli::print::{say, say_json};
use crate::config::LogFormat;
use crate::decode::judge_text;
use crate::flow::payloads::Hooked;
use crate::words::plain::Json;

/// Options of `sluicegate plugin run`.
#[derive(Debug, clap::Args)]
pub struct PluginRunArgs {
    #[command(flatten)]
    plugin: Trial,
    /// What is to be printed, one JSON object a line; anything else fails.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

/// Prints a verdict for each record, or the differences from the expectation.
///
/// # Errors
/// A fault of the plugin or a file, or the number of lines that differ.
pub fn try_plugin(args: &PluginRunArgs) -> anyhow::Result<()> {
    crate::observe::log::init(LogFormat::Text, "warn,sluicegate::plugins::hooks=debug")?;
    let batch = Arc::new(trial::read_input(&args.plugin.input)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    let lines = runtime.block_on(async {
        match args.plugin.load().await? {
            LoadedPlugin::Rows(hooks) => {
                let hooked = hooks.run(&batch, Hooked::of_records(&batch).payloads).await;
                Ok(verdict::of_payloads(&batch, &hooked))
            }
            LoadedPlugin::Arrow(hooks, fit, table) => {
                let before = trial::rows(&fit, &batch);
                let after = trial::hooked(&hooks, &fit, before.clone()).await?;
                let checked = check(&table, after.clone(), Vec::new(), judge_text);
                verdict::of_rows(&batch, &before, &after, &checked.rejections)
            }
        }
    })?;
    match &args.expect {
        None => {
            let mut out = std::io::stdout().lock();
            lines.iter().try_for_each(|line| writeln!(out, "{}", Json(line)))?;
            Ok(())
        }
        Some(path) => compare(&lines, &expected(path)?),
    }
}

fn expected(path: &Path) -> anyhow::Result<Vec<VerdictLine>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| format!("{}, line {at}", path.display()))
        })
        .collect()
}

/// Prints the differences, line by line.
fn compare(found: &[VerdictLine], expected: &[VerdictLine]) -> anyhow::Result<()> {
    let text = |line: Option<&VerdictLine>| line.map_or("nothing".to_owned(), ToString::to_string);
    let mut differ = 0;
    for at in 0..found.len().max(expected.len()) {
        let (found, expected) = (text(found.get(at)), text(expected.get(at)));
        if found != expected {
            differ += 1;
            say_json(format_args!("expected {expected}\nfound    {found}\n"));
        }
    }
    ensure!(differ == 0, "{differ} of {} lines differ from the expectation", expected.len());
    say(format_args!("{} records as expected", found.len()));
    Ok(())
}
