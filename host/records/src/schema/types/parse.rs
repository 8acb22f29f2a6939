//! The parser of ClickHouse's type texts, as `system.columns` prints them.

use std::cell::Cell;
use std::sync::Arc;

use super::scalar::{array_of, scalar};
use super::{Element, IntKind, Kind, Type, TypeError};
use crate::schema::quoted::{leading_name, split_arguments};

/// Types nested deeper are refused; ClickHouse itself stops far earlier.
const MAX_DEPTH: usize = 64;

/// Longest type text, bytes: four times ClickHouse's default limit for a statement.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Most types, nested ones included, in the columns of a table or the fields of plugins: each takes some hundred bytes
/// before a row is read.
pub const MAX_PARTS: usize = 20_000;

/// Counts the types of several columns.
#[derive(Debug, Default)]
pub struct TypeCount(Cell<usize>);

impl TypeCount {
    /// Whether there were too many.
    pub fn is_full(&self) -> bool {
        self.0.get() > MAX_PARTS
    }

    /// Counts one more type; `text` is its text.
    fn count(&self, text: &str) -> Result<(), TypeError> {
        self.0.set(self.0.get() + 1);
        match self.is_full() {
            true => Err(malformed(text, &format!("with it there are more than {MAX_PARTS} types"))),
            false => Ok(()),
        }
    }
}

/// The context of a type.
#[derive(Debug, Clone, Copy)]
struct TypePlace<'a> {
    depth: usize,
    /// Within a Variant.
    is_member: bool,
    parts: &'a TypeCount,
}

impl TypePlace<'_> {
    fn within(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

/// Parses a type text.
///
/// # Errors
/// [`TypeError::Unsupported`] names the unsupported part; never panics.
pub fn parse(text: &str) -> Result<Type, TypeError> {
    parse_as_part(text, &TypeCount::default())
}

/// The same for one of several types, which are counted together.
///
/// # Errors
/// As [`parse`], or there are too many types.
pub fn parse_as_part(text: &str, parts: &TypeCount) -> Result<Type, TypeError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(malformed(text, &format!("its text is longer than {MAX_TEXT_BYTES} bytes")));
    }
    parse_at(text.trim(), TypePlace { depth: 0, is_member: false, parts })
}

fn parse_at(text: &str, place: TypePlace<'_>) -> Result<Type, TypeError> {
    let malformed = |problem: &str| malformed(text, problem);
    place.parts.count(text)?;
    if place.depth > MAX_DEPTH {
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
        Some(inner) => {
            split_arguments(inner).ok_or_else(|| malformed("quotes or brackets do not match"))?
        }
    };
    if place.is_member && !is_member(name, &args) {
        return Err(TypeError::Unsupported { text: beginning(text), place: " within Variant" });
    }
    let kind = match (name, args.as_slice()) {
        ("Nullable", [inner]) => {
            let inner = parse_at(inner, place.within())?;
            if inner.is_nullable || matches!(inner.kind, Kind::Array(_) | Kind::Map(..)) {
                return Err(malformed("Nullable cannot hold this type"));
            }
            return Ok(Type { is_nullable: true, ..inner });
        }
        ("LowCardinality", [inner]) => {
            let inner = parse_at(inner, place.within())?;
            let is_text = matches!(inner.kind, Kind::Uuid | Kind::WideInt(_));
            return Ok(Type { is_text, ..inner });
        }
        // Rows hold values of the inner type; the function is for merges.
        ("SimpleAggregateFunction", [_function, inner]) => return parse_at(inner, place.within()),
        ("Array", [element]) => Kind::Array(Box::new(parse_at(element, place.within())?)),
        ("Map", [key, value]) => parse_map(key, value, place, text)?,
        ("Tuple" | "Nested", [] | [""]) => return Err(unsupported(text)),
        ("Tuple", args) => Kind::Tuple(parse_elements(args, place, text)?),
        // Printed so with flatten_nested=0; otherwise each element is a column of its own.
        ("Nested", args) => array_of(Kind::Tuple(parse_elements(args, place, text)?)),
        ("JSON", args) => Kind::Json(parse_paths(args, place)?),
        ("Variant", args) => {
            let kind = Kind::Variant(parse_members(args, place, text)?);
            return Ok(Type { is_nullable: true, ..kind.into() });
        }
        ("Dynamic", [] | [_]) => {
            let kind = Kind::Dynamic(members_of_json());
            return Ok(Type { is_nullable: true, ..kind.into() });
        }
        ("Nullable" | "LowCardinality" | "Array", _) => {
            return Err(malformed("expected one argument"));
        }
        (name, args) => scalar(name, args, text)?,
    };
    Ok(kind.into())
}

pub fn malformed(text: &str, problem: &str) -> TypeError {
    TypeError::Malformed { text: beginning(text), problem: problem.into() }
}

pub fn unsupported(text: &str) -> TypeError {
    TypeError::Unsupported { text: beginning(text), place: "" }
}

/// The beginning of a type's text, for an error.
fn beginning(text: &str) -> String {
    text.chars().take(200).collect()
}

fn parse_map(key: &str, value: &str, place: TypePlace<'_>, text: &str) -> Result<Kind, TypeError> {
    let (key, value) = (parse_at(key, place.within())?, parse_at(value, place.within())?);
    match &key.kind {
        Kind::Array(_)
        | Kind::Map(..)
        | Kind::Tuple(_)
        | Kind::Json(_)
        | Kind::Variant(_)
        | Kind::Dynamic(_) => Err(unsupported(text)),
        _ if key.is_nullable => Err(malformed(text, "a key cannot be Nullable")),
        _ => Ok(()),
    }?;
    Ok(Kind::Map(Box::new(key), Box::new(value)))
}

