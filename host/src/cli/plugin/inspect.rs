//! `plugin inspect`: what a file is, and what it imports.

use std::path::PathBuf;

use anyhow::ensure;

use crate::cli::print::say;
use crate::plugins::hooks::{ComponentLoader, File, Worker};

/// Options of `sluicegate plugin inspect`.
#[derive(Debug, clap::Args)]
pub struct PluginInspectArgs {
    /// The plugin's file.
    file: PathBuf,
}

/// Prints the file's manifest and what was found in it.
///
/// # Errors
/// It is no plugin, or imports something not granted; the findings are printed anyway.
pub fn inspect_plugin(args: &PluginInspectArgs) -> anyhow::Result<()> {
    let file = ComponentLoader::new(None, Worker::default())?.read(&args.file)?;
    say(format_args!("{}: {}", args.file.display(), line(&file)));
    say(format_args!("sha256: {}", file.sha256));
    let schema = file.manifest.as_ref().and_then(|manifest| manifest.config_schema.as_ref());
    match schema {
        Some(schema) => say(format_args!("config: {schema}")),
        None => say("config: no schema"),
    }
    for import in &file.imports {
        let refused = if import.refused.is_some() { "  REFUSED" } else { "" };
        say(format_args!("import: {}{refused}", import.name));
    }
    let is_refused = file.imports.iter().any(|import| import.refused.is_some());
    ensure!(!is_refused, "{}: a host refuses it for what it imports", args.file.display());
    Ok(())
}

/// Name, version, size and contract, on one line.
pub fn line(file: &File) -> String {
    let who = match &file.manifest {
        Some(manifest) => format!("{} {}", manifest.name, manifest.version),
        None => "no name: built without `sluicegate plugin build`".to_owned(),
    };
    format!(
        "{who}, {} plugin for sluicegate:plugin {}, {} KiB",
        file.sees.as_str(),
        file.api_version,
        file.bytes.div_ceil(1024)
    )
}
