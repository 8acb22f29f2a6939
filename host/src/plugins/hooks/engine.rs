//! The engine that runs plugins: ahead-of-time compilation, epoch deadlines.

use std::time::Duration;

use anyhow::Context as _;
use wasmtime::{Config, Engine, EngineWeak, WasmFeatures};

/// How often the deadline clock ticks; deadlines are rounded up to this unit.
pub const TICK: Duration = Duration::from_millis(10);
/// Most bytes of a guest's call stack.
const MAX_STACK_BYTES: usize = 512 * 1024;
/// The features that components of Rust, JavaScript, Python and C use. A component that uses others
/// is refused when it is loaded: an unneeded proposal can only add faults.
const FEATURES: WasmFeatures =
    WasmFeatures::WASM2.union(WasmFeatures::EXTENDED_CONST).union(WasmFeatures::COMPONENT_MODEL);

/// The settings for compiling and for running plugins, which must be the same.
///
/// Deadlines cost a quarter of a plugin's time; counting instructions would cost half. Reused
/// instances gain nothing from pooled memory, which would reserve a lot.
pub fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).max_wasm_stack(MAX_STACK_BYTES).concurrency_support(false);
    config.wasm_features(FEATURES.complement(), false);
    // A guest's addresses mean nothing to readers of the dead letter.
    config.wasm_backtrace_max_frames(None);
    config
}

/// An engine with its clock.
///
/// # Errors
/// This machine cannot run plugins.
pub fn engine() -> anyhow::Result<Engine> {
    let engine = Engine::new(&config())
        .map_err(anyhow::Error::from)
        .context("starting the plugin engine")?;
    let weak = engine.weak();
    std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || tick(&weak))?;
    Ok(engine)
}

/// Ticks until the engine is dropped.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        std::thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;

    use super::*;

    fn loads(core: &str) -> bool {
        let bytes = wat::parse_str(format!("(component (core module {core}))")).unwrap();
        Component::from_binary(&engine().unwrap(), &bytes).is_ok()
    }

    #[test]
    fn a_component_may_use_what_the_supported_toolchains_use() {
        for core in [
            "(func (param v128) (result v128) (i32x4.neg (local.get 0)))",
            "(func (param i32) (result i32) (i32.extend8_s (local.get 0)))",
            "(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))",
            "(func (result i32 i32) i32.const 1 i32.const 2)",
            "(memory 1) (func (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)))",
            "(table 1 funcref) (table 1 funcref)",
            "(global (mut i32) (i32.add (i32.const 1) (i32.const 2)))",
        ] {
            assert!(loads(core), "{core}");
        }
    }

    #[test]
    fn proposals_that_no_supported_toolchain_needs_are_refused() {
        for core in [
            "(type (struct))",
            "(table 1 externref)",
            // Needs a part of the runtime that a build without garbage collection lacks.
            "(type $a (sub (func))) (type $b (sub $a (func))) (table $t 1 funcref)
             (func $f (type $b)) (elem (table $t) (i32.const 0) func $f)
             (func (call_indirect $t (type $a) (i32.const 0)))",
            "(type $f (func)) (func (param (ref $f)))",
            "(func $f (return_call $f))",
            "(tag)",
            "(memory i64 1)",
            "(memory 1) (memory 1)",
            "(memory 1 1 shared)",
            "(memory 1 (pagesize 1))",
            "(func (param v128) (result v128)
               (i32x4.relaxed_trunc_f32x4_s (local.get 0)))",
            "(func (param i64 i64 i64 i64) (result i64 i64)
               (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
        ] {
            assert!(!loads(core), "{core}");
        }
    }
}
