//! The path of a batch, from the source to its settling. This file is the map of the host: the
//! stages are functions of a batch, they meet here and nowhere else.
//!
//! Order within a batch: rows hooks, once; decode, arrow hooks and check; where there are faults, confirm that the plan
//! is still the table's; judge the brake; dead-letter and await the reports; insert; settle. The
//! commit follows in `run`. So a record is never in neither place, and nothing is dead-lettered
//! for a stale plan.

mod waits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admit::Admission;
use crate::blocking;
use crate::brake::{Brake, Judged};
use crate::budget::Lease;
use crate::check::check;
use crate::dead_letter::DeadLetters;
use crate::decode::{
    Bounds, MOST_RECORD_BYTES, RowBytes, decode_within, has_metadata, judge_text, metadata_bytes,
    with_metadata,
};
use crate::exactly_once::{self, PlannedBatch};
use crate::fates::{Fate, Fates};
use crate::hooks::{ArrowHooks, Hooks, Tally};
use crate::observe::count;
use crate::observe::cpu::CpuOf;
use crate::observe::rejections::RejectionLog;
use crate::observe::status::Status;
use crate::observe::unknown::UnknownNames;
use crate::outcome::Hold;
use crate::payloads::Payloads;
use crate::record::{Batch, Origin};
use crate::rejection::Rejection;
use crate::rows::{Checked, Rows};
use crate::schema::plan::TablePlan;
use crate::sink::{Left, Sink};
use crate::tables::{Known, Tables};
use crate::user_schema::UserSchema;
use waits::{At, Waits};

/// Longest pause of a batch that the brake holds for what ClickHouse refuses, while the table is as it was:
/// to find that out again takes an INSERT for each record.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The part of what batches may take that one record may: a quarter of MEMORY_BUDGET_BYTES.
const RECORD_SHARE: usize = 3;
/// How many times as long as such a try took it pauses.
const PAUSE_TRIES: u32 = 4;

/// The stages, wired for one table.
pub struct Pipeline {
    /// What is judged before a payload is read.
    pub admission: Admission,
    /// The plugins, if any.
    pub hooks: Hooks,
    /// The table and its plan, kept current.
    pub tables: Arc<Tables>,
    /// How much of the last records may be refused.
    pub brake: Arc<Brake>,
    /// The dead letter topic.
    pub dead_letters: DeadLetters,
    /// The INSERT.
    pub sink: Sink,
    /// Rejections in the log.
    pub log: RejectionLog,
    /// Fields that fill no column, by name.
    pub unknown: UnknownNames,
    /// What is waited for.
    pub status: Arc<Status>,
}

/// Why rows of a batch are not inserted.
enum NotInserted {
    /// The sink left them.
    Left(Left),
    /// So many records are refused that the brake holds them.
    Braked(Hold),
}

impl Pipeline {
    /// Takes a batch all the way, and says so in the log.
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

