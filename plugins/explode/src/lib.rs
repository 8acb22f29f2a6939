//! Makes many records of one that holds an array: one for each element.

use std::borrow::Cow;

use serde::Deserialize;
use sluicegate_plugin::{Meta, Object, RawValue, Rejection, RowsPlugin, Verdict};

/// What is made many of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of a field of the top-level object.
    pub array: String,
}

/// The plugin.
#[derive(Debug)]
pub struct Explode(Config);

impl RowsPlugin for Explode {
    type Config = Config;
    type Record<'a> = Object<'a>;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn record<'a>(&'a mut self, mut record: Object<'a>, _: &Meta<'a>) -> Verdict<Object<'a>> {
        let name = self.0.array.as_str();
        let Some(array) = record.remove(name) else { return Verdict::Keep };
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(array.get()) else {
            return Rejection::new("expected an array").at(name).into();
        };
        if elements.is_empty() {
            return Verdict::Drop;
        }
        let exploded = elements.into_iter().map(|element| one(&record, name, element));
        match exploded.collect() {
            Ok(records) => Verdict::Many(records),
            Err(rejection) => rejection.into(),
        }
    }
}

/// The record that an element makes with the other fields.
fn one<'a>(
    others: &Object<'a>,
    name: &'a str,
    element: &RawValue,
) -> Result<Object<'a>, Rejection> {
    let mut record = others.clone();
    if element.get().starts_with('{') {
        let fields: Object<'_> = serde_json::from_str(element.get())
            .map_err(|_| Rejection::new("expected elements whose names are texts").at(name))?;
        for (field, value) in fields.iter() {
            record.set_raw(field.to_owned(), Cow::Owned(value.to_owned()));
        }
    } else {
        record.set_raw(name, Cow::Owned(element.to_owned()));
    }
    Ok(record)
}

sluicegate_plugin::export!(Explode);

#[cfg(test)]
mod tests;
