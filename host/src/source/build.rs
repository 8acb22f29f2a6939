//! The batch being built, and when it is due.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::queue::Message;
use crate::record::{Batch, RawRecord, TopicPartition};

/// The bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most records while the topic is kept up with.
    pub max_records: usize,
    /// Most records while there is a backlog: large INSERTs cost ClickHouse fewer merges.
    pub max_records_with_lag: usize,
    /// Bytes of payloads, keys and headers after which a batch is closed.
    pub max_bytes: usize,
    /// How long the first record may wait for others.
    pub linger: Duration,
}

/// Gathers records; knows which partitions are assigned and under which epoch.
#[derive(Debug)]
pub struct Builder {
    bounds: Bounds,
    /// Most records of the batch at hand, between the two bounds.
    max_records: usize,
    batch: Batch,
    since: Option<Instant>,
    epochs: HashMap<TopicPartition, u64>,
    /// The same by librdkafka's handle of the topic: no name is compared for a message.
    by_handle: HashMap<(usize, i32), (TopicPartition, u64)>,
}

impl Builder {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            max_records: bounds.max_records,
            batch: Batch::default(),
            since: None,
            epochs: HashMap::new(),
            by_handle: HashMap::new(),
        }
    }

    /// Takes the records of a partition from now on.
    pub fn assign(&mut self, source: TopicPartition, epoch: u64) {
        self.by_handle.clear();
        self.epochs.insert(source, epoch);
    }

    /// Takes no more records of a partition.
    pub fn revoke(&mut self, source: &TopicPartition) {
        self.by_handle.clear();
        self.epochs.remove(source);
    }

    /// Whether the partition's records are taken.
    pub fn owns(&self, source: &TopicPartition) -> bool {
        self.epochs.contains_key(source)
    }

    /// Copies a message into the batch. One of a partition that is not assigned is left alone:
    /// whoever owns the partition reads it.
    pub fn take(&mut self, message: &Message<'_>) {
        let at = (message.topic_handle(), message.partition());
        if !self.by_handle.contains_key(&at) {
            let source = message.source();
            let Some(epoch) = self.epochs.get(&source) else { return };
            self.by_handle.insert(at, (source, *epoch));
        }
        let Some((source, epoch)) = self.by_handle.get(&at) else { return };
        self.since.get_or_insert_with(Instant::now);
        let record = RawRecord {
            offset: message.offset(),
            timestamp_ms: message.timestamp_ms(),
            key: message.key(),
            payload: message.payload(),
        };
        self.batch.push(source, *epoch, &record);
        message.headers(|name, value| self.batch.push_header(name, value));
    }

    /// Bytes gathered so far.
    pub fn size_bytes(&self) -> usize {
        self.batch.size_bytes()
    }

    /// How many more records fit.
    pub fn room(&self) -> usize {
        if self.batch.size_bytes() >= self.bounds.max_bytes {
            return 0;
        }
        self.max_records.saturating_sub(self.batch.len() as usize)
    }

    /// Whether the batch is to be handed over: full, or its first record waited long enough.
    pub fn is_due(&self) -> bool {
        self.since.is_some_and(|since| self.room() == 0 || since.elapsed() >= self.bounds.linger)
    }

    /// How long until the batch is due by its linger; `None` while it is empty.
    pub fn due_in(&self) -> Option<Duration> {
        self.since.map(|since| self.bounds.linger.saturating_sub(since.elapsed()))
    }

    /// The batch as it is, if it holds a record; the next one begins, and may be twice as large
    /// when this one is full of records.
    pub fn cut(&mut self) -> Option<Batch> {
        self.since = None;
        let is_full = self.batch.len() as usize >= self.max_records;
        self.max_records = if is_full {
            (self.max_records * 2).min(self.bounds.max_records_with_lag)
        } else {
            self.bounds.max_records
        };
        let capacity = self.batch.size_bytes();
        let next = Batch::with_capacity(capacity);
        (!self.batch.is_empty()).then(|| std::mem::replace(&mut self.batch, next))
    }
}
