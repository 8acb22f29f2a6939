//! The example plugins and the fixtures that break the contract, built for WebAssembly.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{Environment, root, target_folder};

const TARGET: &str = "wasm32-wasip2";

/// A plugin to build: its folder, and the feature that makes a variant of it.
const BUILDS: &[(&str, Option<&str>)] = &[
    ("plugins/passthrough", None),
    ("plugins/redact", None),
    ("plugins/explode", None),
    ("tests/fixtures/misbehaving", None),
    ("tests/fixtures/misbehaving", Some("files")),
    ("tests/fixtures/misbehaving", Some("network")),
    ("plugins/passthrough-arrow", None),
    ("plugins/enrich", None),
    ("tests/fixtures/misbehaving-arrow", None),
];

/// Builds each plugin as its author would, as `NAME.wasm` or `NAME-FEATURE.wasm` in one folder.
pub fn build() -> anyhow::Result<Environment> {
    add_target()?;
    crate::build()?;
    let target = target_folder()?;
    let built = target.join("plugins");
    for (folder, feature) in BUILDS {
        let plugin = folder.rsplit('/').next().unwrap_or(folder);
        let name = feature.map_or(plugin.to_owned(), |feature| format!("{plugin}-{feature}"));
        let mut build = Command::new(target.join("debug/sluicegate"));
        build
            .args(["plugin", "build"])
            .arg(root()?.join(folder))
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