fn parse_elements(
    args: &[&str],
    place: TypePlace<'_>,
    text: &str,
) -> Result<Arc<[Element]>, TypeError> {
    let mut elements = Vec::with_capacity(args.len());
    for arg in args {
        let (name, ty) = match leading_name(arg) {
            Some((name, ty)) => (Some(name.into_boxed_str()), ty),
            None => (None, *arg),
        };
        elements.push(Element { name, ty: parse_at(ty, place.within())? });
    }
    let named = elements.iter().filter(|element| element.name.is_some()).count();
    if named != 0 && named != elements.len() {
        return Err(malformed(text, "some elements have names and some have none"));
    }
    Ok(elements.into())
}

/// The typed paths of a JSON. Skipped paths and limits concern only the server.
fn parse_paths(args: &[&str], place: TypePlace<'_>) -> Result<Arc<[Element]>, TypeError> {
    let is_own = |arg: &str| arg.starts_with("SKIP ") || arg.starts_with("max_dynamic_");
    let mut paths = Vec::new();
    for arg in args.iter().filter(|arg| !is_own(arg)) {
        let (path, text) = leading_name(arg).ok_or_else(|| malformed(arg, "expected a path"))?;
        let ty = parse_at(text, place.within())?;
        if !is_path(&ty) {
            return Err(TypeError::Unsupported { text: beginning(text), place: " within JSON" });
        }
        paths.push(Element { name: Some(path.into()), ty });
    }
    Ok(paths.into())
}

/// Whether the server reads values of a type within JSON as sluicegate does. It reads Decimals, for one, by way of a
/// float.
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
        | Kind::Json(_)
        | Kind::Variant(_)
        | Kind::Dynamic(_) => false,
        _ => true,
    }
}

/// The members of a Variant, few enough for Arrow to number them and a null.
fn parse_members(
    args: &[&str],
    place: TypePlace<'_>,
    text: &str,
) -> Result<Arc<[Type]>, TypeError> {
    if args.is_empty() || args.len() >= 127 {
        return Err(unsupported(text));
    }
    let place = TypePlace { is_member: true, ..place.within() };
    args.iter().map(|arg| parse_at(arg, place)).collect()
}

/// Whether the server maps what is sent to this very type. Within a Variant it casts nothing, and takes other types for
/// their nearest kin: a Date for a Date32, an IPv4 for a UInt32.
fn is_member(name: &str, args: &[&str]) -> bool {
    match name {
        "DateTime64" => matches!(args.first(), Some(&("0" | "3" | "6" | "9"))),
        "Time64" => matches!(args.first(), Some(&("6" | "9"))),
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64"
        | "Float32" | "Float64" | "Bool" | "String" | "FixedString" | "UUID" | "Date32"
        | "Decimal" | "Array" | "Map" | "Tuple" | "Nullable" => true,
        _ => false,
    }
}

/// The types of a Dynamic that JSON can supply: scalars, and arrays of one kind of them.
fn members_of_json() -> Arc<[Type]> {
    let scalars = || {
        let (int, uint) = (Kind::Int(IntKind::I64), Kind::Int(IntKind::U64));
        [int, uint, Kind::Float64, Kind::Bool, Kind::String].into_iter().map(Type::from)
    };
    let nullable = |ty: Type| Box::new(Type { is_nullable: true, ..ty });
    scalars().chain(scalars().map(|ty| Kind::Array(nullable(ty)).into())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::WideInt;
    use super::super::scalar::point;
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

    fn labels(labels: &[(&str, i16)]) -> Kind {
        let texts = labels.iter().map(|(label, _)| Box::from(*label)).collect();
        Kind::Enum(texts, labels.iter().map(|(_, number)| *number).collect())
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
            ("Enum8('b' = 2, 'a' = 1)", of(labels(&[("a", 1), ("b", 2)]))),
            (r"Enum16('it\'s, (so)' = -5, '' = 300)", of(labels(&[("it's, (so)", -5), ("", 300)]))),
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
                of(map(labels(&[("a,(", 1)]), of(map(Kind::Date, of(Kind::Uuid))))),
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
            (
                "Variant(Array(Nullable(String)), DateTime64(3, 'Europe/Berlin'), UUID)",
                nullable(Kind::Variant(
                    [
                        of(Kind::Array(Box::new(nullable(Kind::String)))),
                        of(Kind::DateTime64 { precision: 3, zone: berlin }),
                        of(Kind::Uuid),
                    ]
                    .into(),
                )),
            ),
            ("Dynamic", nullable(Kind::Dynamic(members_of_json()))),
            (
                "Array(Dynamic(max_types=2))",
                of(Kind::Array(Box::new(nullable(Kind::Dynamic(members_of_json()))))),
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
            "Map(Dynamic, Int8)",
            "JSON(a Dynamic)",
            "Variant(Date, String)",
            "Variant(Array(LowCardinality(String)), Int8)",
            "Variant(DateTime64(2), Int8)",
            "Variant(Map(String, IPv4), Int8)",
            "Variant(Dynamic)",
            "Variant(Point, String)",
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
            "Nullable(Dynamic)",
            "Array(Int8, Int8)",
            "Enum8(a)",
        ] {
            assert!(matches!(parse(text), Err(TypeError::Malformed { .. })), "{text}");
        }
        let long = format!("Enum16({})", vec!["'a' = 1"; 200_000].join(", "));
        assert!(matches!(parse(&long), Err(TypeError::Malformed { .. })));
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
