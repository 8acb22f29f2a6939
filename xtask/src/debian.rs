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
