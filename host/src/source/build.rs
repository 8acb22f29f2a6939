//! The batches being built, and when they are handed over.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::stand::{OffsetAdmission, PartitionStand, Repeated};
use crate::flow::arenas::Arenas;
use crate::flow::parts::Split;
use crate::flow::payloads::ROW_BYTES;
use crate::flow::record::{Batch, RawRecord, TopicPartition};
use crate::kafka::queue::Message;
use crate::limits::budget::Budget;

/// The bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchBounds {
    /// Most records while there is no backlog.
    pub max_records: usize,
    /// Most records while there is a backlog: large INSERTs cost ClickHouse fewer merges.
    pub max_records_with_lag: usize,
    /// Memory size of the records at which a batch is closed.
    pub max_bytes: usize,
    /// Fixed bytes of each row in its columns. A batch is also closed once its rows need twice `max_bytes` in
    /// columns.
    pub row_bytes: usize,
    /// Most bytes of an array or map element of the table; counts like `row_bytes`. 0 if batches are cut by
    /// their column size anyway.
    pub element_bytes: usize,
    /// Most bytes that one record takes in columns.
    pub record_bytes: usize,
    /// How a payload is split into records, each of which becomes a row.
    pub split: Split,
    /// How long the first record may wait for others.
    pub linger: Duration,
}

/// Builds batches; knows the assigned partitions and their epochs.
#[derive(Debug)]
pub struct BatchBuilder {
    bounds: BatchBounds,
    arenas: Arenas,
    /// Whether each partition has batches of its own; else all share one.
    is_by_partition: bool,
    /// The batches being built: the first is shared by all partitions, or each is that of the partition with
    /// this [`Assigned::place`].
    open: Vec<OpenBatch>,
    /// Full batches that wait to be handed over.
    full: VecDeque<Batch>,
    /// Memory size of all these batches.
    held_bytes: usize,
    assigned: HashMap<TopicPartition, Assigned>,
    /// `assigned` by librdkafka's topic handle, so that messages need no name comparison.
    by_handle: HashMap<(usize, i32), (TopicPartition, Assigned), foldhash::fast::RandomState>,
    /// How far each assigned partition is read; indexed by [`Assigned::seat`].
    stands: Vec<PartitionStand>,
    /// Records that came again since this was last taken.
    repeated: HashMap<TopicPartition, Repeated>,
}

#[derive(Debug, Clone, Copy)]
struct Assigned {
    epoch: u64,
    place: usize,
    seat: usize,
}

/// A batch being built.
#[derive(Debug)]
struct OpenBatch {
    /// Current record limit, between the two bounds.
    max_records: usize,
    batch: Batch,
    arenas: Arenas,
    since: Option<Instant>,
    /// Where this batch and the next ones must end, as a predecessor planned. Such a batch has no other
    /// bound.
    ends: VecDeque<i64>,
    /// Upper estimate of the column bytes of array and map elements.
    element_bytes: usize,
    /// Upper bound on the rows beyond one for each record.
    further_rows: usize,
}

/// Upper estimate of the column bytes of a record's elements: each follows a comma or an opening bracket.
fn bytes_of_elements(payload: Option<&[u8]>, bounds: &BatchBounds) -> usize {
    if bounds.element_bytes == 0 {
        return 0;
    }
    let begins = |byte: &&u8| matches!(byte, b',' | b'[' | b'{');
    let elements = payload.unwrap_or_default().iter().filter(begins).count();
    elements.saturating_mul(bounds.element_bytes).min(bounds.record_bytes)
}

impl BatchBuilder {
    pub fn new(bounds: BatchBounds, is_by_partition: bool) -> Self {
        Self {
            bounds,
            arenas: Arenas::default(),
            is_by_partition,
            open: Vec::new(),
            full: VecDeque::new(),
            held_bytes: 0,
            assigned: HashMap::new(),
            by_handle: HashMap::default(),
            stands: Vec::new(),
            repeated: HashMap::new(),
        }
    }

