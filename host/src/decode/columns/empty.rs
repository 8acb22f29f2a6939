//! An empty column for a type.

use std::sync::Arc;

use arrow_buffer::NullBufferBuilder;
use arrow_schema::TimeUnit;

use super::{Column, Data};
use crate::schema::arrow::{data_type, time_unit, unit};
use crate::schema::types::{IntKind, Kind, Type};

impl Column {
    /// An empty column with room for `rows` rows.
    pub fn new(ty: &Type, rows: usize) -> Self {
        let data = match &ty.kind {
            _ if ty.is_text => text(rows),
            Kind::Int(IntKind::I8) => Data::I8(Vec::with_capacity(rows)),
            Kind::Int(IntKind::I16) => Data::I16(Vec::with_capacity(rows)),
            Kind::Int(IntKind::I32) => Data::I32(Vec::with_capacity(rows)),
            Kind::Int(IntKind::I64) => Data::I64(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U8) => Data::U8(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U16) => Data::U16(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U32) => Data::U32(Vec::with_capacity(rows)),
            Kind::Int(IntKind::U64) => Data::U64(Vec::with_capacity(rows)),
            Kind::WideInt(kind) => fixed(kind.width(), rows),
            Kind::Float32 => Data::F32(Vec::with_capacity(rows)),
            Kind::Float64 => Data::F64(Vec::with_capacity(rows)),
            Kind::BFloat16 => Data::BF16(Vec::with_capacity(rows)),
            Kind::Bool => Data::Bool(Vec::with_capacity(rows)),
            Kind::String | Kind::Json(_) => text(rows),
            Kind::FixedString(width) => fixed(*width, rows),
            Kind::Uuid | Kind::Ipv6 => fixed(16, rows),
            Kind::Ipv4 => Data::U32(Vec::with_capacity(rows)),
            Kind::Date | Kind::Date32 => Data::Days(Vec::with_capacity(rows)),
            Kind::DateTime { .. } => Data::Ticks(Vec::with_capacity(rows), TimeUnit::Second),
            Kind::DateTime64 { precision, .. } => {
                Data::Ticks(Vec::with_capacity(rows), unit(*precision))
            }
            Kind::Time => Data::I32(Vec::with_capacity(rows)),
            Kind::Time64 { precision } => {
                Data::Times(Vec::with_capacity(rows), time_unit(*precision))
            }
            Kind::Decimal { precision, scale } => {
                let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
                match precision {
                    0..=38 => Data::Decimal(Vec::with_capacity(rows), *precision, scale),
                    _ => Data::WideDecimal(Vec::with_capacity(rows), *precision, scale),
                }
            }
            Kind::Enum(labels) => Data::Label(Vec::with_capacity(rows), Arc::clone(labels)),
            Kind::Array(element) => Data::Runs {
                ends: Vec::with_capacity(rows),
                parts: vec![Self::new(element, rows)],
                data_type: data_type(ty),
            },
            Kind::Map(key, value) => Data::Runs {
                ends: Vec::with_capacity(rows),
                parts: vec![Self::new(key, rows), Self::new(value, rows)],
                data_type: data_type(ty),
            },
            Kind::Tuple(elements) => Data::Tuples {
                parts: elements.iter().map(|element| Self::new(&element.ty, rows)).collect(),
                data_type: data_type(ty),
            },
        };
        Self { len: 0, valid: NullBufferBuilder::new(rows), data }
    }
}

fn text(rows: usize) -> Data {
    Data::Text { ends: Vec::with_capacity(rows), text: String::new() }
}

fn fixed(width: i32, rows: usize) -> Data {
    let width = usize::try_from(width).unwrap_or(0);
    Data::Fixed { width, bytes: Vec::with_capacity(width * rows) }
}
