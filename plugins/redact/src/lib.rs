//! Masks e-mail addresses and payment card numbers in configured fields of a JSON object.

mod mask;

use std::borrow::Cow;

use serde::Deserialize;
use sluicegate_plugin::{Meta, Object, Rejection, RowsPlugin, Verdict};

pub use mask::mask;

/// What is masked, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names of fields of the top-level object; at least one.
    pub fields: Vec<String>,
    /// What stands in the place of an address or a number.
    #[serde(default = "default_mask")]
    pub mask: String,
}

fn default_mask() -> String {
    "***".to_owned()
}

/// The plugin.
#[derive(Debug)]
pub struct Redact(Config);

impl RowsPlugin for Redact {
    type Config = Config;
    type Record<'a> = Object<'a>;

    fn new(config: Config) -> Result<Self, String> {
        if config.fields.is_empty() {
            return Err("config, key `fields`: name at least one field".to_owned());
        }
        Ok(Self(config))
    }

    fn record<'a>(&'a mut self, mut record: Object<'a>, _: &Meta<'a>) -> Verdict<Object<'a>> {
        let mut is_masked = false;
        for (name, value) in record.iter_mut() {
            // Text alone begins with a quote; all else is left as it is.
            if !self.0.fields.iter().any(|field| field == name) || !value.get().starts_with('"') {
                continue;
            }
            // Half a surrogate pair is JSON but no text: what cannot be looked into is not kept.
            let Ok(text) = serde_json::from_str::<String>(value.get()) else {
                return Rejection::new("expected text of whole characters").at(name).into();
            };
            if let Some(masked) = mask(&text, &self.0.mask) {
                let Ok(raw) = serde_json::value::to_raw_value(&masked) else {
                    return Rejection::new("the masked text cannot be written").at(name).into();
                };
                *value = Cow::Owned(raw);
                is_masked = true;
            }
        }
        if is_masked { Verdict::Replace(record) } else { Verdict::Keep }
    }
}

sluicegate_plugin::export!(Redact);

#[cfg(test)]
mod tests;
