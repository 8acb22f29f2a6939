//! Records that are told apart, and where each of them ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::task::JoinHandle;

use crate::Job;
use crate::job::{TABLE, TOPIC};
use crate::kafka;

/// The table that [`Numbered`] records go to.
pub const NUMBERED: &str = "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id";

/// One record in so many is bad.
const BAD_EVERY: u64 = 100;

/// Where a record stands: partition and offset.
type Place = (i32, i64);

/// The record of this number: about 500 bytes. One in a hundred is bad, since its id is no number.
fn record(id: u64) -> String {
    let mut state = id + 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    });
    let noise: String = noise.take(30).collect();
    let id = if is_bad(id) { format!("\"bad {id}\"") } else { id.to_string() };
    format!(r#"{{"id":{id},"unwanted":"{noise}"}}"#)
}

fn is_bad(id: u64) -> bool {
    id % BAD_EVERY == BAD_EVERY / 2
}

/// Numbered records that were produced; the place of each, by its number.
#[derive(Debug, Default)]
pub struct Numbered {
    places: Vec<Place>,
}

impl Numbered {
    /// Produces the next `count` records, to the partitions in turn.
    pub async fn produce(&mut self, job: &mut Job, count: u64) -> anyhow::Result<()> {
        let from = self.places.len() as u64;
        let producer = producer(job.kafka())?;
        let places = send(&producer, job.partitions(), from..from + count).await?;
        for (partition, _) in &places {
            job.count_produced(*partition, 1);
        }
        self.places.extend(places);
        Ok(())
    }

    /// Fails unless every good record is in the table, and every bad one, and none else, in the
    /// dead letter topic; where each record is to land exactly once, unless it is there once.
    pub async fn audit(&self, job: &Job) -> anyhow::Result<()> {
        kafka::ensure_whole(job.kafka(), TOPIC, job.partitions())?;
        let landed: HashSet<u64> = job
            .query(&format!("SELECT DISTINCT id FROM {TABLE}"))
            .await?
            .lines()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let mut refused: HashSet<Place> = HashSet::new();
        for letter in job.dead_letters()? {
            let number = |name: &str| letter.header(name).parse::<i64>();
            let partition = i32::try_from(number("__connect.errors.partition")?)?;
            refused.insert((partition, number("__connect.errors.offset")?));
        }
        let (mut lost, mut refused_in_vain) = (Vec::new(), Vec::new());
        for (id, place) in (0..).zip(&self.places) {
            let is_settled =
                if is_bad(id) { refused.contains(place) } else { landed.contains(&id) };
            if !is_settled {
                lost.push((id, *place));
            }
            if !is_bad(id) && refused.contains(place) {
                refused_in_vain.push((id, *place));
            }
        }
        anyhow::ensure!(
            lost.is_empty() && refused_in_vain.is_empty(),
            "of {} records lost: {} {:?}; dead-lettered in vain: {} {:?}",
            self.places.len(),
            lost.len(),
            lost.iter().take(10).collect::<Vec<_>>(),
            refused_in_vain.len(),
            refused_in_vain.iter().take(10).collect::<Vec<_>>(),
        );
        if job.is_exactly_once() {
            let doubled = job
                .query(&format!(
                    "SELECT id, count() AS rows FROM {TABLE} GROUP BY id HAVING rows > 1 ORDER BY id"
                ))
                .await?;
            let count = doubled.lines().count();
            let first: Vec<_> = doubled.lines().take(10).collect();
            anyhow::ensure!(count == 0, "{count} of {} doubled: {first:?}", self.places.len());
        }
        Ok(())
    }
}

/// Produces numbered records in the background, at a steady pace, until it is stopped.
pub struct Load {
    is_stopped: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<Vec<Place>>>,
}

impl Load {
    /// Starts it; `per_second` records, a tenth of them each tenth of a second.
    pub fn start(job: &Job, per_second: u64) -> anyhow::Result<Self> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let producer = producer(job.kafka())?;
        let partitions = job.partitions();
        let stopped = Arc::clone(&is_stopped);
        let task = tokio::spawn(async move {
            let mut places = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                let from = places.len() as u64;
                places.extend(send(&producer, partitions, from..from + per_second / 10).await?);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(places)
        });
        Ok(Self { is_stopped, task })
    }

    /// Stops once all that was sent has been taken by the broker.
    pub async fn stop(self, job: &mut Job) -> anyhow::Result<Numbered> {
        self.is_stopped.store(true, Ordering::Release);
        let places = self.task.await??;
        for (partition, _) in &places {
            job.count_produced(*partition, 1);
        }
        Ok(Numbered { places })
    }
}

fn producer(brokers: &str) -> anyhow::Result<FutureProducer> {
    let producer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        // Longer than any outage of a test.
        .set("message.timeout.ms", "3600000")
        .set("reconnect.backoff.max.ms", "500")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .create()?;
    Ok(producer)
}

async fn send(
    producer: &FutureProducer,
    partitions: i32,
    ids: std::ops::Range<u64>,
) -> anyhow::Result<Vec<Place>> {
    let sent = ids.map(|id| {
        let payload = record(id);
        let partition = i32::try_from(id % u64::from(partitions.unsigned_abs())).unwrap_or(0);
        async move {
            let record: FutureRecord<'_, (), String> =
                FutureRecord::to(TOPIC).partition(partition).payload(&payload);
            let delivery = producer.send(record, Timeout::Never).await;
            delivery
                .map(|delivery| (delivery.partition, delivery.offset))
                .map_err(|(error, _)| error)
        }
    });
    Ok(try_join_all(sent).await?)
}
