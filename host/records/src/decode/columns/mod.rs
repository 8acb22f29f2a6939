//! The columns being filled: plain vectors, so that `truncate` can remove a failed row. Arrow's own builders cannot do
//! that.
#![allow(clippy::inline_always, reason = "as in `record`")]

mod empty;
mod finish;
mod keys;
mod size;

use std::sync::Arc;

use arrow_buffer::{NullBufferBuilder, i256};
use arrow_schema::DataType;
use uuid::Uuid;

use super::bfloat16::bfloat16;
use super::int256::Wide;
use super::member_order::Order;
use super::number::{Number, Short};
use super::room::Room;
use crate::schema::types::WideInt;

/// One column, or a part of a column of arrays, maps or tuples.
#[derive(Debug)]
pub struct Column {
    /// The bytes that a record's values may take, shared by all columns.
    room: Room,
    len: usize,
    valid: NullBufferBuilder,
    data: Data,
}

#[derive(Debug)]
enum Data {
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    BF16(Vec<f32>),
    Bool(Vec<bool>),
    Text {
        ends: Vec<i32>,
        text: String,
    },
    /// Texts that may be invalid UTF-8.
    Bytes {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
    Fixed {
        width: usize,
        bytes: Vec<u8>,
    },
    Days(Vec<i32>),
    Ticks(Vec<i64>, DataType),
    Decimal(Vec<i128>, u8, i8),
    WideDecimal(Vec<i256>, u8, i8),
    Label(Vec<i32>, Arc<[Box<str>]>),
    /// Arrays and maps: the end of each in the parts, which are the elements, or keys and values.
    Runs {
        ends: Vec<i32>,
        parts: Vec<Column>,
        /// Bytes of an element, or of a key and its value.
        width: usize,
        data_type: DataType,
    },
    /// Tuples: a part for each element, as long as the column.
    Tuples {
        parts: Vec<Column>,
        data_type: DataType,
        /// The expected order of their elements' names.
        order: Order,
    },
    /// Values of one of several types: a part for each type, as long as the column, and the index of the part that
    /// holds the value; the index after the last is null.
    Members {
        ids: Vec<i8>,
        parts: Vec<Column>,
        data_type: DataType,
    },
}

impl Column {
    /// How many values it holds, nulls included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Cuts off what was put behind `len` values.
    pub fn truncate(&mut self, len: usize) {
        // A half-built value exists only in the parts.
        if self.len <= len && self.parts().is_empty() {
            return;
        }
        match &mut self.data {
            Data::I8(values) => values.truncate(len),
            Data::I16(values) => values.truncate(len),
            Data::I32(values) | Data::Days(values) | Data::Label(values, _) => values.truncate(len),
            Data::I64(values) | Data::Ticks(values, _) => values.truncate(len),
            Data::U8(values) => values.truncate(len),
            Data::U16(values) => values.truncate(len),
            Data::U32(values) => values.truncate(len),
            Data::U64(values) => values.truncate(len),
            Data::F32(values) | Data::BF16(values) => values.truncate(len),
            Data::F64(values) => values.truncate(len),
            Data::Bool(values) => values.truncate(len),
            Data::Decimal(values, ..) => values.truncate(len),
            Data::WideDecimal(values, ..) => values.truncate(len),
            Data::Text { ends, text } => {
                ends.truncate(len);
                text.truncate(last(ends));
            }
            Data::Bytes { ends, bytes } => {
                ends.truncate(len);
                bytes.truncate(last(ends));
            }
            Data::Fixed { width, bytes } => bytes.truncate(len * *width),
            Data::Runs { ends, parts, .. } => {
                ends.truncate(len);
                for part in parts {
                    part.truncate(last(ends));
                }
            }
            Data::Tuples { parts, .. } => parts.iter_mut().for_each(|part| part.truncate(len)),
            Data::Members { ids, parts, .. } => {
                ids.truncate(len);
                for part in parts {
                    part.truncate(len);
                }
            }
        }
        if self.valid.len() > len {
            self.valid.truncate(len);
        }
        self.len = len;
    }

