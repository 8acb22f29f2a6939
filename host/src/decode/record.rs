//! One record into the columns, by serde: the reader that is right before it is fast.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::Column;
use super::fault::{expected, fault, within};
use super::value::put_token;
use crate::rejection::{Fault, Reason};
use crate::schema::plan::{ColumnPlan, DateRules, TablePlan};
use crate::schema::types::{Kind, Type};

/// Where a fault waits while serde unwinds with an error of its own.
type FaultSlot = Option<Box<Fault>>;

/// Reads one record as row `row`. On a fault the columns may hold a part of the row.
pub fn read(
    plan: &TablePlan,
    columns: &mut [Column],
    row: usize,
    text: &str,
) -> Result<(), Box<Fault>> {
    let mut slot = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Row { plan, columns, row, slot: &mut slot };
    let read = seed.deserialize(&mut reader).and_then(|()| reader.end());
    match read {
        Ok(()) => Ok(()),
        Err(error) => Err(judge(text, slot, &error)),
    }
}

/// The verdict on a failed record. A text that is not JSON is malformed whatever else is wrong
/// with it, so the verdict does not hang on the order of fields.
#[cold]
fn judge(text: &str, slot: FaultSlot, error: &serde_json::Error) -> Box<Fault> {
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

struct Row<'a> {
    plan: &'a TablePlan,
    columns: &'a mut [Column],
    row: usize,
    slot: &'a mut FaultSlot,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        // Producers write their fields in the same order again and again.
        let mut guess = 0;
        while let Some(found) = fields.next_key_seed(Key { plan: self.plan, guess })? {
            let Some(at) = found else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            guess = at + 1;
            let (Some(plan), Some(column)) = (self.plan.columns.get(at), self.columns.get_mut(at))
            else {
                continue;
            };
            if column.len() > self.row {
                let twice = fault(Reason::DuplicateKey, "a field that stands once", "two of it");
                return stash(self.slot, named(twice, plan));
            }
            let value = Value { column, ty: &plan.ty, dates: plan.dates, slot: self.slot };
            if let Err(error) = fields.next_value_seed(value) {
                *self.slot = self.slot.take().map(|fault| named(fault, plan));
                return Err(error);
            }
        }
        Ok(())
    }
}

fn named(mut fault: Box<Fault>, plan: &ColumnPlan) -> Box<Fault> {
    fault.column = Some(plan.name.clone());
    within(fault, &plan.name)
}

fn stash<T, E: serde::de::Error>(slot: &mut FaultSlot, fault: Box<Fault>) -> Result<T, E> {
    *slot = Some(fault);
    Err(E::custom("see the fault"))
}

/// A field's name, as the column that it fills.
struct Key<'a> {
    plan: &'a TablePlan,
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let is_guess = |column: &ColumnPlan| *column.name == *name;
        if self.plan.columns.get(self.guess).is_some_and(is_guess) {
            return Ok(Some(self.guess));
        }
        Ok(self.plan.column_of(name))
    }
}

/// A field's value, or an element.
struct Value<'a> {
    column: &'a mut Column,
    ty: &'a Type,
    dates: DateRules,
    slot: &'a mut FaultSlot,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        let raw = <&RawValue as serde::Deserialize>::deserialize(reader)?;
        let Self { column, ty, dates, slot } = self;
        let put = match (&ty.kind, raw.get()) {
            (_, "null") => {
                column.put_null();
                Ok(())
            }
            (Kind::Array(element), token) if token.starts_with('[') => {
                Array { column, element, dates }.put(token)
            }
            (_, token) => put_token(column, ty, dates, token),
        };
        put.or_else(|fault| stash(slot, fault))
    }
}

/// The elements of an array, from its token.
struct Array<'a> {
    column: &'a mut Column,
    element: &'a Type,
    dates: DateRules,
}

impl Array<'_> {
    fn put(self, token: &str) -> Result<(), Box<Fault>> {
        let mut slot = None;
        let elements = Elements { array: self, slot: &mut slot };
        let read = elements.deserialize(&mut serde_json::Deserializer::from_str(token));
        read.map_err(|error| {
            slot.unwrap_or_else(|| fault(Reason::MalformedJson, "array", &error.to_string()))
        })
    }
}

struct Elements<'a, 's> {
    array: Array<'a>,
    slot: &'s mut FaultSlot,
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Array { column, element: ty, dates } = self.array;
        let mut index = 0_usize;
        while let Some(raw) = elements.next_element::<&RawValue>()? {
            let Some(element) = column.element() else {
                return Err(A::Error::custom("no elements"));
            };
            let put = match (raw.get(), &ty.kind) {
                ("null", _) if !ty.is_nullable => {
                    Err(fault(Reason::NullNotAllowed, expected(ty), "null"))
                }
                ("null", _) => {
                    element.put_null();
                    Ok(())
                }
                (token, Kind::Array(inner)) if token.starts_with('[') => {
                    Array { column: element, element: inner, dates }.put(token)
                }
                (token, _) => put_token(element, ty, dates, token),
            };
            if let Err(fault) = put {
                return stash(self.slot, within(fault, index));
            }
            index += 1;
        }
        match column.close_array() {
            Some(()) => Ok(()),
            None => stash(self.slot, fault(Reason::TooLarge, "a shorter array", "")),
        }
    }
}
