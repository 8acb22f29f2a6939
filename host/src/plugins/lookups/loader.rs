//! Reads one lookup from its source.

use std::sync::Arc;
use std::time::Instant;

use super::builder::LookupBuilder;
use super::file::{self, Stamp};
use super::select;
use super::table::LookupTable;
use crate::clickhouse::Server;
use crate::config::{Lookup, LookupSource};
use crate::flow::hold::Hold;

/// A table, and the stamp of the file that it was read from.
#[derive(Debug, Clone)]
pub struct LoadedLookup {
    pub table: Arc<LookupTable>,
    pub stamp: Option<Stamp>,
}

/// Reads one lookup.
#[derive(Clone)]
pub struct LookupLoader {
    lookup: Lookup,
    server: Option<Server>,
}

impl LookupLoader {
    /// A loader; it reads nothing yet.
    pub fn new(lookup: Lookup, server: Option<Server>) -> Self {
        Self { lookup, server }
    }

    /// The lookup that it reads.
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// Whether waiting may help. A file must be there when the host starts, like those of plugins.
    pub fn may_wait(&self) -> bool {
        matches!(self.lookup.source, LookupSource::Select(_))
    }

    /// Reads the lookup, or finds that its file is unchanged since `before`.
    ///
    /// # Errors
    /// What to wait for, with the variable and the file. Faults in a file's content or a SELECT's
    /// result are for an operator to fix.
    ///
    /// # Cancel safety
    /// If dropped, a file is still read to its end.
    pub async fn read(&self, before: Option<&LoadedLookup>) -> Result<LoadedLookup, Hold> {
        let variable = self.lookup.variable("");
        let started = Instant::now();
        let loaded = match &self.lookup.source {
            LookupSource::File { path, format } => {
                let (path, format, before) = (path.clone(), *format, before.cloned());
                let place = format!("{variable}: {}", path.display());
                let builder = LookupBuilder::new(&self.lookup);
                let read = move || file::read_lookup_file(&path, format, builder, before.as_ref());
                let read = crate::base::blocking::run_blocking(read).await;
                read.map_err(|fault| Hold::Paused(format!("{place}: {fault}")))
            }
            LookupSource::Select(sql) => {
                let nowhere = || Hold::Paused(format!("{variable}: no ClickHouse to ask here"));
                let server = self.server.as_ref().ok_or_else(nowhere)?;
                let read = select::run_select(server, sql.expose(), &self.lookup).await;
                let read = read.map_err(|hold| match hold {
                    Hold::Transient(text) => Hold::Transient(format!("{variable}: {text}")),
                    Hold::Paused(text) => Hold::Paused(format!("{variable}: {text}")),
                });
                read.map(|table| LoadedLookup { table: Arc::new(table), stamp: None })
            }
        }?;
        if let Some(gone) = before.and_then(|before| loaded.table.lacks(&before.table)) {
            return Err(Hold::Paused(format!(
                "{variable}: there is no column `{gone}` any more, which a plugin may ask for; \
                 restart to go on without"
            )));
        }
        let (lookup, rows) = (&*self.lookup.name, loaded.table.rows());
        tracing::debug!(lookup, rows, ms = started.elapsed().as_millis(), "lookup read");
        if rows == 0 && before.is_none_or(|before| before.table.rows() > 0) {
            tracing::warn!(lookup, "lookup is empty: nothing is found in it");
        }
        Ok(loaded)
    }
}
