//! The rows stage: plugins on payloads, one after the other.

mod exchange;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::bindings::{Batch as GuestBatch, RowsPlugin};
use super::failure::CallFailure;
use super::instance::Instance;
use super::isolate::{self, RefusedRow, Work};
use super::plugin::Plugin;
use super::until_given_up;
use crate::base::retry::Backoff;
use crate::flow::hold::Hold;
use crate::flow::payloads::{Hooked, Payloads, Row};
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::{Fault, Rejection, Stage};
use crate::observe::cpu::CpuOf;
use crate::observe::status::Status;

/// Most rows of one call: more gain nothing, and cost more when a call fails.
const CALL_ROWS: usize = 1_000;
/// Most payload bytes of one call, unless a single row has more.
const CALL_BYTES: usize = 4 * 1024 * 1024;

/// The plugins on payloads, in their order.
pub struct RowsHooks {
    plugins: Arc<[Plugin<RowsPlugin>]>,
    status: Arc<Status>,
}

impl RowsHooks {
    /// A stage of these plugins; `None` if there are none.
    pub(super) fn new(plugins: Vec<Plugin<RowsPlugin>>, status: Arc<Status>) -> Option<Self> {
        (!plugins.is_empty()).then(|| Self { plugins: plugins.into(), status })
    }

    /// The titles of the plugins in logs and dead letters, in their order.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        self.plugins.iter().map(|plugin| &*plugin.title)
    }

    /// The most memory that an idle instance holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.plugins.iter().map(Plugin::memory_bytes).max().unwrap_or_default()
    }

    /// Runs payloads through every plugin. Waits while a plugin's breaker is open.
    ///
    /// # Cancel safety
    /// If dropped, nothing has happened to any record.
    pub async fn run(&self, batch: &Arc<Batch>, payloads: Payloads) -> Hooked {
        let waiter = self.status.waiter("plugins");
        let mut backoff = Backoff::default();
        let payloads = Arc::new(payloads);
        loop {
            let (plugins, batch) = (Arc::clone(&self.plugins), Arc::clone(batch));
            let payloads = Arc::clone(&payloads);
            let work = move |is_given_up: &_| chain(&plugins, &batch, &payloads, is_given_up);
            match until_given_up(CpuOf::RowsHooks, work).await {
                Ok(hooked) => {
                    waiter.release();
                    return hooked;
                }
                Err(hold) => waiter.hold(hold),
            }
            backoff.wait().await;
        }
    }
}

fn chain(
    plugins: &[Plugin<RowsPlugin>],
    batch: &Batch,
    from: &Payloads,
    is_given_up: &AtomicBool,
) -> Result<Hooked, Hold> {
    let mut payloads = from.clone();
    let mut rejections: BTreeMap<Origin, Rejection> = BTreeMap::new();
    let mut counted = Vec::new();
    for plugin in plugins {
        let mut work = RowsWork::new(plugin, batch, &mut payloads);
        let verdict = isolate::run_isolated(plugin, &mut work, Stage::RowsHook, is_given_up)?;
        counted.push((plugin, verdict.rows, verdict.failed));
        for rejection in verdict.rejections {
            rejections.entry(rejection.origin).or_insert(rejection);
        }
        // A record's rows share one fate.
        payloads.withdraw(|origin| rejections.contains_key(&origin));
        payloads.forget();
    }
    // Only now: a held run is repeated, and must not count twice.
    for (plugin, rows, failed) in counted {
        plugin.breaker.note(rows, failed);
    }
    let mut dropped = payloads.without_row(&from.origins());
    dropped.retain(|origin| !rejections.contains_key(origin));
    Ok(Hooked { payloads, rejections: rejections.into_values().collect(), dropped })
}

/// One plugin's work on payloads.
struct RowsWork<'a> {
    plugin: &'a Plugin<RowsPlugin>,
    batch: &'a Batch,
    before: Vec<Row>,
    payloads: &'a mut Payloads,
    /// Bytes that earlier plugins wrote.
    kept_bytes: usize,
    /// The last question to the plugin.
    question: GuestBatch,
}

impl<'a> RowsWork<'a> {
    fn new(plugin: &'a Plugin<RowsPlugin>, batch: &'a Batch, payloads: &'a mut Payloads) -> Self {
        let (before, kept_bytes) = (payloads.take(), payloads.held_bytes());
        Self { plugin, batch, before, payloads, kept_bytes, question: exchange::empty() }
    }
}

impl Work for RowsWork<'_> {
    type World = RowsPlugin;

    fn rows(&self) -> usize {
        self.before.len()
    }

    fn origin(&self, row: usize) -> Origin {
        self.before.get(row).map_or(Origin::MAX, |row| row.origin)
    }

    fn tell(&self, row: usize, fault: &mut Fault) {
        if let Some(row) = self.before.get(row) {
            let payload = self.payloads.payload(self.batch, row);
            self.payloads.tell(self.batch, row.origin, payload, fault);
        }
    }

    fn batch_bytes(&self) -> usize {
        self.batch.held_bytes()
    }

    fn rows_of_call(&self, first: usize) -> usize {
        let max_bytes = CALL_BYTES.min(self.plugin.bounds.memory_bytes / 8);
        let mut bytes = 0;
        let rows = self.before.iter().skip(first).take(CALL_ROWS);
        let fits = rows.take_while(|row| {
            bytes += exchange::size_bytes(self.payloads, self.batch, row, self.plugin.wants);
            bytes <= max_bytes
        });
        fits.count().max(1)
    }

    fn instance(&self) -> Result<Instance<RowsPlugin>, Hold> {
        self.plugin.instance()
    }

    fn ask(
        &mut self,
        instance: &mut Instance<RowsPlugin>,
        rows: Range<usize>,
        deadline: Duration,
    ) -> Result<Vec<RefusedRow>, CallFailure> {
        let rows = self.before.get(rows).unwrap_or_default();
        let question = &mut self.question;
        exchange::fill_question(question, self.payloads, self.batch, rows, instance.wants());
        let bytes = question.values.len();
        let outcome = instance.call(deadline, bytes, |plugin, store| {
            plugin.sluicegate_plugin_rows().call_transform(store, question)
        })?;
        exchange::apply(self.payloads, rows, outcome)
    }

    fn put_out(&self) -> (usize, usize) {
        (self.payloads.len(), self.payloads.held_bytes() - self.kept_bytes)
    }
}
