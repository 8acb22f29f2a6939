//! The verdict on a record that failed. Invalid JSON is malformed whatever else is wrong with it, so the verdict does
//! not depend on the order of fields.

use serde::de::IgnoredAny;

use super::fault::fault;
use super::parser::Parser;
use super::{MAX_DEPTH, utf8};
use crate::flow::parts::{IN_ARRAY, IN_LINES, elements_begun};
use crate::flow::rejection::{Fault, Reason};

/// The text of a payload, which is checked before its JSON.
pub fn sound_text(payload: &[u8]) -> Result<&str, Box<Fault>> {
    let text = utf8(payload)?;
    too_deep(text).map_or(Ok(text), Err)
}

/// The fault of a payload that is not UTF-8.
#[cold]
pub fn no_utf8(payload: &[u8]) -> Box<Fault> {
    if let Some((frame, found)) = frame(payload) {
        return fault(Reason::InvalidUtf8, format!("UTF-8 without a frame{frame}"), found);
    }
    if payload.starts_with(b"\xfe\xff") || payload.starts_with(b"\xff\xfe") {
        return fault(Reason::InvalidUtf8, "UTF-8, not UTF-16", "a byte order mark of UTF-16");
    }
    // The quick check returns no position.
    let offset = std::str::from_utf8(payload).err().map_or(0, |error| error.valid_up_to());
    fault(Reason::InvalidUtf8, "UTF-8", &format!("an invalid byte at offset {offset}"))
}

/// A hint on a payload written by a serializer of a schema registry, and its first bytes. Confluent: byte 0, the
/// schema's id in four bytes, and a value. AWS Glue: byte 3, the compression, the 16 bytes of a UUID, and a value.
fn frame(payload: &[u8]) -> Option<(&'static str, &'static str)> {
    match payload {
        [0, _, _, _, _, ..] => Some((
            ": this is the wire format of a schema registry, not JSON",
            "byte 0 and a schema id before the value",
        )),
        [3, 0 | 5, rest @ ..] if rest.len() >= 16 => Some((
            ": this is the wire format of a schema registry, not JSON (AWS Glue)",
            "byte 3 and a schema version id before the value",
        )),
        _ => None,
    }
}

/// The fault of a text that is not JSON.
#[cold]
pub fn not_json(text: &str) -> Option<Box<Fault>> {
    let refuse = |expected: &str, found: &str| Some(fault(Reason::MalformedJson, expected, found));
    if text.trim_ascii().is_empty() {
        return refuse("one JSON object", "an empty payload (only null is a tombstone)");
    }
    if let Some((frame, found)) = frame(text.as_bytes()) {
        return refuse(&format!("one JSON object without a frame{frame}"), found);
    }
    let mut texts = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    if let Some(Err(error)) = texts.next() {
        let hint = if is_bare_float(text, place(text, &error)) { NO_NAN } else { "" };
        return refuse(&format!("one JSON object{hint}"), &error.to_string());
    }
    let rest = text.get(texts.byte_offset()..).unwrap_or_default();
    let rest = rest.trim_start_matches([' ', '\n', '\t', '\r']);
    if rest.is_empty() {
        return None;
    }
    if rest.starts_with(['{', '[']) {
        let first = text.get(..text.len() - rest.len()).unwrap_or_default().trim_ascii_start();
        let is_line = first.find('\n').is_some_and(|end| end >= first.trim_ascii_end().len());
        let hint = if is_line { IN_LINES } else { "" };
        return refuse(&format!("one JSON object{hint}"), "more than one JSON text");
    }
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    refuse("one JSON object", &error.to_string())
}

/// The hint for `NaN` without quotes.
const NO_NAN: &str =
    "; JSON has no NaN and no Infinity: send null, or the word in quotes with COERCION=lenient";

/// The byte of a text at which an error is, or one beside it.
fn place(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let before: usize = lines.map(str::len).sum();
    before + error.column().saturating_sub(1)
}

