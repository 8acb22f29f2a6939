//! The verdict on a record that was not read: what is no JSON is malformed whatever else is wrong with
//! it, so the verdict does not hang on the order of fields.

use serde::de::IgnoredAny;

use super::fault::fault;
use super::parser::Parser;
use super::{MAX_DEPTH, utf8};
use crate::rejection::{Fault, Reason};

/// The text of a payload, which is judged before its JSON.
pub fn sound_text(payload: &[u8]) -> Result<&str, Box<Fault>> {
    let text = utf8(payload)?;
    too_deep(text).map_or(Ok(text), Err)
}

/// The fault of a text that is no JSON.
#[cold]
pub fn not_json(text: &str) -> Option<Box<Fault>> {
    let refuse = |found: &str| Some(fault(Reason::MalformedJson, "one JSON object", found));
    if text.trim_ascii().is_empty() {
        return refuse("an empty payload");
    }
    serde_json::from_str::<IgnoredAny>(text).err().and_then(|error| refuse(&error.to_string()))
}

/// The fault of a record whose parser found this one and stands before its value, where no text but the
/// whole record's tells.
#[cold]
pub fn of_whole(text: &str, found: &Fault, parser: &mut Parser<'_>) -> Option<Box<Fault>> {
    let is_json = found.reason != Reason::MalformedJson && parser.is_rest_json();
    if is_json { None } else { too_deep(text).or_else(|| not_json(text)) }
}

/// The fault of arrays and objects that nest deeper than they may. Brackets are counted first: few
/// records hold enough of them to be looked at twice.
fn too_deep(text: &str) -> Option<Box<Fault>> {
    if !is_too_deep(text.as_bytes()) {
        return None;
    }
    let expected = format!("at most {MAX_DEPTH} levels of arrays and objects");
    Some(fault(Reason::TooDeep, expected, "more"))
}

/// Whether they do. Whatever else is wrong with it, this is told first.
pub fn is_too_deep(payload: &[u8]) -> bool {
    // Of so few bytes that their sum is one, so that many are looked at together.
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
