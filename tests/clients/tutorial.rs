//! docs/tutorial.md, run as it stands.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sluicegate_tests::{PATIENCE, path_of};

const PAGE: &str = include_str!("../../docs/tutorial.md");

/// The texts between the fences of one language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fenced = PAGE.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// The folder of a binary that the tests are given.
fn folder_of(variable: &str) -> anyhow::Result<String> {
    let path = path_of(variable)?;
    let folder = path.parent().context("a binary is in a folder")?;
    Ok(folder.display().to_string())
}

/// Runs the page's commands in one shell, and ends whatever they leave behind.
fn run(script: &Path, folder: &Path) -> anyhow::Result<(bool, String)> {
    let output = folder.join("output.txt");
    let file = std::fs::File::create(&output)?;
    let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let path = [folder_of("SLUICEGATE_BIN")?, folder_of("SLUICEGATE_LOCAL")?];
    let inherited = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh")
        .arg("-eu")
        .arg(script)
        .current_dir(folder)
        .env("PATH", format!("{}:{inherited}", path.join(":")))
        .env("ADMIN_ADDR", admin.to_string())
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .context("starting sh")?;
    let group = Pid::from_raw(i32::try_from(shell.id())?);
    let ends = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = shell.try_wait()? {
            break Some(status);
        }
        if Instant::now() > ends {
            break None;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    // The shell too, if it has not come to its end.
    let _gone = killpg(group, Signal::SIGKILL);
    let _status = shell.wait();
    Ok((status.is_some_and(|status| status.success()), std::fs::read_to_string(output)?))
}

#[test]
fn the_commands_of_the_tutorial_do_what_it_says() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("tutorial.sh");
    std::fs::write(&script, blocks("sh").join("\n"))?;
    let (is_done, output) = run(&script, folder.path())?;
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    assert!(is_done, "{output}\n{}", read("host.log"));
    // What differs each time stands as `…`; the parts between stand on one line, in order.
    for line in blocks("text").iter().flat_map(|block| block.lines()) {
        let is_it = |printed: &str| {
            let mut rest = Some(printed);
            for part in line.split('…') {
                rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
            }
            rest.is_some()
        };
        assert!(output.lines().any(is_it), "no line reads `{line}`:\n{output}");
    }
    Ok(())
}
