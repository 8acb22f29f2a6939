//! The host under test, as a child process.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep};

use crate::http::{self, Answer};
use crate::limit::MemoryLimit;

/// How long anything may take before a test fails. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What the pipe of a log that nobody reads holds.
pub const UNREAD_BYTES: usize = 4_096;

/// Records by fate, as the host reports them when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Ledger {
    pub consumed: u64,
    pub landed: u64,
    pub dead_lettered: u64,
    pub dropped: u64,
    pub skipped: u64,
    pub in_flight: u64,
}

/// A running `sluicegate run`. Dropping it kills it.
pub struct Host {
    child: Child,
    log: Log,
}

/// Where the lines of a host go.
enum Log {
    Memory(Arc<Mutex<Vec<String>>>),
    /// In the pipe, which nobody reads.
    Unread(ChildStderr),
    File(PathBuf),
}

impl Host {
    /// Starts the binary with exactly these variables.
    pub fn start(environment: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        Self::start_in(environment, None)
    }

    /// The same within a bound on its memory.
    pub fn start_within(
        environment: &BTreeMap<String, String>,
        limit: &MemoryLimit,
    ) -> anyhow::Result<Self> {
        Self::start_in(environment, Some(limit))
    }

    fn start_in(
        environment: &BTreeMap<String, String>,
        limit: Option<&MemoryLimit>,
    ) -> anyhow::Result<Self> {
        let mut child =
            command(environment, &["run"], limit)?.spawn().context("starting the host")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().context("stdout")?, &log);
        collect(child.stderr.take().context("stderr")?, &log);
        Ok(Self { child, log: Log::Memory(log) })
    }

    /// The same with a file for the log, which outlives this process.
    pub fn start_logging_to(
        environment: &BTreeMap<String, String>,
        file: &Path,
    ) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(file)?;
        let mut command = command(environment, &["run"], None)?;
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("starting the host")?;
        Ok(Self { child, log: Log::File(file.to_owned()) })
    }

    /// The same with a log that nobody reads before [`Host::read_log`], but for [`UNREAD_BYTES`] of it.
    pub fn start_unread(environment: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut child =
            command(environment, &["run"], None)?.spawn().context("starting the host")?;
        let stderr = child.stderr.take().context("stderr")?;
        fcntl(&stderr, FcntlArg::F_SETPIPE_SZ(i32::try_from(UNREAD_BYTES)?))?;
        Ok(Self { child, log: Log::Unread(stderr) })
    }

    /// Begins to read a log that was not read.
    pub fn read_log(&mut self) -> anyhow::Result<()> {
        let lines = Log::Memory(Arc::default());
        let before = std::mem::replace(&mut self.log, lines);
        let (Log::Unread(stderr), Log::Memory(lines)) = (before, &self.log) else {
            anyhow::bail!("the log is read already");
        };
        collect(stderr, lines);
        Ok(())
    }

    /// What the host wrote so far.
    pub fn log(&self) -> Vec<String> {
        match &self.log {
            Log::Memory(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Log::Unread(_) => Vec::new(),
            Log::File(file) => {
                let text = std::fs::read(file).unwrap_or_default();
                String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
            }
        }
    }

    /// How the host ended; None while it runs.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for a line of the log that holds all of `parts`, and returns it.
    pub async fn wait_for(&mut self, parts: &[&str]) -> anyhow::Result<String> {
        self.wait_for_count(parts, 1).await
    }

    /// Waits for so many lines that hold all of `parts`, and returns the last of them.
    pub async fn wait_for_count(&mut self, parts: &[&str], count: usize) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            let mut found = log.iter().filter(|l| parts.iter().all(|part| l.contains(part)));
            if let Some(line) = found.nth(count.saturating_sub(1)) {
                return Ok(line.clone());
            }
            let ended = self.child.try_wait()?;
            anyhow::ensure!(
                Instant::now() < deadline && ended.is_none(),
                "no {count} log lines with {parts:?} (ended: {ended:?}):\n{}",
                log.join("\n")
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the admin server answers.
    pub async fn admin(&mut self, method: &str, path: &str) -> anyhow::Result<Answer> {
        let line = self.wait_for(&["admin server listens"]).await?;
        let fields: Value = serde_json::from_str(&line)?;
        let address = fields.get("address").and_then(Value::as_str).context("no address")?;
        let answer = http::request(address, method, path).await;
        answer.with_context(|| {
            let ended = self.child.try_wait();
            format!("{method} {path} (ended: {ended:?}):\n{}", self.log().join("\n"))
        })
    }

    /// Asks until the answer is as wanted, and returns it.
    pub async fn wait_for_answer(
        &mut self,
        path: &str,
        is_wanted: impl Fn(&Answer) -> bool,
    ) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.admin("GET", path).await?;
            if is_wanted(&answer) {
                return Ok(answer);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "{path} still answers {}:\n{}\n{}",
                answer.status,
                answer.body,
                self.log().join("\n")
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends SIGTERM, waits for exit code 0 and returns the ledger.
    pub async fn stop(mut self) -> anyhow::Result<Ledger> {
        self.signal(Signal::SIGTERM)?;
        let status = self.wait().await?;
        let log = self.log().join("\n");
        anyhow::ensure!(status.success(), "the host ended with {status}:\n{log}");
        ledger(&self.log()).with_context(|| format!("no ledger in the log:\n{log}"))
    }

    /// The process's id.
    ///
    /// # Errors
    /// It has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the host has ended")
    }

    /// The most memory that the process held so far, in bytes.
    pub fn peak_memory_bytes(&self) -> anyhow::Result<u64> {
        let pid = self.pid()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
        let kib = line.split_whitespace().nth(1).context("VmHWM without a number")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid()?;
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    /// Ends the host without warning.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits until the host has ended by itself.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.with_context(|| format!("still running:\n{}", self.log().join("\n")));
        // What was written last may still be in the pipes.
        sleep(Duration::from_millis(200)).await;
        Ok(status??)
    }
}

/// Runs the binary to its end with exactly these variables.
pub async fn once(
    environment: &BTreeMap<String, String>,
    arguments: &[&str],
) -> anyhow::Result<Output> {
    once_in(environment, arguments, None).await
}

/// The same within a bound on its memory.
pub async fn once_within(
    environment: &BTreeMap<String, String>,
    arguments: &[&str],
    limit: &MemoryLimit,
) -> anyhow::Result<Output> {
    once_in(environment, arguments, Some(limit)).await
}

async fn once_in(
    environment: &BTreeMap<String, String>,
    arguments: &[&str],
    limit: Option<&MemoryLimit>,
) -> anyhow::Result<Output> {
    let output = command(environment, arguments, limit)?.output();
    Ok(tokio::time::timeout(PATIENCE, output).await.context("still running")??)
}

fn command(
    environment: &BTreeMap<String, String>,
    arguments: &[&str],
    limit: Option<&MemoryLimit>,
) -> anyhow::Result<Command> {
    let binary = crate::path_of("SLUICEGATE_BIN")?;
    let mut command = match limit {
        None => Command::new(binary),
        Some(limit) => {
            let [shell, arguments @ ..] = limit.wrapper();
            let mut command = Command::new(shell);
            command.args(arguments).arg(binary);
            command
        }
    };
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        // No `.env` of the checkout may leak in.
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

fn collect(stream: impl AsyncRead + Unpin + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}

/// The ledger in the line that the host writes last.
fn ledger(log: &[String]) -> Option<Ledger> {
    let line = log.iter().rev().find(|line| line.contains("\"stopped\""))?;
    let fields: Value = serde_json::from_str(line).ok()?;
    let count = |name: &str| fields.get(name).and_then(Value::as_u64);
    Some(Ledger {
        consumed: count("consumed")?,
        landed: count("landed")?,
        dead_lettered: count("dead_lettered")?,
        dropped: count("dropped")?,
        skipped: count("skipped")?,
        in_flight: count("in_flight")?,
    })
}
