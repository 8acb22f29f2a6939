//! What decode reads once hooks have run: a record's own payload, or what a hook put in its place.

use std::ops::Range;

use crate::flow::parts::Split;
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::Fault;

/// Where the payload of a row stands.
#[derive(Debug, Clone)]
enum PayloadPlace {
    /// With the record, as it was read.
    OfRecord,
    /// A part of that, by its bytes.
    Part(Range<u32>),
    /// In what a hook wrote: which of the writings, and the bytes of it. Small, since there is one
    /// for each row.
    Written(u32, Range<u32>),
}

/// A payload and the record that it belongs to.
#[derive(Debug, Clone)]
pub struct Row {
    /// The record.
    pub origin: Origin,
    place: PayloadPlace,
}

/// The payloads of a batch in the order of their records, and the bytes that hooks wrote. They are
/// kept until the batch is settled: a record that is decoded again is not hooked again.
#[derive(Debug, Clone, Default)]
pub struct Payloads {
    rows: Vec<Row>,
    written: Vec<Vec<u8>>,
    split: Split,
}

/// Bytes that are kept of each row beside its payload.
pub const ROW_BYTES: usize = size_of::<Row>();

impl Payloads {
    /// Records with their own payloads, one each.
    pub fn of_records(origins: impl IntoIterator<Item = Origin>) -> Self {
        let rows = origins.into_iter().map(|origin| Row { origin, place: PayloadPlace::OfRecord });
        Self { rows: rows.collect(), ..Self::default() }
    }

    /// No row; the parts that are put in are those of this split.
    pub fn of_parts(split: Split) -> Self {
        Self { split, ..Self::default() }
    }

    /// Puts a row in whose payload is a part of its record's own: `part` is a slice of it.
    pub fn put_part(&mut self, batch: &Batch, origin: Origin, part: &[u8]) {
        // A message is counted in 31 bits, so the place is never left out.
        if let Some(at) = start_of(batch, origin, part).and_then(|at| u32::try_from(at).ok()) {
            let end = at.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
            self.rows.push(Row { origin, place: PayloadPlace::Part(at..end) });
        }
    }

    /// Says in a fault which part of the record is at fault, if `payload` is a part of its record's own.
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

    /// A row's record and payload, by its place.
    pub fn row<'a>(&'a self, batch: &'a Batch, at: usize) -> Option<(Origin, &'a [u8])> {
        self.rows.get(at).map(|row| (row.origin, self.payload(batch, row)))
    }

    /// The records that have a row, ascending, each once.
    pub fn origins(&self) -> Vec<Origin> {
        let mut origins: Vec<Origin> = self.rows.iter().map(|row| row.origin).collect();
        origins.dedup();
        origins
    }

    /// The payload of one of the rows of a record, counted from 0.
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

    /// Takes the rows out; those that go on are put in again.
    pub fn take(&mut self) -> Vec<Row> {
        let room = Vec::with_capacity(self.rows.len());
        std::mem::replace(&mut self.rows, room)
    }

    /// Puts a row in as it is.
    pub fn keep(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Puts rows in whose payloads are the `spans` of `bytes`, which [`Payloads::write`] keeps next.
    pub fn put(&mut self, origin: Origin, spans: impl IntoIterator<Item = Range<u32>>) {
        let next = u32::try_from(self.written.len()).unwrap_or(u32::MAX);
        let rows =
            spans.into_iter().map(|span| Row { origin, place: PayloadPlace::Written(next, span) });
        self.rows.extend(rows);
    }

    /// Keeps the bytes of the rows put in since the last time.
    pub fn write(&mut self, bytes: Vec<u8>) {
        self.written.push(bytes);
    }

    /// Takes out all rows behind the first `rows`.
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

    /// The bytes that were written and are kept, and what is kept of each row beside them.
    pub fn held_bytes(&self) -> usize {
        self.written.iter().map(Vec::len).sum::<usize>() + size_of_val(&*self.rows)
    }

    /// The same, less what the batch reserved for it.
    pub fn held_beside(&self, batch: &Batch) -> usize {
        self.held_bytes().saturating_sub(batch.reserved_bytes())
    }

    /// Lets go of what was written for rows that are no more.
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

    /// Takes out every row of a record that `is_out`.
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

/// The byte of a record's own payload that a slice of it begins at; `None` of any other slice.
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
    /// The records that were refused, ascending, each once.
    pub rejections: Vec<crate::flow::rejection::Rejection>,
    /// The records that hooks left nothing of, ascending.
    pub dropped: Vec<Origin>,
}

impl Hooked {
    /// A batch that no hook has seen, of which each payload is a row.
    pub fn of_records(batch: &Batch) -> Self {
        let has_payload = |origin: &Origin| batch.payload(*origin).is_some();
        let payloads = Payloads::of_records((0..batch.len()).filter(has_payload));
        Self { payloads, rejections: Vec::new(), dropped: Vec::new() }
    }
}
