//! The records: produced at a steady pace, each with its own partition and number in it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext, Message as _};
use sluicegate_tests::TOPIC;

/// Partitions of the source topic at the beginning.
pub const PARTITIONS: usize = 6;
/// As many as it may grow to.
pub const MOST_PARTITIONS: usize = 32;

/// One record in so many is bad.
pub const BAD_EVERY: i64 = 100;
/// Which of them.
pub const BAD_AT: i64 = 50;

/// One record in so many is marked while there is a mark.
const MARKED_EVERY: i64 = 400;
/// The same of a mark that is to be in every INSERT.
const LARGE_EVERY: i64 = 8;
/// How old records are that are to be old, in milliseconds: longer than a topic keeps them.
const OLD_MS: i64 = 10 * 24 * 60 * 60 * 1_000;

/// What `amount` holds where ClickHouse alone refuses the record: no number, one that a constraint
/// forbids, one that the index throws on.
pub const REFUSED: [&str; 3] = ["none", "-1", "nan"];

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

/// What is odd about some of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// Nothing.
    #[default]
    Plain,
    /// An expression or a constraint of the table refuses them.
    Refused,
    /// An expression of an index does.
    RefusedInPart,
    /// A plugin that reads the field `do` fails on them.
    Trap,
    /// `size` is too large for an Int8.
    Large,
}

/// Where a marked record must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// In the dead letter topic.
    Letter,
    /// In the table or in the dead letter topic.
    Either,
}

/// The marked records, by partition and number.
pub type Marked = BTreeMap<(i32, i64), Fate>;

/// Records on their way to Kafka, until stopped.
pub struct Stream {
    shared: Arc<Shared>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// A handle by which the records are changed under way.
#[derive(Clone)]
pub struct Remote(Arc<Shared>);

impl Remote {
    /// For each partition the offset behind the last record that Kafka acknowledged.
    pub fn acknowledged(&self) -> Vec<i64> {
        self.0.acknowledged()
    }

    /// Marks some of the records from now on.
    pub fn mark(&self, mark: Mark) {
        *lock(&self.0.mark) = mark;
    }

    /// Gives records timestamps of long ago, or of now.
    pub fn set_old(&self, is_old: bool) {
        self.0.is_old.store(is_old, Ordering::Release);
    }

    /// How many records were odd so far.
    pub fn odd(&self) -> usize {
        self.0.odd.load(Ordering::Acquire)
    }

    /// Adds a partition, which the topic has by now.
    pub fn grow(&self) {
        self.0.partitions.fetch_add(1, Ordering::AcqRel);
    }

