//! What a plugin's file says of itself: a custom section that `sluicegate plugin build` writes.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::{Parser, Payload};

/// The section's name.
const SECTION: &str = "sluicegate:plugin";

/// Who a plugin is. Only the file's own word: it decides nothing.
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
    /// The manifest of a component; `None` where it holds none.
    ///
    /// # Errors
    /// A section that is there and cannot be read.
    pub fn of(component: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(section) = section(component)? else { return Ok(None) };
        let manifest = serde_json::from_slice(section);
        Ok(Some(manifest.with_context(|| format!("its section `{SECTION}`"))?))
    }

    /// The component with this manifest at its end.
    ///
    /// # Errors
    /// It has one already.
    pub fn append_to(&self, mut component: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        anyhow::ensure!(section(&component)?.is_none(), "it has a section `{SECTION}` already");
        let data = serde_json::to_vec(self)?;
        let section = CustomSection { name: SECTION.into(), data: data.into() };
        section.append_to_component(&mut component);
        Ok(component)
    }
}

/// The section of the component itself: one of a module within it is not its own.
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
