//! What the host promises of time and memory, measured: `cargo xtask bench --limits`.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use sluicegate_instructions::data::{DataSet, alike};
use sluicegate_tests::Host;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::clock::median;
use crate::host::{LOOK, Servers};
use crate::kafka::produce;

/// The steady stream: so many records at a time, this often, is 10,000 a second.
const AT_A_TIME: usize = 200;
const EVERY: Duration = Duration::from_millis(20);
const STREAM: usize = 150_000;
/// The host's default of BATCH_LINGER_MS.
const LINGER_MS: f64 = 1_000.0;
/// The host's default of MEMORY_BUDGET_BYTES.
const BUDGET_BYTES: f64 = 134_217_728.0;

/// What was measured, and its bound.
struct Limit {
    name: &'static str,
    measured: f64,
    bound: f64,
}

/// All of them.
pub struct Limits(Vec<Limit>);

impl Limits {
    /// Measures; starts are repeated so often, and the backlogs are of so many records of these data
    /// sets.
    pub async fn measure(
        rounds: usize,
        records: usize,
        sets: impl Iterator<Item = DataSet>,
    ) -> anyhow::Result<Self> {
        let servers = Servers::start().await?;
        let (start, assigned) = start(&servers, rounds).await?;
        let [half, p99] = latency(&servers).await?;
        let peak_rss = memory(&servers, rounds, records, sets).await? / 1e6;
        let limit = |name, measured, bound| Limit { name, measured, bound };
        Ok(Self(vec![
            limit("from exec to the first poll, ms", start, 300.0),
            limit(
                "from exec to the partitions, the mock's 100 ms for a join included, ms",
                assigned,
                f64::NAN,
            ),
            limit(
                "from produce to queryable at 10,000 records a second, median, ms",
                half,
                f64::NAN,
            ),
            limit("the same, p99, ms: BATCH_LINGER_MS + 500", p99, LINGER_MS + 500.0),
            limit(
                "peak RSS with a backlog, MB: MEMORY_BUDGET_BYTES + 120",
                peak_rss,
                BUDGET_BYTES / 1e6 + 120.0,
            ),
        ]))
    }

    /// As Markdown.
    pub fn table(&self) -> String {
        let lines = self.0.iter().map(|Limit { name, measured, bound }| {
            let bound = if bound.is_nan() { String::new() } else { format!("{bound:.0}") };
            format!("| {name} | {measured:.0} | {bound} |\n")
        });
        "| | measured | bound |\n|---|---:|---:|\n".to_owned() + &lines.collect::<Vec<_>>().concat()
    }

    /// One object, by name.
    pub fn json(&self) -> Value {
        Value::Object(
            self.0.iter().map(|limit| (limit.name.to_owned(), json!(limit.measured))).collect(),
        )
    }
}

/// Milliseconds from exec to the first poll, and to the assignment; medians.
async fn start(servers: &Servers, rounds: usize) -> anyhow::Result<(f64, f64)> {
    let set = alike("nothing", 4);
    servers.kafka.create_topic(set.name, 4).await?;
    servers.clickhouse.query(&set.create_table(set.name)).await?;
    let (mut polls, mut assignments) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut environment = servers.environment(&set, set.name);
        let group = format!("{}_{round}", set.name);
        environment.insert("KAFKA_CONSUMER_GROUP_ID".to_owned(), group);
        environment.insert("LOG_LEVEL".to_owned(), "info,sluicegate::source=debug".to_owned());
        let started = Utc::now();
        let mut host = Host::start(&environment)?;
        for (line, taken) in [("subscribed", &mut polls), ("partitions assigned", &mut assignments)]
        {
            let line = host.wait_for(&[line]).await?;
            taken.push((timestamp(&line)? - started).as_seconds_f64() * 1e3);
        }
        host.stop().await?;
    }
    Ok((median(&polls), median(&assignments)))
}

/// When a line of the log was written.
fn timestamp(line: &str) -> anyhow::Result<DateTime<Utc>> {
    let fields: Value = serde_json::from_str(line)?;
    let text = fields.get("timestamp").and_then(Value::as_str).context("no timestamp")?;
    Ok(DateTime::parse_from_rfc3339(text)?.to_utc())
}

/// Milliseconds from produce to queryable: the median, and the 99th of a hundred.
async fn latency(servers: &Servers) -> anyhow::Result<[f64; 2]> {
    // In one partition rows become visible in the order of their records.
    let set = alike("stream", 1);
    servers.kafka.create_topic(set.name, 1).await?;
    servers.clickhouse.query(&set.create_table(set.name)).await?;
    let mut host = Host::start(&servers.environment(&set, set.name))?;
    host.wait_for(&["partitions assigned"]).await?;
    let stream = stream(servers.kafka.kafka(), &set)?;
    let (mut seen, mut visible) = (0, Vec::new());
    let deadline = Instant::now() + Duration::from_mins(2);
    while seen < STREAM {
        ensure!(Instant::now() < deadline, "{seen} rows of {STREAM}");
        sleep(LOOK).await;
        let count = servers.clickhouse.query(&format!("SELECT count() FROM {}", set.name)).await?;
        seen = count.trim().parse()?;
        visible.push((seen, Instant::now()));
    }
    let sent = stream.await.context("the producer ended")??;
    host.stop().await?;
    let mut waits: Vec<f64> = Vec::new();
    let mut looks = visible.iter();
    let mut look = looks.next();
    for (number, sent) in (0..).step_by(AT_A_TIME).zip(&sent) {
        // The last of those that were sent together.
        while look.is_some_and(|(seen, _)| *seen < number + AT_A_TIME) {
            look = looks.next();
        }
        waits.extend(look.map(|(_, at)| at.duration_since(*sent).as_secs_f64() * 1e3));
    }
    waits.sort_by(f64::total_cmp);
    let of = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or(f64::NAN);
    Ok([of(50), of(99)])
}

type Sent = JoinHandle<anyhow::Result<Vec<Instant>>>;

/// Sends the stream, and gives when each part of it was sent.
fn stream(brokers: &str, set: &DataSet) -> anyhow::Result<Sent> {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("linger.ms", "0").create()?;
    let (name, mut write, mut record) = (set.name, set.writer(0.0), Vec::new());
    write(&mut record);
    Ok(tokio::spawn(async move {
        let (mut ticks, mut sent) = (interval(EVERY), Vec::new());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while sent.len() * AT_A_TIME < STREAM {
            ticks.tick().await;
            sent.push(Instant::now());
            for _ in 0..AT_A_TIME {
                let sending = BaseRecord::<(), _>::to(name).partition(0).payload(&record);
                producer.send(sending).map_err(|(error, _)| error)?;
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(Duration::from_secs(10))?;
        Ok(sent)
    }))
}

/// The most memory of a host that finds a backlog; the worst of all rounds and data sets.
async fn memory(
    servers: &Servers,
    rounds: usize,
    records: usize,
    sets: impl Iterator<Item = DataSet>,
) -> anyhow::Result<f64> {
    let mut worst = 0.0_f64;
    for set in sets {
        servers.kafka.create_topic(set.name, u32::try_from(set.partitions)?).await?;
        let good = produce(servers.kafka.kafka(), &set, records)?;
        for round in 0..rounds {
            let table = format!("{}_{round}", set.name);
            let run = servers.run(&set, (records, good), &table).await?;
            worst = worst.max(run.peak_rss_bytes);
        }
    }
    Ok(worst)
}
