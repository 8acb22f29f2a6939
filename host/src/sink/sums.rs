//! A checksum of rows that the host and ClickHouse compute alike: the sum of a hash of each row. Two sets of
//! rows with the same sum count as equal.

use std::collections::HashSet;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use twox_hash::XxHash64;

use crate::clickhouse::table::Table;

/// Most columns that are hashed.
const MAX_COLUMNS: usize = 64;

/// The sum of a hash of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The columns, in their order in the expression.
    pub columns: Vec<String>,
    /// ClickHouse's expression for the hash of a row, with a `?` for each column.
    pub expression: String,
    /// The sum as the host computes it.
    pub sum: i128,
}

/// The checksum that identifies rows; `None` if too few of their values differ. `token_column` holds the
/// token of their INSERT, if they carry it.
pub fn sum_rows(table: &Table, rows: &RecordBatch, token_column: Option<&str>) -> Option<Sum> {
    let is_token = |name: &str| token_column == Some(name);
    // The token column comes first: only the first columns are hashed, and the token alone identifies rows.
    let mut columns: Vec<_> = table.schema.columns.iter().collect();
    columns.sort_by_key(|column| !is_token(&column.name));
    let (mut of, mut expressions, mut is_distinct) = (Vec::new(), Vec::new(), false);
    let mut texts = vec![String::new(); rows.num_rows()];
    for column in columns {
        let Some(values) = rows.column_by_name(&column.name) else { continue };
        let Some(hashed) = hashed(&column.type_text, values) else { continue };
        let different: HashSet<&str> = hashed.values.iter().map(String::as_str).collect();
        is_distinct |= different.len() >= 2.max(hashed.values.len() / 2) || is_token(&column.name);
        for (text, value) in texts.iter_mut().zip(&hashed.values) {
            text.push_str(value);
            text.push(',');
        }
        of.push(column.name.to_string());
        expressions.push(format!("{}, ','", hashed.expression));
        if of.len() == MAX_COLUMNS {
            break;
        }
    }
    // A single row has no other to differ from.
    is_distinct |= rows.num_rows() == 1 && of.len() > 1;
    let sum = texts.iter().map(|text| i128::from(XxHash64::oneshot(0, text.as_bytes()))).sum();
    let expression = format!("toInt128(xxHash64(concat({})))", expressions.join(", "));
    is_distinct.then_some(Sum { columns: of, expression, sum })
}

/// The values of a column as texts.
#[derive(Debug, PartialEq, Eq)]
struct HashedColumn {
    /// ClickHouse's expression for a value, with a `?` for the column.
    expression: &'static str,
    /// The values as the host writes them.
    values: Vec<String>,
}

