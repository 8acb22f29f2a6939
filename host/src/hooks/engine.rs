//! The engine that runs plugins: compiled ahead of time, stopped by the clock.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::unistd::Uid;
use wasmtime::{Cache, CacheConfig, Config, Engine, EngineWeak};

/// How often the clock of deadlines ticks: the unit that a deadline is rounded up to.
pub const TICK: Duration = Duration::from_millis(10);
/// Most bytes of a guest's call stack.
const MAX_STACK_BYTES: usize = 512 * 1024;

/// An engine with its clock. `cache` is a folder for compiled plugins, made if it is not there.
///
/// A deadline costs a quarter of a plugin's time, counting instructions would cost half; a
/// reused instance gains nothing from pooled memory, which would reserve a lot of it.
///
/// # Errors
/// A cache folder that somebody else may write to: what is in it runs as this process.
pub fn engine(cache: Option<&Path>) -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true).max_wasm_stack(MAX_STACK_BYTES).concurrency_support(false);
    // A guest's addresses mean nothing to anybody who reads the dead letter.
    config.wasm_backtrace_max_frames(None);
    if let Some(folder) = cache {
        let folder =
            private(folder).with_context(|| format!("PLUGIN_CACHE_DIR {}", folder.display()))?;
        let mut cache = CacheConfig::new();
        cache.with_directory(folder);
        config.cache(Some(Cache::new(cache)?));
    }
    let engine =
        Engine::new(&config).map_err(anyhow::Error::from).context("starting the plugin engine")?;
    let weak = engine.weak();
    std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || tick(&weak))?;
    Ok(engine)
}

/// Ends with the engine.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        std::thread::sleep(TICK);
    }
}

/// The folder, of this user alone.
fn private(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = folder.metadata()?;
    ensure!(
        metadata.uid() == Uid::effective().as_raw()
            && metadata.permissions().mode() & 0o777 == 0o700,
        "must belong to the user of this process and be open to nobody else (mode 0700): what is \
         in it is run"
    );
    Ok(folder.canonicalize()?)
}
