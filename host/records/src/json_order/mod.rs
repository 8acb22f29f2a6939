//! JSON values that ClickHouse changes if they follow others in one INSERT, and the order that keeps them.
//!
//! ClickHouse reads the values at one path of a JSON column one after another, and stores each one in the first
//! fitting type that an earlier value of the block has left there. Measured on 26.7, with both readers of Arrow and
//! with every limit of paths and types:
//!
//! - an integer that no float represents loses digits after a fraction, in arrays, and outside of them too if the
//!   column holds few types;
//! - a null in an array becomes `[]` or `{}` after an array that holds arrays, or objects and no null.
//!
//! The first value is never changed, so such integers and nulls go first (`order`). If two records would each have to
//! go first, they go in different INSERTs (`lists`). A wrong order within one record cannot be mended, and is a
//! [`Clash`].
//!
//! No setting avoids this: `max_dynamic_subcolumns_in_json_type_parsing=0` reads each value by itself, but older
//! servers lack it, the newer reader of Arrow ignores it, and it has no effect after a NULL.

mod lists;
mod order;
mod text;

use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::FieldRef;

pub use order::{RowOrder, order};
pub use text::Clash;
use text::{PathHash, PlaceFacts};

use crate::flow::record::Origin;
use crate::schema::types::{Kind, Type};

/// The columns of a batch that hold JSON.
pub struct JsonColumns<'a> {
    columns: Vec<(PathHash, &'a ArrayRef, &'a Type)>,
}

impl<'a> JsonColumns<'a> {
    /// The JSON columns among `columns`; `None` if there are none. The columns have the Arrow types that are sent.
    pub fn of(columns: impl Iterator<Item = (&'a ArrayRef, &'a Type)>) -> Option<Self> {
        let holds_json = |(_, (_, ty)): &(usize, (&ArrayRef, &Type))| ty.holds(Kind::is_json);
        let columns = columns.enumerate().filter(holds_json);
        let columns: Vec<_> =
            columns.map(|(at, (array, ty))| (text::root(at), array, ty)).collect();
        (!columns.is_empty()).then_some(Self { columns })
    }

    /// The JSON columns of a batch; `type_of` knows each type by index and name.
    pub fn of_batch(
        batch: &'a RecordBatch,
        type_of: impl Fn(usize, &str) -> Option<&'a Type>,
    ) -> Option<Self> {
        let fields = batch.schema();
        let columns = fields.fields().iter().zip(batch.columns()).enumerate();
        let typed = |(at, (field, column)): (usize, (&FieldRef, &'a ArrayRef))| {
            Some((column, type_of(at, field.name())?))
        };
        let columns: Vec<_> = columns.filter_map(typed).collect();
        Self::of(columns.into_iter())
    }

    /// Whether a row may hold a value that others change. Looks at only part of its bytes.
    fn is_at_risk(&self, row: usize) -> bool {
        let mut is_at_risk = false;
        self.each_text(row, &mut |_, text| is_at_risk |= text::is_at_risk(text.as_bytes()));
        is_at_risk
    }

    /// Reads the facts that matter of a row, and returns a clash within it.
    fn read(&self, row: usize, facts: &mut PlaceFacts) -> Option<Clash> {
        let mut clash = None;
        self.each_text(row, &mut |place, text| {
            clash = clash.or(text::read_facts(text, place, facts));
        });
        clash
    }

    fn each_text(&self, row: usize, visit: &mut impl FnMut(PathHash, &str)) {
        for (place, array, ty) in &self.columns {
            each_text(array, ty, row, *place, visit);
        }
    }
}

/// Visits the objects of a row in the order in which the server reads them.
fn each_text(
    array: &ArrayRef,
    ty: &Type,
    row: usize,
    place: PathHash,
    visit: &mut impl FnMut(PathHash, &str),
) {
    if row >= array.len() || array.is_null(row) {
        return;
    }
    let held = |offsets: &[i32]| -> Range<usize> {
        let at = |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok());
        at(row).unwrap_or(0)..at(row + 1).unwrap_or(0)
    };
    match &ty.kind {
        Kind::Json(_) => {
            if let Some(texts) = array.as_string_opt::<i32>() {
                visit(place, texts.value(row));
            }
        }
        Kind::Array(element) => {
            if let Some(list) = array.as_list_opt::<i32>() {
                held(list.value_offsets())
                    .for_each(|at| each_text(list.values(), element, at, place, visit));
            }
        }
        Kind::Map(_, value) => {
            if let Some(map) = array.as_map_opt() {
                held(map.value_offsets())
                    .for_each(|at| each_text(map.values(), value, at, place, visit));
            }
        }
        Kind::Tuple(elements) => {
            if let Some(tuple) = array.as_struct_opt() {
                for ((at, element), part) in (0..).zip(&**elements).zip(tuple.columns()) {
                    each_text(part, &element.ty, row, text::part(place, at), visit);
                }
            }
        }
        _ => {}
    }
}

/// The records in which one value changes another, each once, with the first clash. `origins` is the record of each
/// row.
pub fn clashes(objects: &JsonColumns<'_>, origins: &[Origin]) -> Vec<(Origin, Clash)> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut facts = PlaceFacts::default();
    for record in origins.chunk_by(|a, b| a == b) {
        let rows = start..start + record.len();
        start = rows.end;
        if !rows.clone().any(|row| objects.is_at_risk(row)) {
            continue;
        }
        facts.clear();
        let clash = rows.fold(None, |clash, row| clash.or(objects.read(row, &mut facts)));
        let clash = clash.or_else(|| facts.clash());
        found.extend(record.first().zip(clash).map(|(origin, clash)| (*origin, clash)));
    }
    found
}
