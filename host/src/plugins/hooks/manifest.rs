//! A plugin's manifest: a custom section that `sluicegate plugin build` writes.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::{Parser, Payload};

use super::worker::{Worker, WorkerTask};

/// The section's name.
const SECTION: &str = "sluicegate:plugin";
/// Most bytes of it: as parsed JSON it takes about forty times as much memory.
const MAX_SECTION_BYTES: usize = 1024 * 1024;
/// Most faults that an error lists for a configuration.
const MAX_FAULTS: usize = 100;

/// A plugin's identity as its own file states it: it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The name of its package.
    pub name: String,
    /// The version of its package.
    pub version: String,
    /// The JSON Schema of its configuration, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<Value>,
}

impl Manifest {
    /// The manifest of a component; `None` if it has none.
    ///
    /// # Errors
    /// The section cannot be read, or has more than 1 MiB.
    pub fn of(component: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(section) = section(component)? else { return Ok(None) };
        ensure!(
            section.len() <= MAX_SECTION_BYTES,
            "its section `{SECTION}` has {} bytes, and may have {MAX_SECTION_BYTES}; shorten the \
             schema of its configuration",
            section.len()
        );
        let manifest = serde_json::from_slice(section);
        Ok(Some(manifest.with_context(|| format!("its section `{SECTION}`"))?))
    }

    /// Has a worker validate a configuration, a JSON text, against the schema, if there is one.
    ///
    /// # Errors
    /// As for `judge_config`, or the validation exceeds the worker's limits.
    pub fn judge(&self, worker: &Worker, config: &str) -> anyhow::Result<()> {
        let Some(schema) = &self.config_schema else { return Ok(()) };
        let question = ConfigQuestion { schema, config: serde_json::from_str(config)? };
        worker.ask(WorkerTask::Judge, &serde_json::to_vec(&question)?, 0).map(drop)
    }

    /// The component with this manifest appended.
    ///
    /// # Errors
    /// It has one already.
    pub fn append_to(&self, mut component: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        ensure!(section(&component)?.is_none(), "it has a section `{SECTION}` already");
        let data = serde_json::to_vec(self)?;
        let section = CustomSection { name: SECTION.into(), data: data.into() };
        section.append_to_component(&mut component);
        Ok(component)
    }
}

/// The question to a worker.
#[derive(Serialize)]
struct ConfigQuestion<'a> {
    schema: &'a Value,
    config: &'a RawValue,
}

/// Validates a configuration against a schema, which may take arbitrarily long.
///
/// # Errors
/// The first places that do not fit, without the values there; or the schema is invalid.
pub fn judge_config(schema: &Value, config: &Value) -> anyhow::Result<()> {
    let schema = jsonschema::validator_for(schema)
        .map_err(|error| anyhow::anyhow!("the schema of its configuration: {error}"))?;
    let faults = schema.iter_errors(config).map(|fault| {
        let (at, rule) = (fault.instance_path(), fault.schema_path());
        format!("at `{at}`: {} (by `{rule}` of the plugin's schema)", fault.masked())
    });
    let faults: Vec<String> = faults.take(MAX_FAULTS).collect();
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(())
}

/// The section of the component itself, not of a module within it.
fn section(component: &[u8]) -> anyhow::Result<Option<&[u8]>> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                return Ok(Some(section.data()));
            }
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_held_against_the_schema_without_telling_its_values() {
        let schema = serde_json::json!({
            "properties": {"fields": {"type": "array"}, "mask": {"maxLength": 3}},
            "additionalProperties": false,
        });
        judge_config(&schema, &serde_json::json!({"fields": []})).unwrap();
        let config = serde_json::json!({"fields": "hunter2", "mask": "hunter2", "felds": 1});
        let text = judge_config(&schema, &config).unwrap_err().to_string();
        assert!(text.contains("at `/fields`") && text.contains("at `/mask`"), "{text}");
        assert!(text.contains("felds") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_key_of_a_plugin_that_takes_none_is_refused_with_the_rule_that_it_breaks() {
        let schema = serde_json::json!({"type": "object", "additionalProperties": false});
        let text =
            judge_config(&schema, &serde_json::json!({"write": true})).unwrap_err().to_string();
        assert!(text.contains("(by `/additionalProperties` of the plugin's schema)"), "{text}");
    }

    #[test]
    fn a_manifest_that_is_too_long_is_refused_before_it_is_read() {
        let (name, version) = ("x".repeat(MAX_SECTION_BYTES), "1".to_owned());
        let manifest = Manifest { name, version, config_schema: None };
        let component = manifest.append_to(b"\0asm\x0d\0\x01\0".to_vec()).unwrap();
        let text = Manifest::of(&component).unwrap_err().to_string();
        assert!(text.contains("may have 1048576"), "{text}");
    }

    #[test]
    fn what_is_written_is_read_and_stands_once() {
        let empty = b"\0asm\x0d\0\x01\0";
        assert_eq!(Manifest::of(empty).unwrap(), None);
        let schema = serde_json::json!({"type": "object"});
        let (name, version) = ("p".to_owned(), "1.2.3".to_owned());
        let manifest = Manifest { name, version, config_schema: Some(schema) };
        let component = manifest.append_to(empty.to_vec()).unwrap();
        assert_eq!(Manifest::of(&component).unwrap(), Some(manifest.clone()));
        let twice = manifest.append_to(component).unwrap_err();
        assert!(twice.to_string().contains("already"), "{twice}");
    }
}
