//! The path of a batch, from the source until it is settled. This file is the map of the host: the stages are
//! functions of a batch, and they meet only here.
//!
//! Order within a batch: rows hooks, once; decode, arrow hooks and check; on faults, confirm that the table still
//! matches the plan; judge the brake; dead-letter and insert concurrently, or in turn under exactly-once delivery;
//! await both results; settle. The commit follows in `run`. So a record is always in at least one place, and nothing
//! is dead-lettered for a stale plan.

mod compute;
mod waits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::base::blocking::run_blocking;
use crate::clickhouse::target::{TableAndPlan, Tables};
use crate::dead_letter::DeadLetters;
use crate::decode::split::split;
use crate::flow::hold::Hold;
use crate::flow::parts::Split;
use crate::flow::payloads::Payloads;
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::Rejection;
use crate::flow::rows::Checked;
use crate::flow::settlement::{Fate, Fates};
use crate::limits::admission::Admission;
use crate::limits::brake::{Brake, JudgedBatch};
use crate::limits::budget::Lease;
use crate::observe::count;
use crate::observe::cpu::CpuOf;
use crate::observe::envelopes::Envelopes;
use crate::observe::rejections::RejectionLog;
use crate::observe::status::{Sign, Status, letters_begun, letters_written};
use crate::observe::unknown_fields::UnknownNames;
use crate::observe::unreached::Unreached;
use crate::plugins::hooks::Hooks;
use crate::sink::exactly_once::{self, PlannedBatch};
use crate::sink::{RowsLeft, Sink};
use compute::{Computed, sample};
use waits::{BatchWaits, HeldAt};

/// Longest pause of a batch that the brake holds for rows that ClickHouse rejects, while the table is unchanged: each
/// new try takes an INSERT for each record.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The pause as a multiple of the time that such a try took.
const PAUSE_TRIES: u32 = 4;

/// The stages, wired for one table.
pub struct Pipeline {
    /// The checks made before a payload is read.
    pub admission: Admission,
    /// How a payload holds records.
    pub split: Split,
    /// The plugins, if any.
    pub hooks: Hooks,
    /// The table and its plan, kept current.
    pub tables: Arc<Tables>,
    /// The limit on rejections among the last records.
    pub brake: Arc<Brake>,
    /// The dead letter topic.
    pub dead_letters: DeadLetters,
    /// The INSERT.
    pub sink: Sink,
    /// Rejections in the log.
    pub log: RejectionLog,
    /// Fields that fill no column, by name.
    pub unknown: UnknownNames,
    /// Columns that COLUMN_FROM does not reach.
    pub unreached: Unreached,
    /// Columns whose fields are nested in an object.
    pub envelopes: Envelopes,
    /// The current waits.
    pub status: Arc<Status>,
}

/// The path of rejections: the brake, and then their letters.
struct Gate<'a> {
    judged: &'a mut JudgedBatch,
    /// Takes rejections while rows land; `None` under exactly-once delivery, which settles in turn.
    letters: Option<UnboundedSender<Vec<Rejection>>>,
}

/// Why rows of a batch were not inserted.
enum NotInserted {
    /// The sink did not insert them.
    Left(RowsLeft),
    /// The brake holds them, because too many records are rejected.
    Braked(Hold),
}

impl Pipeline {
    /// Processes a batch to the end, and logs the result.
    ///
    /// # Cancel safety
    /// As [`Self::process`].
    pub async fn take(
        &self,
        batch: &Arc<Batch>,
        lease: &mut Lease,
        planned: Option<PlannedBatch>,
    ) -> Fates {
        let started = Instant::now();
        let fates = self.process(batch, lease, planned).await;
        tracing::info!(
            records = batch.len(),
            bytes = batch.size_bytes(),
            landed = fates.count(Fate::Landed),
            dead_lettered = fates.count(Fate::DeadLettered),
            skipped = fates.count(Fate::Skipped),
            dropped = fates.count(Fate::Dropped),
            ms = started.elapsed().as_millis(),
            "batch settled"
        );
        fates
    }

