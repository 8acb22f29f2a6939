//! Proves that a schema asks for no more than the table does: every record that decode and check
//! accept satisfies it, so no record needs to be validated.
//!
//! The proof follows the shape of the record. It knows some of the keywords; any other makes the
//! proof fail, and the schema is run on every record. A place with few possible values, such as the
//! labels of an Enum, is tested on each of them.

mod parts;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;

use jsonschema::Draft;
use serde_json::{Map, Value};

use crate::schema::shape::{Shape, ShapeNumbers};
use crate::schema::source::escaped;

/// Most references followed in a row.
const MAX_REFERENCES: usize = 32;

/// Keywords that only annotate values without refusing any, or hold schemas for references.
const SILENT: &[&str] = &[
    "$schema",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// Why a schema must be run: the unproved place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCovered {
    /// The place in the schema.
    pub pointer: String,
    /// What is not proved there.
    pub why: String,
}

impl fmt::Display for NotCovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "its root" } else { &self.pointer };
        write!(f, "at {place}: {}", self.why)
    }
}

type Proof = Result<(), NotCovered>;

/// Proves that every value of `shape` satisfies `schema`.
///
/// # Errors
/// The first place that is not proved.
pub fn prove(schema: &Value, draft: Draft, shape: &Shape) -> Proof {
    let root = Place { root: schema, draft, schema, pointer: String::new(), references: 0 };
    root.covers(Some(shape))
}

/// A place in the schema.
#[derive(Clone)]
struct Place<'a> {
    root: &'a Value,
    draft: Draft,
    schema: &'a Value,
    pointer: String,
    references: usize,
}

impl<'a> Place<'a> {
    fn no<T>(&self, why: impl Into<String>) -> Result<T, NotCovered> {
        Err(NotCovered { pointer: self.pointer.clone(), why: why.into() })
    }

    /// The place below a keyword.
    fn below(&self, keyword: &str, schema: &'a Value) -> Self {
        let pointer = format!("{}/{}", self.pointer, escaped(keyword));
        Self { schema, pointer, ..self.clone() }
    }

    /// Proves the place for a shape; `None` means any value, as in a field that nothing reads.
    fn covers(&self, shape: Option<&Shape>) -> Proof {
        match self.schema {
            Value::Bool(true) => Ok(()),
            Value::Object(members) => {
                let mut keywords =
                    members.iter().filter(|(name, _)| !SILENT.contains(&name.as_str()));
                keywords.try_for_each(|(keyword, value)| {
                    let at = self.below(keyword, value);
                    match shape {
                        Some(shape) => at.holds(keyword, members, shape),
                        None => at.holds_of_any(keyword),
                    }
                })
            }
            Value::Bool(false) => self.no("it refuses every value"),
            _ => self.no("this is not looked into"),
        }
    }

    /// Proves a keyword for any value.
    fn holds_of_any(&self, keyword: &str) -> Proof {
        match keyword {
            "$ref" => self.referred()?.covers(None),
            "allOf" => self.each()?.iter().try_for_each(|part| part.covers(None)),
            "properties" | "patternProperties" => {
                self.named()?.iter().try_for_each(|(_, part)| part.covers(None))
            }
            "items" | "additionalItems" | "additionalProperties" => self.covers(None),
            _ if self.is_silent(keyword) => Ok(()),
            _ => self.no("the table does not read this field, so anything may stand in it"),
        }
    }

    /// Proves a keyword for the values of a shape.
    fn holds(&self, keyword: &str, beside: &Map<String, Value>, shape: &Shape) -> Proof {
        let bound = |twin: &str| beside.get(twin) == Some(&Value::Bool(true));
        match keyword {
            "$ref" => self.referred()?.covers(Some(shape)),
            "allOf" => self.each()?.iter().try_for_each(|part| part.covers(Some(shape))),
            "anyOf" => {
                let is_covered = self.each()?.iter().any(|part| part.covers(Some(shape)).is_ok());
                if is_covered { Ok(()) } else { self.no("none of them is proved by itself") }
            }
            "type" => self.has_types(shape),
            "enum" => self.lists(self.schema.as_array().map_or(&[], Vec::as_slice), shape),
            "const" => self.lists(std::slice::from_ref(self.schema), shape),
            "minimum" => self.is_low(shape, bound("exclusiveMinimum")),
            "maximum" => self.is_high(shape, bound("exclusiveMaximum")),
            // In draft 4 they modify the limit beside them.
            "exclusiveMinimum" | "exclusiveMaximum" if self.schema.is_boolean() => Ok(()),
            "exclusiveMinimum" => self.is_low(shape, true),
            "exclusiveMaximum" => self.is_high(shape, true),
            "multipleOf" => self.divides(shape),
            "pattern" | "minLength" | "maxLength" => self.takes_texts(keyword, shape),
            "items" | "prefixItems" | "minItems" | "maxItems" => match &shape.array {
                None => Ok(()),
                Some(items) => self.takes_items(keyword, beside, items),
            },
            "properties"
            | "required"
            | "additionalProperties"
            | "propertyNames"
            | "minProperties" => match &shape.object {
                None => Ok(()),
                Some(fields) => self.takes_fields(keyword, beside, fields),
            },
            _ if self.is_silent(keyword) => Ok(()),
            _ => self.no("this keyword is not looked into"),
        }
    }

