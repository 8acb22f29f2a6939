//! The path of a batch, from the source to its settling. This file is the map of the host: the
//! stages are functions of a batch, they meet here and nowhere else.
//!
//! Order within a batch: rows hooks, once; decode, arrow hooks and check; where there are faults, confirm that the plan
//! is still the table's; judge the brake; dead-letter and await the reports; insert; settle. The
//! commit follows in `run`. So a record is never in neither place, and nothing is dead-lettered
//! for a stale plan.

use std::sync::Arc;
use std::time::Instant;

use crate::admit::Admission;
use crate::blocking;
use crate::brake::Brake;
use crate::budget::Lease;
use crate::check::check;
use crate::dead_letter::DeadLetters;
use crate::decode::{decode, judge_text, with_metadata};
use crate::exactly_once::{self, PlannedBatch};
use crate::fates::{Fate, Fates};
use crate::hooks::{ArrowHooks, Hooks, Tally};
use crate::observe::count;
use crate::observe::cpu::CpuOf;
use crate::observe::rejections::RejectionLog;
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

/// The stages, wired for one table.
pub struct Pipeline {
    /// What is judged before a payload is read.
    pub admission: Admission,
    /// The plugins, if any.
    pub hooks: Hooks,
    /// The table and its plan, kept current.
    pub tables: Arc<Tables>,
    /// How much of a batch may be refused.
    pub brake: Brake,
    /// The dead letter topic.
    pub dead_letters: DeadLetters,
    /// The INSERT.
    pub sink: Sink,
    /// Rejections in the log.
    pub log: RejectionLog,
    /// Fields that fill no column, by name.
    pub unknown: UnknownNames,
}

impl Pipeline {
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
        let mut refused = self.admission.judge(batch, &mut fates);
        let hooked = self.hook(batch, &mut fates, &mut refused).await;
        let mut is_tallied = false;
        while !fates.is_settled() {
            let known = self.tables.current().await;
            let pending = pending(batch, &fates, &refused);
            let computed = self.compute(&known, batch, hooked.as_ref(), pending).await;
            let (checked, tally) = match computed {
                Ok(computed) => computed,
                Err(hold) => {
                    self.tables.wait_for_change(&known, hold).await;
                    continue;
                }
            };
            lease.measure(self.working_bytes(batch, hooked.as_deref(), &checked));
            let rejections = [refused.as_slice(), &checked.rejections].concat();
            if !rejections.is_empty() {
                if !self.tables.is_unchanged(&known).await {
                    continue;
                }
                if let Some(hold) = self.brake.judge(&fates, rejections.len()) {
                    self.tables.wait_for_change(&known, hold).await;
                    continue;
                }
                self.dead_letter(batch, &rejections, &mut fates).await;
                refused.clear();
            }
            // Once a batch, however often it is computed.
            if let Some((hooks, tally)) = tally.filter(|_| !is_tallied) {
                hooks.note(&tally);
                is_tallied = true;
            }
            fates.settle(checked.dropped.iter().copied(), Fate::Dropped);
            match self.insert(&known, batch, &checked, &mut planned, &mut fates).await {
                None => self.count(&known, &checked),
                Some(Left::SchemaChanged(text)) => self.tables.refresh_after(&known, text).await,
                Some(Left::TooManyRefused(text)) => {
                    self.tables.wait_for_change(&known, self.brake.hold(&text)).await;
                }
                Some(Left::TooLarge(hold)) => self.tables.wait_for_change(&known, hold).await,
            }
        }
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

    /// The stages that are all computation, off the threads that serve the network; and what the
    /// plugins on decoded rows are to be told of the batch, if there are any.
    ///
    /// # Errors
    /// A plugin on decoded rows that cannot go on; nothing has happened to any record.
    async fn compute(
        &self,
        known: &Arc<Known>,
        batch: &Arc<Batch>,
        hooked: Option<&Arc<Payloads>>,
        pending: Vec<Origin>,
    ) -> Result<(Checked, Option<(&ArrowHooks, Tally)>), Hold> {
        let fit = match &self.hooks.arrow {
            Some(hooks) => Some((hooks, hooks.fit(&known.plan).await?)),
            None => None,
        };
        let plan = Arc::clone(fit.as_ref().map_or(&known.plan, |(_, fit)| &fit.decode));
        let (held, batch, hooked) = (Arc::clone(known), Arc::clone(batch), hooked.cloned());
        let (mut rows, violations) = blocking::run(move || {
            let payloads = || payloads(&batch, hooked.as_deref(), &pending);
            let schema = held.user_schema.as_ref();
            let judge = |schema: &UserSchema| schema.violations(&held.plan, payloads());
            let violations = schema.map(|schema| CpuOf::UserSchema.run(|| judge(schema)));
            (decoded(&plan, &batch, payloads()), violations.unwrap_or_default())
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
        Ok((checked, tally))
    }

    /// Inserts the rows, and dead-letters those that the server refuses alone.
    async fn insert(
        &self,
        known: &Known,
        batch: &Batch,
        checked: &Checked,
        planned: &mut Option<PlannedBatch>,
        fates: &mut Fates,
    ) -> Option<Left> {
        let (rows, origins) = (&checked.batch, checked.origins.as_slice());
        loop {
            let allowance = self.brake.allowance(fates);
            let inserted = match planned {
                None => self.sink.insert(&known.table, rows, origins, allowance).await,
                Some(planned) => {
                    let rows = exactly_once::Rows { batch, rows, origins };
                    planned.insert(&self.sink, &self.tables, known, &rows, allowance).await
                }
            };
            fates.settle(inserted.landed, Fate::Landed);
            for (origins, view) in &inserted.without_view {
                self.log.note_without_view(batch, origins, view);
            }
            self.dead_letter(batch, &inserted.refused, fates).await;
            let has_more = planned.as_ref().is_some_and(PlannedBatch::has_more);
            if inserted.left.is_some() || !has_more {
                return inserted.left;
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

    /// What a batch takes in memory: its records, what plugins made of them, its columns, and the body
    /// of the INSERT.
    fn working_bytes(&self, batch: &Batch, hooked: Option<&Payloads>, checked: &Checked) -> usize {
        let written = hooked.map_or(0, Payloads::written_bytes);
        let columns = checked.batch.get_array_memory_size();
        batch.held_bytes() + written + columns + self.sink.body_bytes(columns)
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

/// Payloads of a batch as columns.
fn decoded<'a>(
    plan: &TablePlan,
    batch: &Batch,
    payloads: impl Iterator<Item = (Origin, &'a [u8])>,
) -> Rows {
    let started = Instant::now();
    let rows = CpuOf::Decode.run(|| with_metadata(plan, batch, decode(plan, payloads)));
    count::decoded(started.elapsed());
    rows
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
