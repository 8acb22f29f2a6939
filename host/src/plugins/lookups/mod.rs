//! Lookups: tables that the host reads and keeps fresh, for plugins to look up values in.
//!
//! A table is read as a whole and never changes; a fresh one replaces it between two questions.
//! Reading and parsing run off the network threads.

mod builder;
mod csv;
mod fault;
mod file;
mod json;
mod loader;
mod refresh;
mod select;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tokio::task::JoinSet;

pub use table::{FoundValues, LookupError, LookupTable};

use crate::base::retry::Backoff;
use crate::clickhouse::Server;
use crate::config::Lookup;
use crate::flow::hold::Hold;
use crate::observe::count::{self, RetryClass, RetryStep};
use crate::observe::lookups::LookupStates;
use crate::observe::status::{Status, Waiter};
use loader::{LoadedLookup, LookupLoader};
use refresh::CurrentLookup;

/// Every lookup by its name.
#[derive(Default)]
pub struct Lookups {
    tables: BTreeMap<String, CurrentLookup>,
    /// The refresh tasks, which end with this.
    _refreshing: JoinSet<()>,
}

impl Lookups {
    /// Reads every lookup, and keeps it fresh until this is dropped. Waits for a SELECT that fails,
    /// under the name `lookups`; without a server no SELECT is run.
    ///
    /// # Errors
    /// The first file that gives no table, with its variable.
    ///
    /// # Cancel safety
    /// If dropped, nothing is kept.
    pub async fn load(
        config: &[Lookup],
        server: Option<Server>,
        status: Arc<Status>,
        states: Arc<LookupStates>,
    ) -> anyhow::Result<Self> {
        let loaders = config.iter().map(|lookup| LookupLoader::new(lookup.clone(), server.clone()));
        let loaders: Vec<LookupLoader> = loaders.collect();
        let loaded =
            try_join_all(loaders.iter().map(|loader| first(loader, &status, &states))).await?;
        let (mut tables, mut refreshing) = (BTreeMap::new(), JoinSet::new());
        for (loader, loaded) in loaders.into_iter().zip(loaded) {
            let (name, current) = named(loaded);
            tables.insert(name, Arc::clone(&current));
            refreshing.spawn(refresh::keep(loader, current, Arc::clone(&states)));
        }
        Ok(Self { tables, _refreshing: refreshing })
    }

    /// Reads every lookup once. Returns the description or fault of each in the order of the
    /// configuration, and, if all could be read, the lookups, which are not refreshed.
    pub async fn once(
        config: &[Lookup],
        server: Option<&Server>,
        timeout: Duration,
    ) -> (Vec<Result<String, Hold>>, Option<Self>) {
        let read = |lookup: &Lookup| {
            let loader = LookupLoader::new(lookup.clone(), server.cloned());
            async move {
                let read = tokio::time::timeout(timeout, loader.read(None)).await;
                read.unwrap_or_else(|_| {
                    let variable = loader.lookup().variable("");
                    Err(Hold::Transient(format!("{variable}: not read in time")))
                })
            }
        };
        let loaded = join_all(config.iter().map(read)).await;
        let said = loaded.iter().map(|loaded| match loaded {
            Ok(loaded) => Ok(loaded.table.to_string()),
            Err(hold) => Err(hold.clone()),
        });
        let said = said.collect();
        let loaded: Option<Vec<LoadedLookup>> = loaded.into_iter().map(Result::ok).collect();
        let lookups = loaded.map(|loaded| Self {
            tables: loaded.into_iter().map(named).collect(),
            _refreshing: JoinSet::new(),
        });
        (said, lookups)
    }

    /// The current table; `None` if there is no lookup of this name.
    pub fn table(&self, name: &str) -> Option<Arc<LookupTable>> {
        let current = self.tables.get(name)?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.table))
    }
}

fn named(loaded: LoadedLookup) -> (String, CurrentLookup) {
    (loaded.table.name().to_owned(), Arc::new(Mutex::new(loaded)))
}

/// How long the first read of a lookup may take before that is reported.
const LONG: Duration = Duration::from_secs(10);

/// Waits for the read of a lookup, and reports it if it takes long.
async fn said_if_long<T>(
    variable: &str,
    waiter: &Waiter,
    long: Duration,
    reading: impl Future<Output = T>,
) -> T {
    let mut reading = pin!(reading);
    match tokio::time::timeout(long, &mut reading).await {
        Ok(read) => read,
        Err(_) => {
            waiter.hold(Hold::Transient(format!("{variable}: still being read")));
            reading.await
        }
    }
}

/// The first table of a lookup; waits if that may help.
async fn first(
    loader: &LookupLoader,
    status: &Arc<Status>,
    states: &LookupStates,
) -> anyhow::Result<LoadedLookup> {
    let mut backoff = Backoff::default();
    let waiter = status.waiter("lookups");
    let variable = loader.lookup().variable("");
    loop {
        let reading = loader.read(None);
        // From the second try on, the reason for the wait is known.
        let read = match backoff.attempts() {
            0 => said_if_long(&variable, &waiter, LONG, reading).await,
            _ => reading.await,
        };
        match read {
            Ok(loaded) => {
                let table = &loaded.table;
                count::lookup_loaded(table.name());
                states.loaded(table.name(), table.rows(), table.memory_bytes());
                tracing::info!("lookup loaded: {table}");
                return Ok(loaded);
            }
            Err(hold) if !loader.may_wait() => anyhow::bail!(hold.text().to_owned()),
            Err(hold) => {
                count::retried(RetryStep::Lookup, RetryClass::from(&hold));
                waiter.hold(hold);
            }
        }
        backoff.wait().await;
    }
}
