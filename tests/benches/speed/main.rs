//! Where the CPU goes, beside its floors, in one run: `cargo xtask bench speed`.
//!
//! `single` measures decode on one thread of this process. `host` runs the host as an operator does,
//! between a mock Kafka and a real ClickHouse engine, each a process of its own, and splits its CPU
//! seconds into stages; `kafka` and `insert` measure what is left when the host does nothing. All of it
//! goes in rounds, so that what else the machine does falls on all alike, and `report` takes medians.

#![allow(missing_docs)]

mod aims;
mod clock;
mod compression;
mod growth;
mod host;
mod insert;
mod kafka;
mod limits;
mod naive;
mod picture;
mod report;
mod single;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use serde_json::Value;
use sluicegate_instructions::data::{self, DataSet};

use crate::compression::Compression;
use crate::growth::Growth;
use crate::host::Servers;
use crate::insert::Bodies;
use crate::limits::Limits;
use crate::report::{Measured, Report};
use crate::single::Single;

/// Rounds in this process for each round between the servers.
const ROUNDS_IN_PROCESS: usize = 3;

/// Where the CPU goes, beside its floors.
#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools)] // One for each flag.
pub struct Args {
    /// 200,000 records instead of two million; ends within five minutes.
    #[arg(long)]
    quick: bool,
    /// This data set alone; may be given more than once.
    #[arg(long, value_name = "NAME", value_parser = data::ALL.map(|set| set.name))]
    #[arg(conflicts_with_all = ["growth", "write_docs"])]
    set: Vec<String>,
    /// Records of each data set that the host reads in a round.
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// Rounds; medians are taken over them.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Write the figures to this file as one JSON object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure how cost grows with columns, record size, bad records, threads and partitions instead.
    #[arg(long)]
    growth: bool,
    /// Measure start, latency and memory against their bounds instead.
    #[arg(long)]
    limits: bool,
    /// Measure what it costs to compress the bodies of INSERTs instead.
    #[arg(long)]
    compression: bool,
    /// Write table and picture into docs/performance.md.
    #[arg(long)]
    write_docs: bool,
    #[command(flatten)]
    floor: kafka::Floor,
    /// What cargo passes to each bench.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn records(&self) -> usize {
        self.records.unwrap_or(if self.quick { 200_000 } else { 2_000_000 })
    }

    /// The data sets that are asked for, with room for the records.
    fn sets(&self) -> impl Iterator<Item = DataSet> {
        let is_asked =
            |set: &DataSet| self.set.is_empty() || self.set.iter().any(|of| of == set.name);
        data::ALL.into_iter().filter(is_asked).map(|set| set.holding(self.records()))
    }

    /// Prints the text, and writes what is asked for.
    fn give(&self, name: &str, text: &str, json: &Value) -> anyhow::Result<()> {
        print!("{text}");
        if let Some(file) = &self.json {
            std::fs::write(file, format!("{json}\n"))
                .with_context(|| format!("{}", file.display()))?;
        }
        self.write_into_docs(name, text)
    }

    /// Writes the text into docs/performance.md, if that is asked for.
    fn write_into_docs(&self, name: &str, text: &str) -> anyhow::Result<()> {
        if !self.write_docs {
            return Ok(());
        }
        let (records, rounds) = (self.records(), self.rounds);
        let mode = match name {
            "growth" | "limits" | "compression" => format!(" --{name}"),
            _ => String::new(),
        };
        let command = format!("speed{mode} --records {records} --rounds {rounds}");
        report::write_docs(name, &command, text)
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.floor.is_asked() {
        return kafka::consume_and_drop(&args.floor);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let (rounds, records) = (args.rounds, args.records());
    if args.growth {
        let growth = runtime.block_on(Growth::measure(rounds, records))?;
        return args.give("growth", &growth.tables(), &growth.json());
    }
    if args.limits {
        let limits = runtime.block_on(Limits::measure(rounds, records, args.sets()))?;
        return args.give("limits", &limits.table(), &limits.json());
    }
    if args.compression {
        let compression = runtime.block_on(Compression::measure(rounds, records, args.sets()))?;
        return args.give("compression", &compression.table(), &compression.json());
    }
    let report = runtime.block_on(measure(&args))?;
    args.give("speed", &report.table(), &report.json())?;
    let aims = aims::table(&report.sets);
    print!("\n{aims}");
    args.write_into_docs("aims", &aims)?;
    if args.write_docs {
        picture::write(&report.sets)?;
    }
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    let mut sets = Vec::new();
    let servers = Servers::start().await?;
    for set in args.sets() {
        sets.push(Set::new(set, &servers, args.records()).await?);
    }
    for round in 1..=args.rounds {
        for set in &mut sets {
            let name = set.set.name;
            set.round(&servers, args.records(), round)
                .await
                .with_context(|| format!("{name}, round {round}"))?;
        }
    }
    let sets = sets.into_iter().map(Set::measured).collect();
    Ok(Report { records: args.records(), rounds: args.rounds, sets })
}

/// A data set, what is measured with it, and what was measured so far.
struct Set {
    set: DataSet,
    single: Single,
    bodies: Bodies,
    /// How many of the records become rows.
    good: usize,
    measured: Measured,
}

impl Set {
    async fn new(set: DataSet, servers: &Servers, records: usize) -> anyhow::Result<Self> {
        let name = set.name;
        let (single, bodies) = (Single::new(&set), Bodies::of(&set));
        let single = single.with_context(|| name.to_owned())?;
        let bodies = bodies.with_context(|| name.to_owned())?;
        servers.kafka.create_topic(name, u32::try_from(set.partitions)?).await?;
        let good = kafka::produce(servers.kafka.kafka(), &set, records)?;
        eprintln!("{name}: {records} records are in Kafka, {good} of them good");
        Ok(Self { single, bodies, good, measured: Measured::new(name), set })
    }

    async fn round(
        &mut self,
        servers: &Servers,
        records: usize,
        round: usize,
    ) -> anyhow::Result<()> {
        let Self { set, single, bodies, good, measured } = self;
        for _ in 0..ROUNDS_IN_PROCESS {
            single.round()?;
        }
        let floor = kafka::floor(servers.kafka.kafka(), set, records).await?;
        measured.consume_floor.push(floor);
        let table = format!("{}_{round}", set.name);
        let run = servers.run(set, (records, *good), &table).await?;
        eprintln!("{table}: the host took {:.2} CPU s for a million records", run.host);
        measured.runs.push(run);
        measured.inserts.push(bodies.insert(servers, set, records).await?);
        Ok(())
    }

    fn measured(self) -> Measured {
        Measured { costs: Some(self.single.costs()), ..self.measured }
    }
}
