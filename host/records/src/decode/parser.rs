//! Reads JSON in one pass, from text known to be UTF-8.
//!
//! Accepts what serde_json accepts, including invalid escapes and numbers out of range, unless their value is read.
//! Arrays and objects nest at most [`MAX_DEPTH`] deep.
#![allow(clippy::inline_always, reason = "as in `record`")]

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::fault::fault;
use super::member_order::{Member, Order, START};
use super::number::{Short, scan};
use super::reader::{Name, Place, Reader};
use super::scalar::text_of;
use crate::flow::rejection::{Fault, Reason};
use crate::schema::names::FindField;

/// Reads a text from its start to its end.
pub struct Parser<'r> {
    text: &'r str,
    at: usize,
    /// Arrays and objects that are open.
    depth: usize,
}

/// The fault of a text that is not JSON; whoever judges the record words it.
#[cold]
fn malformed() -> Box<Fault> {
    fault(Reason::MalformedJson, "one JSON object", "")
}

impl<'r> Parser<'r> {
    /// Starts before the first value of the text.
    pub fn new(text: &'r str) -> Self {
        let mut parser = Self { text, at: 0, depth: 0 };
        parser.skip_space();
        parser
    }

    /// Checks that only space follows the last value.
    pub fn end(&mut self) -> Result<(), Box<Fault>> {
        if self.is_at_end() { Ok(()) } else { Err(malformed()) }
    }

    /// Whether the rest is JSON. Call it before a value of the outermost object, or before that object itself.
    pub fn is_rest_json(&mut self) -> bool {
        self.skip_rest().is_some() && self.is_at_end()
    }

    fn skip_rest(&mut self) -> Option<()> {
        self.skip()?;
        while self.depth > 0 && self.goes_on(b'}')? {
            self.skip_name()?;
            self.skip()?;
        }
        Some(())
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// The byte at its position; 0, which no JSON holds, at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_space(&mut self) {
        // Most producers write none.
        if self.peek() <= b' ' {
            self.skip_spaces();
        }
    }

    #[cold]
    fn skip_spaces(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// Reads `byte`.
    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.peek() != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Enters an array or an object.
    fn open(&mut self) -> Option<()> {
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        if self.depth > MAX_DEPTH { None } else { Some(()) }
    }

    /// Leaves it.
    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Reads a comma and the space after it, or the end and returns `false`.
    #[inline]
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.skip_space();
        match self.peek() {
            b',' => {
                self.at += 1;
                self.skip_space();
                Some(true)
            }
            byte if byte == end => {
                self.close();
                Some(false)
            }
            _ => None,
        }
    }

