//! What `plugin run` and `plugin bench` share: a plugin without a host, and records from a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::config::{Environment, Plugins};
use crate::record::{Batch, RawRecord, TopicPartition};

/// A plugin and what goes through it.
#[derive(Debug, Clone, clap::Args)]
pub struct Trial {
    /// The plugin's file.
    pub file: PathBuf,
    /// Records, one payload a line.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// The plugin's configuration: JSON, or `@` and the path of a file.
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// Longest call, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u32>,
}

impl Trial {
    /// The plugin as PLUGINS would name it; one that fails on everything is no reason to stop.
    ///
    /// # Errors
    /// What is wrong with the file's path or the configuration.
    pub fn plugins(&self) -> anyhow::Result<Plugins> {
        let mut variables = vec![
            // With a line break, so that a comma belongs to the path.
            ("PLUGINS", format!("plugin={}\n", self.file.display())),
            ("PLUGIN_ON_BREAKER", "dead_letter".to_owned()),
        ];
        variables.extend(self.config.clone().map(|config| ("PLUGIN_PLUGIN_CONFIG", config)));
        let timeout_ms = self.timeout_ms.map(|timeout_ms| timeout_ms.to_string());
        variables.extend(timeout_ms.map(|timeout_ms| ("PLUGIN_PLUGIN_TIMEOUT_MS", timeout_ms)));
        Ok(Plugins::from_env(&Environment::from_pairs(variables))?)
    }
}

/// The lines of a file as the records of a partition; their numbers are the offsets, from 1. An
/// empty line is none.
///
/// # Errors
/// There is no such file, or no record in it.
pub fn read(path: &Path) -> anyhow::Result<Batch> {
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

/// So many records, those of a batch again and again.
pub fn repeated(batch: &Batch, records: u32) -> Batch {
    let mut many = Batch::default();
    let payloads = batch.payloads().flatten().cycle();
    for (offset, payload) in (1..=i64::from(records)).zip(payloads) {
        push(&mut many, offset, payload);
    }
    many
}

fn push(batch: &mut Batch, offset: i64, payload: &[u8]) {
    let source = TopicPartition { topic: "input".into(), partition: 0 };
    batch.push(&source, 0, &RawRecord { offset, payload: Some(payload), ..RawRecord::default() });
}
