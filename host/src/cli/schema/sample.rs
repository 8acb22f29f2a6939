//! The records that a table is inferred from, read from a topic or a file.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;

use super::{Exit, misconfigured};
use crate::cli::input::{InputBounds, each_record};
use crate::cli::print::note;
use crate::config::Kafka;
use crate::decode::split::split;
use crate::flow::parts::Split;
use crate::flow::payloads::{Hooked, ROW_BYTES};
use crate::flow::record::MOST_RECORD_BYTES;
use crate::flow::record::{Batch, Origin, RawRecord, TopicPartition};
use crate::infer::{records, remark};
use crate::kafka::{Probe, SampleCut};

/// Most bytes of records in memory, with their keys and headers.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// Bytes that librdkafka may hold in addition, divided among its queues.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// The consumer's group if none is set. It is never joined.
const GROUP: &str = "sluicegate-schema-infer";
/// Longest name shown in a text.
const SHOWN: usize = 200;

/// Records, and their source.
pub struct Sample {
    /// The records as they were read.
    pub batch: Batch,
    /// The same, split.
    pub split: Hooked,
    /// The source, such as ``topic `t` ``.
    pub origin: String,
    /// A name for their table.
    pub name: String,
    /// The unit of an offset: lines or elements; empty for the offsets of a partition.
    unit: &'static str,
}

impl Sample {
    /// The position of a record.
    pub fn place(&self, origin: Origin) -> String {
        let Some(record) = self.batch.record(origin) else { return String::new() };
        match self.unit {
            "" => format!("{} offset {}", record.partition, record.offset()),
            unit => format!("{unit} {}", record.offset()),
        }
    }

    /// Reads the newest records of a topic, and reports what was read.
    pub fn of_topic(
        mut kafka: Kafka,
        topic: &str,
        how: Split,
        most: usize,
        timeout: Duration,
    ) -> Result<Self, Exit> {
        if kafka.group_id.is_empty() {
            GROUP.clone_into(&mut kafka.group_id);
        }
        let probe = Probe::new(&kafka, BUDGET_BYTES, timeout).map_err(misconfigured)?;
        let sample = probe
            .newest("--topic", topic, most, MAX_BYTES)
            .map_err(|hold| anyhow!(hold.text().to_owned()))?;
        let (read, partitions) = (records(sample.batch.len().into()), sample.partitions);
        let origin = format!("topic `{}`", remark(topic, SHOWN));
        let end = match sample.cut {
            None => "",
            Some(SampleCut::Bytes) => "; more would be over 256 MiB",
            Some(SampleCut::Time) => "; --timeout-s ended it before all were read",
        };
        if sample.batch.is_empty() {
            return Err(anyhow!("{origin} holds no record to read{end}").into());
        }
        let noun = if partitions == 1 { "partition" } else { "partitions" };
        let read = match sample.cut {
            None => format!("the newest {read}"),
            Some(_) => format!("{read}, the oldest of the newest {most}"),
        };
        note(format_args!("{origin}: {read}, of {partitions} {noun}{end}"));
        Ok(Self::split(sample.batch, how, origin, topic.to_owned(), ""))
    }

    /// Reads the first records of a file, and reports what was read.
    pub fn of_file(path: &Path, how: Split, most: usize) -> Result<Self, Exit> {
        let (mut batch, partition) =
            (Batch::default(), TopicPartition { topic: "".into(), partition: 0 });
        let bounds = InputBounds { records: most, bytes: MAX_BYTES };
        let is_cut = each_record("--file", path, bounds, |offset, payload| {
            let payload = Some(payload);
            batch.push(&partition, 0, &RawRecord { offset, payload, ..RawRecord::default() });
        })?;
        let (stem, is_stdin) = (path.file_stem().unwrap_or_default(), path == Path::new("-"));
        let (origin, name) = match is_stdin {
            true => ("stdin".to_owned(), "records".to_owned()),
            false => {
                let origin = format!("file `{}`", remark(&path.to_string_lossy(), SHOWN));
                (origin, stem.to_string_lossy().into_owned())
            }
        };
        if batch.is_empty() {
            return Err(anyhow!("{origin} holds no record").into());
        }
        let read = records(batch.len().into());
        let cut = if is_cut { "; --sample reads more, to 256 MiB" } else { "" };
        let first = if is_cut { "the first " } else { "" };
        note(format_args!("{origin}: {first}{read}{cut}"));
        let is_array = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        let unit = if is_array { "element" } else { "line" };
        Ok(Self::split(batch, how, origin, name, unit))
    }

    fn split(batch: Batch, how: Split, origin: String, name: String, unit: &'static str) -> Self {
        let mut room = MAX_BYTES;
        let fits = |(_, payload): &(Origin, &[u8])| {
            let left = room.checked_sub(how.parts_at_most(payload) * ROW_BYTES);
            room = left.unwrap_or_default();
            left.is_some()
        };
        let payloads = (0..batch.len()).filter_map(|at| Some((at, batch.payload(at)?)));
        let of = payloads.clone().count();
        let origins: Vec<Origin> = payloads.take_while(fits).map(|(origin, _)| origin).collect();
        if origins.len() < of {
            let first = records(origins.len() as u64);
            note(format_args!(
                "left out: all but the first {first}, which hold too many (RECORD_SPLIT)"
            ));
        }
        let split = split(&batch, how, &origins, MOST_RECORD_BYTES);
        Self { batch, split, origin, name, unit }
    }
}
