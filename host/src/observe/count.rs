//! What the stages count. Each function is called once for a batch, an INSERT or a rarer event,
//! never for a record. Without a recorder (ADMIN_ADDR=off) they do nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metrics::{
    BATCH_BYTES, BATCH_ROWS, COMMIT_FAILURES, DECODE_SECONDS, HOOK_FAILURES, HOOK_SECONDS,
    INSERT_SECONDS, LETTERS_CUT, LOG_LINES_DROPPED, LOOKUP_REFRESH_FAILURES, METRICS, MetricKind,
    PLUGIN_COUNTER, REBALANCES, RECORDS, RECORDS_CONSUMED, RECORDS_REJECTED, RECORDS_REPEATED,
    RETENTION_LOSSES, RETRIES, ROWS_LANDED, ROWS_UNFILLED, ROWS_WITHOUT_VIEW, UNKNOWN_FIELDS,
    VALUES_CUT, VALUES_DEFAULTED, VALUES_REPLACED, VALUES_UNREACHED,
};
use super::status::{note_landed, note_refused};
use crate::flow::hold::Hold;
use crate::flow::record::Batch;
use crate::flow::rejection::{Reason, Rejection};
use crate::flow::settlement::{Fate, Fates};

/// The step that is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryStep {
    /// An INSERT.
    Insert,
    /// A read of the table's columns.
    Table,
    /// The first read of a lookup.
    Lookup,
    /// A dead letter.
    DeadLetter,
}

impl RetryStep {
    const ALL: [(Self, &str); 4] = [
        (Self::Insert, "insert"),
        (Self::Table, "table"),
        (Self::Lookup, "lookup"),
        (Self::DeadLetter, "dead_letter"),
    ];
}

/// Why it is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// It heals by itself.
    Transient,
    /// An operator must mend something.
    Paused,
    /// An unknown error code.
    Unknown,
    /// A materialized view threw.
    View,
    /// Rows were refused: sent again synchronously, then in halves.
    Data,
    /// The table has changed: decoded again.
    Schema,
}

impl RetryClass {
    const ALL: [(Self, &str); 6] = [
        (Self::Transient, "transient"),
        (Self::Paused, "paused"),
        (Self::Unknown, "unknown"),
        (Self::View, "view"),
        (Self::Data, "data"),
        (Self::Schema, "schema"),
    ];
}

impl From<&Hold> for RetryClass {
    fn from(hold: &Hold) -> Self {
        match hold {
            Hold::Transient(_) => Self::Transient,
            Hold::Paused(_) => Self::Paused,
        }
    }
}

/// How the assignment changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebalanceKind {
    /// Partitions came.
    Assigned,
    /// Partitions went, with what was settled of them committed.
    Revoked,
    /// Partitions were lost without a revocation.
    Lost,
}

impl RebalanceKind {
    const ALL: [(Self, &str); 3] =
        [(Self::Assigned, "assigned"), (Self::Revoked, "revoked"), (Self::Lost, "lost")];
}

/// The fates that settle a record, with the value of their label.
const FATES: [(Fate, &str); 4] = [
    (Fate::Landed, "landed"),
    (Fate::DeadLettered, "dead_lettered"),
    (Fate::Dropped, "dropped"),
    (Fate::Skipped, "skipped"),
];
const RELEASED: &str = "released";
/// The parts of a record that a dead letter may cut.
const PARTS_OF_LETTERS: [&str; 3] = ["payload", "headers", "key"];

