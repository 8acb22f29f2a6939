//! The columns of one batch while records fill them. A refused record leaves no trace in them. A record that does not
//! fit is left for the next batch, with all of its rows.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};

use super::Read;
use super::columns::Column;
use super::member_order::Order;
use super::room::{Bounds, Room, too_large, too_wide};
use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Rejection, Stage};
use crate::flow::rows::{Noticed, Rows, RowsMark};
use crate::schema::plan::{ColumnPlan, TablePlan, WhenAbsent};
use crate::schema::source::OnInvalid;
use crate::schema::width::RowBytes;

/// The estimate counts text by the bytes of its record. The real size replaces it each time it has grown by this
/// fraction of the bound.
const LOOKS: usize = 8;
/// Memory of a kept note about a value, which is copied once, as a multiple of its size while the row is read.
const NOTES: usize = 3;

/// The outcome of one payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It became a row, or was refused.
    Done,
    /// The batch has no room for it.
    NoRoom,
}

/// Columns being filled.
pub struct Filled<'a> {
    plan: &'a TablePlan,
    bounds: &'a Bounds<'a>,
    columns: Vec<Column>,
    origins: Vec<Origin>,
    absent: Vec<(usize, usize)>,
    rejections: Vec<Rejection>,
    noticed: Noticed,
    order: Order,
    room: Room,
    row: RowBytes,
    /// Upper estimate of the bytes that the rows take.
    used: usize,
    /// Bytes that the rows took when they were last measured.
    looked_up: usize,
    /// Bytes of the columns that are filled after decode.
    beside: usize,
    current: Option<Current>,
}

/// The record whose rows are being read, and the lengths of the lists before it.
#[derive(Debug, Clone, Copy)]
struct Current {
    origin: Origin,
    rows: usize,
    rejections: usize,
    noticed: RowsMark,
    /// Bytes that the record may still take.
    left: usize,
    /// The record would have taken more. Its further rows are ignored.
    is_too_large: bool,
}

impl<'a> Filled<'a> {
    /// Empty columns with memory for `rows` rows, or as many as the bound allows.
    pub fn new(plan: &'a TablePlan, rows: usize, bounds: &'a Bounds<'a>) -> Self {
        let (room, row) = (Room::of(bounds.record_bytes), RowBytes::of(plan));
        // Reserved memory counts even if it stays empty.
        let rows = rows.min(bounds.batch_bytes / row.reserved().max(1));
        let columns = plan.columns.iter().enumerate();
        let columns =
            columns.map(|(at, column)| Column::within(&column.ty, rows, &room.of_column(at)));
        Self {
            columns: columns.collect(),
            plan,
            bounds,
            origins: Vec::new(),
            absent: Vec::new(),
            rejections: Vec::new(),
            noticed: Noticed::default(),
            order: Order::default(),
            room,
            row,
            used: 0,
            looked_up: 0,
            beside: 0,
            current: None,
        }
    }

    /// Decodes a payload into a row, or refuses its record.
    #[inline]
    pub fn put(&mut self, origin: Origin, payload: &[u8], read: Read) -> Put {
        let beside = (self.bounds.beside)(origin);
        let row_bytes = self.row.of_payload(payload).saturating_add(beside);
        let current = match self.current {
            Some(current) if current.origin == origin => Current {
                // The first row is free: its text is part of the record, and its width is that of every row.
                left: current.left.saturating_sub(row_bytes),
                is_too_large: current.is_too_large || row_bytes > current.left,
                ..current
            },
            _ => Current {
                origin,
                rows: self.origins.len(),
                rejections: self.rejections.len(),
                noticed: self.noticed.mark(),
                left: self.bounds.record_bytes,
                is_too_large: false,
            },
        };
        self.current = Some(current);
        // One fault per record is enough: its rows share one fate, and there may be a million.
        if self.rejections.len() > current.rejections {
            return Put::Done;
        }
        let (fixed, most) = (self.row.fixed(), self.bounds.record_bytes);
        if current.is_too_large || fixed > most {
            self.refuse(current, (fixed > most).then(|| too_wide(fixed, most)));
            return Put::Done;
        }
        let of_batch = match current.rows {
            0 if self.bounds.is_first_free => Some(usize::MAX),
            _ => self.bounds.batch_bytes.checked_sub(self.used.saturating_add(row_bytes)),
        };
        let Some(of_batch) = of_batch else {
            self.withdraw(current);
            return Put::NoRoom;
        };
        let room = current.left.min(of_batch);
        self.room.set(room);
        let (row, mark) = (self.origins.len(), self.noticed.mark());
        let with = (&mut self.order, &mut self.noticed);
        let read = read(self.plan, &mut self.columns, row, payload, with);
        if self.room.is_noted() {
            let cut = self.room.take_cut();
            if self.room.is_over() {
                if room < current.left {
                    self.withdraw(current);
                    return Put::NoRoom;
                }
                self.refuse(current, read.err());
                return Put::Done;
            }
            if read.is_ok() {
                self.beside = self.beside.saturating_add(size_of_val(&*cut).saturating_mul(NOTES));
                self.noticed.cut.extend(cut.into_iter().map(|(at, values)| (at, row, values)));
            }
        }
        match read {
            Ok(()) => {
                let replaced = self.noticed.replaced.get(mark.replaced..).unwrap_or_default();
                complete(self.plan, &mut self.columns, row, replaced, &mut self.absent);
                self.origins.push(origin);
                self.count(row_bytes, beside, room.saturating_sub(self.room.left()));
            }
            Err(mut fault) => {
                (self.bounds.tell)(origin, payload, &mut fault);
                self.truncate(row);
                self.noticed.go_back(mark);
                self.rejections.push(Rejection { origin, stage: Stage::Decode, fault: *fault });
            }
        }
        Put::Done
    }

