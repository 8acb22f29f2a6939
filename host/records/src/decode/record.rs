//! One record into the columns.
#![allow(
    clippy::inline_always,
    reason = "measured: the steps of a field are short beside their calls"
)]

use super::columns::Column;
use super::fault::{fault, no_known_field, some, twice, within};
use super::malformed::no_object;
use super::member_order::Order;
use super::nested::put;
use super::parser::Parser;
use super::reader::{Name, Place, Reader};
use super::scalar::inner;
use super::{hint, lenient};
use crate::flow::rejection::{Fault, Reason, cut, cut_to};
use crate::flow::rows::Noticed;
use crate::schema::names::{Field, FieldNames, FindField as _, InnerFields};
use crate::schema::plan::{ColumnPlan, TablePlan, Unfilled, UnknownField};
use crate::schema::source::{ColumnSource, OnInvalid};
use crate::schema::types::Kind;

/// Most names of a record's fields that a fault shows, and most bytes of each.
const SHOWN: usize = 8;
const SHOWN_BYTES: usize = 40;

/// Reads one record as row `row`. On a fault the columns may hold a part of the row. Unless it is a syntax fault, the
/// reader is then positioned before the offending field's value, with all before it read whole.
#[inline]
pub fn read<'r>(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    record: &mut impl Reader<'r>,
    order: &mut Order,
    noticed: &mut Noticed,
) -> Result<(), Box<Fault>> {
    let start = record.place();
    let mut value_at = start;
    if record.first() != Some(b'{') {
        let fault = no_object(record.token()?);
        record.go_back(value_at);
        return Err(fault);
    }
    let mut filling =
        Filling { plan, columns, row, noticed, unknown_guess: 0, rest: String::new() };
    let names = &plan.names;
    let read = record.each_field(names, order, |name, value| {
        value_at = value.place();
        match name {
            Name::Field(at) => filling.fill(names, at, value),
            Name::Other(name) => filling.pass_over(name, None, value),
            Name::Broken(token) => filling.pass_over(inner(token), Some(token), value),
        }
    });
    let read = read.and_then(|()| match filling.is_filled() {
        true => Ok(()),
        false => filling.unfilled(record, start),
    });
    read.and_then(|()| filling.end()).inspect_err(|_| record.go_back(value_at))
}

/// A row being filled.
struct Filling<'a> {
    plan: &'a TablePlan,
    columns: &'a mut [Column],
    row: usize,
    noticed: &'a mut Noticed,
    /// The likely index, among those noticed, of the next unknown field.
    unknown_guess: usize,
    /// The unknown fields, as the inside of an object, if they are kept.
    rest: String,
}

