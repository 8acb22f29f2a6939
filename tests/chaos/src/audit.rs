//! Where each record ended, by partition and offset.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde::Serialize;
use sluicegate_tests::{GROUP, Job, TABLE, TOPIC};

use crate::letters::Letters;
use crate::stream::{BAD_AT, BAD_EVERY, Fate, Marked, REFUSED, bad_of, is_bad};

/// How many lost or doubled records of a partition are named.
const NAMED: usize = 3;

/// Most records that are looked at for those that are lost.
const MOST_NOT_THERE: usize = 100_000;

/// The table: a record's own partition and number, two values that follow from them, the place that
/// Kafka gave it, and the token that its row came under where that was planned. An expression, a
/// constraint and an index refuse some values. What it is partitioned by follows.
pub const COLUMNS: &str = "(p Int32, n Int64, note String, amount String, size Int64, \
                           spare String, value Float64 MATERIALIZED toFloat64(amount), \
                           kafka_partition Int32, kafka_offset Int64, \
                           landed_at DateTime64(3, 'UTC') MATERIALIZED now64(3), \
                           token LowCardinality(String), \
                           INDEX thrown_on throwIf(amount = 'nan', 'thrown on purpose') TYPE minmax, \
                           CONSTRAINT allowed CHECK amount != '-1') ENGINE = MergeTree \
                           ORDER BY kafka_offset PARTITION BY ";
/// The variable METADATA_COLUMNS that fills them.
pub const METADATA: &str = "kafka_partition=partition,kafka_offset=offset";

/// A record that is not where it should be, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it landed, once or several times, in milliseconds since 1970; never, where it is lost.
    pub landed_at_ms: Vec<i64>,
}

impl Found {
    fn lost(partition: i32, offset: i64) -> Self {
        Self { partition, offset, landed_at_ms: Vec::new() }
    }

    /// Whether it is nowhere; else it is in the table too often.
    pub fn is_lost(&self) -> bool {
        self.landed_at_ms.is_empty()
    }
}

/// What was counted.
#[derive(Debug, Default, Serialize)]
pub struct Audit {
    /// Records that were committed and are neither in the table nor in the dead letter topic.
    pub lost: i64,
    /// Rows too many: of records that landed more than once.
    pub doubled: i64,
    /// Rows that should not be: bad records in the table, rows of one record under the position of
    /// another.
    pub wrong: i64,
    /// Rows with another value than their record.
    pub changed: i64,
    /// Partitions that were not committed to their end though nothing was wrong for minutes.
    pub stuck: i64,
    /// Dead letters of records that nothing is wrong with.
    pub letters_wrong: i64,
    /// Dead letters too many; they are written at least once in either mode.
    pub letters_doubled: i64,
    /// Records that the hosts left uncommitted.
    pub unsettled: i64,
    /// The first of the lost and of the doubled, to look at.
    #[serde(skip)]
    pub found: Vec<Found>,
}

impl Audit {
    /// Counts. The hosts have ended.
    pub async fn of(job: &Job, letters: &Letters, expected: &Expected) -> anyhow::Result<Self> {
        let Expected { ends, marked, .. } = expected;
        let partitions = i32::try_from(ends.len())?;
        let committed = sluicegate_tests::committed(job.kafka(), GROUP, TOPIC, partitions)
            .context("reading what is committed")?;
        let mut audit = Self::default();
        for (partition, (end, committed)) in (0..).zip(ends.iter().zip(committed)) {
            audit.unsettled += end - committed;
            let of = Of { letters, expected, partition, end: *end, committed };
            audit.count_rows(job, &of).await?;
            audit.count_letters(&of);
        }
        let rows: i64 = job.query(&format!("SELECT count() FROM {TABLE}")).await?.parse()?;
        let known = format!(
            "SELECT count() FROM {TABLE} WHERE kafka_partition BETWEEN 0 AND {}",
            partitions - 1
        );
        audit.wrong += rows - job.query(&known).await?.parse::<i64>()?;
        for ((partition, offset), count) in letters.iter() {
            let is_in = usize::try_from(partition).ok().and_then(|index| ends.get(index));
            let is_due = is_bad(offset) || marked.contains_key(&(partition, offset));
            let is_right = is_due && is_in.is_some_and(|end| offset < *end);
            audit.letters_wrong += i64::from(!is_right);
            audit.letters_doubled += i64::from(count) - 1;
        }
        Ok(audit)
    }

    async fn count_rows(&mut self, job: &Job, of: &Of<'_>) -> anyhow::Result<()> {
        let Of { expected, partition, end, committed, .. } = of;
        let from = format!("FROM {TABLE} WHERE kafka_partition = {partition}");
        let is_right = format!(
            "n = kafka_offset AND p = kafka_partition AND kafka_offset < {end} AND {} AND amount NOT IN \
             ('{}')",
            is_good("kafka_offset"),
            REFUSED.join("', '")
        );
        let is_as_sent = is_as_sent(expected.narrowed_ms);
        let counted = job
            .query(&format!(
                "SELECT count(), countIf({is_right}), uniqExactIf(kafka_offset, {is_right}), \
                 uniqExactIf(kafka_offset, {is_right} AND kafka_offset < {committed}), \
                 countIf({is_right} AND NOT ({is_as_sent})) {from}"
            ))
            .await?;
        let counted: Vec<i64> = counted.split('\t').map(str::parse).collect::<Result<_, _>>()?;
        let [rows, right, landed, landed_of_committed, changed] =
            counted.try_into().map_err(|_| anyhow::anyhow!("an answer of other columns"))?;
        self.wrong += rows - right;
        self.changed += changed;
        self.doubled += right - landed;
        let elsewhere = self.not_due(job, of).await?;
        let lost = committed - bad_of(*committed) - landed_of_committed - elsewhere;
        self.lost += lost;
        if lost > 0 {
            self.find_lost(job, of).await?;
        }
        if right > landed {
            self.find_doubled(job, *partition, &from).await?;
        }
        Ok(())
    }

