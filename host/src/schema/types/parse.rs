//! The parser of ClickHouse's type texts, as `system.columns` prints them.

use std::sync::Arc;

use chrono_tz::Tz;

use super::{Element, IntKind, Kind, Type, TypeError, WideInt};
use crate::schema::quoted::{leading_name, split, unquote};

/// Types nested deeper than this are refused; ClickHouse itself stops far earlier.
const MAX_DEPTH: usize = 64;

/// Parses a type text.
///
/// # Errors
/// [`TypeError::Unsupported`] names the part that is not filled; never panics.
pub fn parse(text: &str) -> Result<Type, TypeError> {
    parse_at(text.trim(), 0)
}

fn parse_at(text: &str, depth: usize) -> Result<Type, TypeError> {
    let malformed = |problem: &str| malformed(text, problem);
    if depth > MAX_DEPTH {
        return Err(malformed("nested too deeply"));
    }
    let (name, inner) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(|| malformed("a `)` is missing"))?;
            (name.trim(), Some(inner))
        }
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ' ') {
        return Err(malformed("expected a type's name"));
    }
    let args = match inner {
        None => Vec::new(),
        Some(inner) => split(inner).ok_or_else(|| malformed("quotes or brackets do not match"))?,
    };
    let one = || match args.as_slice() {
        [arg] => Ok(*arg),
        _ => Err(malformed("expected one argument")),
    };
    let number = |arg: &str| arg.parse::<u32>().map_err(|_| malformed("expected a number"));
    let kind = match (name, args.as_slice()) {
        ("Nullable", _) => {
            let inner = parse_at(one()?, depth + 1)?;
            if inner.is_nullable || matches!(inner.kind, Kind::Array(_) | Kind::Map(..)) {
                return Err(malformed("Nullable cannot hold this type"));
            }
            return Ok(Type { is_nullable: true, ..inner });
        }
        ("LowCardinality", _) => {
            let inner = parse_at(one()?, depth + 1)?;
            let is_text = matches!(inner.kind, Kind::Uuid | Kind::WideInt(_));
            return Ok(Type { is_text, ..inner });
        }
        // Rows hold values of the type; the function is for merges.
        ("SimpleAggregateFunction", [_function, ty]) => return parse_at(ty, depth + 1),
        ("Array", _) => Kind::Array(Box::new(parse_at(one()?, depth + 1)?)),
        ("Map", [key, value]) => parse_map(key, value, depth, text)?,
        ("Tuple" | "Nested", [] | [""]) => return Err(unsupported(text)),
        ("Tuple", args) => Kind::Tuple(parse_elements(args, depth, text)?),
        // As printed with flatten_nested=0; otherwise each element is a column of its own.
        ("Nested", args) => {
            let row = Kind::Tuple(parse_elements(args, depth, text)?);
            array_of(row)
        }
        ("FixedString", _) => {
            let width = number(one()?)?;
            let width = i32::try_from(width).ok().filter(|width| *width > 0);
            Kind::FixedString(width.ok_or_else(|| malformed("expected a width above 0"))?)
        }
        ("DateTime", []) => Kind::DateTime { zone: None },
        ("DateTime", [zone]) => Kind::DateTime { zone: Some(parse_zone(zone, text)?) },
        ("DateTime64", [precision, zone @ ..]) => Kind::DateTime64 {
            precision: digits(number(precision)?, 9)
                .ok_or_else(|| malformed("precision over 9"))?,
            zone: zone.first().map(|zone| parse_zone(zone, text)).transpose()?,
        },
        ("Time64", [precision]) => Kind::Time64 {
            precision: digits(number(precision)?, 9)
                .ok_or_else(|| malformed("precision over 9"))?,
        },
        ("Decimal", [precision, scale]) => decimal(number(precision)?, number(scale)?, text)?,
        ("Decimal32", [scale]) => decimal(9, number(scale)?, text)?,
        ("Decimal64", [scale]) => decimal(18, number(scale)?, text)?,
        ("Decimal128", [scale]) => decimal(38, number(scale)?, text)?,
        ("Decimal256", [scale]) => decimal(76, number(scale)?, text)?,
        ("Enum8" | "Enum16", labels) => Kind::Enum(
            parse_labels(labels).ok_or_else(|| malformed("expected labels such as 'a' = 1"))?,
        ),
        ("JSON", args) => Kind::Json(parse_paths(args, depth)?),
        (name, []) => plain(name).ok_or_else(|| unsupported(text))?,
        _ => return Err(unsupported(text)),
    };
    Ok(kind.into())
}

