//! Decode: JSON records to Arrow columns. A record that does not fit becomes a rejection and leaves no trace in the
//! columns.
//!
//! Records are judged in this order: UTF-8 of the whole payload, depth, JSON syntax, then the
//! fields in their order. Required and null rules come later, in `check`.

mod accepted_forms;
mod bfloat16;
mod columns;
mod date;
mod encoded;
mod fault;
mod filled;
mod hint;
mod int256;
mod json_column;
mod lenient;
mod malformed;
mod member_order;
mod metadata;
mod nested;
mod number;
mod parser;
mod plugin_text;
mod reader;
mod record;
mod room;
mod scalar;
mod serde_walk;
pub mod split;
mod time;
mod untyped;
mod variant;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod dotted_tests;
#[cfg(test)]
mod fields_tests;
#[cfg(test)]
mod metadata_tests;
#[cfg(test)]
mod tests;

use crate::flow::parts::without_mark;
use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Reason};
use crate::flow::rows::{Noticed, Rows};
use crate::schema::plan::TablePlan;
pub use accepted_forms::forms;
use columns::Column;
pub use fault::kind_of;
use filled::{Filled, Put};
use member_order::Order;
pub use metadata::{has_metadata, metadata_bytes, with_metadata};
use parser::Parser;
pub use plugin_text::judge_text;
use reader::{Reader as _, Token};
pub use room::Bounds;
pub use scalar::text_of;
pub use serde_walk::{each_element, each_member};
pub use untyped::{each_field, takes, takes_leniently};

/// Deepest nesting of arrays and objects, even in fields that fill no column.
const MAX_DEPTH: usize = 127;

/// Decodes payloads, each with its record. No bound on the batch.
pub fn decode<'a>(plan: &TablePlan, payloads: impl Iterator<Item = (Origin, &'a [u8])>) -> Rows {
    decode_by(plan, payloads, &Bounds::NONE, parse).0
}

/// Decodes payloads until their columns reach a bound, and returns the record to continue with, if any.
pub fn decode_within<'a>(
    plan: &TablePlan,
    payloads: impl Iterator<Item = (Origin, &'a [u8])>,
    bounds: &Bounds<'_>,
) -> (Rows, Option<Origin>) {
    decode_by(plan, payloads, bounds, parse)
}

/// The same through serde, slower: the oracle of [`decode`] for its values and the baseline for its speed.
#[doc(hidden)]
pub fn seed_path<'a>(plan: &TablePlan, payloads: impl Iterator<Item = (Origin, &'a [u8])>) -> Rows {
    decode_by(plan, payloads, &Bounds::NONE, by_serde).0
}

/// Inlined, so that each kind of reader has its own loop.
#[inline]
fn decode_by<'a>(
    plan: &TablePlan,
    payloads: impl Iterator<Item = (Origin, &'a [u8])>,
    bounds: &Bounds<'_>,
    read: Read,
) -> (Rows, Option<Origin>) {
    let mut filled = Filled::new(plan, payloads.size_hint().1.unwrap_or(0), bounds);
    let mut rest = None;
    for (origin, payload) in payloads {
        if filled.put(origin, payload, read) == Put::NoRoom {
            rest = Some(origin);
            break;
        }
    }
    (filled.finish(), rest)
}

/// Reads one record as row `row`. On a fault the columns may hold a part of the row.
type Read = fn(
    &TablePlan,
    &mut [Column],
    usize,
    &[u8],
    (&mut Order, &mut Noticed),
) -> Result<(), Box<Fault>>;

/// Visits the elements of an array, each as written, or the whole of any other payload.
///
/// # Errors
/// The payload is invalid UTF-8, or begins like an array and is not JSON. Some elements may already have been visited.
pub fn each_part<'r>(payload: &'r [u8], mut put: impl FnMut(&'r [u8])) -> Result<(), Box<Fault>> {
    let text = utf8(payload)?;
    let mut parser = Parser::new(text);
    if parser.first() != Some(b'[') {
        put(text.trim_matches([' ', '\n', '\t', '\r']).as_bytes());
        return Ok(());
    }
    let read = parser.each_element(|_, value| {
        put(value.token()?.as_bytes());
        Ok(())
    });
    let read = read.and_then(|()| parser.end());
    read.map_err(|found| malformed::of_array(text).unwrap_or(found))
}

/// Reads in one pass. Faults match those of the oracle.
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
    if let Some(fault) = malformed::of_whole(text, &found, &mut parser) {
        return Err(fault);
    }
    if found.reason != Reason::MalformedJson {
        return Err(found);
    }
    // An invalid escape.
    for column in &mut *columns {
        column.truncate(row);
    }
    let by_serde = by_serde(plan, columns, row, payload, (order, &mut Noticed::default()));
    debug_assert!(by_serde.is_err(), "serde reads what the parser does not: {text}");
    Err(by_serde.err().unwrap_or(found))
}

/// Reads value by value through serde.
fn by_serde(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    payload: &[u8],
    (order, noticed): (&mut Order, &mut Noticed),
) -> Result<(), Box<Fault>> {
    let text = malformed::sound_text(payload)?;
    let mut token = Token(text.trim_matches([' ', '\n', '\t', '\r']));
    let read = record::read(plan, columns, row, &mut token, order, noticed);
    read.map_err(|found| malformed::not_json(text).unwrap_or(found))
}

/// The text of a payload, without its byte order mark.
fn utf8(payload: &[u8]) -> Result<&str, Box<Fault>> {
    simdutf8::basic::from_utf8(without_mark(payload)).map_err(|_| malformed::no_utf8(payload))
}
