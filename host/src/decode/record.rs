//! One record into the columns, by serde: the reader that is right before it is fast.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::Column;
use super::fault::{fault, twice, within};
use super::nested::put;
use crate::rejection::{Fault, Reason};
use crate::schema::plan::{ColumnPlan, TablePlan, ValueRules};
use crate::schema::types::Type;

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
                return stash(self.slot, named(twice("a field that stands once"), plan));
            }
            let value = Value { column, ty: &plan.ty, rules: plan.values, slot: self.slot };
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
        let is_guess = |column: &ColumnPlan| column.is_asked && *column.name == *name;
        if self.plan.columns.get(self.guess).is_some_and(is_guess) {
            return Ok(Some(self.guess));
        }
        Ok(self.plan.column_of(name))
    }
}

/// A field's value.
struct Value<'a> {
    column: &'a mut Column,
    ty: &'a Type,
    rules: ValueRules,
    slot: &'a mut FaultSlot,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        let raw = <&RawValue as serde::Deserialize>::deserialize(reader)?;
        let Self { column, ty, rules, slot } = self;
        if raw.get() == "null" {
            column.put_null();
            return Ok(());
        }
        put(column, ty, rules, raw.get()).or_else(|fault| stash(slot, fault))
    }
}
