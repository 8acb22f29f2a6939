//! `minimum`, `maximum` and their exclusive variants, compared exactly. The crate's own compare a
//! number that is no 64-bit integer by its nearest float, which may be on the other side of a limit
//! above 2^53.

use std::cmp::Ordering;

use jsonschema::{Keyword, ValidationError, ValidationOptions};
use serde_json::{Map, Value};

use super::document::Document;
use super::node::Payload;

type Options<'i> = ValidationOptions<'i, std::sync::Arc<dyn jsonschema::Retrieve>, Payload>;

/// Replaces the crate's four keywords.
pub fn exact(options: Options<'_>) -> Options<'_> {
    options
        .with_keyword("minimum", |parent, limit, _| {
            let is_exclusive = is_set(parent, "exclusiveMinimum");
            Ok(Box::new(Bound::new(limit, is_exclusive, Ordering::Greater)))
        })
        .with_keyword("maximum", |parent, limit, _| {
            let is_exclusive = is_set(parent, "exclusiveMaximum");
            Ok(Box::new(Bound::new(limit, is_exclusive, Ordering::Less)))
        })
        .with_keyword("exclusiveMinimum", |_, limit, _| {
            Ok(Box::new(Bound::new(limit, true, Ordering::Greater)))
        })
        .with_keyword("exclusiveMaximum", |_, limit, _| {
            Ok(Box::new(Bound::new(limit, true, Ordering::Less)))
        })
}

/// In draft 4, a neighbouring keyword makes a limit exclusive.
fn is_set(parent: &Map<String, Value>, beside: &str) -> bool {
    parent.get(beside) == Some(&Value::Bool(true))
}

struct Bound {
    /// `None` for an exclusive keyword of draft 4, which has no meaning of its own.
    limit: Option<String>,
    is_exclusive: bool,
    /// The side of the limit on which numbers are valid.
    side: Ordering,
}

impl Bound {
    fn new(limit: &Value, is_exclusive: bool, side: Ordering) -> Self {
        let limit = limit.as_number().map(ToString::to_string);
        Self { limit, is_exclusive, side }
    }
}

impl<'i> Keyword<'i, Payload> for Bound {
    fn validate(&self, instance: &'i Document<'i>) -> Result<(), ValidationError<'i>> {
        match Keyword::<Payload>::is_valid(self, instance) {
            true => Ok(()),
            false => Err(ValidationError::custom("the number is beyond the limit")),
        }
    }

    fn is_valid(&self, instance: &'i Document<'i>) -> bool {
        let (Some(limit), Document::Number(number)) = (&self.limit, instance) else { return true };
        let found = compare(number, limit);
        found == self.side || found.is_eq() && !self.is_exclusive
    }
}

/// Compares two JSON numbers by value.
pub fn compare(one: &str, other: &str) -> Ordering {
    if let (Ok(one), Ok(other)) = (one.parse::<i64>(), other.parse::<i64>()) {
        return one.cmp(&other);
    }
    let (one, other) = (Decimal::read(one), Decimal::read(other));
    match (one.sign, other.sign) {
        (1, 1) => one.compare_size(&other),
        (-1, -1) => other.compare_size(&one),
        (one, other) => one.cmp(&other),
    }
}

/// A number as `0.DIGITS * 10^exponent`, whose first digit is not zero.
struct Decimal<'a> {
    /// -1, 0 or 1.
    sign: i8,
    exponent: i64,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Self {
        let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // An exponent out of range exceeds every one in range.
        let far = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let exponent = exponent.parse().unwrap_or(far).clamp(i64::MIN / 2, i64::MAX / 2);
        let zeros =
            whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
        let is_zero = zeros == whole.len() + fraction.len();
        let before = whole.len() as i64 - zeros as i64;
        let exponent = exponent.saturating_add(before);
        Self { sign: if is_zero { 0 } else { sign }, exponent, whole, fraction }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.whole.bytes().chain(self.fraction.bytes()).skip_while(|digit| *digit == b'0')
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        let longest =
            (self.whole.len() + self.fraction.len()).max(other.whole.len() + other.fraction.len());
        let padded = |number: &Self| number.digits().chain(std::iter::repeat(b'0')).take(longest);
        self.exponent.cmp(&other.exponent).then_with(|| padded(self).cmp(padded(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_value_however_they_are_written() {
        let ascending = [
            "-1e1000000000000000000000",
            "-18446744073709551616",
            "-1.5",
            "-1",
            "-1e-400",
            "0",
            "1e-1000000000000000000000",
            "1e-400",
            "0.1",
            "0.1000000000000000055",
            "1",
            "9007199254740993.1",
            "18014398509481986.5",
            "18014398509481987",
            "9223372036854775807",
            "9223372036854775807.5",
            "1e19",
            "1e400",
            "1.1e400",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (place, other) in ascending.iter().enumerate() {
                assert_eq!(compare(one, other), at.cmp(&place), "{one}, {other}");
            }
        }
        for (one, same) in [
            ("0", "-0.0"),
            ("0e5", "0"),
            ("1", "1.000"),
            ("100", "1e2"),
            ("0.001", "1E-3"),
            ("1.5e+1", "15"),
            ("12.50", "125e-1"),
        ] {
            assert!(compare(one, same).is_eq(), "{one}, {same}");
        }
    }
}
