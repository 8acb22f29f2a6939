#![doc = include_str!("../ARROW.md")]

mod answer;
mod instance;
mod ipc;
mod plan;
mod plugin;
mod table;

pub use answer::Answer;
pub(crate) use answer::{origins, with_row};
pub use arrow_array as array;
pub use arrow_array::RecordBatch;
pub use arrow_schema as schema;
pub use arrow_select as select;
pub use instance::ArrowInstance;
pub(crate) use ipc::{read, stream};
pub use plan::Plan;
pub use plugin::ArrowPlugin;
pub use table::{Column, Table};

/// The column that says which row a row comes from, a UInt32 that counts from 0. It comes first in
/// each batch, and goes back with the answer.
pub const ROW: &str = "__row";

/// A column of a batch, as the array that its type is: `column::<StringArray>(&rows, "email")?`.
///
/// # Errors
///
/// The batch has no column of this name, since the plan does not read it, or one of another type.
pub fn column<'a, A: array::Array + 'static>(
    rows: &'a RecordBatch,
    name: &str,
) -> Result<&'a A, String> {
    let column = rows.column_by_name(name).ok_or_else(|| {
        format!("column `{name}`: not in the batch, since `plan` does not read it")
    })?;
    column.as_any().downcast_ref().ok_or_else(|| {
        format!("column `{name}`: taken for another array than that of {}", column.data_type())
    })
}
