//! Turns a filled column into an Arrow array without copying values.

use std::sync::Arc;

use arrow_array::types::{
    ArrowTimestampType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array as _, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, DictionaryArray,
    FixedSizeBinaryArray, ListArray, MapArray, NullArray, PrimitiveArray, StringArray, StructArray,
    UnionArray, make_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::{Column, Data};

impl Column {
    /// The Arrow array.
    ///
    /// # Errors
    /// Arrow's own checks; a failure is a bug here.
    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.valid.finish();
        Ok(match self.data {
            Data::I8(values) => primitive::<Int8Type>(values, nulls),
            Data::I16(values) => primitive::<Int16Type>(values, nulls),
            Data::I32(values) => primitive::<Int32Type>(values, nulls),
            Data::I64(values) => primitive::<Int64Type>(values, nulls),
            Data::U8(values) => primitive::<UInt8Type>(values, nulls),
            Data::U16(values) => primitive::<UInt16Type>(values, nulls),
            Data::U32(values) => primitive::<UInt32Type>(values, nulls),
            Data::U64(values) => primitive::<UInt64Type>(values, nulls),
            Data::F32(values) | Data::BF16(values) => primitive::<Float32Type>(values, nulls),
            Data::F64(values) => primitive::<Float64Type>(values, nulls),
            Data::Bool(values) => Arc::new(BooleanArray::new(values.into(), nulls)),
            Data::Days(values) => primitive::<Date32Type>(values, nulls),
            Data::Ticks(values, data_type) => ticks(values, data_type, nulls)?,
            Data::Decimal(values, precision, scale) => {
                let array = PrimitiveArray::<Decimal128Type>::new(values.into(), nulls);
                Arc::new(array.with_precision_and_scale(precision, scale)?)
            }
            Data::WideDecimal(values, precision, scale) => {
                let array = PrimitiveArray::<Decimal256Type>::new(values.into(), nulls);
                Arc::new(array.with_precision_and_scale(precision, scale)?)
            }
            Data::Text { ends, text } => {
                let bytes = Buffer::from_vec(text.into_bytes());
                Arc::new(StringArray::try_new(offsets(&ends), bytes, nulls)?)
            }
            Data::Bytes { ends, bytes } => {
                Arc::new(BinaryArray::try_new(offsets(&ends), Buffer::from_vec(bytes), nulls)?)
            }
            Data::Fixed { width, bytes } => {
                let width = i32::try_from(width).unwrap_or(i32::MAX);
                Arc::new(FixedSizeBinaryArray::try_new(width, Buffer::from_vec(bytes), nulls)?)
            }
            Data::Label(keys, labels) => {
                let labels = StringArray::from_iter_values(labels.iter());
                let keys = PrimitiveArray::<Int32Type>::new(keys.into(), nulls);
                Arc::new(DictionaryArray::try_new(keys, Arc::new(labels))?)
            }
            Data::Runs { ends, parts, data_type, .. } => {
                runs(data_type, &ends, finish_all(parts)?, nulls)?
            }
            Data::Tuples { parts, data_type, .. } => {
                let DataType::Struct(fields) = data_type else { return Err(differ(&data_type)) };
                let parts = fields.iter().zip(finish_all(parts)?);
                let parts = parts.map(|(field, part)| match field.is_nullable() {
                    true => Ok(part),
                    false => without_nulls(&part),
                });
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new(fields, parts, nulls)?)
            }
            Data::Members { ids, parts, data_type } => {
                let DataType::Union(fields, _) = data_type else { return Err(differ(&data_type)) };
                let mut parts = finish_all(parts)?;
                parts.push(Arc::new(NullArray::new(ids.len())));
                Arc::new(UnionArray::try_new(fields, ids.into(), None, parts)?)
            }
        })
    }
}

/// Replaces nulls with zeros; they belong to rows in which another member of a Variant holds the value. The server
/// refuses nulls in a part declared non-nullable, whatever row they are of.
fn without_nulls(part: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(make_array(part.to_data().into_builder().nulls(None).build()?))
}

/// Times, and spans of time, as counts in the type's unit.
fn ticks(
    values: Vec<i64>,
    data_type: DataType,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    fn at<T: ArrowTimestampType>(
        values: Vec<i64>,
        zone: Option<Arc<str>>,
        nulls: Option<NullBuffer>,
    ) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_timezone_opt(zone))
    }
    Ok(match data_type {
        DataType::Timestamp(unit, zone) => match unit {
            TimeUnit::Second => at::<TimestampSecondType>(values, zone, nulls),
            TimeUnit::Millisecond => at::<TimestampMillisecondType>(values, zone, nulls),
            TimeUnit::Microsecond => at::<TimestampMicrosecondType>(values, zone, nulls),
            TimeUnit::Nanosecond => at::<TimestampNanosecondType>(values, zone, nulls),
        },
        DataType::Time64(TimeUnit::Microsecond) => {
            primitive::<Time64MicrosecondType>(values, nulls)
        }
        DataType::Time64(TimeUnit::Nanosecond) => primitive::<Time64NanosecondType>(values, nulls),
        other => return Err(differ(&other)),
    })
}

fn finish_all(columns: Vec<Column>) -> Result<Vec<ArrayRef>, ArrowError> {
    columns.into_iter().map(Column::finish).collect()
}

fn runs(
    data_type: DataType,
    ends: &[i32],
    parts: Vec<ArrayRef>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let offsets = offsets(ends);
    match (data_type, <[ArrayRef; 1]>::try_from(parts)) {
        (DataType::List(field), Ok([elements])) => {
            Ok(Arc::new(ListArray::try_new(field, offsets, elements, nulls)?))
        }
        (DataType::Map(field, is_sorted), Err(parts)) => {
            let DataType::Struct(fields) = field.data_type() else {
                return Err(differ(field.data_type()));
            };
            let entries = StructArray::try_new(fields.clone(), parts, None)?;
            Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, is_sorted)?))
        }
        (other, _) => Err(differ(&other)),
    }
}

fn differ(data_type: &DataType) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("{data_type} does not hold these parts"))
}

fn offsets(ends: &[i32]) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.extend_from_slice(ends);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}
