//! What decode reads after the hooks: a record's own payload, or what a hook replaced it with.

use std::ops::Range;

use crate::flow::parts::Split;
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::Fault;

/// Where a row's payload is stored.
#[derive(Debug, Clone)]
enum PayloadPlace {
    /// In the record, as it was read.
    OfRecord,
    /// In a part of the record, by its bytes.
    Part(Range<u32>),
    /// In what a hook wrote: the index of the write, and its bytes. Small, since there is one for each row.
    Written(u32, Range<u32>),
}

/// A payload and its record.
#[derive(Debug, Clone)]
pub struct Row {
    /// The record.
    pub origin: Origin,
    place: PayloadPlace,
}

/// The payloads of a batch in the order of their records, and the bytes that hooks wrote. They are kept until the batch
/// is settled: hooks do not run again if a record is decoded again.
#[derive(Debug, Clone, Default)]
pub struct Payloads {
    rows: Vec<Row>,
    written: Vec<Vec<u8>>,
    split: Split,
}

/// Bytes kept for each row beside its payload.
pub const ROW_BYTES: usize = size_of::<Row>();

impl Payloads {
    /// One row for each record: its own payload.
    pub fn of_records(origins: impl IntoIterator<Item = Origin>) -> Self {
        let rows = origins.into_iter().map(|origin| Row { origin, place: PayloadPlace::OfRecord });
        Self { rows: rows.collect(), ..Self::default() }
    }

    /// No row yet; the parts added later are those of this split.
    pub fn of_parts(split: Split) -> Self {
        Self { split, ..Self::default() }
    }

    /// Adds a row whose payload is `part`, a slice of its record's own payload.
    pub fn put_part(&mut self, batch: &Batch, origin: Origin, part: &[u8]) {
        // Kafka counts a message in 31 bits, so the conversion never fails.
        if let Some(at) = start_of(batch, origin, part).and_then(|at| u32::try_from(at).ok()) {
            let end = at.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
            self.rows.push(Row { origin, place: PayloadPlace::Part(at..end) });
        }
    }

    /// Adds to a fault which part of the record is at fault, if `payload` is a part of the record's own.
    #[cold]
    pub fn tell(&self, batch: &Batch, origin: Origin, payload: &[u8], fault: &mut Fault) {
        if self.is_split()
            && let (Some(whole), Some(at)) =
                (batch.payload(origin), start_of(batch, origin, payload))
        {
            self.split.tell(whole, at, fault);
        }
    }

    /// Whether payloads may be parts of their records.
    pub fn is_split(&self) -> bool {
        self.split != Split::None
    }

