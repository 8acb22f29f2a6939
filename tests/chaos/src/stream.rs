//! The records: produced at a steady pace, each with its own partition and number in it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext, Message as _};
use sluicegate_tests::TOPIC;

/// Partitions of the source topic.
pub const PARTITIONS: usize = 6;

/// One record in so many is bad.
pub const BAD_EVERY: i64 = 100;
/// Which of them.
pub const BAD_AT: i64 = 50;

/// How often the pace is kept.
const TICK: Duration = Duration::from_millis(5);
/// How long the broker may take at the end to acknowledge what it was sent.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whether the record of this number is one that must be dead-lettered.
pub fn is_bad(number: i64) -> bool {
    number % BAD_EVERY == BAD_AT
}

/// How many of the first `count` records of a partition are bad.
pub fn bad_of(count: i64) -> i64 {
    (count + BAD_EVERY - 1 - BAD_AT) / BAD_EVERY
}

/// Records on their way to Kafka, until stopped.
pub struct Stream {
    shared: Arc<Shared>,
    thread: JoinHandle<anyhow::Result<()>>,
}

#[derive(Default)]
struct Shared {
    /// For each partition the offset behind the last record that Kafka acknowledged. A record's
    /// number is its offset: there is one producer, and it is idempotent.
    acknowledged: [AtomicI64; PARTITIONS],
    is_stopped: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl Stream {
    /// Starts it.
    pub fn start(brokers: &str, per_second: u64) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let producer: ThreadedProducer<Reports> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            // What an outage holds up is kept and sent after it, however long it lasts.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", "5000000")
            .set("queue.buffering.max.kbytes", "2000000")
            .set("reconnect.backoff.max.ms", "500")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .create_with_context(Reports(Arc::clone(&shared)))?;
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("stream".to_owned())
            .spawn(move || produce(&producer, &seen, per_second))?;
        Ok(Self { shared, thread })
    }

    /// For each partition the offset behind the last record that Kafka acknowledged.
    pub fn acknowledged(&self) -> [i64; PARTITIONS] {
        self.shared.acknowledged()
    }

    /// Whether [`Stream::stop`] will fail, and the run may as well end.
    pub fn is_broken(&self) -> bool {
        self.thread.is_finished() || self.shared.trouble().is_some()
    }

    /// Stops once all that was sent is acknowledged, and returns the ends.
    ///
    /// # Errors
    /// The broker refused a record, put one elsewhere, or does not answer: the harness is broken.
    pub fn stop(self) -> anyhow::Result<[i64; PARTITIONS]> {
        self.shared.is_stopped.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow::anyhow!("the producer's thread panicked"))??;
        if let Some(trouble) = self.shared.trouble().take() {
            anyhow::bail!("producing: {trouble}");
        }
        Ok(self.shared.acknowledged())
    }
}

impl Shared {
    fn acknowledged(&self) -> [i64; PARTITIONS] {
        self.acknowledged.each_ref().map(|end| end.load(Ordering::Acquire))
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn produce(
    producer: &ThreadedProducer<Reports>,
    shared: &Shared,
    per_second: u64,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut sent = 0_u64;
    while !shared.is_stopped.load(Ordering::Acquire) {
        let due = u64::try_from(started.elapsed().as_millis())? * per_second / 1_000;
        while sent < due && !shared.is_stopped.load(Ordering::Acquire) {
            let partition = i32::try_from(sent % PARTITIONS as u64)?;
            let payload = record(partition, i64::try_from(sent / PARTITIONS as u64)?);
            let record = BaseRecord::<(), str>::to(TOPIC).partition(partition).payload(&payload);
            match producer.send(record) {
                Ok(()) => sent += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(TICK);
                }
                Err((error, _)) => return Err(error).context("producing"),
            }
        }
        std::thread::sleep(TICK);
    }
    let deadline = Instant::now() + PATIENCE;
    while producer.in_flight_count() > 0 {
        ensure!(Instant::now() < deadline, "the broker does not acknowledge all records");
        std::thread::sleep(TICK);
    }
    let acknowledged = shared.acknowledged().iter().sum::<i64>();
    let is_all = u64::try_from(acknowledged)? == sent;
    ensure!(
        is_all,
        "{sent} records were sent, {acknowledged} acknowledged: {:?}",
        shared.trouble()
    );
    Ok(())
}

/// About 250 bytes: the columns `p`, `n` and `note`, a field for a column that comes and goes, and
/// one for none.
fn record(partition: i32, number: i64) -> String {
    let mut state = number.unsigned_abs() + 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    });
    let noise: String = noise.take(8).collect();
    let number = if is_bad(number) { "\"bad\"".to_owned() } else { number.to_string() };
    format!(r#"{{"p":{partition},"n":{number},"note":"a note","further":7,"unwanted":"{noise}"}}"#)
}

/// Takes the reports of what the broker did with each record.
struct Reports(Arc<Shared>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        let trouble = match report {
            Ok(record) => {
                let index = usize::try_from(record.partition()).unwrap_or(usize::MAX);
                let Some(end) = self.0.acknowledged.get(index) else { return };
                let expected = end.swap(record.offset() + 1, Ordering::AcqRel);
                (expected != record.offset()).then(|| {
                    format!("a record is at offset {}, not at {expected}", record.offset())
                })
            }
            Err((error, _)) => Some(format!("a record was given up: {error}")),
        };
        if let Some(trouble) = trouble {
            self.0.trouble().get_or_insert(trouble);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_records_are_counted_as_they_are_made() {
        for count in [0, 49, 50, 51, 100, 150, 151, 1_000, 12_345] {
            let counted = (0..count).filter(|number| is_bad(*number)).count();
            assert_eq!(usize::try_from(bad_of(count)).unwrap(), counted, "{count}");
        }
    }

    #[test]
    fn a_record_tells_its_place_and_a_bad_one_does_not_fit() {
        let good: serde_json::Value = serde_json::from_str(&record(3, 7)).unwrap();
        assert_eq!((good["p"].as_i64(), good["n"].as_i64()), (Some(3), Some(7)));
        let bad: serde_json::Value = serde_json::from_str(&record(3, BAD_AT)).unwrap();
        assert_eq!(bad["n"], "bad");
    }
}
