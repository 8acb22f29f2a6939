//! Doing each kind of fault, and mending it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use sluicegate_local::FaultKind;
use sluicegate_tests::{Job, TABLE};
use tokio::time::{Instant, sleep};

use crate::answers;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::kind::{Kind, Place};
use crate::letters::{self, Letters};
use crate::schedule::Outage;

/// How often the engine has raised what the view throws, since it started.
const THROWN: &str = "SELECT sum(value) FROM system.errors WHERE code = 395";
/// Throws for nearly every INSERT, and never because of a bad record: those are not inserted.
const VIEW: &str = "CREATE MATERIALIZED VIEW broken TO thrown AS \
                    SELECT toUInt8(throwIf(n % 10 = 7, 'broken on purpose')) AS x FROM ";

/// The processes, and what was done to them.
pub struct Field {
    /// Broker and engine.
    pub job: Job,
    /// The hosts.
    pub fleet: Fleet,
    /// Dead letters of topics that are gone.
    pub letters: Letters,
    /// What happened when.
    pub events: Events,
    /// How often each kind was done and, where a host must come by to meet it, was met.
    pub done: BTreeMap<Kind, u64>,
    /// What the engine answers wrongly at the moment.
    begun: BTreeSet<Kind>,
    /// The numbers of the engine's faults that are not mended.
    answers: BTreeMap<Kind, u64>,
    /// What should be mended, but was met by no host yet: it stays until the round's end.
    unmet: Vec<Kind>,
    suspended: Option<String>,
    thrown: u64,
}

impl Field {
    /// Nothing is wrong.
    pub fn new(job: Job, fleet: Fleet, events: Events) -> Self {
        Self {
            job,
            fleet,
            events,
            letters: Letters::default(),
            done: BTreeMap::new(),
            begun: BTreeSet::new(),
            answers: BTreeMap::new(),
            unmet: Vec::new(),
            suspended: None,
            thrown: 0,
        }
    }

    /// Lets an outage begin.
    pub async fn begin(&mut self, outage: &Outage) -> anyhow::Result<()> {
        let name = outage.kind.name();
        if outage.kind.place() == Place::Answers && !self.begun.insert(outage.kind) {
            self.events.tell(&format!("{name} is still there: no host has met it"));
            return Ok(());
        }
        let detail = self.start(outage).await.with_context(|| format!("beginning {name}"))?;
        self.events.tell(format!("{name} begins {detail}").trim_end());
        Ok(())
    }

    /// Mends an outage, if a host has met it; else it stays for [`Field::mend_the_unmet`].
    pub async fn mend(&mut self, kind: Kind) -> anyhow::Result<()> {
        if kind.place() == Place::Answers && !self.begun.contains(&kind) {
            return Ok(());
        }
        if !self.is_met(kind).await? {
            self.unmet.push(kind);
            return Ok(());
        }
        *self.done.entry(kind).or_default() += 1;
        self.events.tell(&format!("{} is being mended", kind.name()));
        self.end(kind).await.with_context(|| format!("mending {}", kind.name()))
    }

    /// Mends what is left. What no host meets within `patience` does not count as done.
    pub async fn mend_the_unmet(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !self.unmet.is_empty() && Instant::now() < deadline {
            // All in turn: one that is met may hide another.
            for kind in std::mem::take(&mut self.unmet) {
                self.mend(kind).await?;
            }
            sleep(Duration::from_millis(100)).await;
        }
        for kind in std::mem::take(&mut self.unmet) {
            self.events.tell(&format!("{} was met by no host", kind.name()));
            self.end(kind).await?;
        }
        Ok(())
    }

