//! ClickHouse's client for Python, in a virtual environment of its own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

const CLIENT: &str = "clickhouse-connect==1.12.0";
const FOLDER: &str = "clickhouse-connect-1.12.0";

/// The Python that has the client, set up if it is not there yet.
pub fn clickhouse_connect() -> anyhow::Result<PathBuf> {
    crate::debian::tool("python3", &["python3", "python3-venv"])?;
    // A virtual environment holds its own path: it is made where it stays, and marked when done.
    let folder = crate::cache()?.join(FOLDER);
    let python = folder.join("bin/python");
    let is_done = folder.join("is-done");
    if is_done.exists() {
        return Ok(python);
    }
    eprintln!("fetching {CLIENT} into {}", folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("python3 -m venv: on Debian, `apt-get install python3-venv`")?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", CLIENT])).context("pip")?;
    std::fs::write(&is_done, "").with_context(|| format!("writing {}", is_done.display()))?;
    Ok(python)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", text.lines().last().unwrap_or_default());
    Ok(())
}
