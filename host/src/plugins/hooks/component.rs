//! Turns a file into a component that can be linked: checks its contract and its imports.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker, Resource};
use wasmtime_wasi::p2::DynPollable;

use super::cache::Cache;
use super::compiled;
use super::instance::InstanceState;
use super::manifest::Manifest;
use super::worker::Worker;
use super::world::World;

/// Most bytes of a plugin's file; a component of Python has up to 40 MB.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The contract that this host speaks.
const PACKAGE: &str = "sluicegate:plugin";
const VERSION: &str = "0.1";
/// The first eight bytes of a component, and of a core module.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The interfaces of WASI 0.2 that a plugin gets: the time, a random seed, and a place to write a panic's text.
/// The environment is empty, and there is nothing to read.
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

/// Functions that let a guest wait beyond its deadline. Rust's standard library imports them whether or not they
/// are called, so they are linked, and end the call.
const WAITING: [&str; 2] = ["subscribe-instant", "subscribe-duration"];
/// Their interface, in the version that [`wasmtime_wasi`] links.
const CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";

/// A plugin's file, read and compiled; not yet trusted.
pub struct File {
    /// Its manifest.
    pub manifest: Option<Manifest>,
    /// The contract version that it is built for.
    pub api_version: String,
    /// What it sees.
    pub sees: Sees,
    /// The interfaces that it imports, and which of them are refused.
    pub imports: Vec<Import>,
    /// Its digest, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// Its size.
    pub bytes: usize,
    component: Component,
}

/// Makes components from files: the engine, the worker that compiles, and the cache.
pub struct ComponentLoader {
    /// What runs them.
    pub engine: Engine,
    worker: Worker,
    cache: Option<Cache>,
}

impl ComponentLoader {
    /// A loader with a cache folder, if one is given; the folder is created if it is missing.
    ///
    /// # Errors
    /// Another user may write to the folder, and its contents run as this process.
    pub fn new(cache: Option<&Path>, worker: Worker) -> anyhow::Result<Self> {
        let cache = cache.map(Cache::open).transpose()?;
        Ok(Self { engine: super::engine::engine()?, worker, cache })
    }

    /// Reads and compiles a file. Blocks for as long as a worker may take.
    ///
    /// # Errors
    /// It is no plugin, or it exceeds a limit; the error names the file.
    pub fn read(&self, path: &Path) -> anyhow::Result<File> {
        let file = read_component(path).and_then(|bytes| self.load(&bytes));
        file.with_context(|| path.display().to_string())
    }

    /// Compiles a file's bytes unless the cache has their code. Blocks for as long as a worker may take.
    ///
    /// # Errors
    /// It is no component, is one of another world, or exceeds a limit.
    pub fn load(&self, bytes: &[u8]) -> anyhow::Result<File> {
        ensure!(
            !bytes.starts_with(CORE_MODULE),
            "a core module, not a component; build it for wasm32-wasip2"
        );
        ensure!(bytes.starts_with(COMPONENT), "no WebAssembly component");
        let Self { engine, worker, cache } = self;
        let component = compiled::component(engine, worker, cache.as_ref(), bytes)?;
        let ty = component.component_type();
        let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
        let (api_version, sees) = judge_world(&exports)?;
        let imports = ty
            .imports(engine)
            .map(|(name, _)| Import { name: name.to_owned(), refused: refused(name) });
        Ok(File {
            manifest: Manifest::of(bytes)?,
            api_version: api_version.to_owned(),
            sees,
            imports: imports.collect(),
            sha256: digest(bytes),
            bytes: bytes.len(),
            component,
        })
    }

    /// Validates a configuration, a JSON text, against the file's schema.
    ///
    /// # Errors
    /// As [`Manifest::judge`].
    pub fn judge(&self, file: &File, config: &str) -> anyhow::Result<()> {
        file.manifest.as_ref().map_or(Ok(()), |manifest| manifest.judge(&self.worker, config))
    }
}

/// The bytes of a plugin's file.
///
/// # Errors
/// It cannot be read, is no file, or has more bytes than a plugin may have.
pub fn read_component(path: &Path) -> anyhow::Result<Vec<u8>> {
    // Non-blocking, so that a pipe without a writer is refused, not waited for.
    let file = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), "not a file");
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)? as u64;
    ensure!(
        read <= MAX_FILE_BYTES,
        "it has {} bytes, and a plugin may have {MAX_FILE_BYTES}; strip it, and build it for size",
        metadata.len().max(read)
    );
    Ok(bytes)
}

