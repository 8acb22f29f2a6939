//! Numbers parsed from their text, to the last digit: never through a float.
#![allow(clippy::inline_always, reason = "as in `record`")]

/// Why a number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The text is not a JSON number.
    NotANumber,
    /// It has digits after the point, or more of them than fit.
    Fraction,
    /// It is too large or too small.
    Range,
}

/// A number, as written in a text.
#[derive(Debug, Clone, Copy)]
pub struct Number<'t> {
    /// Its text; within a string, it may not be a number at all.
    pub text: &'t str,
    /// Its digits, if it is short and plain, as nearly every number is.
    pub short: Option<Short>,
}

/// Most digits of a short number: any such number fits 64 bits.
const SHORT_DIGITS: usize = 19;

/// A number without an exponent, of at most [`SHORT_DIGITS`] digits.
#[derive(Debug, Clone, Copy)]
pub struct Short {
    is_negative: bool,
    /// With those behind the point.
    digits: u64,
    /// How many are after the point.
    behind: u8,
}

/// Parses a number in JSON's grammar from `start`: its end, and its digits if it is short; `None` if there is none.
#[inline(always)]
pub fn scan(bytes: &[u8], start: usize) -> Option<(usize, Option<Short>)> {
    let is_negative = bytes.get(start) == Some(&b'-');
    let first = start + usize::from(is_negative);
    let (mut end, mut digits) = run(bytes, first, 0);
    let whole = end - first;
    if whole == 0 || whole > 1 && bytes.get(first) == Some(&b'0') {
        return None;
    }
    let mut behind = 0;
    if bytes.get(end) == Some(&b'.') {
        let point = end + 1;
        (end, digits) = run(bytes, point, digits);
        behind = end - point;
        if behind == 0 {
            return None;
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        (end, _) = run(bytes, exponent, 0);
        return (end > exponent).then_some((end, None));
    }
    if whole + behind > SHORT_DIGITS {
        return Some((end, None));
    }
    let behind = u8::try_from(behind).ok()?;
    Some((end, Some(Short { is_negative, digits, behind })))
}

/// Skips digits, and appends them to `digits`, which wraps if there are too many. Most numbers are too short for
/// reading several digits at once to pay.
#[inline]
fn run(bytes: &[u8], mut at: usize, mut digits: u64) -> (usize, u64) {
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (at, digits)
}

/// Whether a text is a number in JSON's grammar.
pub fn is_number(text: &str) -> bool {
    scan(text.as_bytes(), 0).is_some_and(|(end, _)| end == text.len())
}

/// An integer that digits are appended to.
pub trait Magnitude: Sized {
    /// No digits yet.
    const ZERO: Self;

    /// Ten times this plus one more digit; `None` on overflow.
    fn append(self, digit: u8) -> Option<Self>;
}

impl Magnitude for u128 {
    const ZERO: Self = 0;

    fn append(self, digit: u8) -> Option<Self> {
        // Most numbers are short, and 64 bits are quicker.
        match u64::try_from(self) {
            Ok(short) if short < u64::MAX / 10 => Some((short * 10 + u64::from(digit)).into()),
            _ => self.checked_mul(10)?.checked_add(digit.into()),
        }
    }
}

/// A number in JSON's grammar, taken apart.
struct Literal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Literal<'a> {
    fn read(text: &'a str) -> Result<Self, Misfit> {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(Misfit::NotANumber),
            None => (mantissa, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || has_leading_zero || !is_digits(whole) || !is_digits(fraction) {
            return Err(Misfit::NotANumber);
        }
        let exponent = exponent.map_or(Ok(0), parse_exponent)?;
        Ok(Self { is_negative, whole, fraction, exponent })
    }
}

/// Converts a number to a sign and a count of `10^-scale`: exact, or not at all. Zero has no sign.
pub fn scaled<M: Magnitude>(text: &str, scale: u8) -> Result<(bool, M), Misfit> {
    let Literal { is_negative, whole, fraction, exponent } = Literal::read(text)?;
    let digits = || whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
    if digits().all(|digit| digit == 0) {
        return Ok((false, M::ZERO));
    }
    // Zeros to append; if negative, trailing digits below the count's unit.
    let behind = i64::try_from(fraction.len()).map_err(|_| Misfit::Range)?;
    let shift = exponent.saturating_add(scale.into()).saturating_sub(behind);
    let dropped = usize::try_from(shift.saturating_neg()).unwrap_or(0);
    let kept = (whole.len() + fraction.len()).saturating_sub(dropped);
    if digits().skip(kept).any(|digit| digit != 0) {
        return Err(Misfit::Fraction);
    }
    // Some digit is not zero, so many zeros soon overflow.
    let zeros = (0..shift).map(|_| 0);
    let magnitude = digits().take(kept).chain(zeros).try_fold(M::ZERO, M::append);
    Ok((is_negative, magnitude.ok_or(Misfit::Range)?))
}

fn parse_exponent(text: &str) -> Result<i64, Misfit> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Misfit::NotANumber);
    }
    // A longer exponent is out of any range; zero remains zero.
    let bounded = digits.trim_start_matches('0');
    let value = if bounded.len() > 9 { 999_999_999 } else { bounded.parse().unwrap_or(0) };
    Ok(if text.starts_with('-') { -value } else { value })
}

