//! Puts one JSON scalar into one column.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::flow::rejection::{Fault, Reason, cut};
use crate::schema::plan::{Forms, ValueRules};
use crate::schema::ranges::{fits, unit_digits};
use crate::schema::types::{Kind, Type};

use super::columns::Column;
use super::fault::{expected, fault, found, no_character};
use super::int256::{Wide, wide_decimal};
use super::number::{Misfit, Number, is_number};
use super::parser::plain_until;
use super::{date, encoded, hint, time};

/// Puts a scalar's token, as written in the record, into its column.
pub fn put_token(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    let mismatch = || fault(Reason::TypeMismatch, expected(ty), token);
    match token.as_bytes().first() {
        Some(b'"') => {
            let put = put_escaped(column, ty, rules, inner(token));
            put.map_err(|fault| found(fault, token))
        }
        Some(b'-' | b'0'..=b'9') => put_number(column, ty, rules, Number::of(token)),
        Some(b't' | b'f') => column.put_bool(token == "true").ok_or_else(mismatch),
        _ => Err(hint::scaled(mismatch(), &ty.kind, token)),
    }
}

/// Puts the inside of a string as written in the record, with its escapes. A fault shows it so.
pub fn put_escaped(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    inner: &str,
) -> Result<(), Box<Fault>> {
    let is_put = !ty.is_bytes
        && ty.kind == Kind::String
        && column.put_text_by(|text| unescape(inner, text)).is_some();
    if is_put {
        return Ok(());
    }
    let text = unescaped(inner).ok_or_else(|| no_character(inner))?;
    put_text(column, ty, rules, &text)
}

/// Puts a map's key: a text parsed as a value of the key type; numbers in JSON's grammar.
pub fn put_key(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    name: &str,
) -> Result<(), Box<Fault>> {
    let mismatch = || fault(Reason::TypeMismatch, expected(ty), name);
    let put = match &ty.kind {
        Kind::Int(_) | Kind::WideInt(_) => put_integer(column, ty, Number::of(name)),
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 if !is_number(name) => Err(mismatch()),
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => {
            put_number(column, ty, rules, Number::of(name))
        }
        Kind::Bool => match name {
            "true" | "false" => column.put_bool(name == "true").ok_or_else(mismatch),
            _ => Err(mismatch()),
        },
        _ => put_text(column, ty, rules, name),
    };
    put.map_err(|fault| of_key(fault, name))
}

/// The fault of a map's key.
#[cold]
pub fn of_key(mut fault: Box<Fault>, name: &str) -> Box<Fault> {
    fault.expected.insert_str(0, "as key: ");
    fault.got = format!("\"{}\"", cut(name));
    fault.got_kind = "string";
    fault
}

/// Puts the text of a string. A fault shows that text.
pub fn put_text(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    text: &str,
) -> Result<(), Box<Fault>> {
    if let Some(encoding) = rules.encoding() {
        return encoded::put(column, ty, encoding, text);
    }
    let refuse = |reason| fault(reason, expected(ty), text);
    let mismatch = || refuse(Reason::TypeMismatch);
    match &ty.kind {
        Kind::Int(_) | Kind::WideInt(_) | Kind::Decimal { .. }
            if rules.forms == Forms::MemberExact =>
        {
            Err(mismatch())
        }
        Kind::Int(kind) if kind.is_64_bit() => put_integer(column, ty, Number::of(text)),
        Kind::WideInt(_) => put_integer(column, ty, Number::of(text)),
        Kind::Decimal { .. } => put_decimal(column, ty, Number::of(text)),
        Kind::String => column.put_text(text).ok_or_else(|| refuse(Reason::TooLarge)),
        Kind::FixedString(_) => {
            column.put_fixed(text.as_bytes()).ok_or_else(|| refuse(Reason::TooLarge))
        }
        Kind::Uuid => {
            let uuid = uuid::Uuid::try_parse_ascii(text.as_bytes());
            let uuid = uuid.map_err(|_| refuse(Reason::BadUuid))?;
            column.put_uuid(uuid).ok_or_else(mismatch)
        }
        Kind::Ipv4 => {
            let address: Ipv4Addr = text.parse().map_err(|_| mismatch())?;
            column.put_count(u32::from(address).into()).ok_or_else(mismatch)
        }
        Kind::Ipv6 => {
            let address = match text.parse::<Ipv6Addr>() {
                Ok(address) => address,
                Err(_) => text.parse::<Ipv4Addr>().map_err(|_| mismatch())?.to_ipv6_mapped(),
            };
            column.put_fixed(&address.octets()).ok_or_else(mismatch)
        }
        Kind::Enum(labels, _) => {
            let label = labels.iter().position(|label| **label == *text);
            let label = label.ok_or_else(|| refuse(Reason::UnknownLabel))?;
            column.put_count(label as i64).ok_or_else(mismatch)
        }
        Kind::Date | Kind::Date32 => {
            let days = match date::parse(text, rules.is_wide) {
                Some(moment) => moment.days(rules.is_wide),
                None => (rules.is_wide && text.is_empty()).then_some(0),
            };
            let days = days.filter(|days| fits(&ty.kind, *days));
            let days = days.ok_or_else(|| hint::midnight(refuse(Reason::BadDatetime), text))?;
            column.put_count(days).ok_or_else(mismatch)
        }
        Kind::DateTime { zone } | Kind::DateTime64 { zone, .. } => {
            let nanos = match date::parse(text, rules.is_wide) {
                Some(moment) => moment.nanos(zone.unwrap_or(rules.zone)),
                None => (rules.is_wide && text.is_empty()).then_some(0),
            };
            let ticks = nanos.and_then(|nanos| ticks(&ty.kind, nanos));
            let ticks = ticks.ok_or_else(|| hint::offset(refuse(Reason::BadDatetime), text))?;
            column.put_count(ticks).ok_or_else(mismatch)
        }
        Kind::Time | Kind::Time64 { .. } => {
            let ticks = time::parse(text).and_then(|nanos| ticks(&ty.kind, nanos.into()));
            let ticks = ticks.ok_or_else(|| refuse(Reason::BadDatetime))?;
            column.put_count(ticks).ok_or_else(mismatch)
        }
        Kind::Bool => Err(hint::quoted_bool(mismatch(), text)),
        _ => Err(mismatch()),
    }
}

