//! Rows in an order in which no value of a JSON column changes another (see `kinds`).

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::take_record_batch;

use super::table::Table;
use super::{Body, Sink};
use crate::blocking;
use crate::kinds::{Objects, Order, order};
use crate::record::Origin;
use crate::schema::types::{Kind, Type};

impl Sink {
    /// The rows as one INSERT into the table, in an order that keeps their JSON values.
    ///
    /// # Errors
    /// Arrow cannot write them.
    ///
    /// # Cancel safety
    /// Dropped, the rows are held until the body is written, and nothing is sent.
    pub async fn body(&self, table: &Table, rows: &RecordBatch) -> Result<Body, String> {
        let (table, rows, compression) = (table.clone(), rows.clone(), self.server.compression());
        blocking::run(move || Body::of(&table, &in_order(&table, &rows)?, compression)).await
    }

    /// The same of rows that need no order.
    ///
    /// # Errors
    /// As of [`Sink::body`].
    ///
    /// # Cancel safety
    /// As of [`Sink::body`].
    pub(super) async fn body_as_it_stands(
        &self,
        table: &Table,
        rows: &RecordBatch,
    ) -> Result<Body, String> {
        let (table, rows, compression) = (table.clone(), rows.clone(), self.server.compression());
        blocking::run(move || Body::of(&table, &rows, compression)).await
    }

    /// Whether some order of the rows keeps their JSON values in one INSERT.
    pub async fn goes_as_one(&self, table: &Table, rows: &RecordBatch) -> bool {
        match order_of(table, rows, None).await {
            Order::AsTheyStand => true,
            Order::Lists(lists) => lists.len() < 2,
        }
    }
}

/// The order that keeps the JSON values of the rows, by their records or row by row.
pub async fn order_of(table: &Table, rows: &RecordBatch, origins: Option<&[Origin]>) -> Order {
    if !table.schema.holds(Kind::is_json) {
        return Order::AsTheyStand;
    }
    let (table, rows, origins) = (table.clone(), rows.clone(), origins.map(<[Origin]>::to_vec));
    blocking::run(move || ordered(&table, &rows, origins.as_deref())).await
}

fn ordered(table: &Table, rows: &RecordBatch, origins: Option<&[Origin]>) -> Order {
    let columns = &table.schema.columns;
    let type_of = |name: &str| -> Option<&Type> {
        columns.iter().find(|column| *column.name == *name).map(|column| &column.ty)
    };
    Objects::of_batch(rows, type_of)
        .map_or(Order::AsTheyStand, |objects| order(&objects, rows.num_rows(), origins))
}

/// The rows in the order in which they are written: the same for the same rows.
///
/// # Errors
/// Arrow cannot reorder them.
pub fn in_order(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, String> {
    match ordered(table, rows, None) {
        Order::AsTheyStand => Ok(rows.clone()),
        Order::Lists(lists) => {
            taken(rows, lists.into_iter().flatten()).map_err(|error| error.to_string())
        }
    }
}

/// These rows, in this order.
///
/// # Errors
/// There are more of them than an index holds.
pub fn taken(
    rows: &RecordBatch,
    order: impl Iterator<Item = usize>,
) -> Result<RecordBatch, ArrowError> {
    let too_many = |_| ArrowError::InvalidArgumentError("more rows than an index holds".into());
    let order: UInt32Array = order
        .map(|row| u32::try_from(row).map_err(too_many))
        .collect::<Result<Vec<_>, _>>()?
        .into();
    take_record_batch(rows, &order)
}