impl<'t> Number<'t> {
    /// A text that may be a number.
    pub fn of(text: &'t str) -> Self {
        let (len, short) = scan(text.as_bytes(), 0).unwrap_or_default();
        Self { text, short: short.filter(|_| len == text.len()) }
    }

    /// An integer: `1.0` and `1e3` are integers too, as in JSON Schema.
    #[inline]
    pub fn integer(self) -> Result<i128, Misfit> {
        match self.short.and_then(|short| short.scaled(0)) {
            Some(value) => Ok(value.into()),
            None => signed(scaled(self.text, 0)?),
        }
    }

    /// A decimal of at most `precision` digits, `scale` of them after the point.
    pub fn decimal(self, precision: u8, scale: u8) -> Result<i128, Misfit> {
        let scaled = match self.short.and_then(|short| short.scaled(scale)) {
            Some(scaled) => scaled.into(),
            None => signed(scaled(self.text, scale)?)?,
        };
        let bound = 10_u128.checked_pow(precision.into()).ok_or(Misfit::Range)?;
        if scaled.unsigned_abs() < bound { Ok(scaled) } else { Err(Misfit::Range) }
    }

    /// The nearest Float64; `None` if it is out of range.
    #[inline]
    pub fn float64(self) -> Option<f64> {
        match self.short.and_then(Short::float64) {
            Some(value) => Some(value),
            None => fast_float2::parse(self.text).ok().filter(|value: &f64| value.is_finite()),
        }
    }

    /// The nearest Float32; `None` if it is out of range.
    #[inline]
    pub fn float32(self) -> Option<f32> {
        match self.short.and_then(Short::float32) {
            Some(value) => Some(value),
            None => fast_float2::parse(self.text).ok().filter(|value: &f32| value.is_finite()),
        }
    }

    /// Whether it is an integer, written without a point or an exponent, beyond those that a Float64 represents
    /// exactly.
    pub fn is_long_integer(self) -> bool {
        let is_beyond = |integer: i128| integer.unsigned_abs() > 1 << f64::MANTISSA_DIGITS;
        !self.text.contains(['.', 'e', 'E'])
            && self.integer().map_or_else(|misfit| misfit == Misfit::Range, is_beyond)
    }
}

impl Short {
    /// As a count of `10^-scale`; `None` if the scale is too small for its digits, even if these are zeros, or 64 bits
    /// for the count.
    #[inline]
    pub fn scaled(self, scale: u8) -> Option<i64> {
        let zeros = scale.checked_sub(self.behind)?;
        let magnitude = i64::try_from(self.digits).ok()?.checked_mul(power(zeros)?)?;
        Some(if self.is_negative { -magnitude } else { magnitude })
    }

    /// As an unsigned integer.
    #[inline]
    pub fn unsigned(self) -> Option<u64> {
        let is_plain = self.behind == 0 && (!self.is_negative || self.digits == 0);
        is_plain.then_some(self.digits)
    }

    /// As a count of `10^-scale` of at most `precision` digits.
    #[inline]
    pub fn decimal(self, precision: u8, scale: u8) -> Option<i64> {
        let scaled = self.scaled(scale)?;
        // A power that 63 bits do not hold exceeds any such value.
        power(precision).is_none_or(|bound| scaled.abs() < bound).then_some(scaled)
    }

