//! Why records are rejected: counts by reason, each with an example's position.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::flow::record::{Batch, TopicPartition};
use crate::flow::rejection::{Fault, Reason, Rejection, cut};

/// How many reasons a pause names.
const TOLD: usize = 3;

/// Rejected records by reason. The reasons are shown, so they hold no value of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasons {
    of: BTreeMap<String, ReasonGroup>,
    total: u64,
}

/// Records rejected for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReasonGroup {
    records: u64,
    /// The position of one of them.
    at: Option<(TopicPartition, i64)>,
}

impl Reasons {
    /// The reasons of these rejections. `told` makes ClickHouse's text fit to be shown.
    pub fn of(batch: &Batch, rejections: &[Rejection], told: fn(&str) -> String) -> Self {
        let mut reasons = Self::default();
        for rejection in rejections {
            let at = || {
                let record = batch.record(rejection.origin)?;
                Some((record.partition.clone(), record.offset()))
            };
            let group = reasons.of.entry(words(rejection, told));
            group.or_insert_with(|| ReasonGroup { records: 0, at: at() }).records += 1;
            reasons.total += 1;
        }
        reasons
    }

    /// How many records were rejected.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds more; known positions stay.
    pub fn add(&mut self, more: &Self) {
        for (words, group) in &more.of {
            let known = self.of.entry(words.clone());
            known.or_insert_with(|| ReasonGroup { records: 0, at: group.at.clone() }).records +=
                group.records;
        }
        self.total += more.total;
    }

    /// Scales the counts from `of` records to `records`.
    pub fn part(&self, records: u64, of: u64) -> Self {
        let part = |count: u64| (count * records).checked_div(of).unwrap_or(0);
        let groups = self.of.iter().map(|(words, group)| {
            let ReasonGroup { records, at } = group;
            (words.clone(), ReasonGroup { records: part(*records), at: at.clone() })
        });
        Self { of: groups.collect(), total: part(self.total) }
    }

    /// The most frequent reasons, each with a position.
    pub fn top(&self) -> String {
        let mut groups: Vec<_> = self.of.iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.records));
        let mut text = String::new();
        for (words, ReasonGroup { records, at }) in groups.iter().take(TOLD) {
            let between = if text.is_empty() { "" } else { "; " };
            let _written = write!(text, "{between}{records} {words}");
            if let Some((TopicPartition { topic, partition }, offset)) = at {
                let _written = write!(
                    text,
                    ", such as at topic `{topic}`, partition {partition}, offset {offset}"
                );
            }
        }
        if let Some(others) = groups.get(TOLD..).filter(|others| !others.is_empty()) {
            let records: u64 = others.iter().map(|(_, group)| group.records).sum();
            let _written = write!(text, "; {records} for {} other reasons", others.len());
        }
        text
    }
}

/// The reason of a rejection without the record's values, which only the dead letter holds.
fn words(rejection: &Rejection, told: fn(&str) -> String) -> String {
    let Fault { reason, column, expected, got, .. } = &rejection.fault;
    match (rejection.stage.plugin(), reason, column) {
        // The plugin chooses the column and the text.
        (Some(plugin), ..) => format!("{reason} (plugin `{plugin}`)"),
        (None, Reason::InsertRefused, _) => format!("{reason} ({})", told(got)),
        // The column may be a field of the record, so the place in the schema is named.
        (None, Reason::SchemaViolation, _) | (None, _, None) => {
            format!("{reason} (expected {})", cut(expected))
        }
        (None, _, Some(column)) => {
            format!("{reason} in column `{column}` (expected {})", cut(expected))
        }
    }
}
