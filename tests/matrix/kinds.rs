//! Where the host and ClickHouse differ, and why: each is a row of docs/types.md under the same name.

use serde_json::value::RawValue;

use crate::cells::{self, Cell};

/// A difference.
#[derive(Clone, Copy)]
pub struct Rule {
    /// As the page has it.
    pub name: &'static str,
    /// Whether a cell in which they differ is one of it.
    pub holds: fn(&Cell) -> bool,
}

const fn rule(name: &'static str, holds: fn(&Cell) -> bool) -> Rule {
    Rule { name, holds }
}

/// The host refuses.
pub const KINDS: &[Rule] = &[
    rule("what is no JSON, such as `NaN`, `+1`, `.5` and `01`", |cell| {
        serde_json::from_str::<&RawValue>(cell.form).is_err()
    }),
    rule("an integer that the type does not hold", |cell| match cell.ty {
        "Array(Int8)" | "Array(Date)" => ["[128]", "[20487]", "[1770091506]"].contains(&cell.form),
        "Map(UInt8, String)" => {
            [r#"{"256":"v"}"#, r#"{"1770091506":"v"}"#, r#"{"20487":"v"}"#].contains(&cell.form)
        }
        // Fewer digits are a part of a date.
        _ if is_time(cell.ty) => {
            is_integer(cell.form)
                && cell.form.trim_matches('"').len() >= 2
                && (!cell.form.starts_with('"') || cell.form.len() > 11)
        }
        _ => is_number(cell.ty) && is_integer(cell.form) && cell.is_changed(),
    }),
    rule("a float that is out of range", |cell| {
        cell.ty.contains("Float")
            && (cell.stored().contains("inf") || cell.form == "3.4028235e38")
            && !cell.form.contains("inf")
    }),
    rule("a number with two points or signs, or an exponent without digits", |cell| {
        let text = cell.form.trim_matches('"');
        cell.ty.contains("Decimal") && (text.matches('.').count() > 1 || text.ends_with('e'))
            || cell.ty.contains("Float") && text.starts_with("--")
    }),
    rule("an empty text for a number", |cell| is_number(cell.ty) && cell.form == "\"\""),
    rule("true or false for a day", |cell| {
        cell.ty.contains("Date") && ["true", "false", "[true]"].contains(&cell.form)
    }),
    rule("a date or time that the type does not hold", |cell| {
        is_time(cell.ty) && is_of_year(cell.form, &BEYOND_YEARS)
            // A time zone east of Greenwich has 1970 an hour before.
            || cell.ty.contains("Berlin") && is_of_year(cell.form, &["1970"])
    }),
    rule("a day that no month has, or a time that no clock shows", |cell| {
        const FORMS: &[&str] = &[
            "\"2026-02-30\"",
            "\"2026-02-03 25:00:00\"",
            "\"2026-02-03 04:60:00\"",
            "\"2026-02-03 13:00:00 PM\"",
            "\"2026-02-03T24:00:01Z\"",
        ];
        is_time(cell.ty) && FORMS.contains(&cell.form)
            || cell.ty.starts_with("Time") && cell.form == "\"12:60:00\""
    }),
    rule("a local time that never occurs", |cell| {
        cell.ty.contains("Berlin") && cell.form == "\"2026-03-29 02:30:00\""
            || cell.ty.contains("New_York") && cell.form == "\"2026-03-08 02:30:00\""
    }),
    rule("`12:34` for a Time", |cell| cell.ty.starts_with("Time") && cell.form == "\"12:34\""),
    rule("a date that lacks its year, month or day", |cell| {
        is_time(cell.ty) && is_part(cell.form)
            || ["Array(DateTime64(3, 'UTC'))", "Tuple(a DateTime64(3, 'UTC'))"].contains(&cell.ty)
                && [r#"["1"]"#, r#"["1","2"]"#, r#"["1.5","2"]"#, r#"{"a":"1","b":2}"#]
                    .contains(&cell.form)
            || cell.ty == "Map(DateTime('UTC'), String)"
                && cell.form.starts_with("{\"")
                && is_part(&cell.form[1..cell.form.find(':').unwrap()])
    }),
    rule("a date whose day and month may be either", |cell| {
        const DATES: &[&str] = &["03.02.2026", "03/02/2026", "02/13/2026", "13-02-2026"];
        is_time(cell.ty) && DATES.iter().any(|date| cell.form.trim_matches('"').starts_with(date))
    }),
    rule("an IPv4 address with zeros that lead a number", |cell| {
        cell.ty == "IPv4" && cell.form == "\"01.2.3.4\""
    }),
    rule("a null for an Enum without a DEFAULT", |cell| {
        cell.ty.starts_with("Enum") && cell.form == "null"
    }),
    rule("a null for a JSON without a DEFAULT", |cell| cell.ty == "JSON" && cell.form == "null"),
    rule(
        "a null for an Enum, a JSON or a LowCardinality(UUID) whose DEFAULT is an expression",
        |cell| {
            ["Enum", "JSON", "LowCardinality(UUID)"].iter().any(|kind| cell.ty.starts_with(kind))
                && cell.ty.contains(" DEFAULT ")
                && cell.ty.ends_with(')')
        },
    ),
    rule("a null for an Array or Map with a DEFAULT that is not empty", |cell| {
        ["Array(Int8) DEFAULT [1]", "Map(String, Int8) DEFAULT map('a', 1)"].contains(&cell.ty)
    }),
    rule("a null for a Tuple or Point with a DEFAULT", |cell| {
        ["Tuple", "Point"].iter().any(|kind| cell.ty.starts_with(kind))
            && cell.ty.contains(" DEFAULT ")
    }),
    rule("a null for a Tuple with an Enum, a JSON or a LowCardinality(UUID) in it", |cell| {
        cell.ty.starts_with("Tuple") && cells::OF_NULLS.contains(&cell.ty)
    }),
    rule("a name or a key that stands twice", |cell| {
        const FORMS: &[&str] =
            &[r#"{"a":1,"a":2}"#, r#"{"k":"v","k":"w"}"#, r#"{"1":"v","1.0":"w"}"#];
        cell.ty.starts_with("Map") && FORMS.contains(&cell.form)
    }),
    rule("a null, or an absent field, within another value", |cell| {
        let is_null = cell.form.contains("null");
        (cell.ty.starts_with("Array") || cell.ty.starts_with("Map")) && is_null
            || cell.ty.starts_with("Tuple(a")
                && cell.form.starts_with('{')
                && (!cell.form.contains("\"a\"") || !cell.form.contains("\"b\"") || is_null)
    }),
];

/// ClickHouse refuses.
pub const BEYOND: &[Rule] = &[
    rule("an integer with a point or an exponent: `1.0`, `1e2`", |cell| {
        is_number(cell.ty) && cell.form.contains(['.', 'e', 'E'])
            || cell.ty == "Map(UInt8, String)" && cell.form == r#"{"1.0":"v"}"#
    }),
    rule("`-0` for a type without negative values", |cell| {
        (cell.ty.contains("UInt") || cell.ty.contains("Date")) && cell.form == "-0"
    }),
    rule("a month in words for a Date", |cell| {
        cell.ty.contains("Date") && cell.form.contains("Feb")
    }),
    rule("a fraction of seconds since 1970 as string for a DateTime", |cell| {
        cell.ty.contains("DateTime") && is_epoch_with_point(cell.form)
    }),
    rule("seconds without a digit before the point for a Time64", |cell| {
        cell.ty.starts_with("Time64") && cell.form == "\".5\""
    }),
    rule("a UUID in braces, or behind `urn:uuid:`", |cell| {
        cell.ty.contains("UUID") && (cell.form.contains('{') || cell.form.contains("urn:"))
    }),
    rule("`true` and `false` as keys of a Map", |cell| {
        cell.ty == "Map(Bool, String)" && cell.form == r#"{"true":"v"}"#
    }),
    rule("an array for a Tuple with names", |cell| {
        cell.ty.starts_with("Tuple(a") && cell.form.starts_with('[')
    }),
];

/// Both take it, and not as the same value.
pub const OTHER: &[Rule] =
    &[rule("the nearest BFloat16, where ClickHouse cuts", |cell| cell.ty == "BFloat16")];

/// Years that some type does not hold.
const BEYOND_YEARS: [&str; 11] =
    ["0000", "1899", "1950", "1969", "2106", "2149", "2262", "2299", "2300", "9999", "2101"];

impl Cell {
    fn stored(&self) -> &str {
        self.clickhouse.as_deref().unwrap_or_default()
    }

    /// Whether ClickHouse stores another integer than is written.
    fn is_changed(&self) -> bool {
        let digits = |text: &str| text.trim_matches('"').trim_start_matches(['+', '0']).to_owned();
        digits(self.form) != digits(self.stored())
    }
}

/// A type that holds one number, or its label.
fn is_number(ty: &str) -> bool {
    const NAMES: &[&str] = &["Int", "UInt", "Interval", "Simple", "Decimal", "Enum"];
    NAMES.iter().any(|name| ty.trim_start_matches("Nullable(").starts_with(name))
}

/// A type that holds one date or time.
fn is_time(ty: &str) -> bool {
    let ty = ty.trim_start_matches("Nullable(");
    ty.starts_with("Date") || ty.starts_with("Time")
}

fn is_integer(form: &str) -> bool {
    let digits = form.trim_matches('"').trim_start_matches(['+', '-']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_of_year(form: &str, years: &[&str]) -> bool {
    years.iter().any(|year| form.starts_with(&format!("\"{year}-")))
}

/// A text that ClickHouse takes for a part of a date, and puts the current year, or the first month or day, to.
fn is_part(form: &str) -> bool {
    const FORMS: &[&str] = &[
        "1",
        "01",
        " 1",
        "1 ",
        "1.0",
        "1.5",
        "5.0",
        "1,5",
        "12",
        "2",
        "7",
        "2026",
        "2026-02",
        "202602",
        "12:34:56",
        "7:30:00",
        "12:34",
        "12:34:56.789",
        "12:34:56.7891",
        "12:34:56.1234567891",
        "24:00:00",
        "12:60:00",
        "1000:00:00",
    ];
    FORMS.contains(&form.trim_matches('"'))
}

fn is_epoch_with_point(form: &str) -> bool {
    let text = form.trim_matches('"');
    text.split_once('.')
        .is_some_and(|(whole, _)| [9, 10].contains(&whole.len()) && is_integer(whole))
}