    /// Counts a row, and the bytes of its arrays, maps and JSON.
    #[inline]
    fn count(&mut self, row_bytes: usize, beside: usize, taken: usize) {
        if let Some(current) = &mut self.current {
            current.left = current.left.saturating_sub(taken);
        }
        self.beside = self.beside.saturating_add(beside);
        self.used = self.used.saturating_add(row_bytes).saturating_add(taken);
        if self.used - self.looked_up > self.bounds.batch_bytes / LOOKS {
            let columns = self.columns.iter().map(Column::bytes).sum::<usize>();
            self.used = columns.saturating_add(self.beside);
            self.looked_up = self.used;
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// Removes everything that the record has added so far.
    fn withdraw(&mut self, current: Current) {
        self.truncate(current.rows);
        self.origins.truncate(current.rows);
        self.rejections.truncate(current.rejections);
        self.noticed.go_back(current.noticed);
        while self.noticed.cut.pop_if(|(_, row, _)| *row >= current.rows).is_some() {}
        while self.absent.pop_if(|(_, row)| *row >= current.rows).is_some() {}
    }

    /// Refuses the record: for `fault`, or for its size if `None`.
    fn refuse(&mut self, current: Current, fault: Option<Box<Fault>>) {
        self.withdraw(current);
        let fault = fault.unwrap_or_else(|| too_large(self.bounds.record_bytes));
        let (origin, stage) = (current.origin, Stage::Decode);
        self.rejections.push(Rejection { origin, stage, fault: *fault });
        self.current = Some(Current { left: 0, is_too_large: true, ..current });
    }

    /// The rows.
    pub fn finish(self) -> Rows {
        let Self { plan, columns, origins, absent, rejections, noticed, .. } = self;
        let batch = finish(plan, columns, origins.len());
        let (dropped, written) = (Vec::new(), Arc::default());
        Rows { batch, origins, absent, rejections, dropped, written, noticed }
    }
}

/// Puts a null in every column that the record did not fill. `replaced` are the columns whose value was replaced.
fn complete(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    replaced: &[usize],
    absent: &mut Vec<(usize, usize)>,
) {
    let is_left = |at: &usize| {
        plan.columns.get(*at).is_some_and(|column| {
            column.on_invalid == OnInvalid::Default && column.when_absent == WhenAbsent::LeftOut
        })
    };
    absent.extend(replaced.iter().copied().filter(is_left).map(|at| (at, row)));
    for (at, column) in columns.iter_mut().enumerate() {
        if column.len() == row {
            column.put_null();
            if plan.columns.get(at).is_some_and(is_told) {
                absent.push((at, row));
            }
        }
    }
}

/// Whether `check` needs to know that a record has no value for this column.
fn is_told(column: &ColumnPlan) -> bool {
    (column.is_required || column.when_absent != WhenAbsent::AsNull) && column.source.is_field()
}

fn finish(plan: &TablePlan, columns: Vec<Column>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let arrays = columns.into_iter().map(Column::finish).collect::<Result<Vec<_>, _>>();
    let batch = arrays.and_then(|arrays| {
        RecordBatch::try_new_with_options(Arc::clone(&plan.arrow), arrays, &options)
    });
    match batch {
        Ok(batch) => batch,
        // Columns and batch are made from the same plan.
        Err(error) => unreachable!("columns and plan differ: {error}"),
    }
}
