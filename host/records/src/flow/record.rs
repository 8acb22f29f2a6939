//! Records and the batch that carries them: one arena of bytes, formed at the source.
//!
//! A batch owns a copy of each payload, key and header until every record in it is settled, so
//! a dead letter can be written byte for byte and a re-decode can start again from the wire.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::flow::arenas::Arena;

/// Index of a record in its [`Batch`]: what every row, rejection and fate refers back to.
pub type Origin = u32;

/// Upper limit for the bound of one record, bytes: the server, too, has to hold the row.
pub const MOST_RECORD_BYTES: usize = 256 * 1024 * 1024;

/// A topic and one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Equality; faster than `==` if they are clones of one.
    fn is(&self, other: &Self) -> bool {
        self.partition == other.partition
            && (Arc::ptr_eq(&self.topic, &other.topic) || self.topic == other.topic)
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// Consecutive records of one partition in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRun {
    /// Where the records came from.
    pub partition: TopicPartition,
    /// The assignment of the partition under which they were read; settling under another is void.
    pub epoch: u64,
    /// The records, as origins.
    pub origins: Range<Origin>,
}

/// One message as the source reads it, borrowed until it is copied.
#[derive(Debug, Clone, Default)]
pub struct RawRecord<'a> {
    /// Inclusive Kafka offset.
    pub offset: i64,
    /// `CreateTime` or `LogAppendTime`, milliseconds since 1970; `None` where the broker kept none.
    pub timestamp_ms: Option<i64>,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// A byte range of the arena.
type Span = Range<usize>;

/// What is kept of a record beside its bytes in the arena: the key, the payload, then the headers up to the start of
/// the next record. Small, since there are hundreds of thousands of them.
#[derive(Debug)]
struct Stored {
    offset: i64,
    /// [`NO_TIME`] where the broker kept none.
    timestamp_ms: i64,
    /// Where its bytes begin.
    start: usize,
    key: Length,
    payload: Length,
}

const NO_TIME: i64 = i64::MIN;

/// The length of a key, a payload, or a header's name or value, which Kafka counts in 31 bits, or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Length(u32);

impl Length {
    const NULL: Self = Self(u32::MAX);

    fn of(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::NULL };
        match u32::try_from(bytes.len()) {
            Ok(length) if length < u32::MAX => Self(length),
            _ => unreachable!("a message of {} bytes", bytes.len()),
        }
    }

    /// How many bytes there are: 0 for null.
    fn bytes(self) -> usize {
        if self == Self::NULL { 0 } else { self.0 as usize }
    }

    /// The range that begins at `start`.
    fn span(self, start: usize) -> Option<Span> {
        (self != Self::NULL).then(|| start..start + self.bytes())
    }

    /// Appends it as a varint, 7 bits a byte, the lowest first: null is 0, any other is its length plus one.
    fn put(self, to: &mut Vec<u8>) {
        let mut number = self.0.wrapping_add(1);
        while number > 0x7f {
            let [low, ..] = number.to_le_bytes();
            to.push(low | 0x80);
            number >>= 7;
        }
        let [low, ..] = number.to_le_bytes();
        to.push(low);
    }

    /// Reads one from the start of `from`, and advances `from`.
    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut number = 0_u32;
        for shift in (0..u32::BITS).step_by(7) {
            let byte = *from.split_off_first()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(Self(number.wrapping_sub(1)));
            }
        }
        None
    }
}

impl Stored {
    fn key(&self) -> Option<Span> {
        self.key.span(self.start)
    }

    fn payload(&self) -> Option<Span> {
        self.payload.span(self.start + self.key.bytes())
    }

    fn headers_start(&self) -> usize {
        self.start + self.key.bytes() + self.payload.bytes()
    }
}

/// The records taken together at the source; its rows are one INSERT.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Arena,
    records: Vec<Stored>,
    runs: Vec<PartitionRun>,
    /// The records whose headers could not be read, ascending.
    without_headers: Vec<Origin>,
    /// Bytes that the parts of payloads will take beside them.
    reserved: usize,
}