fn malformed(text: &str, problem: &str) -> TypeError {
    TypeError::Malformed { text: text.chars().take(200).collect(), problem: problem.into() }
}

fn unsupported(text: &str) -> TypeError {
    TypeError::Unsupported { text: text.into(), place: "" }
}

fn parse_map(key: &str, value: &str, depth: usize, text: &str) -> Result<Kind, TypeError> {
    let (key, value) = (parse_at(key, depth + 1)?, parse_at(value, depth + 1)?);
    if key.is_nullable {
        return Err(malformed(text, "a key cannot be Nullable"));
    }
    if matches!(key.kind, Kind::Array(_) | Kind::Map(..) | Kind::Tuple(_) | Kind::Json(_)) {
        return Err(unsupported(text));
    }
    Ok(Kind::Map(Box::new(key), Box::new(value)))
}

fn parse_elements(args: &[&str], depth: usize, text: &str) -> Result<Arc<[Element]>, TypeError> {
    let mut elements = Vec::with_capacity(args.len());
    for arg in args {
        let (name, ty) = match leading_name(arg) {
            Some((name, ty)) => (Some(name.into_boxed_str()), ty),
            None => (None, *arg),
        };
        elements.push(Element { name, ty: parse_at(ty, depth + 1)? });
    }
    let named = elements.iter().filter(|element| element.name.is_some()).count();
    if named != 0 && named != elements.len() {
        return Err(malformed(text, "some elements have names and some have none"));
    }
    Ok(elements.into())
}

/// The paths of a JSON that have a type. Those that it skips and its limits are the server's own.
fn parse_paths(args: &[&str], depth: usize) -> Result<Arc<[Element]>, TypeError> {
    let is_own = |arg: &str| arg.starts_with("SKIP ") || arg.starts_with("max_dynamic_");
    let mut paths = Vec::new();
    for arg in args.iter().filter(|arg| !is_own(arg)) {
        let (path, text) = leading_name(arg).ok_or_else(|| malformed(arg, "expected a path"))?;
        let ty = parse_at(text, depth + 1)?;
        if !is_path(&ty) {
            return Err(TypeError::Unsupported { text: text.into(), place: " within JSON" });
        }
        paths.push(Element { name: Some(path.into()), ty });
    }
    Ok(paths.into())
}

/// Whether the server reads values of a type within JSON as sluicegate does. Decimals, for one,
/// it reads by way of a float.
fn is_path(ty: &Type) -> bool {
    match &ty.kind {
        Kind::Array(element) => is_path(element),
        Kind::WideInt(_)
        | Kind::BFloat16
        | Kind::Decimal { .. }
        | Kind::Time
        | Kind::Time64 { .. }
        | Kind::Map(..)
        | Kind::Tuple(_)
        | Kind::Json(_) => false,
        _ => true,
    }
}

fn plain(name: &str) -> Option<Kind> {
    Some(match name {
        "Int8" => Kind::Int(IntKind::I8),
        "Int16" => Kind::Int(IntKind::I16),
        "Int32" => Kind::Int(IntKind::I32),
        "Int64" => Kind::Int(IntKind::I64),
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
        "IntervalNanosecond"
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
        "Point" => point(),
        "Ring" | "LineString" => array_of(point()),
        "Polygon" | "MultiLineString" => array_of(array_of(point())),
        "MultiPolygon" => array_of(array_of(array_of(point()))),
        _ => return None,
    })
}