    /// Only if the digits and the power of ten are both exact, so that one division rounds once (Clinger, How to Read
    /// Floating Point Numbers Accurately, 1990).
    #[inline]
    pub fn float64(self) -> Option<f64> {
        if self.digits > 1 << f64::MANTISSA_DIGITS {
            return None;
        }
        let value = self.digits as f64 / power(self.behind)? as f64;
        Some(if self.is_negative { -value } else { value })
    }

    #[inline]
    pub fn float32(self) -> Option<f32> {
        const LARGEST_EXACT_POWER: u8 = 10;
        if self.digits > 1 << f32::MANTISSA_DIGITS || self.behind > LARGEST_EXACT_POWER {
            return None;
        }
        let value = self.digits as f32 / power(self.behind)? as f32;
        Some(if self.is_negative { -value } else { value })
    }
}

/// A power of ten that 63 bits hold. Exact as a Float64.
#[inline]
#[allow(clippy::indexing_slicing, reason = "at compile time")]
fn power(exponent: u8) -> Option<i64> {
    const COUNT: usize = i64::MAX.ilog10() as usize + 1;
    const POWERS: [i64; COUNT] = {
        let (mut powers, mut at) = ([1; COUNT], 1);
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    POWERS.get(usize::from(exponent)).copied()
}

fn signed((is_negative, magnitude): (bool, u128)) -> Result<i128, Misfit> {
    let value = i128::try_from(magnitude).map_err(|_| Misfit::Range)?;
    Ok(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_read_to_its_last_digit() {
        let table = [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("18446744073709551615", Ok(u64::MAX.into())),
            ("-9223372036854775808", Ok(i64::MIN.into())),
            ("1.0", Ok(1)),
            ("1e3", Ok(1000)),
            ("-12.50e1", Ok(-125)),
            ("9007199254740993.0", Ok(9_007_199_254_740_993)),
            ("0e999999999999", Ok(0)),
            ("0.99999999999999999999", Err(Misfit::Fraction)),
            ("1.5", Err(Misfit::Fraction)),
            ("1e-400", Err(Misfit::Fraction)),
            ("1e400", Err(Misfit::Range)),
            ("1e99999999999999999999", Err(Misfit::Range)),
            (
                "123456789012345678901234567890123456789000e-3",
                Ok(123_456_789_012_345_678_901_234_567_890_123_456_789),
            ),
            ("170141183460469231731687303715884105728", Err(Misfit::Range)),
            ("1000000000000000000000000000000000000000000000000000000000000", Err(Misfit::Range)),
            ("0.0000000000000000000000000000000000000000000000000000000000e9", Ok(0)),
            ("-0.0000000001e10", Ok(-1)),
            ("", Err(Misfit::NotANumber)),
            ("-", Err(Misfit::NotANumber)),
            ("01", Err(Misfit::NotANumber)),
            ("+1", Err(Misfit::NotANumber)),
            ("1.", Err(Misfit::NotANumber)),
            ("1e", Err(Misfit::NotANumber)),
            (" 1", Err(Misfit::NotANumber)),
            ("0x1", Err(Misfit::NotANumber)),
        ];
        for (text, expected) in table {
            assert_eq!(Number::of(text).integer(), expected, "{text}");
        }
    }

    #[test]
    fn a_decimal_keeps_every_digit_or_is_refused() {
        let table = [
            ("1.25", (10, 2), Ok(125)),
            ("1.2500", (10, 2), Ok(125)),
            ("-0.01", (10, 2), Ok(-1)),
            ("1e2", (10, 2), Ok(10_000)),
            ("99999999.99", (10, 2), Ok(9_999_999_999)),
            ("100000000", (10, 2), Err(Misfit::Range)),
            ("1.234", (10, 2), Err(Misfit::Fraction)),
            ("0.1", (38, 38), Ok(10_i128.pow(37))),
            ("1", (38, 38), Err(Misfit::Range)),
            (
                "99999999999999999999999999999999999999",
                (38, 0),
                Ok(99_999_999_999_999_999_999_999_999_999_999_999_999),
            ),
        ];
        for (text, (precision, scale), expected) in table {
            assert_eq!(Number::of(text).decimal(precision, scale), expected, "{text}");
        }
    }
}