impl Batch {
    /// An empty batch with room for `bytes` bytes of payload.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::within(Arena::with_capacity(bytes), 0)
    }

    /// An empty batch built in this arena, with room for so many records.
    pub fn within(bytes: Arena, records: usize) -> Self {
        Self { bytes, records: Vec::with_capacity(records), ..Self::default() }
    }

    /// Copies a record into the batch; add its headers with [`Batch::push_header`].
    pub fn push(&mut self, partition: &TopicPartition, epoch: u64, record: &RawRecord<'_>) {
        let (origin, start) = (self.len(), self.bytes.len());
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.payload.unwrap_or_default());
        self.records.push(Stored {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms.unwrap_or(NO_TIME),
            start,
            key: Length::of(record.key),
            payload: Length::of(record.payload),
        });
        match self.runs.last_mut() {
            Some(run) if run.epoch == epoch && run.partition.is(partition) => {
                run.origins.end = origin + 1;
            }
            _ => self.runs.push(PartitionRun {
                partition: partition.clone(),
                epoch,
                origins: origin..origin + 1,
            }),
        }
    }

    /// Adds a header to the record pushed last; without a record it is a no-op.
    pub fn push_header(&mut self, name: &[u8], value: Option<&[u8]>) {
        if self.records.is_empty() {
            return;
        }
        for part in [Some(name), value] {
            Length::of(part).put(&mut self.bytes);
            self.bytes.extend_from_slice(part.unwrap_or_default());
        }
    }

    /// Counts bytes as held that the parts of a payload will take beside it.
    pub fn reserve(&mut self, bytes: usize) {
        self.reserved += bytes;
    }

    /// How many bytes were reserved.
    pub fn reserved_bytes(&self) -> usize {
        self.reserved
    }

    /// Notes that the headers of the record pushed last could not be read.
    pub fn lack_headers(&mut self) {
        self.without_headers.extend(self.len().checked_sub(1));
    }

    /// Whether the headers of the record at `origin` could not be read.
    pub fn lacks_headers(&self, origin: Origin) -> bool {
        self.without_headers.binary_search(&origin).is_ok()
    }

    /// How many records the batch holds; at most `u32::MAX`, far above the source's bounds.
    #[allow(clippy::cast_possible_truncation)]
    pub fn len(&self) -> Origin {
        self.records.len() as Origin
    }

    /// Whether no record was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes in the arena: payloads, keys and headers with the lengths of their parts. Memory is bounded by
    /// [`Batch::held_bytes`] instead.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Memory of the batch in bytes: the arena, what is kept of each record and run (more than a short payload takes),
    /// and what was reserved.
    pub fn held_bytes(&self) -> usize {
        let beside = size_of_val(&*self.records) + size_of_val(&*self.runs);
        self.size_bytes() + beside + self.reserved
    }

    /// The runs of one partition, in the order read.
    pub fn runs(&self) -> &[PartitionRun] {
        &self.runs
    }

    /// The record at `origin`, if there is one.
    pub fn record(&self, origin: Origin) -> Option<Record<'_>> {
        let stored = self.records.get(origin as usize)?;
        let at = self.runs.partition_point(|run| run.origins.end <= origin);
        let run = self.runs.get(at)?;
        let next = self.records.get(origin as usize + 1);
        let end = next.map_or(self.bytes.len(), |next| next.start);
        let headers = self.bytes.get(stored.headers_start()..end).unwrap_or_default();
        Some(Record { batch: self, stored, headers, partition: &run.partition })
    }

    /// The payload of the record at `origin`; `None` is a tombstone, or no record.
    pub fn payload(&self, origin: Origin) -> Option<&[u8]> {
        self.slice(self.records.get(origin as usize)?.payload())
    }

    /// The offset of the record at `origin`, if there is one.
    pub fn offset(&self, origin: Origin) -> Option<i64> {
        self.records.get(origin as usize).map(|record| record.offset)
    }

    /// The payloads in order, indexed by origin; `None` is a tombstone.
    pub fn payloads(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> + Clone {
        self.records.iter().map(|record| self.slice(record.payload()))
    }

    fn slice(&self, span: Option<Span>) -> Option<&[u8]> {
        self.bytes.get(span?)
    }
}

/// A record of a batch, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    batch: &'a Batch,
    stored: &'a Stored,
    /// Each name and each value, after its length.
    headers: &'a [u8],
    /// Where it came from.
    pub partition: &'a TopicPartition,
}

impl<'a> Record<'a> {
    /// Inclusive Kafka offset.
    pub fn offset(&self) -> i64 {
        self.stored.offset
    }

    /// Milliseconds since 1970, where the broker kept a timestamp.
    pub fn timestamp_ms(&self) -> Option<i64> {
        Some(self.stored.timestamp_ms).filter(|ms| *ms != NO_TIME)
    }

    /// The key, if any.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.batch.slice(self.stored.key())
    }

    /// The payload as received; `None` is a tombstone.
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.batch.slice(self.stored.payload())
    }

    /// Header names and values in order, with duplicates. Names are bytes: Kafka asks for UTF-8 but does not enforce
    /// it.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.headers;
        std::iter::from_fn(move || {
            let name = next_part(&mut rest)?.unwrap_or_default();
            Some((name, next_part(&mut rest)?))
        })
    }
}