    /// Takes a batch all the way: when it returns, every record of it is settled.
    ///
    /// # Cancel safety
    /// Dropped, nothing of the batch is committed; what was inserted or dead-lettered so far
    /// happens again when the records are read again.
    pub async fn process(
        &self,
        batch: &Arc<Batch>,
        lease: &mut Lease,
        mut planned: Option<PlannedBatch>,
    ) -> Fates {
        let mut fates = Fates::new(batch.len());
        let mut judged = self.brake.batch();
        let mut waits = Waits::new(&self.status);
        let mut refused = self.admission.judge(batch, &mut fates);
        let hooked = self.hook(batch, &mut fates, &mut refused).await;
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
                    waits.plugins.hold(hold);
                    self.tables.wait_for_change(&known, Duration::ZERO).await;
                    continue;
                }
            };
            waits.plugins.release();
            self.measure(lease, batch, hooked.as_deref(), &checked, (records, of));
            let landed = fates.count(Fate::Landed);
            let settled = landed + fates.count(Fate::DeadLettered);
            judged.set_records((settled + open).saturating_sub(checked.dropped.len() as u64));
            let rejections = [refused.as_slice(), &checked.rejections].concat();
            if !rejections.is_empty() {
                if !self.tables.is_unchanged(&known).await {
                    continue;
                }
                if let Some(hold) = judged.judge(batch, &rejections, landed, Instant::now()) {
                    waits.brake(At::Decode, hold);
                    self.tables.wait_for_change(&known, Duration::ZERO).await;
                    continue;
                }
                waits.let_through(At::Decode, &judged);
                self.dead_letter(batch, &rejections, &mut fates).await;
                refused.clear();
            }
            waits.let_through(At::Decode, &judged);
            // Once a record, however often it is computed.
            if let Some((hooks, tally)) = tally.filter(|_| !is_tallied) {
                hooks.note(&tally);
                is_tallied = true;
            }
            fates.settle(checked.dropped.iter().copied(), Fate::Dropped);
            let hold = match self
                .insert(&known, batch, &checked, &mut planned, &mut fates, &mut judged)
                .await
            {
                Ok(()) => {
                    self.count(&known, &checked);
                    is_tallied = is_tallied && records == of;
                    None
                }
                Err(NotInserted::Braked(hold)) => {
                    waits.brake(At::Insert, hold);
                    let pause = match &planned {
                        None => tried.elapsed().saturating_mul(PAUSE_TRIES).min(LONGEST_PAUSE),
                        // It goes on with the record that was refused last.
                        Some(_) => Duration::ZERO,
                    };
                    self.tables.wait_for_change(&known, pause).await;
                    continue;
                }
                // They were let through, since others landed meanwhile.
                Err(NotInserted::Left(Left::TooManyRefused)) => None,
                Err(NotInserted::Left(Left::Held(hold))) => Some(hold),
                Err(NotInserted::Left(Left::SchemaChanged(text))) => {
                    self.tables.refresh_after(&known, text).await
                }
            };
            waits.let_through(At::Insert, &judged);
            match hold {
                Some(hold) => {
                    waits.insert.hold(hold);
                    self.tables.wait_for_change(&known, Duration::ZERO).await;
                }
                None => waits.insert.release(),
            }
        }
        judged.settle(Instant::now());
        fates
    }

    /// Takes the records through the plugins, once: what they put out is what every decode starts
    /// from. Without plugins that is what was read.
    async fn hook(
        &self,
        batch: &Arc<Batch>,
        fates: &mut Fates,
        refused: &mut Vec<Rejection>,
    ) -> Option<Arc<Payloads>> {
        let hooked = self.hooks.rows.as_ref()?.run(batch, pending(batch, fates, refused)).await;
        fates.settle(hooked.dropped, Fate::Dropped);
        refused.extend(hooked.rejections);
        refused.sort_by_key(|rejection| rejection.origin);
        Some(Arc::new(hooked.payloads))
    }

    /// The stages that are all computation, off the threads that serve the network. Of records whose columns
    /// would take more than there is room for, only the first are taken: the others come in another turn.
    ///
    /// # Errors
    /// A plugin on decoded rows that cannot go on; nothing has happened to any record.
    async fn compute(
        &self,
        known: &Arc<Known>,
        batch: &Arc<Batch>,
        hooked: Option<&Arc<Payloads>>,
        pending: Vec<Origin>,
        (lease, is_planned): (&mut Lease, bool),
    ) -> Result<Computed<'_>, Hold> {
        let fit = match &self.hooks.arrow {
            Some(hooks) => Some((hooks, hooks.fit(&known.plan).await?)),
            None => None,
        };
        let plan = Arc::clone(fit.as_ref().map_or(&known.plan, |(_, fit)| &fit.decode));
        let expected = hooked.map_or(pending.len(), |hooked| hooked.len());
        let row_bytes = RowBytes::of(&plan).fixed();
        let held = batch.held_bytes() + hooked.map_or(0, |hooked| hooked.held_bytes());
        let copies = 1 + self.sink.body_bytes(1);
        let room = lease.room(held, row_bytes, expected, copies);
        // A plan names the whole range.
        let room = if is_planned { usize::MAX } else { room };
        let of_record = (lease.max_bytes() / RECORD_SHARE).min(MOST_RECORD_BYTES);
        let (held, batch, hooked) = (Arc::clone(known), Arc::clone(batch), hooked.cloned());
        let (mut rows, violations, records, of) = blocking::run(move || {
            let payloads = || payloads(&batch, hooked.as_deref(), &pending);
            let (rows, rest) = decoded(&plan, &batch, payloads(), (room, of_record));
            let is_taken = |(origin, _): &(Origin, &[u8])| rest.is_none_or(|rest| *origin < rest);
            let schema = held.user_schema.as_ref();
            let judge = |schema: &UserSchema| {
                schema.violations(&held.plan, payloads().take_while(is_taken))
            };
            let violations = schema.map(|schema| CpuOf::UserSchema.run(|| judge(schema)));
            let records = rest.map_or(pending.len(), |rest| pending.partition_point(|o| *o < rest));
            (rows, violations.unwrap_or_default(), records, pending.len())
        })
        .await;
        let mut tally = None;
        if let Some((hooks, fit)) = fit {
            let (hooked, asked) = hooks.run(&fit, rows).await?;
            (rows, tally) = (hooked, Some((hooks, asked)));
        }
        let plan = Arc::clone(&known.plan);
        let check = move || check(&plan, rows, violations, judge_text);
        let checked = blocking::run(move || CpuOf::Check.run(check)).await;
        Ok(Computed { checked, tally, records, of })
    }

    /// Inserts the rows, and dead-letters those that the server refuses alone, if the brake lets them
    /// through.
    ///
    /// # Errors
    /// Why some are neither; nothing was done about those.
    async fn insert(
        &self,
        known: &Known,
        batch: &Batch,
        checked: &Checked,
        planned: &mut Option<PlannedBatch>,
        fates: &mut Fates,
        judged: &mut Judged,
    ) -> Result<(), NotInserted> {
        let (rows, origins) = (&checked.batch, checked.origins.as_slice());
        loop {
            let inserted = match planned {
                None => {
                    let allowance = judged.allowance(Instant::now());
                    self.sink.insert(&known.table, rows, origins, allowance).await
                }
                Some(planned) => {
                    let rows = exactly_once::Rows { batch, rows, origins };
                    planned.insert(&self.sink, &self.tables, known, &rows).await
                }
            };
            fates.settle(inserted.landed, Fate::Landed);
            for (origins, view) in &inserted.without_view {
                self.log.note_without_view(batch, origins, view);
            }
            let landed = fates.count(Fate::Landed);
            if let Some(hold) = judged.judge(batch, &inserted.refused, landed, Instant::now()) {
                planned.iter_mut().for_each(PlannedBatch::keep_refused);
                return Err(NotInserted::Braked(hold));
            }
            self.dead_letter(batch, &inserted.refused, fates).await;
            if let Some(left) = inserted.left {
                return Err(NotInserted::Left(left));
            }
            if !planned.as_ref().is_some_and(PlannedBatch::has_more) {
                return Ok(());
            }
        }
    }

    /// Counts what was put in the place of values, and the fields that nobody wants.
    fn count(&self, known: &Known, checked: &Checked) {
        for (at, values) in &checked.defaulted {
            if let Some(column) = known.plan.columns.get(*at) {
                count::defaulted(&column.name, *values);
            }
        }
        let mut replaced = checked.noticed.replaced.clone();
        replaced.sort_unstable();
        for values in replaced.chunk_by(|a, b| a == b) {
            let column = values.first().and_then(|at| known.plan.columns.get(*at));
            if let Some(column) = column {
                count::replaced(&column.name, values.len() as u64);
            }
        }
        self.unknown.count(&checked.noticed);
    }

    /// Measures what a batch takes in memory: its records, what plugins made of them, its columns, and the body
    /// of the INSERT. The columns are of so many of its records.
    fn measure(
        &self,
        lease: &mut Lease,
        batch: &Batch,
        hooked: Option<&Payloads>,
        checked: &Checked,
        (records, of): (usize, usize),
    ) {
        let held = batch.held_bytes() + hooked.map_or(0, Payloads::held_bytes);
        let columns = checked.batch.get_array_memory_size();
        let columns = columns + self.sink.body_bytes(columns);
        lease.measure(held + columns, held + columns.saturating_mul(of) / records.max(1));
    }

    async fn dead_letter(&self, batch: &Batch, rejections: &[Rejection], fates: &mut Fates) {
        if rejections.is_empty() {
            return;
        }
        CpuOf::DeadLetters.run_async(self.dead_letters.send(batch, rejections)).await;
        self.log.note(batch, rejections);
        count::rejected(rejections);
        fates.settle(rejections.iter().map(|rejection| rejection.origin), Fate::DeadLettered);
    }
}

