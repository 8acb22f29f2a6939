use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};

/// The Arrow type that the host sends for a ClickHouse type, as far as the test tables go.
pub(super) fn data_type(text: &str) -> Result<DataType, String> {
    let text = text.trim();
    let (name, args) = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((name, args)) => (name.trim(), args.trim()),
        None => (text, ""),
    };
    covered(name, args).unwrap_or_else(|| {
        Err(format!(
            "type `{text}` is not covered by a test table: give the column by `Table::with`, with \
             its Arrow type"
        ))
    })
}

/// `None` for a type that is not covered itself, an error for one within it.
fn covered(name: &str, args: &str) -> Option<Result<DataType, String>> {
    let numbers: Vec<i32> = args.split(',').map_while(|arg| arg.trim().parse().ok()).collect();
    let decimal = |precision: i32, scale: i32| {
        let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
        Some(match precision {
            0..=38 => DataType::Decimal128(precision, scale),
            _ => DataType::Decimal256(precision, scale),
        })
    };
    Some(Ok(match (name, numbers.as_slice()) {
        ("LowCardinality", _) if is_sent_as_text(args) => DataType::Utf8,
        ("Nullable" | "LowCardinality", _) => return Some(data_type(args)),
        ("Array", _) => match data_type(args) {
            Ok(element) => DataType::List(Arc::new(Field::new("item", element, true))),
            error => return Some(error),
        },
        ("Int8", []) => DataType::Int8,
        ("Int16", []) => DataType::Int16,
        ("Int32" | "Time", []) => DataType::Int32,
        ("Int64", []) => DataType::Int64,
        ("UInt8", []) => DataType::UInt8,
        ("UInt16", []) => DataType::UInt16,
        ("UInt32" | "IPv4", []) => DataType::UInt32,
        ("UInt64", []) => DataType::UInt64,
        ("Float32" | "BFloat16", []) => DataType::Float32,
        ("Float64", []) => DataType::Float64,
        ("Bool", []) => DataType::Boolean,
        ("String" | "JSON", _) => DataType::Utf8,
        ("FixedString", [width]) => DataType::FixedSizeBinary(*width),
        ("UUID" | "IPv6" | "Int128" | "UInt128", []) => DataType::FixedSizeBinary(16),
        ("Int256" | "UInt256", []) => DataType::FixedSizeBinary(32),
        ("Date" | "Date32", []) => DataType::Date32,
        ("DateTime", []) | ("DateTime64", [0]) => DataType::Timestamp(TimeUnit::Second, None),
        ("DateTime64", [1..=3]) => DataType::Timestamp(TimeUnit::Millisecond, None),
        ("DateTime64", [4..=6]) => DataType::Timestamp(TimeUnit::Microsecond, None),
        ("DateTime64", [7..=9]) => DataType::Timestamp(TimeUnit::Nanosecond, None),
        ("Time64", [0..=6]) => DataType::Time64(TimeUnit::Microsecond),
        ("Time64", [7..=9]) => DataType::Time64(TimeUnit::Nanosecond),
        ("Decimal", [precision, scale]) => decimal(*precision, *scale)?,
        ("Enum8" | "Enum16", _) => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        _ => return None,
    }))
}

/// Whether a LowCardinality of the type holds texts.
fn is_sent_as_text(text: &str) -> bool {
    let within = text.strip_prefix("Nullable(").and_then(|rest| rest.strip_suffix(')'));
    matches!(within.unwrap_or(text), "UUID" | "Int128" | "UInt128" | "Int256" | "UInt256")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_sent_as_one_arrow_type_whatever_wraps_it() {
        let list = |element| DataType::List(Arc::new(Field::new("item", element, true)));
        let cases = [
            ("UInt64", DataType::UInt64),
            ("LowCardinality(Nullable(String))", DataType::Utf8),
            ("DateTime('Europe/Berlin')", DataType::Timestamp(TimeUnit::Second, None)),
            ("DateTime64(3, 'UTC')", DataType::Timestamp(TimeUnit::Millisecond, None)),
            ("Decimal(12, 4)", DataType::Decimal128(12, 4)),
            ("Decimal(39, 4)", DataType::Decimal256(39, 4)),
            ("LowCardinality(Nullable(UUID))", DataType::Utf8),
            ("LowCardinality(Int256)", DataType::Utf8),
            ("LowCardinality(FixedString(16))", DataType::FixedSizeBinary(16)),
            ("Nullable(Int128)", DataType::FixedSizeBinary(16)),
            ("Time64(3)", DataType::Time64(TimeUnit::Microsecond)),
            ("JSON(a UInt8)", DataType::Utf8),
            ("Array(Array(Nullable(Date)))", list(list(DataType::Date32))),
            ("FixedString(3)", DataType::FixedSizeBinary(3)),
            (
                "Enum8('a)' = 1, '(' = 2)",
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(data_type(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_covered_is_said_with_its_type() {
        for (text, named) in [
            ("Dynamic", "Dynamic"),
            ("Map(String, String)", "Map(String, String)"),
            ("Array(Tuple(a Int8))", "Tuple(a Int8)"),
            ("DateTime64(12)", "DateTime64(12)"),
            ("", ""),
        ] {
            let error = data_type(text).unwrap_err();
            assert!(error.starts_with(&format!("type `{named}` is not covered")), "{error}");
        }
    }
}
