//! What flows between decode, check and the sink: columns, and the record of each row.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::record::Origin;
use crate::rejection::{Fault, Rejection};
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
    /// Required columns that a record did not hold at all, as column and record, sorted by
    /// record; tells an absent field from a null one.
    pub absent: Vec<(usize, Origin)>,
    /// The records that gave no row.
    pub rejections: Vec<Rejection>,
    /// The records that hooks left nothing of; some of them may be refused as well.
    pub dropped: Vec<Origin>,
    /// The columns that hooks wrote, ascending: their values are as untrusted as the wire.
    pub written: Arc<[usize]>,
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
    /// The records that hooks left nothing of.
    pub dropped: Vec<Origin>,
    /// How many nulls of each column a default took the place of, for columns with any.
    pub defaulted: Vec<(usize, usize)>,
}
