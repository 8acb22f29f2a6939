//! Hooks: plugins that see each payload before it is decoded, each in a sandbox of its own.
//!
//! A plugin is as untrusted as the wire. It gets its batch, its configuration, a clock and a log;
//! no file, no network, no way to wait. Its memory, time and output are bounded, and a call that
//! fails costs the one record that it fails on.

mod bindings;
mod breaker;
mod engine;
mod exchange;
mod failure;
mod file;
mod instance;
mod isolate;
mod limits;
mod manifest;
mod plugin;
mod stderr;
mod voice;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use engine::engine;
pub use file::File;
pub use manifest::Manifest;

use crate::config::Plugins;
use crate::observe::status::Status;
use crate::outcome::Hold;
use crate::payloads::{Hooked, Payloads};
use crate::record::{Batch, Origin};
use crate::rejection::Rejection;
use crate::retry::Backoff;
use plugin::Plugin;

/// The plugins in their order.
pub struct Hooks {
    plugins: Arc<[Plugin]>,
    status: Arc<Status>,
}

impl Hooks {
    /// Loads every plugin; `None` where none is configured.
    ///
    /// # Errors
    /// The first plugin that cannot be used, with its variable and file.
    pub async fn load(config: &Plugins, status: Arc<Status>) -> anyhow::Result<Option<Self>> {
        if config.list.is_empty() {
            return Ok(None);
        }
        let config = config.clone();
        let plugins = crate::blocking::run(move || {
            let engine = engine::engine(config.cache_dir.as_deref())?;
            let plugins = config.list.iter().map(|plugin| Plugin::new(&engine, plugin, &config));
            plugins.collect::<anyhow::Result<Arc<[Plugin]>>>()
        });
        Ok(Some(Self { plugins: plugins.await?, status }))
    }

    /// How logs and dead letters name the plugins, in their order.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        self.plugins.iter().map(|plugin| &*plugin.title)
    }

    /// The most memory that an instance which waits for work holds, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.plugins.iter().map(Plugin::memory_bytes).max().unwrap_or_default()
    }

    /// Takes records through every plugin. It waits for as long as a plugin is broken.
    ///
    /// # Cancel safety
    /// Dropped, nothing has happened to any record.
    pub async fn run(&self, batch: &Arc<Batch>, pending: Vec<Origin>) -> Hooked {
        /// Work on another thread does not end with the one who waits for it.
        struct GiveUp(Arc<AtomicBool>);
        impl Drop for GiveUp {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let given_up = GiveUp(Arc::default());
        let waiter = self.status.waiter("plugins");
        let mut backoff = Backoff::default();
        let pending = Arc::new(pending);
        loop {
            let (plugins, batch) = (Arc::clone(&self.plugins), Arc::clone(batch));
            let (records, is_given_up) = (Arc::clone(&pending), Arc::clone(&given_up.0));
            let work = move || chain(&plugins, &batch, &records, &is_given_up);
            match crate::blocking::run(work).await {
                Ok(hooked) => return hooked,
                Err(hold) => waiter.hold(hold),
            }
            backoff.wait().await;
        }
    }
}

fn chain(
    plugins: &[Plugin],
    batch: &Batch,
    pending: &[Origin],
    is_given_up: &AtomicBool,
) -> Result<Hooked, Hold> {
    let mut payloads = Payloads::of_records(pending.iter().copied());
    let mut rejections: BTreeMap<Origin, Rejection> = BTreeMap::new();
    let mut counted = Vec::new();
    for plugin in plugins {
        let verdict = isolate::run(plugin, batch, &mut payloads, is_given_up)?;
        counted.push((plugin, verdict.rows, verdict.failed));
        for rejection in verdict.rejections {
            rejections.entry(rejection.origin).or_insert(rejection);
        }
        // A record's rows share one fate.
        payloads.withdraw(|origin| rejections.contains_key(&origin));
        payloads.forget();
    }
    // Only now: a run that is held is done again, and must not count twice.
    for (plugin, rows, failed) in counted {
        plugin.breaker.note(rows, failed);
    }
    let mut dropped = payloads.without_row(pending);
    dropped.retain(|origin| !rejections.contains_key(origin));
    Ok(Hooked { payloads, rejections: rejections.into_values().collect(), dropped })
}