    /// Returns what is to be told of it.
    async fn start(&mut self, outage: &Outage) -> anyhow::Result<String> {
        if let Some(fault) = answers::fault(outage) {
            self.answers.insert(outage.kind, self.job.stack.fault(&fault).await?);
            return Ok(match fault.kind {
                FaultKind::Exception { code, .. } => format!("with code {code}"),
                FaultKind::Status { http_status, .. } => format!("with status {http_status}"),
                FaultKind::Delay { delay_ms } => format!("by {delay_ms} ms"),
                FaultKind::Reset(_) => String::new(),
            });
        }
        let host = outage.index(self.fleet.len());
        match outage.kind {
            Kind::BrokerStopped => self.job.broker()?.stop().await?,
            Kind::BrokerKilled => self.job.broker()?.kill().await?,
            Kind::EngineStopped => self.job.end_clickhouse(Signal::SIGTERM).await?,
            Kind::EngineKilled => self.job.end_clickhouse(Signal::SIGKILL).await?,
            Kind::DeadLettersDeleted => self.letters.take_away(&mut self.job).await?,
            Kind::ColumnAdded => self.alter("ADD COLUMN further UInt64 DEFAULT 3").await?,
            Kind::ColumnDropped => self.alter("DROP COLUMN note").await?,
            Kind::ViewThrows => {
                self.thrown = self.thrown_so_far().await?;
                self.job.query(&format!("{VIEW}{TABLE}")).await?;
            }
            Kind::HostKilled => return self.fleet.kill(host).await,
            Kind::AllHostsKilled => self.fleet.kill_all().await?,
            Kind::HostStopped => {
                let stopped = self.fleet.stop(host)?;
                return Ok(format!("{stopped}, and {} starts", self.fleet.start()?));
            }
            Kind::HostKilledWhileStopping => {
                let after = Duration::from_millis(outage.dice % 400);
                return self.fleet.kill_while_stopping(host, after).await;
            }
            Kind::HostRemoved => return self.fleet.stop(host),
            Kind::HostAdded => return self.fleet.start(),
            Kind::HostSuspended => {
                let name = self.fleet.name(host)?;
                self.fleet.signal(&name, Signal::SIGSTOP)?;
                self.suspended = Some(name.clone());
                return Ok(name);
            }
            kind => anyhow::bail!("nobody knows how to do {kind:?}"),
        }
        Ok(String::new())
    }

    async fn end(&mut self, kind: Kind) -> anyhow::Result<()> {
        if kind.place() == Place::Answers && !self.begun.remove(&kind) {
            return Ok(());
        }
        if let Some(number) = self.answers.remove(&kind) {
            return self.job.stack.clear_fault(number).await;
        }
        match kind {
            Kind::BrokerStopped | Kind::BrokerKilled => self.job.broker()?.restart().await,
            Kind::EngineStopped | Kind::EngineKilled => self.job.restart_clickhouse().await,
            Kind::DeadLettersDeleted => letters::bring_back(&mut self.job).await,
            Kind::ColumnAdded => self.alter("DROP COLUMN further").await,
            Kind::ColumnDropped => self.alter("ADD COLUMN note String AFTER n").await,
            Kind::ViewThrows => self.job.query("DROP VIEW broken").await.map(drop),
            Kind::HostAdded => self.fleet.stop(0).map(drop),
            Kind::HostSuspended => match self.suspended.take() {
                Some(name) => self.fleet.signal(&name, Signal::SIGCONT),
                None => Ok(()),
            },
            _ => self.fleet.fill(),
        }
    }

    /// Whether a host has met what is wrong. What is done to processes meets them by itself.
    async fn is_met(&self, kind: Kind) -> anyhow::Result<bool> {
        if kind == Kind::ViewThrows {
            return Ok(self.thrown_so_far().await? > self.thrown);
        }
        let Some(number) = self.answers.get(&kind) else { return Ok(true) };
        let faults = self.job.stack.faults().await?;
        Ok(faults.iter().any(|fault| fault.id == *number && fault.hits > 0))
    }

    async fn thrown_so_far(&self) -> anyhow::Result<u64> {
        Ok(self.job.query(THROWN).await?.parse()?)
    }

    async fn alter(&self, change: &str) -> anyhow::Result<()> {
        self.job.query(&format!("ALTER TABLE {TABLE} {change}")).await.map(drop)
    }
}
