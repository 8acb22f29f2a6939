//! One plugin over the rows of a batch; where a call fails, the row that fails alone is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::exchange::{self, Refused};
use super::failure::Failure;
use super::instance::Instance;
use super::plugin::Plugin;
use crate::config::OnBreaker;
use crate::observe::count;
use crate::outcome::Hold;
use crate::payloads::{Payloads, Row};
use crate::record::{Batch, Origin};
use crate::rejection::{Fault, Reason, Rejection, Stage};

/// Most rows of one call: a larger one gains nothing, and costs more where it fails.
const CHUNK_ROWS: usize = 1_000;
/// Most payload bytes of one call, unless a single row has more.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Shortest deadline of a call that isolates: a few ticks of the engine's clock.
const MIN_DEADLINE: Duration = Duration::from_millis(50);
/// How many whole deadlines the rows of one first call may spend on calls that fail, before the
/// plugin counts as broken: a record that loops takes three.
const MAX_DEADLINES: u32 = 10;
/// Most bytes that a plugin may put out for a batch: four times the batch, or this if that is more.
const MIN_WRITTEN_BYTES: usize = 64 * 1024 * 1024;
/// Most rows that a plugin may put out for a batch.
const MAX_ROWS: usize = 4_000_000;

/// What a plugin made of the rows of a batch, beside those that go on.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Records that it refused, or failed on. A record may stand here more than once.
    pub rejections: Vec<Rejection>,
    /// How many rows it was given.
    pub rows: usize,
    /// How many of them it failed on.
    pub failed: usize,
}

/// Runs a plugin over all rows; those that go on take their place. Blocks.
///
/// # Errors
/// The breaker is open, or no instance can be made; nothing is settled then.
pub fn run(
    plugin: &Plugin,
    batch: &Batch,
    payloads: &mut Payloads,
    is_given_up: &AtomicBool,
) -> Result<Verdict, Hold> {
    let started = Instant::now();
    let before = payloads.take();
    let mut run = Run {
        plugin,
        batch,
        kept_bytes: payloads.written_bytes(),
        payloads,
        instance: None,
        refused: Vec::new(),
        failed: Vec::new(),
        allowed: plugin.breaker.allowance(before.len()),
        wasted: Duration::ZERO,
        is_given_up,
    };
    let mut rest = before.as_slice();
    while !rest.is_empty() {
        let (chunk, others) = rest.split_at(run.chunk_len(rest));
        run.wasted = Duration::ZERO;
        run.settle(chunk, plugin.bounds.timeout)?;
        run.judge_output()?;
        rest = others;
    }
    count::hooked(&plugin.name, started.elapsed());
    Ok(run.finish(before.len()))
}

struct Run<'a> {
    plugin: &'a Plugin,
    batch: &'a Batch,
    payloads: &'a mut Payloads,
    instance: Option<Instance>,
    refused: Vec<Refused>,
    failed: Vec<(Origin, Failure)>,
    /// How many rows may fail.
    allowed: usize,
    /// Time that the rows of one first call spent on calls that failed.
    wasted: Duration,
    /// What other plugins wrote before.
    kept_bytes: usize,
    /// Nobody waits for the answer any more.
    is_given_up: &'a AtomicBool,
}

