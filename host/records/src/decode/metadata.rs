//! Kafka's metadata of a record, as columns of its rows.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::columns::Column;
use super::fault::{expected, fault};
use super::scalar::ticks;
use crate::flow::record::{Batch, Origin, Record};
use crate::flow::rejection::{Fault, Reason, Rejection, Stage, cut};
use crate::flow::rows::Rows;
use crate::schema::plan::{ColumnPlan, TablePlan};
use crate::schema::source::{ColumnSource, Metadata, OnInvalid};
use crate::schema::types::{Kind, Type};

const NANOS_OF_MS: i128 = 1_000_000;

/// Fills the columns of METADATA_COLUMNS. A value that does not fit is replaced, and counted; under COLUMN_ON_INVALID
/// it may reject the record instead, and `check` removes its rows.
pub fn with_metadata(plan: &TablePlan, batch: &Batch, mut rows: Rows) -> Rows {
    if !has_metadata(plan) {
        return rows;
    }
    let mut columns = rows.batch.columns().to_vec();
    let mut refused: Vec<Rejection> = Vec::new();
    for (at, plan) in plan.columns.iter().enumerate() {
        let ColumnSource::Metadata(metadata) = plan.source else { continue };
        let Some(slot) = columns.get_mut(at) else { continue };
        let mut column = Column::new(&plan.ty, rows.origins.len());
        for (row, origin) in rows.origins.iter().enumerate() {
            let record = batch.record(*origin);
            let put = record.map_or(Ok(Put::AsItIs), |record| {
                put_metadata(&mut column, plan, metadata, &record)
            });
            match put {
                Ok(Put::AsItIs) => {}
                Ok(Put::Replaced) => rows.noticed.replaced.push(at),
                Err(mut fault) => {
                    column.truncate(row);
                    if plan.on_invalid == OnInvalid::Reject {
                        fault.column = Some(Arc::clone(&plan.name));
                        let (origin, stage) = (*origin, Stage::Decode);
                        refused.push(Rejection { origin, stage, fault: *fault });
                    } else {
                        rows.noticed.replaced.push(at);
                    }
                }
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
        // Columns and batch are made from the same plan.
        Err(error) => unreachable!("columns and plan differ: {error}"),
    }
}

/// Upper bound on the bytes of a row in the columns of METADATA_COLUMNS, beside their fixed widths.
pub fn metadata_bytes(plan: &TablePlan, batch: &Batch, origin: Origin) -> usize {
    /// An element of an array or a map: a header.
    const HEADER: usize = 64;
    /// A token, filled in when the row is sent.
    const TOKEN: usize = 64;
    let Some(record) = batch.record(origin) else { return 0 };
    let of = |column: &ColumnPlan| match column.source {
        ColumnSource::Metadata(Metadata::Topic) => record.partition.topic.len(),
        ColumnSource::Metadata(Metadata::Key) => record.key().map_or(0, <[u8]>::len),
        ColumnSource::Metadata(Metadata::Token) => TOKEN,
        ColumnSource::Metadata(Metadata::Headers) => {
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
    plan.columns.iter().any(|column| matches!(column.source, ColumnSource::Metadata(_)))
}

/// How a value was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    /// Kafka's value, or none if Kafka has none.
    AsItIs,
    /// As much of it as the column holds.
    Replaced,
}

fn put_metadata(
    column: &mut Column,
    plan: &ColumnPlan,
    metadata: Metadata,
    record: &Record<'_>,
) -> Result<Put, Box<Fault>> {
    let put = match metadata {
        Metadata::Topic => column.put_text(&record.partition.topic).ok_or_else(|| too_large(plan)),
        Metadata::Partition => put_integer(column, plan, record.partition.partition.into()),
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
            Some(key) => column.put_bytes(key).ok_or_else(|| too_large(plan)),
        },
        // Known when the row is sent.
        Metadata::Token => column.put_text("").ok_or_else(|| too_large(plan)),
        Metadata::Headers => return put_headers(column, plan, record),
    };
    put.map(|()| Put::AsItIs)
}

fn put_integer(column: &mut Column, plan: &ColumnPlan, value: i64) -> Result<(), Box<Fault>> {
    column.put_integer(value.into()).ok_or_else(|| out_of_range(plan, value))
}

fn out_of_range(plan: &ColumnPlan, value: i64) -> Box<Fault> {
    fault(Reason::OutOfRange, expected(&plan.ty), &value.to_string())
}

fn too_large(plan: &ColumnPlan) -> Box<Fault> {
    let expected = format!("{}, of at most 2 GiB in one batch", expected(&plan.ty));
    fault(Reason::TooLarge, expected, "")
}

/// Puts the headers: pairs, or a map that keeps the last header of each name. A null value becomes an empty one if the
/// column holds no null.
fn put_headers(
    column: &mut Column,
    plan: &ColumnPlan,
    record: &Record<'_>,
) -> Result<Put, Box<Fault>> {
    let (is_strict, mut put) = (plan.on_invalid == OnInvalid::Reject, Put::AsItIs);
    let mut headers: Vec<(&[u8], Option<&[u8]>)> = record.headers().collect();
    let value = match &plan.ty.kind {
        Kind::Map(_, value) => {
            if let Some(name) = only_last(&mut headers) {
                if is_strict {
                    return Err(twice(name));
                }
                put = Put::Replaced;
            }
            value
        }
        Kind::Array(header) => match &header.kind {
            Kind::Tuple(parts) => parts.last().map_or(&plan.ty, |part| &part.ty),
            _ => &plan.ty,
        },
        _ => &plan.ty,
    };
    if !value.is_nullable && headers.iter().any(|(_, value)| value.is_none()) {
        if is_strict {
            return Err(fault(Reason::NullNotAllowed, null_expected(value), "null"));
        }
        put = Put::Replaced;
    }
    let put_all = || {
        for (name, text) in headers {
            put_header(column.parts(), name, text.or((!value.is_nullable).then_some(&[])))?;
        }
        column.close()
    };
    put_all().map(|()| put).ok_or_else(|| too_large(plan))
}

/// Puts a header into a tuple, or into a map's names and values.
fn put_header(parts: &mut [Column], name: &[u8], value: Option<&[u8]>) -> Option<()> {
    match parts {
        [tuple] => {
            put_header(tuple.parts(), name, value)?;
            tuple.close()
        }
        [names, values] => {
            names.put_bytes(name)?;
            match value {
                Some(value) => values.put_bytes(value),
                None => {
                    values.put_null();
                    Some(())
                }
            }
        }
        _ => None,
    }
}

/// Keeps the last header of each name, and returns a repeated name.
fn only_last<'a>(headers: &mut Vec<(&'a [u8], Option<&'a [u8]>)>) -> Option<&'a [u8]> {
    let (mut seen, mut twice) = (HashSet::new(), None);
    headers.reverse();
    headers.retain(|(name, _)| {
        let is_new = seen.insert(*name);
        if !is_new {
            twice = Some(*name);
        }
        is_new
    });
    headers.reverse();
    twice
}

fn twice(name: &[u8]) -> Box<Fault> {
    let expected = "each header once; Array(Tuple(String, String)) holds several";
    let mut fault = fault(Reason::DuplicateKey, expected, "");
    fault.got = format!("`{}` twice", cut(&String::from_utf8_lossy(name)));
    fault
}

fn null_expected(value: &Type) -> String {
    format!("{} as each header's value; Nullable(String) holds null", expected(value))
}
