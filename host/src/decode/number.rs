//! Numbers read from their text, to the last digit: never through a float.

/// Why a number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The text is no JSON number.
    NotANumber,
    /// It has digits behind the point, or more of them than fit.
    Fraction,
    /// It is too large or too small.
    Range,
}

/// What digits are put together in.
pub trait Magnitude: Sized {
    /// No digit yet.
    const ZERO: Self;

    /// Ten times this and one more digit; `None` where it holds no more.
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

/// Whether a text is a number in JSON's grammar.
pub fn is_number(text: &str) -> bool {
    Literal::read(text).is_ok()
}

/// A number as a sign and a count of `10^-scale`: exact, or not at all. Zero has no sign.
pub fn scaled<M: Magnitude>(text: &str, scale: u8) -> Result<(bool, M), Misfit> {
    let Literal { is_negative, whole, fraction, exponent } = Literal::read(text)?;
    let digits = || whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
    if digits().all(|digit| digit == 0) {
        return Ok((false, M::ZERO));
    }
    // Zeros to put behind the last digit; below zero, digits that are less than the count's one.
    let behind = i64::try_from(fraction.len()).map_err(|_| Misfit::Range)?;
    let shift = exponent.saturating_add(scale.into()).saturating_sub(behind);
    let dropped = usize::try_from(shift.saturating_neg()).unwrap_or(0);
    let kept = (whole.len() + fraction.len()).saturating_sub(dropped);
    if digits().skip(kept).any(|digit| digit != 0) {
        return Err(Misfit::Fraction);
    }
    // Some digit is not zero, so many zeros end soon.
    let zeros = (0..shift).map(|_| 0);
    let magnitude = digits().take(kept).chain(zeros).try_fold(M::ZERO, M::append);
    Ok((is_negative, magnitude.ok_or(Misfit::Range)?))
}

fn parse_exponent(text: &str) -> Result<i64, Misfit> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Misfit::NotANumber);
    }
    // An exponent of more digits than this is out of any range; of zero it is zero all the same.
    let bounded = digits.trim_start_matches('0');
    let value = if bounded.len() > 9 { 999_999_999 } else { bounded.parse().unwrap_or(0) };
    Ok(if text.starts_with('-') { -value } else { value })
}

/// An integer: `1.0` and `1e3` are integers too, as JSON Schema has it.
pub fn integer(text: &str) -> Result<i128, Misfit> {
    match short(text, 0) {
        Some(value) => Ok(value.into()),
        None => signed(scaled(text, 0)?),
    }
}

/// A short and plain number, as nearly every one is, as a count of `10^-scale`; `None` for any other.
fn short(text: &str, scale: u8) -> Option<i64> {
    const MOST_DIGITS: usize = 18;
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let is_leading_zero = unsigned.first() == Some(&b'0') && unsigned.get(1) != Some(&b'.');
    if unsigned.len() > MOST_DIGITS || is_leading_zero && unsigned.len() > 1 {
        return None;
    }
    let (mut value, mut point) = (0_i64, None);
    for (at, byte) in unsigned.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + i64::from(byte - b'0'),
            b'.' if at > 0 && point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let behind = point.map_or(0, |point| unsigned.len() - point - 1);
    if unsigned.is_empty() || point.is_some() && behind == 0 {
        return None;
    }
    // Digits that the scale does not hold may be zeros, which is looked at elsewhere.
    let zeros = usize::from(scale).checked_sub(behind)?;
    let value = value.checked_mul(10_i64.checked_pow(u32::try_from(zeros).ok()?)?)?;
    Some(if text.len() > unsigned.len() { -value } else { value })
}

fn signed((is_negative, magnitude): (bool, u128)) -> Result<i128, Misfit> {
    let value = i128::try_from(magnitude).map_err(|_| Misfit::Range)?;
    Ok(if is_negative { -value } else { value })
}

/// Whether an integer, written without a point or an exponent, is past those that a Float64 holds
/// one by one.
pub fn is_long_integer(token: &str) -> bool {
    let is_beyond = |integer: i128| integer.unsigned_abs() > 1 << f64::MANTISSA_DIGITS;
    !token.contains(['.', 'e', 'E'])
        && integer(token).map_or_else(|misfit| misfit == Misfit::Range, is_beyond)
}

/// A decimal of at most `precision` digits, `scale` of them behind the point.
pub fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Misfit> {
    let scaled = match short(text, scale) {
        Some(scaled) => scaled.into(),
        None => signed(scaled(text, scale)?)?,
    };
    let bound = 10_u128.checked_pow(precision.into()).ok_or(Misfit::Range)?;
    if scaled.unsigned_abs() < bound { Ok(scaled) } else { Err(Misfit::Range) }
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
            assert_eq!(integer(text), expected, "{text}");
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
            assert_eq!(decimal(text, precision, scale), expected, "{text}");
        }
    }
}
