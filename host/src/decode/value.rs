//! One scalar of JSON into one column.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::rejection::{Fault, Reason};
use crate::schema::plan::ValueRules;
use crate::schema::types::{Kind, Type};

use super::columns::Column;
use super::fault::{expected, fault, kind_of};
use super::number::{Misfit, decimal, integer, is_long_integer, is_number};
use super::wide::{Wide, wide_decimal};
use super::{date, time};

/// Puts a scalar's token, as it stands in the record, into its column.
pub fn put_token(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    let refuse = |reason| fault(reason, expected(ty), token);
    let mismatch = || refuse(Reason::TypeMismatch);
    match kind_of(token) {
        "string" => put_text(column, ty, rules, &text_of(token).ok_or_else(mismatch)?, token),
        "number" => put_number(column, ty, rules, token),
        "boolean" => column.put_bool(token == "true").ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

/// Puts a map's key: a text that reads as a value of the keys' type, numbers in JSON's grammar.
pub fn put_key(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    name: &str,
) -> Result<(), Box<Fault>> {
    let mismatch = || fault(Reason::TypeMismatch, expected(ty), name);
    let put = match &ty.kind {
        Kind::Int(_) | Kind::WideInt(_) => put_integer(column, ty, name, name),
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 if !is_number(name) => Err(mismatch()),
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => put_number(column, ty, rules, name),
        Kind::Bool => match name {
            "true" | "false" => column.put_bool(name == "true").ok_or_else(mismatch),
            _ => Err(mismatch()),
        },
        _ => put_text(column, ty, rules, name, name),
    };
    put.map_err(|mut fault| {
        fault.expected.insert_str(0, "as key: ");
        fault.got = format!("\"{}\"", fault.got);
        fault.got_kind = "string";
        fault
    })
}

/// Puts what a string holds; `token` is for the fault.
fn put_text(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    text: &str,
    token: &str,
) -> Result<(), Box<Fault>> {
    let refuse = |reason| fault(reason, expected(ty), token);
    let mismatch = || refuse(Reason::TypeMismatch);
    match &ty.kind {
        Kind::Int(kind) if kind.is_64_bit() => put_integer(column, ty, text, token),
        Kind::WideInt(_) => put_integer(column, ty, text, token),
        Kind::Decimal { precision, scale } => {
            let put = match precision {
                0..=38 => decimal(text, *precision, *scale).map(|value| column.put_integer(value)),
                _ => wide_decimal(text, *precision, *scale)
                    .map(|value| column.put_wide_decimal(value)),
            };
            put.ok().flatten().ok_or_else(|| refuse(Reason::BadDecimal))
        }
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
            column.put_integer(u32::from(address).into()).ok_or_else(mismatch)
        }
        Kind::Ipv6 => {
            let address = match text.parse::<Ipv6Addr>() {
                Ok(address) => address,
                Err(_) => text.parse::<Ipv4Addr>().map_err(|_| mismatch())?.to_ipv6_mapped(),
            };
            column.put_fixed(&address.octets()).ok_or_else(mismatch)
        }
        Kind::Enum(labels) => {
            let label = labels.iter().position(|label| **label == *text);
            let label = label.ok_or_else(|| refuse(Reason::UnknownLabel))?;
            column.put_integer(label as i128).ok_or_else(mismatch)
        }
        Kind::Date | Kind::Date32 => {
            let days = match date::parse(text, rules.is_wide) {
                Some(moment) => moment.days(rules.is_wide),
                None => (rules.is_wide && text.is_empty()).then_some(0),
            };
            let is_date = ty.kind == Kind::Date;
            let fits = if is_date { date::fits_date } else { date::fits_date32 };
            let days =
                days.filter(|days| fits(*days)).ok_or_else(|| refuse(Reason::BadDatetime))?;
            column.put_integer(days.into()).ok_or_else(mismatch)
        }
        Kind::DateTime { zone } | Kind::DateTime64 { zone, .. } => {
            let nanos = match date::parse(text, rules.is_wide) {
                Some(moment) => moment.nanos(zone.unwrap_or(rules.zone)),
                None => (rules.is_wide && text.is_empty()).then_some(0),
            };
            let ticks = nanos.and_then(|nanos| ticks(&ty.kind, nanos));
            let ticks = ticks.ok_or_else(|| refuse(Reason::BadDatetime))?;
            column.put_integer(ticks.into()).ok_or_else(mismatch)
        }
        Kind::Time | Kind::Time64 { .. } => {
            let nanos = time::parse(text);
            let ticks = nanos.and_then(|nanos| match &ty.kind {
                Kind::Time64 { precision } => {
                    time::ticks(nanos, *precision, if *precision > 6 { 9 } else { 6 })
                }
                _ => time::seconds(nanos),
            });
            let ticks = ticks.ok_or_else(|| refuse(Reason::BadDatetime))?;
            column.put_integer(ticks.into()).ok_or_else(mismatch)
        }
        _ => Err(mismatch()),
    }
}

/// Puts a number's token.
fn put_number(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    let refuse = |reason| fault(reason, expected(ty), token);
    let mismatch = || refuse(Reason::TypeMismatch);
    match &ty.kind {
        Kind::Int(_) | Kind::WideInt(_) => put_integer(column, ty, token, token),
        Kind::Float32 | Kind::Float64 if rules.is_member && is_long_integer(token) => {
            Err(refuse(Reason::OutOfRange))
        }
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => {
            column.put_float(token).ok_or_else(|| refuse(Reason::OutOfRange))
        }
        Kind::Decimal { .. } => put_text(column, ty, rules, token, token),
        Kind::DateTime { .. } | Kind::DateTime64 { .. } => {
            let Some(unit) = rules.unit else {
                let hint = format!("{}; for numbers set TIMESTAMP_UNIT", expected(ty));
                return Err(fault(Reason::TypeMismatch, hint, token));
            };
            let number = integer(token).map_err(|misfit| match misfit {
                Misfit::Range => refuse(Reason::OutOfRange),
                Misfit::Fraction | Misfit::NotANumber => mismatch(),
            })?;
            let nanos = date::nanos_of_number(number, unit);
            let ticks = nanos.and_then(|nanos| ticks(&ty.kind, nanos));
            let ticks = ticks.ok_or_else(|| refuse(Reason::OutOfRange))?;
            column.put_integer(ticks.into()).ok_or_else(mismatch)
        }
        _ => Err(mismatch()),
    }
}

/// Puts the integer that `number` reads as; `token` is for the fault.
fn put_integer(
    column: &mut Column,
    ty: &Type,
    number: &str,
    token: &str,
) -> Result<(), Box<Fault>> {
    let refuse = |reason| fault(reason, expected(ty), token);
    let put = match &ty.kind {
        Kind::WideInt(kind) => Wide::integer(number).map(|value| column.put_wide(value, *kind)),
        _ => integer(number).map(|value| column.put_integer(value)),
    };
    match put {
        Ok(put) => put.ok_or_else(|| refuse(Reason::OutOfRange)),
        Err(Misfit::Range) => Err(refuse(Reason::OutOfRange)),
        Err(Misfit::Fraction | Misfit::NotANumber) => Err(refuse(Reason::TypeMismatch)),
    }
}

fn ticks(kind: &Kind, nanos: i128) -> Option<i64> {
    match kind {
        Kind::DateTime64 { precision, .. } => {
            let unit_digits = match precision {
                0 => 0,
                1..=3 => 3,
                4..=6 => 6,
                _ => 9,
            };
            date::ticks(nanos, *precision, unit_digits)
        }
        _ => date::seconds(nanos),
    }
}

/// The text of a string's token, escapes resolved; `None` for an escape that is no character.
pub fn text_of(token: &str) -> Option<Cow<'_, str>> {
    let inner = token.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(token).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}
