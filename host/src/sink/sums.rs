//! What the values of rows amount to, column by column, told alike by the host and by ClickHouse: two sets
//! of rows with the same sums are taken for the same.

use std::collections::HashSet;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use super::table::Table;

/// Most columns that are summed.
const MAX_COLUMNS: usize = 64;

/// The sum of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The column.
    pub column: String,
    /// ClickHouse's expression for it, with a `?` for the column.
    pub expression: &'static str,
    /// What the host has.
    pub sum: i128,
}

/// The sums by which rows are told from others; `None` where too few of their values differ.
pub fn sums(table: &Table, rows: &RecordBatch) -> Option<Vec<Sum>> {
    let (mut sums, mut is_distinct) = (Vec::new(), false);
    for column in &table.schema.columns {
        let Some(values) = rows.column_by_name(&column.name) else { continue };
        let Some((expression, values)) = summands(&column.type_text, values) else { continue };
        let different: HashSet<i128> = values.iter().copied().collect();
        is_distinct |= different.len() >= 2.max(values.len() / 2);
        let (column, sum) = (column.name.to_string(), values.iter().sum());
        sums.push(Sum { column, expression, sum });
        if sums.len() == MAX_COLUMNS {
            break;
        }
    }
    // A row alone has nothing to differ from.
    is_distinct |= rows.num_rows() == 1 && sums.len() > 1;
    is_distinct.then_some(sums)
}

/// The values of a column as both systems count them; `None` for a type that they count otherwise, and
/// where a null may have become a default.
fn summands(ty: &str, column: &dyn Array) -> Option<(&'static str, Vec<i128>)> {
    const NUMBER: &str = "toInt128(?)";
    let inner = |ty: &str, wrapper: &str| {
        ty.strip_prefix(wrapper).and_then(|ty| ty.strip_suffix(')')).map(str::to_owned)
    };
    let ty = inner(ty, "LowCardinality(").unwrap_or_else(|| ty.to_owned());
    let ty = inner(&ty, "Nullable(").unwrap_or(ty);
    if column.null_count() > 0 {
        return None;
    }
    let is_integer = ty.strip_prefix('U').unwrap_or(&ty).starts_with("Int");
    let is_time64 = ty.starts_with("DateTime64(");
    Some(match column.data_type() {
        DataType::Utf8 if ty == "String" => {
            let texts = column.as_string::<i32>().iter().flatten();
            (
                "toInt128(CRC32(?))",
                texts.map(|text| crc32fast::hash(text.as_bytes()).into()).collect(),
            )
        }
        DataType::Int8 if is_integer => (NUMBER, numbers::<Int8Type>(column)),
        DataType::Int16 if is_integer => (NUMBER, numbers::<Int16Type>(column)),
        DataType::Int32 if is_integer => (NUMBER, numbers::<Int32Type>(column)),
        DataType::Int64 if is_integer => (NUMBER, numbers::<Int64Type>(column)),
        DataType::UInt8 if is_integer => (NUMBER, numbers::<UInt8Type>(column)),
        DataType::UInt16 if is_integer => (NUMBER, numbers::<UInt16Type>(column)),
        DataType::UInt32 if is_integer => (NUMBER, numbers::<UInt32Type>(column)),
        DataType::UInt64 if is_integer => (NUMBER, numbers::<UInt64Type>(column)),
        DataType::Float32 if ty == "Float32" => {
            let bits = column.as_primitive::<Float32Type>().values().iter();
            ("toInt128(reinterpretAsUInt32(?))", bits.map(|value| value.to_bits().into()).collect())
        }
        DataType::Float64 if ty == "Float64" => {
            let bits = column.as_primitive::<Float64Type>().values().iter();
            ("toInt128(reinterpretAsUInt64(?))", bits.map(|value| value.to_bits().into()).collect())
        }
        DataType::Timestamp(TimeUnit::Second, _) if ty.starts_with("DateTime") && !is_time64 => {
            ("toInt128(toUInt32(?))", numbers::<TimestampSecondType>(column))
        }
        DataType::Timestamp(unit, _) if is_time64 => {
            let (values, nanoseconds) = match unit {
                TimeUnit::Second => (numbers::<TimestampSecondType>(column), 1_000_000_000),
                TimeUnit::Millisecond => (numbers::<TimestampMillisecondType>(column), 1_000_000),
                TimeUnit::Microsecond => (numbers::<TimestampMicrosecondType>(column), 1_000),
                TimeUnit::Nanosecond => (numbers::<TimestampNanosecondType>(column), 1),
            };
            let values = values.into_iter().map(|value| value * nanoseconds).collect();
            ("toInt128(toUnixTimestamp64Nano(?))", values)
        }
        _ => return None,
    })
}

fn numbers<T: ArrowPrimitiveType>(column: &dyn Array) -> Vec<i128>
where
    T::Native: Into<i128>,
{
    column.as_primitive::<T>().values().iter().map(|value| (*value).into()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int16Array, StringArray, TimestampMillisecondArray};

    use super::*;

    #[test]
    fn a_column_is_summed_only_where_both_systems_count_it_alike() {
        let text = StringArray::from(vec![Some("x"), None]);
        assert_eq!(summands("Nullable(String)", &text), None, "the server may put a default");
        let text = StringArray::from(vec!["123456789"]);
        // The check value of CRC-32.
        let sum = Some(("toInt128(CRC32(?))", vec![0xcbf4_3926]));
        assert_eq!(summands("LowCardinality(String)", &text), sum);
        assert_eq!(summands("FixedString(9)", &text), None);
        let number: Arc<dyn Array> = Arc::new(Int16Array::from(vec![-3, 5]));
        assert_eq!(summands("Int16", &number), Some(("toInt128(?)", vec![-3, 5])));
        assert_eq!(summands("Enum16('a' = -3)", &number), None);
        let time = TimestampMillisecondArray::from(vec![7]);
        let sum = Some(("toInt128(toUnixTimestamp64Nano(?))", vec![7_000_000]));
        assert_eq!(summands("DateTime64(3, 'UTC')", &time), sum);
    }
}
