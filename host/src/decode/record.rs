//! One record into the columns, by serde: the reader that is right before it is fast.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::Column;
use super::fault::{fault, twice, within};
use super::nested::put;
use crate::rejection::{Fault, Reason, cut};
use crate::rows::Noticed;
use crate::schema::names::{Field, Names};
use crate::schema::plan::{ColumnPlan, TablePlan, Unknown};
use crate::schema::source::{OnInvalid, Source};
use crate::schema::types::Kind;

/// Where a fault waits while serde unwinds with an error of its own.
type FaultSlot = Option<Box<Fault>>;

/// Reads one record as row `row`. On a fault the columns may hold a part of the row.
pub fn read(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    text: &str,
    noticed: &mut Noticed,
) -> Result<(), Box<Fault>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut filling = Filling { plan, columns, row, noticed, rest: String::new(), slot: None };
    let seed = Object { filling: &mut filling, names: &plan.names, is_record: true };
    let read = seed.deserialize(&mut reader).and_then(|()| reader.end());
    match read {
        Ok(()) => filling.end(),
        Err(error) => Err(judge(text, filling.slot, &error)),
    }
}

/// The verdict on a failed record. A text that is not JSON is malformed whatever else is wrong
/// with it, so the verdict does not hang on the order of fields.
#[cold]
pub fn judge(text: &str, slot: FaultSlot, error: &serde_json::Error) -> Box<Fault> {
    if text.trim_ascii().is_empty() {
        return fault(Reason::MalformedJson, "one JSON object", "an empty payload");
    }
    if let Err(malformed) = serde_json::from_str::<IgnoredAny>(text) {
        return fault(Reason::MalformedJson, "one JSON object", &malformed.to_string());
    }
    slot.unwrap_or_else(|| match error.classify() {
        serde_json::error::Category::Data => {
            fault(Reason::TypeMismatch, "a JSON object", text.trim_ascii_start())
        }
        // The one thing that only the full reader sees: an escape that is no character.
        _ => fault(Reason::MalformedJson, "one JSON object", &error.to_string()),
    })
}

/// A row that is being filled.
struct Filling<'a> {
    plan: &'a TablePlan,
    columns: &'a mut [Column],
    row: usize,
    noticed: &'a mut Noticed,
    /// The fields that fill no column, as the inside of an object, where they are kept.
    rest: String,
    slot: FaultSlot,
}

