//! A loaded plugin: its compiled code, its limits, and its idle instances.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow, ensure};
use wasmtime::Engine;

use super::bindings::Wants;
use super::breaker::Breaker;
use super::component::{self, ComponentLoader, File, digest};
use super::failure::{CallFailure, FailureKind};
use super::guest_log::Voice;
use super::guest_lookups::GrantedLookups;
use super::instance::{Instance, InstanceBounds};
use super::world::World;
use crate::config::{self, OnBreaker, Secret};
use crate::flow::hold::Hold;
use crate::limits::budget::Budget;
use crate::observe::count;
use crate::plugins::lookups::Lookups;

/// Most characters kept of a version: it becomes a header.
const MAX_VERSION_CHARS: usize = 64;

/// One plugin of the chain.
pub struct Plugin<W: World> {
    /// Its name in the configuration, and in metrics.
    pub name: String,
    /// Its title in logs and dead letters: the name, with the version if the file states one.
    pub title: Arc<str>,
    /// The limits of its instances and calls.
    pub bounds: InstanceBounds,
    /// How many rows it may fail on.
    pub breaker: Breaker,
    /// What happens above that.
    pub on_breaker: OnBreaker,
    /// Which parts of a record it wants.
    pub wants: Wants,
    engine: Engine,
    linked: W::Linked,
    config: Secret,
    voice: Arc<Voice>,
    granted: Arc<GrantedLookups>,
    /// At most as many as batches were in flight at once.
    idle: Mutex<Vec<Instance<W>>>,
}

/// Reads and compiles a plugin's file, and checks it against its configuration.
///
/// # Errors
/// What is wrong, without the plugin's name.
pub fn read_plugin_file(
    loader: &ComponentLoader,
    plugin: &config::PluginConfig,
) -> anyhow::Result<File> {
    let bytes = component::read_component(&plugin.path)?;
    // Checked before compiling: compiled code may be cached, and run by the next host.
    let sha256 = digest(&bytes);
    ensure!(
        plugin.sha256.as_ref().is_none_or(|expected| *expected == sha256),
        "another file than {} asks for: its sha256 is {sha256}",
        plugin.variable("SHA256")
    );
    let file = loader.load(&bytes)?;
    let judged = loader.judge(&file, plugin.config.expose());
    judged.with_context(|| plugin.variable("CONFIG"))?;
    Ok(file)
}

impl<W: World> Plugin<W> {
    /// Links a file and tries `init`, so that faults show before the first record.
    ///
    /// # Errors
    /// What is wrong, without the plugin's name.
    pub fn new(
        engine: &Engine,
        file: &File,
        plugin: &config::PluginConfig,
        plugins: &config::Plugins,
        lookups: &Arc<Lookups>,
        budget: &Arc<Budget>,
    ) -> anyhow::Result<Self> {
        let title: Arc<str> = match &file.manifest {
            Some(manifest) => {
                let version: String = manifest.version.chars().take(MAX_VERSION_CHARS).collect();
                format!("{} {version}", plugin.name).into()
            }
            None => plugin.name.as_str().into(),
        };
        let mut loaded = Self {
            name: plugin.name.clone(),
            title: Arc::clone(&title),
            bounds: InstanceBounds {
                timeout: plugin.timeout,
                memory_bytes: plugin.memory_bytes,
                budget: Arc::clone(budget),
            },
            breaker: Breaker::new(plugins.breaker_share),
            on_breaker: plugins.on_breaker,
            engine: engine.clone(),
            linked: file.link::<W>(engine)?,
            config: plugin.config.clone(),
            voice: Arc::new(Voice::new(&plugin.name)),
            granted: Arc::new(GrantedLookups::new(plugin, Arc::clone(lookups))),
            wants: Wants::empty(),
            idle: Mutex::default(),
        };
        let first = loaded.make().map_err(|failure| match failure.kind {
            FailureKind::Error => anyhow!("it refuses its configuration: {}", failure.text),
            kind => anyhow!("its init failed ({}): {}", kind.code(), failure.text),
        })?;
        loaded.wants = first.wants();
        loaded.give_back(first);
        count::plugin_loaded(&loaded.name, FailureKind::ALL.map(FailureKind::code));
        tracing::info!(plugin = &*title, sha256 = file.sha256, "plugin loaded");
        Ok(loaded)
    }

    /// An idle instance, or a new one.
    ///
    /// # Errors
    /// No instance can be made, although one could be made at the start.
    pub fn instance(&self) -> Result<Instance<W>, Hold> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(instance) => Ok(instance),
            // Without the plugin's text, which may quote its configuration.
            None => self.make().map_err(|failure| {
                Hold::Paused(format!(
                    "plugin `{}` cannot be started again ({}), though it could at the start",
                    self.title,
                    failure.kind.code()
                ))
            }),
        }
    }

    /// An instance that has seen no record; used idle instances are dropped.
    ///
    /// # Errors
    /// As [`Self::instance`].
    pub fn unused_instance(&self) -> Result<Instance<W>, Hold> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).retain(Instance::is_unused);
        self.instance()
    }

    /// Keeps an instance for the next batch.
    pub fn give_back(&self, instance: Instance<W>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    /// The most memory that an idle instance holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().map(Instance::memory_bytes).max().unwrap_or_default()
    }

    fn make(&self) -> Result<Instance<W>, CallFailure> {
        let services = (Arc::clone(&self.voice), Arc::clone(&self.granted));
        Instance::new(&self.engine, &self.linked, &self.bounds, self.config.expose(), services)
    }
}
