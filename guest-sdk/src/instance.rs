use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::unreadable::describe;
use crate::{Batch, RowsPlugin, wire};

/// A plugin between its `init` and its end: what both the component and the tests call.
pub struct Instance<P> {
    plugin: RefCell<Option<P>>,
}

impl<P: RowsPlugin> Instance<P> {
    /// One that `init` has not been called on.
    #[allow(clippy::new_without_default, reason = "called by `export!`, in a constant")]
    pub const fn new() -> Self {
        Self { plugin: RefCell::new(None) }
    }

    /// Reads the config and makes the plugin.
    ///
    /// # Errors
    ///
    /// When the config is not what the plugin reads, with the key, or is refused by it.
    pub fn init(&self, config: &str) -> Result<wire::Wants, String> {
        let plugin = P::new(read_config(config)?)?;
        self.plugin.replace(Some(plugin));
        Ok(P::WANTS.wire())
    }

    /// Answers for a batch.
    ///
    /// # Errors
    ///
    /// Those of the plugin; a call before `init`; a batch that breaks the contract.
    pub fn transform(&self, batch: &wire::Batch) -> Result<wire::Outcome, String> {
        let mut slot = self.plugin.borrow_mut();
        let plugin = slot.as_mut().ok_or("transform was called before init")?;
        Ok(plugin.batch(&Batch::new(batch)?)?.into_wire())
    }
}

/// The error names the key, and no value: a config may hold secrets.
pub(crate) fn read_config<C: DeserializeOwned>(config: &str) -> Result<C, String> {
    let mut json = serde_json::Deserializer::from_str(config);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let key = error.path().to_string();
        let what = describe(error.inner());
        if key == "." { format!("config: {what}") } else { format!("config, key `{key}`: {what}") }
    })?;
    json.end().map_err(|error| format!("config: {}", describe(&error)))?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::NoConfig;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(rename = "rules")]
        _rules: Vec<Rule>,
    }

    #[derive(Debug, Deserialize)]
    struct Rule {
        #[serde(rename = "field")]
        _field: String,
    }

    #[test]
    fn a_config_error_names_the_key_and_no_value() {
        let error = |config| read_config::<Config>(config).unwrap_err();
        assert_eq!(
            error(r#"{"rules":[{"field":"a"},{"field":31337}]}"#),
            "config, key `rules[1].field`: invalid type, expected a string at line 1 column 38"
        );
        assert_eq!(error("{}"), "config: missing field `rules` at line 1 column 2");
        assert_eq!(
            error(r#"{"rule":[]}"#),
            "config, key `rule`: unknown field, expected `rules` at line 1 column 7"
        );
        assert_eq!(error(r#"{"rules":[]} 1"#), "config: trailing characters at line 1 column 14");
        assert_eq!(error(""), "config: EOF while parsing a value at line 1 column 0");
    }

    #[test]
    fn no_config_is_an_empty_object() {
        assert!(read_config::<NoConfig>("{}").is_ok());
        assert!(read_config::<NoConfig>(r#"{"a":1}"#).is_err());
    }

    #[test]
    fn a_batch_before_init_is_an_error() {
        struct Never;
        impl RowsPlugin for Never {
            type Config = NoConfig;
            type Record<'a> = crate::Raw<'a>;
            fn new(_: NoConfig) -> Result<Self, String> {
                Err("never".to_owned())
            }
        }
        let instance = Instance::<Never>::new();
        let batch = crate::testing::batch(crate::Wants::NONE, &[]).unwrap();
        assert_eq!(instance.init("{}").unwrap_err(), "never");
        assert_eq!(instance.transform(&batch).unwrap_err(), "transform was called before init");
    }
}
