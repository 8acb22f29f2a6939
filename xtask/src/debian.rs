//! Tools that come with the system.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use nix::unistd::Uid;

/// Makes sure that a tool can be started. Where it is missing it is installed by `apt-get` if we
/// are root, as in a container; otherwise the error names the command to type.
pub fn tool(name: &str, packages: &[&str]) -> anyhow::Result<()> {
    if is_there(name) {
        return Ok(());
    }
    let command = format!("apt-get install {}", packages.join(" "));
    ensure!(
        Uid::effective().is_root() && is_there("apt-get"),
        "{name} is missing: on Debian, `{command}`"
    );
    eprintln!("{name} is missing: {command}");
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
        .with_context(|| format!("{name} is missing, and `{command}` failed"))
}

fn is_there(name: &str) -> bool {
    let mut started = Command::new(name);
    started.arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    started.status().is_ok()
}

fn apt_get(args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["--quiet"])
        .args(args)
        .output()
        .context("running apt-get")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", text.lines().last().unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    const CONTAINER: &str = include_str!("../../.devcontainer/devcontainer.json");

    /// The texts in quotes up to the end of a list.
    fn listed(text: &str) -> Vec<&str> {
        let (list, _) = text.split_once(']').unwrap();
        list.split('"').skip(1).step_by(2).collect()
    }

    #[test]
    fn the_container_to_develop_in_has_what_would_be_installed() {
        let container: Value = serde_json::from_str(CONTAINER).unwrap();
        let channel = include_str!("../../rust-toolchain.toml").split('"').nth(1).unwrap();
        assert_eq!(container["image"], format!("rust:{channel}-bookworm"));
        let command = container["onCreateCommand"].as_str().unwrap();
        let installed = command.rsplit_once("recommends ").unwrap().1.split(' ');
        let installed: BTreeSet<String> = installed.map(str::to_owned).collect();
        let mut named = BTreeSet::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let paths = std::fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| !path.ends_with("debian.rs")) {
            let source = std::fs::read_to_string(path).unwrap();
            let calls = source.split("debian::tool(").skip(1);
            let packages = calls.filter_map(|call| call.split_once("&["));
            named.extend(packages.flat_map(|(_, list)| listed(list)).map(str::to_owned));
        }
        assert_eq!(installed, named);
    }
}
