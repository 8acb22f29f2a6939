//! The arrow stage: plugins on the columns of decoded rows, one after the other.

mod exchange;
mod fit;
mod given;
mod messages;
mod size;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, FieldRef};

pub use fit::Fit;

use super::bindings::{ArrowPlugin, arrow};
use super::failure::CallFailure;
use super::instance::Instance;
use super::isolate::{self, RefusedRow, Work};
use super::plugin::Plugin;
use super::until_given_up;
use crate::flow::hold::Hold;
use crate::flow::record::Origin;
use crate::flow::rejection::{Rejection, Stage};
use crate::flow::rows::Rows;
use crate::observe::cpu::CpuOf;
use crate::schema::plan::TablePlan;
use fit::{FittedPlugin, ToldTable};
use given::Given;

/// The batch of an answer that gives these columns, for the fuzz target. Arrow's reader may panic.
///
/// # Errors
/// What breaks the contract.
#[doc(hidden)]
pub fn batch_of_answer(gives: &[FieldRef], stream: Vec<u8>) -> Result<RecordBatch, String> {
    exchange::only_batch(gives, stream)
}

/// Most rows of one call: the head of a stream costs the same for any number of rows.
const CALL_ROWS: usize = 16_000;
/// Most bytes of columns of one call, unless a single row has more.
const CALL_BYTES: usize = 4 * 1024 * 1024;

/// For each plugin, how many rows of a batch it was given and how many it failed on.
pub struct Tally(Vec<(usize, usize)>);

/// The plugins on decoded rows, in their order.
pub struct ArrowHooks {
    plugins: Arc<[Plugin<ArrowPlugin>]>,
    /// The fit for the last seen state of the table.
    fit: Mutex<Option<Arc<Fit>>>,
    /// Most bytes of a row in columns without text, with the fields that plugins planned.
    most_row_bytes: usize,
}

impl ArrowHooks {
    /// A stage of these plugins; `None` if there are none.
    pub(super) fn new(plugins: Vec<Plugin<ArrowPlugin>>, most_row_bytes: usize) -> Option<Self> {
        let fit = Mutex::default();
        (!plugins.is_empty()).then(|| Self { plugins: plugins.into(), fit, most_row_bytes })
    }

    /// The titles of the plugins in logs and dead letters, in their order.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        self.plugins.iter().map(|plugin| &*plugin.title)
    }

    /// The most memory that an idle instance holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.plugins.iter().map(Plugin::memory_bytes).max().unwrap_or_default()
    }

    /// Fits the plugins to a table, asking each of them once for a state of the table.
    ///
    /// # Errors
    /// A plugin refuses the table, fails, or asks for something missing: an operator must fix it.
    pub async fn fit(&self, table: &Arc<TablePlan>) -> Result<Arc<Fit>, Hold> {
        let known = self.known();
        if let Some(fit) = known.filter(|fit| fit.fingerprint() == table.fingerprint()) {
            return Ok(fit);
        }
        let (plugins, table) = (Arc::clone(&self.plugins), Arc::clone(table));
        let most_row_bytes = self.most_row_bytes;
        let fit = crate::base::blocking::run_blocking(move || {
            let told = ToldTable::new(&table)?;
            let plans = plugins.iter().map(|plugin| Ok((&plugin.title, ask(plugin, &told)?)));
            let plans = plans.collect::<Result<Vec<_>, Hold>>()?;
            Fit::new(&table, told, plans.into_iter(), most_row_bytes)
        });
        let fit = Arc::new(fit.await?);
        *self.fit.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&fit));
        Ok(fit)
    }

    fn known(&self) -> Option<Arc<Fit>> {
        self.fit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs decoded rows through every plugin and returns rows with the table's columns. The caller
    /// passes the tally to [`Self::note`] once for a batch.
    ///
    /// # Errors
    /// A plugin's breaker is open, or no instance of it can be made; nothing is settled then.
    ///
    /// # Cancel safety
    /// If dropped, nothing has happened to any record.
    pub async fn run(&self, fit: &Arc<Fit>, rows: Rows) -> Result<(Rows, Tally), Hold> {
        let (plugins, fit) = (Arc::clone(&self.plugins), Arc::clone(fit));
        let work = move |is_given_up: &_| chain(&plugins, &fit, rows, is_given_up);
        until_given_up(CpuOf::ArrowHooks, work).await
    }

    /// Counts a batch for each plugin's breaker, once it needs no further run.
    pub fn note(&self, tally: &Tally) {
        for (plugin, (asked, failed)) in self.plugins.iter().zip(&tally.0) {
            plugin.breaker.note(*asked, *failed);
        }
    }
}