    /// Processes a batch until every record of it is settled. A waiting letter delays no row of its batch, except
    /// under exactly-once delivery.
    ///
    /// # Cancel safety
    /// If dropped, nothing of the batch is committed. What was inserted or dead-lettered so far happens again when
    /// the records are read again.
    pub async fn process(
        &self,
        batch: &Arc<Batch>,
        lease: &mut Lease,
        planned: Option<PlannedBatch>,
    ) -> Fates {
        let mut judged = self.brake.batch();
        let (letters, rejected) = unbounded_channel();
        let letters = planned.is_none().then_some(letters);
        let gate = Gate { judged: &mut judged, letters };
        let (fates, ()) =
            tokio::join!(self.land(batch, lease, planned, gate), self.write_all(batch, rejected),);
        judged.settle(Instant::now());
        fates
    }

    /// Processes every record of a batch until it landed, was dropped or skipped, or was handed over for its letter.
    async fn land(
        &self,
        batch: &Arc<Batch>,
        lease: &mut Lease,
        mut planned: Option<PlannedBatch>,
        mut gate: Gate<'_>,
    ) -> Fates {
        let mut fates = Fates::new(batch.len());
        let mut waits = BatchWaits::new(&self.status);
        let mut refused = self.admission.judge(batch, &mut fates);
        let hooked = self.hook(batch, lease, &mut fates, &mut refused).await;
        let mut is_tallied = false;
        while !fates.is_settled() {
            let known = self.tables.current().await;
            let pending = pending(batch, &fates, &refused);
            let (tried, open) = (Instant::now(), (pending.len() + refused.len()) as u64);
            let computed = self
                .compute(&known, batch, hooked.as_ref(), pending, (lease, planned.is_some()))
                .await;
            let Computed { checked, tally, records, of } = match computed {
                Ok(computed) => computed,
                Err(hold) => {
                    let at = (HeldAt::Plugins, hold);
                    self.wait(&mut waits, at, gate.judged, &known, Duration::ZERO).await;
                    continue;
                }
            };
            waits.let_through(HeldAt::Plugins, gate.judged);
            self.measure(lease, batch, hooked.as_deref(), &checked, (records, of));
            let landed = fates.count(Fate::Landed);
            let settled = landed + fates.count(Fate::DeadLettered);
            gate.judged.set_records((settled + open).saturating_sub(checked.dropped.len() as u64));
            let rejections = [refused.as_slice(), &checked.rejections].concat();
            if !rejections.is_empty() {
                if !self.tables.is_unchanged(&known).await {
                    continue;
                }
                if let Some(hold) = gate.judged.judge(batch, &rejections, landed, Instant::now()) {
                    let at = (HeldAt::Decode, hold);
                    self.wait(&mut waits, at, gate.judged, &known, Duration::ZERO).await;
                    continue;
                }
            }
            waits.let_through(HeldAt::Decode, gate.judged);
            self.dead_letter(batch, rejections, &mut fates, &gate).await;
            refused.clear();
            // Counts once for each record, however often it is computed.
            if let Some((hooks, tally)) = tally.filter(|_| !is_tallied) {
                hooks.note(&tally);
                is_tallied = true;
            }
            fates.settle(checked.dropped.iter().copied(), Fate::Dropped);
            // Boxed, because it is moved.
            let insert =
                Box::pin(self.insert(&known, batch, &checked, &mut planned, &mut fates, &mut gate));
            let hold = match waits.during(insert).await {
                Ok(()) => {
                    self.count(&known, &checked, sample(batch, hooked.as_deref(), &checked));
                    is_tallied = is_tallied && records == of;
                    None
                }
                Err(NotInserted::Braked(hold)) => {
                    let pause = match &planned {
                        None => tried.elapsed().saturating_mul(PAUSE_TRIES).min(LONGEST_PAUSE),
                        // It continues with the record that was rejected last.
                        Some(_) => Duration::ZERO,
                    };
                    self.wait(&mut waits, (HeldAt::Refused, hold), gate.judged, &known, pause)
                        .await;
                    continue;
                }
                // They were let through, because others landed meanwhile.
                Err(NotInserted::Left(RowsLeft::TooManyRefused)) => None,
                Err(NotInserted::Left(RowsLeft::Held(hold))) => Some((Sign::Landed, hold)),
                Err(NotInserted::Left(RowsLeft::SchemaChanged(text))) => {
                    let hold = self.tables.refresh_after(&known, text).await;
                    hold.map(|hold| (Sign::LandedOrRefused, hold))
                }
            };
            waits.let_through(HeldAt::Refused, gate.judged);
            match hold {
                Some((sign, hold)) => {
                    let at = (HeldAt::Insert(sign), hold);
                    self.wait(&mut waits, at, gate.judged, &known, Duration::ZERO).await;
                }
                None => waits.inserted(),
            }
        }
        // The columns are dropped; letters may wait long.
        lease.lower(batch.held_bytes() - batch.reserved_bytes());
        fates
    }

