//! Where each record ended, by partition and offset.

use anyhow::Context as _;
use serde::Serialize;
use sluicegate_tests::{Job, TABLE};

use crate::letters::Letters;
use crate::stream::{BAD_AT, BAD_EVERY, PARTITIONS, bad_of, is_bad};

/// How many lost or doubled records of a partition are named.
const NAMED: usize = 3;

/// The table: a record's own partition and number, those that Kafka gave it, and the token that its
/// row came under where that was planned.
pub const COLUMNS: &str = "(p Int32, n Int64, note String, kafka_partition Int32, \
                           kafka_offset Int64, landed_at DateTime64(3, 'UTC') MATERIALIZED \
                           now64(3), token LowCardinality(String)) ENGINE = MergeTree \
                           PARTITION BY kafka_partition ORDER BY kafka_offset ";
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
    /// Rows and dead letters that should not be: bad records in the table, good ones
    /// dead-lettered, rows of one record under the position of another.
    pub wrong: i64,
    /// Dead letters too many; they are written at least once in either mode.
    pub letters_doubled: i64,
    /// Records that the hosts left uncommitted.
    pub unsettled: i64,
    /// The first of the lost and of the doubled, to look at.
    #[serde(skip)]
    pub found: Vec<Found>,
}

impl Audit {
    /// Counts; `ends` is what Kafka acknowledged, by partition. The hosts have ended.
    pub async fn of(
        job: &Job,
        letters: &Letters,
        ends: &[i64; PARTITIONS],
    ) -> anyhow::Result<Self> {
        let committed = job.committed().context("reading what is committed")?;
        let mut audit = Self::default();
        for (partition, (end, committed)) in (0..).zip(ends.iter().zip(committed)) {
            audit.unsettled += end - committed;
            audit.count_rows(job, partition, *end, committed).await?;
            audit.count_letters(letters, partition, committed);
        }
        let rows: i64 = job.query(&format!("SELECT count() FROM {TABLE}")).await?.parse()?;
        let known = format!(
            "SELECT count() FROM {TABLE} WHERE kafka_partition BETWEEN 0 AND {}",
            PARTITIONS - 1
        );
        audit.wrong += rows - job.query(&known).await?.parse::<i64>()?;
        for ((partition, offset), count) in letters.iter() {
            let is_in = usize::try_from(partition).ok().and_then(|index| ends.get(index));
            let is_right = is_bad(offset) && is_in.is_some_and(|end| offset < *end);
            audit.wrong += i64::from(!is_right);
            audit.letters_doubled += i64::from(count) - 1;
        }
        Ok(audit)
    }

    async fn count_rows(
        &mut self,
        job: &Job,
        partition: i32,
        end: i64,
        committed: i64,
    ) -> anyhow::Result<()> {
        let of = format!("FROM {TABLE} WHERE kafka_partition = {partition}");
        let is_right = format!(
            "n = kafka_offset AND p = kafka_partition AND kafka_offset < {end} AND {}",
            is_good("kafka_offset")
        );
        let counted = job
            .query(&format!(
                "SELECT count(), countIf({is_right}), uniqExactIf(kafka_offset, {is_right}), \
                 uniqExactIf(kafka_offset, {is_right} AND kafka_offset < {committed}) {of}"
            ))
            .await?;
        let counted: Vec<i64> = counted.split('\t').map(str::parse).collect::<Result<_, _>>()?;
        let [rows, right, landed, landed_of_committed] =
            counted.try_into().map_err(|_| anyhow::anyhow!("an answer of other columns"))?;
        self.wrong += rows - right;
        self.doubled += right - landed;
        let lost = committed - bad_of(committed) - landed_of_committed;
        self.lost += lost;
        if lost > 0 {
            self.find_lost(job, partition, committed).await?;
        }
        if right > landed {
            self.find_doubled(job, partition, &of).await?;
        }
        Ok(())
    }

    fn count_letters(&mut self, letters: &Letters, partition: i32, committed: i64) {
        let mut named = 0;
        let bad = (BAD_AT..committed).step_by(usize::try_from(BAD_EVERY).unwrap_or(1));
        for offset in bad.filter(|offset| letters.count(partition, *offset) == 0) {
            self.lost += 1;
            if named < NAMED {
                named += 1;
                self.found.push(Found::lost(partition, offset));
            }
        }
    }

    async fn find_lost(&mut self, job: &Job, partition: i32, committed: i64) -> anyhow::Result<()> {
        let lost = job
            .query(&format!(
                "SELECT toInt64(number) FROM numbers({committed}) WHERE {} AND toInt64(number) \
                 NOT IN (SELECT kafka_offset FROM {TABLE} WHERE kafka_partition = {partition}) \
                 ORDER BY number LIMIT {NAMED}",
                is_good("number")
            ))
            .await?;
        for offset in lost.lines() {
            self.found.push(Found::lost(partition, offset.parse()?));
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

fn is_good(column: &str) -> String {
    format!("{column} % {BAD_EVERY} != {BAD_AT}")
}
