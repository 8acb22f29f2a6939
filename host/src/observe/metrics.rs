//! Every metric, named once: the list that docs/metrics.md repeats. Stages count with the functions
//! of `count`, and know neither names nor Prometheus. It is over 400 lines because it is one list.

use metrics::{Label, counter, gauge, histogram};

use crate::words::plain::Plain;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// Starts at 0 and only grows.
    Counter,
    /// A state, read at each scrape.
    Gauge,
    /// A histogram with these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name, which contains the unit unless that is a count.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The unit.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// One sentence for docs/metrics.md and for the endpoint.
    pub help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: MetricKind,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, help }
}

/// From a batch of one record to the largest that NUM_MESSAGES allows.
const ROWS: MetricKind = MetricKind::Histogram(&[
    1.0, 10.0, 100.0, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6,
]);
/// From 1 KiB to the largest BATCH_MAX_BYTES.
const BYTES: MetricKind = MetricKind::Histogram(&[
    1_024.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    33_554_432.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
]);
/// A small batch takes a fraction of a millisecond, the largest a few seconds.
const COMPUTATION: MetricKind = MetricKind::Histogram(&[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);
/// From a small synchronous INSERT to the timeout of five minutes.
const ANSWER: MetricKind = MetricKind::Histogram(&[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
]);

pub(super) const RECORDS_CONSUMED: Metric = metric(
    "sluicegate_records_consumed_total",
    MetricKind::Counter,
    "records",
    &[],
    "Taken from Kafka: the sum of `sluicegate_records_total` and \
     `sluicegate_records_in_flight`",
);
pub(super) const RECORDS: Metric = metric(
    "sluicegate_records_total",
    MetricKind::Counter,
    "records",
    &["fate"],
    "What became of records: `landed`, `dead_lettered`, `dropped` by a hook, `skipped` tombstones \
     and messages without a record, or `released` unsettled to another member with their partition",
);
pub(super) const RECORDS_REJECTED: Metric = metric(
    "sluicegate_records_rejected_total",
    MetricKind::Counter,
    "records",
    &["reason"],
    "Dead-lettered, by reason code; the log names column and offset",
);
pub(super) const LETTERS_CUT: Metric = metric(
    "sluicegate_letters_cut_total",
    MetricKind::Counter,
    "letters",
    &["part"],
    "Dead letters that were cut, since their topic takes no larger ones (DLQ_ON_TOO_LARGE=cut), by what was cut of \
     the record: `payload`, `headers` or `key`",
);
pub(super) const ROWS_LANDED: Metric = metric(
    "sluicegate_rows_landed_total",
    MetricKind::Counter,
    "rows",
    &[],
    "In the table, as ClickHouse has answered",
);
pub(super) const ROWS_WITHOUT_VIEW: Metric = metric(
    "sluicegate_rows_without_view_total",
    MetricKind::Counter,
    "rows",
    &[],
    "Rows in the table that a materialized view does not have, since it threw: the log names the view, \
     the partitions and the offsets",
);
pub(super) const VALUES_DEFAULTED: Metric = metric(
    "sluicegate_values_defaulted_total",
    MetricKind::Counter,
    "values",
    &["column"],
    "Absent or null fields that the column's default took the place of",
);
pub(super) const VALUES_REPLACED: Metric = metric(
    "sluicegate_values_replaced_total",
    MetricKind::Counter,
    "values",
    &["column"],
    "Values that the column does not take, and that COLUMN_ON_INVALID put NULL or a default in the \
     place of",
);
pub(super) const VALUES_CUT: Metric = metric(
    "sluicegate_values_cut_total",
    MetricKind::Counter,
    "values",
    &["column"],
    "Values of which COERCION=lenient cut digits behind the point that the column does not keep",
);
pub(super) const UNKNOWN_FIELDS: Metric = metric(
    "sluicegate_unknown_fields_total",
    MetricKind::Counter,
    "fields",
    &["field"],
    "Fields that fill no column, by the first 100 names and the rest as `(others)` with UNKNOWN_FIELD_NAMES=1, else as `(not named)`",
);
pub(super) const ROWS_UNFILLED: Metric = metric(
    "sluicegate_rows_unfilled_total",
    MetricKind::Counter,
    "rows",
    &[],
    "Rows of records of which no field fills a column, with UNFILLED_RECORDS=accept",
);
pub(super) const VALUES_UNREACHED: Metric = metric(
    "sluicegate_values_unreached_total",
    MetricKind::Counter,
    "values",
    &["column"],
    "Values that COLUMN_FROM did not reach, since its way ended in a null or in a value without fields: the column \
     is absent",
);
pub(super) const RETRIES: Metric = metric(
    "sluicegate_retries_total",
    MetricKind::Counter,
    "tries",
    &["step", "class"],
    "Tries that failed and are made again: an `insert`, a read of the `table` or the \
     first of a `lookup`, or a `dead_letter`, for a `transient`, `paused` or `unknown` error, a `view` that throws, `data` (sent again in \
     halves) or a `schema` that changed",
);
pub(super) const COMMIT_FAILURES: Metric = metric(
    "sluicegate_commit_failures_total",
    MetricKind::Counter,
    "commits",
    &[],
    "Offset commits that failed, without those that Kafka refuses while the group changes; the next \
     one carries the same offsets",
);
pub(super) const REBALANCES: Metric = metric(
    "sluicegate_rebalances_total",
    MetricKind::Counter,
    "rebalances",
    &["kind"],
    "Changes of the assignment: partitions `assigned`, `revoked` after a drain, or `lost` without \
     one",
);
pub(super) const RETENTION_LOSSES: Metric = metric(
    "sluicegate_retention_losses_total",
    MetricKind::Counter,
    "losses",
    &[],
    "Times that Kafka no longer had what was to be read next: deleted by retention, or with its \
     topic. The log says which offsets",
);
pub(super) const RECORDS_REPEATED: Metric = metric(
    "sluicegate_records_repeated_total",
    MetricKind::Counter,
    "records",
    &[],
    "Handed out by librdkafka once more after they were read, and dropped",
);
pub(super) const LOG_LINES_DROPPED: Metric = metric(
    "sluicegate_log_lines_dropped_total",
    MetricKind::Counter,
    "lines",
    &[],
    "Lines of the log that were not written, since nobody read what was there before",
);
pub(super) const BATCH_ROWS: Metric = metric(
    "sluicegate_batch_rows",
    ROWS,
    "rows",
    &[],
    "Rows of one INSERT that landed: those of a batch, or of a part of one that was refused",
);
pub(super) const BATCH_BYTES: Metric = metric(
    "sluicegate_batch_bytes",
    BYTES,
    "bytes",
    &[],
    "Payloads, keys and headers of one batch as taken from Kafka",
);
pub(super) const HOOK_SECONDS: Metric = metric(
    "sluicegate_hook_seconds",
    COMPUTATION,
    "seconds",
    &["plugin"],
    "One batch through a plugin, failed calls included, on one core",
);
pub(super) const HOOK_FAILURES: Metric = metric(
    "sluicegate_hook_failures_total",
    MetricKind::Counter,
    "calls",
    &["plugin", "kind"],
    "Calls of a plugin that failed, those included that look for the one record: `timeout`, \
     `out_of_memory`, `panic`, `stack_overflow`, `too_much_output`, `wrong_answer`, `error` or \
     another `trap`",
);
pub(super) const PLUGIN_COUNTER: Metric = metric(
    "sluicegate_plugin_counter_total",
    MetricKind::Counter,
    "as the plugin says",
    &["plugin", "counter"],
    "What a plugin counts itself, under at most 20 names",
);
pub(super) const LOOKUP_REFRESH_FAILURES: Metric = metric(
    "sluicegate_lookup_refresh_failures_total",
    MetricKind::Counter,
    "tries",
    &["lookup"],
    "Reads of a lookup that failed, after the first that did not: the lookup stays as it was",
);
pub(super) const DECODE_SECONDS: Metric = metric(
    "sluicegate_decode_seconds",
    COMPUTATION,
    "seconds",
    &[],
    "JSON to columns, one batch, on one core",
);
pub(super) const STAGE_CPU_SECONDS: Metric = metric(
    "sluicegate_stage_cpu_seconds",
    COMPUTATION,
    "seconds",
    &["stage"],
    "CPU time of one batch in a stage: `consume` by the poll thread alone, without librdkafka's \
     threads, `rows_hooks`, `user_schema`, `decode`, `arrow_hooks`, `check`, `ipc` (the body of an \
     INSERT, and its fingerprint with DELIVERY=exactly_once), `dead_letters`; its `_sum` is all that the stage took",
);
pub(super) const INSERT_SECONDS: Metric = metric(
    "sluicegate_insert_seconds",
    ANSWER,
    "seconds",
    &["outcome"],
    "One INSERT until its answer, async flush and views included, by whether it `landed` or \
     `failed`",
);
pub(super) const LAG: Metric = metric(
    "sluicegate_lag_records",
    MetricKind::Gauge,
    "records",
    &["topic", "partition"],
    "End offset less the lowest offset that is not settled; offsets behind the last record that hold none, such as a \
     marker of a transaction, do not count once they are read; for the partitions assigned now",
);
pub(super) const FRESHNESS: Metric = metric(
    "sluicegate_freshness_seconds",
    MetricKind::Gauge,
    "seconds",
    &["topic", "partition"],
    "How far the table is behind the topic: the age, by its Kafka timestamp, of the oldest record \
     taken and not settled; with none taken the age of the last settled one; 0 when the lag is 0",
);
pub(super) const PARTITIONS: Metric = metric(
    "sluicegate_partitions_assigned",
    MetricKind::Gauge,
    "partitions",
    &[],
    "Partitions that this member owns",
);
pub(super) const IN_FLIGHT: Metric = metric(
    "sluicegate_records_in_flight",
    MetricKind::Gauge,
    "records",
    &[],
    "Taken and not settled yet",
);
pub(super) const BATCHES: Metric = metric(
    "sluicegate_batches_in_flight",
    MetricKind::Gauge,
    "batches",
    &[],
    "Batches taken and not settled; reading stops at IN_FLIGHT_BATCHES",
);
pub(super) const BUDGET_USED: Metric = metric(
    "sluicegate_budget_used_bytes",
    MetricKind::Gauge,
    "bytes",
    &[],
    "Working memory of the batches in flight and of plugins",
);
pub(super) const BUDGET_LIMIT: Metric = metric(
    "sluicegate_budget_limit_bytes",
    MetricKind::Gauge,
    "bytes",
    &[],
    "Where reading stops: the batches' share of MEMORY_BUDGET_BYTES",
);
pub(super) const LOOKUP_ROWS: Metric =
    metric("sluicegate_lookup_rows", MetricKind::Gauge, "rows", &["lookup"], "Rows of a lookup");
pub(super) const LOOKUP_MEMORY: Metric = metric(
    "sluicegate_lookup_memory_bytes",
    MetricKind::Gauge,
    "bytes",
    &["lookup"],
    "Memory of a lookup, as LOOKUP_<NAME>_MEMORY_BYTES counts it",
);
pub(super) const LOOKUP_AGE: Metric = metric(
    "sluicegate_lookup_age_seconds",
    MetricKind::Gauge,
    "seconds",
    &["lookup"],
    "How long ago a lookup was last read, or its file found to be unchanged",
);
pub(super) const BRAKE_SHARE: Metric = metric(
    "sluicegate_brake_share",
    MetricKind::Gauge,
    "0 to 1",
    &[],
    "Share of rejected records among the last ones, as the brake judges them, those that it holds \
     included; it holds above DLQ_MAX_SHARE",
);
pub(super) const BRAKE_HOLDS: Metric = metric(
    "sluicegate_brake_holds",
    MetricKind::Gauge,
    "0 or 1",
    &[],
    "1 while the brake holds a batch; `/readyz` says for which reasons",
);
pub(super) const LONGEST_WAIT: Metric = metric(
    "sluicegate_longest_wait_seconds",
    MetricKind::Gauge,
    "seconds",
    &["waiter"],
    "How long the host has waited so far, paused or not, by who waits: `kafka`, `commit`, `plan` (what \
     exactly_once has to know), `table`, `clickhouse`, `insert`, `brake`, `plugins`, `dead_letters`, `lookups`; 0 for \
     those that do not wait",
);
pub(super) const PAUSED: Metric = metric(
    "sluicegate_paused",
    MetricKind::Gauge,
    "0 or 1",
    &[],
    "1 while an operator must mend something; `/readyz` says what",
);
pub(super) const WAITING: Metric = metric(
    "sluicegate_waiting",
    MetricKind::Gauge,
    "0 or 1",
    &[],
    "1 while something is waited for that heals by itself; `/readyz` says what",
);
pub(super) const BUILD: Metric =
    metric("sluicegate_build_info", MetricKind::Gauge, "1", &["version"], "The version that runs");

/// Every metric, in the order of docs/metrics.md.
pub static METRICS: &[Metric] = &[
    RECORDS_CONSUMED,
    RECORDS,
    RECORDS_REJECTED,
    LETTERS_CUT,
    ROWS_LANDED,
    ROWS_WITHOUT_VIEW,
    VALUES_DEFAULTED,
    VALUES_REPLACED,
    VALUES_CUT,
    UNKNOWN_FIELDS,
    ROWS_UNFILLED,
    VALUES_UNREACHED,
    RETRIES,
    COMMIT_FAILURES,
    REBALANCES,
    RETENTION_LOSSES,
    RECORDS_REPEATED,
    LOG_LINES_DROPPED,
    BATCH_ROWS,
    BATCH_BYTES,
    HOOK_SECONDS,
    HOOK_FAILURES,
    PLUGIN_COUNTER,
    LOOKUP_REFRESH_FAILURES,
    DECODE_SECONDS,
    STAGE_CPU_SECONDS,
    INSERT_SECONDS,
    LAG,
    FRESHNESS,
    PARTITIONS,
    IN_FLIGHT,
    BATCHES,
    BUDGET_USED,
    BUDGET_LIMIT,
    LOOKUP_ROWS,
    LOOKUP_MEMORY,
    LOOKUP_AGE,
    BRAKE_SHARE,
    BRAKE_HOLDS,
    LONGEST_WAIT,
    PAUSED,
    WAITING,
    BUILD,
];

impl Metric {
    fn labels(&self, values: &[&str]) -> Vec<Label> {
        let pairs = self.labels.iter().zip(values);
        pairs.map(|(name, value)| Label::new(*name, Plain(value).to_string())).collect()
    }

    pub(super) fn count(&self, values: &[&str], more: u64) {
        counter!(self.name, self.labels(values)).increment(more);
    }

    pub(super) fn measure(&self, values: &[&str], value: f64) {
        histogram!(self.name, self.labels(values)).record(value);
    }

    pub(super) fn set(&self, values: &[&str], value: f64) {
        gauge!(self.name, self.labels(values)).set(value);
    }
}

/// The table of docs/metrics.md, in Markdown, ending with a line break.
pub fn markdown_table() -> String {
    let rows = METRICS.iter().map(|metric| {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|name| format!("`{name}`")).collect();
        let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        let Metric { name, unit, help, .. } = metric;
        format!("| `{name}` | {kind} | {unit} | {labels} | {help} |\n")
    });
    "| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n".to_owned()
        + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_docs_is_this_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let docs = std::fs::read_to_string(path).unwrap();
        let expected = markdown_table();
        assert!(
            docs.contains(&expected),
            "the table of docs/metrics.md should read:\n\n{expected}"
        );
    }

    #[test]
    fn what_the_docs_ask_and_alert_on_is_measured() {
        let docs = include_str!("../../../docs/metrics.md");
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        for (at, _) in docs.match_indices("sluicegate_") {
            let name = docs.get(at..).and_then(|rest| rest.split(ends).next()).unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"].iter();
            let base = of_histogram.fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
            let is_known = METRICS.iter().any(|metric| [name, base].contains(&metric.name));
            assert!(is_known, "{name}");
        }
        let alerts: Vec<&str> =
            docs.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        assert!(alerts.len() >= 9, "{alerts:?}");
        for alert in alerts {
            assert!(docs.contains(&format!("\n| {alert} |")), "what to do at {alert} is not said");
        }
    }

    #[test]
    fn names_say_prefix_kind_and_unit_and_stand_once() {
        for (at, metric) in METRICS.iter().enumerate() {
            let Metric { name, kind, unit, .. } = metric;
            assert!(name.starts_with("sluicegate_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == MetricKind::Counter, "{name}");
            if ["seconds", "bytes"].contains(unit) {
                assert!(name.ends_with(&format!("_{unit}")), "{name}");
            }
            assert!(METRICS[at + 1..].iter().all(|other| other.name != *name), "{name}");
        }
    }

    #[test]
    fn buckets_rise() {
        for metric in METRICS {
            if let MetricKind::Histogram(bounds) = metric.kind {
                assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{}", metric.name);
            }
        }
    }
}
