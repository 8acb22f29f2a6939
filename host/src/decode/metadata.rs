//! What Kafka says of a record, as columns of its rows.

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::{Value, json};

use super::columns::Column;
use super::fault::{expected, fault};
use super::nested::put;
use super::parser::Parser;
use super::reader::Reader as _;
use super::value::ticks;
use crate::record::{Batch, Origin, Record};
use crate::rejection::{Fault, Reason, Rejection, Stage};
use crate::rows::Rows;
use crate::schema::plan::{ColumnPlan, TablePlan};
use crate::schema::source::{Metadata, Source};
use crate::schema::types::Kind;

const NANOS_OF_MS: i128 = 1_000_000;

/// Fills the columns of METADATA_COLUMNS. A record whose key or headers are no text is rejected;
/// `check` takes its rows out.
pub fn with_metadata(plan: &TablePlan, batch: &Batch, rows: Rows) -> Rows {
    if !has_metadata(plan) {
        return rows;
    }
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
        Ok(batch) => Rows { batch, rejections: [rows.rejections, refused].concat(), ..rows },
        // The columns are made from the plan that the batch is made by.
        Err(error) => unreachable!("columns and plan differ: {error}"),
    }
}

/// What a row of a record takes at most in the columns of METADATA_COLUMNS beside their fixed widths.
pub fn metadata_bytes(plan: &TablePlan, batch: &Batch, origin: Origin) -> usize {
    /// An element of an array or a map, in which a header is one.
    const HEADER: usize = 64;
    /// A token, which is put in when the row is sent.
    const TOKEN: usize = 64;
    let Some(record) = batch.record(origin) else { return 0 };
    let of = |column: &ColumnPlan| match column.source {
        Source::Metadata(Metadata::Topic) => record.source.topic.len(),
        Source::Metadata(Metadata::Key) => record.key().map_or(0, <[u8]>::len),
        Source::Metadata(Metadata::Token) => TOKEN,
        Source::Metadata(Metadata::Headers) => {
            let bytes = |(name, value): (&[u8], Option<&[u8]>)| {
                HEADER + name.len() + value.map_or(0, <[u8]>::len)
            };
            record.headers().map(bytes).sum()
        }
        _ => 0,
    };
    plan.columns.iter().map(of).sum()
}

/// Whether the table has columns of METADATA_COLUMNS.
pub fn has_metadata(plan: &TablePlan) -> bool {
    plan.columns.iter().any(|column| matches!(column.source, Source::Metadata(_)))
}

fn put_metadata(
    column: &mut Column,
    plan: &ColumnPlan,
    metadata: Metadata,
    record: &Record<'_>,
) -> Result<(), Box<Fault>> {
    match metadata {
        Metadata::Topic => put_text(column, plan, &record.source.topic),
        Metadata::Partition => put_integer(column, plan, record.source.partition.into()),
        Metadata::Offset => put_integer(column, plan, record.offset()),
        Metadata::Timestamp => match (record.timestamp_ms(), &plan.ty.kind) {
            (None, _) => Ok(()),
            (Some(ms), kind @ Kind::DateTime64 { .. }) => {
                let ticks = ticks(kind, i128::from(ms) * NANOS_OF_MS);
                let put = ticks.and_then(|ticks| column.put_count(ticks));
                put.ok_or_else(|| out_of_range(plan, ms))
            }
            (Some(ms), _) => put_integer(column, plan, ms),
        },
        Metadata::Key => match record.key() {
            None => Ok(()),
            Some(key) => put_text(column, plan, text(key, "a key of UTF-8")?),
        },
        // Known when the row is sent.
        Metadata::Token => put_text(column, plan, ""),
        Metadata::Headers => {
            put(column, &plan.ty, plan.values, &mut Parser::of(&headers(plan, record)?.to_string()))
        }
    }
}

fn put_text(column: &mut Column, plan: &ColumnPlan, text: &str) -> Result<(), Box<Fault>> {
    column.put_text(text).ok_or_else(|| fault(Reason::TooLarge, expected(&plan.ty), text))
}

fn put_integer(column: &mut Column, plan: &ColumnPlan, value: i64) -> Result<(), Box<Fault>> {
    column.put_integer(value.into()).ok_or_else(|| out_of_range(plan, value))
}

fn out_of_range(plan: &ColumnPlan, value: i64) -> Box<Fault> {
    fault(Reason::OutOfRange, expected(&plan.ty), &value.to_string())
}

/// The headers as the column holds them: an object, in which a name stands once, or pairs.
fn headers(plan: &ColumnPlan, record: &Record<'_>) -> Result<Value, Box<Fault>> {
    let mut pairs: Vec<(Value, Value)> = Vec::new();
    for (name, value) in record.headers() {
        let name = text(name, "names of headers of UTF-8")?.into();
        let value = value.map(|value| text(value, "headers of UTF-8")).transpose()?;
        pairs.push((name, value.map(Value::from).unwrap_or_default()));
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

fn text<'a>(bytes: &'a [u8], expected: &str) -> Result<&'a str, Box<Fault>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let found = format!("an invalid byte at offset {}", error.valid_up_to());
        fault(Reason::InvalidUtf8, expected, &found)
    })
}
