//! From a file to a plugin that may be called: what it is, what it asks for, what it answers to.

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker};

use super::bindings::RowsPluginPre;
use super::instance::State;
use crate::config;

/// The contract that this host speaks.
const PACKAGE: &str = "sluicegate:plugin";
const VERSION: &str = "0.1";
/// A component of the component model, and a core module: the first eight bytes of each.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The interfaces of WASI 0.2 that a plugin gets. They give it the time, a random seed, and a
/// place to write a panic's text; the environment is empty, and nothing is there to read.
const GRANTED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Reads, checks and compiles the file of a plugin.
///
/// # Errors
/// What is wrong with the file, as a text that names the plugin and the file.
pub fn load(engine: &Engine, plugin: &config::Plugin) -> anyhow::Result<RowsPluginPre<State>> {
    let place = || format!("PLUGINS: `{}` ({})", plugin.name, plugin.path.display());
    let bytes = std::fs::read(&plugin.path).with_context(place)?;
    compile(engine, plugin, &bytes).with_context(place)
}

fn compile(
    engine: &Engine,
    plugin: &config::Plugin,
    bytes: &[u8],
) -> anyhow::Result<RowsPluginPre<State>> {
    if let Some(expected) = &plugin.sha256 {
        let found = hex::encode(Sha256::digest(bytes));
        ensure!(
            found == **expected,
            "another file than {} asks for: its sha256 is {found}",
            plugin.variable("SHA256")
        );
    }
    ensure!(
        !bytes.starts_with(CORE_MODULE),
        "a core module, not a component; build it for wasm32-wasip2"
    );
    ensure!(bytes.starts_with(COMPONENT), "no WebAssembly component");
    let component = Component::from_binary(engine, bytes)?;
    let ty = component.component_type();
    judge_world(ty.exports(engine).map(|(name, _)| name))?;
    let refused: Vec<String> = ty
        .imports(engine)
        .flat_map(|(name, item)| refused_imports(engine, name, &item.ty))
        .collect();
    ensure!(refused.is_empty(), "it imports what no plugin gets: {}", refused.join(", "));
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    super::bindings::host::add_to_linker::<_, State>(&mut linker, |state| state)?;
    let linked = linker.instantiate_pre(&component)?;
    Ok(RowsPluginPre::new(linked)?)
}

/// Whether the exports are those of a world of this host.
fn judge_world<'a>(exports: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let exports: Vec<&str> = exports.collect();
    let ours = |interface: &str| {
        let name = format!("{PACKAGE}/{interface}@");
        exports.iter().find_map(|export| export.strip_prefix(&*name))
    };
    let Some(version) = ours("lifecycle") else {
        bail!(
            "it exports no world of {PACKAGE}, but {}; build it with the crate sluicegate-plugin",
            if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") }
        );
    };
    ensure!(
        version.strip_prefix(VERSION).is_some_and(|rest| rest.starts_with('.')),
        "it is built for {PACKAGE} {version}, and this host speaks {VERSION}: use a host of that \
         version, or build the plugin with sluicegate-plugin {VERSION}"
    );
    ensure!(ours("rows").is_some(), "it exports no hook: `rows` is missing");
    Ok(())
}

/// The parts of an import that are not granted, each with what it is for.
fn refused_imports(engine: &Engine, name: &str, item: &ComponentItem) -> Vec<String> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let is_ours = interface == format!("{PACKAGE}/host") || interface == format!("{PACKAGE}/types");
    if is_ours {
        return Vec::new();
    }
    if !version.starts_with("0.2.") || !GRANTED.contains(&interface) {
        return vec![format!("{name}{}", purpose(interface))];
    }
    match item {
        // A guest that waits is out of reach of its deadline.
        ComponentItem::ComponentInstance(instance) => functions(engine, instance)
            .filter(|function| function.starts_with("subscribe-"))
            .filter(|_| interface == "wasi:clocks/monotonic-clock")
            .map(|function| format!("{name} {function} (waiting)"))
            .collect(),
        _ => Vec::new(),
    }
}

fn functions<'a>(
    engine: &'a Engine,
    instance: &'a ComponentInstance,
) -> impl Iterator<Item = &'a str> {
    instance.exports(engine).map(|(name, _)| name)
}

fn purpose(interface: &str) -> &'static str {
    match interface.split('/').next() {
        Some("wasi:filesystem") => " (files)",
        Some("wasi:sockets") => " (the network)",
        Some("wasi:http") => " (HTTP)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(exports: &[&str]) -> String {
        judge_world(exports.iter().copied())
            .map_or_else(|error| error.to_string(), |()| "ok".into())
    }

    #[test]
    fn a_world_is_judged_by_its_exports() {
        let (rows, lifecycle) =
            ("sluicegate:plugin/rows@0.1.0", "sluicegate:plugin/lifecycle@0.1.0");
        assert_eq!(judged(&[lifecycle, rows]), "ok");
        assert!(judged(&[lifecycle]).contains("no hook"));
        let newer = judged(&["sluicegate:plugin/lifecycle@0.2.0", "sluicegate:plugin/rows@0.2.0"]);
        assert!(newer.contains("built for sluicegate:plugin 0.2.0"), "{newer}");
        let tenfold = judged(&["sluicegate:plugin/lifecycle@0.10.0"]);
        assert!(tenfold.contains("built for sluicegate:plugin 0.10.0"), "{tenfold}");
        let other = judged(&["wasi:cli/run@0.2.6"]);
        assert!(other.contains("no world of sluicegate:plugin, but wasi:cli/run@0.2.6"), "{other}");
    }
}