    /// Puts a null.
    pub fn put_null(&mut self) {
        match &mut self.data {
            Data::I8(values) => values.push(0),
            Data::I16(values) => values.push(0),
            Data::I32(values) | Data::Days(values) | Data::Label(values, _) => values.push(0),
            Data::I64(values) | Data::Ticks(values, _) => values.push(0),
            Data::U8(values) => values.push(0),
            Data::U16(values) => values.push(0),
            Data::U32(values) => values.push(0),
            Data::U64(values) => values.push(0),
            Data::F32(values) | Data::BF16(values) => values.push(0.0),
            Data::F64(values) => values.push(0.0),
            Data::Bool(values) => values.push(false),
            Data::Decimal(values, ..) => values.push(0),
            Data::WideDecimal(values, ..) => values.push(i256::ZERO),
            Data::Text { ends, .. } | Data::Bytes { ends, .. } | Data::Runs { ends, .. } => {
                ends.push(ends.last().copied().unwrap_or(0));
            }
            Data::Members { ids, parts, .. } => {
                ids.push(i8::try_from(parts.len()).unwrap_or(i8::MAX));
                parts.iter_mut().for_each(Self::put_null);
            }
            // The server checks the elements of a null tuple too.
            Data::Tuples { parts, .. } => parts.iter_mut().for_each(Self::put_null),
            Data::Fixed { width, bytes } => bytes.resize(bytes.len() + *width, 0),
        }
        self.valid.append_null();
        self.len += 1;
    }

    #[inline(always)]
    fn put_valid(&mut self) {
        self.valid.append_non_null();
        self.len += 1;
    }

    /// Puts an integer, or the digits of a decimal; `None` if the column's type does not hold it.
    pub fn put_integer(&mut self, value: i128) -> Option<()> {
        match &mut self.data {
            Data::I8(values) => values.push(value.try_into().ok()?),
            Data::I16(values) => values.push(value.try_into().ok()?),
            Data::I32(values) => values.push(value.try_into().ok()?),
            Data::I64(values) => values.push(value.try_into().ok()?),
            Data::U8(values) => values.push(value.try_into().ok()?),
            Data::U16(values) => values.push(value.try_into().ok()?),
            Data::U32(values) => values.push(value.try_into().ok()?),
            Data::U64(values) => values.push(value.try_into().ok()?),
            Data::Decimal(values, ..) => values.push(value),
            _ => return None,
        }
        self.put_valid();
        Some(())
    }

    /// Puts a value that is sent as an integer: a day, a tick, the index of a label, or an address; `None` if the
    /// column's type does not hold it.
    pub fn put_count(&mut self, value: i64) -> Option<()> {
        match &mut self.data {
            Data::I32(values) | Data::Days(values) | Data::Label(values, _) => {
                values.push(value.try_into().ok()?);
            }
            Data::Ticks(values, _) => values.push(value),
            Data::U32(values) => values.push(value.try_into().ok()?),
            _ => return None,
        }
        self.put_valid();
        Some(())
    }

    /// Puts a short number into a column of numbers; `None` if its type does not hold it exactly, or if a quick check
    /// cannot tell.
    pub fn put_short(&mut self, short: Short) -> Option<()> {
        match &mut self.data {
            Data::I8(values) => values.push(short.scaled(0)?.try_into().ok()?),
            Data::I16(values) => values.push(short.scaled(0)?.try_into().ok()?),
            Data::I32(values) => values.push(short.scaled(0)?.try_into().ok()?),
            Data::I64(values) => values.push(short.scaled(0)?),
            Data::U8(values) => values.push(short.scaled(0)?.try_into().ok()?),
            Data::U16(values) => values.push(short.scaled(0)?.try_into().ok()?),
            Data::U32(values) => values.push(short.scaled(0)?.try_into().ok()?),
            Data::U64(values) => values.push(short.unsigned()?),
            Data::F32(values) => values.push(short.float32()?),
            Data::F64(values) => values.push(short.float64()?),
            Data::Decimal(values, precision, scale) => {
                values.push(short.decimal(*precision, u8::try_from(*scale).ok()?)?.into());
            }
            _ => return None,
        }
        self.put_valid();
        Some(())
    }

    /// Puts an integer of more than 64 bits; `None` if the type does not hold it.
    pub fn put_wide(&mut self, value: Wide, kind: WideInt) -> Option<()> {
        let bytes = value.bytes(kind)?;
        if matches!(self.data, Data::Text { .. }) {
            return self.put_text(&value.to_string());
        }
        self.put_fixed(bytes.get(..usize::try_from(kind.width()).ok()?)?)
    }