fn label<T: PartialEq>(of: &[(T, &'static str)], value: &T) -> &'static str {
    of.iter().find(|(known, _)| known == value).map_or("", |(_, label)| label)
}

/// Creates every series with known labels at 0, so that its first event shows as an increase.
pub(super) fn begin_at_zero() {
    for metric in METRICS {
        if metric.kind == MetricKind::Counter && metric.labels.is_empty() {
            metric.count(&[], 0);
        }
    }
    for fate in FATES.map(|(_, label)| label).into_iter().chain([RELEASED]) {
        RECORDS.count(&[fate], 0);
    }
    for reason in Reason::ALL {
        RECORDS_REJECTED.count(&[reason.code()], 0);
    }
    for (_, kind) in RebalanceKind::ALL {
        REBALANCES.count(&[kind], 0);
    }
    for part in PARTS_OF_LETTERS {
        LETTERS_CUT.count(&[part], 0);
    }
    for (step, step_label) in RetryStep::ALL {
        let is_held = |class| matches!(class, RetryClass::Transient | RetryClass::Paused);
        for (_, class) in
            RetryClass::ALL.iter().filter(|(of, _)| step == RetryStep::Insert || is_held(*of))
        {
            RETRIES.count(&[step_label, class], 0);
        }
    }
}

/// A batch was taken from Kafka.
pub fn taken(batch: &Batch) {
    RECORDS_CONSUMED.count(&[], u64::from(batch.len()));
    BATCH_BYTES.measure(&[], batch.size_bytes() as f64);
}

/// A batch is settled.
pub fn settled(fates: &Fates) {
    for (fate, label) in FATES {
        RECORDS.count(&[label], fates.count(fate));
    }
}

/// Records were given up with their partition; its new owner reads them.
pub fn released(records: u64) {
    RECORDS.count(&[RELEASED], records);
}

/// Dead letters for these rejections are written.
pub fn rejected(rejections: &[Rejection]) {
    let mut by_reason: BTreeMap<Reason, u64> = BTreeMap::new();
    for rejection in rejections {
        *by_reason.entry(rejection.fault.reason).or_default() += 1;
    }
    for (reason, records) in by_reason {
        RECORDS_REJECTED.count(&[reason.code()], records);
    }
}

/// A dead letter is written with this part of its record cut.
pub fn letter_cut(part: &'static str) {
    LETTERS_CUT.count(&[part], 1);
}

/// A default replaced this many absent or null fields of a column.
pub fn defaulted(column: &str, values: usize) {
    VALUES_DEFAULTED.count(&[column], values as u64);
}

/// Fields of this name fill no column.
pub fn unknown_field(name: &str, fields: u64) {
    UNKNOWN_FIELDS.count(&[name], fields);
}

/// Values of a column were invalid, and NULL or its default replaced them.
pub fn replaced(column: &str, values: u64) {
    VALUES_REPLACED.count(&[column], values);
}

/// Values lost digits that their column does not keep.
pub fn cut(column: &str, values: u64) {
    VALUES_CUT.count(&[column], values);
}

/// Rows in which no field fills a column.
pub fn unfilled(rows: u64) {
    ROWS_UNFILLED.count(&[], rows);
}

/// COLUMN_FROM did not reach this many values of a column.
pub fn unreached(column: &str, values: u64) {
    VALUES_UNREACHED.count(&[column], values);
}

/// A plugin is loaded, with the kinds of failure that it may have.
pub fn plugin_loaded(plugin: &str, kinds: impl IntoIterator<Item = &'static str>) {
    for kind in kinds {
        HOOK_FAILURES.count(&[plugin, kind], 0);
    }
}

/// A batch went through a plugin.
pub fn hooked(plugin: &str, took: Duration) {
    HOOK_SECONDS.measure(&[plugin], took.as_secs_f64());
}

/// A call of a plugin failed.
pub fn hook_failed(plugin: &str, kind: &'static str) {
    HOOK_FAILURES.count(&[plugin, kind], 1);
}

/// A plugin counted something itself.
pub fn plugin_counted(plugin: &str, counter: &str, by: u64) {
    PLUGIN_COUNTER.count(&[plugin, counter], by);
}

/// A lookup is loaded.
pub fn lookup_loaded(lookup: &str) {
    LOOKUP_REFRESH_FAILURES.count(&[lookup], 0);
}

/// A refresh of a lookup failed; it stays as it was.
pub fn lookup_refresh_failed(lookup: &str) {
    LOOKUP_REFRESH_FAILURES.count(&[lookup], 1);
}

/// A batch was decoded.
pub fn decoded(took: Duration) {
    DECODE_SECONDS.measure(&[], took.as_secs_f64());
}

/// ClickHouse answered an INSERT: its rows are in the table.
pub fn landed(rows: usize, took: Duration) {
    ROWS_LANDED.count(&[], rows as u64);
    BATCH_ROWS.measure(&[], rows as f64);
    INSERT_SECONDS.measure(&["landed"], took.as_secs_f64());
    note_landed();
}

/// An INSERT failed in a view, but its rows are in the table.
pub fn landed_without_view(rows: usize) {
    ROWS_LANDED.count(&[], rows as u64);
    ROWS_WITHOUT_VIEW.count(&[], rows as u64);
    note_landed();
}

/// Rows were found in the table after their INSERT failed in a view.
pub fn found_without_view(rows: usize) {
    ROWS_WITHOUT_VIEW.count(&[], rows as u64);
}

/// An INSERT failed, or got no answer.
pub fn insert_failed(took: Duration) {
    INSERT_SECONDS.measure(&["failed"], took.as_secs_f64());
}

/// A step failed and is retried.
pub fn retried(step: RetryStep, class: RetryClass) {
    RETRIES.count(&[label(&RetryStep::ALL, &step), label(&RetryClass::ALL, &class)], 1);
    if (step, class) == (RetryStep::Insert, RetryClass::Data) {
        note_refused();
    }
}

/// Kafka refused a commit.
pub fn commit_failed() {
    COMMIT_FAILURES.count(&[], 1);
}

/// The assignment changed.
pub fn rebalanced(kind: RebalanceKind) {
    REBALANCES.count(&[label(&RebalanceKind::ALL, &kind)], 1);
}

/// Records were delivered twice, and the repeats were dropped.
pub fn repeated(records: u64) {
    RECORDS_REPEATED.count(&[], records);
}

/// A line of the log was dropped, because nobody reads the log.
pub fn log_line_dropped() {
    LOG_LINES_DROPPED.count(&[], 1);
}

/// Kafka no longer had the record that was to be read next.
pub fn records_lost() {
    RETENTION_LOSSES.count(&[], 1);
}