/// What a plugin sees, given by its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// Payloads, before they are decoded.
    Rows,
    /// Columns of decoded rows.
    Arrow,
}

impl Sees {
    /// The word of `sluicegate plugin`, and the name of the interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Arrow => "arrow",
        }
    }
}

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its full name.
    pub name: String,
    /// Its name and purpose, if it is refused.
    pub refused: Option<String>,
}

/// The SHA-256 of a file's bytes, 64 hexadecimal digits in lower case.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl File {
    /// Links it with the interfaces that a plugin gets.
    ///
    /// # Errors
    /// It imports something else.
    pub fn link<W: World>(&self, engine: &Engine) -> anyhow::Result<W::Linked> {
        let refused: Vec<&str> =
            self.imports.iter().filter_map(|import| import.refused.as_deref()).collect();
        ensure!(refused.is_empty(), "it imports what no plugin gets: {}", refused.join(", "));
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        end_waiting(&mut linker)?;
        super::bindings::host::add_to_linker::<_, InstanceState>(&mut linker, |state| state)?;
        Ok(W::link(linker.instantiate_pre(&self.component)?)?)
    }
}

/// Links the functions that would wait so that they end the call.
fn end_waiting(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut clock = linker.instance(CLOCK)?;
    for function in WAITING {
        clock.func_wrap(
            function,
            move |_, (_until,): (u64,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
                Err(wasmtime::format_err!("it waits, which no plugin may ({CLOCK} {function})"))
            },
        )?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// The contract version and what the plugin sees, if the exports match a world of this host.
fn judge_world<'a>(exports: &[&'a str]) -> anyhow::Result<(&'a str, Sees)> {
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
    let hooks = [Sees::Rows, Sees::Arrow].map(|sees| ours(sees.as_str()).map(|_| sees));
    match hooks {
        [Some(sees), None] | [None, Some(sees)] => Ok((version, sees)),
        [None, None] => bail!("it exports no hook: neither `rows` nor `arrow`"),
        [Some(_), Some(_)] => bail!("it exports both `rows` and `arrow`: make it two plugins"),
    }
}

/// The name and purpose of an import that is not granted.
fn refused(name: &str) -> Option<String> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let is_ours = interface == format!("{PACKAGE}/host") || interface == format!("{PACKAGE}/types");
    let is_granted = version.starts_with("0.2.") && GRANTED.contains(&interface);
    (!is_ours && !is_granted).then(|| format!("{name}{}", purpose(interface)))
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
        match judge_world(exports) {
            Ok((version, sees)) => format!("{version} {}", sees.as_str()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_file_has_a_bound_before_it_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.wasm");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1_000).unwrap();
        assert_eq!(read_component(&path).unwrap().len(), 1_000);
        file.set_len(MAX_FILE_BYTES + 1).unwrap();
        let text = read_component(&path).unwrap_err().to_string();
        assert!(text.contains("67108865 bytes, and a plugin may have 67108864"), "{text}");
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [dir.path(), &pipe, Path::new("/dev/zero")] {
            assert_eq!(
                read_component(path).unwrap_err().to_string(),
                "not a file",
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn a_world_is_judged_by_its_exports() {
        let (rows, lifecycle) =
            ("sluicegate:plugin/rows@0.1.0", "sluicegate:plugin/lifecycle@0.1.0");
        let arrow = "sluicegate:plugin/arrow@0.1.0";
        assert_eq!(judged(&[lifecycle, rows]), "0.1.0 rows");
        assert_eq!(judged(&[arrow, lifecycle]), "0.1.0 arrow");
        assert!(judged(&[lifecycle]).contains("no hook"));
        assert!(judged(&[lifecycle, rows, arrow]).contains("both"));
        let newer = judged(&["sluicegate:plugin/lifecycle@0.2.0", "sluicegate:plugin/rows@0.2.0"]);
        assert!(newer.contains("built for sluicegate:plugin 0.2.0"), "{newer}");
        let tenfold = judged(&["sluicegate:plugin/lifecycle@0.10.0"]);
        assert!(tenfold.contains("built for sluicegate:plugin 0.10.0"), "{tenfold}");
        let other = judged(&["wasi:cli/run@0.2.6"]);
        assert!(other.contains("no world of sluicegate:plugin, but wasi:cli/run@0.2.6"), "{other}");
    }
}
