//! The columns that a plugin gave in each call, and the resulting rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take;

use crate::flow::record::Origin;

/// The columns that a plugin wrote, and the source row of each of their rows.
#[derive(Default)]
pub struct Given {
    rows: Vec<u32>,
    /// For each call, the written columns.
    columns: Vec<Vec<ArrayRef>>,
    bytes: usize,
}

/// The rows that continue.
pub struct Onward {
    /// Every column.
    pub batch: RecordBatch,
    /// The record of each row; never decreasing.
    pub origins: Vec<Origin>,
    /// The previous row that each comes from.
    pub from: Vec<u32>,
}

impl Onward {
    /// The absent values of these rows, given those of the rows before.
    pub fn absent(&self, before: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
        let mut by_row: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, row) in before {
            by_row.entry(row).or_default().push(at);
        }
        let of = |from: &u32| by_row.get(&(*from as usize)).into_iter().flatten().copied();
        let rows = self.from.iter().enumerate();
        rows.flat_map(|(row, from)| of(from).map(move |at| (at, row))).collect()
    }
}

impl Given {
    /// Adds the answer of a call for the rows from `first` on.
    pub fn add(&mut self, first: usize, rows: &[u32], columns: Vec<ArrayRef>, bytes: usize) {
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        self.rows.extend(rows.iter().map(|row| first.saturating_add(*row)));
        self.columns.push(columns);
        self.bytes += bytes;
    }

    /// Rows and bytes so far.
    pub fn size(&self) -> (usize, usize) {
        (self.rows.len(), self.bytes)
    }

    /// Combines the given columns, at the indices `writes`, with the untouched columns of `batch`,
    /// without the rows of refused records.
    ///
    /// # Errors
    /// Arrow's own checks; a failure is a bug here.
    pub fn join(
        self,
        batch: &RecordBatch,
        writes: &[usize],
        origins: &[Origin],
        is_out: &HashSet<Origin>,
    ) -> Result<Onward, ArrowError> {
        let is_all = (0..batch.num_rows()).eq(self.rows.iter().map(|row| *row as usize));
        let rows = UInt32Array::from(self.rows);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
        for (at, column) in batch.columns().iter().enumerate() {
            columns.push(match writes.iter().position(|written| *written == at) {
                Some(written) => joined(&self.columns, written, column)?,
                None if is_all => Arc::clone(column),
                None => take(column, &rows, None)?,
            });
        }
        let batch = RecordBatch::try_new(batch.schema(), columns)?;
        let of = |row: &u32| origins.get(*row as usize).copied().unwrap_or(Origin::MAX);
        let origins: Vec<Origin> = rows.values().iter().map(of).collect();
        if is_out.is_empty() {
            return Ok(Onward { batch, origins, from: rows.values().to_vec() });
        }
        let stays = origins.iter().map(|origin| Some(!is_out.contains(origin))).collect();
        let batch = filter_record_batch(&batch, &stays)?;
        let rows = origins.into_iter().zip(rows.values().iter().copied());
        let (origins, from) = rows.filter(|(origin, _)| !is_out.contains(origin)).unzip();
        Ok(Onward { batch, origins, from })
    }
}

/// One written column over all calls; an empty one like `column` if no call gave any.
fn joined(
    calls: &[Vec<ArrayRef>],
    written: usize,
    column: &ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    let parts: Vec<&dyn arrow_array::Array> =
        calls.iter().filter_map(|columns| columns.get(written)).map(AsRef::as_ref).collect();
    match parts.as_slice() {
        [] => Ok(column.slice(0, 0)),
        parts => concat(parts),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;

    fn numbers(numbers: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(numbers.to_vec()))
    }

    /// Three rows of two columns, of which the second is written.
    fn joined(rows: &[u32], written: &[i64], is_out: &[Origin]) -> (ArrayRef, Onward) {
        let untouched = numbers(&[1, 2, 3]);
        let columns = [("a", Arc::clone(&untouched)), ("b", numbers(&[4, 5, 6]))];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        );
        let mut given = Given::default();
        given.add(0, rows, vec![numbers(written)], 0);
        let is_out = is_out.iter().copied().collect();
        let onward = given.join(&batch.unwrap(), &[1], &[7, 8, 8], &is_out).unwrap();
        (untouched, onward)
    }

    #[test]
    fn a_column_that_is_not_touched_is_not_copied_where_every_row_goes_on() {
        let (untouched, onward) = joined(&[0, 1, 2], &[0, 0, 0], &[]);
        assert!(Arc::ptr_eq(&untouched, onward.batch.column(0)));
        assert_eq!(onward.batch.column(1), &numbers(&[0, 0, 0]));
    }

    #[test]
    fn columns_follow_the_rows_that_come_back_without_records_that_are_out() {
        let (_, onward) = joined(&[0, 0, 2], &[7, 8, 9], &[8]);
        assert_eq!(onward.batch.columns(), [numbers(&[1, 1]), numbers(&[7, 8])]);
        assert_eq!(onward.origins, [7, 7]);
        assert_eq!(onward.absent(vec![(5, 0), (3, 2), (9, 0)]), [(5, 0), (9, 0), (5, 1), (9, 1)]);
    }
}
