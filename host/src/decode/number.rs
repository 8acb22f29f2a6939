//! Numbers read from their text, to the last digit: never through a float.

/// A number as `significand * 10^exponent`, without trailing zeros in the significand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    is_negative: bool,
    significand: u128,
    exponent: i64,
}

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

/// Most digits of a significand: all that 128 bits surely hold.
const MAX_DIGITS: u32 = 38;

impl Number {
    /// Reads a number in JSON's grammar.
    pub fn parse(text: &str) -> Result<Self, Misfit> {
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
        Self::of_digits(is_negative, whole, fraction, exponent)
    }

    fn of_digits(
        is_negative: bool,
        whole: &str,
        fraction: &str,
        exponent: i64,
    ) -> Result<Self, Misfit> {
        // Zeros at the end are held back until a digit follows them.
        let (mut significand, mut digits, mut zeros) = (0_u128, 0_u32, 0_u32);
        for digit in whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0') {
            if digit == 0 {
                zeros = zeros.saturating_add(u32::from(digits > 0));
                continue;
            }
            digits = digits.saturating_add(zeros).saturating_add(1);
            if digits > MAX_DIGITS {
                return Err(Misfit::Range);
            }
            significand = significand * 10_u128.pow(zeros + 1) + u128::from(digit);
            zeros = 0;
        }
        if significand == 0 {
            return Ok(Self { is_negative: false, significand, exponent: 0 });
        }
        let behind = i64::try_from(fraction.len()).map_err(|_| Misfit::Range)?;
        let exponent = exponent.checked_sub(behind).and_then(|e| e.checked_add(zeros.into()));
        Ok(Self { is_negative, significand, exponent: exponent.ok_or(Misfit::Range)? })
    }

    /// The number as a count of `10^-scale`: exact, or not at all.
    pub fn scaled(self, scale: u8) -> Result<i128, Misfit> {
        if self.significand == 0 {
            return Ok(0);
        }
        let shift = self.exponent.checked_add(scale.into()).ok_or(Misfit::Range)?;
        if shift < 0 {
            return Err(Misfit::Fraction);
        }
        let power = u32::try_from(shift).ok().and_then(|shift| 10_u128.checked_pow(shift));
        let scaled = power.and_then(|power| self.significand.checked_mul(power));
        let scaled = scaled.and_then(|scaled| i128::try_from(scaled).ok()).ok_or(Misfit::Range)?;
        Ok(if self.is_negative { -scaled } else { scaled })
    }
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
    // Nearly every integer is short and plain.
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() <= 18
        && (digits == "0" || !digits.starts_with('0'))
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(value) = text.parse::<i64>()
    {
        return Ok(value.into());
    }
    Number::parse(text)?.scaled(0)
}

/// A decimal of at most `precision` digits, `scale` of them behind the point.
pub fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Misfit> {
    let scaled = Number::parse(text)?.scaled(scale)?;
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
            ("123456789012345678901234567890123456789", Err(Misfit::Range)),
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