/// Asks a plugin for its plan for a table.
fn ask(plugin: &Plugin<ArrowPlugin>, told: &ToldTable) -> Result<arrow::Planned, Hold> {
    let mut instance = plugin.unused_instance()?;
    let plan = plan(plugin, &mut instance, told).map_err(|failure| {
        let (title, kind) = (&plugin.title, failure.kind.code());
        // It says which part of the table it cannot work on, and has seen no record yet.
        Hold::Paused(format!("plugin `{title}` takes no such table ({kind}): {}", failure.text))
    })?;
    plugin.give_back(instance);
    Ok(plan)
}

fn plan(
    plugin: &Plugin<ArrowPlugin>,
    instance: &mut Instance<ArrowPlugin>,
    told: &ToldTable,
) -> Result<arrow::Planned, CallFailure> {
    let plan = instance.call(plugin.bounds.timeout, told.schema.len(), |plugin, store| {
        plugin.sluicegate_plugin_arrow().call_plan(store, &told.columns, &told.schema)
    })?;
    instance.set_planned_for(&told.fingerprint);
    Ok(plan)
}

fn chain(
    plugins: &[Plugin<ArrowPlugin>],
    fit: &Fit,
    mut rows: Rows,
    is_given_up: &AtomicBool,
) -> Result<(Rows, Tally), Hold> {
    let mut tally = Tally(Vec::with_capacity(plugins.len()));
    for (plugin, step) in plugins.iter().zip(&fit.steps) {
        let mut work = Columns::new(plugin, fit, step, &rows)?;
        let verdict = isolate::run_isolated(plugin, &mut work, Stage::ArrowHook, is_given_up)?;
        let given = work.given;
        tally.0.push((verdict.rows, verdict.failed));
        rows = onward(rows, step, given, verdict.rejections)
            .map_err(|error| bug(&plugin.title, &error))?;
    }
    let last = plugins.last().map_or("", |plugin| &*plugin.title);
    let batch = rows.batch.project(&fit.of_the_table()).map_err(|error| bug(last, &error))?;
    Ok((Rows { batch, written: fit.written.clone(), ..rows }, tally))
}

/// Columns and plan are derived from each other, so this is a bug of the host.
fn bug(title: &str, error: &ArrowError) -> Hold {
    Hold::Paused(format!("the columns at plugin `{title}` do not fit together: {error}"))
}

/// The rows after a plugin: the columns it gave, and the untouched columns of the rows that remain. A
/// record's rows share one fate, so those of a refused record are removed.
fn onward(
    rows: Rows,
    step: &FittedPlugin,
    given: Given,
    refused: Vec<Rejection>,
) -> Result<Rows, ArrowError> {
    let Rows { batch, origins, absent, mut rejections, mut dropped, written, noticed } = rows;
    let is_out: HashSet<Origin> = refused.iter().map(|rejection| rejection.origin).collect();
    let onward = given.join(&batch, &step.writes, &origins, &is_out)?;
    let mut left = onward.origins.iter().peekable();
    let mut before = origins;
    before.dedup();
    for origin in before {
        let goes_on = left.peek() == Some(&&origin);
        while left.next_if_eq(&&origin).is_some() {}
        if !goes_on && !is_out.contains(&origin) {
            dropped.push(origin);
        }
    }
    rejections.extend(refused);
    let absent = if absent.is_empty() { absent } else { onward.absent(absent) };
    let (batch, origins) = (onward.batch, onward.origins);
    Ok(Rows { batch, origins, absent, rejections, dropped, written, noticed })
}

