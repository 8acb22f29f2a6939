//! The JSON forms that `value` accepts for a column, in words.

use chrono_tz::Tz;

use crate::schema::plan::ValueRules;
use crate::schema::types::{Kind, Type};

/// What DATETIME_COLUMNS adds.
const LAYOUTS: &str = "more layouts";

/// A short description of what a column takes. Omits ranges, which follow from the type, and null. The zone of a text
/// without an offset is in brackets.
pub fn forms(ty: &Type, rules: ValueRules) -> String {
    match &ty.kind {
        Kind::Decimal { .. } if let Some(encoding) = rules.encoding() => {
            format!("number, or its unscaled bytes in {} as string", encoding.as_str())
        }
        _ if let Some(encoding) = rules.encoding() => {
            format!("bytes in {} as string", encoding.as_str())
        }
        Kind::Int(_) | Kind::WideInt(_) if rules.is_lenient() => {
            "integer, or as string, true or false".into()
        }
        Kind::Int(kind) if kind.is_64_bit() => "integer, or as string".into(),
        Kind::WideInt(_) => "integer, or as string".into(),
        Kind::Int(_) => "integer".into(),
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 if rules.is_lenient() => {
            "number, or as string, true or false".into()
        }
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => "number".into(),
        Kind::Bool if rules.is_lenient() => "true or false, 1 or 0".into(),
        Kind::Bool => "true or false".into(),
        Kind::String if rules.is_lenient() => "any value, as text".into(),
        Kind::String => "string".into(),
        Kind::FixedString(width) => format!("string of at most {width} bytes"),
        Kind::Uuid => "UUID as string".into(),
        Kind::Ipv4 => "IPv4 address as string".into(),
        Kind::Ipv6 => "IPv6 or IPv4 address as string".into(),
        Kind::Date | Kind::Date32 => date(&ty.kind, rules),
        Kind::DateTime { zone } | Kind::DateTime64 { zone, .. } => {
            moment(&ty.kind, zone.unwrap_or(rules.zone), rules)
        }
        Kind::Time | Kind::Time64 { .. } if rules.unit_of(&ty.kind).is_some() => {
            format!("span of time as string (h:mm:ss){}", number(&ty.kind, rules))
        }
        Kind::Time if rules.is_lenient() => {
            "span of time as string (h:mm:ss), or its seconds".into()
        }
        Kind::Time64 { .. } if rules.is_lenient() => {
            "span of time as string (h:mm:ss), or an integer of its ticks".into()
        }
        Kind::Time | Kind::Time64 { .. } => "span of time as string (h:mm:ss)".into(),
        Kind::Decimal { .. } => "number, or as string".into(),
        Kind::Enum(..) if rules.is_lenient() => "label as string, or its number".into(),
        Kind::Enum(..) => "label as string".into(),
        Kind::Array(element) => format!("array of: {}", within(element, rules)),
        Kind::Map(_, value) => format!("object of: {}", within(value, rules)),
        Kind::Json(_) => "object".into(),
        Kind::Variant(members) => {
            let members: Vec<String> = members.iter().map(|ty| within(ty, rules)).collect();
            format!("one of: ({})", members.join("; "))
        }
        Kind::Dynamic(_) => "number, string, true or false, or array of one kind of these".into(),
        Kind::Tuple(elements) => {
            let has_names = elements.iter().any(|element| element.name.is_some());
            let list: Vec<String> =
                elements.iter().map(|element| within(&element.ty, rules)).collect();
            let or_object = if has_names { ", or object by name" } else { "" };
            format!("array of exactly: ({}){or_object}", list.join("; "))
        }
    }
}

fn date(kind: &Kind, rules: ValueRules) -> String {
    let layouts = if rules.is_wide { format!(" ({LAYOUTS})") } else { String::new() };
    let number = match rules.unit_of(kind) {
        None if rules.is_lenient() => ", or days since 1970".to_owned(),
        _ => number(kind, rules),
    };
    format!("date as string{layouts}{number}")
}

fn number(kind: &Kind, rules: ValueRules) -> String {
    let unit = rules.unit_of(kind);
    unit.map_or_else(String::new, |unit| format!(", or number in {}", unit.as_str()))
}

fn moment(kind: &Kind, zone: Tz, rules: ValueRules) -> String {
    let layouts = if rules.is_wide { format!(", {LAYOUTS}") } else { String::new() };
    let number = match kind {
        _ if rules.unit.is_some() || !rules.is_lenient() => number(kind, rules),
        Kind::DateTime { .. } => ", or seconds since 1970".to_owned(),
        _ => ", or seconds since 1970 as string, or an integer of its ticks".to_owned(),
    };
    format!("time as string ({zone}{layouts}){number}")
}

