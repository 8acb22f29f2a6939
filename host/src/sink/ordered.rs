//! Makes rows fit for one INSERT: in an order in which no JSON value changes another (see `kinds`), and
//! without columns that have no value in any row and for which the server takes no null.

use std::collections::HashMap;

use arrow_array::{Array as _, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, FieldRef};
use arrow_select::take::take_record_batch;

use super::Sink;
use crate::base::blocking::run_blocking;
use crate::clickhouse::Body;
use crate::clickhouse::table::Table;
use crate::clickhouse::tokens::Carried;
use crate::flow::record::Origin;
use crate::json_order::{JsonColumns, RowOrder, order};
use crate::schema::plan::{Rules, WhenNull, when_null};
use crate::schema::table::Column;
use crate::schema::types::Kind;

impl Sink {
    /// The rows as one INSERT takes them: ordered to keep their JSON values, without the columns that all
    /// rows leave to the server. `None` if no single INSERT can take them.
    ///
    /// # Errors
    /// Arrow cannot reorder them.
    ///
    /// # Cancel safety
    /// If dropped, the rows are held until they are in order.
    pub async fn as_one(
        &self,
        table: &Table,
        rows: &RecordBatch,
    ) -> Result<Option<RecordBatch>, String> {
        let lists = match order_of(table, rows, None).await {
            RowOrder::AsTheyStand => return projected(table, rows).map(Some),
            RowOrder::Lists(lists) => lists,
        };
        let ([] | [_]) = lists.as_slice() else { return Ok(None) };
        let (table, rows) = (table.clone(), rows.clone());
        run_blocking(move || {
            let rows = taken(&rows, lists.into_iter().flatten());
            projected(&table, &rows.map_err(|error| error.to_string())?).map(Some)
        })
        .await
    }

    /// The body of an INSERT of these rows, as they are. `carried`: where they carry their token.
    ///
    /// # Errors
    /// Arrow cannot write them.
    ///
    /// # Cancel safety
    /// If dropped, the rows are held until the body is written, and nothing is sent.
    pub async fn body(
        &self,
        table: &Table,
        rows: &RecordBatch,
        carried: Carried<'_>,
    ) -> Result<Body, String> {
        let (table, rows, compression) = (table.clone(), rows.clone(), self.server.compression());
        let mut body = run_blocking(move || Body::of(&table, &rows, compression)).await?;
        body.sought = carried.sought(&body.sought.rows)?;
        Ok(body)
    }
}

/// Splits the rows into lists that lack the same columns, ordered to keep their JSON values, by record or row
/// by row.
pub async fn order_of(table: &Table, rows: &RecordBatch, origins: Option<&[Origin]>) -> RowOrder {
    if !table.schema.holds(Kind::is_json) && lacking(table, rows).is_empty() {
        return RowOrder::AsTheyStand;
    }
    let (table, rows, origins) = (table.clone(), rows.clone(), origins.map(<[Origin]>::to_vec));
    run_blocking(move || ordered(&table, &rows, origins.as_deref())).await
}

/// Indexes of the columns that some rows leave to the server. A null there would be refused or stored as a
/// zero, or as an array shorter than its siblings. `check` leaves a null there only if the record had no such
/// field.
fn lacking(table: &Table, rows: &RecordBatch) -> Vec<usize> {
    let fields = rows.schema();
    let columns = fields.fields().iter().zip(rows.columns()).enumerate();
    let is_lacking = |(at, (field, column)): &(usize, (&FieldRef, &ArrayRef))| {
        let is_left = |column: &Column| {
            when_null(column, &Rules::default()) == WhenNull::Reject
                || table.schema.has_sibling(column)
        };
        column.logical_null_count() > 0 && column_of(table, *at, field.name()).is_some_and(is_left)
    };
    columns.filter(is_lacking).map(|(at, _)| at).collect()
}

/// The table's column of this name, mostly at this index.
fn column_of<'a>(table: &'a Table, at: usize, name: &str) -> Option<&'a Column> {
    let columns = &table.schema.columns;
    let is_it = |column: &&Column| *column.name == *name;
    columns.get(at).filter(is_it).or_else(|| columns.iter().find(is_it))
}

fn ordered(table: &Table, rows: &RecordBatch, origins: Option<&[Origin]>) -> RowOrder {
    let lacking = lacking(table, rows);
    let key = |row: usize| -> Vec<bool> {
        let is_null = |at: &usize| rows.columns().get(*at).map(|column| column.is_null(row));
        lacking.iter().filter_map(is_null).collect()
    };
    // By their records, of which every row lacks the same.
    let mut lists: Vec<Vec<usize>> = Vec::new();
    let mut by_key: HashMap<Vec<bool>, usize> = HashMap::new();
    if !lacking.is_empty() {
        for row in 0..rows.num_rows() {
            let at = *by_key.entry(key(row)).or_insert_with(|| {
                lists.push(Vec::new());
                lists.len() - 1
            });
            lists.get_mut(at).into_iter().for_each(|list| list.push(row));
        }
    }
    if lists.len() < 2 {
        return by_json(table, rows, origins);
    }
    let of_list = |list: Vec<usize>| -> Vec<Vec<usize>> {
        let Ok(part) = taken(rows, list.iter().copied()) else { return vec![list] };
        let origins: Option<Vec<Origin>> = origins
            .map(|origins| list.iter().filter_map(|row| origins.get(*row).copied()).collect());
        match by_json(table, &part, origins.as_deref()) {
            RowOrder::AsTheyStand => vec![list],
            RowOrder::Lists(parts) => {
                let of = |part: Vec<usize>| -> Vec<usize> {
                    part.into_iter().filter_map(|row| list.get(row).copied()).collect()
                };
                parts.into_iter().map(of).collect()
            }
        }
    };
    RowOrder::Lists(lists.into_iter().flat_map(of_list).collect())
}

fn by_json(table: &Table, rows: &RecordBatch, origins: Option<&[Origin]>) -> RowOrder {
    if !table.schema.holds(Kind::is_json) {
        return RowOrder::AsTheyStand;
    }
    let type_of = |at, name: &str| column_of(table, at, name).map(|column| &column.ty);
    JsonColumns::of_batch(rows, type_of)
        .map_or(RowOrder::AsTheyStand, |objects| order(&objects, rows.num_rows(), origins))
}

/// The rows without the columns that all of them leave to the server, which may be every column.
///
/// # Errors
/// Arrow cannot project them.
pub fn projected(table: &Table, rows: &RecordBatch) -> Result<RecordBatch, String> {
    let mut lacking = lacking(table, rows);
    let is_all = |at: &usize| {
        rows.columns().get(*at).is_some_and(|column| column.logical_null_count() == column.len())
    };
    lacking.retain(is_all);
    if lacking.is_empty() {
        return Ok(rows.clone());
    }
    let kept: Vec<usize> = (0..rows.num_columns()).filter(|at| !lacking.contains(at)).collect();
    rows.project(&kept).map_err(|error| error.to_string())
}

/// These rows, in this order.
///
/// # Errors
/// More rows than an index can address.
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
