//! The demo's producer: records from the generator or a file into the source topic.

use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use super::telemetry::Telemetry;
use super::{PARTITIONS, TOPIC};

/// The seed of the generated records, so that every run sends the same.
const SEED: u64 = 42;
/// One record in a hundred is broken.
const BROKEN_SHARE: f64 = 0.01;
/// How many records are sent between two checks of the limits.
const STEP: u64 = 1_000;

/// The source of the records.
pub enum FeedRecords {
    /// Generated vehicle telemetry.
    Telemetry {
        /// Boxed, because it is large compared with the other variant.
        generator: Box<Telemetry>,
        /// How many in all.
        records: u64,
    },
    /// Records of a file.
    File(Vec<Box<[u8]>>),
}

impl FeedRecords {
    /// Vehicle telemetry, optionally with mail addresses in the notes.
    pub fn telemetry(records: u64, has_mails: bool) -> Self {
        let generator = Telemetry::new(SEED, BROKEN_SHARE);
        let generator = Box::new(if has_mails { generator.with_mails() } else { generator });
        Self::Telemetry { generator, records }
    }

    /// The records of a file.
    pub fn file(records: Vec<Box<[u8]>>) -> Self {
        Self::File(records)
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Telemetry { records, .. } => *records,
            Self::File(records) => records.len() as u64,
        }
    }
}

/// Produces the records, with as many in the broker as it may hold.
pub struct Feed {
    producer: ThreadedProducer<DefaultProducerContext>,
    records: FeedRecords,
    produced: u64,
    bytes: usize,
    scratch: Vec<u8>,
}

impl Feed {
    /// Connects to the broker.
    pub fn new(brokers: &str, records: FeedRecords) -> anyhow::Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("compression.type", "lz4")
            .set("linger.ms", "50")
            .set("batch.num.messages", "500")
            .set("message.max.bytes", "100000000")
            .create()
            .context("the demo's producer")?;
        Ok(Self { producer, records, produced: 0, bytes: 0, scratch: Vec::new() })
    }

    /// Records produced so far.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    /// Whether all records are produced.
    pub fn is_done(&self) -> bool {
        self.produced == self.records.len()
    }

    /// About how many bytes this many records have.
    pub fn bytes_of(&self, records: u64) -> usize {
        let average = self.bytes / usize::try_from(self.produced.max(1)).unwrap_or(usize::MAX);
        average.saturating_mul(usize::try_from(records).unwrap_or(usize::MAX))
    }

    /// Produces until `bytes` more are sent or none is left, and waits until the broker has them.
    pub async fn fill(&mut self, bytes: usize, progress: &ProgressBar) -> anyhow::Result<()> {
        let (until, started_at) = (self.bytes.saturating_add(bytes), self.produced);
        while self.bytes < until && !self.is_done() {
            for _ in 0..STEP.min(self.records.len() - self.produced) {
                self.produce_one().await?;
            }
            progress.set_position(self.produced);
            tokio::task::yield_now().await;
        }
        if self.produced > started_at {
            let producer = self.producer.clone();
            crate::base::blocking::run_blocking(move || producer.flush(Duration::from_mins(1)))
                .await
                .context("the broker did not take the records")?;
        }
        Ok(())
    }

    async fn produce_one(&mut self) -> anyhow::Result<()> {
        let payload: &[u8] = match &mut self.records {
            FeedRecords::Telemetry { generator, .. } => {
                self.scratch.clear();
                generator.next(&mut self.scratch);
                &self.scratch
            }
            FeedRecords::File(records) => {
                let at = usize::try_from(self.produced)?;
                records.get(at).context("a record of the file is gone")?
            }
        };
        let partition = i32::try_from(self.produced % u64::from(PARTITIONS))?;
        let mut record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition).payload(payload);
        while let Err((error, back)) = self.producer.send(record) {
            match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => record = back,
                error => return Err(error).context("producing a record"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.produced += 1;
        self.bytes += payload.len();
        Ok(())
    }
}
