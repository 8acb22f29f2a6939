//! Shared by `plugin run` and `plugin bench`: a plugin without a host, and records from a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};

use super::lookup::LookupFile;
use super::table;
use crate::config::{ConfigErrors, Environment, Plugins};
use crate::decode::decode;
use crate::flow::hold::Hold;
use crate::flow::record::{Batch, RawRecord, TopicPartition};
use crate::flow::rows::Rows;
use crate::limits::budget::Budget;
use crate::observe::status::Status;
use crate::plugins::hooks::{ArrowHooks, Fit, Hooks, RowsHooks, Worker};
use crate::plugins::lookups::Lookups;
use crate::schema::plan::TablePlan;
use crate::words::plain::PlainLines;

/// The host's names for the options of a trial.
const OPTIONS: &[(&str, &str)] = &[
    ("PLUGIN_PLUGIN_CONFIG", "--config"),
    ("PLUGIN_PLUGIN_LOOKUPS", "--lookup"),
    ("PLUGIN_PLUGIN_TIMEOUT_MS", "--timeout-ms"),
];

/// A plugin and what goes through it.
#[derive(Debug, Clone, clap::Args)]
pub struct Trial {
    /// The plugin's file.
    pub file: PathBuf,
    /// Records, one payload a line.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// The table of a plugin on decoded rows: a file with a line `name Type` for each column.
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// The plugin's configuration: JSON, or `@` and the path of a file.
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// A lookup of the plugin: its name, the column that is its key, by default the first one
    /// of a .csv, and a .csv or .ndjson. May be given many times.
    #[arg(long, value_name = "NAME[:KEY]=FILE")]
    pub lookup: Vec<LookupFile>,
    /// Longest call, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u32>,
}

/// A loaded plugin, by its stage.
pub enum LoadedPlugin {
    /// Payloads.
    Rows(RowsHooks),
    /// Decoded rows of one table.
    Arrow(ArrowHooks, Arc<Fit>, Arc<TablePlan>),
}

impl Trial {
    /// Loads the plugin in a host's sandbox. Its breaker dead-letters instead of pausing, even if
    /// every row fails.
    ///
    /// # Errors
    /// A fault of the plugin, its configuration, a lookup or the table.
    pub async fn load(&self) -> anyhow::Result<LoadedPlugin> {
        self.begin().await.map_err(|error| {
            let text = in_options(format!("{error:#}"));
            match error.is::<ConfigErrors>() {
                true => PlainLines(text).into(),
                false => anyhow!(text),
            }
        })
    }

    async fn begin(&self) -> anyhow::Result<LoadedPlugin> {
        let (plugins, status) = (self.plugins()?, Arc::new(Status::default()));
        let lookups = Lookups::load(&plugins.lookups, None, Arc::clone(&status), Arc::default());
        let budget = Budget::new(1, usize::MAX);
        let (worker, lookups) = (Worker::default(), Arc::new(lookups.await?));
        let hooks = Hooks::load(&plugins, worker, lookups, budget, status).await?;
        match (hooks.rows, hooks.arrow, &self.table) {
            (Some(rows), _, None) => Ok(LoadedPlugin::Rows(rows)),
            (None, Some(arrow), Some(path)) => {
                let table = Arc::new(table::read_table_file(path)?);
                let fit = arrow.fit(&table).await;
                let fit = fit.map_err(|hold| anyhow!("{}", hold.text().to_owned()))?;
                Ok(LoadedPlugin::Arrow(arrow, fit, table))
            }
            (Some(_), _, Some(_)) => bail!("--table: a plugin on payloads knows no table"),
            (None, Some(_), None) => bail!(
                "a plugin on decoded rows needs --table FILE: a line `name Type` for each column"
            ),
            (None, None, _) => bail!("this build runs no plugins"),
        }
    }

    fn plugins(&self) -> anyhow::Result<Plugins> {
        let mut variables = vec![
            // With a line break, so that the path may contain a comma.
            ("PLUGINS".to_owned(), format!("plugin={}\n", self.file.display())),
            ("PLUGIN_ON_BREAKER".to_owned(), "dead_letter".to_owned()),
        ];
        let mut set = |of: &str, value| variables.push((format!("PLUGIN_PLUGIN_{of}"), value));
        if let Some(config) = &self.config {
            set("CONFIG", config.clone());
        }
        if let Some(timeout_ms) = self.timeout_ms {
            set("TIMEOUT_MS", timeout_ms.to_string());
        }
        if !self.lookup.is_empty() {
            let names: Vec<&str> = self.lookup.iter().map(|lookup| &*lookup.name).collect();
            set("LOOKUPS", names.join("\n"));
        }
        for lookup in &self.lookup {
            variables.extend(lookup.variables()?);
        }
        Ok(Plugins::from_env(&Environment::from_pairs(variables))?)
    }
}

/// A host's error, with the names of options instead of variables.
fn in_options(text: String) -> String {
    OPTIONS.iter().fold(text, |text, (variable, option)| text.replace(variable, option))
}

impl LoadedPlugin {
    /// The most memory that an idle instance holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Rows(hooks) => hooks.memory_bytes(),
            Self::Arrow(hooks, ..) => hooks.memory_bytes(),
        }
    }
}

/// The records of a batch as a plugin on decoded rows gets them.
pub fn rows(fit: &Fit, batch: &Batch) -> Rows {
    let payloads = (0..batch.len()).zip(batch.payloads());
    decode(&fit.decode, payloads.filter_map(|(origin, payload)| Some((origin, payload?))))
}

/// Runs decoded rows through a plugin.
///
/// # Errors
/// A condition that a host would wait for.
pub async fn hooked(hooks: &ArrowHooks, fit: &Arc<Fit>, rows: Rows) -> anyhow::Result<Rows> {
    let hooked = hooks.run(fit, rows).await;
    let hooked = hooked.map_err(|hold: Hold| anyhow!("{}", hold.text().to_owned()))?;
    Ok(hooked.0)
}

/// The lines of a file as records of a partition, whose offsets are the line numbers, from 1. Empty
/// lines are skipped.
///
/// # Errors
/// The file does not exist, or holds no record.
pub fn read_input(path: &Path) -> anyhow::Result<Batch> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let mut batch = Batch::with_capacity(bytes.len());
    let lines =
        bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for (offset, line) in (1..).zip(lines).filter(|(_, line)| !line.is_empty()) {
        push(&mut batch, offset, line);
    }
    ensure!(!batch.is_empty(), "{}: no record", path.display());
    Ok(batch)
}

/// This many records, repeating those of a batch.
pub fn repeated(batch: &Batch, records: u32) -> Batch {
    let mut many = Batch::default();
    let payloads = batch.payloads().flatten().cycle();
    for (offset, payload) in (1..=i64::from(records)).zip(payloads) {
        push(&mut many, offset, payload);
    }
    many
}

fn push(batch: &mut Batch, offset: i64, payload: &[u8]) {
    let partition = TopicPartition { topic: "input".into(), partition: 0 };
    batch.push(
        &partition,
        0,
        &RawRecord { offset, payload: Some(payload), ..RawRecord::default() },
    );
}
