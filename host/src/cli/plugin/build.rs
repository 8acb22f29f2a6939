//! `plugin build`: builds a component with cargo, adds its manifest, and checks it as a host would.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::print::{note, say};
use crate::plugins::hooks::{ComponentLoader, File, Manifest, Worker};

const TARGET: &str = "wasm32-wasip2";
/// The JSON Schema of a plugin's configuration, beside its Cargo.toml.
const SCHEMA: &str = "config.schema.json";

/// Options of `sluicegate plugin build`.
#[derive(Debug, clap::Args)]
pub struct PluginBuildArgs {
    /// The folder of the plugin's Cargo.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The file to write, by default NAME.wasm in the folder of cargo's output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Further arguments of `cargo build`, such as `--features x`.
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// Builds, writes the file, and prints what it is.
pub fn build_plugin(args: &PluginBuildArgs) -> anyhow::Result<()> {
    let manifest = args.folder.join("Cargo.toml");
    let (package, target) = Package::of(&manifest)?;
    let file = format!("{}.wasm", package.component()?);
    let mut build = cargo();
    build.args(["build", "--release", "--target", TARGET, "--manifest-path"]).arg(&manifest);
    build.args(["--package", &package.name]).args(&args.cargo);
    ensure!(
        build.status().context("running cargo")?.success(),
        "the plugin was not built; where the target is missing, `rustup target add {TARGET}`"
    );
    let built = target.join(TARGET).join("release").join(file);
    let component =
        std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let component = Manifest {
        name: package.name.clone(),
        version: package.version,
        config_schema: schema(&args.folder.join(SCHEMA))?,
    }
    .append_to(component)
    .with_context(|| built.display().to_string())?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => target.join(format!("{}.wasm", package.name)),
    };
    std::fs::write(&output, component).with_context(|| format!("writing {}", output.display()))?;
    let file = read(&output)?;
    say(format_args!("{}: {}", output.display(), super::inspect::line(&file)));
    Ok(())
}

/// Reads the file as a host does.
fn read(path: &Path) -> anyhow::Result<File> {
    let file = ComponentLoader::new(None, Worker::default())?.read(path)?;
    for refused in file.imports.iter().flat_map(|import| &import.refused) {
        note(format_args!("warning: a host refuses it, since it imports {refused}"));
    }
    Ok(file)
}

/// The output of `cargo metadata`.
#[derive(Deserialize)]
struct CargoMetadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    name: String,
    kind: Vec<String>,
}

impl Package {
    /// The package of a Cargo.toml, and cargo's output folder.
    fn of(manifest: &Path) -> anyhow::Result<(Self, PathBuf)> {
        let manifest = manifest
            .canonicalize()
            .with_context(|| format!("{}: no plugin's folder", manifest.display()))?;
        let output = cargo()
            .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
            .arg(&manifest)
            .output()
            .context("running cargo metadata")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", manifest.display(), text.trim());
        let metadata: CargoMetadata =
            serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
        let package = metadata.packages.into_iter().find(|found| found.manifest_path == manifest);
        let package = package.with_context(|| format!("{}: no package", manifest.display()))?;
        Ok((package, metadata.target_directory))
    }

    /// The name of the library that becomes the component.
    fn component(&self) -> anyhow::Result<&str> {
        let is_component = |target: &&CargoTarget| target.kind.iter().any(|kind| kind == "cdylib");
        let target = self.targets.iter().find(is_component).with_context(|| {
            format!("{}: no `crate-type = [\"cdylib\"]`", self.manifest_path.display())
        })?;
        Ok(&target.name)
    }
}

fn schema(path: &Path) -> anyhow::Result<Option<Value>> {
    match std::fs::read(path) {
        Ok(text) => {
            let schema = serde_json::from_slice(&text);
            Ok(Some(schema.with_context(|| format!("{}: no JSON", path.display()))?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
