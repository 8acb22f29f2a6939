//! Arrow's builders, one for each type of the data sets.

use std::sync::Arc;

use anyhow::bail;
use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder,
    StringDictionaryBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int32Type, Int64Type,
    TimestampMillisecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBufferBuilder};
use arrow_schema::{ArrowError, DataType, FieldRef, Fields, TimeUnit};

use super::judge::Cell;

/// A column that grows.
pub trait Builder {
    /// Appends a cell; one of another type is a null.
    fn push(&mut self, cell: &Cell<'_>);
    /// The column.
    fn finish(&mut self) -> Result<ArrayRef, ArrowError>;
}

/// A builder of the type.
///
/// # Errors
/// None of the data sets has the type.
pub fn of(ty: &DataType) -> anyhow::Result<Box<dyn Builder>> {
    use DataType as Ty;
    Ok(match ty {
        Ty::Boolean => Box::new(BooleanBuilder::new()),
        Ty::Int8 => primitive::<Int8Type>(ty, int),
        Ty::Int64 => primitive::<Int64Type>(ty, int),
        Ty::UInt8 => primitive::<UInt8Type>(ty, int),
        Ty::UInt16 => primitive::<UInt16Type>(ty, int),
        Ty::UInt32 => primitive::<UInt32Type>(ty, int),
        Ty::UInt64 => primitive::<UInt64Type>(ty, int),
        Ty::Decimal128(..) => primitive::<Decimal128Type>(ty, int),
        Ty::Timestamp(TimeUnit::Second, _) => primitive::<TimestampSecondType>(ty, int),
        Ty::Timestamp(TimeUnit::Millisecond, _) => primitive::<TimestampMillisecondType>(ty, int),
        Ty::Float64 => primitive::<Float64Type>(ty, float),
        #[allow(clippy::cast_possible_truncation)]
        Ty::Float32 => primitive::<Float32Type>(ty, |cell| float(cell).map(|value| value as f32)),
        Ty::Utf8 => Box::new(StringBuilder::new()),
        Ty::FixedSizeBinary(width) => Box::new(FixedSizeBinaryBuilder::new(*width)),
        Ty::Dictionary(..) => Box::new(StringDictionaryBuilder::<Int32Type>::new()),
        Ty::List(item) => {
            let (offsets, item, values) =
                (OffsetBufferBuilder::new(0), item, of(item.data_type())?);
            Box::new(List {
                offsets,
                nulls: NullBufferBuilder::new(0),
                item: Arc::clone(item),
                values,
            })
        }
        Ty::Struct(fields) => Box::new(parts(fields)?),
        Ty::Map(entries, _) => {
            let Ty::Struct(fields) = entries.data_type() else { bail!("{ty}: no map") };
            let (offsets, nulls) = (OffsetBufferBuilder::new(0), NullBufferBuilder::new(0));
            Box::new(Map { offsets, nulls, field: Arc::clone(entries), entries: parts(fields)? })
        }
        _ => bail!("{ty}: none of the data sets has it"),
    })
}

/// A column of numbers, and what a cell is in it.
struct Primitive<T: ArrowPrimitiveType> {
    builder: PrimitiveBuilder<T>,
    value: fn(&Cell<'_>) -> Option<T::Native>,
}

fn primitive<T: ArrowPrimitiveType>(
    ty: &DataType,
    value: fn(&Cell<'_>) -> Option<T::Native>,
) -> Box<dyn Builder> {
    let builder = PrimitiveBuilder::<T>::new().with_data_type(ty.clone());
    Box::new(Primitive { builder, value })
}

fn int<N: TryFrom<i128>>(cell: &Cell<'_>) -> Option<N> {
    let Cell::Int(number) = cell else { return None };
    N::try_from(*number).ok()
}

fn float(cell: &Cell<'_>) -> Option<f64> {
    let Cell::Float(number) = cell else { return None };
    Some(*number)
}

impl<T: ArrowPrimitiveType> Builder for Primitive<T> {
    fn push(&mut self, cell: &Cell<'_>) {
        self.builder.append_option((self.value)(cell));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.builder.finish()))
    }
}

impl Builder for BooleanBuilder {
    fn push(&mut self, cell: &Cell<'_>) {
        self.append_option(if let Cell::Bool(value) = cell { Some(*value) } else { None });
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.finish()))
    }
}