    /// Whether a keyword refuses nothing in this draft, at this place.
    fn is_silent(&self, keyword: &str) -> bool {
        let is_root = self.pointer.matches('/').count() == 1;
        match keyword {
            "$id" | "id" => is_root && self.references == 0,
            "format" | "contentEncoding" | "contentMediaType" => {
                matches!(self.draft, Draft::Draft201909 | Draft::Draft202012)
            }
            _ => false,
        }
    }

    fn each(&self) -> Result<Vec<Self>, NotCovered> {
        let Value::Array(parts) = self.schema else { return self.no("it is no list") };
        let below = |(at, part): (usize, &'a Value)| self.below(&at.to_string(), part);
        Ok(parts.iter().enumerate().map(below).collect())
    }

    fn named(&self) -> Result<Vec<(&'a str, Self)>, NotCovered> {
        let Value::Object(parts) = self.schema else { return self.no("it is no object") };
        Ok(parts.iter().map(|(name, part)| (name.as_str(), self.below(name, part))).collect())
    }

    /// The target of a reference by a pointer from the root.
    fn referred(&self) -> Result<Self, NotCovered> {
        let pointer = self.schema.as_str().and_then(|reference| reference.strip_prefix('#'));
        let pointer = pointer.filter(|pointer| !pointer.contains('%') && !has_inner_id(self.root));
        let target = pointer.and_then(|pointer| Some((pointer, self.root.pointer(pointer)?)));
        match target {
            Some((pointer, schema)) if self.references < MAX_REFERENCES => Ok(Self {
                schema,
                pointer: pointer.to_owned(),
                references: self.references + 1,
                ..self.clone()
            }),
            _ => self.no("this reference is not followed"),
        }
    }

    fn has_types(&self, shape: &Shape) -> Proof {
        let names: Vec<&str> = match self.schema {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let has = |name: &str| names.contains(&name);
        // In draft 4 neither 1.0 nor 1e3 is an integer; here both are.
        let is_number = |numbers: &ShapeNumbers| {
            has("number") || has("integer") && numbers.is_integer && self.draft != Draft::Draft4
        };
        let lacking = [
            (shape.is_nullable && !has("null"), "null"),
            (shape.is_boolean && !has("boolean"), "boolean"),
            (shape.number.as_ref().is_some_and(|numbers| !is_number(numbers)), "number"),
            (shape.text.is_some() && !has("string"), "string"),
            (shape.array.is_some() && !has("array"), "array"),
            (shape.object.is_some() && !has("object"), "object"),
        ];
        match lacking.iter().find(|(is_lacking, _)| *is_lacking) {
            Some((_, kind)) => self.no(format!("the table takes a value of kind {kind} here")),
            None => Ok(()),
        }
    }

    /// Proves that every value of the shape is in a list.
    fn lists(&self, list: &[Value], shape: &Shape) -> Proof {
        let has_more = shape.number.is_some() || shape.array.is_some() || shape.object.is_some();
        let labels = match &shape.text {
            None => Some(&[][..]),
            Some(texts) => texts.labels.as_deref(),
        };
        let Some(labels) = labels.filter(|_| !has_more) else {
            return self.no("the table takes more values than can be listed");
        };
        let null = shape.is_nullable.then_some(Value::Null);
        let booleans = [true, false].map(Value::Bool).into_iter().filter(|_| shape.is_boolean);
        let texts = labels.iter().map(|label| Value::from(label.as_str()));
        match null.into_iter().chain(booleans).chain(texts).find(|value| !list.contains(value)) {
            Some(value) => self.no(format!("the table takes {value}, which is not listed")),
            None => Ok(()),
        }
    }
}

/// Whether a part of a schema has its own base, to which its pointers are relative.
fn has_inner_id(schema: &Value) -> bool {
    // A property of this name would not be a string.
    let has_id =
        |part: &Value| ["$id", "id"].iter().any(|id| part.get(id).is_some_and(Value::is_string));
    let is_or_has = |part: &Value| has_id(part) || has_inner_id(part);
    match schema {
        Value::Object(members) => members.values().any(is_or_has),
        Value::Array(elements) => elements.iter().any(is_or_has),
        _ => false,
    }
}
