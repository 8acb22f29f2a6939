use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::Unreadable;

/// A JSON object as its fields in their order, each value as the text that it came as.
///
/// A plugin changes one field, and every other value goes through byte for byte: no digit of a
/// number is lost. Names stay the same texts but may be escaped otherwise; the blanks between
/// fields are gone.
///
/// Names that stand twice stay as they are. Of those, [`get`](Self::get) reads the last, as most
/// readers of JSON do; [`set`](Self::set) and [`remove`](Self::remove) leave none of the others
/// behind.
///
/// ```
/// use sluicegate_plugin::Object;
///
/// let mut object: Object = serde_json::from_str(r#"{"id": 1.10, "name": "x", "old": 0}"#)?;
/// assert_eq!(object.get::<String>("name")?, Some("x".to_owned()));
/// object.set("name", "y")?;
/// object.remove("old");
/// assert_eq!(serde_json::to_string(&object)?, r#"{"id":1.10,"name":"y"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

impl<'a> Object<'a> {
    /// Reads a field's value; `None` where there is no such field. One that may be null is read
    /// as an `Option`.
    ///
    /// # Errors
    ///
    /// When it is something else than a `T`; the place in the text counts from the value's begin.
    pub fn get<'s, T: Deserialize<'s>>(&'s self, name: &str) -> Result<Option<T>, Unreadable> {
        Ok(self.raw(name).map(|raw| serde_json::from_str(raw.get())).transpose()?)
    }

    /// The text of a field's value, without blanks around it.
    pub fn raw(&self, name: &str) -> Option<&RawValue> {
        self.fields.iter().rfind(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Whether there is such a field, null included.
    pub fn contains(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Writes a field in its place, or at the end.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON, such as a map whose keys are no texts.
    pub fn set<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: &T,
    ) -> Result<(), String> {
        let name = name.into();
        let raw = to_raw_value(value)
            .map_err(|_| format!("field `{name}`: the value cannot be written as JSON"))?;
        self.set_raw(name, Cow::Owned(raw));
        Ok(())
    }

    /// Writes a field in its place, or at the end, as JSON text.
    pub fn set_raw(&mut self, name: impl Into<Cow<'a, str>>, value: Cow<'a, RawValue>) {
        let name = name.into();
        match self.fields.iter().position(|(field, _)| *field == name) {
            None => self.fields.push((name, value)),
            Some(first) => {
                let mut index = 0;
                self.fields.retain(|(field, _)| {
                    index += 1;
                    index - 1 <= first || *field != name
                });
                if let Some(field) = self.fields.get_mut(first) {
                    field.1 = value;
                }
            }
        }
    }

    /// Takes a field out, and gives its value; the last one where the name stands twice.
    pub fn remove(&mut self, name: &str) -> Option<Cow<'a, RawValue>> {
        self.fields.extract_if(.., |(field, _)| field == name).last().map(|(_, value)| value)
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.fields.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The fields in their order, their values to be changed in place; each of those whose name
    /// stands twice.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Cow<'a, RawValue>)> {
        self.fields.iter_mut().map(|(name, value)| (&**name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields).map(|fields| Self { fields })
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A name that is copied only where it holds escapes; serde's `Cow` copies always.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, Cow<'de, RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            fields.push((name, Cow::Borrowed(value)));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object<'_> {
        serde_json::from_str(json).unwrap()
    }

    fn text(object: &Object<'_>) -> String {
        serde_json::to_string(object).unwrap()
    }

    #[test]
    fn a_changed_field_leaves_the_others_byte_for_byte() {
        let exact = r#""n":0.10000000000000000000001,"big":123456789012345678901234567890"#;
        let json = format!(r#"{{{exact},"e":1E+2,"s":"\u00e9\/","o":{{ "a" : [ 1 ] }},"x":1}}"#);
        let mut changed = object(&json);
        changed.set("x", &2).unwrap();
        assert_eq!(text(&changed), json.replace(r#""x":1"#, r#""x":2"#));
    }

    #[test]
    fn names_that_stand_twice_stay_until_they_are_written() {
        let json = r#"{"a":1,"b":2,"a":3,"c":4,"a":5}"#;
        assert_eq!(text(&object(json)), json);
        assert_eq!(object(json).get::<u8>("a"), Ok(Some(5)));
        let mut written = object(json);
        written.set("a", &6).unwrap();
        assert_eq!(text(&written), r#"{"a":6,"b":2,"c":4}"#);
        let mut removed = object(json);
        assert_eq!(removed.remove("a").unwrap().get(), "5");
        assert_eq!(text(&removed), r#"{"b":2,"c":4}"#);
        assert!(removed.remove("a").is_none());
    }

    #[test]
    fn a_name_with_escapes_is_the_same_name() {
        let mut escaped = object(r#"{"\u0061b":1}"#);
        assert!(escaped.contains("ab"));
        escaped.set("ab", &2).unwrap();
        assert_eq!(text(&escaped), r#"{"ab":2}"#);
    }

    #[test]
    fn absent_null_and_another_type_are_told_apart() {
        let fields = object(r#"{"null":null,"text":"x"}"#);
        assert_eq!(fields.get::<u8>("absent"), Ok(None));
        assert_eq!(fields.get::<Option<u8>>("null"), Ok(Some(None)));
        assert_eq!(fields.get::<&str>("text"), Ok(Some("x")));
        let error = fields.get::<u8>("text").unwrap_err().to_string();
        assert!(error.contains("invalid type, expected u8"), "{error}");
        assert!(fields.contains("null") && !fields.contains("absent"));
    }

    #[test]
    fn only_a_whole_object_is_one() {
        for json in ["", "[]", "null", "1", r#"{"a":1"#, r#"{"a":}"#, "{} {}"] {
            assert!(serde_json::from_str::<Object<'_>>(json).is_err(), "{json}");
        }
        assert!(object(" {} ").is_empty());
        assert_eq!(object(r#"{"a":1,"a":1}"#).len(), 2);
    }

    #[test]
    fn a_value_is_changed_in_place() {
        let mut fields = object(r#"{"a":1,"b":2}"#);
        for (_, value) in fields.iter_mut().filter(|(name, _)| *name == "b") {
            *value = Cow::Owned(to_raw_value("new").unwrap());
        }
        assert_eq!(text(&fields), r#"{"a":1,"b":"new"}"#);
    }
}