/// Puts a number.
pub fn put_number(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    number: Number<'_>,
) -> Result<(), Box<Fault>> {
    let token = number.text;
    let refuse = |reason| fault(reason, expected(ty), token);
    let mismatch = || refuse(Reason::TypeMismatch);
    match &ty.kind {
        Kind::Int(_) | Kind::WideInt(_) => put_integer(column, ty, number),
        Kind::Float32 | Kind::Float64
            if matches!(rules.forms, Forms::Member | Forms::MemberExact)
                && number.is_long_integer() =>
        {
            Err(refuse(Reason::OutOfRange))
        }
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => {
            column.put_float(number).ok_or_else(|| refuse(Reason::OutOfRange))
        }
        Kind::Decimal { .. } => put_decimal(column, ty, number),
        Kind::Date
        | Kind::Date32
        | Kind::DateTime { .. }
        | Kind::DateTime64 { .. }
        | Kind::Time
        | Kind::Time64 { .. } => put_counted(column, ty, rules, number),
        _ => Err(mismatch()),
    }
}

/// Puts the date or time that a number in the column's unit stands for.
fn put_counted(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    number: Number<'_>,
) -> Result<(), Box<Fault>> {
    let refuse =
        |reason| hint::unit(fault(reason, expected(ty), number.text), &ty.kind, rules, number.text);
    let Some(unit) = rules.unit_of(&ty.kind) else {
        let hint = match ty.kind {
            Kind::DateTime { .. } | Kind::DateTime64 { .. } => "for numbers set TIMESTAMP_UNIT",
            _ => "for numbers name the column in TIMESTAMP_UNIT",
        };
        return Err(fault(Reason::TypeMismatch, format!("{}; {hint}", expected(ty)), number.text));
    };
    let nanos = date::nanos_of_number(number, unit);
    match nanos.map(|nanos| ticks(&ty.kind, nanos)) {
        Ok(Some(ticks)) => column.put_count(ticks).ok_or_else(|| refuse(Reason::TypeMismatch)),
        // A digit that the column does not keep; refused as in a text.
        Ok(None) | Err(Misfit::Fraction) if number.integer().is_err() => {
            Err(refuse(Reason::BadDatetime))
        }
        Ok(None) | Err(Misfit::Range) => Err(refuse(Reason::OutOfRange)),
        Err(Misfit::Fraction | Misfit::NotANumber) => Err(refuse(Reason::TypeMismatch)),
    }
}

/// Puts an integer.
#[inline]
pub fn put_integer(column: &mut Column, ty: &Type, number: Number<'_>) -> Result<(), Box<Fault>> {
    let refuse = |reason| fault(reason, expected(ty), number.text);
    let put = match &ty.kind {
        Kind::WideInt(kind) => {
            Wide::integer(number.text).map(|value| column.put_wide(value, *kind))
        }
        _ => number.integer().map(|value| column.put_integer(value)),
    };
    match put {
        Ok(put) => put.ok_or_else(|| refuse(Reason::OutOfRange)),
        Err(Misfit::Range) => Err(refuse(Reason::OutOfRange)),
        Err(Misfit::Fraction | Misfit::NotANumber) => Err(refuse(Reason::TypeMismatch)),
    }
}

/// Puts a decimal.
pub fn put_decimal(column: &mut Column, ty: &Type, number: Number<'_>) -> Result<(), Box<Fault>> {
    let put = match ty.kind {
        Kind::Decimal { precision: precision @ 0..=38, scale } => {
            number.decimal(precision, scale).map(|value| column.put_integer(value))
        }
        Kind::Decimal { precision, scale } => {
            wide_decimal(number.text, precision, scale).map(|value| column.put_wide_decimal(value))
        }
        _ => Ok(None),
    };
    put.ok().flatten().ok_or_else(|| fault(Reason::BadDecimal, expected(ty), number.text))
}

