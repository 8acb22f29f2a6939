//! The one Arrow type that is sent for each ClickHouse type: the one whose values the server
//! takes as they are (measured on 26.7). Any wider type would be cast there, without an error.

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::types::{Element, IntKind, Kind, Type};

/// The Arrow type of a column.
pub fn data_type(ty: &Type) -> DataType {
    match &ty.kind {
        _ if ty.is_text => DataType::Utf8,
        Kind::Int(IntKind::I8) => DataType::Int8,
        Kind::Int(IntKind::I16) => DataType::Int16,
        Kind::Int(IntKind::I32) => DataType::Int32,
        Kind::Int(IntKind::I64) => DataType::Int64,
        Kind::Int(IntKind::U8) => DataType::UInt8,
        Kind::Int(IntKind::U16) => DataType::UInt16,
        Kind::Int(IntKind::U32) => DataType::UInt32,
        Kind::Int(IntKind::U64) => DataType::UInt64,
        // Two's complement, lowest byte first.
        Kind::WideInt(kind) => DataType::FixedSizeBinary(kind.width()),
        Kind::Float32 | Kind::BFloat16 => DataType::Float32,
        Kind::Float64 => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::String | Kind::Json(_) => DataType::Utf8,
        Kind::FixedString(width) => DataType::FixedSizeBinary(*width),
        Kind::Uuid | Kind::Ipv6 => DataType::FixedSizeBinary(16),
        Kind::Ipv4 => DataType::UInt32,
        Kind::Date | Kind::Date32 => DataType::Date32,
        Kind::DateTime { .. } => DataType::Timestamp(TimeUnit::Second, None),
        Kind::DateTime64 { precision, .. } => DataType::Timestamp(unit(*precision), None),
        // Not Time32: seconds in it are refused, and milliseconds end before 600 hours.
        Kind::Time => DataType::Int32,
        Kind::Time64 { precision } => DataType::Time64(time_unit(*precision)),
        Kind::Decimal { precision, scale } => {
            let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
            match precision {
                0..=38 => DataType::Decimal128(*precision, scale),
                _ => DataType::Decimal256(*precision, scale),
            }
        }
        // By number a label would not be checked, and an unknown one breaks every later SELECT.
        Kind::Enum(_) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Kind::Array(element) => DataType::List(field("item", element).into()),
        Kind::Map(key, value) => DataType::Map(
            Field::new("entries", DataType::Struct(entries(key, value)), false).into(),
            false,
        ),
        Kind::Tuple(elements) => DataType::Struct(fields(elements)),
    }
}

/// A map's keys and values. A key is the one thing that is never null.
fn entries(key: &Type, value: &Type) -> Fields {
    [field("key", key).with_nullable(false), field("value", value)].into_iter().collect()
}

/// A tuple's elements. The server finds them by name, or by position where they have none.
fn fields(elements: &[Element]) -> Fields {
    let named = |(at, element): (usize, &Element)| match &element.name {
        Some(name) => field(name, &element.ty),
        None => field(&(at + 1).to_string(), &element.ty),
    };
    elements.iter().enumerate().map(named).collect()
}

/// A column or an element. Always nullable: which nulls may go out is for `check` to say.
pub fn field(name: &str, ty: &Type) -> Field {
    Field::new(name, data_type(ty), true)
}

/// The coarsest Arrow unit that holds so many decimal digits of a second.
pub fn unit(precision: u8) -> TimeUnit {
    match precision {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// The coarsest unit of Arrow's Time64 that holds so many decimal digits of a second.
pub fn time_unit(precision: u8) -> TimeUnit {
    if precision > 6 { TimeUnit::Nanosecond } else { TimeUnit::Microsecond }
}

#[cfg(test)]
mod tests {
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
