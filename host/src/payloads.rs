//! What decode reads once hooks have run: a record's own payload, or what a hook put in its place.

use std::ops::Range;

use crate::record::{Batch, Origin};

/// Where the payload of a row stands.
#[derive(Debug, Clone)]
enum Place {
    /// With the record, as it was read.
    OfRecord,
    /// In what a hook wrote: which of the writings, and the bytes of it. Small, since there is one
    /// for each row.
    Written(u32, Range<u32>),
}

/// A payload and the record that it belongs to.
#[derive(Debug, Clone)]
pub struct Row {
    /// The record.
    pub origin: Origin,
    place: Place,
}

/// The payloads of a batch in the order of their records, and the bytes that hooks wrote. They are
/// kept until the batch is settled: a record that is decoded again is not hooked again.
#[derive(Debug, Default)]
pub struct Payloads {
    rows: Vec<Row>,
    written: Vec<Vec<u8>>,
}

impl Payloads {
    /// Records with their own payloads, one each.
    pub fn of_records(origins: impl IntoIterator<Item = Origin>) -> Self {
        let rows = origins.into_iter().map(|origin| Row { origin, place: Place::OfRecord });
        Self { rows: rows.collect(), written: Vec::new() }
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
            Place::OfRecord => batch.payload(row.origin),
            Place::Written(at, bytes) => {
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
        let rows = spans.into_iter().map(|span| Row { origin, place: Place::Written(next, span) });
        self.rows.extend(rows);
    }

    /// Keeps the bytes of the rows put in since the last time.
    pub fn write(&mut self, bytes: Vec<u8>) {
        self.written.push(bytes);
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

    /// Lets go of what was written for rows that are no more.
    pub fn forget(&mut self) {
        let mut is_used = vec![false; self.written.len()];
        for row in &self.rows {
            if let Place::Written(at, _) = row.place
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

/// A batch after its last hook.
#[derive(Debug)]
pub struct Hooked {
    /// What to decode.
    pub payloads: Payloads,
    /// The records that were refused, ascending, each once.
    pub rejections: Vec<crate::rejection::Rejection>,
    /// The records that hooks left nothing of, ascending.
    pub dropped: Vec<Origin>,
}
