//! A plugin's machine code, and the only way to load it as a component.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::Cache;
use super::worker::{Worker, WorkerTask};

/// Most bytes of the code of one plugin.
pub const MAX_CODE_BYTES: u64 = 256 * 1024 * 1024;

/// The component, compiled by a worker or loaded from the cache.
///
/// # Errors
/// It cannot be compiled within the worker's limits.
pub fn component(
    engine: &Engine,
    worker: &Worker,
    cache: Option<&Cache>,
    bytes: &[u8],
) -> anyhow::Result<Component> {
    let kept = cache.map(|cache| (cache, Cache::key(engine, bytes)));
    if let Some((cache, key)) = &kept
        && let Some(code) = cache.get(key)
        // SAFETY: a cache holds what was put into it below, in a folder that only this user may write to,
        // and its digest says that it is whole.
        && let Ok(component) = unsafe { Component::deserialize(engine, &code) }
    {
        return Ok(component);
    }
    let code = worker.ask(WorkerTask::Compile, bytes, MAX_CODE_BYTES)?;
    // SAFETY: `Engine::precompile_component` wrote it in a worker, which is this program, and it came whole
    // through a pipe that nobody else has; `deserialize` refuses code of another version or configuration
    // of the engine.
    let component = unsafe { Component::deserialize(engine, &code) }?;
    if let Some((cache, key)) = kept
        && let Err(error) = cache.put(&key, &code)
    {
        tracing::warn!("a compiled plugin is not kept in PLUGIN_CACHE_DIR: {error:#}");
    }
    Ok(component)
}
