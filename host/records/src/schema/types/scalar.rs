//! Types without nested types, and the shapes of geometry.

use chrono_tz::Tz;

use super::parse::{malformed, unsupported};
use super::{Element, IntKind, Kind, TypeError, WideInt};
use crate::schema::quoted::unquote;

/// A type without nested types.
pub fn scalar(name: &str, args: &[&str], text: &str) -> Result<Kind, TypeError> {
    let malformed = |problem: &str| malformed(text, problem);
    let number = |arg: &str| arg.parse::<u32>().map_err(|_| malformed("expected a number"));
    let precision =
        |arg: &str| digits(number(arg)?, 9).ok_or_else(|| malformed("precision over 9"));
    Ok(match (name, args) {
        ("FixedString", [width]) => {
            let width = i32::try_from(number(width)?).ok().filter(|width| *width > 0);
            Kind::FixedString(width.ok_or_else(|| malformed("expected a width above 0"))?)
        }
        ("DateTime", []) => Kind::DateTime { zone: None },
        ("DateTime", [zone]) => Kind::DateTime { zone: Some(parse_zone(zone, text)?) },
        ("DateTime64", [digits, zone @ ..]) => Kind::DateTime64 {
            precision: precision(digits)?,
            zone: zone.first().map(|zone| parse_zone(zone, text)).transpose()?,
        },
        ("Time64", [digits]) => Kind::Time64 { precision: precision(digits)? },
        ("Decimal", [precision, scale]) => decimal(number(precision)?, number(scale)?, text)?,
        ("Decimal32", [scale]) => decimal(9, number(scale)?, text)?,
        ("Decimal64", [scale]) => decimal(18, number(scale)?, text)?,
        ("Decimal128", [scale]) => decimal(38, number(scale)?, text)?,
        ("Decimal256", [scale]) => decimal(76, number(scale)?, text)?,
        ("Enum8" | "Enum16", labels) => {
            parse_labels(labels).ok_or_else(|| malformed("expected labels such as 'a' = 1"))?
        }
        (name, []) => plain(name).ok_or_else(|| unsupported(text))?,
        _ => return Err(unsupported(text)),
    })
}

fn plain(name: &str) -> Option<Kind> {
    Some(match name {
        "Int8" => Kind::Int(IntKind::I8),
        "Int16" => Kind::Int(IntKind::I16),
        "Int32" => Kind::Int(IntKind::I32),
        // An Interval is stored as its count.
        "Int64"
        | "IntervalNanosecond"
        | "IntervalMicrosecond"
        | "IntervalMillisecond"
        | "IntervalSecond"
        | "IntervalMinute"
        | "IntervalHour"
        | "IntervalDay"
        | "IntervalWeek"
        | "IntervalMonth"
        | "IntervalQuarter"
        | "IntervalYear" => Kind::Int(IntKind::I64),
        "UInt8" => Kind::Int(IntKind::U8),
        "UInt16" => Kind::Int(IntKind::U16),
        "UInt32" => Kind::Int(IntKind::U32),
        "UInt64" => Kind::Int(IntKind::U64),
        "Int128" => Kind::WideInt(WideInt::I128),
        "Int256" => Kind::WideInt(WideInt::I256),
        "UInt128" => Kind::WideInt(WideInt::U128),
        "UInt256" => Kind::WideInt(WideInt::U256),
        "Float32" => Kind::Float32,
        "Float64" => Kind::Float64,
        "BFloat16" => Kind::BFloat16,
        "Bool" => Kind::Bool,
        "String" => Kind::String,
        "UUID" => Kind::Uuid,
        "IPv4" => Kind::Ipv4,
        "IPv6" => Kind::Ipv6,
        "Date" => Kind::Date,
        "Date32" => Kind::Date32,
        "Time" => Kind::Time,
        "Point" => point(),
        "Ring" | "LineString" => array_of(point()),
        "Polygon" | "MultiLineString" => array_of(array_of(point())),
        "MultiPolygon" => array_of(array_of(array_of(point()))),
        _ => return None,
    })
}

/// A Point is a Tuple of x and y.
pub fn point() -> Kind {
    let axis = || Element { name: None, ty: Kind::Float64.into() };
    Kind::Tuple([axis(), axis()].into())
}

/// An Array of values that are not Nullable.
pub fn array_of(kind: Kind) -> Kind {
    Kind::Array(Box::new(kind.into()))
}

fn digits(number: u32, most: u8) -> Option<u8> {
    u8::try_from(number).ok().filter(|number| *number <= most)
}

fn decimal(precision: u32, scale: u32, text: &str) -> Result<Kind, TypeError> {
    let precision = digits(precision, 76).filter(|p| *p > 0).ok_or_else(|| unsupported(text))?;
    let scale = digits(scale, precision).ok_or_else(|| unsupported(text))?;
    Ok(Kind::Decimal { precision, scale })
}

fn parse_zone(quoted: &str, text: &str) -> Result<Tz, TypeError> {
    let name = unquote(quoted).unwrap_or_default();
    name.parse().map_err(|_| TypeError::Malformed {
        text: text.into(),
        problem: format!("time zone {quoted} is unknown"),
    })
}

fn parse_labels(args: &[&str]) -> Option<Kind> {
    let mut labels = Vec::with_capacity(args.len());
    for arg in args {
        let (label, number) = arg.rsplit_once('=')?;
        labels.push((number.trim().parse::<i16>().ok()?, unquote(label.trim())?));
    }
    labels.sort();
    let numbers = labels.iter().map(|(number, _)| *number).collect();
    let is_empty = labels.is_empty();
    let texts = labels.into_iter().map(|(_, label)| label.into_boxed_str()).collect();
    (!is_empty).then_some(Kind::Enum(texts, numbers))
}
