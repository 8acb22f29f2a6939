//! The envelope of a dead letter: one JSON object with the record and the facts. It is written directly as
//! text, since a value tree would take hundreds of bytes for each header.

use std::borrow::Cow;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};

use super::cut::KeptHeader;

/// An object with its keys in alphabetical order.
#[derive(Debug, Serialize)]
pub struct Envelope<'a> {
    pub attempt: u32,
    pub column: Option<Cow<'a, str>>,
    pub failed_at_ms: u64,
    pub failure_reason: &'static str,
    pub group: &'a str,
    #[serde(serialize_with = "objects")]
    pub headers: &'a [KeptHeader<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_left_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_truncated_from: Option<u64>,
    pub key: EnvelopeText<'a>,
    pub key_encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_truncated_from: Option<u64>,
    pub message: &'a str,
    pub offset: i64,
    pub partition: i32,
    pub plugin: Option<Cow<'a, str>>,
    pub record: EnvelopeText<'a>,
    pub record_encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_truncated_from: Option<u64>,
    pub stage: &'static str,
    pub table: &'a str,
    pub timestamp_ms: Option<i64>,
    pub topic: &'a str,
    pub version: &'static str,
}

/// Upper bound on field names, numbers, digests, reason, stage and version together.
const FIXED_BYTES: usize = 1_500;

impl Envelope<'_> {
    /// The object.
    pub fn to_bytes(&self) -> Vec<u8> {
        let headers = self.headers.iter().map(|header| header_bytes(*header)).sum::<usize>();
        let texts = [self.group, self.message, self.table, self.topic].into_iter();
        let names = [self.plugin.as_deref(), self.column.as_deref()].into_iter().flatten();
        let facts = facts_bytes(texts.chain(names));
        // Growing step by step would take twice the memory.
        let mut bytes =
            Vec::with_capacity(self.key.bytes() + self.record.bytes() + headers + facts);
        if let Err(error) = serde_json::to_writer(&mut bytes, self) {
            unreachable!("texts and numbers are written to memory: {error}");
        }
        bytes
    }
}

/// Most bytes of the facts in an envelope.
pub fn facts_bytes<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    FIXED_BYTES + texts.map(string_bytes).sum::<usize>()
}

/// Most bytes of a header in an envelope.
pub fn header_bytes((name, value): KeptHeader<'_>) -> usize {
    const FRAME: usize =
        r#"{"encoding":"base64","name":,"name_encoding":"base64","value":},"#.len();
    FRAME + EnvelopeText::of(Some(name)).bytes() + EnvelopeText::of(value).bytes()
}

/// Bytes of a record or header in an envelope: text if they are UTF-8, otherwise base64.
#[derive(Debug, Clone, Copy)]
pub enum EnvelopeText<'a> {
    Null,
    Utf8(&'a str),
    Base64(&'a [u8]),
}

impl<'a> EnvelopeText<'a> {
    pub fn of(bytes: Option<&'a [u8]>) -> Self {
        match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
            None => Self::Null,
            Some((Ok(text), _)) => Self::Utf8(text),
            Some((Err(_), bytes)) => Self::Base64(bytes),
        }
    }

    /// The value of the encoding field beside it.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Utf8(_) => "utf-8",
            Self::Base64(_) => "base64",
        }
    }

    /// Its written size in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Null => "null".len(),
            Self::Utf8(text) => string_bytes(text),
            Self::Base64(bytes) => bytes.len().div_ceil(3) * 4 + r#""""#.len(),
        }
    }
}

impl Serialize for EnvelopeText<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_none(),
            Self::Utf8(text) => to.serialize_str(text),
            Self::Base64(bytes) => to.collect_str(&Base64Display::new(bytes, &BASE64)),
        }
    }
}

/// Bytes of a JSON string, quotes included.
fn string_bytes(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        _ if byte < 0x20 => r"\u0000".len(),
        _ => 1,
    });
    escaped.sum::<usize>() + r#""""#.len()
}

fn objects<S: Serializer>(headers: &[KeptHeader<'_>], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct HeaderObject<'a> {
        encoding: &'static str,
        name: EnvelopeText<'a>,
        name_encoding: &'static str,
        value: EnvelopeText<'a>,
    }
    to.collect_seq(headers.iter().map(|(name, value)| {
        let (name, value) = (EnvelopeText::of(Some(name)), EnvelopeText::of(*value));
        HeaderObject { encoding: value.encoding(), name, name_encoding: name.encoding(), value }
    }))
}
