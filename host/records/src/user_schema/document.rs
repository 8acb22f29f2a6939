//! A payload as the validator reads it: a tree that borrows from the payload and keeps the text of
//! numbers. A `serde_json::Value` would copy every name and string.
//!
//! Of duplicate names in an object the last counts, as in most readers. An invalid escape, such as a
//! lone `\ud800`, counts as one character.

use std::borrow::Cow;

use crate::flow::parts::without_mark;

/// Deepest nesting of arrays and objects, the same as in decode.
const MAX_DEPTH: usize = 127;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Document<'a> {
    /// `null`
    Null,
    /// `true` and `false`
    Bool(bool),
    /// A number, as its text.
    Number(&'a str),
    /// A string with its escapes resolved.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Document<'a>>),
    /// An object, with its members sorted by name.
    Object(Vec<(Cow<'a, str>, Document<'a>)>),
}

impl<'a> Document<'a> {
    /// Reads a payload; `None` if it is not a single JSON value.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let mut reader = DocumentReader { rest: std::str::from_utf8(without_mark(payload)).ok()? };
        let document = reader.value(0)?;
        reader.next_byte().is_none().then_some(document)
    }
}

/// The rest of the payload.
struct DocumentReader<'a> {
    rest: &'a str,
}

impl<'a> DocumentReader<'a> {
    /// The next byte that is not blank, without consuming it.
    fn next_byte(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.bytes().next()
    }

    fn skip(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// Consumes this many bytes.
    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn value(&mut self, depth: usize) -> Option<Document<'a>> {
        match self.next_byte()? {
            b'n' => self.skip("null").map(|()| Document::Null),
            b't' => self.skip("true").map(|()| Document::Bool(true)),
            b'f' => self.skip("false").map(|()| Document::Bool(false)),
            b'"' => self.text().map(Document::Text),
            b'[' if depth < MAX_DEPTH => self.array(depth + 1),
            b'{' if depth < MAX_DEPTH => self.object(depth + 1),
            b'-' | b'0'..=b'9' => self.number().map(Document::Number),
            _ => None,
        }
    }

    fn array(&mut self, depth: usize) -> Option<Document<'a>> {
        self.skip("[")?;
        let mut elements = Vec::new();
        if self.next_byte()? != b']' {
            loop {
                elements.push(self.value(depth)?);
                match self.next_byte()? {
                    b',' => self.skip(",")?,
                    _ => break,
                }
            }
        }
        self.skip("]").map(|()| Document::Array(elements))
    }

    fn object(&mut self, depth: usize) -> Option<Document<'a>> {
        self.skip("{")?;
        let mut members = Vec::new();
        if self.next_byte()? != b'}' {
            loop {
                self.next_byte()?;
                let name = self.text()?;
                self.next_byte()?;
                self.skip(":")?;
                members.push((name, self.value(depth)?));
                match self.next_byte()? {
                    b',' => self.skip(",")?,
                    _ => break,
                }
            }
        }
        self.skip("}")?;
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        // Equal names are in the order of the payload, so the later replaces the earlier.
        members.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        Some(Document::Object(members))
    }

    fn number(&mut self) -> Option<&'a str> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = self.take(self.rest.bytes().take_while(|byte| is_part(byte)).count())?;
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_number = (whole == "0" || !whole.starts_with('0'))
            && [Some(whole), fraction, exponent].into_iter().flatten().all(is_digits);
        is_number.then_some(text)
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        self.skip("\"")?;
        let is_end = |byte: u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let plain = self.take(self.rest.bytes().position(is_end)?)?;
        if self.skip("\"").is_some() {
            return Some(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            text.push_str(self.take(self.rest.bytes().position(is_end)?)?);
            match *self.take(1)?.as_bytes() {
                [b'"'] => return Some(Cow::Owned(text)),
                [b'\\'] => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    /// The character of an escape, after its backslash.
    fn escape(&mut self) -> Option<char> {
        Some(match *self.take(1)?.as_bytes() {
            [b'n'] => '\n',
            [b't'] => '\t',
            [b'r'] => '\r',
            [b'b'] => '\u{8}',
            [b'f'] => '\u{c}',
            [same @ (b'"' | b'\\' | b'/')] => char::from(same),
            [b'u'] => self.unit_pair()?,
            _ => return None,
        })
    }

    /// One or two code units of UTF-16, after `\u`.
    fn unit_pair(&mut self) -> Option<char> {
        let high = self.unit()?;
        if let Some(after) = self.rest.strip_prefix("\\u").filter(|_| high & 0xfc00 == 0xd800) {
            let mut second = Self { rest: after };
            let low = second.unit()?;
            if low & 0xfc00 == 0xdc00 {
                self.rest = second.rest;
                let code = 0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
                return char::from_u32(code);
            }
        }
        Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.take(4)?;
        let is_unit = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_unit.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(text: &str) -> Option<Document<'_>> {
        Document::read(text.as_bytes())
    }

    #[test]
    fn of_a_name_that_stands_twice_the_last_counts() {
        let read = read(r#"{"b":1,"a":1,"\u0061":2,"b":3,"a":[4]}"#).unwrap();
        let four = Document::Array(vec![Document::Number("4")]);
        let expected = vec![("a".into(), four), ("b".into(), Document::Number("3"))];
        assert_eq!(read, Document::Object(expected));
    }

    #[test]
    fn an_escape_that_is_no_character_counts_as_one() {
        for (text, expected) in [
            (r#""\ud83e\udd80""#, "🦀"),
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\udc00\ud800""#, "\u{fffd}\u{fffd}"),
            (r#""\ud800\u0041""#, "\u{fffd}A"),
            (r#""\"\\\/\b\f\n\r\té""#, "\"\\/\u{8}\u{c}\n\r\té"),
        ] {
            assert_eq!(read(text), Some(Document::Text(expected.into())), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(127)).is_some() && read(&nested(128)).is_none());
        assert!(read(&"[".repeat(1_000_000)).is_none());
    }

    /// Texts that are JSON, or almost.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("{\"a\":"),
            Just("\"b\":"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(","),
            Just(" "),
            Just("null"),
            Just("true"),
            Just("\""),
            Just("\\u00e9"),
            Just("\\"),
            Just("x"),
            Just("\u{1}"),
            Just("-"),
            Just("0"),
            Just("1"),
            Just("."),
            Just("e+5"),
            Just("é"),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_text_is_read_just_where_it_is_json(text in text()) {
            prop_assert_eq!(read(&text).is_some(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
