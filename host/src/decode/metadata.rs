//! What Kafka says of a record, as columns of its rows.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use serde_json::{Value, json};

use super::columns::Column;
use super::fault::fault;
use super::nested::put;
use crate::record::{Batch, Origin, Record};
use crate::rejection::{Fault, Reason, Rejection, Stage};
use crate::rows::Rows;
use crate::schema::plan::{ColumnPlan, TablePlan, TimestampUnit, ValueRules};
use crate::schema::source::{Metadata, Source};
use crate::schema::types::Kind;

/// Fills the columns of METADATA_COLUMNS. A record whose key or headers are no text is rejected,
/// and loses its rows.
pub fn with_metadata(plan: &TablePlan, batch: &Batch, rows: Rows) -> Rows {
    let mut columns = rows.batch.columns().to_vec();
    let mut refused: Vec<Rejection> = Vec::new();
    for (at, plan) in plan.columns.iter().enumerate() {
        let Source::Metadata(metadata) = plan.source else { continue };
        let Some(slot) = columns.get_mut(at) else { continue };
        let mut column = Column::new(&plan.ty, rows.origins.len());
        for (row, origin) in rows.origins.iter().enumerate() {
            let record = batch.record(*origin);
            let put =
                record.map_or(Ok(()), |record| put_metadata(&mut column, plan, metadata, &record));
            if let Err(mut fault) = put {
                fault.column = Some(Arc::clone(&plan.name));
                refused.push(Rejection { origin: *origin, stage: Stage::Decode, fault: *fault });
                column.truncate(row);
            }
            if column.len() == row {
                column.put_null();
            }
        }
        match column.finish() {
            Ok(array) => *slot = array,
            Err(error) => unreachable!("column `{}`: {error}", plan.name),
        }
    }
    match RecordBatch::try_new(rows.batch.schema(), columns) {
        Ok(batch) if refused.is_empty() => Rows { batch, ..rows },
        Ok(batch) => without(Rows { batch, ..rows }, refused),
        // The columns are made from the plan that the batch is made by.
        Err(error) => unreachable!("columns and plan differ: {error}"),
    }
}

/// Takes the rows of refused records out.
fn without(rows: Rows, refused: Vec<Rejection>) -> Rows {
    let is_out = |origin: &Origin| refused.iter().any(|refused| refused.origin == *origin);
    let stays: Vec<bool> = rows.origins.iter().map(|origin| !is_out(origin)).collect();
    let batch = match filter_record_batch(&rows.batch, &BooleanArray::from(stays)) {
        Ok(batch) => batch,
        Err(error) => unreachable!("rows and origins differ: {error}"),
    };
    let origins = rows.origins.iter().copied().filter(|origin| !is_out(origin)).collect();
    let rejections = [rows.rejections, refused].concat();
    Rows { batch, origins, rejections, ..rows }
}

fn put_metadata(
    column: &mut Column,
    plan: &ColumnPlan,
    metadata: Metadata,
    record: &Record<'_>,
) -> Result<(), Box<Fault>> {
    let value = match metadata {
        Metadata::Topic => Some(json!(&*record.source.topic)),
        Metadata::Partition => Some(json!(record.source.partition)),
        Metadata::Offset => Some(json!(record.offset())),
        Metadata::Timestamp => record.timestamp_ms().map(|ms| json!(ms)),
        Metadata::Key => record.key().map(|key| text(key, "a key of UTF-8")).transpose()?,
        Metadata::Headers => Some(headers(plan, record)?),
    };
    let Some(value) = value else { return Ok(()) };
    let rules = ValueRules { unit: Some(TimestampUnit::Milliseconds), ..plan.values };
    put(column, &plan.ty, rules, &value.to_string())
}

/// The headers as the column holds them: an object, in which a name stands once, or pairs.
fn headers(plan: &ColumnPlan, record: &Record<'_>) -> Result<Value, Box<Fault>> {
    let mut pairs: Vec<(Value, Value)> = Vec::new();
    for (name, value) in record.headers() {
        let name = text(name, "names of headers of UTF-8")?;
        let value = value.map(|value| text(value, "headers of UTF-8")).transpose()?;
        pairs.push((name, value.unwrap_or_default()));
    }
    if matches!(plan.ty.kind, Kind::Array(_)) {
        return Ok(pairs.into_iter().map(|(name, value)| json!([name, value])).collect());
    }
    let mut object = serde_json::Map::new();
    for (name, value) in pairs {
        let name = name.as_str().unwrap_or_default().to_owned();
        if object.insert(name.clone(), value).is_some() {
            let expected = "each header once; Array(Tuple(String, String)) holds several";
            let mut fault = fault(Reason::DuplicateKey, expected, "");
            fault.got = format!("`{name}` twice");
            return Err(fault);
        }
    }
    Ok(Value::Object(object))
}

fn text(bytes: &[u8], expected: &str) -> Result<Value, Box<Fault>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let found = format!("an invalid byte at offset {}", error.valid_up_to());
            Err(fault(Reason::InvalidUtf8, expected, &found))
        }
    }
}