    /// The record and payload of the row at an index.
    pub fn row<'a>(&'a self, batch: &'a Batch, at: usize) -> Option<(Origin, &'a [u8])> {
        self.rows.get(at).map(|row| (row.origin, self.payload(batch, row)))
    }

    /// The records that have a row, ascending and distinct.
    pub fn origins(&self) -> Vec<Origin> {
        let mut origins: Vec<Origin> = self.rows.iter().map(|row| row.origin).collect();
        origins.dedup();
        origins
    }

    /// The payload of a record's row number `row`, counted from 0.
    pub fn nth<'a>(&'a self, batch: &'a Batch, origin: Origin, row: usize) -> Option<&'a [u8]> {
        let first = self.rows.partition_point(|row| row.origin < origin);
        let row = self.rows.get(first + row).filter(|row| row.origin == origin)?;
        Some(self.payload(batch, row))
    }

    /// Each payload with its record; origins never decrease.
    pub fn iter<'a>(
        &'a self,
        batch: &'a Batch,
    ) -> impl ExactSizeIterator<Item = (Origin, &'a [u8])> {
        self.rows.iter().map(|row| (row.origin, self.payload(batch, row)))
    }

    /// The payload of a row.
    pub fn payload<'a>(&'a self, batch: &'a Batch, row: &Row) -> &'a [u8] {
        let payload = match &row.place {
            PayloadPlace::OfRecord => batch.payload(row.origin),
            PayloadPlace::Part(bytes) => batch
                .payload(row.origin)
                .and_then(|payload| payload.get(bytes.start as usize..bytes.end as usize)),
            PayloadPlace::Written(at, bytes) => {
                let bytes = bytes.start as usize..bytes.end as usize;
                self.written.get(*at as usize).and_then(|written| written.get(bytes))
            }
        };
        payload.unwrap_or_default()
    }

    /// Takes out all rows; the caller puts back those to keep.
    pub fn take(&mut self) -> Vec<Row> {
        let room = Vec::with_capacity(self.rows.len());
        std::mem::replace(&mut self.rows, room)
    }

    /// Puts back a row unchanged.
    pub fn keep(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds rows whose payloads are the `spans` of `bytes`, which [`Payloads::write`] stores next.
    pub fn put(&mut self, origin: Origin, spans: impl IntoIterator<Item = Range<u32>>) {
        let next = u32::try_from(self.written.len()).unwrap_or(u32::MAX);
        let rows =
            spans.into_iter().map(|span| Row { origin, place: PayloadPlace::Written(next, span) });
        self.rows.extend(rows);
    }

    /// Stores the bytes of the rows added since the last call.
    pub fn write(&mut self, bytes: Vec<u8>) {
        self.written.push(bytes);
    }

    /// Removes all rows after the first `rows`.
    pub fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes held: what hooks wrote, and what is kept for each row.
    pub fn held_bytes(&self) -> usize {
        self.written.iter().map(Vec::len).sum::<usize>() + size_of_val(&*self.rows)
    }

    /// The same, minus what the batch reserved for it.
    pub fn held_beside(&self, batch: &Batch) -> usize {
        self.held_bytes().saturating_sub(batch.reserved_bytes())
    }

    /// Frees what was written for rows that no longer exist.
    pub fn forget(&mut self) {
        let mut is_used = vec![false; self.written.len()];
        for row in &self.rows {
            if let PayloadPlace::Written(at, _) = row.place
                && let Some(used) = is_used.get_mut(at as usize)
            {
                *used = true;
            }
        }
        for (written, _) in self.written.iter_mut().zip(is_used).filter(|(_, used)| !used) {
            *written = Vec::new();
        }
    }

    /// Removes every row of a record that `is_out`.
    pub fn withdraw(&mut self, is_out: impl Fn(Origin) -> bool) {
        self.rows.retain(|row| !is_out(row.origin));
    }

    /// The records of `pending` that have no row; both ascend.
    pub fn without_row(&self, pending: &[Origin]) -> Vec<Origin> {
        let mut left = self.rows.iter().map(|row| row.origin).peekable();
        let mut has_none = |origin: &Origin| {
            let has_row = left.peek() == Some(origin);
            while left.next_if_eq(origin).is_some() {}
            !has_row
        };
        pending.iter().copied().filter(|origin| has_none(origin)).collect()
    }
}

/// The byte of a record's own payload at which a slice of it begins; `None` for any other slice.
fn start_of(batch: &Batch, origin: Origin, part: &[u8]) -> Option<usize> {
    let whole = batch.payload(origin)?.as_ptr_range();
    let part = part.as_ptr_range();
    let is_within = whole.start <= part.start && part.end <= whole.end;
    is_within.then(|| part.start.addr() - whole.start.addr())
}

/// A batch after its last hook.
#[derive(Debug)]
pub struct Hooked {
    /// What to decode.
    pub payloads: Payloads,
    /// The records that were refused, ascending and distinct.
    pub rejections: Vec<crate::flow::rejection::Rejection>,
    /// The records that hooks left no row of, ascending.
    pub dropped: Vec<Origin>,
}

impl Hooked {
    /// A batch without hooks: each payload is a row.
    pub fn of_records(batch: &Batch) -> Self {
        let has_payload = |origin: &Origin| batch.payload(*origin).is_some();
        let payloads = Payloads::of_records((0..batch.len()).filter(has_payload));
        Self { payloads, rejections: Vec::new(), dropped: Vec::new() }
    }
}
