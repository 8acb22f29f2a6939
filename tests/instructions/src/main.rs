//! The work whose instructions are counted, on a batch of 3,000 records:
//! `<stage> <data set> <percent bad>`.
//!
//! Counted is what [`counted`] does, and nothing of start or preparation.

use std::hint::black_box;

use anyhow::{Context as _, bail};
use sluicegate::check::check;
use sluicegate::clickhouse::Body;
use sluicegate::config::Compression;
use sluicegate::decode::{decode, judge_text, with_metadata};
use sluicegate::flow::record::{Batch, RawRecord, TopicPartition};
use sluicegate_instructions::RECORDS;
use sluicegate_instructions::data::{ALL, Records};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [stage, set, percent_bad] = args.as_slice() else {
        bail!("expected `<stage> <data set> <percent bad>`");
    };
    let percent_bad: u32 = percent_bad.parse().context("percent bad")?;
    let set = ALL.into_iter().find(|known| known.name == set).context("no such data set")?;
    let plan = if stage == "lenient" { set.lenient_plan()? } else { set.plan()? };
    let table = set.table()?;
    let records = Records::of(&set, RECORDS, f64::from(percent_bad) / 100.0);
    let pushed = || pushed(set.name, &records);
    let decoded = |batch: &Batch| {
        let payloads = (0..).zip(batch.payloads());
        let payloads = payloads.filter_map(|(origin, payload)| Some((origin, payload?)));
        with_metadata(&plan, batch, decode(&plan, payloads))
    };
    let checked = |rows| check(&plan, rows, Vec::new(), judge_text);
    match stage.as_str() {
        "push" => drop(counted(pushed)),
        "decode" | "lenient" => {
            let batch = pushed();
            drop(counted(|| decoded(&batch)));
        }
        "check" => {
            let rows = decoded(&pushed());
            drop(counted(|| checked(rows)));
        }
        "body" => {
            let rows = checked(decoded(&pushed())).batch;
            drop(
                counted(|| Body::of(&table, &rows, Compression::None))
                    .map_err(anyhow::Error::msg)?,
            );
        }
        _ => bail!("no stage {stage}"),
    }
    Ok(())
}

/// Valgrind knows it by its name, so it stands alone.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// The records as the source puts them into a batch.
fn pushed(topic: &str, records: &Records) -> Batch {
    let partition = TopicPartition { topic: topic.into(), partition: 0 };
    let mut batch = Batch::default();
    for (offset, payload) in (0..).zip(records.iter()) {
        let (timestamp_ms, key) = (Some(offset), payload.get(..16));
        batch.push(&partition, 1, &RawRecord { offset, timestamp_ms, key, payload: Some(payload) });
    }
    batch
}
