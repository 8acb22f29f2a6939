//! Where the value of a column comes from.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::types::{IntKind, Kind, Type};

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnSource {
    /// The record's field of its name.
    Name,
    /// The place in the record that a pointer leads to (COLUMN_FROM).
    Pointer(Pointer),
    /// Kafka's metadata of the record (METADATA_COLUMNS).
    Metadata(Metadata),
    /// The record's fields that fill no other column (UNKNOWN_FIELDS).
    Unknown,
    /// A plugin.
    Plugin,
}

impl ColumnSource {
    /// Whether a record may lack it.
    pub fn is_field(&self) -> bool {
        matches!(self, Self::Name | Self::Pointer(_))
    }
}

/// A JSON pointer (RFC 6901) of at least one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    steps: Vec<Arc<str>>,
}

impl Pointer {
    /// Reads a pointer such as `/position/lat`; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let steps = text.strip_prefix('/')?.split('/').map(unescaped);
        Some(Self { steps: steps.collect::<Option<_>>()? })
    }

    /// The names of fields, or numbers of elements, along the path.
    pub fn steps(&self) -> &[Arc<str>] {
        &self.steps
    }
}

/// A name, or the number of an element, escaped for a pointer.
pub fn escaped(step: &str) -> Cow<'_, str> {
    if step.contains(['~', '/']) {
        step.replace('~', "~0").replace('/', "~1").into()
    } else {
        step.into()
    }
}

/// `~1` is `/` and `~0` is `~`; any other `~` is an error.
fn unescaped(step: &str) -> Option<Arc<str>> {
    let mut parts = step.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let rest = match part.strip_prefix('1') {
            Some(rest) => {
                text.push('/');
                rest
            }
            None => {
                text.push('~');
                part.strip_prefix('0')?
            }
        };
        text.push_str(rest);
    }
    Some(text.into())
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "/{}", escaped(step)))
    }
}

/// Metadata of a record, beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// The topic.
    Topic,
    /// The partition.
    Partition,
    /// The offset.
    Offset,
    /// Milliseconds since 1970; absent if the broker kept none.
    Timestamp,
    /// The key; absent if the record has none.
    Key,
    /// The headers, in their order.
    Headers,
    /// The deduplication token of the row's INSERT, filled in when it is sent.
    Token,
}

impl Metadata {
    /// Each with its word in METADATA_COLUMNS.
    pub const WORDS: &[(&str, Self)] = &[
        ("topic", Self::Topic),
        ("partition", Self::Partition),
        ("offset", Self::Offset),
        ("timestamp", Self::Timestamp),
        ("key", Self::Key),
        ("headers", Self::Headers),
        ("token", Self::Token),
    ];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// Whether a column of this type holds every value of it.
    pub fn fits(self, ty: &Type) -> bool {
        let is_string = |ty: &Type| matches!(ty.kind, Kind::String);
        match (self, &ty.kind) {
            (Self::Topic | Self::Key | Self::Token, Kind::String) => true,
            (Self::Partition, Kind::Int(kind)) => {
                matches!(kind, IntKind::I32 | IntKind::U32) || kind.is_64_bit()
            }
            (Self::Offset | Self::Timestamp, Kind::Int(kind)) => kind.is_64_bit(),
            (Self::Timestamp, Kind::DateTime64 { precision, .. }) => *precision >= 3,
            (Self::Headers, Kind::Map(name, value)) => is_string(name) && is_string(value),
            (Self::Headers, Kind::Array(header)) => match &header.kind {
                Kind::Tuple(parts) => parts.len() == 2 && parts.iter().all(|p| is_string(&p.ty)),
                _ => false,
            },
            _ => false,
        }
    }

    /// The types that hold it, for messages.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Topic | Self::Key | Self::Token => "String",
            Self::Partition => "an integer of 32 or 64 bits",
            Self::Offset => "Int64 or UInt64",
            Self::Timestamp => "DateTime64 of 3 digits or more, or Int64 for milliseconds",
            Self::Headers => "Map(String, String) or Array(Tuple(String, String))",
        }
    }
}

/// How a string encodes bytes (COLUMN_ENCODING).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Base64, in either alphabet, with or without padding.
    Base64,
    /// Two digits a byte, after an optional `0x` or `\x`.
    Hex,
}

impl Encoding {
    /// Each with its word in COLUMN_ENCODING.
    pub const WORDS: &[(&str, Self)] = &[("base64", Self::Base64), ("hex", Self::Hex)];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// What becomes of a value that does not fit its column (COLUMN_ON_INVALID).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    /// It rejects the record.
    Reject,
    /// NULL is stored, and counted.
    Null,
    /// The value of an absent field is stored, and counted.
    Default,
}

impl OnInvalid {
    /// Each with its word in COLUMN_ON_INVALID.
    pub const WORDS: &[(&str, Self)] =
        &[("reject", Self::Reject), ("null", Self::Null), ("default", Self::Default)];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// What becomes of fields that fill no column (UNKNOWN_FIELDS).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// They are ignored and counted by name.
    #[default]
    Ignore,
    /// They reject the record.
    Reject,
    /// They are put into this column, as one JSON object.
    Column(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::types::parse;

    #[test]
    fn a_pointer_is_read_with_its_escapes_and_written_as_it_was() {
        for (text, steps) in [
            ("/a", &["a"][..]),
            ("/a/0/b c", &["a", "0", "b c"]),
            ("/a~1b/~0/~01", &["a/b", "~", "~1"]),
            ("/", &[""]),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.steps().iter().map(|step| &**step).collect::<Vec<_>>(), steps);
            assert_eq!(pointer.to_string(), text);
        }
        for text in ["", "a", "a/b", "/~", "/~2", "/a~"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn metadata_fits_columns_that_hold_every_value_of_it() {
        for (metadata, fit, unfit) in [
            (Metadata::Topic, "LowCardinality(String)", "FixedString(8)"),
            (Metadata::Partition, "Int32", "Int16"),
            (Metadata::Offset, "UInt64", "UInt32"),
            (Metadata::Timestamp, "DateTime64(3)", "DateTime"),
            (Metadata::Timestamp, "Int64", "Int32"),
            (Metadata::Key, "Nullable(String)", "UUID"),
            (Metadata::Headers, "Map(String, Nullable(String))", "Map(String, Int8)"),
            (Metadata::Headers, "Array(Tuple(name String, value String))", "Array(String)"),
        ] {
            assert!(metadata.fits(&parse(fit).unwrap()), "{fit}");
            assert!(!metadata.fits(&parse(unfit).unwrap()), "{unfit}");
        }
    }
}
