//! Decode: JSON records to Arrow columns; a record that does not fit is a rejection and leaves no
//! trace in the columns.
//!
//! Records are judged in this order: UTF-8 of the whole payload, depth, JSON syntax, then the
//! fields in their order. Required and null rules come later, in `check`.

mod columns;
mod date;
mod fault;
mod float;
mod forms;
mod json;
mod judge;
mod member;
mod metadata;
mod nested;
mod number;
mod order;
mod parser;
mod reader;
mod record;
mod sound;
mod text;
mod time;
mod value;
mod walk;
mod wide;

#[cfg(test)]
mod fields_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};

use crate::record::Origin;
use crate::rejection::{Fault, Reason, Rejection, Stage};
use crate::rows::{Noticed, Rows};
use crate::schema::plan::{TablePlan, WhenAbsent};
use crate::schema::source::OnInvalid;
use columns::Column;
use fault::fault;
pub use fault::kind_of;
pub use forms::forms;
pub use metadata::with_metadata;
use order::Order;
use parser::Parser;
use reader::Token;
pub use sound::{each_field, takes};
pub use text::judge_text;
pub use value::text_of;
pub use walk::{each_element, each_member};

/// Deepest nesting of arrays and objects, in fields that no column wants as well.
const MAX_DEPTH: usize = 127;

/// Decodes payloads; each comes with its record.
pub fn decode<'a>(plan: &TablePlan, payloads: impl Iterator<Item = (Origin, &'a [u8])>) -> Rows {
    decode_by(plan, payloads, parse)
}

/// The same by serde, slower: what [`decode`] is held against, value by value and in speed.
#[doc(hidden)]
pub fn seed_path<'a>(plan: &TablePlan, payloads: impl Iterator<Item = (Origin, &'a [u8])>) -> Rows {
    decode_by(plan, payloads, by_serde)
}

fn decode_by<'a>(
    plan: &TablePlan,
    payloads: impl Iterator<Item = (Origin, &'a [u8])>,
    read: Read,
) -> Rows {
    let capacity = payloads.size_hint().1.unwrap_or(0);
    let mut columns: Vec<Column> =
        plan.columns.iter().map(|column| Column::new(&column.ty, capacity)).collect();
    let (mut origins, mut absent, mut rejections) = (Vec::new(), Vec::new(), Vec::new());
    let (mut order, mut noticed) = (Order::default(), Noticed::default());
    for (origin, payload) in payloads {
        let (row, replaced) = (origins.len(), noticed.replaced.len());
        match read(plan, &mut columns, row, payload, (&mut order, &mut noticed)) {
            Ok(()) => {
                let replaced = noticed.replaced.get(replaced..).unwrap_or_default();
                complete(plan, &mut columns, row, replaced, &mut absent);
                origins.push(origin);
            }
            Err(fault) => {
                for column in &mut columns {
                    column.truncate(row);
                }
                noticed.replaced.truncate(replaced);
                rejections.push(Rejection { origin, stage: Stage::Decode, fault: *fault });
            }
        }
    }
    let batch = finish(plan, columns, origins.len());
    let (dropped, written) = (Vec::new(), Arc::default());
    Rows { batch, origins, absent, rejections, dropped, written, noticed }
}

/// How one record is read as row `row`. On a fault the columns may hold a part of the row.
type Read = fn(
    &TablePlan,
    &mut [Column],
    usize,
    &[u8],
    (&mut Order, &mut Noticed),
) -> Result<(), Box<Fault>>;

/// In one pass. What is wrong with a record is told as the oracle tells it.
fn parse(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    payload: &[u8],
    (order, noticed): (&mut Order, &mut Noticed),
) -> Result<(), Box<Fault>> {
    let text = utf8(payload)?;
    let mut parser = Parser::new(text);
    let read =
        record::read(plan, columns, row, &mut parser, order, noticed).and_then(|()| parser.end());
    let Err(found) = read else { return Ok(()) };
    if let Some(fault) = judge::of_whole(text, &found, &mut parser) {
        return Err(fault);
    }
    if found.reason != Reason::MalformedJson {
        return Err(found);
    }
    // Of an escape that is no character.
    for column in &mut *columns {
        column.truncate(row);
    }
    let by_serde = by_serde(plan, columns, row, payload, (order, &mut Noticed::default()));
    debug_assert!(by_serde.is_err(), "serde reads what the parser does not: {text}");
    Err(by_serde.err().unwrap_or(found))
}

/// By serde, value by value.
fn by_serde(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    payload: &[u8],
    (order, noticed): (&mut Order, &mut Noticed),
) -> Result<(), Box<Fault>> {
    let text = judge::sound_text(payload)?;
    let mut token = Token(text.trim_matches([' ', '\n', '\t', '\r']));
    let read = record::read(plan, columns, row, &mut token, order, noticed);
    read.map_err(|found| judge::not_json(text).unwrap_or(found))
}

fn utf8(payload: &[u8]) -> Result<&str, Box<Fault>> {
    simdutf8::basic::from_utf8(payload).map_err(|_| {
        // It says no place.
        let offset = std::str::from_utf8(payload).err().map_or(0, |error| error.valid_up_to());
        let found = format!("an invalid byte at offset {offset}");
        fault(Reason::InvalidUtf8, "UTF-8", &found)
    })
}

/// Puts a null in every column that the record did not fill. `replaced` are those of which the value was
/// replaced.
fn complete(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    replaced: &[usize],
    absent: &mut Vec<(usize, usize)>,
) {
    let is_left = |at: &usize| {
        plan.columns.get(*at).is_some_and(|column| {
            column.on_invalid == OnInvalid::Default && column.when_absent == WhenAbsent::LeftOut
        })
    };
    absent.extend(replaced.iter().copied().filter(is_left).map(|at| (at, row)));
    for (at, (column, plan)) in columns.iter_mut().zip(&plan.columns).enumerate() {
        if column.len() == row {
            column.put_null();
            let is_told = plan.is_required || plan.when_absent != WhenAbsent::AsNull;
            if is_told && plan.source.is_field() {
                absent.push((at, row));
            }
        }
    }
}

fn finish(plan: &TablePlan, columns: Vec<Column>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let arrays = columns.into_iter().map(Column::finish).collect::<Result<Vec<_>, _>>();
    let batch = arrays.and_then(|arrays| {
        RecordBatch::try_new_with_options(Arc::clone(&plan.arrow), arrays, &options)
    });
    match batch {
        Ok(batch) => batch,
        // The columns are made from the plan that the batch is made by.
        Err(error) => unreachable!("columns and plan differ: {error}"),
    }
}
