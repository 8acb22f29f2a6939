//! Runs one plugin over the rows of a batch, and isolates the row that makes a call fail.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::bindings;
use super::failure::{CallFailure, cut};
use super::instance::Instance;
use super::plugin::Plugin;
use super::world::World;
use crate::config::OnBreaker;
use crate::flow::hold::Hold;
use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Reason, Rejection, Stage};
use crate::observe::count;

/// Shortest deadline of a call that isolates: a few ticks of the engine's clock.
const MIN_DEADLINE: Duration = Duration::from_millis(50);
/// How many full deadlines the rows of one first call may spend on failing calls before the plugin counts as
/// broken: a record that loops takes three.
const MAX_DEADLINES: u32 = 10;
/// Minimum of the output limit for a batch, in bytes; otherwise it is four times the batch.
const MIN_WRITTEN_BYTES: usize = 64 * 1024 * 1024;
/// Most rows that a plugin may output for a batch.
const MAX_ROWS: usize = 4_000_000;
/// Most rows that one call may output. A row costs the host more than the guest.
pub const MAX_ROWS_OUT: usize = 100_000;
/// Most characters kept of a column name from a plugin: it becomes a header.
const MAX_COLUMN_CHARS: usize = 128;

/// One plugin's work on the rows of a batch, in as many calls as needed.
pub trait Work {
    /// The plugin's world.
    type World: World;

    /// How many rows there are.
    fn rows(&self) -> usize;

    /// The record of a row.
    fn origin(&self, row: usize) -> Origin;

    /// Adds to a row's fault which part of its record the row is, if known.
    fn tell(&self, _row: usize, _fault: &mut Fault) {}

    /// The bytes of the incoming batch.
    fn batch_bytes(&self) -> usize;

    /// How many rows from `first` on go into one call; at least 1.
    fn rows_of_call(&self, first: usize) -> usize;

    /// An instance to call.
    ///
    /// # Errors
    /// No instance can be made.
    fn instance(&self) -> Result<Instance<Self::World>, Hold>;

    /// Calls the plugin with some of the rows, in order, and keeps the rows that continue. Refused rows are
    /// counted from the first one of the call.
    ///
    /// # Errors
    /// The call failed; nothing of it is kept.
    fn ask(
        &mut self,
        instance: &mut Instance<Self::World>,
        rows: Range<usize>,
        deadline: Duration,
    ) -> Result<Vec<RefusedRow>, CallFailure>;

    /// Rows and bytes of output so far.
    fn put_out(&self) -> (usize, usize);
}

/// A row that a plugin refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// The row, counted from the first one of the call.
    pub row: usize,
    /// The record.
    pub origin: Origin,
    /// Why, in the plugin's words.
    pub message: String,
    /// The column or field at fault.
    pub column: Option<String>,
}

impl RefusedRow {
    /// A refused row, with the plugin's text cut to its limit.
    pub fn new(row: usize, origin: Origin, why: bindings::Rejection) -> Self {
        let column = why.column.map(|column| column.chars().take(MAX_COLUMN_CHARS).collect());
        Self { row, origin, message: cut(&why.message), column }
    }
}

/// A plugin's result for the rows of a batch, beside the rows that continue.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Records that it refused or failed on. A record may occur more than once.
    pub rejections: Vec<Rejection>,
    /// How many rows it was given.
    pub rows: usize,
    /// How many of them it failed on.
    pub failed: usize,
}

/// Runs a plugin over all rows. Blocks.
///
/// # Errors
/// The breaker is open, or no instance can be made; nothing is settled then.
pub fn run_isolated<W: Work>(
    plugin: &Plugin<W::World>,
    work: &mut W,
    stage: fn(Arc<str>) -> Stage,
    is_given_up: &AtomicBool,
) -> Result<Verdict, Hold> {
    let started = Instant::now();
    let rows = work.rows();
    let mut run = Isolation {
        plugin,
        work,
        instance: None,
        refused: Vec::new(),
        failed: Vec::new(),
        allowed: plugin.breaker.allowance(rows),
        wasted: Duration::ZERO,
        is_given_up,
    };
    let mut first = 0;
    while first < rows {
        let next = first + run.work.rows_of_call(first);
        run.wasted = Duration::ZERO;
        run.settle(first..next, plugin.bounds.timeout)?;
        run.judge_output()?;
        first = next;
    }
    count::hooked(&plugin.name, started.elapsed());
    Ok(run.finish(rows, stage))
}

struct Isolation<'a, W: Work> {
    plugin: &'a Plugin<W::World>,
    work: &'a mut W,
    instance: Option<Instance<W::World>>,
    refused: Vec<RefusedRow>,
    failed: Vec<(usize, CallFailure)>,
    /// How many rows may fail.
    allowed: usize,
    /// Time that the rows of one first call spent on failing calls.
    wasted: Duration,
    /// Nobody waits for the answer any more.
    is_given_up: &'a AtomicBool,
}

