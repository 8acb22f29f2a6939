//! The user's JSON Schema (JSON_SCHEMA): drafts 4, 6, 7, 2019-09 and 2020-12, by the `jsonschema` crate. It only
//! validates payloads, as decode gets them: it fills in no default and changes no value.
//!
//! Numbers are compared exactly. Nothing is fetched: a reference out of the schema is refused when the schema is
//! loaded.

mod bounds;
mod cover;
mod document;
mod node;

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ReferencingError, ValidationError, Validator};
use serde_json::Value;

use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Reason, Rejection, Stage, cut};
use crate::schema::plan::TablePlan;
use crate::schema::shape::Shape;
use crate::schema::source::{Pointer, escaped};
pub use cover::NotCovered;
use document::Document;
use node::Payload;

/// Most bytes of a fault's pointer, which may contain keys of the record.
const POINTER_BYTES: usize = 512;

/// A compiled JSON Schema. Cheap to clone.
#[derive(Clone)]
pub struct UserSchema {
    inner: Arc<CompiledSchema>,
    is_before_plugins: bool,
}

struct CompiledSchema {
    validator: Validator<Payload>,
    schema: Value,
    draft: Draft,
}

/// Why a text is no usable schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// What was found, and where in the schema.
    pub found: String,
    /// What to do.
    pub hint: &'static str,
}

impl UserSchema {
    /// Reads and compiles a schema. Fetches nothing.
    ///
    /// # Errors
    /// The text is no JSON, the draft is unknown, the schema breaks the rules of its draft, or a reference leads out
    /// of it.
    pub fn new(text: &str) -> Result<Self, SchemaProblem> {
        let problem = |found, hint| SchemaProblem { found, hint };
        let schema: Value = serde_json::from_str(text).map_err(|error| {
            let found = format!("no JSON: line {}, column {}", error.line(), error.column());
            problem(found, "write one JSON value: an object, `true` or `false`")
        })?;
        let draft = Draft::default().detect(&schema);
        if draft == Draft::Unknown {
            let named = schema.get("$schema").unwrap_or(&Value::Null);
            let found = format!("at /$schema: {}, an unknown draft", cut(&named.to_string()));
            return Err(problem(found, "use draft 4, 6, 7, 2019-09 or 2020-12"));
        }
        let options = jsonschema::options_for::<Payload>().with_draft(draft).offline();
        match bounds::exact(options).build(&schema) {
            Ok(validator) => {
                let inner = Arc::new(CompiledSchema { validator, schema, draft });
                Ok(Self { inner, is_before_plugins: false })
            }
            Err(error) => Err(describe(&error, &schema)),
        }
    }

    /// The draft, by the name of its specification.
    pub fn draft(&self) -> &'static str {
        match self.inner.draft {
            Draft::Draft4 => "draft 4",
            Draft::Draft6 => "draft 6",
            Draft::Draft7 => "draft 7",
            Draft::Draft201909 => "draft 2019-09",
            _ => "draft 2020-12",
        }
    }

    /// The same, with plugins on decoded rows between it and the table: the table does not require the columns that
    /// they fill from the record.
    #[must_use]
    pub fn before_plugins(self) -> Self {
        Self { is_before_plugins: true, ..self }
    }

    /// Proves that every record that the table accepts satisfies the schema, so that it need not be run.
    ///
    /// # Errors
    /// The first unproved place of the schema: the schema may ask for more than the table, or the proof may be too
    /// weak.
    pub fn is_covered_by(&self, plan: &TablePlan) -> Result<(), NotCovered> {
        let nowhere = |why| NotCovered { pointer: String::new(), why };
        if self.is_before_plugins {
            return Err(nowhere("plugins on decoded rows fill columns too".to_owned()));
        }
        let shape = Shape::of_record(plan).map_err(|underived| nowhere(underived.to_string()))?;
        cover::prove(&self.inner.schema, self.inner.draft, &shape)
    }

    /// Validates one payload.
    ///
    /// # Errors
    /// The first violation, with its place in the payload and in the schema; or the payload is not JSON.
    pub fn judge(&self, payload: &[u8]) -> Result<(), Box<Fault>> {
        let Some(document) = Document::read(payload) else { return Err(malformed()) };
        if self.inner.validator.is_valid(&document) {
            return Ok(());
        }
        match self.inner.validator.validate(&document) {
            Ok(()) => Ok(()),
            Err(error) => Err(violation(&error, &self.inner.schema)),
        }
    }

    /// The records whose payload violates the schema, in the order of the payloads. `tell` adds to a payload's fault
    /// which part of its record it is.
    pub fn violations<'a>(
        &self,
        plan: &TablePlan,
        payloads: impl Iterator<Item = (Origin, &'a [u8])>,
        tell: impl Fn(Origin, &[u8], &mut Fault),
    ) -> Vec<Rejection> {
        let judged = payloads.filter_map(|(origin, payload)| {
            let mut fault = *self.judge(payload).err()?;
            let at = fault.column.as_deref().and_then(|name| plan.column_of(name));
            fault.column = at.and_then(|at| plan.columns.get(at)).map(|column| column.name.clone());
            tell(origin, payload, &mut fault);
            Some(Rejection { origin, stage: Stage::Check(None), fault })
        });
        judged.collect()
    }
}

