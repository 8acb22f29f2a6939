//! The lookups that one plugin may read.

use std::sync::Arc;

use super::bindings::Texts;
use super::bindings::host::Found;
use crate::config::PluginConfig;
use crate::plugins::lookups::{self, Lookups};

/// The lookups granted to a plugin, shared by its instances.
pub struct GrantedLookups {
    lookups: Arc<Lookups>,
    names: Vec<String>,
    /// The variable that grants them.
    variable: String,
    /// The largest answer, beside the instance's own memory.
    max_bytes: usize,
}

impl GrantedLookups {
    /// The lookups that the configuration grants to a plugin.
    pub fn new(plugin: &PluginConfig, lookups: Arc<Lookups>) -> Self {
        Self {
            lookups,
            names: plugin.lookups.clone(),
            variable: plugin.variable("LOOKUPS"),
            max_bytes: plugin.memory_bytes,
        }
    }

    /// Looks up columns: a value for each key.
    ///
    /// # Errors
    /// For the plugin: the lookup is not granted, has no such column, or a key is not a valid text.
    pub fn look_up(
        &self,
        name: &str,
        columns: &[String],
        keys: &Texts,
    ) -> Result<Vec<Found>, String> {
        let is_granted = self.names.iter().any(|granted| granted == name);
        let table = self.lookups.table(name).filter(|_| is_granted);
        let Some(table) = table else {
            return Err(format!("lookup `{name}` is not granted: name it in {}", self.variable));
        };
        let keys = Keys::of(keys)?;
        let found = table.lookup(columns, keys.iter(), self.max_bytes);
        Ok(found.map_err(|error| error.to_string())?.into_iter().map(answer).collect())
    }
}

fn answer(found: lookups::FoundValues) -> Found {
    let values = Texts { bytes: found.bytes, ends: found.ends };
    Found { values, missing: found.missing }
}

/// A guest's texts, checked against the contract.
struct Keys<'a> {
    text: &'a str,
    ends: &'a [u32],
}

impl<'a> Keys<'a> {
    fn of(keys: &'a Texts) -> Result<Self, String> {
        let Texts { bytes, ends } = keys;
        let text = std::str::from_utf8(bytes).map_err(|error| {
            format!("the keys are not UTF-8 at their byte {}", error.valid_up_to())
        })?;
        let last = ends.last().map_or(0, |end| *end as usize);
        if !ends.is_sorted() || last != text.len() {
            return Err("the ends of the keys descend, or are not those of their bytes".to_owned());
        }
        match ends.iter().position(|end| !text.is_char_boundary(*end as usize)) {
            Some(at) => Err(format!("key {at} ends within a character")),
            None => Ok(Self { text, ends }),
        }
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &'a str> {
        let (text, ends) = (self.text, self.ends);
        let end = |at: usize| ends.get(at).map_or(0, |end| *end as usize);
        (0..ends.len()).map(move |at| {
            let start = at.checked_sub(1).map_or(0, end);
            text.get(start..end(at)).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], ends: &[u32]) -> Texts {
        Texts { bytes: bytes.to_vec(), ends: ends.to_vec() }
    }

    #[test]
    fn keys_are_the_texts_between_their_ends() {
        let given = texts("aé".as_bytes(), &[1, 1, 3]);
        assert_eq!(Keys::of(&given).unwrap().iter().collect::<Vec<_>>(), ["a", "", "é"]);
        assert_eq!(Keys::of(&texts(b"", &[])).unwrap().iter().len(), 0);
    }

    #[test]
    fn keys_that_break_the_contract_are_refused() {
        for (given, expected) in [
            (texts(b"a\xff", &[2]), "not UTF-8 at their byte 1"),
            (texts("é".as_bytes(), &[1, 2]), "key 0 ends within a character"),
            (texts(b"ab", &[2, 1]), "descend"),
            (texts(b"ab", &[1]), "not those of their bytes"),
            (texts(b"ab", &[3]), "not those of their bytes"),
            (texts(b"ab", &[]), "not those of their bytes"),
        ] {
            let error = Keys::of(&given).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
    }
}
