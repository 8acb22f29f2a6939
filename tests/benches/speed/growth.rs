//! How cost grows with its input: `cargo xtask bench --growth`. Nothing may grow faster than what it is
//! made of.

use std::fmt::Write as _;
use std::hint::black_box;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use sluicegate::check::check;
use sluicegate::decode::{decode, judge_text};
use sluicegate::schema::plan::{Rules, TablePlan};
use sluicegate_instructions::data::{self, DataSet, Records, alike, schema_of};

use crate::clock::{median, of_process, of_this_thread};
use crate::host::Servers;
use crate::kafka::produce;

const COLUMNS: [usize; 7] = [5, 10, 25, 50, 100, 250, 500];
const SIZES: [usize; 6] = [200, 1_000, 5_000, 20_000, 50_000, 100_000];
const SHARES: [f64; 6] = [0.0, 0.01, 0.1, 0.25, 0.5, 1.0];
const THREADS: [usize; 2] = [1, 2];
const PARTITIONS: [DataSet; 4] =
    [alike("alike_1", 1), alike("alike_4", 4), alike("alike_16", 16), alike("alike_64", 64)];
/// Most records that are alike: the mock broker keeps 5 MB of a partition, some 5 bytes a record.
const MOST_ALIKE: usize = 500_000;
/// What each point of a curve reads at least, in bytes, so that it takes long enough to be timed.
const BYTES: usize = 8_000_000;
const TYPES: [&str; 5] =
    ["UInt32", "Float64", "String", "LowCardinality(String)", "DateTime64(3, 'UTC')"];

/// How much goes in, and what a record of it costs.
type Point = (f64, f64);

/// Cost over input.
struct Curve {
    name: &'static str,
    input: &'static str,
    cost: &'static str,
    /// Whether a record is more where the input is, so that it may cost more.
    is_more: bool,
    points: Vec<Point>,
}

impl Curve {
    /// How much faster than the input the cost grew at worst, from the first point on.
    fn worst(&self) -> f64 {
        let Some((first, cheapest)) = self.points.first() else { return 0.0 };
        let allowed = |input: f64| if self.is_more { input / first } else { 1.0 };
        let grown = self.points.iter().map(|(input, cost)| cost / cheapest / allowed(*input));
        grown.fold(0.0, f64::max)
    }

    /// A row of inputs and a row of costs, in Markdown.
    fn table(&self) -> String {
        let cells = |of: &dyn Fn(&Point) -> String| {
            self.points.iter().map(of).collect::<Vec<_>>().join(" | ")
        };
        let inputs = cells(&|(input, _)| input.to_string());
        let costs = cells(&|(_, cost)| match *cost {
            cost if cost < 100.0 => format!("{cost:.2}"),
            cost => format!("{cost:.0}"),
        });
        let rule = "---:|".repeat(self.points.len());
        format!("| {} | {inputs} |\n|---|{rule}\n| {} | {costs} |\n", self.input, self.cost)
    }
}

/// Every curve.
pub struct Growth(Vec<Curve>);

impl Growth {
    /// Measures in so many rounds; the host reads so many records in each.
    pub async fn measure(rounds: usize, records: usize) -> anyhow::Result<Self> {
        let (columns, bytes) = (("columns", "columns"), ("record size", "bytes of a record"));
        Ok(Self(vec![
            curve(columns, &COLUMNS, rounds, |count| wide(*count))?,
            curve(bytes, &SIZES, rounds, |size| long(*size))?,
            shares(rounds)?,
            threads(rounds)?,
            partitions(rounds, records).await?,
        ]))
    }

    /// A table for each.
    pub fn tables(&self) -> String {
        let mut tables = String::new();
        for curve in &self.0 {
            let of = if curve.is_more { "as fast as its input" } else { "the first" };
            // Writing to a String cannot fail.
            let _written = writeln!(
                tables,
                "**{}**: at worst {:.2} times {of}.\n\n{}",
                curve.name,
                curve.worst(),
                curve.table()
            );
        }
        tables
    }

    /// One object, with a list of pairs for each.
    pub fn json(&self) -> Value {
        let curves = self.0.iter().map(|curve| (curve.name.to_owned(), json!(curve.points)));
        Value::Object(curves.collect::<Map<_, _>>())
    }
}

/// A table and records for it.
type Input = (TablePlan, Vec<String>);

fn curve(
    (name, input): (&'static str, &'static str),
    inputs: &[usize],
    rounds: usize,
    of: impl Fn(&usize) -> anyhow::Result<Input>,
) -> anyhow::Result<Curve> {
    let made = inputs.iter().map(of).collect::<anyhow::Result<Vec<_>>>()?;
    let mut taken = vec![Vec::new(); inputs.len()];
    for _ in 0..rounds {
        for ((plan, records), taken) in made.iter().zip(&mut taken) {
            let before = of_this_thread();
            let rows = black_box(decode(plan, (0..).zip(records.iter().map(String::as_bytes))));
            let took = of_this_thread().saturating_sub(before);
            anyhow::ensure!(rows.batch.num_rows() == records.len(), "{name}: a record is refused");
            taken.push(took.as_nanos() as f64 / records.len() as f64);
        }
    }
    let inputs = inputs.iter().map(|input| *input as f64);
    let cost = "decode, CPU ns a record";
    Ok(Curve { name, input, cost, is_more: true, points: points(inputs, &taken) })
}

