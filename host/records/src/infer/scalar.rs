//! Statistics of numbers and strings: the types whose decoder accepts every one of them.

use std::sync::LazyLock;

use crate::decode::{takes, takes_leniently};
use crate::schema::plan::ValueRules;
use crate::schema::types::{Type, parse};

/// Integer types, in order of preference. A narrower type would save little after compression, and a
/// sample cannot bound the numbers to come.
pub const INTEGERS: [&str; 6] = ["Int64", "UInt64", "Int128", "UInt128", "Int256", "UInt256"];
const UNSIGNED: u8 = 0b10_1010;

/// Types of strings with a format, in order of preference.
pub const FORMS: [&str; 7] = [
    "UUID",
    "IPv4",
    "IPv6",
    "Date32",
    "DateTime64(3, 'UTC')",
    "DateTime64(6, 'UTC')",
    "DateTime64(9, 'UTC')",
];
/// Time types, for which COERCION=lenient accepts more formats.
pub const TIME_FORMS: [&str; 3] =
    ["DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')", "DateTime64(9, 'UTC')"];
const UUID: usize = 0;
/// The first format with a time of day.
const TIMES: usize = 4;
/// `"YYYY-MM-DD"`, with quotes: a longer string may hold a time.
const DATE_TOKEN: usize = 12;
/// A UUID with hyphens, with quotes. 32 digits without hyphens may be anything.
const UUID_TOKEN: usize = 38;

static INTEGER_TYPES: LazyLock<Vec<Type>> = LazyLock::new(|| types(&INTEGERS));
static FORM_TYPES: LazyLock<Vec<Type>> = LazyLock::new(|| types(&FORMS));
static TIME_TYPES: LazyLock<Vec<Type>> = LazyLock::new(|| types(&TIME_FORMS));
static FLOAT: LazyLock<Vec<Type>> = LazyLock::new(|| types(&["Float64"]));

fn types(texts: &[&str]) -> Vec<Type> {
    texts.iter().filter_map(|text| parse(text).ok()).collect()
}

/// Which types of a list have accepted every value so far, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takers(u8);

impl Default for Takers {
    fn default() -> Self {
        Self(u8::MAX)
    }
}

impl Takers {
    /// Removes the types that do not accept this value.
    fn narrow(&mut self, types: &[Type], mut is_asked: impl FnMut(usize) -> bool, token: &str) {
        self.leave(types, |at, ty| is_asked(at) && takes(ty, ValueRules::default(), token));
    }

    /// Keeps only the types for which `is_left` holds.
    fn leave(&mut self, types: &[Type], mut is_left: impl FnMut(usize, &Type) -> bool) {
        for (at, ty) in types.iter().enumerate() {
            let bit = 1 << at;
            if self.0 & bit != 0 && !is_left(at, ty) {
                self.0 &= !bit;
            }
        }
    }

    /// The types in both.
    pub fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The first type of the list that remains.
    pub fn first<'a>(self, list: &[&'a str]) -> Option<&'a str> {
        let mut left = list.iter().enumerate().filter(|(at, _)| self.0 & (1 << at) != 0);
        left.next().map(|(_, text)| *text)
    }
}

/// A number as a float, and as written.
pub type Written = (f64, Box<str>);

/// Statistics of numbers.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// How many.
    pub count: u64,
    /// The types of [`INTEGERS`] that accept all of them.
    pub integers: Takers,
    /// How many have a point or an exponent, even as `1.0`.
    pub fractions: u64,
    /// How many exceed Float64.
    pub beyond_float: u64,
    /// The lowest and the highest.
    pub range: Option<(Written, Written)>,
}

/// Most bytes kept of a number in its range.
const NUMBER_BYTES: usize = 40;

impl Numbers {
    /// Adds a number.
    pub fn add(&mut self, token: &str) {
        self.count += 1;
        self.fractions += u64::from(token.contains(['.', 'e', 'E']));
        narrow_integers(&mut self.integers, token);
        let is_float = FLOAT.iter().all(|ty| takes(ty, ValueRules::default(), token));
        self.beyond_float += u64::from(!is_float);
        let value: f64 = token.parse().unwrap_or(f64::NAN);
        let written = || match token.get(..NUMBER_BYTES) {
            Some(start) if start.len() < token.len() => format!("{start}...").into(),
            _ => Box::from(token),
        };
        match &mut self.range {
            None => self.range = Some(((value, written()), (value, written()))),
            Some((low, _)) if value < low.0 => *low = (value, written()),
            Some((_, high)) if value > high.0 => *high = (value, written()),
            Some(_) => {}
        }
    }

    /// Merges other statistics.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.integers = self.integers.both(other.integers);
        self.fractions += other.fractions;
        self.beyond_float += other.beyond_float;
        self.range = match (self.range.take(), other.range.clone()) {
            (Some((low, high)), Some((other_low, other_high))) => Some((
                if other_low.0 < low.0 { other_low } else { low },
                if other_high.0 > high.0 { other_high } else { high },
            )),
            (range, other) => range.or(other),
        };
    }
}

/// Statistics of strings.
#[derive(Debug, Clone, Default)]
pub struct Strings {
    /// How many.
    pub count: u64,
    /// The types of [`INTEGERS`] that accept all of them.
    pub integers: Takers,
    /// The types of [`FORMS`] that accept all of them.
    pub forms: Takers,
    /// The types of [`TIME_FORMS`] that accept all of them with COERCION=lenient.
    pub times: Takers,
    /// How many have no UTC offset, if they are times.
    pub without_offset: u64,
    /// The lengths of the shortest and the longest, in characters.
    pub lengths: Option<(usize, usize)>,
}

