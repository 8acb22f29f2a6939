//! The path that one would write first: each record a `serde_json::Value`, its fields judged one by
//! one, then Arrow's own builders. It refuses what decode refuses, but for a field that stands twice,
//! which a `Value` does not see.

mod builders;
mod judge;

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::Value;
use sluicegate::schema::plan::TablePlan;

use builders::Builder;
use judge::{Cell, judge};

/// The records that fit, as the columns of the table.
///
/// # Errors
/// A type that is not written down here.
pub fn decode<'a>(
    plan: &TablePlan,
    records: impl Iterator<Item = &'a [u8]>,
) -> anyhow::Result<RecordBatch> {
    let fields = plan.arrow.fields().iter();
    let builders = fields.map(|field| builders::of(field.data_type()));
    let mut builders = builders.collect::<anyhow::Result<Vec<Box<dyn Builder>>>>()?;
    for record in records {
        let Ok(Value::Object(fields)) = serde_json::from_slice(record) else { continue };
        let cells = plan.columns.iter().map(|column| match fields.get(&*column.name) {
            None | Some(Value::Null) if column.is_required => None,
            None | Some(Value::Null) => Some(Cell::Null),
            Some(value) => judge(&column.ty, value),
        });
        let Some(cells) = cells.collect::<Option<Vec<Cell<'_>>>>() else { continue };
        for (builder, cell) in builders.iter_mut().zip(&cells) {
            builder.push(cell);
        }
    }
    let arrays = builders.iter_mut().map(|builder| builder.finish()).collect::<Result<_, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(&plan.arrow), arrays)?)
}
