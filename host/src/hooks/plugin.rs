//! A plugin that was loaded: its compiled code, its bounds, and the instances that wait for work.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use wasmtime::Engine;

use super::bindings::RowsPluginPre;
use super::breaker::Breaker;
use super::failure::Kind;
use super::file::File;
use super::instance::{Bounds, Instance, State};
use super::voice::Voice;
use crate::config::{self, OnBreaker, Secret};
use crate::observe::count;
use crate::outcome::Hold;

/// One plugin of the chain.
pub struct Plugin {
    /// Its name in the configuration, and in metrics.
    pub name: String,
    /// How logs and dead letters name it: with its version, where the file tells it.
    pub title: Arc<str>,
    /// The bounds of its instances and calls.
    pub bounds: Bounds,
    /// How many rows it may fail on.
    pub breaker: Breaker,
    /// What happens when it fails on more.
    pub on_breaker: OnBreaker,
    engine: Engine,
    linked: RowsPluginPre<State>,
    config: Secret,
    voice: Arc<Voice>,
    /// As many as batches were in flight at once.
    idle: Mutex<Vec<Instance>>,
}

impl Plugin {
    /// Loads the file and tries `init`, so that what is wrong is known before the first record.
    ///
    /// # Errors
    /// What is wrong, with the variable and the file.
    pub fn new(
        engine: &Engine,
        plugin: &config::Plugin,
        plugins: &config::Plugins,
    ) -> anyhow::Result<Self> {
        let place = || format!("PLUGINS: `{}` ({})", plugin.name, plugin.path.display());
        Self::open(engine, plugin, plugins).with_context(place)
    }

    fn open(
        engine: &Engine,
        plugin: &config::Plugin,
        plugins: &config::Plugins,
    ) -> anyhow::Result<Self> {
        let file = File::read(engine, &plugin.path)?;
        ensure!(
            plugin.sha256.as_ref().is_none_or(|expected| *expected == file.sha256),
            "another file than {} asks for: its sha256 is {}",
            plugin.variable("SHA256"),
            file.sha256
        );
        if let Some(manifest) = &file.manifest {
            let config = serde_json::from_str(plugin.config.expose())?;
            manifest.judge(&config).with_context(|| plugin.variable("CONFIG"))?;
        }
        let title: Arc<str> = match &file.manifest {
            Some(manifest) => format!("{} {}", plugin.name, manifest.version).into(),
            None => plugin.name.as_str().into(),
        };
        let loaded = Self {
            name: plugin.name.clone(),
            title: Arc::clone(&title),
            bounds: Bounds { timeout: plugin.timeout, memory_bytes: plugin.memory_bytes },
            breaker: Breaker::new(plugins.breaker_share),
            on_breaker: plugins.on_breaker,
            engine: engine.clone(),
            linked: file.link(engine)?,
            config: plugin.config.clone(),
            voice: Arc::new(Voice::new(&plugin.name)),
            idle: Mutex::default(),
        };
        loaded.give_back(loaded.make()?);
        count::plugin_loaded(&loaded.name, Kind::ALL.map(Kind::code));
        tracing::info!(plugin = &*title, sha256 = file.sha256, "plugin loaded");
        Ok(loaded)
    }

    /// An instance that waits for work, or a new one.
    ///
    /// # Errors
    /// No instance can be made, though one could be at the start.
    pub fn instance(&self) -> Result<Instance, Hold> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(instance) => Ok(instance),
            None => self.make().map_err(|error| {
                Hold::Paused(format!("plugin `{}` cannot be started again: {error:#}", self.title))
            }),
        }
    }

    /// Keeps an instance for the next batch.
    pub fn give_back(&self, instance: Instance) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    /// The most memory that an instance which waits for work holds, bytes.
    pub fn memory_bytes(&self) -> usize {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().map(Instance::memory_bytes).max().unwrap_or_default()
    }

    fn make(&self) -> anyhow::Result<Instance> {
        let voice = Arc::clone(&self.voice);
        Instance::new(&self.engine, &self.linked, self.bounds, self.config.expose(), voice)
    }
}
