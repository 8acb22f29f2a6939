//! Doing each kind of fault, and mending it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use sluicegate_local::FaultKind;
use sluicegate_tests::{Ask, GROUP, Job, Preload, TOPIC};
use tokio::time::{Instant, sleep};

use crate::consult::Consulted;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::kind::{Kind, Place};
use crate::letters::{self, Letters};
use crate::schedule::Outage;
use crate::stream::{MOST_PARTITIONS, Mark, Remote};
use crate::{answers, hosts, operator};

/// How long an engine that is to die at its next INSERT may live.
const DEATH: Duration = Duration::from_secs(15);
/// How long records that do not fit a narrowed column may take to be settled.
const SETTLING: Duration = Duration::from_mins(1);
/// What a host says of a record that a plugin failed on.
const TRAPPED: &str = "hook_failed";
/// What a host says of a view whose table is dropped.
const UNFILLED: &str = "which is dropped or kept from CLICKHOUSE_USER";

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
    /// The records under way.
    pub records: Remote,
    /// How often each kind was begun.
    pub begun_so_far: BTreeMap<Kind, u64>,
    /// How often each kind was done and, where a host must come by to meet it, was met.
    pub done: BTreeMap<Kind, u64>,
    /// When the table's column was last narrowed, in milliseconds since 1970; 0 for never.
    pub narrowed_ms: i64,
    /// Values that were cut between two of those times.
    pub cut: i64,
    /// Until when INSERTs of before may arrive.
    pub late_until: Instant,
    /// How often the table was exchanged.
    exchanged: u64,
    consulted: Consulted,
    /// How many tokens the table remembers; one more with each change, since a window that was changed and
    /// changed back while no host looked is none that hosts promise anything for.
    window: u32,
    /// What the engine's disk does.
    disk: Preload,
    /// What the hosts' clocks do.
    clocks: Preload,
    /// What is wrong at the moment with answers and records.
    begun: BTreeSet<Kind>,
    /// The numbers of the engine's faults that are not mended.
    answers: BTreeMap<Kind, Vec<u64>>,
    /// What should be mended, but was met by no host yet: it stays until the round's end.
    unmet: Vec<Kind>,
    /// What counts strikes, as it was when a kind began.
    counts: BTreeMap<Kind, u64>,
    /// The host that something is done to.
    concerned: Option<String>,
    /// The host that has a plugin which fails on some records.
    with_plugins: Option<String>,
}

impl Field {
    /// Nothing is wrong. `disk` was loaded before the engine, `clocks` before the hosts.
    pub fn new(
        (job, fleet, records): (Job, Fleet, Remote),
        events: Events,
        window: u32,
        (disk, clocks): (Preload, Preload),
    ) -> Self {
        Self {
            job,
            fleet,
            events,
            records,
            letters: Letters::default(),
            begun_so_far: BTreeMap::new(),
            done: BTreeMap::new(),
            narrowed_ms: 0,
            cut: 0,
            late_until: Instant::now(),
            exchanged: 0,
            consulted: Consulted::default(),
            window,
            disk,
            clocks,
            begun: BTreeSet::new(),
            answers: BTreeMap::new(),
            unmet: Vec::new(),
            counts: BTreeMap::new(),
            concerned: None,
            with_plugins: None,
        }
    }

    /// Lets an outage begin.
    pub async fn begin(&mut self, outage: &Outage) -> anyhow::Result<()> {
        let (kind, name) = (outage.kind, outage.kind.name());
        if is_held(kind) && !self.begun.insert(kind) {
            self.events.tell(&format!("{name} is still there: no host has met it"));
            return Ok(());
        }
        *self.begun_so_far.entry(kind).or_default() += 1;
        let detail = self.start(outage).await.with_context(|| format!("beginning {name}"))?;
        self.events.tell(format!("{name} begins {detail}").trim_end());
        Ok(())
    }

