//! An empty column for a type.

use std::sync::Arc;

use arrow_buffer::NullBufferBuilder;
use arrow_schema::{DataType, FieldRef};

use super::super::member_order::Order;
use super::super::room::Room;
use super::{Column, Data};
use crate::schema::arrow::data_type;
use crate::schema::types::{IntKind, Kind, Type};
use crate::schema::width::{width, widths};

impl Column {
    /// An empty column for values bounded elsewhere, with memory for `rows` of them.
    pub fn new(ty: &Type, rows: usize) -> Self {
        Self::within(ty, rows, &Room::of(usize::MAX))
    }

    /// An empty column whose values take from `room`, with memory for `rows` of them.
    pub fn within(ty: &Type, rows: usize, room: &Room) -> Self {
        Self::sent_as(ty, data_type(ty), rows, room)
    }

    fn sent_as(ty: &Type, data_type: DataType, rows: usize, room: &Room) -> Self {
        let part = |(ty, field): (&Type, FieldRef)| {
            Self::sent_as(ty, field.data_type().clone(), rows, room)
        };
        let data = match &ty.kind {
            _ if ty.is_text => text(rows),
            Kind::Int(IntKind::I8) => Data::I8(Vec::with_capacity(rows)),
            Kind::Int(IntKind::I16) => Data::I16(Vec::with_capacity(rows)),
            Kind::Int(IntKind::I32) | Kind::Time => Data::I32(Vec::with_capacity(rows)),
            Kind::Int(IntKind::I64) => Data::I64(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U8) => Data::U8(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U16) => Data::U16(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U32) | Kind::Ipv4 => Data::U32(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U64) => Data::U64(Vec::with_capacity(rows)),
            Kind::WideInt(kind) => fixed(kind.width(), rows),
            Kind::Float32 => Data::F32(Vec::with_capacity(rows)),
            Kind::Float64 => Data::F64(Vec::with_capacity(rows)),
            Kind::BFloat16 => Data::BF16(Vec::with_capacity(rows)),
            Kind::Bool => Data::Bool(Vec::with_capacity(rows)),
            Kind::String if ty.is_bytes => {
                Data::Bytes { ends: Vec::with_capacity(rows), bytes: Vec::new() }
            }
            Kind::String | Kind::Json(_) => text(rows),
            Kind::FixedString(width) => fixed(*width, rows),
            Kind::Uuid | Kind::Ipv6 => fixed(16, rows),
            Kind::Date | Kind::Date32 => Data::Days(Vec::with_capacity(rows)),
            Kind::DateTime { .. } | Kind::DateTime64 { .. } | Kind::Time64 { .. } => {
                Data::Ticks(Vec::with_capacity(rows), data_type)
            }
            Kind::Decimal { precision, scale } => {
                let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
                match precision {
                    0..=38 => Data::Decimal(Vec::with_capacity(rows), *precision, scale),
                    _ => Data::WideDecimal(Vec::with_capacity(rows), *precision, scale),
                }
            }
            Kind::Enum(labels, _) => Data::Label(Vec::with_capacity(rows), Arc::clone(labels)),
            Kind::Array(element) => Data::Runs {
                ends: Vec::with_capacity(rows),
                parts: [&**element].into_iter().zip(fields(&data_type)).map(part).collect(),
                width: width(element),
                data_type,
            },
            Kind::Map(key, value) => Data::Runs {
                ends: Vec::with_capacity(rows),
                parts: [&**key, value].into_iter().zip(fields(&data_type)).map(part).collect(),
                width: widths([&**key, value]),
                data_type,
            },
            Kind::Tuple(elements) => {
                let types = elements.iter().map(|element| &element.ty);
                let parts = types.zip(fields(&data_type)).map(part).collect();
                Data::Tuples { parts, data_type, order: Order::default() }
            }
            Kind::Variant(members) | Kind::Dynamic(members) => Data::Members {
                ids: Vec::with_capacity(rows),
                parts: members.iter().zip(fields(&data_type)).map(part).collect(),
                data_type,
            },
        };
        Self { room: room.clone(), len: 0, valid: NullBufferBuilder::new(rows), data }
    }
}

/// The fields of a type's parts.
fn fields(data_type: &DataType) -> Vec<FieldRef> {
    match data_type {
        DataType::List(element) => vec![Arc::clone(element)],
        DataType::Map(entries, _) => fields(entries.data_type()),
        DataType::Struct(fields) => fields.iter().map(Arc::clone).collect(),
        DataType::Union(members, _) => members.iter().map(|(_, field)| Arc::clone(field)).collect(),
        _ => Vec::new(),
    }
}

fn text(rows: usize) -> Data {
    Data::Text { ends: Vec::with_capacity(rows), text: String::new() }
}

fn fixed(width: i32, rows: usize) -> Data {
    let width = usize::try_from(width).unwrap_or(0);
    Data::Fixed { width, bytes: Vec::with_capacity(width * rows) }
}
