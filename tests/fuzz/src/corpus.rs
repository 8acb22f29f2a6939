//! The seeds in `corpus/`: one folder for each target, one file for each input.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// The folder of a target's seeds.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The seeds of a target, sorted by file name so that a seed number gives the same run everywhere.
///
/// # Errors
/// The folder cannot be read, or is empty.
pub fn seeds(target: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = folder(target);
    let about = || format!("reading {}", folder.display());
    let entries = std::fs::read_dir(&folder).with_context(about)?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.with_context(about)?;
    paths.sort();
    ensure!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).with_context(about)).collect()
}