    /// Starts taking a partition's records, from `next` on if known. If each partition has batches of its
    /// own, the first ones end at `ends`, exclusive.
    pub fn assign(
        &mut self,
        partition: &TopicPartition,
        epoch: u64,
        next: Option<i64>,
        ends: VecDeque<i64>,
    ) {
        self.by_handle.clear();
        self.assigned.remove(partition);
        let place = if self.is_by_partition { self.free_place() } else { 0 };
        if self.open.len() <= place {
            self.open.push(OpenBatch::new(&self.bounds, &self.arenas));
        }
        if let Some(open) = self.open.get_mut(place)
            && self.is_by_partition
        {
            *open = OpenBatch { ends, ..OpenBatch::new(&self.bounds, &self.arenas) };
            self.recount();
        }
        let is_taken = |seat: &usize| self.assigned.values().any(|of| of.seat == *seat);
        let free = (0..self.stands.len()).find(|seat| !is_taken(seat));
        let seat = free.unwrap_or(self.stands.len());
        if self.stands.len() <= seat {
            self.stands.push(PartitionStand::default());
        }
        self.assigned.insert(partition.clone(), Assigned { epoch, place, seat });
        self.move_to(partition, next);
    }

    fn free_place(&self) -> usize {
        let is_taken = |place: &usize| self.assigned.values().any(|of| of.place == *place);
        (0..self.open.len()).find(|place| !is_taken(place)).unwrap_or(self.open.len())
    }

    fn stand(&mut self, partition: &TopicPartition) -> Option<&mut PartitionStand> {
        self.stands.get_mut(self.assigned.get(partition)?.seat)
    }

    /// Takes an assigned partition's records from `next` on, or from any offset if `None`.
    pub fn move_to(&mut self, partition: &TopicPartition, next: Option<i64>) {
        if let Some(stand) = self.stand(partition) {
            *stand = PartitionStand::at(next);
        }
    }

    /// Takes nothing of a partition until [`BatchBuilder::move_to`]. Returns whether it was open until now.
    pub fn shut(&mut self, partition: &TopicPartition) -> bool {
        self.stand(partition).is_some_and(PartitionStand::shut)
    }

    /// Whether an assigned partition is shut.
    pub fn is_shut(&mut self, partition: &TopicPartition) -> bool {
        self.stand(partition).is_some_and(|stand| stand.is_shut())
    }

    /// The lowest offset that may come next of an assigned partition, if known.
    pub fn next(&self, partition: &TopicPartition) -> Option<i64> {
        self.stands.get(self.assigned.get(partition)?.seat)?.next()
    }

