//! What flows between decode, check and the sink: columns, and the record of each row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Rejection};
use crate::schema::plan::ValueRules;
use crate::schema::types::Type;

/// Whether decode, too, could have put a text into a column of the type. `check` is given it, since
/// no stage knows another.
pub type JudgeText = fn(&Type, ValueRules, &str) -> Result<(), Box<Fault>>;

/// Decoded rows. The columns are the plan's, in its order, and may hold nulls anywhere.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The columns.
    pub batch: RecordBatch,
    /// The record of each row; never decreasing.
    pub origins: Vec<Origin>,
    /// Columns that a row's payload did not hold at all, of those where that is not the same as a null, as
    /// column and row.
    pub absent: Vec<(usize, usize)>,
    /// The records that gave no row.
    pub rejections: Vec<Rejection>,
    /// The records that hooks left nothing of; some of them may be refused as well.
    pub dropped: Vec<Origin>,
    /// The columns that hooks wrote, by their place, and which plugin, by its name and version,
    /// wrote each last: their values are as untrusted as the wire.
    pub written: Arc<BTreeMap<usize, Arc<str>>>,
    /// What was noticed while decoding.
    pub noticed: Noticed,
}

/// What was noticed of records beside their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Fields that fill no column: the first names, and how often each was seen.
    pub unknown: Vec<(Box<str>, u64)>,
    /// Fields of any other name that fill no column.
    pub other_unknown: u64,
    /// Columns, by their place in the plan, of values that were replaced, in the order in which
    /// that happened.
    pub replaced: Vec<usize>,
    /// How many values lost digits that their column does not keep: the column, by its place in the plan, the
    /// row, and how many of it.
    pub cut: Vec<(usize, usize, u64)>,
    /// Rows of which no field fills a column.
    pub unfilled: u64,
    /// Columns, by their place in the plan, that COLUMN_FROM did not reach, since the way to them ends in a null
    /// or in a value without fields: each time.
    pub unreached: Vec<usize>,
}

/// What was noticed up to a record, of what is noticed of rows that land.
#[derive(Debug, Clone, Copy)]
pub struct RowsMark {
    /// How many values were replaced.
    pub replaced: usize,
    unfilled: u64,
    unreached: usize,
}

/// Most names of fields that are told apart.
const MAX_UNKNOWN: usize = 100;

impl Noticed {
    /// Marks what was noticed so far.
    pub fn mark(&self) -> RowsMark {
        let Self { replaced, unfilled, unreached, .. } = self;
        RowsMark { replaced: replaced.len(), unfilled: *unfilled, unreached: unreached.len() }
    }

    /// Forgets what was noticed since, of rows that do not land.
    pub fn go_back(&mut self, mark: RowsMark) {
        self.replaced.truncate(mark.replaced);
        self.unfilled = mark.unfilled;
        self.unreached.truncate(mark.unreached);
    }

    /// Counts a field that fills no column. `guess` is where its name may stand, and is set to
    /// where the next one may.
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
    /// The records that were refused so far.
    pub rejections: Vec<Rejection>,
    /// The records that a rule refuses, each with the row that it refuses of those that were checked.
    pub refused_rows: Vec<(Origin, usize)>,
    /// The records that hooks left nothing of.
    pub dropped: Vec<Origin>,
    /// How many values of each column a default took the place of, for columns with any. What a column that
    /// takes no null still holds as null is left to the server: it goes without the column.
    pub defaulted: Vec<(usize, usize)>,
    /// What was noticed while decoding.
    pub noticed: Noticed,
}