    /// Mends an outage, if a host has met it; else it stays for [`Field::mend_the_unmet`].
    pub async fn mend(&mut self, kind: Kind) -> anyhow::Result<()> {
        if is_held(kind) && !self.begun.contains(&kind) {
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
        let kind = outage.kind;
        let count = self.count(kind).await?;
        self.counts.insert(kind, count);
        let faults = answers::faults(outage);
        for fault in &faults {
            let number = self.job.stack.fault(fault).await?;
            self.answers.entry(kind).or_default().push(number);
        }
        if kind == Kind::ColumnNarrowed {
            // At once, so that they are in the INSERTs that are held: those under way have none.
            self.records.mark(Mark::Large);
        }
        if let Some(fault) = faults.first() {
            return Ok(match &fault.kind {
                FaultKind::Exception { code, .. } => format!("with code {code}"),
                FaultKind::Status { http_status, .. } => format!("with status {http_status}"),
                FaultKind::Delay { delay_ms } => format!("by {delay_ms} ms"),
                FaultKind::Late { late_ms } => format!("by {late_ms} ms"),
                FaultKind::Reset(_) | FaultKind::Success(_) => String::new(),
            });
        }
        if kind == Kind::TablesExchanged && self.begun.iter().any(|kind| operator::is_view(*kind)) {
            // A view would have to be moved too.
            return Ok("not: a view reads from the table".to_owned());
        }
        if operator::does(kind) {
            self.exchanged += u64::from(kind == Kind::TablesExchanged);
            operator::begin(&self.job, kind, self.window).await?;
            return Ok(String::new());
        }
        match kind.place() {
            Place::Hosts => {
                let begun = hosts::begin(&mut self.fleet, &self.clocks, outage).await?;
                self.concerned = begun.concerned;
                return Ok(begun.told);
            }
            Place::Records => return self.start_on_records(kind),
            Place::Servers | Place::Answers => {}
        }
        match kind {
            Kind::BrokerStopped => self.job.broker()?.stop().await?,
            Kind::BrokerKilled => self.job.broker()?.kill().await?,
            Kind::EngineStopped => self.job.end_clickhouse(Signal::SIGTERM).await?,
            Kind::EngineKilled => self.job.end_clickhouse(Signal::SIGKILL).await?,
            Kind::DeadLettersDeleted => self.letters.take_away(&mut self.job).await?,
            Kind::DeadLettersRefused => letters::refuse(&mut self.job).await?,
            Kind::RecordsOld => {
                self.records.set_old(true);
                // The first letter of the new topic is of an old record: Kafka deletes a segment by its
                // newest timestamp.
                self.letters.take_away(&mut self.job).await?;
                sleep(Duration::from_secs(2)).await;
                letters::bring_back(&mut self.job).await?;
            }
            Kind::PublishKilled => return self.kill_at_publishing().await,
            Kind::PublishFails => self.disk.ask(Ask::PublishFails)?,
            Kind::DiskFull => self.disk.ask(Ask::DiskFull)?,
            Kind::TopicGrows => {
                let partitions = self.records.partitions();
                if partitions < MOST_PARTITIONS {
                    self.job.broker()?.grow_topic(TOPIC, partitions + 1).await?;
                    self.records.grow();
                }
                return Ok(format!("from {partitions} partitions"));
            }
            kind => anyhow::bail!("nobody knows how to do {kind:?}"),
        }
        Ok(String::new())
    }

    fn start_on_records(&mut self, kind: Kind) -> anyhow::Result<String> {
        self.records.mark(match kind {
            Kind::RecordsRefused => Mark::Refused,
            Kind::RecordsRefusedInPart => Mark::RefusedInPart,
            _ => Mark::Trap,
        });
        if kind != Kind::RecordsTrap {
            return Ok(String::new());
        }
        let plugins = sluicegate_tests::plugins(&["passthrough", "misbehaving"])?;
        let name = self.fleet.start_with(&[("PLUGINS", &plugins)])?;
        self.with_plugins = Some(name.clone());
        Ok(format!("on {name}"))
    }

    /// Waits until the engine has died where it was asked to.
    async fn kill_at_publishing(&mut self) -> anyhow::Result<String> {
        self.disk.ask(Ask::PublishKills)?;
        let deadline = Instant::now() + DEATH;
        while self.job.stack.ended()?.is_none() && Instant::now() < deadline {
            sleep(Duration::from_millis(50)).await;
        }
        self.disk.take_back(Ask::PublishKills)?;
        let is_dead = self.job.stack.ended()?.is_some();
        Ok(if is_dead { "and the engine is dead" } else { "and nothing came" }.to_owned())
    }

    async fn end(&mut self, kind: Kind) -> anyhow::Result<()> {
        if is_held(kind) && !self.begun.remove(&kind) {
            return Ok(());
        }
        if kind == Kind::ColumnNarrowed {
            self.cut += operator::cut_since(&self.job, self.narrowed_ms).await?;
            self.narrowed_ms = operator::narrow(&self.job).await?;
        }
        if kind == Kind::InsertsLate {
            self.late_until = Instant::now() + Duration::from_millis(answers::LATE_MS + 2_000);
        }
        if kind == Kind::WindowChanged && self.window > 0 {
            self.window += 1;
        }
        let mut is_answer = false;
        for number in self.answers.remove(&kind).unwrap_or_default() {
            is_answer = true;
            self.job.stack.clear_fault(number).await?;
        }
        match kind {
            Kind::ColumnNarrowed => return self.widen_when_settled().await,
            _ if is_answer => return Ok(()),
            _ if operator::does(kind) => return operator::end(&self.job, kind, self.window).await,
            _ => {}
        }
        match kind {
            Kind::BrokerStopped | Kind::BrokerKilled => self.job.broker()?.restart().await,
            Kind::EngineStopped | Kind::EngineKilled => self.job.restart_clickhouse().await,
            Kind::PublishKilled if self.job.stack.ended()?.is_some() => {
                self.job.restart_clickhouse().await
            }
            Kind::PublishKilled | Kind::TopicGrows => Ok(()),
            Kind::PublishFails => self.disk.take_back(Ask::PublishFails),
            Kind::DiskFull => self.disk.take_back(Ask::DiskFull),
            Kind::RecordsOld => {
                self.records.set_old(false);
                Ok(())
            }
            Kind::DeadLettersDeleted => letters::bring_back(&mut self.job).await,
            Kind::DeadLettersRefused => letters::take_again(&mut self.job).await,
            kind if kind.place() == Place::Records => {
                self.records.mark(Mark::Plain);
                match self.with_plugins.take() {
                    Some(name) => self.fleet.stop_by_name(&name),
                    None => Ok(()),
                }
            }
            _ => hosts::end(&mut self.fleet, &self.clocks, kind, self.concerned.take()).await,
        }
    }

    /// Widens the narrowed column again once no record is left that did not fit it.
    async fn widen_when_settled(&mut self) -> anyhow::Result<()> {
        self.records.mark(Mark::Plain);
        let ends = self.records.acknowledged();
        let deadline = Instant::now() + SETTLING;
        while !self.is_committed(&ends).unwrap_or(false) && Instant::now() < deadline {
            self.fleet.look().await?;
            sleep(Duration::from_millis(200)).await;
        }
        operator::widen(&self.job).await
    }

    /// Answers what hosts ask an operator, and restarts them with it.
    pub async fn answer(&mut self) -> anyhow::Result<()> {
        let answers = self.consulted.look(self.fleet.folder(), &self.job).await?;
        let Some(answers) = answers else { return Ok(()) };
        self.events.tell("an operator looked for rows, and restarts the hosts with the answers");
        self.fleet.set("DELIVERY_ANSWERS", &answers);
        self.fleet.restart_all()
    }

    /// Whether the group has committed up to these offsets.
    pub fn is_committed(&self, ends: &[i64]) -> anyhow::Result<bool> {
        Ok(self.behind(ends)? == 0)
    }

    /// How many partitions the group has not committed up to these offsets.
    pub fn behind(&self, ends: &[i64]) -> anyhow::Result<usize> {
        let partitions = i32::try_from(ends.len())?;
        // A broker that has just started may know no coordinator of the group.
        let committed = tokio::task::block_in_place(|| {
            sluicegate_tests::committed(self.job.kafka(), GROUP, TOPIC, partitions)
        })?;
        let there = committed.iter().zip(ends).filter(|(at, end)| at >= end).count();
        Ok(ends.len() - there)
    }

    /// Whether a host has met what is wrong. What is done to processes meets them by itself.
    async fn is_met(&mut self, kind: Kind) -> anyhow::Result<bool> {
        if let Some(number) = self.answers.get(&kind).and_then(|numbers| numbers.first()) {
            let faults = self.job.stack.faults().await?;
            return Ok(faults.iter().any(|fault| fault.id == *number && fault.hits > 0));
        }
        if let (Kind::RecordsTrap, Some(name)) = (kind, &self.with_plugins) {
            return Ok(self.fleet.has_said(name, TRAPPED));
        }
        let is_counted = operator::code(kind).is_some()
            || kind.place() == Place::Records
            || matches!(
                kind,
                Kind::PublishFails
                    | Kind::PublishKilled
                    | Kind::DiskFull
                    | Kind::TopicGrows
                    | Kind::TablesExchanged
            );
        let before = self.counts.get(&kind).copied().unwrap_or_default();
        Ok(!is_counted || self.count(kind).await? > before)
    }

    /// What grows when a kind strikes; 0 for those that need no such count.
    async fn count(&self, kind: Kind) -> anyhow::Result<u64> {
        if let Some(code) = operator::code(kind) {
            let raised = operator::raised(&self.job, code).await?;
            // Hosts that look at what views fill pause before ClickHouse refuses a row.
            let is_told = kind == Kind::ViewTargetDropped;
            let told = if is_told { self.fleet.lines_with(UNFILLED)? } else { 0 };
            return Ok(raised + told);
        }
        Ok(match kind {
            Kind::PublishFails | Kind::PublishKilled | Kind::DiskFull => self.disk.struck(),
            Kind::TopicGrows => self.records.partitions() as u64,
            Kind::TablesExchanged => self.exchanged,
            _ if kind.place() == Place::Records => self.records.odd() as u64,
            _ => 0,
        })
    }
}

/// Whether a kind stays begun until it is met.
fn is_held(kind: Kind) -> bool {
    matches!(kind.place(), Place::Answers | Place::Records)
}
