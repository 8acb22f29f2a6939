//! The result of the demo: the ledger, the dead letters by reason, the rate, and the answers to two
//! queries.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers as _;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use serde_json::{Value, json};
use sluicegate_local::LocalStack;

use super::host::HostRun;
use super::plugins::Cost;
use super::{DEAD_LETTER_PARTITIONS, DEAD_LETTER_TOPIC};
use crate::cli::print::{say, say_lines};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Most characters of an example payload.
const EXAMPLE_CHARS: usize = 100;

/// The dead letters of one reason.
#[derive(Default)]
struct Letters {
    count: u64,
    message: String,
    payload: String,
}

/// The demo's result.
pub struct DemoReport {
    run: HostRun,
    letters: BTreeMap<String, Letters>,
    answers: Vec<(String, String)>,
    costs: Vec<Cost>,
}

impl DemoReport {
    /// Reads the dead letter topic and queries the table.
    pub async fn gather(
        stack: &LocalStack,
        table: &str,
        questions: Vec<String>,
        run: HostRun,
        costs: Vec<Cost>,
    ) -> anyhow::Result<Self> {
        let brokers = stack.kafka().to_owned();
        let letters = crate::base::blocking::run_blocking(move || dead_letters(&brokers)).await?;
        let mut answers = Vec::new();
        for question in questions {
            let answer = stack.query(&format!("{question} FORMAT PrettyCompactMonoBlock")).await?;
            answers.push((question, answer));
        }
        let report = Self { run, letters, answers, costs };
        let rows = stack.query(&format!("SELECT count() FROM {table}")).await?;
        anyhow::ensure!(
            rows.trim() == report.count("landed").to_string(),
            "the table holds {} rows, the ledger says {}",
            rows.trim(),
            report.count("landed")
        );
        Ok(report)
    }

    fn count(&self, name: &str) -> u64 {
        self.run.ledger.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    fn rows_per_second(&self) -> f64 {
        let seconds = self.run.elapsed.as_secs_f64();
        if seconds > 0.0 { self.count("landed") as f64 / seconds } else { 0.0 }
    }

    /// One JSON object: counts of records, seconds, rows per second.
    pub fn json(&self) -> Value {
        json!({
            "consumed": self.count("consumed"),
            "inserted": self.count("landed"),
            "dead_lettered": self.count("dead_lettered"),
            "skipped": self.count("skipped"),
            "dropped": self.count("dropped"),
            "seconds": self.run.elapsed.as_secs_f64(),
            "host_cpu_seconds": self.run.cpu_seconds,
            "rows_per_second": self.rows_per_second(),
            "plugin_seconds": self.costs.iter().map(|cost| (cost.name, cost.seconds)).collect::<BTreeMap<_, _>>(),
        })
    }

    /// Prints the report.
    pub fn print(&self) {
        say("ledger (records)");
        for name in ["consumed", "landed", "dead_lettered", "dropped", "skipped", "in_flight"] {
            say(format_args!("  {name:<14}{:>12}", self.count(name)));
        }
        if !self.letters.is_empty() {
            say_lines("\ndead letters by reason, with an example of each");
        }
        for (reason, letters) in &self.letters {
            say(format_args!("  {reason:<18}{:>8}  {}", letters.count, letters.message));
            say(format_args!("  {:<28}{}", "", letters.payload));
        }
        say_lines(format_args!(
            "\n{:.0} rows/s over {:.1} s; {:.2} CPU-seconds of the host ({:.2} for a million \
             records). Broker, engine and host share this machine; the engine runs async inserts \
             synchronously.",
            self.rows_per_second(),
            self.run.elapsed.as_secs_f64(),
            self.run.cpu_seconds,
            self.run.cpu_seconds * 1e6 / self.count("consumed").max(1) as f64,
        ));
        for Cost { name, seconds } in &self.costs {
            let records = self.count("consumed").max(1) as f64;
            say(format_args!(
                "plugin {name}: {:.0} ns a record, {seconds:.2} of those seconds",
                seconds / records * 1e9
            ));
        }
        for (question, answer) in &self.answers {
            say_lines(format_args!("\n{question}\n{}", answer.trim_end()));
        }
    }
}

fn dead_letters(brokers: &str) -> anyhow::Result<BTreeMap<String, Letters>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "sluicegate-demo-report")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .create()?;
    let (mut list, mut written) = (TopicPartitionList::new(), 0);
    for partition in 0..i32::try_from(DEAD_LETTER_PARTITIONS)? {
        let (low, high) = consumer.fetch_watermarks(DEAD_LETTER_TOPIC, partition, TIMEOUT)?;
        list.add_partition_offset(DEAD_LETTER_TOPIC, partition, Offset::Offset(low))?;
        written += high - low;
    }
    consumer.assign(&list)?;
    let mut letters: BTreeMap<String, Letters> = BTreeMap::new();
    for _ in 0..written {
        let message = consumer.poll(TIMEOUT).context("reading the dead letter topic")??;
        let header = |name: &str| {
            let found = message.headers()?.iter().find(|header| header.key == name)?;
            Some(String::from_utf8_lossy(found.value?).into_owned())
        };
        let letters = letters.entry(header("failure_reason").unwrap_or_default()).or_default();
        letters.count += 1;
        if letters.count == 1 {
            let payload = String::from_utf8_lossy(message.payload().unwrap_or_default());
            letters.payload = payload.chars().take(EXAMPLE_CHARS).collect();
            letters.message = header("__connect.errors.exception.message").unwrap_or_default();
        }
    }
    Ok(letters)
}