    /// How many of the marked records need not be in the table: those that must not, and those that
    /// are dead letters and not there.
    async fn not_due(&self, job: &Job, of: &Of<'_>) -> anyhow::Result<i64> {
        let mut elsewhere: BTreeSet<i64> = of.marked().map(|(offset, _)| offset).collect();
        let may_be_there: Vec<String> = of
            .marked()
            .filter(|(_, fate)| *fate == Fate::Either)
            .map(|(offset, _)| offset.to_string())
            .collect();
        for (offset, fate) in of.marked() {
            if fate == Fate::Either && of.letters.count(of.partition, offset) == 0 {
                elsewhere.remove(&offset);
            }
        }
        for some in may_be_there.chunks(10_000) {
            let there = format!(
                "SELECT DISTINCT kafka_offset FROM {TABLE} WHERE kafka_partition = {} AND kafka_offset \
                 IN ({})",
                of.partition,
                some.join(",")
            );
            for offset in job.query(&there).await?.lines() {
                elsewhere.remove(&offset.parse()?);
            }
        }
        Ok(i64::try_from(elsewhere.len())?)
    }

    fn count_letters(&mut self, of: &Of<'_>) {
        let mut named = 0;
        let bad = (BAD_AT..of.committed).step_by(usize::try_from(BAD_EVERY).unwrap_or(1));
        let refused = of.marked().filter(|(_, fate)| *fate == Fate::Letter);
        for offset in bad.chain(refused.map(|(offset, _)| offset)) {
            if of.letters.count(of.partition, offset) > 0 {
                continue;
            }
            self.lost += 1;
            if named < NAMED {
                named += 1;
                self.found.push(Found::lost(of.partition, offset));
            }
        }
    }

    async fn find_lost(&mut self, job: &Job, of: &Of<'_>) -> anyhow::Result<()> {
        let Of { partition, committed, .. } = of;
        let lost = job
            .query(&format!(
                "SELECT toInt64(number) FROM numbers({committed}) WHERE {} AND toInt64(number) \
                 NOT IN (SELECT kafka_offset FROM {TABLE} WHERE kafka_partition = {partition}) \
                 ORDER BY number LIMIT {MOST_NOT_THERE}",
                is_good("number")
            ))
            .await?;
        let mut named = 0;
        for offset in lost.lines().map(str::parse) {
            let offset = offset?;
            let is_elsewhere = expected_elsewhere(of, offset);
            if !is_elsewhere && named < NAMED {
                named += 1;
                self.found.push(Found::lost(*partition, offset));
            }
        }
        Ok(())
    }

    async fn find_doubled(&mut self, job: &Job, partition: i32, of: &str) -> anyhow::Result<()> {
        let doubled = job
            .query(&format!(
                "SELECT kafka_offset, arrayStringConcat(arraySort(groupArray(\
                 toString(toUnixTimestamp64Milli(landed_at)))), ' ') {of} \
                 GROUP BY kafka_offset HAVING count() > 1 ORDER BY kafka_offset LIMIT {NAMED}"
            ))
            .await?;
        for line in doubled.lines() {
            let (offset, landed) = line.split_once('\t').context("an answer of one column")?;
            let landed_at_ms = landed.split(' ').map(str::parse).collect::<Result<_, _>>()?;
            self.found.push(Found { partition, offset: offset.parse()?, landed_at_ms });
        }
        Ok(())
    }
}

/// What must be found.
#[derive(Debug, Default)]
pub struct Expected {
    /// What Kafka acknowledged, by partition.
    pub ends: Vec<i64>,
    /// The records that something is odd about.
    pub marked: Marked,
    /// When `size` was last an Int8, in milliseconds since 1970: an operator who narrows a column
    /// cuts what is in it; 0 for never.
    pub narrowed_ms: i64,
}

/// A partition.
struct Of<'a> {
    letters: &'a Letters,
    expected: &'a Expected,
    partition: i32,
    end: i64,
    committed: i64,
}

impl Of<'_> {
    /// Its marked records that are committed.
    fn marked(&self) -> impl Iterator<Item = (i64, Fate)> {
        let places = (self.partition, 0)..(self.partition, self.committed);
        self.expected.marked.range(places).map(|((_, offset), fate)| (*offset, *fate))
    }
}

/// Whether a record that is not in the table is where it may be instead.
fn expected_elsewhere(of: &Of<'_>, offset: i64) -> bool {
    match of.expected.marked.get(&(of.partition, offset)) {
        Some(Fate::Letter) => true,
        Some(Fate::Either) => of.letters.count(of.partition, offset) > 0,
        None => false,
    }
}

/// Whether a row has the values of its record; `note` may have been dropped and added again.
fn is_as_sent(narrowed_ms: i64) -> String {
    format!(
        "note IN ('a note', '') AND ((amount = toString(3 * n + p) AND size = n % 100) OR (amount = \
         concat(toString(3 * n + p), '.5') AND (size = 300 OR (size = 44 AND \
         toUnixTimestamp64Milli(landed_at) <= {narrowed_ms}))))"
    )
}

fn is_good(column: &str) -> String {
    format!("{column} % {BAD_EVERY} != {BAD_AT}")
}