    /// Reads the expected name, or one of the next few, since not all records have all members; returns its index.
    #[inline(always)]
    fn expected<'o>(&mut self, order: &'o Order, at: usize) -> Option<(usize, &'o Member)> {
        let member = order.get(at)?;
        if self.is_member(member) { Some((at, member)) } else { self.behind(order, member) }
    }

    #[inline(never)]
    fn behind<'o>(
        &mut self,
        order: &'o Order,
        mut member: &'o Member,
    ) -> Option<(usize, &'o Member)> {
        const MOST: usize = 4;
        for _ in 0..MOST {
            let at = member.next;
            let next = order.get(at)?;
            if self.is_member(next) {
                return Some((at, next));
            }
            member = next;
        }
        None
    }

    /// Reads the name of `member`, up to its value, if it is next.
    #[inline(always)]
    fn is_member(&mut self, member: &Member) -> bool {
        let Some(quoted) = member.quoted.as_ref().filter(|quoted| quoted.begins(self.rest()))
        else {
            return false;
        };
        self.at += quoted.len();
        self.skip_space();
        true
    }

    #[inline]
    fn rest(&self) -> &'r [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Reads a string; returns whether it has escapes.
    fn skip_string(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let end = plain_until(bytes, self.at + 1);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Some(false);
        }
        self.escapes(end).map(|()| true)
    }

    /// Reads the rest of a string that is plain up to `at`.
    #[inline(never)]
    fn escapes(&mut self, mut at: usize) -> Option<()> {
        let bytes = self.text.as_bytes();
        while bytes.get(at) == Some(&b'\\') {
            at += match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                Some(b'u') if is_hex(bytes.get(at + 2..at + 6)) => 6,
                _ => return None,
            };
            at = plain_until(bytes, at);
        }
        self.at = at + 1;
        (bytes.get(at) == Some(&b'"')).then_some(())
    }

    /// Reads a name and its colon, up to the value; returns its token, and its text if it is valid.
    fn name(&mut self) -> Option<(&'r str, Option<Cow<'r, str>>)> {
        if self.peek() != b'"' {
            return None;
        }
        let start = self.place();
        let has_escapes = self.skip_string()?;
        let token = self.since(start);
        self.colon()?;
        let plain = token.get(1..token.len() - 1).map(Cow::Borrowed);
        Some((token, if has_escapes { text_of(token) } else { plain }))
    }

    fn colon(&mut self) -> Option<()> {
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        (self.at, _) = scan(self.text.as_bytes(), self.at)?;
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        if !self.rest().starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    /// Reads a value without parts; `false` if an array or an object begins.
    fn is_single(&mut self) -> Option<bool> {
        match self.peek() {
            b'"' => self.skip_string().map(drop)?,
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            b'{' | b'[' => return Some(false),
            _ => return None,
        }
        Some(true)
    }

    /// Reads a value of any kind to its end, and checks only its syntax.
    pub fn skip(&mut self) -> Option<()> {
        if self.is_single()? { Some(()) } else { self.skip_parts() }
    }

    fn skip_parts(&mut self) -> Option<()> {
        // For each open level, outermost first: whether it is an object. At most 127.
        let (mut objects, mut levels) = (0_u128, 0_usize);
        loop {
            let mut is_whole = self.is_single()?;
            while !is_whole {
                let end = if self.peek() == b'{' { b'}' } else { b']' };
                self.open()?;
                if self.peek() == end {
                    self.close();
                    is_whole = true;
                } else {
                    objects = objects << 1 | u128::from(end == b'}');
                    levels += 1;
                    if end == b'}' {
                        self.skip_name()?;
                    }
                    is_whole = self.is_single()?;
                }
            }
            loop {
                if levels == 0 {
                    return Some(());
                }
                let is_object = objects & 1 == 1;
                if self.goes_on(if is_object { b'}' } else { b']' })? {
                    if is_object {
                        self.skip_name()?;
                    }
                    break;
                }
                objects >>= 1;
                levels -= 1;
            }
        }
    }

    fn skip_name(&mut self) -> Option<()> {
        if self.peek() != b'"' {
            return None;
        }
        self.skip_string()?;
        self.colon()
    }
}