/// The description of a nested type, null included.
fn within(ty: &Type, rules: ValueRules) -> String {
    let null = if ty.is_nullable { " or null" } else { "" };
    format!("{}{null}", forms(ty, rules))
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;
    use crate::schema::plan::{Rules, TablePlan, TimestampUnit};
    use crate::schema::table::{ColumnRow, TableSchema};

    /// A type, the rules, its description, values that it accepts, and values that it refuses.
    type Case<'a> = (&'a str, &'a Rules, &'a str, &'a [&'a str], &'a [&'a str]);

    /// The description of a column of this type, and whether it accepts this value.
    fn said_and_done(ty: &str, rules: &Rules, value: &str) -> (String, bool) {
        let row = ColumnRow {
            name: "c".into(),
            ty: ty.into(),
            default_kind: String::new(),
            default_expression: String::new(),
        };
        let schema = TableSchema::from_rows("d", "t", "Asia/Tokyo", [row]).unwrap();
        let plan = TablePlan::new(&schema, rules).unwrap();
        let payload = format!("{{\"c\":{value}}}");
        let rows = decode(&plan, std::iter::once((0, payload.as_bytes())));
        let said = forms(&plan.columns[0].ty, plan.columns[0].values);
        (said, rows.rejections.is_empty())
    }

    fn assert_said_and_done(table: &[Case<'_>]) {
        for (ty, rules, expected, taken, refused) in table {
            for (values, is_taken) in [(taken, true), (refused, false)] {
                for value in *values {
                    let done = said_and_done(ty, rules, value);
                    assert_eq!(done, ((*expected).to_owned(), is_taken), "{ty}: {value}");
                }
            }
        }
    }

    #[test]
    fn what_is_said_of_a_type_is_what_decode_takes() {
        let plain = Rules::default();
        let unit = Rules { timestamp_unit: Some(TimestampUnit::Milliseconds), ..Rules::default() };
        let wide = Rules { datetime: vec!["c".into()], ..Rules::default() };
        let table: &[Case<'_>] = &[
            ("Int32", &plain, "integer", &["1"], &["\"1\"", "true", "1.5"]),
            ("UInt64", &plain, "integer, or as string", &["1", "\"1\""], &["1.5", "[]"]),
            ("Int256", &plain, "integer, or as string", &["1e3", "\"-1\""], &["1.5", "\"\""]),
            ("BFloat16", &plain, "number", &["1.5"], &["\"1.5\"", "3.4e38"]),
            ("IPv4", &plain, "IPv4 address as string", &["\"1.2.3.4\""], &["\"::1\"", "1"]),
            (
                "IPv6",
                &plain,
                "IPv6 or IPv4 address as string",
                &["\"::1\"", "\"1.2.3.4\""],
                &["\"1.2.3\"", "1"],
            ),
            (
                "Time64(3)",
                &unit,
                "span of time as string (h:mm:ss)",
                &["\"-1:00:00.5\""],
                &["1", "\"1:00:00.0001\""],
            ),
            ("Float32", &plain, "number", &["1", "1.5"], &["\"1.5\""]),
            ("Bool", &plain, "true or false", &["true", "false"], &["1", "\"true\""]),
            ("String", &plain, "string", &["\"1\""], &["1", "{}"]),
            ("FixedString(2)", &plain, "string of at most 2 bytes", &["\"a\""], &["\"abc\"", "1"]),
            (
                "UUID",
                &plain,
                "UUID as string",
                &["\"6f1d2c3b-0000-4000-8000-000000000000\""],
                &["1"],
            ),
            ("Date", &unit, "date as string", &["\"2026-03-01\""], &["1", "\"Mar 1 2026\""]),
            ("Date", &wide, "date as string (more layouts)", &["\"Mar 1 2026\""], &["1"]),
            (
                "DateTime",
                &plain,
                "time as string (Asia/Tokyo)",
                &["\"2026-03-01 10:00:00\""],
                &["1", "\"Mar 1 2026\""],
            ),
            (
                "DateTime64(3, 'Europe/Berlin')",
                &unit,
                "time as string (Europe/Berlin), or number in ms",
                &["1", "\"2026-03-01\""],
                &["1.5"],
            ),
            (
                "DateTime",
                &wide,
                "time as string (Asia/Tokyo, more layouts)",
                &["\"Mar 1 2026\""],
                &["1"],
            ),
            ("Decimal(4, 2)", &plain, "number, or as string", &["1.5", "\"1.5\""], &["true"]),
            ("Decimal(50, 2)", &plain, "number, or as string", &["1.5"], &["1.555"]),
            ("Enum8('a' = 1)", &plain, "label as string", &["\"a\""], &["1", "\"b\""]),
        ];
        assert_said_and_done(table);
    }

    #[test]
    fn so_it_is_with_lenient_coercion() {
        let lenient = Rules { is_lenient: true, ..Rules::default() };
        let table: &[Case<'_>] = &[
            (
                "Float32",
                &lenient,
                "number, or as string, true or false",
                &["\"1.5\"", "\".5\"", "\"-inf\"", "true"],
                &["\"\"", "\"x\""],
            ),
            (
                "Int8",
                &lenient,
                "integer, or as string, true or false",
                &["\"-1\"", "\"+1\"", "true"],
                &["\"1.5\"", "\"\"", "\"300\""],
            ),
            (
                "UInt256",
                &lenient,
                "integer, or as string, true or false",
                &["\"007\"", "false"],
                &["\"-1\"", "1.5"],
            ),
            (
                "String",
                &lenient,
                "any value, as text",
                &["1.50", "true", "{\"a\": [1, null]}", "[]"],
                &[],
            ),
            (
                "Date",
                &lenient,
                "date as string, or days since 1970",
                &["20487", "\"2026-2-3\""],
                &["65536", "20487.0", "\"20487\"", "true"],
            ),
            (
                "Enum8('a' = -1, 'b' = 7)",
                &lenient,
                "label as string, or its number",
                &["7", "\"-1\"", "\"a\""],
                &["0", "7.0", "\"7.0\"", "\"c\""],
            ),
            (
                "Decimal(4, 2)",
                &lenient,
                "number, or as string",
                &["1.255", "\"+.5\"", "0.30000000000000004"],
                &["100", "\"1.2.3\"", "\"\"", "true"],
            ),
            (
                "Time",
                &lenient,
                "span of time as string (h:mm:ss), or its seconds",
                &["-5", "\"12\""],
                &["3600000", "\"12:34\"", "\"120\""],
            ),
            (
                "Time64(3)",
                &lenient,
                "span of time as string (h:mm:ss), or an integer of its ticks",
                &["1500", "\"1.5\"", "\"12:00:00.1239\""],
                &["1.5", "\"12:00:00.x\""],
            ),
            ("FixedString(2)", &lenient, "string of at most 2 bytes", &["\"a\""], &["1", "[]"]),
            ("Bool", &lenient, "true or false, 1 or 0", &["1", "0", "true"], &["2", "\"1\""]),
            (
                "DateTime",
                &lenient,
                "time as string (Asia/Tokyo), or seconds since 1970",
                &["1", "\"1700000000\"", "\"2026-03-01T10:00:00.789Z\"", "\"1700000000.5\""],
                &["1.5", "1.0", "1e9", "\"1\"", "1700000000123"],
            ),
            (
                "DateTime64(3)",
                &lenient,
                "time as string (Asia/Tokyo), or seconds since 1970 as string, or an integer of its \
                 ticks",
                &["-1", "1700000000123", "\"1700000000.0005\"", "\"1700000000123\""],
                &["1.5", "1770091507.0", "\"1.125\"", "99999999999999999999999999999999999999"],
            ),
        ];
        assert_said_and_done(table);
    }

    #[test]
    fn so_it_is_of_a_type_that_holds_others() {
        let plain = Rules::default();
        let table: &[Case<'_>] = &[
            ("Array(Int8)", &plain, "array of: integer", &["[]", "[1]"], &["1", "[null]"]),
            ("Array(Nullable(Int8))", &plain, "array of: integer or null", &["[null]"], &["1"]),
            (
                "Map(String, Int8)",
                &plain,
                "object of: integer",
                &["{}", r#"{"a":1}"#],
                &["[1]", r#"{"a":null}"#],
            ),
            ("JSON", &plain, "object", &["{}", r#"{"a":[1,"x"]}"#], &["[]", "\"{}\""]),
            (
                "Variant(Array(Int8), UUID)",
                &plain,
                "one of: (array of: integer; UUID as string)",
                &["[1]", "null"],
                &["1", "\"x\"", "[null]"],
            ),
            (
                "Dynamic",
                &plain,
                "number, string, true or false, or array of one kind of these",
                &["1", "\"x\"", "[1.5,null]", "true"],
                &["{}", "[1,true]"],
            ),
            (
                "Tuple(Int8, String)",
                &plain,
                "array of exactly: (integer; string)",
                &[r#"[1,"a"]"#],
                &["[1]", "{}"],
            ),
            (
                "Tuple(a Int8, b Nullable(String))",
                &plain,
                "array of exactly: (integer; string or null), or object by name",
                &[r#"{"a":1}"#, "[1,null]"],
                &[r#"{"b":"x"}"#, "[1]"],
            ),
        ];
        assert_said_and_done(table);
    }
}
