//! The example plugins, built for WebAssembly.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{Environment, root, target_folder};

const TARGET: &str = "wasm32-wasip2";

/// A plugin to build: its folder, and the feature that makes a variant of it.
const BUILDS: &[(&str, Option<&str>)] = &[
    ("passthrough", None),
    ("redact", None),
    ("explode", None),
    ("misbehaving", None),
    ("misbehaving", Some("files")),
    ("misbehaving", Some("network")),
    ("passthrough-arrow", None),
    ("enrich", None),
    ("misbehaving-arrow", None),
];

/// Builds each plugin as its author would, as `NAME.wasm` or `NAME-FEATURE.wasm` in one folder.
pub fn build() -> anyhow::Result<Environment> {
    add_target()?;
    crate::build()?;
    let target = target_folder()?;
    let built = target.join("plugins");
    for (plugin, feature) in BUILDS {
        let name = feature.map_or((*plugin).to_owned(), |feature| format!("{plugin}-{feature}"));
        let mut build = Command::new(target.join("debug/sluicegate"));
        build
            .args(["plugin", "build"])
            .arg(root()?.join("plugins").join(plugin))
            .arg("--output")
            .arg(built.join(format!("{name}.wasm")))
            .args(feature.iter().flat_map(|feature| ["--", "--features", feature]))
            .env("CARGO_TARGET_DIR", &built);
        let status = build.status().context("running sluicegate plugin build")?;
        ensure!(status.success(), "plugin {name} was not built");
    }
    Ok(vec![("SLUICEGATE_PLUGINS", built)])
}

/// Adds the target by rustup, where there is one that does not have it yet.
fn add_target() -> anyhow::Result<()> {
    let added = Command::new("rustup").args(["--quiet", "target", "add", TARGET]).status();
    // A toolchain without rustup has the target, or the build says that it has not.
    ensure!(added.map_or(true, |status| status.success()), "`rustup target add {TARGET}` failed");
    Ok(())
}