impl<'r> Reader<'r> for Parser<'r> {
    fn of(token: &'r str) -> Self {
        Self { text: token, at: 0, depth: 0 }
    }

    fn first(&self) -> Option<u8> {
        Some(self.peek())
    }

    fn token(&mut self) -> Result<&'r str, Box<Fault>> {
        let start = self.place();
        self.skip().ok_or_else(malformed)?;
        Ok(self.since(start))
    }

    #[inline(always)]
    fn string(&mut self) -> Option<(&'r str, bool)> {
        let start = self.at + 1;
        if self.peek() != b'"' {
            return None;
        }
        let has_escapes = self.skip_string()?;
        Some((self.text.get(start..self.at - 1)?, !has_escapes))
    }

    #[inline(always)]
    fn short(&mut self) -> Option<Short> {
        let (end, short) = scan(self.text.as_bytes(), self.at)?;
        self.at = end;
        short
    }

    fn each_element(
        &mut self,
        mut put: impl FnMut(usize, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        self.open().ok_or_else(malformed)?;
        if self.peek() == b']' {
            self.close();
            return Ok(());
        }
        let mut index = 0;
        loop {
            put(index, self)?;
            if !self.goes_on(b']').ok_or_else(malformed)? {
                return Ok(());
            }
            index += 1;
        }
    }

    fn each_member(
        &mut self,
        mut put: impl FnMut(&str, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        self.open().ok_or_else(malformed)?;
        if self.peek() == b'}' {
            self.close();
            return Ok(());
        }
        loop {
            let (_, name) = self.name().ok_or_else(malformed)?;
            put(&name.ok_or_else(malformed)?, self)?;
            if !self.goes_on(b'}').ok_or_else(malformed)? {
                return Ok(());
            }
        }
    }

    #[inline(always)]
    fn each_field<F: FindField + ?Sized>(
        &mut self,
        fields: &F,
        order: &mut Order,
        mut put: impl FnMut(Name<'_>, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        self.open().ok_or_else(malformed)?;
        if self.peek() == b'}' {
            self.close();
            return Ok(());
        }
        order.begin();
        let mut last = START;
        let mut next = order.get(last).map_or(START, |start| start.next);
        loop {
            let met;
            let name = if let Some((at, member)) = self.expected(order, next) {
                (last, next) = (at, member.next);
                member.name()
            } else {
                met = self.name().ok_or_else(malformed)?;
                if let (_, Some(text)) = &met {
                    let (at, name) = order.learn(fields, last, text);
                    last = at;
                    next = order.get(at).map_or(START, |member| member.next);
                    name
                } else {
                    Name::Broken(met.0)
                }
            };
            put(name, self)?;
            if !self.goes_on(b'}').ok_or_else(malformed)? {
                return Ok(());
            }
        }
    }

    #[inline]
    fn since(&self, place: Place) -> &'r str {
        self.text.get(place.at..self.at).unwrap_or_default()
    }

    #[inline]
    fn place(&self) -> Place {
        Place { at: self.at, depth: self.depth }
    }

    fn go_back(&mut self, place: Place) {
        (self.at, self.depth) = (place.at, place.depth);
    }
}

fn is_hex(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// The index of the first byte, from `at` on, that is special within a string: its end, an escape, or a byte that must
/// be escaped. Eight bytes are tested together: only the lowest mark is reliable, and only it is used.
#[inline]
pub fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, byte: u8| word.wrapping_sub(ONES * u64::from(byte)) & !word;
    let (words, rest) = bytes.get(at..).unwrap_or_default().as_chunks();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
        let escapes = below(word ^ (ONES * u64::from(b'\\')), 1);
        let marked = (quotes | escapes | below(word, 0x20)) & HIGH;
        if marked != 0 {
            return at + (marked.trailing_zeros() / 8) as usize;
        }
        at += word.to_le_bytes().len();
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().take_while(is_plain).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// Whether a text is JSON; both readers must agree.
    fn is_json(text: &str) -> bool {
        let is_taken = Parser::new(text).is_rest_json();
        assert_eq!(is_taken, serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text:?}");
        is_taken
    }

    #[test]
    fn json_is_taken_and_nothing_else() {
        for text in [
            "0",
            "-0",
            "10",
            "1.50",
            "1e5",
            "1E+05",
            "-1.0e-0",
            "1e999",
            "true",
            "false",
            "null",
            r#""""#,
            r#""\"\\\/\b\f\n\r\t\u00e9\ud800""#,
            "\"é\u{7f}\u{10ffff}\"",
            "[]",
            "{}",
            " [ ] ",
            "\t{\r}\n",
            "[[],[{}],{}]",
            r#"{"a":{"b":[1,{"c":[]}]},"a":2}"#,
            r#"{ "a" : 1 , "b" : [ 2 , 3 ] }"#,
            r#"{"\ud800":1}"#,
        ] {
            assert!(is_json(text), "{text}");
        }
        for text in [
            "",
            " ",
            "00",
            "01",
            "-",
            "-a",
            "+1",
            ".5",
            "1.",
            "1.e5",
            "1e",
            "1e+",
            "0x1",
            "1 2",
            "tru",
            "truee",
            "True",
            "nul",
            "NaN",
            "Infinity",
            "\"",
            "\"a",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\u12""#,
            "\"\n\"",
            "\"\0\"",
            "'a'",
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1}",
            "{",
            "}",
            "{]",
            "{a:1}",
            "{1:2}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1"#,
            r#"{"a":1]"#,
            r#"{"a" 1}"#,
            r#"{,"a":1}"#,
            "{} {}",
            "[] x",
            "\u{feff}[]",
            "\0",
            "\u{a0}1",
            "\x0c1",
            "[1]\x0b",
        ] {
            assert!(!is_json(text), "{text}");
        }
    }

    #[test]
    fn levels_are_counted_and_closed_ones_do_not_count() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Parser::new(&nested(MAX_DEPTH)).is_rest_json());
        assert!(!Parser::new(&nested(MAX_DEPTH + 1)).is_rest_json());
        let beside = format!("[{}]", vec![nested(MAX_DEPTH - 1); 3].join(","));
        assert!(Parser::new(&beside).is_rest_json());
        let objects = format!("{}1{}", "{\"a\":".repeat(MAX_DEPTH), "}".repeat(MAX_DEPTH));
        assert!(Parser::new(&objects).is_rest_json());
    }

    proptest! {
        #[test]
        fn texts_of_the_signs_of_json_are_judged_as_by_serde(
            signs in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\\\"", "\\u00e9", "\"a\"", "\"a\":", " ", "\n",
                "0", "1", "-", "+", ".", "e", "E", "12", "1.5", "true", "null", "é", "\u{1}",
            ]), 0..12),
        ) {
            is_json(&signs.concat());
        }

        #[test]
        fn a_string_ends_where_it_does_byte_by_byte(text in "[a-zé\"\\\\\u{1f}\u{20}\u{7f}\u{80}]{0,40}") {
            let bytes = text.as_bytes();
            for start in 0..=bytes.len() {
                let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
                let end = bytes[start..].iter().position(is_special).map_or(bytes.len(), |n| start + n);
                prop_assert_eq!(plain_until(bytes, start), end);
            }
        }
    }
}
