//! Hooks: plugins that see each payload before it is decoded, or the columns after it, each in a
//! sandbox of its own.
//!
//! A plugin is as untrusted as the wire. It gets its batch, its configuration, a clock, a log and the
//! lookups that it is granted; no file, no network, no way to wait. Its memory, time and output are
//! bounded, and a failed call costs only the record that it fails on.

mod arrow;
mod bindings;
mod breaker;
mod cache;
mod compiled;
mod component;
mod engine;
mod failure;
mod guest_log;
mod guest_lookups;
mod instance;
mod isolate;
mod limits;
mod manifest;
mod plugin;
mod rows;
mod stderr;
mod work;
mod worker;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};

#[doc(hidden)]
pub use arrow::batch_of_answer;
pub use arrow::{ArrowHooks, Fit, Tally};
pub use component::{ComponentLoader, File, Sees};
pub use manifest::Manifest;
pub use rows::RowsHooks;
pub use work::answer_question;
pub use worker::{Worker, WorkerBounds, WorkerTask};

use crate::config::Plugins;
use crate::limits::budget::Budget;
use crate::observe::cpu::CpuOf;
use crate::observe::status::Status;
use crate::plugins::lookups::Lookups;
use plugin::Plugin;

/// The plugins of both stages.
#[derive(Default)]
pub struct Hooks {
    /// The plugins on payloads, if any.
    pub rows: Option<RowsHooks>,
    /// The plugins on decoded rows, if any.
    pub arrow: Option<ArrowHooks>,
}

impl Hooks {
    /// Loads every plugin; workers do the expensive work on their files. Starts no engine if there are
    /// none.
    ///
    /// # Errors
    /// The first plugin that cannot be used, with its variable and file.
    pub async fn load(
        config: &Plugins,
        worker: Worker,
        lookups: Arc<Lookups>,
        budget: Arc<Budget>,
        status: Arc<Status>,
    ) -> anyhow::Result<Self> {
        if config.list.is_empty() {
            return Ok(Self::default());
        }
        let (config, most_row_bytes) = (config.clone(), budget.most_record_bytes());
        let (rows, arrow) =
            crate::base::blocking::run_blocking(move || open(&config, worker, &lookups, &budget))
                .await?;
        let (rows, arrow) = (RowsHooks::new(rows, status), ArrowHooks::new(arrow, most_row_bytes));
        Ok(Self { rows, arrow })
    }

    /// The titles of the plugins in logs and dead letters, in their order.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        let arrow = self.arrow.iter().flat_map(ArrowHooks::titles);
        self.rows.iter().flat_map(RowsHooks::titles).chain(arrow)
    }

    /// The most memory that an idle instance holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, RowsHooks::memory_bytes);
        rows.max(self.arrow.as_ref().map_or(0, ArrowHooks::memory_bytes))
    }
}

type Opened = (Vec<Plugin<bindings::RowsPlugin>>, Vec<Plugin<bindings::ArrowPlugin>>);

fn open(
    config: &Plugins,
    worker: Worker,
    lookups: &Arc<Lookups>,
    budget: &Arc<Budget>,
) -> anyhow::Result<Opened> {
    let loader = ComponentLoader::new(config.cache_dir.as_deref(), worker)?;
    let engine = &loader.engine;
    let (mut rows, mut arrow) = (Vec::new(), Vec::new());
    for plugin in &config.list {
        let place = || format!("PLUGINS: `{}` ({})", plugin.name, plugin.path.display());
        let file = plugin::read_plugin_file(&loader, plugin).with_context(place)?;
        match file.sees {
            Sees::Rows => {
                ensure!(
                    arrow.is_empty(),
                    "{}: a plugin on payloads stands behind one on decoded rows, which run later; \
                     put it in front of them",
                    place()
                );
                let plugin = Plugin::new(engine, &file, plugin, config, lookups, budget);
                rows.push(plugin.with_context(place)?);
            }
            Sees::Arrow => {
                let plugin = Plugin::new(engine, &file, plugin, config, lookups, budget);
                arrow.push(plugin.with_context(place)?);
            }
        }
    }
    Ok((rows, arrow))
}

/// Runs `work` on a thread of its own, and sets its flag once nobody waits for it any more: dropping the
/// future does not stop the thread.
async fn until_given_up<T: Send + 'static>(
    stage: CpuOf,
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> T {
    struct GiveUp(Arc<AtomicBool>);
    impl Drop for GiveUp {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let given_up = GiveUp(Arc::default());
    let is_given_up = Arc::clone(&given_up.0);
    crate::base::blocking::run_blocking(move || stage.run(|| work(&is_given_up))).await
}