    /// The assigned partitions.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.assigned.keys()
    }

    /// Takes the records that came again since the last call, by partition.
    pub fn take_repeated(&mut self) -> HashMap<TopicPartition, Repeated> {
        std::mem::take(&mut self.repeated)
    }

    /// Stops taking a partition's records. Its own batches that were not handed over are dropped: the next
    /// owner reads their records.
    pub fn revoke(&mut self, partition: &TopicPartition) {
        self.by_handle.clear();
        let revoked = self.assigned.remove(partition);
        if !self.is_by_partition {
            return;
        }
        if let Some(open) = revoked.and_then(|of| self.open.get_mut(of.place)) {
            *open = OpenBatch::new(&self.bounds, &self.arenas);
        }
        let is_of_another =
            |batch: &Batch| batch.runs().iter().all(|run| run.partition != *partition);
        self.full.retain(is_of_another);
        self.recount();
    }

    /// Whether each partition has batches of its own.
    pub fn is_by_partition(&self) -> bool {
        self.is_by_partition
    }

    /// Whether no partition is assigned.
    pub fn is_idle(&self) -> bool {
        self.assigned.is_empty()
    }

    /// Whether the partition is assigned.
    pub fn owns(&self, partition: &TopicPartition) -> bool {
        self.assigned.contains_key(partition)
    }

    /// Copies a message into its batch; returns whether it is the first since its partition was assigned or
    /// moved. Ignores messages of partitions that are not assigned, which their owner reads, and drops
    /// messages below the partition's next offset, which were taken before.
    pub fn take(&mut self, message: &Message<'_>) -> bool {
        let at = (message.topic_handle(), message.partition());
        let (partition, Assigned { epoch, place, seat }) = match self.by_handle.entry(at) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let partition = message.topic_partition();
                let Some(assigned) = self.assigned.get(&partition) else { return false };
                unknown.insert((partition, *assigned))
            }
        };
        let Some(stand) = self.stands.get_mut(*seat) else { return false };
        let Some(open) = self.open.get_mut(*place) else { return false };
        let offset = message.offset();
        let admission = stand.admit(offset);
        match admission {
            OffsetAdmission::First | OffsetAdmission::Taken => {}
            OffsetAdmission::Shut => return false,
            OffsetAdmission::Repeated => {
                let before = self.repeated.get(partition).copied();
                self.repeated.insert(partition.clone(), Repeated::add(before, offset));
                return false;
            }
        }
        let record = RawRecord {
            offset,
            timestamp_ms: message.timestamp_ms(),
            key: message.key(),
            payload: message.payload(),
        };
        // A planned range whose records are all gone yields no batch.
        while open.ends.front().is_some_and(|end| record.offset >= *end) {
            open.ends.pop_front();
            self.full.extend(open.cut(&self.bounds));
        }
        open.since.get_or_insert_with(Instant::now);
        let before = open.batch.held_bytes();
        open.push(partition, *epoch, &record, &self.bounds);
        if !message.headers(|name, value| open.batch.push_header(name, value)) {
            open.batch.lack_headers();
        }
        self.held_bytes += open.batch.held_bytes() - before;
        let is_last = open.ends.pop_front_if(|end| record.offset + 1 >= *end).is_some();
        if is_last || open.is_full(&self.bounds) {
            self.full.extend(open.cut(&self.bounds));
        }
        admission == OffsetAdmission::First
    }

    /// Sets the column bytes of a row, and of an element of an array or a map.
    pub fn set_row_bytes(&mut self, row_bytes: usize, element_bytes: usize) {
        self.bounds.row_bytes = row_bytes;
        self.bounds.element_bytes = element_bytes;
    }

    fn recount(&mut self) {
        let open = self.open.iter().map(|open| &open.batch);
        self.held_bytes = open.chain(&self.full).map(Batch::held_bytes).sum();
    }

    /// Whether another record may be taken: no batch is full, and the budget allows more bytes. Ask after
    /// each record, since one large record may fill a batch.
    pub fn has_room(&self, budget: &Budget) -> bool {
        self.full.is_empty() && budget.has_bytes(self.held_bytes)
    }

    /// How many messages to read at a time, at most `max`: no more than the shared batch has room for.
    pub fn room(&self, max: usize) -> usize {
        match self.open.first() {
            Some(open) if !self.is_by_partition => {
                open.max_records.saturating_sub(open.batch.len() as usize).clamp(1, max)
            }
            _ => max,
        }
    }

    /// Takes the next batch to hand over: a full one, or one whose linger has passed.
    pub fn due(&mut self) -> Option<Batch> {
        let bounds = &self.bounds;
        let due = self.full.pop_front().or_else(|| {
            // The oldest, so that no partition starves.
            let due = self.open.iter_mut().filter(|open| open.is_due(bounds));
            due.min_by_key(|open| open.since)?.cut(bounds)
        });
        self.held_bytes -= due.as_ref().map_or(0, Batch::held_bytes);
        due
    }

    /// How long until a batch is due by its linger; `None` if there is none.
    pub fn due_in(&self) -> Option<Duration> {
        let open = self.open.iter().filter(|open| open.ends.is_empty());
        let since = open.filter_map(|open| open.since);
        since.map(|since| self.bounds.linger.saturating_sub(since.elapsed())).min()
    }

    /// Takes the remaining batches at a stop, full or not. A partly read planned range is dropped, since it
    /// may only go as planned. If each partition has batches of its own, many full ones may wait: they are
    /// dropped with all records after them, since a gap would count as settled. The next owner reads them
    /// again.
    pub fn rest(&mut self) -> Vec<Batch> {
        let mut rest: Vec<Batch> = self.full.drain(..).collect();
        let mut dropped = Vec::new();
        if self.is_by_partition {
            let runs = rest.iter().flat_map(Batch::runs);
            dropped.extend(runs.map(|run| run.partition.clone()));
            rest.clear();
        }
        for open in &mut self.open {
            let is_behind =
                |batch: &Batch| batch.runs().iter().any(|run| dropped.contains(&run.partition));
            let batch = open.cut(&self.bounds);
            rest.extend(batch.filter(|batch| open.ends.is_empty() && !is_behind(batch)));
        }
        self.recount();
        rest
    }
}