/// The values of a column as text that both systems write alike; `None` if its type is written differently,
/// or if a null may have become a default.
fn hashed(ty: &str, column: &dyn Array) -> Option<HashedColumn> {
    const NUMBER: &str = "assumeNotNull(toString(toInt128(?)))";
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
    let (expression, values) = match column.data_type() {
        DataType::Utf8 if ty == "String" => {
            let values = column.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            return Some(HashedColumn { expression: "assumeNotNull(toString(?))", values });
        }
        DataType::Binary if ty == "String" => {
            let values = column.as_binary::<i32>().iter().flatten().map(hex::encode_upper);
            return Some(HashedColumn {
                expression: "assumeNotNull(hex(?))",
                values: values.collect(),
            });
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
            (
                "assumeNotNull(toString(reinterpretAsUInt32(?)))",
                bits.map(|value| value.to_bits().into()).collect(),
            )
        }
        DataType::Float64 if ty == "Float64" => {
            let bits = column.as_primitive::<Float64Type>().values().iter();
            (
                "assumeNotNull(toString(reinterpretAsUInt64(?)))",
                bits.map(|value| value.to_bits().into()).collect(),
            )
        }
        DataType::Timestamp(TimeUnit::Second, _) if ty.starts_with("DateTime") && !is_time64 => {
            ("assumeNotNull(toString(toUInt32(?)))", numbers::<TimestampSecondType>(column))
        }
        DataType::Timestamp(unit, _) if is_time64 => {
            let (values, nanoseconds) = match unit {
                TimeUnit::Second => (numbers::<TimestampSecondType>(column), 1_000_000_000),
                TimeUnit::Millisecond => (numbers::<TimestampMillisecondType>(column), 1_000_000),
                TimeUnit::Microsecond => (numbers::<TimestampMicrosecondType>(column), 1_000),
                TimeUnit::Nanosecond => (numbers::<TimestampNanosecondType>(column), 1),
            };
            let values = values.into_iter().map(|value| value * nanoseconds).collect();
            ("assumeNotNull(toString(toUnixTimestamp64Nano(?)))", values)
        }
        _ => return None,
    };
    let values = values.into_iter().map(|value: i128| value.to_string()).collect();
    Some(HashedColumn { expression, values })
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

    use arrow_array::{ArrayRef, Int16Array, Int64Array, StringArray, TimestampMillisecondArray};

    use super::*;
    use crate::clickhouse::TableFacts;
    use crate::schema::table::{ColumnRow, TableSchema};

    #[test]
    fn a_column_is_hashed_only_where_both_systems_write_it_alike() {
        let of = |ty: &str, column: &dyn Array| {
            let hashed = hashed(ty, column)?;
            let expression = hashed.expression.strip_prefix("assumeNotNull(toString(")?;
            Some((expression.strip_suffix("))")?.to_owned(), hashed.values.join(" ")))
        };
        let told = |expression: &str, values: &str| Some((expression.into(), values.into()));
        let text = StringArray::from(vec![Some("x"), None]);
        assert_eq!(of("Nullable(String)", &text), None, "the server may put a default");
        let text = StringArray::from(vec!["x"]);
        assert_eq!(of("LowCardinality(String)", &text), told("?", "x"));
        assert_eq!(of("FixedString(9)", &text), None);
        let number: ArrayRef = Arc::new(Int16Array::from(vec![-3, 5]));
        assert_eq!(of("Int16", &number), told("toInt128(?)", "-3 5"));
        assert_eq!(of("Enum16('a' = -3)", &number), None);
        let time = TimestampMillisecondArray::from(vec![7]);
        assert_eq!(of("DateTime64(3, 'UTC')", &time), told("toUnixTimestamp64Nano(?)", "7000000"));
    }

    fn table(columns: &[(&str, &str)]) -> Table {
        let columns = columns.iter().map(|(name, ty)| ColumnRow {
            name: (*name).into(),
            ty: (*ty).into(),
            default_kind: String::new(),
            default_expression: String::new(),
        });
        let schema = TableSchema::from_rows("d", "t", "UTC", columns).unwrap();
        Table { schema: Arc::new(schema), settings: Vec::new(), facts: TableFacts::of_merge_tree() }
    }

    fn pairs(pairs: &[(i64, i64)]) -> RecordBatch {
        let of = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let (a, b) = pairs.iter().copied().unzip();
        RecordBatch::try_from_iter([("a", of(a)), ("b", of(b))]).unwrap()
    }

    #[test]
    fn rows_are_told_from_others_whose_columns_amount_to_the_same() {
        let table = table(&[("a", "Int64"), ("b", "Int64")]);
        let of = |rows: &[(i64, i64)]| sum_rows(&table, &pairs(rows), None).unwrap().sum;
        assert_eq!(of(&[(1, 2), (3, 4)]), of(&[(3, 4), (1, 2)]), "a part may sort its rows");
        assert_ne!(of(&[(1, 2), (4, 3)]), of(&[(2, 1), (3, 4)]), "each column adds up to 5");
        assert_ne!(of(&[(1, 2), (3, 4)]), of(&[(1, 4), (3, 2)]), "each column has the same values");
        assert_ne!(of(&[(1, 12), (3, 4)]), of(&[(11, 2), (3, 4)]));
    }

    #[test]
    fn a_token_comes_first_and_tells_rows_that_are_alike() {
        let columns: Vec<(String, &str)> =
            (0..99).map(|at| (format!("c{at}"), "Int64")).chain([("t".into(), "String")]).collect();
        let named: Vec<(&str, &str)> = columns.iter().map(|(name, ty)| (&**name, *ty)).collect();
        let of = |token: &str| {
            let numbers = (0..99).map(|at| -> (String, ArrayRef) {
                (format!("c{at}"), Arc::new(Int64Array::from(vec![7, 7, 7])))
            });
            let tokens: ArrayRef = Arc::new(StringArray::from(vec![token; 3]));
            RecordBatch::try_from_iter(numbers.chain([("t".to_owned(), tokens)])).unwrap()
        };
        let table = table(&named);
        assert_eq!(sum_rows(&table, &of("x"), None), None, "nothing tells them from others");
        let [x, y] = ["x", "y"].map(|token| sum_rows(&table, &of(token), Some("t")).unwrap());
        assert_eq!((x.columns.len(), &*x.columns[0]), (MAX_COLUMNS, "t"));
        assert_ne!(x.sum, y.sum);
        let expression = "toInt128(xxHash64(concat(assumeNotNull(toString(?)), ',', ";
        assert!(x.expression.starts_with(expression), "{}", x.expression);
    }
}