    /// Puts a UUID.
    pub fn put_uuid(&mut self, value: Uuid) -> Option<()> {
        match &self.data {
            Data::Text { .. } => {
                self.put_text(value.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            _ => self.put_fixed(value.as_bytes()),
        }
    }

    /// Puts a decimal of more than 38 digits.
    pub fn put_wide_decimal(&mut self, value: i256) -> Option<()> {
        let Data::WideDecimal(values, ..) = &mut self.data else { return None };
        values.push(value);
        self.put_valid();
        Some(())
    }

    /// Puts the float nearest to a number; `None` if it is out of range.
    pub fn put_float(&mut self, number: Number<'_>) -> Option<()> {
        match &mut self.data {
            Data::F32(values) => values.push(number.float32()?),
            Data::F64(values) => values.push(number.float64()?),
            Data::BF16(values) => values.push(bfloat16(number.text)?),
            _ => return None,
        }
        self.put_valid();
        Some(())
    }

    /// Puts an infinity or a NaN.
    pub fn put_special(&mut self, value: f32) -> Option<()> {
        match &mut self.data {
            Data::F32(values) | Data::BF16(values) => values.push(value),
            Data::F64(values) => values.push(value.into()),
            _ => return None,
        }
        self.put_valid();
        Some(())
    }

    /// Puts a boolean.
    pub fn put_bool(&mut self, value: bool) -> Option<()> {
        let Data::Bool(values) = &mut self.data else { return None };
        values.push(value);
        self.put_valid();
        Some(())
    }

    /// Puts a text; `None` if the column's texts would exceed 2 GiB.
    pub fn put_text(&mut self, value: &str) -> Option<()> {
        let Data::Text { ends, text } = &mut self.data else { return None };
        let end = i32::try_from(text.len() + value.len()).ok()?;
        text.push_str(value);
        ends.push(end);
        self.put_valid();
        Some(())
    }

    /// Puts bytes into a column of texts that may be invalid UTF-8; `None` if they would exceed 2 GiB.
    pub fn put_bytes(&mut self, value: &[u8]) -> Option<()> {
        let Data::Bytes { ends, bytes } = &mut self.data else { return None };
        let end = i32::try_from(bytes.len() + value.len()).ok()?;
        bytes.extend_from_slice(value);
        ends.push(end);
        self.put_valid();
        Some(())
    }

    /// Puts the text that `append` adds to those before; `None`, and nothing is put, if it fails or the column's texts
    /// would exceed 2 GiB.
    pub fn put_text_by(&mut self, append: impl FnOnce(&mut String) -> Option<()>) -> Option<()> {
        let Data::Text { ends, text } = &mut self.data else { return None };
        let start = text.len();
        match append(text).and_then(|()| i32::try_from(text.len()).ok()) {
            Some(end) => ends.push(end),
            None => {
                text.truncate(start);
                return None;
            }
        }
        self.put_valid();
        Some(())
    }

    /// Puts bytes of a fixed width, padded with zeros; `None` if too long.
    pub fn put_fixed(&mut self, value: &[u8]) -> Option<()> {
        let Data::Fixed { width, bytes } = &mut self.data else { return None };
        let padding = width.checked_sub(value.len())?;
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len() + padding, 0);
        self.put_valid();
        Some(())
    }

    /// The parts of the next value: fill an array's elements, a map's keys and values, or each element of a tuple
    /// before [`Column::close`], or one part before [`Column::choose`]. Empty for any other column.
    pub fn parts(&mut self) -> &mut [Self] {
        match &mut self.data {
            Data::Runs { parts, .. } | Data::Tuples { parts, .. } | Data::Members { parts, .. } => {
                parts
            }
            _ => &mut [],
        }
    }

    /// The parts of an array or a map, what is to be taken for each element or entry, and of which room.
    pub fn runs(&mut self) -> (&mut [Self], usize, &Room) {
        match &mut self.data {
            Data::Runs { parts, width, .. } => (parts, *width, &self.room),
            _ => (&mut [], 0, &self.room),
        }
    }

    /// The bytes that a record's values may take.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The elements of a tuple, and the order of their names.
    pub fn tuple(&mut self) -> Option<(&mut [Self], &mut Order)> {
        match &mut self.data {
            Data::Tuples { parts, order, .. } => Some((parts, order)),
            _ => None,
        }
    }

    /// Completes a value from what was put into the parts since the last one; `None` if there are more elements than an
    /// Arrow array can count.
    pub fn close(&mut self) -> Option<()> {
        match &mut self.data {
            Data::Runs { ends, parts, .. } => ends.push(parts.first()?.len.try_into().ok()?),
            Data::Tuples { .. } => {}
            _ => return None,
        }
        self.put_valid();
        Some(())
    }

    /// Completes a value from what was put into one part since the last one.
    pub fn choose(&mut self, part: usize) -> Option<()> {
        let Data::Members { ids, parts, .. } = &mut self.data else { return None };
        ids.push(i8::try_from(part).ok()?);
        let others = parts.iter_mut().filter(|part| part.len < ids.len());
        others.for_each(Self::put_null);
        self.put_valid();
        Some(())
    }
}

fn last(ends: &[i32]) -> usize {
    ends.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
}