impl OpenBatch {
    fn new(bounds: &BatchBounds, arenas: &Arenas) -> Self {
        let (batch, arenas) = (Batch::default(), arenas.clone());
        let (max_records, ends) = (bounds.max_records, VecDeque::new());
        Self { max_records, batch, arenas, since: None, ends, element_bytes: 0, further_rows: 0 }
    }

    /// Copies a record into the batch, and estimates its rows and columns.
    fn push(
        &mut self,
        partition: &TopicPartition,
        epoch: u64,
        record: &RawRecord<'_>,
        bounds: &BatchBounds,
    ) {
        self.batch.push(partition, epoch, record);
        if bounds.split != Split::None {
            let parts = bounds.split.parts_at_most(record.payload.unwrap_or_default());
            self.batch.reserve(parts * ROW_BYTES);
            self.further_rows += parts.saturating_sub(1);
        }
        let of_elements = bytes_of_elements(record.payload, bounds);
        self.element_bytes = self.element_bytes.saturating_add(of_elements);
    }

    fn is_full(&self, bounds: &BatchBounds) -> bool {
        self.ends.is_empty()
            && (self.batch.held_bytes() >= bounds.max_bytes
                || self.batch.len() as usize >= self.max_records
                || self.column_bytes(bounds) / 2 >= bounds.max_bytes)
    }

    /// Upper estimate of the batch's column bytes.
    fn column_bytes(&self, bounds: &BatchBounds) -> usize {
        let rows = self.batch.len() as usize + self.further_rows;
        let of_rows = rows.saturating_mul(bounds.row_bytes);
        of_rows.saturating_add(self.element_bytes)
    }

    fn is_due(&self, bounds: &BatchBounds) -> bool {
        self.ends.is_empty() && self.since.is_some_and(|since| since.elapsed() >= bounds.linger)
    }