impl Filling<'_> {
    /// Puts a value into a column.
    fn put(&mut self, at: usize, value: &str) -> Result<(), Box<Fault>> {
        let (Some(plan), Some(column)) = (self.plan.columns.get(at), self.columns.get_mut(at))
        else {
            return Ok(());
        };
        if column.len() > self.row {
            return Err(named(twice("a field that stands once"), plan));
        }
        if value == "null" {
            column.put_null();
            return Ok(());
        }
        match put(column, &plan.ty, plan.values, value) {
            Err(fault) if plan.on_invalid == OnInvalid::Reject => Err(named(fault, plan)),
            Err(_) => {
                column.truncate(self.row);
                column.put_null();
                self.noticed.replaced.push(at);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Puts what fills no column where it is kept.
    fn end(&mut self) -> Result<(), Box<Fault>> {
        let Unknown::Column(at) = self.plan.unknown else { return Ok(()) };
        let object = format!("{{{}}}", self.rest);
        let is_json = |plan: &ColumnPlan| matches!(plan.ty.kind, Kind::Json(_));
        if self.plan.columns.get(at).is_some_and(is_json) {
            return self.put(at, &object);
        }
        // As the text that the object is.
        self.put(at, &serde_json::Value::from(object).to_string())
    }
}

/// An object that holds fields of columns, or an array that holds such elements.
struct Object<'a, 'b> {
    filling: &'a mut Filling<'b>,
    names: &'a Names,
    /// It is the record itself.
    is_record: bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.is_record {
            true => reader.deserialize_map(self),
            false => reader.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self { filling, names, is_record } = self;
        let (mut guess, mut unknown_guess) = (0, 0);
        let unknown = if is_record { Some(filling.plan.unknown) } else { None };
        loop {
            let key = Key { names, guess, unknown, filling, unknown_guess: &mut unknown_guess };
            match fields.next_key_seed(key)? {
                None => return Ok(()),
                Some(Found::Field(at)) => {
                    guess = at + 1;
                    let value = fields.next_value::<&RawValue>()?;
                    fill(filling, names.field(at), value.get())?;
                }
                Some(Found::Kept) => {
                    let value = fields.next_value::<&RawValue>()?;
                    filling.rest.push_str(value.get());
                }
                Some(Found::Unknown) => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { filling, names, .. } = self;
        for index in 0_usize.. {
            let Some(value) = elements.next_element::<&RawValue>()? else { break };
            let at = names.find(&index.to_string(), 0);
            fill(filling, at.and_then(|at| names.field(at)), value.get())?;
        }
        Ok(())
    }
}

/// Puts a field's value into the columns that it fills, and what is wanted of it into others.
fn fill<E: serde::de::Error>(
    filling: &mut Filling<'_>,
    field: Option<&Field>,
    value: &str,
) -> Result<(), E> {
    let Some(field) = field else { return Ok(()) };
    for at in &field.columns {
        if let Err(fault) = filling.put(*at, value) {
            return stash(&mut filling.slot, fault);
        }
    }
    match &field.within {
        // In anything else there is no field, so its columns are absent.
        Some(names) if value.starts_with(['{', '[']) => {
            let seed = Object { filling, names, is_record: false };
            let read = seed.deserialize(&mut serde_json::Deserializer::from_str(value));
            read.or_else(|error| {
                // Where nobody else found a fault, it is an escape that is no character.
                let malformed =
                    || fault(Reason::MalformedJson, "one JSON object", &error.to_string());
                let fault = filling.slot.take().unwrap_or_else(malformed);
                stash(&mut filling.slot, fault)
            })
        }
        _ => Ok(()),
    }
}

/// Names the column of a fault, and the place in the record that it is filled from.
fn named(mut fault: Box<Fault>, plan: &ColumnPlan) -> Box<Fault> {
    fault.column = Some(plan.name.clone());
    match &plan.source {
        Source::Pointer(pointer) => {
            fault.pointer.insert_str(0, &pointer.to_string());
            fault
        }
        _ => within(fault, &plan.name),
    }
}

fn stash<T, E: serde::de::Error>(slot: &mut FaultSlot, fault: Box<Fault>) -> Result<T, E> {
    *slot = Some(fault);
    Err(E::custom("see the fault"))
}

/// A field's name.
struct Key<'a, 'b> {
    names: &'a Names,
    guess: usize,
    /// What becomes of an unknown one; `None` passes it over.
    unknown: Option<Unknown>,
    filling: &'a mut Filling<'b>,
    unknown_guess: &'a mut usize,
}

/// What a field is.
enum Found {
    /// The field at this place of the names.
    Field(usize),
    /// One whose value is kept with the rest.
    Kept,
    /// One that nobody wants.
    Unknown,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Found;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Found, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Found, E> {
        if let Some(at) = self.names.find(name, self.guess) {
            return Ok(Found::Field(at));
        }
        match self.unknown {
            None => Ok(Found::Unknown),
            Some(Unknown::Ignore) => {
                self.filling.noticed.unknown(name, self.unknown_guess);
                Ok(Found::Unknown)
            }
            Some(Unknown::Reject) => {
                let mut fault = fault(Reason::UnknownField, "fields that fill a column", "");
                fault.got = format!("`{}`", cut(name));
                stash(&mut self.filling.slot, within(fault, name))
            }
            Some(Unknown::Column(_)) => {
                let rest = &mut self.filling.rest;
                if !rest.is_empty() {
                    rest.push(',');
                }
                rest.push_str(&serde_json::Value::from(name).to_string());
                rest.push(':');
                Ok(Found::Kept)
            }
        }
    }
}