/// Reads a name or value from the start of `rest`, and advances `rest`.
fn next_part<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match Length::take(rest)? {
        Length::NULL => Some(None),
        length => rest.split_off(..length.bytes()).map(Some),
    }
}

/// The offsets of records, as `topic[partition] first..=last`, one range for each partition.
pub fn spans(batch: &Batch, origins: &[Origin]) -> String {
    let mut spans: BTreeMap<TopicPartition, (i64, i64)> = BTreeMap::new();
    for record in origins.iter().filter_map(|origin| batch.record(*origin)) {
        let offset = record.offset();
        let span = spans.entry(record.partition.clone()).or_insert((offset, offset));
        *span = (span.0.min(offset), span.1.max(offset));
    }
    let texts: Vec<String> = spans
        .into_iter()
        .map(|(partition, (first, last))| format!("{partition} {first}..={last}"))
        .collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition_of(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    #[test]
    fn headers_of_any_length_are_read_as_they_were_pushed() {
        let mut batch = Batch::default();
        batch.push_header(b"of no record", None);
        let lengths = [0, 1, 126, 127, 128, 16_382, 16_383, 16_384, 2_100_000];
        let bytes = vec![0xff; 2_100_000];
        for offset in 0..2 {
            batch.push(
                &partition_of(0),
                1,
                &RawRecord { offset, key: Some(b"k"), ..Default::default() },
            );
            for length in lengths {
                batch.push_header(&bytes[..length], Some(&bytes[..length]));
                batch.push_header(&bytes[..length], None);
            }
        }
        for origin in 0..2 {
            let record = batch.record(origin).unwrap();
            let read = record.headers().map(|(name, value)| (name.len(), value.map(<[u8]>::len)));
            let pushed = lengths.into_iter().flat_map(|of| [(of, Some(of)), (of, None)]);
            assert_eq!(read.collect::<Vec<_>>(), pushed.collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_empty_header_takes_what_it_takes_on_the_wire() {
        let mut batch = Batch::default();
        batch.push(&partition_of(0), 1, &RawRecord::default());
        let before = batch.held_bytes();
        (0..100_000).for_each(|_| batch.push_header(b"", Some(b"")));
        assert_eq!(batch.held_bytes() - before, 200_000);
        assert_eq!(batch.record(0).unwrap().headers().count(), 100_000);
    }

    #[test]
    fn a_record_keeps_its_bytes_and_place() {
        let mut batch = Batch::default();
        let raw = |offset, payload| RawRecord { offset, payload, ..RawRecord::default() };
        batch.push(&partition_of(0), 1, &raw(7, Some(b"a".as_slice())));
        batch.push_header(b"h", None);
        batch.push_header(b"h", Some(b"2"));
        batch.push(&partition_of(0), 1, &raw(9, None));
        let with_key = RawRecord { key: Some(b"k"), timestamp_ms: Some(-1), ..raw(2, Some(b"")) };
        batch.push(&partition_of(3), 1, &with_key);
        batch.push_header(b"i", Some(b""));

        let first = batch.record(0).unwrap();
        assert_eq!((first.payload(), first.offset()), (Some(b"a".as_slice()), 7));
        assert_eq!(
            first.headers().collect::<Vec<_>>(),
            [(&b"h"[..], None), (&b"h"[..], Some(&b"2"[..]))]
        );
        assert_eq!(batch.record(1).unwrap().payload(), None);
        assert_eq!(batch.record(1).unwrap().headers().count(), 0);
        assert_eq!(batch.record(2).unwrap().partition.partition, 3);
        let last = batch.record(2).unwrap();
        assert_eq!((last.key(), last.payload()), (Some(b"k".as_slice()), Some(b"".as_slice())));
        assert_eq!((first.key(), first.timestamp_ms()), (None, None));
        assert_eq!(last.timestamp_ms(), Some(-1));
        assert_eq!(last.headers().collect::<Vec<_>>(), [(&b"i"[..], Some(&b""[..]))]);
        assert!(batch.record(3).is_none());
        assert_eq!([0, 1, 2].map(|origin| batch.lacks_headers(origin)), [false; 3]);
        batch.lack_headers();
        assert_eq!([0, 1, 2].map(|origin| batch.lacks_headers(origin)), [false, false, true]);
        assert_eq!(
            batch.runs().iter().map(|run| run.origins.clone()).collect::<Vec<_>>(),
            [0..2, 2..3]
        );
    }
}
