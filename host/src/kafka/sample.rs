//! Reads the newest records of a topic once, as a batch. The partitions are assigned, not subscribed, so the
//! group does not notice.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::probe::Probe;
use super::topics::hold_of;
use crate::flow::hold::Hold;
use crate::flow::record::{Batch, RawRecord, TopicPartition};
use crate::kafka::headers;

/// How often a wait for records checks the clock.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why a sample holds fewer records than asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleCut {
    /// More would exceed its bytes.
    Bytes,
    /// Its time was used up.
    Time,
}

/// Records of a topic.
#[derive(Debug)]
pub struct TopicSample {
    /// The records, ordered within each partition.
    pub batch: Batch,
    /// How many partitions the topic has.
    pub partitions: usize,
    /// Why it holds fewer records than asked for.
    pub cut: Option<SampleCut>,
}

/// A partition that is being read.
struct Reading {
    /// Its end when reading began; later records are ignored.
    end: i64,
    is_done: bool,
}

impl Probe {
    /// Reads the newest `most` records of a topic, spread over its partitions, the oldest first, as far as
    /// they fit into `max_bytes`. `variable` names the topic. Blocks.
    ///
    /// # Errors
    /// No broker answers; the topic does not exist, may not be read, or does not answer in time.
    pub fn newest(
        &self,
        variable: &str,
        topic: &str,
        most: usize,
        max_bytes: usize,
    ) -> Result<TopicSample, Hold> {
        self.brokers()?;
        let partitions = self.partitions(variable, topic)?;
        let failed =
            |error: KafkaError| Hold::Transient(format!("reading topic `{topic}`: {error}"));
        let mut ranges = Vec::with_capacity(partitions.len());
        for partition in &partitions {
            let watermarks = self.consumer.fetch_watermarks(topic, *partition, self.left());
            ranges.push(watermarks.map_err(failed)?);
        }
        let held: Vec<i64> = ranges.iter().map(|(low, high)| high - low).collect();
        let shares = shares(&held, i64::try_from(most).unwrap_or(i64::MAX));
        let (mut list, mut reading) = (TopicPartitionList::new(), BTreeMap::new());
        for ((partition, (_, end)), share) in partitions.iter().zip(&ranges).zip(shares) {
            if share > 0 {
                list.add_partition_offset(topic, *partition, Offset::Offset(end - share))
                    .map_err(failed)?;
                reading.insert(*partition, Reading { end: *end, is_done: false });
            }
        }
        let mut sample =
            TopicSample { batch: Batch::default(), partitions: partitions.len(), cut: None };
        self.consumer.assign(&list).map_err(failed)?;
        let read = self.fill(&mut sample, topic, &mut reading, max_bytes);
        let _unassigned = self.consumer.unassign();
        read.map(|()| sample)
    }

    fn fill(
        &self,
        sample: &mut TopicSample,
        topic: &str,
        reading: &mut BTreeMap<i32, Reading>,
        max_bytes: usize,
    ) -> Result<(), Hold> {
        while reading.values().any(|reading| !reading.is_done) {
            match self.consumer.poll(POLL_INTERVAL) {
                Some(Ok(message)) => {
                    let Some(reading) = reading.get_mut(&message.partition()) else { continue };
                    reading.is_done |= message.offset() + 1 >= reading.end;
                    if message.offset() < reading.end {
                        push(&mut sample.batch, &message);
                    }
                    if sample.batch.held_bytes() > max_bytes {
                        sample.cut = Some(SampleCut::Bytes);
                        return Ok(());
                    }
                }
                // The last offsets may hold no records: transaction markers, or compacted away.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(reading) = reading.get_mut(&partition) {
                        reading.is_done = true;
                    }
                }
                Some(Err(error)) => match hold_of(&error, topic) {
                    Some(Hold::Paused(_)) => {
                        return Err(Hold::Paused(format!("reading topic `{topic}`: {error}")));
                    }
                    Some(Hold::Transient(_)) => {}
                    None => {
                        return Err(Hold::Transient(format!("reading topic `{topic}`: {error}")));
                    }
                },
                None => {}
            }
            if self.is_late() {
                sample.cut = Some(SampleCut::Time);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Copies a message.
fn push(batch: &mut Batch, message: &BorrowedMessage<'_>) {
    let partition =
        TopicPartition { topic: message.topic().into(), partition: message.partition() };
    let record = RawRecord {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        payload: message.payload(),
    };
    batch.push(&partition, 0, &record);
    if let Some(headers) = message.headers() {
        headers::each(headers, |name, value| batch.push_header(name, value));
    }
}

/// How much to take of each partition: equal shares, and what some lack from the others.
fn shares(held: &[i64], most: i64) -> Vec<i64> {
    let mut order: Vec<usize> = (0..held.len()).collect();
    let of = |at: usize| held.get(at).copied().unwrap_or(0);
    order.sort_by_key(|at| of(*at));
    let (mut shares, mut left) = (vec![0; held.len()], most);
    let counts = (1..=held.len()).rev();
    for (at, others) in order.into_iter().zip(counts) {
        let even = left / i64::try_from(others).unwrap_or(i64::MAX);
        let taken = of(at).min(even).max(0);
        if let Some(share) = shares.get_mut(at) {
            *share = taken;
        }
        left -= taken;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn a_sample_is_spread_over_partitions_and_filled_up_from_the_larger() {
        assert_eq!(shares(&[100, 100, 100], 30), [10, 10, 10]);
        assert_eq!(shares(&[100, 0, 5], 30), [25, 0, 5]);
        assert_eq!(shares(&[1, 2, 3], 30), [1, 2, 3]);
        assert_eq!(shares(&[100, 100], 3), [1, 2]);
        assert_eq!(shares(&[100, 100], 1).iter().sum::<i64>(), 1);
        assert_eq!(shares(&[], 30), [0; 0]);
    }
}
