//! The hosts: several processes of one consumer group, each with a log of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use sluicegate_tests::Host;
use tokio::time::{Instant, sleep};

/// How many hosts there are when nothing is wrong.
pub const HOSTS: usize = 3;

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
        self.started += 1;
        let name = format!("host-{:03}", self.started);
        let host = Host::start_logging_to(&self.environment, &log_of(&self.folder, &name))?;
        self.members.push(Member { name: name.clone(), host });
        Ok(name)
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
                let name = self.take(at)?.name;
                self.faults.push(format!("{name} ended by itself with {status}"));
                self.start()?;
            }
        }
        for mut leaving in std::mem::take(&mut self.leaving) {
            let name = leaving.member.name.clone();
            match leaving.member.host.ended()? {
                Some(status) if status.success() => {}
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