fn text<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    if let Cell::Text(text) = cell { Some(text) } else { None }
}

impl Builder for StringBuilder {
    fn push(&mut self, cell: &Cell<'_>) {
        self.append_option(text(cell));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.finish()))
    }
}

impl Builder for StringDictionaryBuilder<Int32Type> {
    fn push(&mut self, cell: &Cell<'_>) {
        self.append_option(text(cell));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.finish()))
    }
}

impl Builder for FixedSizeBinaryBuilder {
    fn push(&mut self, cell: &Cell<'_>) {
        match cell {
            // `judge` has made it of the column's width.
            Cell::Bytes(bytes) => self.append_value(bytes).unwrap_or_default(),
            _ => self.append_null(),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.finish()))
    }
}

struct List {
    offsets: OffsetBufferBuilder<i32>,
    nulls: NullBufferBuilder,
    item: FieldRef,
    values: Box<dyn Builder>,
}

impl Builder for List {
    fn push(&mut self, cell: &Cell<'_>) {
        let cells = if let Cell::List(cells) = cell { cells.as_slice() } else { &[] };
        for cell in cells {
            self.values.push(cell);
        }
        self.offsets.push_length(cells.len());
        self.nulls.append(matches!(cell, Cell::List(_)));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, OffsetBufferBuilder::new(0)).finish();
        let (item, values) = (Arc::clone(&self.item), self.values.finish()?);
        Ok(Arc::new(ListArray::try_new(item, offsets, values, self.nulls.finish())?))
    }
}

struct Parts {
    fields: Fields,
    nulls: NullBufferBuilder,
    parts: Vec<Box<dyn Builder>>,
}

fn parts(fields: &Fields) -> anyhow::Result<Parts> {
    let parts = fields.iter().map(|field| of(field.data_type())).collect::<Result<_, _>>()?;
    Ok(Parts { fields: fields.clone(), nulls: NullBufferBuilder::new(0), parts })
}

impl Parts {
    fn array(&mut self) -> Result<StructArray, ArrowError> {
        let arrays = self.parts.iter_mut().map(|part| part.finish()).collect::<Result<_, _>>()?;
        StructArray::try_new(self.fields.clone(), arrays, self.nulls.finish())
    }
}

impl Builder for Parts {
    fn push(&mut self, cell: &Cell<'_>) {
        let cells = if let Cell::Struct(cells) = cell { cells.as_slice() } else { &[] };
        for (at, part) in self.parts.iter_mut().enumerate() {
            part.push(cells.get(at).unwrap_or(&Cell::Null));
        }
        self.nulls.append(matches!(cell, Cell::Struct(_)));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.array()?))
    }
}

struct Map {
    offsets: OffsetBufferBuilder<i32>,
    nulls: NullBufferBuilder,
    field: FieldRef,
    entries: Parts,
}

impl Builder for Map {
    fn push(&mut self, cell: &Cell<'_>) {
        let entries = if let Cell::Map(entries) = cell { entries.as_slice() } else { &[] };
        for (key, value) in entries {
            if let [keys, values] = self.entries.parts.as_mut_slice() {
                keys.push(&Cell::Text(key));
                values.push(value);
                self.entries.nulls.append_non_null();
            }
        }
        self.offsets.push_length(entries.len());
        self.nulls.append(matches!(cell, Cell::Map(_)));
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, OffsetBufferBuilder::new(0)).finish();
        let (field, entries) = (Arc::clone(&self.field), self.entries.array()?);
        Ok(Arc::new(MapArray::try_new(field, offsets, entries, self.nulls.finish(), false)?))
    }
}
