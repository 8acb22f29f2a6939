//! JSON values as Arrow arrays and back, for the types that tests are mostly about.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{ArrowPrimitiveType, Int32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, ListArray, PrimitiveArray, StringArray,
    downcast_integer, types,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, FieldRef, TimeUnit};
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

/// Calls a macro with the Arrow type of a number, or takes one of the arms behind.
macro_rules! number {
    ($data_type:expr => ($m:ident, $values:tt), $($otherwise:tt)*) => {
        downcast_integer! {
            $data_type => ($m, $values),
            DataType::Float32 => $m!(types::Float32Type, $values),
            DataType::Float64 => $m!(types::Float64Type, $values),
            DataType::Date32 => $m!(types::Date32Type, $values),
            DataType::Timestamp(TimeUnit::Second, _) => $m!(types::TimestampSecondType, $values),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                $m!(types::TimestampMillisecondType, $values)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                $m!(types::TimestampMicrosecondType, $values)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                $m!(types::TimestampNanosecondType, $values)
            }
            $($otherwise)*
        }
    };
}

/// The array of some values, one a row.
///
/// # Errors
///
/// A value that does not fit the type, with its row, or a type that has no JSON here.
pub(super) fn array(data_type: &DataType, values: &[&Value]) -> Result<ArrayRef, String> {
    macro_rules! numbers {
        ($number:ty, $values:ident) => {
            Arc::new(each::<<$number as ArrowPrimitiveType>::Native, PrimitiveArray<$number>>(
                data_type, $values,
            )?)
        };
    }
    Ok(number! {
        data_type => (numbers, values),
        DataType::Boolean => Arc::new(each::<bool, BooleanArray>(data_type, values)?),
        DataType::Utf8 => Arc::new(each::<String, StringArray>(data_type, values)?),
        DataType::Dictionary(key, label) if is_enum(key, label) => {
            let labels: StringArray = each::<String, _>(data_type, values)?;
            Arc::new(labels.iter().collect::<DictionaryArray<Int32Type>>())
        }
        DataType::List(element) => Arc::new(list(element, values)?),
        other => return Err(no_json(other)),
    })
}

/// A value of an array.
///
/// # Errors
///
/// A type that has no JSON here.
pub(super) fn value(array: &dyn Array, at: usize) -> Result<Value, String> {
    macro_rules! written {
        ($number:ty, $array:ident) => {
            json($array.as_primitive::<$number>().value(at))
        };
    }
    if array.is_null(at) {
        return Ok(Value::Null);
    }
    number! {
        array.data_type() => (written, array),
        DataType::Boolean => json(array.as_boolean().value(at)),
        DataType::Utf8 => json(array.as_string::<i32>().value(at)),
        DataType::Dictionary(key, label) if is_enum(key, label) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let label = dictionary.key(at).ok_or("a label is missing")?;
            value(dictionary.values(), label)
        }
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(at);
            (0..elements.len()).map(|at| value(&elements, at)).collect()
        }
        other => Err(no_json(other)),
    }
}

fn is_enum(key: &DataType, label: &DataType) -> bool {
    (key, label) == (&DataType::Int32, &DataType::Utf8)
}

fn no_json(data_type: &DataType) -> String {
    format!("type {data_type} has no JSON in tests: give and take the rows by `testing::run_batch`")
}

fn json(value: impl Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

/// An array of values that serde reads.
fn each<T: DeserializeOwned, A: FromIterator<Option<T>>>(
    data_type: &DataType,
    values: &[&Value],
) -> Result<A, String> {
    let read = |(row, value): (usize, &&Value)| {
        let value = Option::<T>::deserialize(*value);
        value.map_err(|error| format!("row {row}: {error}, for {data_type}"))
    };
    values.iter().enumerate().map(read).collect()
}

fn list(element: &FieldRef, values: &[&Value]) -> Result<ListArray, String> {
    let (mut lengths, mut nulls, mut elements) = (Vec::new(), Vec::new(), Vec::new());
    for (row, value) in values.iter().enumerate() {
        let list: &[Value] = match value {
            Value::Null => &[],
            Value::Array(list) => list,
            _ => return Err(format!("row {row}: no array")),
        };
        lengths.push(list.len());
        nulls.push(!value.is_null());
        elements.extend(list);
    }
    let elements = array(element.data_type(), &elements)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = NullBuffer::from(nulls);
    ListArray::try_new(Arc::clone(element), offsets, elements, Some(nulls))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::arrow::types::data_type;

    #[test]
    fn a_value_comes_back_as_it_was() {
        let cases = [
            ("Int8", "[-128,null,127]"),
            ("UInt64", "[18446744073709551615]"),
            ("Float64", "[0.1,null]"),
            ("Bool", "[true,null,false]"),
            ("String", r#"["a","",null]"#),
            ("DateTime64(9)", "[1700000000123456789,null]"),
            ("Date", "[19000]"),
            ("Enum8('a' = 1)", r#"["a",null,"a"]"#),
            ("Array(Array(UInt8))", "[[[1,2],[]],null,[],[[3]]]"),
        ];
        for (text, rows) in cases {
            let values: Vec<Value> = serde_json::from_str(rows).unwrap();
            let array = array(&data_type(text).unwrap(), &values.iter().collect::<Vec<_>>());
            let array = array.unwrap();
            let back: Value = (0..array.len()).map(|at| value(&array, at).unwrap()).collect();
            assert_eq!(back.to_string(), rows, "{text}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_with_its_row() {
        let cases = [
            ("Int8", "[1,128]", "row 1: invalid value: integer `128`, expected i8, for Int8"),
            ("Array(Int8)", "[1]", "row 0: no array"),
            (
                "Enum8('a' = 1)",
                "[1]",
                "row 0: invalid type: integer `1`, expected a string, for Dictionary(Int32, Utf8)",
            ),
            (
                "UUID",
                "[]",
                "type FixedSizeBinary(16) has no JSON in tests: give and take the rows by \
                 `testing::run_batch`",
            ),
        ];
        for (text, rows, expected) in cases {
            let values: Vec<Value> = serde_json::from_str(rows).unwrap();
            let array = array(&data_type(text).unwrap(), &values.iter().collect::<Vec<_>>());
            assert_eq!(array.unwrap_err(), expected);
        }
    }
}
