//! Implements the validator's traits for [`Document`].

use std::borrow::Cow;
use std::str::FromStr as _;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object, cmp};
use serde_json::{Map, Number, Value};

use super::document::Document;

/// The representation whose node type is [`Document`].
pub struct Payload;

impl Json for Payload {
    type Node<'a> = &'a Document<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(
        (): &mut (),
        string: &str,
        f: impl for<'n> FnOnce(&'n Document<'n>) -> T,
    ) -> T {
        f(&Document::Text(Cow::Borrowed(string)))
    }
}

impl<'a> Node<'a, Payload> for &'a Document<'a> {
    type Object = DocumentMembers<'a>;
    type Array = DocumentElements<'a>;
    type Number = Digits<'a>;

    fn as_object(&self) -> Option<DocumentMembers<'a>> {
        match self {
            Document::Object(members) => Some(DocumentMembers(members)),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<DocumentElements<'a>> {
        match self {
            Document::Array(elements) => Some(DocumentElements(elements)),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self {
            Document::Text(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Digits<'a>> {
        match self {
            Document::Number(text) => Some(Digits(text)),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self {
            Document::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        **self == Document::Null
    }

    fn json_type(&self) -> JsonType {
        match self {
            Document::Null => JsonType::Null,
            Document::Bool(_) => JsonType::Boolean,
            Document::Number(_) => JsonType::Number,
            Document::Text(_) => JsonType::String,
            Document::Array(_) => JsonType::Array,
            Document::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self, expected) {
            (Document::Text(text), Value::String(expected)) => text == expected,
            (Document::Number(_) | Document::Array(_) | Document::Object(_), _) => {
                cmp::equal(&value_of(self), expected)
            }
            (Document::Bool(value), Value::Bool(expected)) => value == expected,
            (Document::Null, expected) => expected.is_null(),
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(value_of(self))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref::<Document<'_>>(self) as usize))
    }
}

fn value_of(document: &Document<'_>) -> Value {
    match document {
        Document::Null => Value::Null,
        Document::Bool(value) => Value::Bool(*value),
        Document::Number(text) => Value::Number(number_of(text)),
        Document::Text(text) => Value::String(text.clone().into_owned()),
        Document::Array(elements) => Value::Array(elements.iter().map(value_of).collect()),
        Document::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.to_string(), value_of(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

fn number_of(text: &str) -> Number {
    // The text was parsed as a number.
    Number::from_str(text).unwrap_or_else(|_| Number::from(0))
}

/// A number as its text.
pub struct Digits<'a>(&'a str);

impl JsonNumber for Digits<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|value: &f64| value.is_finite())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(number_of(self.0))
    }

    fn is_integer(&self) -> bool {
        self.as_i64().is_some() || self.to_number().is_integer()
    }
}

/// The elements of an array.
pub struct DocumentElements<'a>(&'a [Document<'a>]);

impl<'a> Array<'a, Payload> for DocumentElements<'a> {
    type Node = &'a Document<'a>;
    type ElementsIter = std::slice::Iter<'a, Document<'a>>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        self.0.iter()
    }
}

/// The members of an object, sorted by name.
pub struct DocumentMembers<'a>(&'a [(Cow<'a, str>, Document<'a>)]);

impl<'a> Object<'a, Payload> for DocumentMembers<'a> {
    type Node = &'a Document<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<Self::Node> {
        let at = self.0.binary_search_by(|(name, _)| (**name).cmp(key.as_str())).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

/// An iterator over names and values.
pub struct MembersIter<'a>(std::slice::Iter<'a, (Cow<'a, str>, Document<'a>)>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, &'a Document<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (&**name, value))
    }
}

#[cfg(test)]
mod tests {
    use jsonschema::json::conformance;

    use super::*;

    #[test]
    fn a_payload_is_what_the_validator_relies_on() {
        let text = conformance::document().to_string();
        let document = Document::read(text.as_bytes()).unwrap();
        conformance::assert_conformance::<Payload>(&&document);
    }
}