impl Run<'_> {
    fn chunk_len(&self, rows: &[Row]) -> usize {
        let max_bytes = CHUNK_BYTES.min(self.plugin.bounds.memory_bytes / 8);
        let mut bytes = 0;
        let fits = rows.iter().take(CHUNK_ROWS).take_while(|row| {
            bytes += exchange::size_bytes(self.payloads, self.batch, row, self.plugin.wants);
            bytes <= max_bytes
        });
        fits.count().max(1)
    }

    /// Whether what was put out may be held in memory.
    fn judge_output(&self) -> Result<(), Hold> {
        let bytes = self.payloads.written_bytes() - self.kept_bytes;
        let max_bytes = MIN_WRITTEN_BYTES.max(4 * self.batch.size_bytes());
        if bytes <= max_bytes && self.payloads.len() <= MAX_ROWS {
            return Ok(());
        }
        Err(Hold::Paused(format!(
            "plugin `{}` puts out more than {max_bytes} bytes or {MAX_ROWS} rows for one batch: \
             lower NUM_MESSAGES or BATCH_MAX_BYTES, and restart",
            self.plugin.title
        )))
    }

    /// Asks for the rows, and for each half of them where that fails.
    fn settle(&mut self, rows: &[Row], deadline: Duration) -> Result<(), Hold> {
        let is_first_failure = self.wasted.is_zero();
        let failure = match self.ask(rows, deadline)? {
            Ok(refused) => {
                self.refused.extend(refused);
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
        if let [row] = rows {
            // No row is judged by a single call, which a busy machine may have held up.
            if is_first_failure {
                return self.settle(rows, deadline);
            }
            self.failed.push((row.origin, failure.clone()));
            if may_pause && self.failed.len() > self.allowed {
                return Err(self.hold("fails on too many rows", &failure));
            }
            return Ok(());
        }
        let (left, right) = rows.split_at(rows.len() / 2);
        for half in [left, right] {
            // The last word over a row is given with the whole deadline.
            let deadline = match half.len() {
                1 => self.plugin.bounds.timeout,
                _ => (deadline / 2).max(MIN_DEADLINE),
            };
            self.settle(half, deadline)?;
        }
        Ok(())
    }

    /// One call, of an instance that is dropped if it fails.
    fn ask(
        &mut self,
        rows: &[Row],
        deadline: Duration,
    ) -> Result<Result<Vec<Refused>, Failure>, Hold> {
        if self.is_given_up.load(Ordering::Relaxed) {
            return Err(Hold::Transient("given up".to_owned()));
        }
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.plugin.instance()?,
        };
        let guest = exchange::question(self.payloads, self.batch, rows, instance.wants());
        let started = Instant::now();
        let answer = instance.transform(&guest, deadline);
        let took = started.elapsed();
        let answer = answer.and_then(|outcome| exchange::apply(self.payloads, rows, outcome));
        match &answer {
            Ok(_) if !instance.is_worn() => self.instance = Some(instance),
            Ok(_) => {}
            Err(_) => self.wasted += took,
        }
        Ok(answer)
    }

    fn hold(&self, what: &str, failure: &Failure) -> Hold {
        Hold::Paused(format!(
            "plugin `{}` {what} (last: {}), so no record of the batch is dead-lettered; mend the \
             plugin, or set PLUGIN_ON_BREAKER=dead_letter, and restart",
            self.plugin.title,
            failure.kind.code()
        ))
    }

    fn finish(mut self, rows: usize) -> Verdict {
        if let Some(instance) = self.instance.take() {
            self.plugin.give_back(instance);
        }
        let stage = Stage::RowsHook(Arc::clone(&self.plugin.title));
        let title = &self.plugin.title;
        let failed = self.failed.len();
        let refused = self.refused.into_iter().map(|refused| {
            let fault = Fault {
                reason: Reason::HookRejected,
                column: refused.column.map(Into::into),
                pointer: String::new(),
                expected: format!("a record that plugin `{title}` takes"),
                got_kind: "",
                got: refused.message,
            };
            Rejection { origin: refused.origin, stage: stage.clone(), fault }
        });
        let poison = self.failed.into_iter().map(|(origin, failure)| {
            let fault = Fault {
                reason: Reason::HookFailed,
                column: None,
                pointer: String::new(),
                expected: format!("plugin `{title}` to answer"),
                got_kind: failure.kind.code(),
                got: format!("{}: {}", failure.kind.code(), failure.text),
            };
            Rejection { origin, stage: stage.clone(), fault }
        });
        Verdict { rejections: refused.chain(poison).collect(), rows, failed }
    }
}