    /// How many partitions get records.
    pub fn partitions(&self) -> usize {
        self.0.partitions.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Shared {
    /// For each partition the offset behind the last record that Kafka acknowledged. A record's
    /// number is its offset: there is one producer, and it is idempotent.
    acknowledged: [AtomicI64; MOST_PARTITIONS],
    partitions: AtomicUsize,
    mark: Mutex<Mark>,
    is_old: AtomicBool,
    odd: AtomicUsize,
    marked: Mutex<Marked>,
    is_stopped: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl Stream {
    /// Starts it.
    pub fn start(brokers: &str, per_second: u64) -> anyhow::Result<Self> {
        let shared = Shared { partitions: AtomicUsize::new(PARTITIONS), ..Shared::default() };
        let shared = Arc::new(shared);
        let producer: ThreadedProducer<Reports> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            // What an outage holds up is kept and sent after it, however long it lasts.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", "5000000")
            .set("queue.buffering.max.kbytes", "2000000")
            .set("reconnect.backoff.max.ms", "500")
            .set("topic.metadata.refresh.interval.ms", "1000")
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
    pub fn acknowledged(&self) -> Vec<i64> {
        self.shared.acknowledged()
    }

    /// A handle on it.
    pub fn remote(&self) -> Remote {
        Remote(Arc::clone(&self.shared))
    }

    /// Whether [`Stream::stop`] will fail, and the run may as well end.
    pub fn is_broken(&self) -> bool {
        self.thread.is_finished() || self.shared.trouble().is_some()
    }

    /// Stops once all that was sent is acknowledged, and returns the ends with what was marked.
    ///
    /// # Errors
    /// The broker refused a record, put one elsewhere, or does not answer: the harness is broken.
    pub fn stop(self) -> anyhow::Result<(Vec<i64>, Marked)> {
        self.shared.is_stopped.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow::anyhow!("the producer's thread panicked"))??;
        if let Some(trouble) = self.shared.trouble().take() {
            anyhow::bail!("producing: {trouble}");
        }
        let marked = std::mem::take(&mut *lock(&self.shared.marked));
        Ok((self.shared.acknowledged(), marked))
    }
}

impl Shared {
    fn acknowledged(&self) -> Vec<i64> {
        let ends = self.acknowledged.iter().map(|end| end.load(Ordering::Acquire));
        ends.take(self.partitions.load(Ordering::Acquire)).collect()
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        lock(&self.trouble)
    }

    /// The payload of a record, as it is marked at the moment.
    fn payload(&self, partition: i32, number: i64) -> String {
        let mark = *lock(&self.mark);
        let every = if mark == Mark::Large { LARGE_EVERY } else { MARKED_EVERY };
        let is_marked = !is_bad(number) && number % every == 1;
        let fate = match mark {
            Mark::Refused | Mark::RefusedInPart => Fate::Letter,
            Mark::Trap | Mark::Large => Fate::Either,
            Mark::Plain => return record(partition, number, Mark::Plain),
        };
        if !is_marked {
            return record(partition, number, Mark::Plain);
        }
        lock(&self.marked).insert((partition, number), fate);
        record(partition, number, mark)
    }
}

fn produce(
    producer: &ThreadedProducer<Reports>,
    shared: &Shared,
    per_second: u64,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let (mut sent, mut turn) = (0_u64, 0);
    let mut numbers = [0_i64; MOST_PARTITIONS];
    while !shared.is_stopped.load(Ordering::Acquire) {
        let due = u64::try_from(started.elapsed().as_millis())? * per_second / 1_000;
        while sent < due && !shared.is_stopped.load(Ordering::Acquire) {
            let index = turn % shared.partitions.load(Ordering::Acquire);
            let partition = i32::try_from(index)?;
            let number = numbers.get_mut(index).context("too many partitions")?;
            let payload = shared.payload(partition, *number);
            let is_old = shared.is_old.load(Ordering::Acquire);
            let record = BaseRecord::<(), str>::to(TOPIC).partition(partition).payload(&payload);
            let record = if is_old { record.timestamp(long_ago()) } else { record };
            match producer.send(record) {
                Ok(()) => {
                    let is_odd = is_old || lock(&shared.marked).contains_key(&(partition, *number));
                    shared.odd.fetch_add(usize::from(is_odd), Ordering::AcqRel);
                    *number += 1;
                    turn += 1;
                    sent += 1;
                }
                Err((
                    KafkaError::MessageProduction(
                        RDKafkaErrorCode::QueueFull | RDKafkaErrorCode::UnknownPartition,
                    ),
                    _,
                )) => {
                    // It is made anew, and may then be marked no more.
                    lock(&shared.marked).remove(&(partition, *number));
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

fn long_ago() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - OLD_MS
}

/// About 300 bytes: the columns `p`, `n`, `note`, `amount` and `size`, a field for a column that comes
/// and goes, one for a plugin, and one for none.
fn record(partition: i32, number: i64, mark: Mark) -> String {
    let mut state = number.unsigned_abs() + 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    });
    let noise: String = noise.take(8).collect();
    let amount = 3 * number + i64::from(partition);
    let [none, forbidden, thrown_on] = REFUSED;
    let amount = match mark {
        // Marked numbers are all odd: every other of them.
        Mark::Refused if number % (2 * MARKED_EVERY) == 1 => none.to_owned(),
        Mark::Refused => forbidden.to_owned(),
        Mark::RefusedInPart => thrown_on.to_owned(),
        Mark::Large => format!("{amount}.5"),
        Mark::Plain | Mark::Trap => amount.to_string(),
    };
    let size = if mark == Mark::Large { 300 } else { number % 100 };
    let act = if mark == Mark::Trap { "panic" } else { "" };
    let number = if is_bad(number) { "\"bad\"".to_owned() } else { number.to_string() };
    format!(
        r#"{{"p":{partition},"n":{number},"note":"a note","amount":"{amount}","size":{size},"spare":"-","further":7,"do":"{act}","unwanted":"{noise}"}}"#
    )
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
        let record = |number, mark| -> serde_json::Value {
            serde_json::from_str(&record(3, number, mark)).unwrap()
        };
        let good = record(7, Mark::Plain);
        assert_eq!((good["p"].as_i64(), good["n"].as_i64()), (Some(3), Some(7)));
        assert_eq!((good["amount"].as_str(), good["size"].as_i64()), (Some("24"), Some(7)));
        assert_eq!(record(BAD_AT, Mark::Plain)["n"], "bad");
        let refused = [1, 401].map(|number| record(number, Mark::Refused)["amount"].clone());
        assert_eq!(refused, [REFUSED[0], REFUSED[1]]);
        assert_eq!(record(7, Mark::Large)["size"], 300);
    }

    #[test]
    fn marks_are_for_a_while_and_none_of_them_is_on_a_bad_record() {
        let shared = Shared::default();
        let plain = shared.payload(1, 401);
        *lock(&shared.mark) = Mark::Refused;
        assert_ne!(shared.payload(1, 401), plain);
        for number in 0..1_000 {
            shared.payload(2, number);
        }
        *lock(&shared.mark) = Mark::Plain;
        assert_eq!(shared.payload(1, 401), plain);
        let marked = lock(&shared.marked);
        let places: Vec<_> = marked.keys().copied().collect();
        assert_eq!(places, [(1, 401), (2, 1), (2, 401), (2, 801)]);
        assert!(places.iter().all(|(_, number)| !is_bad(*number)));
    }
}