impl Filling<'_> {
    /// Puts a field's value into its columns, and the fields within it into others.
    #[inline(always)]
    fn fill<'r, R: Reader<'r>>(
        &mut self,
        names: &FieldNames,
        at: usize,
        value: &mut R,
    ) -> Result<(), Box<Fault>> {
        let Some(field) = names.field(at) else { return value.token().map(drop) };
        match (&*field.columns, &field.within) {
            ([at], None) => self.put(*at, value),
            _ => self.fill_several(field, value),
        }
    }

    fn fill_several<'r, R: Reader<'r>>(
        &mut self,
        field: &Field,
        value: &mut R,
    ) -> Result<(), Box<Fault>> {
        let token = value.token()?;
        for at in &field.columns {
            self.put(*at, &mut R::of(token))?;
        }
        let Some(parts) = &field.within else { return Ok(()) };
        if !parts.pointed.is_empty() {
            self.fill_pointed::<R>(&parts.pointed, token)?;
        }
        if parts.dotted.is_empty() {
            return Ok(());
        }
        let is_read = !field.columns.is_empty();
        let filled = self.fill_dotted::<R>(field.name(), is_read, parts, token);
        filled.map_err(|fault| within(fault, field.name()))
    }

    /// Fills the columns whose pointers lead through a value.
    fn fill_pointed<'r, R: Reader<'r>>(
        &mut self,
        names: &FieldNames,
        token: &'r str,
    ) -> Result<(), Box<Fault>> {
        let mut guess = 0;
        let mut fill = |name: &str, value: &mut R| match names.find(name, guess) {
            Some(at) => {
                guess = at + 1;
                self.fill(names, at, value)
            }
            None => value.token().map(drop),
        };
        match token.as_bytes().first() {
            Some(b'{') => R::of(token).each_member(fill),
            Some(b'[') => {
                R::of(token).each_element(|index, value| fill(&index.to_string(), value))?;
                self.note_unreached(names, |name| !is_index(name));
                Ok(())
            }
            _ => {
                self.note_unreached(names, |_| true);
                Ok(())
            }
        }
    }

    /// Notes that the paths to these fields end early, for those that `is_meant`.
    fn note_unreached(&mut self, names: &FieldNames, is_meant: fn(&str) -> bool) {
        for field in names.fields().filter(|field| is_meant(field.name())) {
            self.noticed.unreached.extend(&field.columns);
            let parts = field.within.iter();
            parts.for_each(|parts| self.note_unreached(&parts.pointed, |_| true));
        }
    }

    /// Fills columns of dotted names below `path`, which leads to the value. Other fields are unknown by their dotted
    /// name, unless the value `is_read` as a whole too.
    fn fill_dotted<'r, R: Reader<'r>>(
        &mut self,
        path: &str,
        is_read: bool,
        parts: &InnerFields,
        token: &'r str,
    ) -> Result<(), Box<Fault>> {
        let (names, is_pointed) = (&parts.dotted, !parts.pointed.is_empty());
        let mut guess = 0;
        match token.as_bytes().first() {
            Some(b'{') => R::of(token).each_member(|name, value| {
                let is_read = is_read || is_pointed && parts.pointed.find(name, 0).is_some();
                let found = names.find(name, guess).and_then(|at| Some((at, names.field(at)?)));
                let filled = match found {
                    Some((at, field)) => {
                        guess = at + 1;
                        self.fill_part((path, name), is_read, field, value)
                    }
                    None if is_read => value.token().map(drop),
                    None => self.pass_over_part(&format!("{path}.{name}"), value),
                };
                filled.map_err(|fault| within(fault, name))
            }),
            _ if is_read || is_pointed => Ok(()),
            Some(b'[') if self.is_structure(names) => {
                let arrays = some(names.fields().map(Field::name).collect());
                let expected = format!("object with an array for each of {arrays}");
                Err(fault(Reason::TypeMismatch, expected, token))
            }
            _ => self.pass_over_part(path, &mut R::of(token)),
        }
    }

    /// Fills the columns at one part of a dotted name.
    fn fill_part<'r, R: Reader<'r>>(
        &mut self,
        path: (&str, &str),
        is_read: bool,
        field: &Field,
        value: &mut R,
    ) -> Result<(), Box<Fault>> {
        let token = value.token()?;
        for at in &field.columns {
            self.put(*at, &mut R::of(token)).map_err(from_value)?;
        }
        let Some(parts) = &field.within else { return Ok(()) };
        let (path, name) = path;
        self.fill_dotted::<R>(&format!("{path}.{name}"), is_read, parts, token)
    }

    /// Treats a part of a dotted name as an unknown field.
    fn pass_over_part<'r>(
        &mut self,
        name: &str,
        value: &mut impl Reader<'r>,
    ) -> Result<(), Box<Fault>> {
        self.pass_over(name, None, value).map_err(from_value)
    }

    /// Whether these fields belong to a Nested structure.
    fn is_structure(&self, names: &FieldNames) -> bool {
        let mut columns = names.fields().flat_map(|field| &field.columns);
        columns.any(|at| self.plan.columns.get(*at).is_some_and(|plan| plan.ty.kind.is_array()))
    }

    /// Puts a value into a column.
    #[inline(always)]
    fn put<'r>(&mut self, at: usize, value: &mut impl Reader<'r>) -> Result<(), Box<Fault>> {
        let (Some(plan), Some(column)) = (self.plan.columns.get(at), self.columns.get_mut(at))
        else {
            return value.token().map(drop);
        };
        if column.len() > self.row {
            return Err(named(twice("each field once"), plan));
        }
        if value.first() == Some(b'n') {
            value.token()?;
            column.put_null();
            return Ok(());
        }
        let start = value.place();
        let Err(fault) = put(column, &plan.ty, plan.values, value) else { return Ok(()) };
        self.misfit(at, fault, start, value)
    }

    /// Handles a value that its column does not take: reads it again if more forms are accepted, else applies
    /// COLUMN_ON_INVALID.
    #[cold]
    #[inline(never)]
    fn misfit<'r>(
        &mut self,
        at: usize,
        fault: Box<Fault>,
        start: Place,
        value: &mut impl Reader<'r>,
    ) -> Result<(), Box<Fault>> {
        let (Some(plan), Some(column)) = (self.plan.columns.get(at), self.columns.get_mut(at))
        else {
            return Err(fault);
        };
        let mut fault = fault;
        if plan.values.is_lenient() && !column.room().is_over() {
            value.go_back(start);
            column.truncate(self.row);
            let read = lenient::read(column, &plan.ty, plan.values, value.token()?);
            let Err(refused) = read else { return Ok(()) };
            fault = refused;
        }
        if plan.on_invalid == OnInvalid::Reject {
            value.go_back(start);
            if !column.room().is_over()
                && let Ok(token) = value.token()
            {
                hint::lenient(&mut fault, &plan.ty, plan.values, token);
                hint::variables(&mut fault, plan, token);
            }
            return Err(named(fault, plan));
        }
        value.go_back(start);
        value.token()?;
        column.truncate(self.row);
        column.room().forget_cut();
        column.put_null();
        self.noticed.replaced.push(at);
        Ok(())
    }

    /// Applies UNKNOWN_FIELDS to a field that fills no column. `token` is its name as written in the record, if no text
    /// can represent it.
    #[inline(never)]
    fn pass_over<'r>(
        &mut self,
        name: &str,
        token: Option<&str>,
        value: &mut impl Reader<'r>,
    ) -> Result<(), Box<Fault>> {
        match self.plan.unknown {
            UnknownField::Ignore => {
                value.token()?;
                self.noticed.unknown(name, &mut self.unknown_guess);
                Ok(())
            }
            UnknownField::Reject => {
                let hint = filled_otherwise(self.plan, name).unwrap_or_default();
                let expected = format!("fields that fill a column{hint}");
                let mut fault = fault(Reason::UnknownField, expected, "");
                fault.got = format!("`{}`", cut(name));
                Err(within(fault, name))
            }
            UnknownField::Column(_) => {
                if !self.rest.is_empty() {
                    self.rest.push(',');
                }
                match token {
                    Some(token) => self.rest.push_str(token),
                    None => self.rest.push_str(&serde_json::Value::from(name).to_string()),
                }
                self.rest.push(':');
                self.rest.push_str(value.token()?);
                Ok(())
            }
        }
    }

    /// Whether a field filled a column.
    #[inline(always)]
    fn is_filled(&self) -> bool {
        self.columns.iter().any(|column| column.len() > self.row) || !self.rest.is_empty()
    }

    /// Applies UNFILLED_RECORDS to a record whose fields fill no column.
    #[cold]
    #[inline(never)]
    fn unfilled<'r>(
        &mut self,
        record: &mut impl Reader<'r>,
        start: Place,
    ) -> Result<(), Box<Fault>> {
        match self.plan.unfilled {
            Unfilled::Usual => Ok(()),
            Unfilled::Accept => {
                self.noticed.unfilled += 1;
                Ok(())
            }
            Unfilled::Reject => {
                let mut names = Vec::new();
                record.go_back(start);
                record.each_member(|name, value| {
                    if names.len() <= SHOWN {
                        names.push(cut_to(name, SHOWN_BYTES).into_owned());
                    }
                    value.token().map(drop)
                })?;
                let asked = self.plan.asked().take(SHOWN + 1);
                let asked: Vec<String> =
                    asked.map(|field| cut_to(&field, SHOWN_BYTES).into_owned()).collect();
                Err(no_known_field(&asked, &names))
            }
        }
    }

    /// Stores the unknown fields, if they are kept.
    #[inline(always)]
    fn end(&mut self) -> Result<(), Box<Fault>> {
        match self.plan.unknown {
            UnknownField::Column(at) => self.put_rest(at),
            UnknownField::Ignore | UnknownField::Reject => Ok(()),
        }
    }

    #[inline(never)]
    fn put_rest(&mut self, at: usize) -> Result<(), Box<Fault>> {
        let object = format!("{{{}}}", self.rest);
        let is_json = |plan: &ColumnPlan| matches!(plan.ty.kind, Kind::Json(_));
        if self.plan.columns.get(at).is_some_and(is_json) {
            // The record has no such object: its fields are at the top.
            return self.put(at, &mut Parser::of(&object)).map_err(from_value);
        }
        // As a JSON string of the object.
        self.put(at, &mut Parser::of(&serde_json::Value::from(object).to_string()))
    }
}