/// Converts nanoseconds to the unit in which a date or time column is sent; `None` if it does not hold them.
pub fn ticks(kind: &Kind, nanos: i128) -> Option<i64> {
    let unit = match kind {
        Kind::Date | Kind::Date32 => 86_400_000_000_000,
        _ => 10_i64.pow(9 - unit_digits(kind)),
    };
    // 64-bit division is faster, and covers nearly every time.
    let (ticks, rest) = match i64::try_from(nanos) {
        Ok(nanos) => (nanos / unit, nanos % unit),
        Err(_) => {
            let unit = i128::from(unit);
            (i64::try_from(nanos / unit).ok()?, i64::from(nanos % unit != 0))
        }
    };
    (rest == 0 && fits(kind, ticks)).then_some(ticks)
}

/// The text between the quotes.
#[inline]
pub fn inner(token: &str) -> &str {
    token.len().checked_sub(1).and_then(|end| token.get(1..end)).unwrap_or_default()
}

/// The text of a string's token, escapes resolved; `None` for an invalid escape.
pub fn text_of(token: &str) -> Option<Cow<'_, str>> {
    unescaped(token.strip_prefix('"')?.strip_suffix('"')?)
}

fn unescaped(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    unescape(inner, &mut text).map(|()| Cow::Owned(text))
}

/// Appends a text with its escapes resolved, which are known to be valid JSON; `None` for half of a surrogate pair.
fn unescape(mut text: &str, unescaped: &mut String) -> Option<()> {
    loop {
        let (plain, escape) = text.split_at_checked(plain_until(text.as_bytes(), 0))?;
        unescaped.push_str(plain);
        let Some(escape) = escape.strip_prefix('\\') else {
            return escape.is_empty().then_some(());
        };
        let (char, len) = match escape.as_bytes().first()? {
            b'b' => ('\u{8}', 1),
            b'f' => ('\u{c}', 1),
            b'n' => ('\n', 1),
            b'r' => ('\r', 1),
            b't' => ('\t', 1),
            b'u' => character(escape)?,
            other => (char::from(*other), 1),
        };
        unescaped.push(char);
        text = escape.get(len..)?;
    }
}

/// Decodes `u` and four digits, or two such halves of a pair; returns the character and the length read.
fn character(escape: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u32::from_str_radix(escape.get(at + 1..at + 5)?, 16).ok();
    let first = unit(0)?;
    if let Some(char) = char::from_u32(first) {
        return Some((char, 5));
    }
    let second = escape.get(5..7).filter(|begin| *begin == "\\u").and_then(|_| unit(6))?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 11))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::types::parse;

    proptest! {
        #[test]
        fn escapes_are_read_as_by_serde(
            parts in prop::collection::vec(prop::sample::select(vec![
                "a", "é", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000",
                "\\u00e9", "\\uD83e", "\\udD80", "\\uffff", "\\udfff", "u0041",
            ]), 0..8),
        ) {
            let token = format!("\"{}\"", parts.concat());
            let expected = serde_json::from_str::<String>(&token).ok();
            prop_assert_eq!(text_of(&token).map(Cow::into_owned), expected);
        }
    }

    #[test]
    fn a_time_is_counted_in_its_unit_and_no_digit_of_a_second_is_cut_off() {
        const SECOND: i128 = 1_000_000_000;
        let table = [
            ("DateTime", i128::from(u32::MAX) * SECOND, Some(u32::MAX.into())),
            ("DateTime", -SECOND, None),
            ("DateTime", SECOND / 2, None),
            ("DateTime64(3)", 1_234_000_000, Some(1_234)),
            ("DateTime64(3)", 1_234_500_000, None),
            ("DateTime64(2)", 1_250_000_000, Some(1_250)),
            ("DateTime64(2)", 1_255_000_000, None),
            ("DateTime64(3)", -2_208_988_800 * SECOND, Some(-2_208_988_800_000)),
            ("DateTime64(3)", 10_413_792_000 * SECOND, None),
            ("DateTime64(9)", i64::MAX.into(), Some(i64::MAX)),
            ("DateTime64(9)", i128::from(i64::MAX) + 1, None),
            ("Time", -2 * SECOND, Some(-2)),
            ("Time", SECOND + 1, None),
            ("Time64(1)", -1_500_000_000, Some(-1_500_000)),
            ("Time64(1)", 1_230_000_000, None),
            ("Time64(9)", 1, Some(1)),
        ];
        for (ty, nanos, expected) in table {
            let kind = parse(ty).unwrap().kind;
            assert_eq!(ticks(&kind, nanos), expected, "{ty}: {nanos}");
        }
    }
}
