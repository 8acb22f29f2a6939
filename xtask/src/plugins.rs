//! The example plugins, built for WebAssembly.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{Environment, cargo, root, target_folder};

const TARGET: &str = "wasm32-wasip2";

/// A plugin to build: its package, and the feature that makes a variant of it.
const BUILDS: &[(&str, Option<&str>)] = &[
    ("passthrough", None),
    ("redact", None),
    ("explode", None),
    ("misbehaving", None),
    ("misbehaving", Some("files")),
    ("misbehaving", Some("network")),
    ("misbehaving", Some("sleep")),
];

/// Builds each plugin as `NAME.wasm` or `NAME-FEATURE.wasm`, all in one folder.
pub fn build() -> anyhow::Result<Environment> {
    add_target()?;
    let built = target_folder()?.join("plugins");
    for (package, feature) in BUILDS {
        let mut build = cargo();
        build
            .args(["build", "--release", "--target", TARGET, "--manifest-path"])
            .arg(root()?.join("plugins/Cargo.toml"))
            .arg("--target-dir")
            .arg(&built)
            .args(["--package", package])
            .args(feature.iter().flat_map(|feature| ["--features", feature]));
        let status = build.status().context("running cargo")?;
        ensure!(status.success(), "plugin {package} was not built");
        let file = built.join(TARGET).join("release").join(format!("{package}.wasm"));
        let name = feature.map_or((*package).to_owned(), |feature| format!("{package}-{feature}"));
        std::fs::copy(&file, built.join(format!("{name}.wasm")))
            .with_context(|| format!("copying {}", file.display()))?;
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
