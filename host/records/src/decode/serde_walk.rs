//! The elements of an array and the members of an object, each as the token in the record.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fault::{fault, no_character};
use super::scalar::text_of;
use crate::flow::rejection::{Fault, Reason};

/// Visits the elements of an array with their indexes, up to the first fault.
pub fn each_element<'r>(
    token: &'r str,
    put: impl FnMut(usize, &'r str) -> Result<(), Box<Fault>>,
) -> Result<(), Box<Fault>> {
    let mut slot = None;
    let mut reader = serde_json::Deserializer::from_str(token);
    let read = reader.deserialize_seq(Elements { put, slot: &mut slot });
    read.and_then(|()| reader.end())
        .map_err(|error| slot.unwrap_or_else(|| malformed("an array", &error)))
}

/// Visits the members of an object with their names, up to the first fault.
pub fn each_member<'r>(
    token: &'r str,
    mut put: impl FnMut(&str, &'r str) -> Result<(), Box<Fault>>,
) -> Result<(), Box<Fault>> {
    each_spelled(token, |name, value| {
        let text = text_of(name).ok_or_else(|| no_character(name))?;
        put(&text, value)
    })
}

/// Visits the members of an object, each with its name as written, in quotes.
pub fn each_spelled<'r>(
    token: &'r str,
    put: impl FnMut(&'r str, &'r str) -> Result<(), Box<Fault>>,
) -> Result<(), Box<Fault>> {
    let mut slot = None;
    let mut reader = serde_json::Deserializer::from_str(token);
    let read = reader.deserialize_map(Members { put, slot: &mut slot });
    read.and_then(|()| reader.end())
        .map_err(|error| slot.unwrap_or_else(|| malformed("an object", &error)))
}

/// Unreachable if the token was already read whole.
#[cold]
fn malformed(expected: &str, error: &serde_json::Error) -> Box<Fault> {
    fault(Reason::MalformedJson, expected, &error.to_string())
}

fn stop<T, E: serde::de::Error>(slot: &mut Option<Box<Fault>>, fault: Box<Fault>) -> Result<T, E> {
    *slot = Some(fault);
    Err(E::custom("see the fault"))
}

struct Elements<'s, F> {
    put: F,
    slot: &'s mut Option<Box<Fault>>,
}

impl<'de, F> Visitor<'de> for Elements<'_, F>
where
    F: FnMut(usize, &'de str) -> Result<(), Box<Fault>>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        while let Some(token) = elements.next_element::<&RawValue>()? {
            if let Err(fault) = (self.put)(index, token.get()) {
                return stop(self.slot, fault);
            }
            index += 1;
        }
        Ok(())
    }
}

struct Members<'s, F> {
    put: F,
    slot: &'s mut Option<Box<Fault>>,
}

impl<'de, F> Visitor<'de> for Members<'_, F>
where
    F: FnMut(&'de str, &'de str) -> Result<(), Box<Fault>>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<&RawValue>()? {
            let token = members.next_value::<&RawValue>()?;
            if let Err(fault) = (self.put)(name.get(), token.get()) {
                return stop(self.slot, fault);
            }
        }
        Ok(())
    }
}