    /// Holds the batch until the next look at the table.
    async fn wait(
        &self,
        waits: &mut BatchWaits,
        (at, hold): (HeldAt, Hold),
        judged: &JudgedBatch,
        known: &TableAndPlan,
        at_most: Duration,
    ) {
        let is_paused = matches!(hold, Hold::Paused(_));
        waits.hold(at, hold, judged);
        self.tables.wait_for_change(known, at_most, is_paused).await;
    }

    /// Splits the records and runs the rows hooks, once. Every decode starts from the result; `None` means the
    /// records as they were read.
    async fn hook(
        &self,
        batch: &Arc<Batch>,
        lease: &Lease,
        fates: &mut Fates,
        refused: &mut Vec<Rejection>,
    ) -> Option<Arc<Payloads>> {
        let mut payloads = None;
        if self.split != Split::None {
            let (batch, pending) = (Arc::clone(batch), pending(batch, fates, refused));
            let (how, most) = (self.split, lease.most_record_bytes());
            let parts = move || CpuOf::Decode.run(|| split(&batch, how, &pending, most));
            let parts = run_blocking(parts).await;
            fates.settle(parts.dropped, Fate::Skipped);
            refuse(refused, parts.rejections);
            payloads = Some(parts.payloads);
        }
        if let Some(hooks) = &self.hooks.rows {
            let pending = pending(batch, fates, refused);
            let from = payloads.unwrap_or_else(|| Payloads::of_records(pending));
            let hooked = hooks.run(batch, from).await;
            fates.settle(hooked.dropped, Fate::Dropped);
            refuse(refused, hooked.rejections);
            payloads = Some(hooked.payloads);
        }
        payloads.map(Arc::new)
    }

    /// Inserts the rows. Dead-letters those that the server rejects individually, if the brake lets them through.
    ///
    /// # Errors
    /// Why some rows were neither inserted nor dead-lettered; nothing was done about those.
    async fn insert(
        &self,
        known: &TableAndPlan,
        batch: &Batch,
        checked: &Checked,
        planned: &mut Option<PlannedBatch>,
        fates: &mut Fates,
        gate: &mut Gate<'_>,
    ) -> Result<(), NotInserted> {
        let (rows, origins) = (&checked.batch, checked.origins.as_slice());
        loop {
            let inserted = match planned {
                None => {
                    let allowance = gate.judged.allowance(Instant::now());
                    self.sink.insert(&known.table, rows, origins, allowance).await
                }
                Some(planned) => {
                    let rows = exactly_once::PlannedRows { batch, rows, origins };
                    planned.insert(&self.sink, &self.tables, known, &rows).await
                }
            };
            fates.settle(inserted.landed, Fate::Landed);
            for (origins, view) in &inserted.without_view {
                self.log.note_without_view(batch, origins, view);
            }
            let landed = fates.count(Fate::Landed);
            if let Some(hold) = gate.judged.judge(batch, &inserted.refused, landed, Instant::now())
            {
                planned.iter_mut().for_each(PlannedBatch::keep_refused);
                return Err(NotInserted::Braked(hold));
            }
            self.dead_letter(batch, inserted.refused, fates, gate).await;
            if let Some(left) = inserted.left {
                return Err(NotInserted::Left(left));
            }
            if !planned.as_ref().is_some_and(PlannedBatch::has_more) {
                return Ok(());
            }
        }
    }

