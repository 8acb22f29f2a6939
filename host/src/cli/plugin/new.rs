//! `plugin new`: a folder that builds, passes its own test, and is meant to be changed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::cli::print::say_lines;
use crate::config::as_part;

/// The files of a new plugin, with the placeholders NAME, VARIABLE, TYPE and SDK.
type Files = &'static [(&'static str, &'static str)];

const ROWS: Files = &[
    ("Cargo.toml", include_str!("template/rows/Cargo.toml.in")),
    (".gitignore", GIT_IGNORE),
    ("README.md", include_str!("template/rows/README.md")),
    ("config.schema.json", include_str!("template/rows/config.schema.json")),
    ("sample.ndjson", include_str!("template/rows/sample.ndjson")),
    ("src/lib.rs", include_str!("template/rows/lib.rs.in")),
];
const ARROW: Files = &[
    ("Cargo.toml", include_str!("template/arrow/Cargo.toml.in")),
    (".gitignore", GIT_IGNORE),
    ("README.md", include_str!("template/arrow/README.md")),
    ("columns.txt", include_str!("template/arrow/columns.txt")),
    ("config.schema.json", include_str!("template/arrow/config.schema.json")),
    ("sample.ndjson", include_str!("template/arrow/sample.ndjson")),
    ("src/lib.rs", include_str!("template/arrow/lib.rs.in")),
];
const GIT_IGNORE: &str = "/target/\n";
/// The folder of the SDK in the repository.
const SDK: &str = "guest-sdk";

/// What a plugin sees.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PluginStage {
    /// Payloads, before they are decoded.
    Rows,
    /// Columns of decoded rows.
    Arrow,
}

/// Options of `sluicegate plugin new`.
#[derive(Debug, clap::Args)]
pub struct PluginNewArgs {
    /// The plugin's name, and that of its folder.
    name: String,
    /// What it sees.
    #[arg(long, value_enum, default_value = "rows")]
    stage: PluginStage,
    /// The folder of the SDK, by default `guest-sdk` of the repository that this folder is in.
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

/// Creates the folder and prints what to do next.
///
/// # Errors
/// The name is invalid, the folder exists, or the SDK is not found.
pub fn make_plugin(args: &PluginNewArgs) -> anyhow::Result<()> {
    let (files, table) = match args.stage {
        PluginStage::Rows => (ROWS, ""),
        PluginStage::Arrow => (ARROW, " --table columns.txt"),
    };
    let name = &args.name;
    ensure!(
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
        "`{name}`: a name begins with a lower-case letter, and has lower-case letters, digits and `-`"
    );
    let folder = Path::new(name);
    ensure!(!folder.exists(), "`{name}` is there already");
    let here = std::env::current_dir()?;
    let sdk = match &args.sdk {
        Some(sdk) => sdk.canonicalize().with_context(|| format!("--sdk {}", sdk.display()))?,
        None => find(&here).with_context(|| {
            format!("no folder `{SDK}` here or above: name that of the SDK by --sdk")
        })?,
    };
    for (file, template) in files {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let text = template
            .replace("NAME", name)
            .replace("VARIABLE", &as_part(name))
            .replace("TYPE", &type_name(name))
            .replace("SDK", &sdk.to_string_lossy());
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    say_lines(format_args!(
        "{name}/ is a plugin. Next:\n  cd {name}\n  cargo test\n  sluicegate plugin build\n  \
         sluicegate plugin run target/{name}.wasm{table} --input sample.ndjson"
    ));
    Ok(())
}

fn find(here: &Path) -> Option<PathBuf> {
    here.ancestors().map(|folder| folder.join(SDK)).find(|sdk| sdk.join("Cargo.toml").exists())
}

/// The type name for a plugin: `mask-mail` becomes `MaskMailPlugin`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    // With a suffix, because a plugin may be named `config` or `object`.
    name.split('-').map(capital).chain(["Plugin".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_makes_a_type() {
        for (name, expected) in
            [("mask", "MaskPlugin"), ("mask-mail2", "MaskMail2Plugin"), ("a--b", "ABPlugin")]
        {
            assert_eq!(type_name(name), expected);
        }
    }
}