impl<W: Work> Isolation<'_, W> {
    /// Checks that the output so far may be held in memory.
    fn judge_output(&self) -> Result<(), Hold> {
        let (rows, bytes) = self.work.put_out();
        let max_bytes = MIN_WRITTEN_BYTES.max(4 * self.work.batch_bytes());
        if bytes <= max_bytes && rows <= MAX_ROWS {
            return Ok(());
        }
        Err(Hold::Paused(format!(
            "plugin `{}` puts out more than {max_bytes} bytes or {MAX_ROWS} rows for one batch: \
             lower NUM_MESSAGES or BATCH_MAX_BYTES, and restart",
            self.plugin.title
        )))
    }

    /// Calls the plugin with the rows; if that fails, with each half of them.
    fn settle(&mut self, rows: Range<usize>, deadline: Duration) -> Result<(), Hold> {
        let is_first_failure = self.wasted.is_zero();
        let failure = match self.ask(rows.clone(), deadline)? {
            Ok(refused) => {
                let start = rows.start;
                let refused = refused.into_iter();
                self.refused.extend(refused.map(|of| RefusedRow { row: start + of.row, ..of }));
                return Ok(());
            }
            Err(failure) => failure,
        };
        count::hook_failed(&self.plugin.name, failure.kind.code());
        let may_pause = self.plugin.on_breaker == OnBreaker::Pause;
        let deadline_at_least = self.plugin.bounds.timeout.max(4 * MIN_DEADLINE);
        if may_pause && self.wasted > deadline_at_least * MAX_DEADLINES {
            return Err(self.hold("spends too long on calls that fail", &failure));
        }
        if rows.len() == 1 {
            // No row is judged by a single call, which a busy machine may have delayed.
            if is_first_failure {
                return self.settle(rows, deadline);
            }
            self.failed.push((rows.start, failure.clone()));
            if may_pause && self.failed.len() > self.allowed {
                return Err(self.hold("fails on too many rows", &failure));
            }
            return Ok(());
        }
        let middle = rows.start + rows.len() / 2;
        for half in [rows.start..middle, middle..rows.end] {
            // The final call for a single row gets the whole deadline.
            let deadline = match half.len() {
                1 => self.plugin.bounds.timeout,
                _ => (deadline / 2).max(MIN_DEADLINE),
            };
            self.settle(half, deadline)?;
        }
        Ok(())
    }

    /// One call; the instance is dropped if it fails.
    fn ask(
        &mut self,
        rows: Range<usize>,
        deadline: Duration,
    ) -> Result<Result<Vec<RefusedRow>, CallFailure>, Hold> {
        if self.is_given_up.load(Ordering::Relaxed) {
            return Err(Hold::Transient("given up".to_owned()));
        }
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.work.instance()?,
        };
        let started = Instant::now();
        let answer = self.work.ask(&mut instance, rows, deadline);
        match &answer {
            Ok(_) if !instance.is_worn() => self.instance = Some(instance),
            Ok(_) => {}
            Err(_) => self.wasted += started.elapsed(),
        }
        Ok(answer)
    }

    fn hold(&self, what: &str, failure: &CallFailure) -> Hold {
        Hold::Paused(format!(
            "plugin `{}` {what} (last: {}), so no record of the batch is dead-lettered; mend the \
             plugin, or set PLUGIN_ON_BREAKER=dead_letter, and restart",
            self.plugin.title,
            failure.kind.code()
        ))
    }

    fn finish(mut self, rows: usize, stage: fn(Arc<str>) -> Stage) -> Verdict {
        if let Some(instance) = self.instance.take() {
            self.plugin.give_back(instance);
        }
        let stage = stage(Arc::clone(&self.plugin.title));
        let title = &self.plugin.title;
        let failed = self.failed.len();
        let work = &*self.work;
        let refused = self.refused.into_iter().map(|refused| {
            let mut fault = Fault {
                reason: Reason::HookRejected,
                column: refused.column.map(Into::into),
                pointer: String::new(),
                expected: format!("a record that plugin `{title}` takes"),
                got_kind: "",
                got: refused.message,
            };
            work.tell(refused.row, &mut fault);
            Rejection { origin: refused.origin, stage: stage.clone(), fault }
        });
        let poison = self.failed.into_iter().map(|(row, failure)| {
            let mut fault = Fault {
                reason: Reason::HookFailed,
                column: None,
                pointer: String::new(),
                expected: format!("plugin `{title}` to answer"),
                got_kind: failure.kind.code(),
                got: format!("{}: {}", failure.kind.code(), failure.text),
            };
            work.tell(row, &mut fault);
            Rejection { origin: work.origin(row), stage: stage.clone(), fault }
        });
        Verdict { rejections: refused.chain(poison).collect(), rows, failed }
    }
}
