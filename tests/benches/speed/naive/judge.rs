//! Whether a value fits its column, and what it is there.

use chrono::{DateTime, NaiveDateTime};
use serde_json::{Number, Value};
use sluicegate::schema::types::{IntKind, Kind, Type};

/// A value that fits.
pub enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
    Bytes(Vec<u8>),
    List(Vec<Cell<'a>>),
    Struct(Vec<Cell<'a>>),
    Map(Vec<(&'a str, Cell<'a>)>),
}

/// The value as a cell; `None` where the type does not take it.
pub fn judge<'a>(ty: &Type, value: &'a Value) -> Option<Cell<'a>> {
    match (&ty.kind, value) {
        (_, Value::Null) => ty.is_nullable.then_some(Cell::Null),
        (Kind::Int(kind), Value::Number(number)) => {
            let number = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from))?;
            fits(*kind, number).then_some(Cell::Int(number))
        }
        (Kind::Float32 | Kind::Float64, Value::Number(number)) => number.as_f64().map(Cell::Float),
        (Kind::Bool, Value::Bool(value)) => Some(Cell::Bool(*value)),
        (Kind::String, Value::String(text)) => Some(Cell::Text(text)),
        (Kind::FixedString(width), Value::String(text)) => {
            let (mut bytes, width) = (text.clone().into_bytes(), usize::try_from(*width).ok()?);
            (bytes.len() <= width).then(|| bytes.resize(width, 0))?;
            Some(Cell::Bytes(bytes))
        }
        (Kind::Uuid, Value::String(text)) => {
            let id = uuid::Uuid::parse_str(text).ok()?;
            Some(Cell::Bytes(id.as_bytes().to_vec()))
        }
        (Kind::DateTime { .. }, Value::String(text)) => {
            Some(Cell::Int(time(text)?.timestamp().into()))
        }
        (Kind::DateTime64 { precision: 3, .. }, Value::String(text)) => {
            Some(Cell::Int(time(text)?.timestamp_millis().into()))
        }
        (Kind::Decimal { precision, scale }, Value::Number(number)) => {
            Some(Cell::Int(decimal(number, *precision, *scale)?))
        }
        (Kind::Enum(labels, _), Value::String(text)) => {
            labels.iter().any(|label| **label == **text).then_some(Cell::Text(text))
        }
        (Kind::Array(element), Value::Array(values)) => Some(Cell::List(
            values.iter().map(|value| judge(element, value)).collect::<Option<_>>()?,
        )),
        (Kind::Map(_, of), Value::Object(fields)) => {
            let entries = fields.iter().map(|(key, value)| Some((key.as_str(), judge(of, value)?)));
            Some(Cell::Map(entries.collect::<Option<_>>()?))
        }
        (Kind::Tuple(elements), Value::Object(fields)) => {
            let cells = elements.iter().map(|element| {
                let value = element.name.as_deref().and_then(|name| fields.get(name));
                judge(&element.ty, value.unwrap_or(&Value::Null))
            });
            Some(Cell::Struct(cells.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn fits(kind: IntKind, number: i128) -> bool {
    match kind {
        IntKind::I8 => i8::try_from(number).is_ok(),
        IntKind::I16 => i16::try_from(number).is_ok(),
        IntKind::I32 => i32::try_from(number).is_ok(),
        IntKind::I64 => i64::try_from(number).is_ok(),
        IntKind::U8 => u8::try_from(number).is_ok(),
        IntKind::U16 => u16::try_from(number).is_ok(),
        IntKind::U32 => u32::try_from(number).is_ok(),
        IntKind::U64 => u64::try_from(number).is_ok(),
    }
}

fn time(text: &str) -> Option<DateTime<chrono::Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    Some(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc())
}

/// The number's digits without the point, with as many behind it as the scale has.
fn decimal(number: &Number, precision: u8, scale: u8) -> Option<i128> {
    let (text, scale) = (number.to_string(), usize::from(scale));
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{whole}{part:0<scale$}");
    let is_fit = part.len() <= scale && digits.len() <= usize::from(precision);
    is_fit.then(|| digits.parse().ok()).flatten()
}