/// One plugin's work on decoded rows.
struct Columns<'a> {
    plugin: &'a Plugin<ArrowPlugin>,
    fit: &'a Fit,
    step: &'a FittedPlugin,
    origins: &'a [Origin],
    /// What the plugin reads.
    batch: RecordBatch,
    /// The columns that it does not write; they repeat when a row is repeated.
    untouched: RecordBatch,
    batch_bytes: usize,
    given: Given,
}

impl<'a> Columns<'a> {
    fn new(
        plugin: &'a Plugin<ArrowPlugin>,
        fit: &'a Fit,
        step: &'a FittedPlugin,
        rows: &'a Rows,
    ) -> Result<Self, Hold> {
        let batch = exchange::with_rows(step, &rows.batch);
        let is_untouched = |at: &usize| !step.writes.contains(at);
        let untouched: Vec<usize> = (0..rows.batch.num_columns()).filter(is_untouched).collect();
        let untouched = rows.batch.project(&untouched);
        let parts = batch.and_then(|batch| Ok((batch, untouched?)));
        let (batch, untouched) = parts.map_err(|error| bug(&plugin.title, &error))?;
        let batch_bytes = size::of_rows(&rows.batch, &(0..rows.batch.num_rows()));
        let (origins, given) = (&*rows.origins, Given::default());
        Ok(Self { plugin, fit, step, origins, batch, untouched, batch_bytes, given })
    }
}

impl Work for Columns<'_> {
    type World = ArrowPlugin;

    fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn origin(&self, row: usize) -> Origin {
        self.origins.get(row).copied().unwrap_or(Origin::MAX)
    }

    fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    fn rows_of_call(&self, first: usize) -> usize {
        let max_bytes = CALL_BYTES.min(self.plugin.bounds.memory_bytes / 8);
        size::rows_within(&self.batch, first, CALL_ROWS, max_bytes)
    }

    /// An instance that returned the same plan as the first; a different plan is no fault of a row.
    fn instance(&self) -> Result<Instance<ArrowPlugin>, Hold> {
        let mut instance = self.plugin.instance()?;
        if instance.has_planned_for(self.fit.fingerprint()) {
            return Ok(instance);
        }
        let title = &self.plugin.title;
        // Without the plugin's text, since it may have seen records.
        let planned = plan(self.plugin, &mut instance, &self.fit.told).map_err(|failure| {
            let kind = failure.kind.code();
            Hold::Paused(format!("plugin `{title}` fails to plan again ({kind})"))
        })?;
        if self.step.is_as_planned(&planned) {
            return Ok(instance);
        }
        Err(Hold::Paused(format!(
            "plugin `{title}` plans otherwise than it did before, for the same table"
        )))
    }

    fn ask(
        &mut self,
        instance: &mut Instance<ArrowPlugin>,
        rows: Range<usize>,
        deadline: Duration,
    ) -> Result<Vec<RefusedRow>, CallFailure> {
        let question = exchange::question(&self.batch, rows.clone())?;
        let outcome = instance.call(deadline, question.len(), |plugin, store| {
            plugin.sluicegate_plugin_arrow().call_transform(store, &question)
        })?;
        let answer = exchange::read_answer(self.step, rows.len(), outcome)?;
        let repeated = size::of_repeated(&self.untouched, rows.start, &answer.rows);
        let bytes = answer.bytes + repeated;
        self.given.add(rows.start, &answer.rows, answer.columns, bytes);
        let refused = answer.refused.into_iter();
        let refused =
            refused.map(|(row, why)| RefusedRow::new(row, self.origin(rows.start + row), why));
        Ok(refused.collect())
    }

    fn put_out(&self) -> (usize, usize) {
        self.given.size()
    }
}
