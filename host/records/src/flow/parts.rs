//! The parts of a payload that are records of their own (RECORD_SPLIT), found from bytes without a JSON reader: how
//! many there may be, and which of them begins at a byte.

use crate::flow::rejection::{Fault, Reason};

/// How a payload holds what becomes rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Split {
    /// It is one JSON text.
    #[default]
    None,
    /// Each non-blank line is one.
    Lines,
    /// Each element of an array is one. Any other JSON text is one, too.
    Array,
}

/// Hint for a payload with a record in each line that is not split into lines.
pub const IN_LINES: &str = ", or one in each line with RECORD_SPLIT=lines";
/// Hint for an array of records that is not split into elements.
pub const IN_ARRAY: &str = ", or an array of them with RECORD_SPLIT=array";

/// The mark that a UTF-8 text may begin with, which is no part of it.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes the byte order mark, if the payload begins with one.
#[inline]
pub fn without_mark(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(BYTE_ORDER_MARK).unwrap_or(payload)
}

/// The non-blank lines, each without its end.
pub fn lines(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = without_mark(payload).split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| line.iter().any(|byte| !matches!(byte, b' ' | b'\t' | b'\r')))
}

impl Split {
    /// Upper bound on the number of parts; no fewer than are found before a syntax fault.
    pub fn parts_at_most(self, payload: &[u8]) -> usize {
        match self {
            Self::None => 1,
            Self::Lines => lines(payload).count(),
            Self::Array => elements_begun(without_mark(payload)).max(1),
        }
    }

    /// Prefixes a fault's pointer with the position of its part: `/3`, or `line 4`. The part begins at byte `at` of the
    /// payload.
    pub fn tell(self, payload: &[u8], at: usize, fault: &mut Fault) {
        let before = payload.get(..at).unwrap_or_default();
        match self {
            Self::None => {}
            Self::Lines => {
                let line = before.split(|byte| *byte == b'\n').count();
                let comma = if fault.pointer.is_empty() { "" } else { ", " };
                fault.pointer.insert_str(0, &format!("line {line}{comma}"));
                of_message(fault, line);
                of_whole(fault, payload);
            }
            Self::Array => {
                // An element is not split further. A lone object is no element.
                if begins_array(payload) {
                    fault.expected = fault.expected.replace(IN_ARRAY, "").replace(IN_LINES, "");
                }
                if let Some(index) = elements_begun(without_mark(before)).checked_sub(1) {
                    fault.pointer.insert_str(0, &format!("/{index}"));
                }
            }
        }
    }
}

/// Replaces the line number of a part, always 1, with the message's.
fn of_message(fault: &mut Fault, line: usize) {
    let is_column = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    if fault.reason == Reason::MalformedJson
        && let Some((what, column)) = fault.got.rsplit_once(" at line 1 column ")
        && is_column(column)
    {
        fault.got = format!("{what} at line {line} column {column}");
    }
}

/// Adds a hint to a malformed line if the payload as a whole is JSON.
fn of_whole(fault: &mut Fault, payload: &[u8]) {
    if lines(payload).nth(1).is_none() {
        return;
    }
    // For one line among several.
    fault.expected = fault.expected.replace(IN_ARRAY, "");
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(without_mark(payload)).is_ok();
    if fault.reason != Reason::MalformedJson || !is_json() {
        return;
    }
    fault.expected.push_str(match begins_array(payload) {
        true => "; the payload as a whole is one array: RECORD_SPLIT=array",
        false => "; the payload as a whole is one record: RECORD_SPLIT=none",
    });
}

fn begins_array(payload: &[u8]) -> bool {
    without_mark(payload).trim_ascii_start().first() == Some(&b'[')
}

