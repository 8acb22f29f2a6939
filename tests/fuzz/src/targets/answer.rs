//! The Arrow stream that a plugin answers with.
//!
//! - It is a batch or an error. A panic of Arrow's reader is the guest's failure; one of ours is a fault.
//! - The batch holds what was planned, each column is valid to its last value, and its memory is bounded by the
//!   answer's bytes.

use std::sync::LazyLock;

use arrow_array::{Array as _, RecordBatch};
use arrow_schema::FieldRef;
use sluicegate::plugins::hooks::batch_of_answer;
use sluicegate::schema::plan::{Rules, TablePlan};

use super::{ensure, outcome_of, plan_of, words};
use crate::panics::caught;

/// What the plugin has planned to write, as ClickHouse's types.
const WRITES: &[(&str, &str)] = &[
    ("text", "Nullable(String)"),
    ("tags", "Array(String)"),
    ("price", "Decimal(10, 2)"),
    ("at", "DateTime64(3, 'UTC')"),
    ("label", "Enum8('on' = 1, 'off' = 2)"),
    ("map", "Map(String, Int64)"),
    ("pair", "Tuple(a Int8, b Bool)"),
];

static PLAN: LazyLock<Result<TablePlan, String>> =
    LazyLock::new(|| plan_of(WRITES, &Rules::default()));

/// The table whose columns the plugin writes, all of them.
///
/// # Errors
/// One of the types is not filled.
pub fn written() -> Result<&'static TablePlan, String> {
    PLAN.as_ref().map_err(Clone::clone)
}

/// See the module.
pub fn run(input: &[u8]) -> Result<u64, String> {
    let gives = written()?.arrow.fields();
    let read = match caught(|| batch_of_answer(gives, input.to_vec())) {
        Ok(read) => read,
        Err(panic) if panic.starts_with("host/") => return Err(format!("panic at {panic}")),
        Err(panic) => return Ok(outcome_of(&words(&panic))),
    };
    match read {
        Ok(batch) => holds(gives, &batch, input.len()),
        Err(why) => Ok(outcome_of(&words(&why))),
    }
}

fn holds(gives: &[FieldRef], batch: &RecordBatch, bytes: usize) -> Result<u64, String> {
    for field in gives {
        let column = batch.column_by_name(field.name());
        let column = column.ok_or_else(|| format!("no column {}", field.name()))?;
        let of_type = column.data_type() == field.data_type();
        ensure(of_type, || format!("{} is of type {}", field.name(), column.data_type()))?;
        let valid = column.to_data().validate_full();
        valid.map_err(|error| format!("column {}: {error}", field.name()))?;
    }
    // Each buffer counts the whole answer, which the buffers share.
    let most = 64 * (bytes + 4_096);
    let taken = batch.get_array_memory_size();
    ensure(taken <= most, || format!("{taken} bytes in memory of an answer of {bytes}"))?;
    let nulls: Vec<bool> = batch.columns().iter().map(|column| column.null_count() > 0).collect();
    Ok(outcome_of(&(batch.num_rows().min(4), nulls)))
}
