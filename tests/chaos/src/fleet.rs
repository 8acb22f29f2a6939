//! The hosts: several processes of one consumer group, each with a log of its own.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use sluicegate_tests::Host;
use tokio::time::{Instant, sleep};

/// How many hosts there are when nothing is wrong.
pub const HOSTS: usize = 3;

/// SIGTERM as a number.
const SIGTERM: i32 = Signal::SIGTERM as i32;

/// How much a host may still take that has no memory left.
const LAST_BYTES: u64 = 1 << 20;

/// How long a host may take to end after SIGTERM: well above SHUTDOWN_TIMEOUT_MS.
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// The hosts that run, oldest first, and those that were told to stop.
pub struct Fleet {
    environment: BTreeMap<String, String>,
    folder: PathBuf,
    started: usize,
    members: Vec<Member>,
    leaving: Vec<Leaving>,
    /// What a host did that it must not do.
    faults: Vec<String>,
}

struct Member {
    name: String,
    host: Host,
    /// Whether it may end by itself, since it was made to.
    may_end: bool,
}

struct Leaving {
    member: Member,
    deadline: Instant,
}

impl Fleet {
    /// No host yet; each will have these variables, and its log in the folder.
    pub fn new(environment: BTreeMap<String, String>, folder: &Path) -> Self {
        Self {
            environment,
            folder: folder.to_owned(),
            started: 0,
            members: Vec::new(),
            leaving: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Starts one more host and returns its name.
    pub fn start(&mut self) -> anyhow::Result<String> {
        self.start_with(&[])
    }

    /// The same with variables of its own.
    pub fn start_with(&mut self, variables: &[(&str, &str)]) -> anyhow::Result<String> {
        self.started += 1;
        let name = format!("host-{:03}", self.started);
        let mut environment = self.environment.clone();
        for (name, value) in variables {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        let host = Host::start_logging_to(&environment, &log_of(&self.folder, &name))?;
        self.members.push(Member { name: name.clone(), host, may_end: false });
        Ok(name)
    }

    /// The folder of the logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets a variable of the hosts that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Tells all to stop, and starts as many.
    pub fn restart_all(&mut self) -> anyhow::Result<()> {
        while !self.members.is_empty() {
            self.stop(0)?;
        }
        self.fill()
    }

    /// Starts hosts until there are as many as there should be.
    pub fn fill(&mut self) -> anyhow::Result<()> {
        while self.members.len() < HOSTS {
            self.start()?;
        }
        Ok(())
    }

    /// How many hosts run.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Ends one without warning.
    pub async fn kill(&mut self, index: usize) -> anyhow::Result<String> {
        let member = self.take(index)?;
        member.host.kill().await?;
        Ok(member.name)
    }

    /// Ends all at once, without warning.
    pub async fn kill_all(&mut self) -> anyhow::Result<()> {
        for member in &self.members {
            member.host.signal(Signal::SIGKILL)?;
        }
        for member in self.members.drain(..) {
            member.host.kill().await?;
        }
        Ok(())
    }

    /// Tells one to stop, and goes on: [`Fleet::look`] sees how it ends.
    pub fn stop(&mut self, index: usize) -> anyhow::Result<String> {
        let member = self.take(index)?;
        member.host.signal(Signal::SIGTERM)?;
        let name = member.name.clone();
        self.leaving.push(Leaving { member, deadline: Instant::now() + STOP_PATIENCE });
        Ok(name)
    }

    /// Tells one to stop, and kills it while it drains.
    pub async fn kill_while_stopping(
        &mut self,
        index: usize,
        after: Duration,
    ) -> anyhow::Result<String> {
        let member = self.take(index)?;
        member.host.signal(Signal::SIGTERM)?;
        sleep(after).await;
        member.host.kill().await?;
        Ok(member.name)
    }

    /// The same of the one of this name, if it still runs.
    pub fn stop_by_name(&mut self, name: &str) -> anyhow::Result<()> {
        match self.index(name) {
            Some(index) => self.stop(index).map(drop),
            None => Ok(()),
        }
    }

    /// Ends the one of this name without warning, if it still runs.
    pub async fn kill_by_name(&mut self, name: &str) -> anyhow::Result<()> {
        match self.index(name) {
            Some(index) => self.kill(index).await.map(drop),
            None => Ok(()),
        }
    }

    /// Leaves one no room in its address space; it may end of that.
    pub async fn take_memory(&mut self, name: &str) -> anyhow::Result<()> {
        let index = self.index(name).context("no such host")?;
        let member = self.members.get_mut(index).context("no such host")?;
        member.may_end = true;
        let pid = member.host.pid()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmSize:")).context("no VmSize")?;
        let kib = line.split_whitespace().nth(1).context("VmSize without a number")?;
        let limit = kib.parse::<u64>()? * 1024 + LAST_BYTES;
        let mut prlimit = tokio::process::Command::new("prlimit");
        prlimit.args(["--pid", &pid.to_string(), &format!("--as={limit}:{limit}")]);
        let status = prlimit.status().await.context("running prlimit, of util-linux")?;
        anyhow::ensure!(status.success(), "prlimit: {status}");
        Ok(())
    }

    fn is_silent(&self, name: &str) -> bool {
        std::fs::metadata(log_of(&self.folder, name)).is_ok_and(|log| log.len() == 0)
    }

    /// Whether the log of one has a line with this.
    pub fn has_said(&self, name: &str, what: &str) -> bool {
        let log = std::fs::read(log_of(&self.folder, name)).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().any(|line| line.contains(what))
    }

    /// How many lines of all logs have this, those of hosts that have ended included.
    pub fn lines_with(&self, what: &str) -> anyhow::Result<u64> {
        let mut lines = 0;
        for log in std::fs::read_dir(&self.folder)? {
            let log = std::fs::read(log?.path()).unwrap_or_default();
            lines += String::from_utf8_lossy(&log).lines().filter(|l| l.contains(what)).count();
        }
        Ok(lines as u64)
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name == name)
    }

    /// Sends one a signal and leaves it where it is.
    pub fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let member = self.members.iter().find(|member| member.name == name);
        member.with_context(|| format!("{name} does not run"))?.host.signal(signal)
    }

    /// The name of one.
    pub fn name(&self, index: usize) -> anyhow::Result<String> {
        Ok(self.members.get(index).context("no such host")?.name.clone())
    }

    /// Looks after those that have ended or should have; one that ended by itself is replaced, as a
    /// supervisor would, and held against the hosts.
    pub async fn look(&mut self) -> anyhow::Result<()> {
        for at in (0..self.members.len()).rev() {
            let ended = self.members.get_mut(at).map(|member| member.host.ended()).transpose()?;
            if let Some(Some(status)) = ended {
                let Member { name, may_end, .. } = self.take(at)?;
                if may_end {
                    continue;
                }
                self.faults.push(format!("{name} ended by itself with {status}"));
                self.start()?;
            }
        }
        for mut leaving in std::mem::take(&mut self.leaving) {
            let name = leaving.member.name.clone();
            match leaving.member.host.ended()? {
                Some(status) if status.success() => {}
                // It was told before it had begun.
                Some(status) if status.signal() == Some(SIGTERM) && self.is_silent(&name) => {}
                Some(status) => {
                    self.faults.push(format!("{name} was stopped, ended with {status}"));
                }
                None if Instant::now() > leaving.deadline => {
                    self.faults.push(format!("{name} does not end after SIGTERM"));
                    leaving.member.host.kill().await?;
                }
                None => self.leaving.push(leaving),
            }
        }
        Ok(())
    }

    /// Stops all, and waits until all have ended.
    pub async fn stop_all(&mut self) -> anyhow::Result<()> {
        while !self.members.is_empty() {
            self.stop(0)?;
        }
        while !self.leaving.is_empty() {
            self.look().await?;
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// What hosts did that they must not do.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    fn take(&mut self, index: usize) -> anyhow::Result<Member> {
        anyhow::ensure!(index < self.members.len(), "no host number {index} runs");
        Ok(self.members.remove(index))
    }
}

/// The log of a host.
fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}
