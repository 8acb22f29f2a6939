use arrow_array::RecordBatch;
use serde::de::DeserializeOwned;

use super::{Answer, Plan, Table};

/// A plugin that sees columns of rows after the host decoded them.
///
/// Records are delivered at least once, in batches cut anyhow, to any of several instances: answer
/// by the row alone.
pub trait ArrowPlugin: Sized {
    /// Read from the JSON that the operator configures, `{}` where nothing is;
    /// [`NoConfig`](crate::NoConfig) for none. With `#[serde(deny_unknown_fields)]` a mistyped key
    /// keeps the host from starting.
    type Config: DeserializeOwned;

    /// Makes an instance, of which there may be several, each made anew after a failure.
    ///
    /// # Errors
    ///
    /// Keeps the host from starting. The text goes to the operator: name the key that is wrong.
    fn new(config: Self::Config) -> Result<Self, String>;

    /// Says what it takes and gives of a table. Called before any batch, and again where the table
    /// has changed meanwhile. Every instance must answer the same.
    ///
    /// # Errors
    ///
    /// Why it cannot work on this table, for the operator; that of [`Table::column`] names the
    /// column.
    fn plan(&mut self, table: &Table) -> Result<Plan, String>;

    /// Answers for a batch of at least one row: [`ROW`](super::ROW), then the columns that the plan
    /// reads, then its fields. Any value may be null, where the record had none.
    ///
    /// # Errors
    ///
    /// The host takes it for a failure of the plugin: it calls a new instance with half of the
    /// rows until the one that fails alone is found. For a row that is at fault,
    /// [reject](Answer::reject) it.
    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String>;
}