/// Whether a part of a pointer leads to an element of an array.
fn is_index(name: &str) -> bool {
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    is_number && (name == "0" || !name.starts_with('0'))
}

/// Removes from a fault the path to its value.
fn from_value(mut fault: Box<Fault>) -> Box<Fault> {
    // It begins with a name that contains no `/`.
    let behind = fault.pointer.get(1..).and_then(|pointer| pointer.find('/'));
    let own = behind.map_or(fault.pointer.len(), |at| at + 1);
    fault.pointer.drain(..own);
    fault
}

/// What fills the column of this name, if not the field.
#[cold]
fn filled_otherwise(plan: &TablePlan, name: &str) -> Option<&'static str> {
    let is_it = |column: &&ColumnPlan| match plan.ignores_case() {
        true => column.name.to_lowercase() == name.to_lowercase(),
        false => *column.name == *name,
    };
    match plan.columns.iter().find(is_it)?.source {
        ColumnSource::Metadata(_) => Some("; METADATA_COLUMNS fills the column of this name"),
        ColumnSource::Pointer(_) => Some("; COLUMN_FROM fills the column of this name"),
        _ => None,
    }
}

/// Adds to a fault the column, and the place in the record that fills it.
fn named(mut fault: Box<Fault>, plan: &ColumnPlan) -> Box<Fault> {
    fault.column = Some(plan.name.clone());
    match &plan.source {
        ColumnSource::Pointer(pointer) => {
            fault.pointer.insert_str(0, &pointer.to_string());
            fault
        }
        _ => within(fault, &plan.name),
    }
}