/// Upper bound on the elements begun in an array at the start of a text: one after its bracket, and one after each
/// comma outside inner arrays and objects; 0 if no array begins the text.
pub fn elements_begun(text: &[u8]) -> usize {
    if !begins_array(text) {
        return 0;
    }
    let (mut begun, mut depth) = (1, 0_usize);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => begun += 1,
            _ => {}
        }
    }
    begun
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(split: Split, payload: &str, part: &str, pointer: &str) -> String {
        let mut fault = Fault {
            reason: Reason::OutOfRange,
            column: Some("a".into()),
            pointer: pointer.into(),
            expected: "b".into(),
            got_kind: "c",
            got: String::new(),
        };
        split.tell(payload.as_bytes(), payload.find(part).unwrap(), &mut fault);
        fault.to_string()
    }

    #[test]
    fn a_part_is_told_by_its_line_or_its_index() {
        let lines = "{\"a\":1}\r\n\n \n{\"b\":2}\n3";
        assert_eq!(
            told(Split::Lines, lines, "{\"a", "/a"),
            "column `a` at line 1, /a: expected b, got c"
        );
        assert_eq!(
            told(Split::Lines, lines, "{\"b", ""),
            "column `a` at line 4: expected b, got c"
        );
        let array = r#"[ {"x":[1,2],"y":"],\","} , [ ",", {} ],  5]"#;
        for (part, expected) in [("{\"x", "/0/a"), ("[ \"", "/1/a"), ("5", "/2/a")] {
            let told = told(Split::Array, array, part, "/a");
            assert_eq!(told, format!("column `a` at {expected}: expected b, got c"), "{part}");
        }
        let alone = told(Split::Array, r#"{"x":[1,5]}"#, "{", "/a");
        assert_eq!(alone, "column `a`: expected b, got c", "an object that is no element");
    }

    #[test]
    fn a_payload_that_is_one_record_or_array_is_told_as_such_and_no_setting_that_is_set_already() {
        let told = |split: Split, payload: &str, at| {
            let mut fault = Fault {
                reason: Reason::MalformedJson,
                column: None,
                pointer: String::new(),
                expected: format!("x{IN_ARRAY}"),
                got_kind: "",
                got: "y".into(),
            };
            split.tell(payload.as_bytes(), at, &mut fault);
            fault.expected
        };
        let whole = "x; the payload as a whole is one ";
        let object = "{\n\"a\":1\n}";
        assert_eq!(told(Split::Lines, object, 0), format!("{whole}record: RECORD_SPLIT=none"));
        let array = "\u{feff}[\n{\"a\":1}\n]";
        assert_eq!(told(Split::Lines, array, 3), format!("{whole}array: RECORD_SPLIT=array"));
        assert_eq!(told(Split::Lines, "[{}]\n[{}]", 0), "x");
        assert_eq!(told(Split::Lines, "[{}]\n", 0), format!("x{IN_ARRAY}"), "one line");
        assert_eq!(told(Split::Array, "[[{}]]", 1), "x");
        assert_eq!(told(Split::None, "[{}]", 0), format!("x{IN_ARRAY}"));
    }

    #[test]
    fn a_fault_of_syntax_has_the_line_of_its_message() {
        let told = |reason, got: &str| {
            let mut fault = Fault {
                reason,
                column: None,
                pointer: String::new(),
                expected: "one JSON object".into(),
                got_kind: "",
                got: got.into(),
            };
            Split::Lines.tell(b"{}\n\n{\"a\"}", 4, &mut fault);
            fault.got
        };
        let got = "expected `:` at line 1 column 5";
        assert_eq!(told(Reason::MalformedJson, got), "expected `:` at line 3 column 5");
        assert_eq!(told(Reason::UnknownLabel, got), got, "a value of the record");
        let token = "\"\\ud800 at line 1 column x\"";
        assert_eq!(told(Reason::MalformedJson, token), token);
    }

    #[test]
    fn no_payload_has_more_parts_than_are_counted() {
        for (split, payload, parts) in [
            (Split::None, "[1,2]\n3", 1),
            (Split::Lines, "", 0),
            (Split::Lines, " \r\n\n\t", 0),
            (Split::Lines, "\u{feff}{}\r\n\n {} \n1", 3),
            (Split::Array, "", 1),
            (Split::Array, "{}", 1),
            (Split::Array, "\u{feff} [1,[2,3],{\"a\":4,\"b\":\",\"}]", 3),
            (Split::Array, "[1,2", 2),
        ] {
            assert_eq!(split.parts_at_most(payload.as_bytes()), parts, "{payload:?}");
        }
    }
}
