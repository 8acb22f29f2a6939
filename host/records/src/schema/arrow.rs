//! The Arrow type sent for each ClickHouse type: the one whose values the server takes unchanged (measured on 26.7). It
//! would cast any wider type without an error.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field, TimeUnit, UnionMode};

use super::ranges::unit_digits;
use super::types::{IntKind, Kind, Type};

/// The Arrow type of a column.
pub fn data_type(ty: &Type) -> DataType {
    sent_as(ty, ValuePlace::Column)
}

/// The context of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValuePlace {
    /// A column: the server casts to its type where it must.
    Column,
    /// A Variant or Dynamic: only the Arrow type tells the server the member, so it carries which parts hold null, the
    /// time zone, and that 16 bytes are a UUID.
    Member,
}

fn sent_as(ty: &Type, place: ValuePlace) -> DataType {
    match &ty.kind {
        _ if ty.is_text => DataType::Utf8,
        Kind::Int(IntKind::I8) => DataType::Int8,
        Kind::Int(IntKind::I16) => DataType::Int16,
        // Not Time32: the server refuses its seconds, and milliseconds end before 600 hours.
        Kind::Int(IntKind::I32) | Kind::Time => DataType::Int32,
        Kind::Int(IntKind::I64) => DataType::Int64,
        Kind::Int(IntKind::U8) => DataType::UInt8,
        Kind::Int(IntKind::U16) => DataType::UInt16,
        Kind::Int(IntKind::U32) | Kind::Ipv4 => DataType::UInt32,
        Kind::Int(IntKind::U64) => DataType::UInt64,
        // Two's complement, lowest byte first.
        Kind::WideInt(kind) => DataType::FixedSizeBinary(kind.width()),
        Kind::Float32 | Kind::BFloat16 => DataType::Float32,
        Kind::Float64 => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::String if ty.is_bytes => DataType::Binary,
        Kind::String | Kind::Json(_) => DataType::Utf8,
        Kind::FixedString(width) => DataType::FixedSizeBinary(*width),
        Kind::Uuid | Kind::Ipv6 => DataType::FixedSizeBinary(16),
        Kind::Date | Kind::Date32 => DataType::Date32,
        Kind::DateTime { .. } => DataType::Timestamp(TimeUnit::Second, None),
        Kind::DateTime64 { zone, .. } => {
            let zone = zone.filter(|_| place == ValuePlace::Member).map(|zone| zone.name().into());
            DataType::Timestamp(unit(&ty.kind), zone)
        }
        Kind::Time64 { .. } => DataType::Time64(unit(&ty.kind)),
        Kind::Decimal { precision, scale } => {
            let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
            match precision {
                0..=38 => DataType::Decimal128(*precision, scale),
                _ => DataType::Decimal256(*precision, scale),
            }
        }
        // Numbers of labels would not be checked, and an unknown one breaks every later SELECT.
        Kind::Enum(..) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Kind::Array(element) => DataType::List(part("item", element, place).into()),
        Kind::Map(key, value) => {
            // Only a key is never null.
            let key = part("key", key, place).with_nullable(false);
            let entries = [key, part("value", value, place)].into_iter().collect();
            DataType::Map(Field::new("entries", DataType::Struct(entries), false).into(), false)
        }
        // The server finds the elements by name, or by position if they have none.
        Kind::Tuple(elements) => DataType::Struct(
            (1..)
                .zip(&**elements)
                .map(|(position, element)| match &element.name {
                    Some(name) => part(name, &element.ty, place),
                    None => part(&i32::to_string(&position), &element.ty, place),
                })
                .collect(),
        ),
        Kind::Variant(members) | Kind::Dynamic(members) => union(members),
    }
}

/// The members, then the null. Not dense: the server takes only the values of a member that are referred to, and a
/// slice of a batch keeps them all.
fn union(members: &[Type]) -> DataType {
    let fields = members.iter().map(|ty| part("", ty, ValuePlace::Member).with_nullable(true));
    let fields = fields.chain([Field::new("", DataType::Null, true)]);
    DataType::Union((0..).zip(fields.map(Arc::new)).collect(), UnionMode::Sparse)
}

/// A column. Always nullable: `check` decides which nulls are sent.
pub fn field(name: &str, ty: &Type) -> Field {
    part(name, ty, ValuePlace::Column)
}

fn part(name: &str, ty: &Type, place: ValuePlace) -> Field {
    let is_nullable = place == ValuePlace::Column || ty.is_nullable;
    let field = Field::new(name, sent_as(ty, place), is_nullable);
    match (&ty.kind, place) {
        (Kind::Uuid, ValuePlace::Member) => field.with_metadata(HashMap::from([(
            EXTENSION_TYPE_NAME_KEY.to_owned(),
            "arrow.uuid".to_owned(),
        )])),
        _ => field,
    }
}

fn unit(kind: &Kind) -> TimeUnit {
    match unit_digits(kind) {
        0 => TimeUnit::Second,
        3 => TimeUnit::Millisecond,
        6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::Fields;

    use super::*;
    use crate::schema::types::parse;

    #[test]
    fn nested_types_go_out_as_list_map_and_struct() {
        let of = |text| data_type(&parse(text).unwrap());
        let nullable = |name: &str, ty| Field::new(name, ty, true);
        let pair = |first, second| Fields::from(vec![first, second]);

        let (int, text) = (DataType::Int8, DataType::Utf8);
        let tuple =
            DataType::Struct(pair(nullable("a", int.clone()), nullable("b c", text.clone())));
        assert_eq!(of("Tuple(a Int8, `b c` Nullable(String))"), tuple);
        let tuple = DataType::Struct(pair(nullable("1", int), nullable("2", text.clone())));
        assert_eq!(of("Tuple(Int8, String)"), tuple);

        let list = DataType::List(nullable("item", tuple).into());
        let entries = pair(Field::new("key", text, false), nullable("value", list));
        let entries = Field::new("entries", DataType::Struct(entries), false);
        let map = DataType::Map(entries.into(), false);
        assert_eq!(of("Map(String, Array(Tuple(Int8, String)))"), map);
    }
}