/// A Point is a Tuple of x and y.
fn point() -> Kind {
    let axis = || Element { name: None, ty: Kind::Float64.into() };
    Kind::Tuple([axis(), axis()].into())
}

fn array_of(kind: Kind) -> Kind {
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

fn parse_labels(args: &[&str]) -> Option<Arc<[Box<str>]>> {
    let mut labels = Vec::with_capacity(args.len());
    for arg in args {
        let (label, number) = arg.rsplit_once('=')?;
        labels.push((number.trim().parse::<i16>().ok()?, unquote(label.trim())?));
    }
    labels.sort();
    (!labels.is_empty()).then(|| labels.into_iter().map(|(_, l)| l.into_boxed_str()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(kind: Kind) -> Type {
        kind.into()
    }

    fn nullable(kind: Kind) -> Type {
        Type { is_nullable: true, ..of(kind) }
    }

    fn map(key: Kind, value: Type) -> Kind {
        Kind::Map(Box::new(of(key)), Box::new(value))
    }

    fn tuple(elements: &[(Option<&str>, Type)]) -> Kind {
        let element = |(name, ty): &(Option<&str>, Type)| Element {
            name: name.map(Box::from),
            ty: ty.clone(),
        };
        Kind::Tuple(elements.iter().map(element).collect())
    }

    fn labels(labels: &[&str]) -> Kind {
        Kind::Enum(labels.iter().map(|label| Box::from(*label)).collect())
    }

    #[test]
    fn each_type_text_yields_its_tree() {
        let berlin = Some(chrono_tz::Europe::Berlin);
        let table = [
            ("Int8", of(Kind::Int(IntKind::I8))),
            ("UInt64", of(Kind::Int(IntKind::U64))),
            ("Int256", of(Kind::WideInt(WideInt::I256))),
            ("Float32", of(Kind::Float32)),
            ("Nullable(Bool)", nullable(Kind::Bool)),
            ("LowCardinality(String)", of(Kind::String)),
            ("LowCardinality(Nullable(String))", nullable(Kind::String)),
            ("FixedString(16)", of(Kind::FixedString(16))),
            ("DateTime", of(Kind::DateTime { zone: None })),
            ("DateTime('Europe/Berlin')", of(Kind::DateTime { zone: berlin })),
            ("DateTime64(3)", of(Kind::DateTime64 { precision: 3, zone: None })),
            ("DateTime64(9, 'Europe/Berlin')", of(Kind::DateTime64 { precision: 9, zone: berlin })),
            ("Decimal(12, 4)", of(Kind::Decimal { precision: 12, scale: 4 })),
            ("Decimal(76, 76)", of(Kind::Decimal { precision: 76, scale: 76 })),
            ("Decimal64(2)", of(Kind::Decimal { precision: 18, scale: 2 })),
            ("Enum8('b' = 2, 'a' = 1)", of(labels(&["a", "b"]))),
            (r"Enum16('it\'s, (so)' = -5, '' = 300)", of(labels(&["it's, (so)", ""]))),
            ("Array(Nullable(UUID))", of(Kind::Array(Box::new(nullable(Kind::Uuid))))),
            (
                "Array(Array(Date32))",
                of(Kind::Array(Box::new(of(Kind::Array(Box::new(of(Kind::Date32))))))),
            ),
            (
                "Map(LowCardinality(String), Nullable(Bool))",
                of(map(Kind::String, nullable(Kind::Bool))),
            ),
            (
                "Map(Enum8('a,(' = 1), Map(Date, UUID))",
                of(map(labels(&["a,("]), of(map(Kind::Date, of(Kind::Uuid))))),
            ),
            (
                "Tuple(Nullable(Bool), Decimal(12, 4))",
                of(tuple(&[
                    (None, nullable(Kind::Bool)),
                    (None, of(Kind::Decimal { precision: 12, scale: 4 })),
                ])),
            ),
            (
                r"Tuple(`a b` Bool, `c\`,(` Array(Tuple(d Date)), Nullable String)",
                of(tuple(&[
                    (Some("a b"), of(Kind::Bool)),
                    (Some("c`,("), of(array_of(tuple(&[(Some("d"), of(Kind::Date))])))),
                    (Some("Nullable"), of(Kind::String)),
                ])),
            ),
            ("Nullable(Tuple(a Bool))", nullable(tuple(&[(Some("a"), of(Kind::Bool))]))),
            ("Nested(a Bool)", of(array_of(tuple(&[(Some("a"), of(Kind::Bool))])))),
            ("LowCardinality(IPv6)", of(Kind::Ipv6)),
            ("LowCardinality(UUID)", Type { is_text: true, ..of(Kind::Uuid) }),
            (
                "LowCardinality(Nullable(UInt256))",
                Type { is_text: true, ..nullable(Kind::WideInt(WideInt::U256)) },
            ),
            ("Array(Nullable(IPv4))", of(Kind::Array(Box::new(nullable(Kind::Ipv4))))),
            ("Nullable(Time)", nullable(Kind::Time)),
            ("Time64(3)", of(Kind::Time64 { precision: 3 })),
            ("BFloat16", of(Kind::BFloat16)),
            ("IntervalQuarter", of(Kind::Int(IntKind::I64))),
            ("Point", of(tuple(&[(None, of(Kind::Float64)), (None, of(Kind::Float64))]))),
            ("LineString", of(array_of(point()))),
            ("MultiPolygon", of(array_of(array_of(array_of(point()))))),
            ("JSON", of(Kind::Json([].into()))),
            (
                "Nullable(JSON(max_dynamic_types=3, `a.b,` UInt8, c Array(UUID), SKIP `q, r`))",
                nullable(Kind::Json(
                    [
                        Element { name: Some("a.b,".into()), ty: of(Kind::Int(IntKind::U8)) },
                        Element { name: Some("c".into()), ty: of(array_of(Kind::Uuid)) },
                    ]
                    .into(),
                )),
            ),
            ("SimpleAggregateFunction(sum, UInt64)", of(Kind::Int(IntKind::U64))),
            (
                "SimpleAggregateFunction(groupArrayArray(3), Array(Nullable(Bool)))",
                of(Kind::Array(Box::new(nullable(Kind::Bool)))),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_type_that_is_not_filled_is_told_from_one_that_is_none() {
        for text in [
            "Int512",
            "Decimal(77, 2)",
            "Decimal(5, 6)",
            "JSON(a Decimal(10, 2))",
            "JSON(a Array(Time))",
            "Map(JSON, Int8)",
            "Object('json')",
            "Geometry",
            "Array(Geometry)",
            "AggregateFunction(sum, UInt64)",
            "Map(String, AggregateFunction(quantiles(0.5, 0.9), Float64))",
            "QBit(Float32, 8)",
            "Map(Array(Int8), Int8)",
            "Tuple(a Int8, b Whatever)",
            "Tuple()",
            "Tuple",
        ] {
            assert!(matches!(parse(text), Err(TypeError::Unsupported { .. })), "{text}");
        }
        for text in [
            "",
            "Array(",
            "Nullable(Array(Int8))",
            "Nullable(Map(Int8, Int8))",
            "Map(Nullable(Int8), Int8)",
            "Tuple(a Int8, Int8)",
            "Tuple(`a Int8)",
            "DateTime('Nowhere/X')",
            "DateTime64(10)",
            "Time64(10)",
            "JSON(a)",
            "Enum8(a)",
        ] {
            assert!(matches!(parse(text), Err(TypeError::Malformed { .. })), "{text}");
        }
        let deep = format!("{}Int8{}", "Array(".repeat(500), ")".repeat(500));
        assert!(matches!(parse(&deep), Err(TypeError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"((Map|Tuple|Array)\()?[A-Za-z0-9_(),'`= \\é]{0,60}") {
            let _parsed = parse(&text);
        }
    }
}
