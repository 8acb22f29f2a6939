//! The work whose instructions are counted: `<stage> <data set> <percent bad> <records>`.
//!
//! However many records are worked on, all of them are made. So two runs that differ in that number
//! alone differ by the work on the records between, and by nothing of start or preparation.

use std::hint::black_box;

use anyhow::{Context as _, ensure};
use sluicegate::check::check;
use sluicegate::decode::{decode, judge_text, with_metadata};
use sluicegate::record::{Batch, RawRecord, TopicPartition};
use sluicegate::sink::Body;
use sluicegate_instructions::data::{ALL, DataSet, Records};

/// Records that are made.
const MADE: usize = 3_000;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [stage, set, percent_bad, count] = args.as_slice() else {
        anyhow::bail!("expected `<stage> <data set> <percent bad> <records>`");
    };
    let percent_bad: u32 = percent_bad.parse().context("percent bad")?;
    let count: usize = count.parse().context("records")?;
    ensure!(count <= MADE, "only {MADE} records are made");
    let set = ALL.into_iter().find(|known| known.name == set).context("no such data set")?;
    let records = Records::of(&set, MADE, f64::from(percent_bad) / 100.0);
    match stage.as_str() {
        "decode" => {
            let plan = set.plan()?;
            black_box(decode(&plan, (0..).zip(records.iter().take(count))));
            Ok(())
        }
        stage => path(stage, &set, &records, count),
    }
}

/// The path of a batch, up to this stage.
fn path(last: &str, set: &DataSet, records: &Records, count: usize) -> anyhow::Result<()> {
    let (plan, table) = (set.plan()?, set.table()?);
    let source = TopicPartition { topic: set.name.into(), partition: 0 };
    let mut batch = Batch::default();
    for (offset, payload) in (0..).zip(records.iter().take(count)) {
        let raw = RawRecord {
            offset,
            timestamp_ms: Some(offset),
            key: payload.get(..16),
            payload: Some(payload),
        };
        batch.push(&source, 1, &raw);
    }
    if last == "to-push" {
        black_box(batch);
        return Ok(());
    }
    let payloads =
        (0..).zip(batch.payloads()).filter_map(|(origin, payload)| Some((origin, payload?)));
    let rows = with_metadata(&plan, &batch, decode(&plan, payloads));
    if last == "to-decode" {
        black_box(rows);
        return Ok(());
    }
    let checked = check(&plan, rows, Vec::new(), judge_text);
    if last == "to-check" {
        black_box(checked);
        return Ok(());
    }
    ensure!(last == "to-body", "no stage {last}");
    black_box(Body::of(&table, &checked.batch).map_err(anyhow::Error::msg)?);
    Ok(())
}