/// Rows that may be inserted, of the first records of those that wait.
struct Computed<'a> {
    checked: Checked,
    /// What the plugins on decoded rows are to be told, if there are any.
    tally: Option<(&'a ArrowHooks, Tally)>,
    /// Of how many records.
    records: usize,
    /// Of so many that wait.
    of: usize,
}

/// Payloads of a batch as columns, and with which record to go on where these are as large as they may be.
fn decoded<'a>(
    plan: &TablePlan,
    batch: &Batch,
    payloads: impl Iterator<Item = (Origin, &'a [u8])>,
    (batch_bytes, record_bytes): (usize, usize),
) -> (Rows, Option<Origin>) {
    let started = Instant::now();
    let has_metadata = has_metadata(plan);
    let beside = |origin| if has_metadata { metadata_bytes(plan, batch, origin) } else { 0 };
    let bounds = Bounds { batch_bytes, record_bytes, beside: &beside };
    let decoded = CpuOf::Decode.run(|| {
        let (rows, rest) = decode_within(plan, payloads, &bounds);
        (with_metadata(plan, batch, rows), rest)
    });
    count::decoded(started.elapsed());
    decoded
}

/// The records that wait for their fate and are not refused, ascending.
fn pending(batch: &Batch, fates: &Fates, refused: &[Rejection]) -> Vec<Origin> {
    let is_refused = |origin| refused.binary_search_by_key(&origin, |r| r.origin).is_ok();
    (0..batch.len()).filter(|o| fates.is_pending(*o) && !is_refused(*o)).collect()
}

/// What decode reads of these records: their own payloads, or what hooks put in their place.
fn payloads<'a>(
    batch: &'a Batch,
    hooked: Option<&'a Payloads>,
    pending: &'a [Origin],
) -> Box<dyn Iterator<Item = (Origin, &'a [u8])> + 'a> {
    let Some(hooked) = hooked else {
        let payload = |origin: &Origin| Some((*origin, batch.payload(*origin)?));
        return Box::new(pending.iter().filter_map(payload));
    };
    let is_pending = |origin: &Origin| pending.binary_search(origin).is_ok();
    Box::new(hooked.iter(batch).filter(move |(origin, _)| is_pending(origin)))
}
