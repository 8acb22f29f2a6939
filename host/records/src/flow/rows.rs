//! What flows between decode, check and the sink: columns, and the record of each row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Rejection};
use crate::schema::plan::ValueRules;
use crate::schema::types::Type;

/// Checks whether decode could also have put a text into a column of the type. `check` receives it, since no stage
/// knows another.
pub type JudgeText = fn(&Type, ValueRules, &str) -> Result<(), Box<Fault>>;

/// Decoded rows. The columns are the plan's, in its order, and may hold nulls anywhere.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The columns.
    pub batch: RecordBatch,
    /// The record of each row; never decreasing.
    pub origins: Vec<Origin>,
    /// Columns that are absent from a row's payload, as column and row, if absent differs from null for them.
    pub absent: Vec<(usize, usize)>,
    /// The records without a row.
    pub rejections: Vec<Rejection>,
    /// The records that hooks left no row of; some of them may be refused as well.
    pub dropped: Vec<Origin>,
    /// The columns that hooks wrote, by index, with the name and version of the plugin that wrote each last: their
    /// values are as untrusted as the wire.
    pub written: Arc<BTreeMap<usize, Arc<str>>>,
    /// Observations made while decoding.
    pub noticed: Noticed,
}

/// Observations about records, beside their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Fields that fill no column: the first names, and how often each occurred.
    pub unknown: Vec<(Box<str>, u64)>,
    /// How often fields of other names filled no column.
    pub other_unknown: u64,
    /// The column, by index in the plan, of each value that was replaced, in order.
    pub replaced: Vec<usize>,
    /// Values that lost digits that their column does not keep: the column, by index in the plan, the row, and how many
    /// values.
    pub cut: Vec<(usize, usize, u64)>,
    /// Rows in which no field fills a column.
    pub unfilled: u64,
    /// Columns, by index in the plan, that COLUMN_FROM did not reach because the path ends in a null or a value without
    /// fields: one entry each time.
    pub unreached: Vec<usize>,
}

/// A mark in those observations that count only for rows that land.
#[derive(Debug, Clone, Copy)]
pub struct RowsMark {
    /// How many values were replaced.
    pub replaced: usize,
    unfilled: u64,
    unreached: usize,
}

/// Most field names that are counted apart.
const MAX_UNKNOWN: usize = 100;

impl Noticed {
    /// Marks the observations made so far.
    pub fn mark(&self) -> RowsMark {
        let Self { replaced, unfilled, unreached, .. } = self;
        RowsMark { replaced: replaced.len(), unfilled: *unfilled, unreached: unreached.len() }
    }

    /// Discards observations since `mark`: their rows do not land.
    pub fn go_back(&mut self, mark: RowsMark) {
        self.replaced.truncate(mark.replaced);
        self.unfilled = mark.unfilled;
        self.unreached.truncate(mark.unreached);
    }

    /// Counts a field that fills no column. `guess` is the likely index of its name, and is moved to that of the next.
    pub fn unknown(&mut self, name: &str, guess: &mut usize) {
        let is_it = |(known, _): &(Box<str>, u64)| **known == *name;
        let at = match self.unknown.get(*guess).is_some_and(is_it) {
            true => Some(*guess),
            false => self.unknown.iter().position(is_it),
        };
        if let Some(at) = at
            && let Some((_, count)) = self.unknown.get_mut(at)
        {
            *count += 1;
            *guess = at + 1;
        } else if self.unknown.len() < MAX_UNKNOWN {
            self.unknown.push((name.into(), 1));
        } else {
            self.other_unknown += 1;
        }
    }
}

/// Rows that may be inserted.
#[derive(Debug)]
pub struct Checked {
    /// The columns.
    pub batch: RecordBatch,
    /// The record of each row; never decreasing.
    pub origins: Vec<Origin>,
    /// The records refused so far.
    pub rejections: Vec<Rejection>,
    /// The records that a rule refuses, each with the index of its refused row among those checked.
    pub refused_rows: Vec<(Origin, usize)>,
    /// The records that hooks left no row of.
    pub dropped: Vec<Origin>,
    /// How many values of each column a default replaced, for columns with any. The server fills nulls left in a
    /// non-nullable column: their rows go without the column.
    pub defaulted: Vec<(usize, usize)>,
    /// Observations made while decoding.
    pub noticed: Noticed,
}
