//! Numbers as producers spell them.

use std::borrow::Cow;

use super::super::number::{is_number, scaled};

/// Converts a number to JSON's grammar: without a plus, leading zeros, or a point that lacks digits on one side.
pub fn plain(text: &str) -> Option<Cow<'_, str>> {
    if is_number(text) {
        return Some(Cow::Borrowed(text));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let exponent_at = unsigned.find(['e', 'E']).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(exponent_at);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if text.starts_with('-') { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    let written = format!("{sign}{whole}{point}{fraction}{exponent}");
    is_number(&written).then_some(Cow::Owned(written))
}

/// Infinities and NaN.
pub fn special(text: &str) -> Option<f32> {
    let word = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    let value = match &*word {
        "inf" | "infinity" => f32::INFINITY,
        "nan" => f32::NAN,
        _ => return None,
    };
    Some(if text.starts_with('-') { -value } else { value })
}

/// Cuts a number in JSON's grammar to `scale` digits after the point; `None` if only zeros, or nothing, would be cut.
pub fn cut(number: &str, scale: u8) -> Option<String> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", number),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    // A longer exponent is out of any range.
    let beyond = if exponent.starts_with('-') { -999_999_999 } else { 999_999_999 };
    let exponent: i64 = exponent.parse().unwrap_or(beyond);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let behind = i64::try_from(fraction.len()).ok()?.saturating_sub(exponent);
    let dropped = usize::try_from(behind.saturating_sub(scale.into())).ok()?;
    let digits = format!("{whole}{fraction}");
    let (kept, rest) = digits.split_at(digits.len().saturating_sub(dropped));
    if rest.bytes().all(|digit| digit == b'0') {
        return None;
    }
    let kept = match kept.trim_start_matches('0') {
        "" => "0",
        kept => kept,
    };
    Some(format!("{sign}{kept}e-{scale}"))
}

/// Cuts a text to `precision` digits after its point, and returns whether a nonzero digit was cut; `None` if other
/// characters follow the point, or if no point is accepted.
pub fn without_digits(text: &str, precision: Option<u8>) -> Option<(&str, bool)> {
    let Some(point) = text.find('.') else { return Some((text, false)) };
    let (_, digits) = text.split_at(point + 1);
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let kept = match precision? {
        0 => point,
        precision => point + 1 + digits.len().min(precision.into()),
    };
    let dropped = text.get(kept..).unwrap_or_default();
    Some((text.get(..kept)?, dropped.bytes().any(|digit| !matches!(digit, b'.' | b'0'))))
}

/// Nanoseconds of a number of seconds with one or two digits before the point.
pub fn short_seconds(text: &str) -> Option<i128> {
    let number = plain(text).filter(|_| !text.starts_with('+'))?;
    let whole = text.trim_start_matches('-').split('.').next().unwrap_or_default();
    if whole.len() > 2 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (is_negative, nanos) = scaled::<u128>(&number, 9).ok()?;
    let nanos = i128::try_from(nanos).ok()?;
    Some(if is_negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_producers_write_becomes_a_number_of_json() {
        for (text, number) in [
            ("+1.5", Some("1.5")),
            (".5", Some("0.5")),
            ("-.5", Some("-0.5")),
            ("5.", Some("5")),
            ("007", Some("7")),
            ("-000", Some("-0")),
            ("+.5e3", Some("0.5e3")),
            ("1e2", Some("1e2")),
            ("", None),
            (".", None),
            ("+", None),
            ("+-1", None),
            ("--1", None),
            (" 1", None),
            ("1.2.3", None),
            ("0x10", None),
            ("1,5", None),
            (".e5", None),
            ("nan", None),
        ] {
            assert_eq!(plain(text).as_deref(), number, "{text}");
        }
    }

    #[test]
    fn digits_behind_the_scale_are_cut_and_zeros_are_none() {
        for (number, scale, kept) in [
            ("1.25", 2, None),
            ("1.2500", 2, None),
            ("1.255", 2, Some("125e-2")),
            ("-99.999", 2, Some("-9999e-2")),
            ("0.001", 2, Some("0e-2")),
            ("125e-3", 2, Some("12e-2")),
            ("1e-400", 2, Some("0e-2")),
            ("1e-99999999999999999999", 2, Some("0e-2")),
            ("0e-99999999999999999999", 2, None),
            ("1e99999999999999999999", 2, None),
            ("1.5", 0, Some("1e-0")),
        ] {
            assert_eq!(cut(number, scale).as_deref(), kept, "{number}");
        }
    }
}