/// Whether an unquoted NaN or infinity is at this position.
fn is_bare_float(text: &str, at: usize) -> bool {
    let words: [&[u8]; 4] = [b"NaN", b"Infinity", b"-NaN", b"-Infinity"];
    let begins = |from: usize| {
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        words.iter().any(|word| rest.starts_with(word))
    };
    (at.saturating_sub(1)..=at + 1).any(begins)
}

/// The fault of a malformed text that begins like an array of records, with the index of the element.
#[cold]
pub fn of_array(text: &str) -> Option<Box<Fault>> {
    let mut fault = of_text(text)?;
    let mut texts = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let Some(Err(error)) = texts.next() else { return Some(fault) };
    if fault.reason != Reason::MalformedJson {
        return Some(fault);
    }
    let expected = fault.expected.replacen("one JSON object", "an array of JSON objects", 1);
    fault.expected = expected;
    let begun = |end: usize| elements_begun(text.as_bytes().get(..end).unwrap_or_default());
    let at = place(text, &error);
    let before = text.get(..at).unwrap_or_default().trim_end();
    let is_closed = text.as_bytes().get(at) == Some(&b']');
    let comma = before.len().saturating_sub(1);
    if is_closed && before.ends_with(',') && begun(comma) < begun(at) {
        let (line, column) = (error.line(), error.column());
        fault.got = format!("a comma before the closing bracket at line {line} column {column}");
    } else if let Some(index) = begun(at).checked_sub(1) {
        fault.pointer = format!("/{index}");
    }
    Some(fault)
}

/// The fault of a text that is JSON and no object.
#[cold]
pub fn no_object(token: &str) -> Box<Fault> {
    // The start of an array is enough: all of it was read before.
    let first = token.strip_prefix('[').map(str::trim_ascii_start).unwrap_or_default();
    let hint = if first.starts_with('{') { IN_ARRAY } else { "" };
    fault(Reason::TypeMismatch, format!("a JSON object{hint}"), token)
}

/// The fault of a text that nests too deep or is not JSON.
#[cold]
pub fn of_text(text: &str) -> Option<Box<Fault>> {
    too_deep(text).or_else(|| not_json(text))
}

/// Re-judges a record after `parser` found a fault and stands before its value. Returns the syntax or depth fault that
/// takes precedence, if any.
#[cold]
pub fn of_whole(text: &str, found: &Fault, parser: &mut Parser<'_>) -> Option<Box<Fault>> {
    let is_json = found.reason != Reason::MalformedJson && parser.is_rest_json();
    if is_json { None } else { of_text(text) }
}

/// The fault of arrays and objects nested too deep. Brackets are counted first: few records hold enough of them to need
/// a second look.
fn too_deep(text: &str) -> Option<Box<Fault>> {
    if !is_too_deep(text.as_bytes()) {
        return None;
    }
    let expected = format!("at most {MAX_DEPTH} levels of arrays and objects");
    Some(fault(Reason::TooDeep, expected, "more"))
}

/// Whether the nesting is too deep; this fault is reported first.
pub fn is_too_deep(payload: &[u8]) -> bool {
    // On few bytes, so that the sum fits a byte and many are compared at once.
    let opening = |bytes: &[u8]| -> u8 {
        bytes.iter().map(|byte| u8::from(matches!(byte, b'[' | b'{'))).sum()
    };
    if payload.chunks(128).map(|bytes| usize::from(opening(bytes))).sum::<usize>() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for byte in payload {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'[' | b'{' if !is_quoted => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_without_quotes_is_told_of() {
        for value in ["NaN", "-NaN", "Infinity", "-Infinity"] {
            for record in [format!("{{\"a\":{value}}}"), format!("{{\n\"a\": [1,\n {value}]}}")] {
                let fault = not_json(&record).unwrap();
                assert!(fault.expected.contains("JSON has no NaN"), "{record}: {fault}");
            }
        }
        for record in ["{\"a\":N}", "{\"NaN\":x}", "{\"a\":\"NaN\"", "{\"a\":nan}"] {
            let fault = not_json(record).unwrap();
            assert!(!fault.expected.contains("NaN"), "{record}: {fault}");
        }
    }
}