impl Strings {
    /// Adds a string; `text` is the content of its token.
    pub fn add(&mut self, token: &str, text: &str) {
        self.count += 1;
        narrow_integers(&mut self.integers, token);
        let is_asked = |at| match at {
            UUID => token.len() == UUID_TOKEN,
            TIMES.. => token.len() > DATE_TOKEN,
            _ => true,
        };
        self.forms.narrow(&FORM_TYPES, is_asked, token);
        // Digits alone may be anything.
        let is_time = token.len() > DATE_TOKEN && text.contains(':');
        self.times.leave(&TIME_TYPES, |_, ty| is_time && takes_leniently(ty, token));
        let has_offset = text.get(10..).is_some_and(|time| time.contains(['Z', '+', '-']));
        self.without_offset += u64::from(!has_offset);
        let length = text.chars().count();
        self.lengths = Some(widened(self.lengths, (length, length)));
    }

    /// Merges other statistics.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.integers = self.integers.both(other.integers);
        self.forms = self.forms.both(other.forms);
        self.times = self.times.both(other.times);
        self.without_offset += other.without_offset;
        self.lengths = other.lengths.map(|lengths| widened(self.lengths, lengths)).or(self.lengths);
    }
}

/// The smallest range that holds both.
pub fn widened(range: Option<(usize, usize)>, (low, high): (usize, usize)) -> (usize, usize) {
    range.map_or((low, high), |(least, most)| (least.min(low), most.max(high)))
}

/// Keeps the types that accept this number, or this number in a string. Every wider type accepts
/// what Int64 does; unsigned ones only if it has no sign.
fn narrow_integers(takers: &mut Takers, token: &str) {
    let is_first = |ty: &Type| takes(ty, ValueRules::default(), token);
    if INTEGER_TYPES.first().is_some_and(is_first) {
        if token.contains('-') {
            takers.0 &= !UNSIGNED;
        }
        return;
    }
    takers.0 &= !1;
    takers.narrow(&INTEGER_TYPES, |_| true, token);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tokens: &[&str]) -> Numbers {
        let mut numbers = Numbers::default();
        for token in tokens {
            numbers.add(token);
        }
        numbers
    }

    fn integers(tokens: &[&str]) -> Option<&'static str> {
        numbers(tokens).integers.first(&INTEGERS)
    }

    fn form(texts: &[&str]) -> Option<&'static str> {
        let mut strings = Strings::default();
        for text in texts {
            strings.add(&format!("\"{text}\""), text);
        }
        strings.forms.first(&FORMS)
    }

    #[test]
    fn the_first_type_that_takes_every_whole_number_is_left() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&["0", "255"], Some("Int64")),
            (&["-1", "9223372036854775807"], Some("Int64")),
            (&["9223372036854775808"], Some("UInt64")),
            (&["9223372036854775808", "5"], Some("UInt64")),
            (&["-1", "9223372036854775808"], Some("Int128")),
            (&["340282366920938463463374607431768211455"], Some("UInt128")),
            (&["-1", "340282366920938463463374607431768211455"], Some("Int256")),
            (&["1e77"], Some("UInt256")),
            (&["1e78"], None),
            (&["1.5"], None),
            (&["1", "1.5"], None),
            (&["1.0", "1e2"], Some("Int64")),
        ];
        for (tokens, expected) in table {
            assert_eq!(integers(tokens), *expected, "{tokens:?}");
        }
    }

    #[test]
    fn strings_are_of_a_form_only_if_all_of_them_are() {
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        let table: &[(&[&str], Option<&str>)] = &[
            (&[uuid], Some("UUID")),
            (&[uuid, ""], None),
            (&["123e4567e89b12d3a456426614174000"], None),
            (&["1.2.3.4"], Some("IPv4")),
            (&["1.2.3.4", "::1"], Some("IPv6")),
            (&["2026-03-01", "1900/01/01"], Some("Date32")),
            (&["2026-03-01", "2026-03-01T10:00:00Z"], None),
            (&["1899-12-31"], None),
            (&["2026-03-01 10:00"], Some("DateTime64(3, 'UTC')")),
            (&["2026-03-01T10:00:00.5Z"], Some("DateTime64(3, 'UTC')")),
            (&["2026-03-01T10:00:00Z", "2026-03-01T10:00:00.1234Z"], Some("DateTime64(6, 'UTC')")),
            (&["2026-03-01T10:00:00.123456789+02:00"], Some("DateTime64(9, 'UTC')")),
            (&["2299-01-01T00:00:00.123456789Z"], None),
            (&["20260301", "12"], None),
        ];
        for (texts, expected) in table {
            assert_eq!(form(texts), *expected, "{texts:?}");
        }
    }

    #[test]
    fn what_was_seen_in_two_places_is_as_if_seen_in_one() {
        let (mut left, both) =
            (numbers(&["5", "-1"]), numbers(&["5", "-1", "9223372036854775808", "0.5"]));
        left.merge(&numbers(&["9223372036854775808", "0.5"]));
        left.merge(&Numbers::default());
        assert_eq!(format!("{left:?}"), format!("{both:?}"));
        assert_eq!(&*left.range.unwrap().1.1, "9223372036854775808");
    }
}