    /// Counts replaced values and unknown fields. `sample` is one of the records.
    fn count(&self, known: &TableAndPlan, checked: &Checked, sample: Option<&[u8]>) {
        for (at, values) in &checked.defaulted {
            if let Some(column) = known.plan.columns.get(*at) {
                count::defaulted(&column.name, *values);
            }
        }
        let by_column = |values: &mut dyn Iterator<Item = (usize, u64)>, count: fn(&str, u64)| {
            let mut sums = BTreeMap::<usize, u64>::new();
            values.for_each(|(at, values)| *sums.entry(at).or_default() += values);
            for (at, values) in sums {
                if let Some(column) = known.plan.columns.get(at) {
                    count(&column.name, values);
                }
            }
        };
        by_column(&mut checked.noticed.replaced.iter().map(|at| (*at, 1)), count::replaced);
        let cut = checked.noticed.cut.iter();
        by_column(&mut cut.map(|(at, _, values)| (*at, *values)), count::cut);
        count::unfilled(checked.noticed.unfilled);
        self.unreached.count(&checked.noticed, &known.plan);
        self.unknown.count(&checked.noticed);
        // Plugins on decoded rows may fill the columns.
        let sample = sample.filter(|_| self.hooks.arrow.is_none());
        self.envelopes.look(&checked.noticed, &known.plan, sample);
    }

    /// Measures the memory of a batch: its records, what plugins made of them, its columns, and the body of the
    /// INSERT. The columns hold only some of the records.
    fn measure(
        &self,
        lease: &mut Lease,
        batch: &Batch,
        hooked: Option<&Payloads>,
        checked: &Checked,
        (records, of): (usize, usize),
    ) {
        let held = batch.held_bytes() + hooked.map_or(0, |hooked| hooked.held_beside(batch));
        let columns = checked.batch.get_array_memory_size();
        let columns = columns + self.sink.body_bytes(columns);
        lease.measure(held + columns, held + columns.saturating_mul(of) / records.max(1));
    }

    /// Hands the rejections over, or writes their letters. A record is settled once all letters are.
    async fn dead_letter(
        &self,
        batch: &Batch,
        rejections: Vec<Rejection>,
        fates: &mut Fates,
        gate: &Gate<'_>,
    ) {
        if rejections.is_empty() {
            return;
        }
        fates.settle(rejections.iter().map(|rejection| rejection.origin), Fate::DeadLettered);
        match &gate.letters {
            // The receiver ends after this sender.
            Some(letters) => {
                letters_begun(rejections.len());
                drop(letters.send(rejections));
            }
            None => self.write(batch, &rejections).await,
        }
    }

    /// Writes the letters that are handed over until the channel closes.
    async fn write_all(&self, batch: &Batch, mut rejected: UnboundedReceiver<Vec<Rejection>>) {
        while let Some(rejections) = rejected.recv().await {
            self.write(batch, &rejections).await;
            letters_written(rejections.len());
        }
    }

    async fn write(&self, batch: &Batch, rejections: &[Rejection]) {
        CpuOf::DeadLetters.run_async(self.dead_letters.send(batch, rejections)).await;
        self.log.note(batch, rejections);
        count::rejected(rejections);
    }
}

/// Adds rejections, and sorts them by ascending origin.
fn refuse(refused: &mut Vec<Rejection>, more: Vec<Rejection>) {
    refused.extend(more);
    refused.sort_by_key(|rejection| rejection.origin);
}

/// The records that are neither settled nor rejected, ascending.
fn pending(batch: &Batch, fates: &Fates, refused: &[Rejection]) -> Vec<Origin> {
    let is_refused = |origin| refused.binary_search_by_key(&origin, |r| r.origin).is_ok();
    (0..batch.len()).filter(|o| fates.is_pending(*o) && !is_refused(*o)).collect()
}