impl PartialEq for UserSchema {
    fn eq(&self, other: &Self) -> bool {
        self.inner.schema == other.inner.schema
    }
}

impl std::fmt::Debug for UserSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserSchema({})", self.draft())
    }
}

/// What prevents a schema from being compiled, and where.
fn describe(error: &ValidationError<'_>, schema: &Value) -> SchemaProblem {
    if let ValidationErrorKind::Referencing(error) = error.kind() {
        let (found, hint) = match error {
            ReferencingError::Unretrievable { uri, .. } => (
                format!("{}`{uri}`, which is not in the schema", place_of(schema, uri)),
                "copy it into the schema, below `$defs`: no schema is fetched, nor read from a file",
            ),
            other => (
                format!("a reference that leads nowhere: {other}"),
                "look at the schema's `$ref` and `$id`",
            ),
        };
        return SchemaProblem { found, hint };
    }
    let found =
        format!("at {}: {}", shown(error.instance_path().as_str()), cut(&error.to_string()));
    SchemaProblem { found, hint: "look at the schema at this place" }
}

/// The place where a schema refers to `uri`, as `at /pointer: `; empty if it is ambiguous.
fn place_of(schema: &Value, uri: &str) -> String {
    let mut places = Vec::new();
    references(schema, "", &mut |pointer, reference| {
        let document = reference.split('#').next().unwrap_or_default();
        if !document.is_empty() && uri.ends_with(document.trim_start_matches(['.', '/'])) {
            places.push(format!("at {pointer}: "));
        }
    });
    places.into_iter().next().unwrap_or_default()
}

fn references(schema: &Value, pointer: &str, see: &mut impl FnMut(&str, &str)) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                let pointer = format!("{pointer}/{}", escaped(name));
                match value {
                    Value::String(reference) if name.ends_with("Ref") || name == "$ref" => {
                        see(&pointer, reference);
                    }
                    _ => references(value, &pointer, see),
                }
            }
        }
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                references(element, &format!("{pointer}/{at}"), see);
            }
        }
        _ => {}
    }
}

#[cold]
fn violation(error: &ValidationError<'_>, schema: &Value) -> Box<Fault> {
    let (pointer, path) = (error.instance_path().as_str(), error.schema_path().as_str());
    let says = schema.pointer(path).map(|says| format!(" ({})", cut(&says.to_string())));
    let got = error.instance();
    Box::new(Fault {
        reason: Reason::SchemaViolation,
        column: field_of(error),
        pointer: pointer
            .get(..pointer.floor_char_boundary(POINTER_BYTES))
            .unwrap_or(pointer)
            .into(),
        expected: format!(
            "what the JSON Schema says at {}{}",
            shown(path),
            says.unwrap_or_default()
        ),
        got_kind: kind_of(got),
        got: cut(&got.to_string()).into_owned(),
    })
}

/// The record's field at fault.
fn field_of(error: &ValidationError<'_>) -> Option<Arc<str>> {
    match (Pointer::parse(error.instance_path().as_str()), error.kind()) {
        (Some(pointer), _) => pointer.steps().first().cloned(),
        (None, ValidationErrorKind::Required { property }) => property.as_str().map(Arc::from),
        (None, _) => None,
    }
}

