//! `sluicegate schema infer`: a table for records, or which records do not fit a table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::ArgGroup;

use super::against::against;
use super::sample::Sample;
use super::{Exit, misconfigured, print, read, table, warn};
use crate::cli::print::note;
use crate::config::{Kafka, TableConfig, TargetName, Warning, split_from_env};
use crate::infer::{Column, Survey, create_table, records, remark, unfilled};
use crate::schema::quoted::identifier;

/// Most characters of a fault's text.
const SHOWN: usize = 300;

const HELP: &str = "\
stdout is SQL alone: CREATE TABLE with the evidence for each column as a comment, or, with
--against-table, what does not fit as comments and ALTER TABLE ... ADD COLUMN for fields without a
column. The rules are in docs/infer.md.

A topic is read with the KAFKA_* variables of `run`; no group is joined and nothing is committed. RECORD_SPLIT
holds for the payloads of a topic and for the lines or elements of a file alike.
Nothing is written to ClickHouse, which is asked only with --against-table.

Exit codes:
  0   done; with --against-table: every record would land, and every field has a column
  1   no table can be inferred, or something outside of the configuration is wrong: a broker, the topic,
      the file, the server, the table
  3   with --against-table: some records would be rejected
  4   with --against-table: all records would land, and some fields have no column
  64  the configuration is wrong; every broken rule is listed";

/// Some records would be rejected.
pub const EXIT_REJECTED: u8 = 3;
/// Some fields have no column.
pub const EXIT_UNFILLED: u8 = 4;

/// Options of `sluicegate schema infer`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP, group = ArgGroup::new("records").required(true).args(["topic", "file"]))]
pub struct InferArgs {
    /// Read the newest records of this topic, spread over its partitions.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Read the first records of this file: .ndjson or .jsonl with one a line, .json with one array; `-` is
    /// stdin, one a line.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Most records to read.
    #[arg(long, value_name = "RECORDS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sample: u32,
    /// Say what does not fit the table of CLICKHOUSE_TABLE, by the rules that are set for `run`.
    #[arg(long)]
    against_table: bool,
    /// Longest wait for Kafka, and for ClickHouse before it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout_s: u64,
}

/// Reads the records and prints the SQL.
pub fn infer_schema(args: &InferArgs) -> Result<(), Exit> {
    // Faults in the variables are reported before anything is read.
    let (name, how) = (read(TargetName::from_env)?, read(split_from_env)?);
    let against_table = args.against_table.then(|| read(TableConfig::from_env)).transpose()?;
    let kafka = args.topic.as_ref().map(|_| read(Kafka::cluster_from_env)).transpose()?;
    let mut warnings: Vec<Warning> = Vec::new();
    let of_table = against_table.iter().flat_map(|(_, warnings)| warnings);
    for warning in of_table.chain(kafka.iter().flat_map(|(_, warnings)| warnings)) {
        // Both readers report an unknown name.
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    warn(&warnings);
    let timeout = Duration::from_secs(args.timeout_s);
    let there =
        against_table.map(|(config, _)| table(&config, timeout).map(|there| (config, there)));
    let there = there.transpose()?;
    let most = usize::try_from(args.sample).unwrap_or(usize::MAX);
    let sample = match (&args.topic, kafka, &args.file) {
        (Some(topic), Some((kafka, _)), _) => Sample::of_topic(kafka, topic, how, most, timeout)?,
        (_, _, Some(file)) => Sample::of_file(file, how, most)?,
        _ => return Err(misconfigured(anyhow!("give --topic or --file"))),
    };
    let survey = Survey::of(&sample.batch, &sample.split);
    match there {
        Some((config, (schema, plan))) => against(&config, &schema, &plan, &sample, &survey),
        None => infer(&name, &sample, &survey),
    }
}

fn infer(name: &TargetName, sample: &Sample, survey: &Survey) -> Result<(), Exit> {
    tell_unusable(sample, survey);
    let origin = &sample.origin;
    if survey.records() == 0 {
        return Err(
            anyhow!("no record of {origin} is a JSON object that a table could take").into()
        );
    }
    let columns = Column::of(survey, (&sample.batch, &sample.split.payloads), None, |_| true);
    tell_cases(&columns);
    let table = identifier(name.table.as_deref().unwrap_or(&sample.name));
    let table = match &name.database {
        Some(database) => format!("{}.{table}", identifier(database)),
        None => table,
    };
    let unfilled = unfilled(&columns, survey, (&sample.batch, &sample.split.payloads));
    let sql = create_table(&table, origin, survey, &columns, unfilled);
    print(&sql.ok_or_else(|| anyhow!("no field of {origin} yields a column"))?)
}

/// Reports which records do not count.
fn tell_unusable(sample: &Sample, survey: &Survey) {
    if survey.tombstones > 0 {
        note(format_args!("left out: {} without a payload", records(survey.tombstones)));
    }
    if survey.empty > 0 {
        let messages = records(survey.empty);
        note(format_args!("left out: {messages} whose payload holds none (RECORD_SPLIT)"));
    }
    for (origin, fault) in &survey.told {
        let text = remark(&fault.to_string(), SHOWN);
        note(format_args!("left out: {}: {}: {text}", sample.place(*origin), fault.reason));
    }
    let more = survey.unusable.saturating_sub(survey.told.len() as u64);
    if more > 0 {
        note(format_args!("left out: {more} more that no table takes"));
    }
}

/// Reports the columns that FIELD_CASE=insensitive would not distinguish.
fn tell_cases(columns: &[Column]) {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for column in columns.iter().filter(|column| column.type_text().is_some()) {
        if let Some(other) = known.insert(column.name().to_lowercase(), column.name()) {
            let (one, two) = (remark(other, SHOWN), remark(column.name(), SHOWN));
            note(format_args!(
                "warning: columns \"{one}\" and \"{two}\" differ only by case, which \
                 FIELD_CASE=insensitive refuses"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn records_are_of_a_topic_or_of_a_file() {
        let parsed = |options: &[&str]| {
            Cli::try_parse_from([&["sluicegate", "schema", "infer"], options].concat())
        };
        assert!(parsed(&["--topic", "t", "--against-table"]).is_ok());
        assert!(parsed(&["--file", "f.ndjson", "--sample", "1"]).is_ok());
        assert!(parsed(&["--topic", "t", "--file", "f.ndjson"]).is_err());
        let missing = parsed(&[]).unwrap_err().to_string();
        assert!(missing.contains("--topic <TOPIC>|--file <FILE>"), "{missing}");
        assert!(Cli::try_parse_from(["sluicegate", "schema", "--timeout-s", "1"]).is_ok());
    }
}