fn points(inputs: impl Iterator<Item = f64>, taken: &[Vec<f64>]) -> Vec<Point> {
    inputs.zip(taken.iter().map(|taken| median(taken))).collect()
}

fn plan(columns: &[(String, &str)]) -> anyhow::Result<TablePlan> {
    let columns = columns.iter().map(|(name, ty)| (name.as_str(), *ty));
    let plan = TablePlan::new(&schema_of("t", columns)?, &Rules::default());
    plan.ok().context("no plan")
}

/// Records of so many columns.
fn wide(count: usize) -> anyhow::Result<Input> {
    let types = TYPES.iter().cycle().copied();
    let columns: Vec<(String, &str)> =
        types.take(count).enumerate().map(|(at, ty)| (format!("column_{at}"), ty)).collect();
    let record = |number: usize| {
        let fields = columns.iter().enumerate().map(|(at, (name, ty))| {
            let number = number * 31 + at;
            match *ty {
                "UInt32" => format!("\"{name}\":{}", number % 1_000_000),
                "Float64" => format!("\"{name}\":{}.{}", number % 1_000, number % 97),
                "String" => format!("\"{name}\":\"text {number}\""),
                "LowCardinality(String)" => format!("\"{name}\":\"label {}\"", number % 20),
                _ => format!(
                    "\"{name}\":\"2026-03-01T10:{:02}:00.{:03}Z\"",
                    number % 60,
                    number % 1_000
                ),
            }
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    };
    let count = BYTES / record(0).len();
    Ok((plan(&columns)?, (0..count).map(record).collect()))
}

/// Records of so many bytes: a text that is wanted, and as much that is not.
fn long(size: usize) -> anyhow::Result<Input> {
    let columns = [("id".to_owned(), "UInt64"), ("body".to_owned(), "String")];
    let words = |bytes: usize| "a word of text ".chars().cycle().take(bytes).collect::<String>();
    let half = size.saturating_sub(50) / 2;
    let (body, other) = (words(half), words(half));
    let record = |id| format!(r#"{{"id":{id},"body":"{body}","other":{{"more":"{other}"}}}}"#);
    Ok((plan(&columns)?, (0..BYTES / size).map(record).collect()))
}

/// Telemetry of which more and more is broken, judged to the end.
fn shares(rounds: usize) -> anyhow::Result<Curve> {
    let [telemetry, ..] = data::ALL;
    let plan = telemetry.plan()?;
    let made = SHARES.map(|share| Records::of(&telemetry, 10_000, share));
    let mut taken = SHARES.map(|_| Vec::new());
    for _ in 0..rounds {
        for (records, taken) in made.iter().zip(&mut taken) {
            let before = of_this_thread();
            let rows = decode(&plan, (0..).zip(records.iter()));
            black_box(check(&plan, rows, Vec::new(), judge_text));
            let took = of_this_thread().saturating_sub(before);
            taken.push(took.as_nanos() as f64 / records.len() as f64);
        }
    }
    let inputs = SHARES.iter().map(|share| share * 100.0);
    let (input, cost) = ("% bad", "decode and check, CPU ns a record");
    Ok(Curve { name: "bad share", input, cost, is_more: false, points: points(inputs, &taken) })
}

/// Telemetry on so many threads, each with a batch of its own.
fn threads(rounds: usize) -> anyhow::Result<Curve> {
    let [telemetry, ..] = data::ALL;
    let (plan, records) = (telemetry.plan()?, Records::of(&telemetry, 25_000, 0.0));
    let (plan, records) = (&plan, &records);
    let mut taken = THREADS.map(|_| Vec::new());
    for _ in 0..rounds {
        for (count, taken) in THREADS.iter().zip(&mut taken) {
            let before = of_process(std::process::id())?;
            std::thread::scope(|scope| {
                for _ in 0..*count {
                    scope.spawn(move || black_box(decode(plan, (0..).zip(records.iter()))));
                }
            });
            let took = of_process(std::process::id())?.saturating_sub(before);
            taken.push(took.as_nanos() as f64 / (records.len() * count) as f64);
        }
    }
    let inputs = THREADS.iter().map(|count| *count as f64);
    let (input, cost) = ("threads", "decode, CPU ns a record");
    Ok(Curve { name: "threads", input, cost, is_more: false, points: points(inputs, &taken) })
}

/// The host, with so many partitions.
async fn partitions(rounds: usize, records: usize) -> anyhow::Result<Curve> {
    let (servers, records) = (Servers::start().await?, records.min(MOST_ALIKE));
    for set in &PARTITIONS {
        servers.kafka.create_topic(set.name, u32::try_from(set.partitions)?).await?;
        produce(servers.kafka.kafka(), set, records)?;
    }
    let mut taken = PARTITIONS.map(|_| Vec::new());
    for round in 0..rounds {
        for (set, taken) in PARTITIONS.iter().zip(&mut taken) {
            let table = format!("{}_{round}", set.name);
            taken.push(servers.run(set, (records, records), &table).await?.host);
        }
    }
    let inputs = PARTITIONS.iter().map(|set| f64::from(set.partitions));
    let (input, cost) = ("partitions", "host, CPU s a million records");
    Ok(Curve { name: "partitions", input, cost, is_more: false, points: points(inputs, &taken) })
}