/// Decode reports this in more detail, so nobody sees this fault.
#[cold]
fn malformed() -> Box<Fault> {
    Box::new(Fault {
        reason: Reason::MalformedJson,
        column: None,
        pointer: String::new(),
        expected: "one JSON value".to_owned(),
        got_kind: "",
        got: "something else".to_owned(),
    })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A pointer in readable form; that of the root is empty.
fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "its root" } else { pointer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(schema: &str) -> String {
        UserSchema::new(schema).unwrap_err().found
    }

    fn fault(schema: &str, payload: &str) -> Box<Fault> {
        UserSchema::new(schema).unwrap().judge(payload.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_wrong_with_a_schema_is_told_with_its_place() {
        let table = [
            ("{\n  nope", "no JSON: line 2, column 3"),
            ("{} {}", "no JSON: line 1, column 4"),
            ("7", ""),
            (r#"{"$schema":"https://example.com/mine"}"#, ""),
            (r#"{"properties":{"a/b":{"type":"strin"}}}"#, ""),
            (r#"{"properties":{"a":{"pattern":"("}}}"#, ""),
            (r#"{"properties":{"a":{"$ref":"https://example.com/a.json#/b"}}}"#, ""),
            (r#"{"properties":{"a":{"$ref":"file:///etc/passwd"}}}"#, ""),
            (r#"{"properties":{"a":{"$ref":"./other.json"}}}"#, ""),
            (r##"{"properties":{"a":{"$ref":"#/$defs/b"}}}"##, ""),
        ];
        let found: Vec<String> = table.iter().map(|(schema, _)| problem(schema)).collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        no JSON: line 2, column 3
        no JSON: line 1, column 4
        at its root: 7 is not of types "boolean", "object"
        at /$schema: "https://example.com/mine", an unknown draft
        at /properties/a~1b/type: "strin" is not valid under any of the schemas listed in the 'anyOf' keyword
        at /properties/a/pattern: "(" is not a "regex"
        at /properties/a/$ref: `https://example.com/a.json`, which is not in the schema
        at /properties/a/$ref: `file:///etc/passwd`, which is not in the schema
        at /properties/a/$ref: `./other.json`, which is not in the schema
        a reference that leads nowhere: Pointer '/$defs/b' does not exist
        "#);
    }

    #[test]
    fn a_fault_holds_its_place_in_the_payload_and_in_the_schema() {
        let schema = r##"{"$defs":{"small":{"maximum":100}},"required":["b"],
            "properties":{"a":{"items":{"$ref":"#/$defs/small"}},"no":false}}"##;
        let table = [r#"{"a":[1,300],"b":1}"#, r#"{"a":[1]}"#, r#"{"b":1,"no":{"x":null}}"#];
        let found = table.map(|payload| {
            let fault = fault(schema, payload);
            format!("{fault} | {:?} {}", fault.column, fault.pointer)
        });
        insta::assert_snapshot!(found.join("\n"), @r#"
        column `a` at /a/1: expected what the JSON Schema says at /$defs/small/maximum (100), got 300 | Some("a") /a/1
        column `b`: expected what the JSON Schema says at /required (["b"]), got {"a":[1]} | Some("b") 
        column `no`: expected what the JSON Schema says at /properties/no (false), got {"x":null} | Some("no") /no
        "#);
    }

    #[test]
    fn numbers_are_compared_to_their_last_digit() {
        let table = [
            (r#"{"maximum":18446744073709551615}"#, "18446744073709551616", false),
            (r#"{"maximum":18446744073709551615}"#, "18446744073709551615", true),
            (r#"{"const":12345678901234567890123}"#, "12345678901234567890124", false),
            (r#"{"const":12345678901234567890123}"#, "12345678901234567890123.0", true),
            (r#"{"maximum":0.1}"#, "0.1000000000000000055", false),
            (r#"{"enum":[0.1]}"#, "0.10000000000000000001", false),
            (r#"{"multipleOf":0.01}"#, "12345678901234567.01", true),
            (r#"{"multipleOf":0.01}"#, "12345678901234567.011", false),
            (r#"{"type":"integer"}"#, "1e400", true),
            (r#"{"type":"integer"}"#, "1e-400", false),
            (r#"{"maximum":1e400}"#, "2e400", false),
            (r#"{"type":"integer"}"#, "9007199254740993.5", false),
            (r#"{"uniqueItems":true}"#, "[9007199254740992,9007199254740993]", true),
            (r#"{"uniqueItems":true}"#, "[1,1.0]", false),
            (r#"{"maximum":10}"#, "1e1000000000", false),
            (r#"{"maximum":9223372036854775807}"#, "9223372036854775807.0", true),
            (r#"{"maximum":18014398509481987}"#, "18014398509481986.5", true),
            (r#"{"exclusiveMaximum":1}"#, "1.0", false),
        ];
        for (schema, payload, is_valid) in table {
            let judged = UserSchema::new(schema).unwrap().judge(payload.as_bytes());
            assert_eq!(judged.is_ok(), is_valid, "{schema} of {payload}");
        }
    }
}
