//! One thread, in this process: what decode costs for a record, beside what it could cost.

use std::hint::black_box;

use anyhow::ensure;
use serde::de::IgnoredAny;
use sluicegate::check::check;
use sluicegate::cli::telemetry::Broken;
use sluicegate::clickhouse::{Body, Table};
use sluicegate::config::Compression;
use sluicegate::decode::{decode, judge_text, seed_path};
use sluicegate::flow::rows::Rows;
use sluicegate::schema::plan::TablePlan;
use sluicegate_instructions::data::{DataSet, Records};

use crate::clock::{median, of_this_thread};
use crate::naive;

/// Records of a batch.
const RECORDS: usize = 25_000;

/// How a batch is decoded by serde: what the decoder is held against.
fn by_serde(plan: &TablePlan, records: &Records) -> Rows {
    seed_path(plan, (0..).zip(records.iter()))
}

fn decoded(plan: &TablePlan, records: &Records) -> Rows {
    decode(plan, (0..).zip(records.iter()))
}

/// The records of a data set, and what each way of reading them took of the thread's CPU time.
pub struct Single {
    plan: TablePlan,
    table: Table,
    /// None broken, one in a hundred, one in five.
    shares: [Records; 3],
    /// In nanoseconds for a record, a value a round.
    taken: Taken,
}

#[derive(Default)]
struct Taken {
    decode: [Vec<f64>; 3],
    seed_path: Vec<f64>,
    skip: Vec<f64>,
    naive: Vec<f64>,
    ipc: Vec<f64>,
}

/// Medians over the rounds, in nanoseconds for a record.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Bytes of a record.
    pub bytes: f64,
    /// JSON to a record batch.
    pub decode: f64,
    /// The same with one record in a hundred broken.
    pub bad1: f64,
    /// The same with one in five.
    pub bad20: f64,
    /// The same by serde.
    pub seed_path: f64,
    /// UTF-8 and JSON syntax alone.
    pub skip: f64,
    /// By way of `serde_json::Value` and Arrow's builders.
    pub naive: f64,
    /// A record batch to the body of an INSERT.
    pub ipc: f64,
}

impl Single {
    /// Makes the records, and looks whether all that is measured tells the good from the bad.
    ///
    /// # Errors
    /// It does not.
    pub fn new(set: &DataSet) -> anyhow::Result<Self> {
        let table = set.table()?;
        let shares = [0.0, 0.01, 0.2].map(|share| Records::of(set, RECORDS, share));
        let single = Self { plan: set.plan()?, table, shares, taken: Taken::default() };
        single.verify()?;
        Ok(single)
    }

    fn verify(&self) -> anyhow::Result<()> {
        let plan = &self.plan;
        for records in &self.shares {
            let good = records.len() - records.broken.len();
            let checked = check(plan, decoded(plan, records), Vec::new(), judge_text);
            let rows = checked.batch.num_rows();
            ensure!(rows == good, "decode takes {rows} records of {good} that are good");
            let naive = naive::decode(plan, records.iter())?;
            let twice = records.broken.iter().filter(|way| **way == Broken::Duplicate).count();
            let rows = naive.num_rows();
            ensure!(rows == good + twice, "the naive path takes {rows} records of {good}");
            ensure!(twice > 0 || naive == checked.batch, "the naive path gives other rows");
        }
        Ok(())
    }

    /// Measures each once.
    ///
    /// # Errors
    /// The naive path does not know a type.
    pub fn round(&mut self) -> anyhow::Result<()> {
        let (plan, taken) = (&self.plan, &mut self.taken);
        let [clean, ..] = &self.shares;
        for (records, taken) in self.shares.iter().zip(&mut taken.decode) {
            taken.push(ns_a_record(|| decoded(plan, records)).0);
        }
        let (ns, rows) = ns_a_record(|| by_serde(plan, clean));
        taken.seed_path.push(ns);
        taken.skip.push(ns_a_record(|| clean.iter().filter(|record| is_json(record)).count()).0);
        let (ns, naive) = ns_a_record(|| naive::decode(plan, clean.iter()));
        taken.naive.push(ns);
        naive?;
        taken.ipc.push(ns_a_record(|| Body::of(&self.table, &rows.batch, Compression::None)).0);
        Ok(())
    }

    /// The medians.
    pub fn costs(&self) -> Costs {
        let Taken { decode: [decode, bad1, bad20], seed_path, skip, naive, ipc } = &self.taken;
        let [clean, ..] = &self.shares;
        Costs {
            bytes: clean.size_bytes() as f64 / clean.len() as f64,
            decode: median(decode),
            bad1: median(bad1),
            bad20: median(bad20),
            seed_path: median(seed_path),
            skip: median(skip),
            naive: median(naive),
            ipc: median(ipc),
        }
    }
}

fn is_json(record: &[u8]) -> bool {
    let text = std::str::from_utf8(record);
    text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn ns_a_record<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before = of_this_thread();
    let done = black_box(work());
    let took = of_this_thread().saturating_sub(before);
    (took.as_nanos() as f64 / RECORDS as f64, done)
}