    /// Ends the batch and begins the next; returns it if it holds a record. After a full batch the record
    /// limit doubles, up to its bound.
    fn cut(&mut self, bounds: &BatchBounds) -> Option<Batch> {
        self.since = None;
        self.max_records = if self.is_full(bounds) {
            (self.max_records * 2).min(bounds.max_records_with_lag)
        } else {
            bounds.max_records
        };
        (self.element_bytes, self.further_rows) = (0, 0);
        let arena = self.arenas.take(self.batch.size_bytes());
        let next = Batch::within(arena, self.batch.len() as usize);
        (!self.batch.is_empty()).then(|| std::mem::replace(&mut self.batch, next))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
    use rdkafka::{Offset, TopicPartitionList};

    use super::*;
    use crate::flow::record::RawRecord;
    use crate::kafka::queue::DataQueue;

    const BOUNDS: BatchBounds = BatchBounds {
        max_records: 2,
        max_records_with_lag: 6,
        max_bytes: 250,
        row_bytes: 0,
        element_bytes: 0,
        record_bytes: 1_000,
        split: Split::None,
        linger: Duration::from_secs(1),
    };

    /// Fills the batch with records of this size; returns how many fitted.
    fn filled(open: &mut OpenBatch, bytes: usize) -> u32 {
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let payload = vec![b' '; bytes];
        while !open.is_full(&BOUNDS) {
            let record = RawRecord { payload: Some(&payload), ..RawRecord::default() };
            open.batch.push(&partition, 1, &record);
        }
        open.cut(&BOUNDS).unwrap().len()
    }

    #[test]
    fn batches_grow_while_they_are_full_be_it_of_bytes() {
        let mut open = OpenBatch::new(&BOUNDS, &Arenas::default());
        let sizes = [1, 1, 1, 10, 250, 1].map(|bytes| filled(&mut open, bytes));
        assert_eq!(sizes, [2, 4, 6, 5, 1, 6]);
    }

    #[test]
    fn records_of_a_wide_table_fill_a_batch_whatever_is_in_them() {
        let mut open = OpenBatch::new(&BOUNDS, &Arenas::default());
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let wide = BatchBounds { row_bytes: BOUNDS.max_bytes, max_records: 100, ..BOUNDS };
        open.max_records = wide.max_records;
        open.batch.push(&partition, 1, &RawRecord::default());
        assert!(!open.is_full(&wide));
        open.batch.push(&partition, 1, &RawRecord::default());
        assert!(open.is_full(&wide));
    }

    #[test]
    fn elements_are_counted_from_above_and_no_further_than_a_record_may_take() {
        let bounds = BatchBounds { element_bytes: 10, ..BOUNDS };
        let of = |payload: &str| bytes_of_elements(Some(payload.as_bytes()), &bounds);
        assert_eq!(bytes_of_elements(None, &bounds), 0);
        assert_eq!(bytes_of_elements(Some(b"[1,2,3]"), &BOUNDS), 0);
        assert_eq!(of("[1,2,3]"), 30);
        assert!(of(r#"{"a":[[1],[1]],"m":{"a":1}}"#) >= 50);
        assert_eq!(of(&format!("[{}]", vec!["{}"; 1_000].join(","))), 1_000);
    }

    #[test]
    fn each_record_of_a_message_fills_a_batch_as_a_row() {
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let lines =
            BatchBounds { split: Split::Lines, max_bytes: 10_000, max_records: 100, ..BOUNDS };
        let pushed = |payload: &[u8], bounds: BatchBounds| {
            let mut open = OpenBatch::new(&bounds, &Arenas::default());
            open.push(
                &partition,
                1,
                &RawRecord { payload: Some(payload), ..Default::default() },
                &bounds,
            );
            open
        };
        let many = "{}\n".repeat(400);
        assert!(
            !pushed(many.as_bytes(), BatchBounds { split: Split::None, ..lines }).is_full(&lines)
        );
        let open = pushed(many.as_bytes(), lines);
        assert!(open.batch.held_bytes() > many.len() + 400 * ROW_BYTES);
        assert_eq!(open.column_bytes(&BatchBounds { row_bytes: 10, ..lines }), 4_000);
        assert!(!open.is_full(&lines) && open.is_full(&BatchBounds { row_bytes: 50, ..lines }));
        assert!(pushed(many.repeat(2).as_bytes(), lines).is_full(&lines), "of places alone");
        let array = BatchBounds { split: Split::Array, ..lines };
        let open = pushed(br#"[{"a":1,"b":[1,2]},{}]"#, array);
        assert_eq!(open.column_bytes(&BatchBounds { row_bytes: 10, ..array }), 20);
    }

    #[test]
    fn headers_without_a_byte_fill_a_batch() {
        let mut open = OpenBatch::new(&BOUNDS, &Arenas::default());
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        open.batch.push(&partition, 1, &RawRecord::default());
        assert!(!open.is_full(&BOUNDS));
        (0..100).for_each(|_| open.batch.push_header(b"", None));
        assert!(open.is_full(&BOUNDS), "{} bytes are held", open.batch.held_bytes());
    }

    const PARTITIONS: i32 = 2;
    const RECORDS: i64 = 30;
    const HEADERS: usize = 2_000;

    fn of_topic(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    /// A queue of records with little but empty headers, and its cluster.
    fn dense() -> (MockCluster<'static, DefaultProducerContext>, DataQueue<DefaultConsumerContext>)
    {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", PARTITIONS, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().unwrap();
        let mut headers = OwnedHeaders::new_with_capacity(HEADERS);
        for _ in 0..HEADERS {
            headers = headers.insert(Header { key: "", value: Some("") });
        }
        for at in 0..RECORDS * i64::from(PARTITIONS) {
            let partition = i32::try_from(at).unwrap() % PARTITIONS;
            let record = BaseRecord::<(), str>::to("t").partition(partition).payload("{}");
            let sent = producer.send(record.headers(headers.clone()));
            sent.map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        config.set("group.id", "g");
        let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
        let queue = DataQueue::new(&consumer, 500).unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            queue.forward(&of_topic(partition));
            list.add_partition_offset("t", partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        (cluster, queue)
    }

    fn assigned(bounds: BatchBounds) -> BatchBuilder {
        let mut builder = BatchBuilder::new(bounds, false);
        for partition in 0..PARTITIONS {
            builder.assign(&of_topic(partition), 1, Some(0), VecDeque::new());
        }
        builder
    }

    /// Takes records until there is no room; returns how many.
    fn take(
        queue: &mut DataQueue<DefaultConsumerContext>,
        builder: &mut BatchBuilder,
        budget: &Budget,
    ) -> usize {
        queue.consume(Duration::from_secs(1), 500, |message| {
            assert_eq!(message.error(), None);
            builder.take(message);
            builder.has_room(budget)
        })
    }

    /// Partition and offset of each record, in the order taken.
    fn places(batches: &[Batch]) -> Vec<(i32, i64)> {
        let records = batches.iter().flat_map(|batch| {
            (0..batch.len()).map(|origin| {
                let record = batch.record(origin).unwrap();
                assert_eq!(record.headers().count(), HEADERS);
                (record.partition.partition, record.offset())
            })
        });
        records.collect()
    }

    #[test]
    fn a_read_of_many_headers_ends_at_the_bounds_and_goes_on_later_without_loss() {
        /// Most memory of a record: its headers and fixed overhead.
        const RECORD: usize = 2 * HEADERS + 200;
        let wide = BatchBounds {
            max_records: 1_000,
            max_records_with_lag: 1_000,
            max_bytes: usize::MAX,
            ..BOUNDS
        };
        let by_bytes = BatchBounds { max_bytes: 4 * RECORD, ..wide };
        for (bounds, most) in [(wide, 5 * RECORD), (by_bytes, 4 * RECORD)] {
            let (_cluster, mut queue) = dense();
            let mut builder = assigned(bounds);
            // 100 bytes of records take 200 of the budget.
            let budget = Budget::new(
                2,
                if bounds.max_bytes == wide.max_bytes { 2 * most } else { usize::MAX },
            );
            let _in_flight = budget.lease(0);
            let (mut batches, mut waited, mut reads) = (Vec::new(), 0, 0);
            while batches.iter().map(|batch: &Batch| batch.len()).sum::<u32>() < 60 {
                take(&mut queue, &mut builder, &budget);
                assert!(builder.held_bytes < most + RECORD, "{} bytes", builder.held_bytes);
                waited += u32::from((0..PARTITIONS).any(|of| queue.holds(&of_topic(of))));
                batches.append(&mut builder.rest());
                assert_eq!(builder.held_bytes, 0);
                reads += 1;
                assert!(reads < 200, "the records do not come");
            }
            assert!(waited > 0, "what came at a time was all taken");
            for partition in 0..PARTITIONS {
                let of_it = places(&batches).into_iter().filter(|(of, _)| *of == partition);
                let expected = (0..RECORDS).map(|offset| (partition, offset));
                assert_eq!(of_it.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
            assert_eq!(take(&mut queue, &mut builder, &budget), 0);
        }
    }

    #[test]
    fn what_waits_of_a_partition_that_goes_away_is_dropped_and_nothing_else() {
        let (_cluster, mut queue) = dense();
        let mut builder =
            assigned(BatchBounds { max_records: 1, max_records_with_lag: 1, ..BOUNDS });
        let budget = Budget::new(2, usize::MAX);
        let mut batches = Vec::new();
        queue.fill_up_to(60);
        take(&mut queue, &mut builder, &budget);
        batches.extend(builder.due());
        builder.revoke(&of_topic(0));
        queue.forget(&of_topic(0));
        assert!(!queue.holds(&of_topic(0)) && queue.holds(&of_topic(1)));
        builder.assign(&of_topic(0), 2, Some(0), VecDeque::new());
        while queue.holds(&of_topic(1)) {
            take(&mut queue, &mut builder, &budget);
            batches.extend(builder.due());
        }
        let taken = places(&batches);
        let of_last: Vec<_> = taken.iter().filter(|(of, _)| *of == 1).collect();
        assert!(of_last.iter().map(|(_, offset)| *offset).eq((0..).take(of_last.len())));
        assert_eq!(builder.next(&of_topic(0)), Some(0), "nothing is taken behind a gap");
    }

    #[test]
    fn a_batch_that_waited_makes_the_next_one_small_again() {
        let mut open = OpenBatch::new(&BOUNDS, &Arenas::default());
        assert_eq!([filled(&mut open, 1), filled(&mut open, 1)], [2, 4]);
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        open.batch.push(&partition, 1, &RawRecord::default());
        assert_eq!(open.cut(&BOUNDS).unwrap().len(), 1);
        assert_eq!(filled(&mut open, 1), 2);
    }
}
