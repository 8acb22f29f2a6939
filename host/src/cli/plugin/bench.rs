//! `plugin bench`: a plugin's cost, compared with no hook and another plugin in the same run.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::trial::{self, LoadedPlugin, Trial};
use crate::cli::print::say;
use crate::flow::payloads::Hooked;
use crate::flow::record::Batch;

/// Options of `sluicegate plugin bench`.
#[derive(Debug, clap::Args)]
pub struct PluginBenchArgs {
    #[command(flatten)]
    plugin: Trial,
    /// A plugin to compare with, such as one that keeps everything.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// How many records a round has; those of the input are repeated.
    #[arg(long, default_value_t = 25_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    records: u32,
    /// How many rounds are taken; each asks every variant once.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

/// A variant, and the nanoseconds for each record in each round.
struct Variant {
    name: String,
    plugin: Option<LoadedPlugin>,
    ns: Vec<f64>,
}

/// Prints medians, with the host's work: splitting into calls, copies, checking answers.
///
/// # Errors
/// A fault of a plugin or a file.
pub fn bench_plugin(args: &PluginBenchArgs) -> anyhow::Result<()> {
    let once = trial::read_input(&args.plugin.input)?;
    let batch = Arc::new(trial::repeated(&once, args.records));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    let variants = runtime.block_on(measure(args, &batch))?;
    let bytes = batch.size_bytes() / batch.len() as usize;
    say(format_args!(
        "{} rounds of {} records of {bytes} bytes; medians on one core",
        args.rounds,
        batch.len()
    ));
    say(format_args!("{:<24}{:>12}{:>16}{:>14}", "", "ns a record", "beside no hook", "memory"));
    let none = variants.first().map_or(0.0, Variant::median);
    for variant in &variants {
        let memory = variant.plugin.as_ref().map_or(0, LoadedPlugin::memory_bytes);
        say(format_args!(
            "{:<24}{:>12.0}{:>16.0}{:>10.1} MiB",
            variant.name,
            variant.median(),
            variant.median() - none,
            memory as f64 / 1_048_576.0
        ));
    }
    if let [_, baseline, plugin] = &*variants {
        let ratio = plugin.median() / baseline.median();
        say(format_args!("{} takes {ratio:.2} times what {} takes", plugin.name, baseline.name));
    }
    Ok(())
}

async fn measure(args: &PluginBenchArgs, batch: &Arc<Batch>) -> anyhow::Result<Vec<Variant>> {
    let named = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut variants = vec![Variant::new("no hook".to_owned(), None)];
    if let Some(path) = &args.baseline {
        let baseline = Trial { file: path.clone(), config: None, ..args.plugin.clone() };
        variants.push(Variant::new(named(path), Some(baseline.load().await?)));
    }
    variants.push(Variant::new(named(&args.plugin.file), Some(args.plugin.load().await?)));
    for _ in 0..args.rounds {
        for variant in &mut variants {
            let took = match &variant.plugin {
                None => {
                    let started = Instant::now();
                    black_box(batch.payloads().flatten().map(<[u8]>::len).sum::<usize>());
                    started.elapsed()
                }
                Some(LoadedPlugin::Rows(hooks)) => {
                    let payloads = Hooked::of_records(batch).payloads;
                    let started = Instant::now();
                    let hooked = hooks.run(batch, payloads).await;
                    black_box(hooked.payloads.iter(batch).map(|row| row.1.len()).sum::<usize>());
                    started.elapsed()
                }
                Some(LoadedPlugin::Arrow(hooks, fit, _)) => {
                    let rows = trial::rows(fit, batch);
                    let started = Instant::now();
                    black_box(trial::hooked(hooks, fit, rows).await?);
                    started.elapsed()
                }
            };
            variant.ns.push(took.as_nanos() as f64 / f64::from(batch.len()));
        }
    }
    Ok(variants)
}

impl Variant {
    fn new(name: String, plugin: Option<LoadedPlugin>) -> Self {
        Self { name, plugin, ns: Vec::new() }
    }

    fn median(&self) -> f64 {
        let mut ns = self.ns.clone();
        ns.sort_by(f64::total_cmp);
        ns.get(ns.len() / 2).copied().unwrap_or_default()
    }
}
