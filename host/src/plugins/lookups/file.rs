//! A lookup from a file.

use std::fs::{File, Metadata};
use std::io::{self, BufReader};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use super::builder::LookupBuilder;
use super::fault::LookupFault;
use super::loader::LoadedLookup;
use super::{csv, json};
use crate::config::LookupFormat;

/// Identifies a state of a file, to detect changes. It holds the change time of the inode, which a
/// copy with an older modification time cannot hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    file: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(of: &Metadata) -> Self {
        Self {
            device: of.dev(),
            file: of.ino(),
            bytes: of.size(),
            changed: (of.ctime(), of.ctime_nsec()),
        }
    }
}

/// Reads a file, unless it is unchanged. Blocks.
///
/// # Errors
/// The first fault, without the path.
pub fn read_lookup_file(
    path: &Path,
    format: LookupFormat,
    builder: LookupBuilder,
    before: Option<&LoadedLookup>,
) -> Result<LoadedLookup, LookupFault> {
    // Non-blocking, so that a pipe without a writer is refused, not waited for.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file").into());
    }
    let stamp = Stamp::from(&metadata);
    if let Some(before) = before
        && before.stamp == Some(stamp)
    {
        return Ok(before.clone());
    }
    let input = BufReader::new(&file);
    let table = match format {
        LookupFormat::Csv => csv::read_csv(input, builder)?,
        LookupFormat::Ndjson => {
            let before: Vec<&str> =
                before.iter().flat_map(|before| before.table.columns()).collect();
            json::objects(input, builder, &before)?
        }
    };
    // A file written in place, instead of moved there, may be read half-way.
    if Stamp::from(&file.metadata()?) != stamp {
        return Err(LookupFault::Changed);
    }
    Ok(LoadedLookup { table: Arc::new(table), stamp: Some(stamp) })
}
