//! Packages of PyPI: ClickHouse's client for Python, in a virtual environment of its own, and the
//! official test suite of JSON Schema.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

const CLIENT: &str = "clickhouse-connect==1.12.0";
const FOLDER: &str = "clickhouse-connect-1.12.0";

/// A validator of another language, whose source archive holds the official suite as it is.
/// `@json-schema-org/tests` of npm holds but a reference to it.
const SUITE: &str = "jsonschema==4.26.0";
const SUITE_SHA256: &str = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326";
const SUITE_FOLDER: &str = "json-schema-test-suite-of-jsonschema-4.26.0";

/// The Python that has the client, set up if it is not there yet.
pub fn clickhouse_connect() -> anyhow::Result<PathBuf> {
    // A virtual environment holds its own path: it is made where it stays, and marked when done.
    let folder = crate::cache()?.join(FOLDER);
    let python = folder.join("bin/python");
    let is_done = folder.join("is-done");
    if is_done.exists() {
        return Ok(python);
    }
    eprintln!("fetching {CLIENT} into {}", folder.display());
    make_environment(&folder)?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", CLIENT])).context("pip")?;
    std::fs::write(&is_done, "").with_context(|| format!("writing {}", is_done.display()))?;
    Ok(python)
}

/// The folder of the official test suite, fetched if it is not there yet.
pub fn json_schema_suite() -> anyhow::Result<PathBuf> {
    let kept = crate::cache()?.join(SUITE_FOLDER);
    if kept.is_dir() {
        return Ok(kept);
    }
    // Beside its place, so that the move at the end is one step on one file system.
    let work = crate::cache()?.join(format!("{SUITE_FOLDER}.{}.part", std::process::id()));
    let fetched = fetch_suite(&work, &kept);
    let _removed = std::fs::remove_dir_all(&work);
    fetched.with_context(|| format!("PyPI package {SUITE}")).map(|()| kept)
}

fn fetch_suite(work: &Path, kept: &Path) -> anyhow::Result<()> {
    eprintln!("fetching {SUITE}");
    make_environment(work)?;
    let pinned = work.join("pinned.txt");
    std::fs::write(&pinned, format!("{SUITE} --hash=sha256:{SUITE_SHA256}\n"))?;
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"];
    run(Command::new(work.join("bin/python"))
        .args(pip)
        .arg("--require-hashes")
        .arg("--requirement")
        .arg(&pinned)
        .arg("--dest")
        .arg(work))
    .context("pip")?;
    let name = SUITE.replace("==", "-");
    run(Command::new("tar")
        .arg("-xzf")
        .arg(work.join(format!("{name}.tar.gz")))
        .arg("-C")
        .arg(work))
    .context("tar")?;
    std::fs::rename(work.join(name).join("json"), kept)
        .with_context(|| format!("moving the suite to {}", kept.display()))
}

fn make_environment(folder: &Path) -> anyhow::Result<()> {
    crate::debian::tool("python3", &["python3", "python3-venv"])?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
        .context("python3 -m venv: on Debian, `apt-get install python3-venv`")
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", text.lines().last().unwrap_or_default());
    Ok(())
}
