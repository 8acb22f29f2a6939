//! Hints about what would accept a refused value. They are made only after a record has failed, and name no value of
//! it, since the log shows them.

use chrono::DateTime;

use super::columns::Column;
use super::date::{self, is_offset_at_fault, nanos_of_number};
use super::fault::kind_of;
use super::lenient;
use super::number::{Misfit, Number};
use super::serde_walk::each_member;
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::{ColumnPlan, Forms, TimestampUnit, ValueRules};
use crate::schema::source::{ColumnSource, escaped};
use crate::schema::types::{Kind, Type};

/// Longest value that is parsed again for a hint, in bytes.
const MOST_BYTES: usize = 16 * 1024;
/// Longest name of a member that is shown.
const MOST_NAME_BYTES: usize = 100;
/// The range in which a number may be meant as a date: the years 2000 to 2099, in seconds since 1970.
const PLAUSIBLE: std::ops::Range<i128> = 946_684_800..4_102_444_800;

/// Adds that COERCION=lenient accepts the value of a field, if it does; not if a number already has a hint on
/// TIMESTAMP_UNIT: COERCION=lenient may read another time.
#[cold]
pub fn lenient(fault: &mut Fault, ty: &Type, rules: ValueRules, token: &str) {
    if rules.forms != Forms::Strict
        || token.len() > MOST_BYTES
        || fault.expected.contains("TIMESTAMP_UNIT")
    {
        return;
    }
    let mut column = Column::new(ty, 1);
    let rules = ValueRules { forms: Forms::Lenient, ..rules };
    if lenient::read(&mut column, ty, rules, token).is_ok() {
        fault.expected.push_str("; COERCION=lenient takes this value");
        if matches!(fault.got_kind, "object" | "array") {
            fault.expected.push_str(" as its JSON text");
        }
        if column.room().is_noted() {
            fault.expected.push_str(", and cuts digits");
        }
    }
}

/// Adds that a text is a date and a time except for its offset, if it is.
#[cold]
pub fn offset(mut fault: Box<Fault>, text: &str) -> Box<Fault> {
    if is_offset_at_fault(text) {
        let hint = "; what stands behind the time is no offset of the forms Z, +hh:mm and +hhmm";
        fault.expected.push_str(hint);
    }
    fault
}

/// Adds the other unit in which a number is a date of this century, if there is one.
#[cold]
pub fn unit(mut fault: Box<Fault>, kind: &Kind, rules: ValueRules, number: &str) -> Box<Fault> {
    let is_date =
        matches!(kind, Kind::Date | Kind::Date32 | Kind::DateTime { .. } | Kind::DateTime64 { .. });
    if !is_date || !matches!(fault.reason, Reason::OutOfRange | Reason::BadDatetime) {
        return fault;
    }
    let configured = rules.unit_of(kind);
    let meant = TimestampUnit::WORDS.iter().find_map(|(word, unit)| {
        let nanos = nanos_of_number(Number::of(number), *unit).ok()?;
        let seconds = nanos.div_euclid(1_000_000_000);
        let is_meant = Some(*unit) != configured && PLAUSIBLE.contains(&seconds);
        is_meant.then_some((word, i64::try_from(seconds).ok()?))
    });
    let is_day = matches!(kind, Kind::Date | Kind::Date32);
    let Some((word, seconds)) = meant else {
        let nanos = configured.map(|unit| nanos_of_number(Number::of(number), unit));
        // A fraction of a day is valid only in units of seconds.
        let is_part = match (configured, nanos) {
            (Some(TimestampUnit::Days), Some(Err(Misfit::Fraction))) => true,
            (_, Some(Ok(nanos))) => nanos.rem_euclid(TimestampUnit::Days.nanos()) != 0,
            _ => false,
        };
        if is_day && is_part {
            fault.expected.push_str("; the number is not a whole day");
        }
        return fault;
    };
    let set = match (configured, rules.unit) {
        (Some(unit), _) => format!("TIMESTAMP_UNIT says `{}`", unit.as_str()),
        (None, Some(unit)) => {
            format!("TIMESTAMP_UNIT=`{}` does not name the column", unit.as_str())
        }
        (None, None) => "TIMESTAMP_UNIT is not set".to_owned(),
    };
    let hint = format!("; {set}, and in `{word}` the number is of the years 2000 to 2099");
    fault.expected.push_str(&hint);
    if let Some(moment) = DateTime::from_timestamp(seconds, 0) {
        let date = format!(" (in `{word}` {})", moment.date_naive());
        fault.got.push_str(&date);
    }
    fault
}

/// Adds which rule accepts a date at midnight in a column of dates.
#[cold]
pub fn midnight(mut fault: Box<Fault>, text: &str) -> Box<Fault> {
    if date::parse(text, false).is_some_and(|moment| moment.days(true).is_some()) {
        fault.expected.push_str("; DATETIME_COLUMNS takes a time at midnight for its date");
    }
    fault
}

/// Adds which type accepts `true` and `false` in quotes, for a Bool.
#[cold]
pub fn quoted_bool(mut fault: Box<Fault>, text: &str) -> Box<Fault> {
    if matches!(text, "true" | "false") {
        let hint = " without quotes; a UInt8 with COERCION=lenient takes them in quotes";
        fault.expected.push_str(hint);
    }
    fault
}

/// Texts that mean no time: their first characters, in lower case.
const NO_TIMES: [&str; 8] =
    ["0001-01-01", "0000-", "0000/", "infinity", "-infinity", "nat", "9999-12-31", "null"];

/// Adds which variables accept a value that its column does not take.
#[cold]
pub fn variables(fault: &mut Fault, plan: &ColumnPlan, token: &str) {
    let text = fault.got.trim_matches('"').to_ascii_lowercase();
    if fault.reason == Reason::BadDatetime && NO_TIMES.iter().any(|none| text.starts_with(none)) {
        let word = if plan.ty.is_nullable { "null" } else { "default" };
        let hint = format!("; COLUMN_ON_INVALID={}={word} takes it for no time", plan.name);
        fault.expected.push_str(&hint);
    }
    if fault.pointer.is_empty()
        && fault.got_kind == "object"
        && fault.reason == Reason::TypeMismatch
    {
        member(fault, plan, token);
    }
}

/// Adds how to fill a column from the only relevant member of an object, as in an Avro union or a NullString of Go.
/// Puts its name with the value, since the log may show neither.
fn member(fault: &mut Fault, plan: &ColumnPlan, token: &str) {
    let at = match &plan.source {
        ColumnSource::Pointer(pointer) => pointer.to_string(),
        // The path to a dotted name is unknown.
        ColumnSource::Name if !plan.name.contains('.') => format!("/{}", escaped(&plan.name)),
        _ => return,
    };
    if token.len() > MOST_BYTES {
        return;
    }
    let mut members = Vec::new();
    let read = each_member(token, |name, value| {
        if !(name == "Valid" && kind_of(value) == "boolean") {
            members.push(escaped(name).into_owned());
        }
        Ok(())
    });
    let (Ok(()), [member]) = (read, &*members) else { return };
    if member.len() > MOST_NAME_BYTES {
        return;
    }
    fault.expected.push_str("; COLUMN_FROM takes the one member of the object");
    let entry = format!(" (COLUMN_FROM={}={at}/{member})", plan.name);
    fault.got.push_str(&entry);
}

/// Adds how to send a number as text, for an object that is a number with a scale, as Debezium writes one.
#[cold]
pub fn scaled(mut fault: Box<Fault>, kind: &Kind, token: &str) -> Box<Fault> {
    let is_number = matches!(
        kind,
        Kind::Decimal { .. } | Kind::Float64 | Kind::Float32 | Kind::Int(_) | Kind::WideInt(_)
    );
    if !is_number || kind_of(token) != "object" || token.len() > MOST_BYTES {
        return fault;
    }
    let (mut scale, mut value, mut others) = (false, false, false);
    let read = each_member(token, |name, token| {
        match (name, kind_of(token)) {
            ("scale", "number") => scale = true,
            ("value", "string") => value = true,
            _ => others = true,
        }
        Ok(())
    });
    if read.is_ok() && scale && value && !others {
        let hint =
            "; this is a VariableScaleDecimal of Debezium: set decimal.handling.mode=string there";
        fault.expected.push_str(hint);
    }
    fault
}

#[cfg(test)]
mod tests {
    use crate::decode::decode;
    use crate::schema::plan::{Rules, TablePlan, TimestampUnit};
    use crate::schema::source::Encoding;

    /// The hint for a value in a column of this type.
    fn told(ty: &str, value: &str, rules: &Rules) -> String {
        let plan = TablePlan::of_types(&[("c", ty)], rules);
        let record = format!("{{\"c\":{value}}}");
        let rows = decode(&plan, std::iter::once((0, record.as_bytes())));
        rows.rejections.first().map(|rejection| rejection.fault.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_value_that_lenient_takes_is_refused_with_its_name() {
        let strict = Rules::default();
        let lenient = Rules { is_lenient: true, ..Rules::default() };
        for (ty, value) in [
            ("UInt8", "\"5\""),
            ("UInt8", "true"),
            ("Float64", "\"1.5\""),
            ("Float64", "\"NaN\""),
            ("String", "5"),
            ("String", "{\"a\":[1]}"),
            ("Bool", "1"),
            ("Enum8('a' = 1)", "1"),
            ("Decimal(9, 2)", "1.005"),
            ("Date", "\"2026-2-3\""),
            ("DateTime", "\"2026-02-03 04:05:06 UTC\""),
            ("DateTime64(3)", "\"2026-02-03 04:05:06.12345\""),
            ("Array(UInt8)", "[1,\"2\"]"),
            ("Map(String, UInt8)", "{\"a\":\"2\"}"),
        ] {
            let told_strict = told(ty, value, &strict);
            assert!(told_strict.contains("; COERCION=lenient takes this value"), "{told_strict}");
            assert_eq!(told(ty, value, &lenient), "", "{ty} {value}");
        }
        assert!(told("Decimal(9, 2)", "1.005", &strict).contains("value, and cuts digits, got"));
    }

    #[test]
    fn an_object_is_told_what_takes_its_text_or_its_one_member() {
        let strict = Rules::default();
        for value in ["{\"a\":1,\"b\":2}", "[1]"] {
            let told = told("String", value, &strict);
            assert!(told.contains("takes this value as its JSON text, got"), "{told}");
            assert!(!told.contains("COLUMN_FROM"), "{told}");
        }
        let number = told("String", "5", &strict);
        assert!(number.contains("takes this value, got"), "{number}");
        let of_go = told("Nullable(String)", "{\"String\":\"x\",\"Valid\":true}", &strict);
        assert!(of_go.ends_with("\"Valid\":true} (COLUMN_FROM=c=/c/String)"), "{of_go}");
        let lenient = Rules { is_lenient: true, ..Rules::default() };
        let of_avro = told("Int64", "{\"a/b\":5}", &lenient);
        let hint = "; COLUMN_FROM takes the one member of the object, got";
        assert!(
            of_avro.contains(hint) && of_avro.ends_with("(COLUMN_FROM=c=/c/a~1b)"),
            "{of_avro}"
        );
        let within = told("Array(Int64)", "[{\"long\":5}]", &strict);
        assert!(!within.is_empty() && !within.contains("COLUMN_FROM"), "{within}");
    }

    #[test]
    fn a_number_with_a_scale_of_its_own_is_named() {
        for ty in ["Decimal(9, 2)", "Nullable(Decimal(50, 2))", "Float64", "Int64"] {
            let told = told(ty, "{\"scale\":2,\"value\":\"B88=\"}", &Rules::default());
            assert!(told.contains("decimal.handling.mode=string"), "{told}");
        }
        for value in ["{\"scale\":2}", "{\"scale\":2,\"value\":\"B88=\",\"x\":1}", "[]"] {
            let told = told("Decimal(9, 2)", value, &Rules::default());
            assert!(!told.is_empty() && !told.contains("Debezium"), "{told}");
        }
    }

    #[test]
    fn a_text_that_stands_for_no_time_is_told_of_column_on_invalid() {
        let strict = Rules::default();
        for text in ["0001-01-01T00:00:00Z", "infinity", "-Infinity", "NaT", "0000-00-00 00:00:00"]
        {
            for (ty, word) in [("DateTime64(3)", "default"), ("Nullable(Date)", "null")] {
                let told = told(ty, &format!("\"{text}\""), &strict);
                assert!(told.contains(&format!("; COLUMN_ON_INVALID=c={word} ")), "{told}");
            }
        }
        let other = told("DateTime", "\"2026-02-30 00:00:00\"", &strict);
        assert!(!other.is_empty() && !other.contains("COLUMN_ON_INVALID"), "{other}");
    }

    #[test]
    fn a_time_at_midnight_and_a_quoted_truth_are_told_what_takes_them() {
        let strict = Rules::default();
        for text in ["2026-03-01T00:00:00Z", "2026-03-01 00:00:00"] {
            let told = told("Date", &format!("\"{text}\""), &strict);
            assert!(told.contains("; DATETIME_COLUMNS takes a time at midnight"), "{told}");
        }
        let noon = told("Date", "\"2026-03-01T12:00:00Z\"", &strict);
        assert!(!noon.is_empty() && !noon.contains("DATETIME_COLUMNS"), "{noon}");
        let quoted = told("Bool", "\"true\"", &strict);
        assert!(quoted.contains("a UInt8 with COERCION=lenient takes them"), "{quoted}");
        let other = told("Bool", "\"yes\"", &strict);
        assert!(!other.is_empty() && !other.contains("UInt8"), "{other}");
    }

    #[test]
    fn a_number_for_a_date_is_told_whose_unit_is_set_and_that_it_is_no_whole_day() {
        let days = |unit| Rules { column_units: vec![("c".to_owned(), unit)], ..Rules::default() };
        let of_moments = Rules {
            is_lenient: true,
            timestamp_unit: Some(TimestampUnit::Milliseconds),
            ..Rules::default()
        };
        let unnamed = told("Date", "1770091506789", &of_moments);
        assert!(unnamed.contains("TIMESTAMP_UNIT=`ms` does not name the column, and"), "{unnamed}");
        for (unit, value) in [
            (TimestampUnit::Milliseconds, "1770091506789"),
            (TimestampUnit::Seconds, "1770076800.5"),
            (TimestampUnit::Days, "20487.5"),
        ] {
            let told = told("Date", value, &days(unit));
            assert!(told.contains("; the number is not a whole day"), "{told}");
        }
        let beyond = told("Date", "99999999", &days(TimestampUnit::Days));
        assert!(!beyond.is_empty() && !beyond.contains("whole day"), "{beyond}");
    }

    #[test]
    fn lenient_is_not_named_where_it_refuses_too_or_may_take_another_time() {
        for (ty, value) in [
            ("UInt8", "\"x\""),
            ("UInt8", "256"),
            ("UInt8", "\"256\""),
            ("Enum8('a' = 1)", "2"),
            ("DateTime", "\"2026-02-30 00:00:00\""),
            ("DateTime64(3)", "1770091506"),
            ("Array(UInt8)", "[\"1\",\"x\"]"),
            ("Array(UInt8)", "[\"1\",null]"),
        ] {
            let told = told(ty, value, &Rules::default());
            assert!(!told.is_empty() && !told.contains("COERCION"), "{told}");
        }
    }

    #[test]
    fn lenient_is_not_named_for_strings_in_an_encoding() {
        let encodings = vec![("c".to_owned(), Encoding::Hex)];
        let told = told("String", "5", &Rules { encodings, ..Rules::default() });
        assert!(told.contains("expected string") && !told.contains("COERCION"), "{told}");
    }

    #[test]
    fn an_offset_that_is_not_taken_is_said_to_be_at_fault() {
        for offset in ["+00", " UTC", "+0000 UTC", " +00:00", "z", " CET", "+24:00", "-1"] {
            let told =
                told("DateTime", &format!("\"2026-02-03 04:05:06{offset}\""), &Rules::default());
            assert!(
                told.contains("no offset of the forms Z, +hh:mm and +hhmm"),
                "{offset}: {told}"
            );
        }
        for text in [
            "2026-02-03 04:05 PM",
            "2026-02-03 04:05:06.1234567891",
            "2026-02-30 04:05:06+00",
            "2026-02-03T04:05:06.5Z",
            "2026-02-03 04:05:06.",
            "2026-02-03é",
            "",
        ] {
            let told = told("DateTime", &format!("\"{text}\""), &Rules::default());
            assert!(!told.is_empty() && !told.contains("offset"), "{text}: {told}");
        }
    }

    #[test]
    fn a_number_that_is_a_date_in_another_unit_is_told_with_it() {
        let of = |unit| Rules { timestamp_unit: Some(unit), ..Rules::default() };
        let seconds = told("DateTime64(3)", "1770091506789", &of(TimestampUnit::Seconds));
        let (hint, date) =
            ("TIMESTAMP_UNIT says `s`, and in `ms` the number is", "(in `ms` 2026-02-03)");
        assert!(seconds.contains(hint) && seconds.ends_with(date), "{seconds}");
        let nanos = told("DateTime", "1770091506.5", &of(TimestampUnit::Nanoseconds));
        assert!(nanos.contains("in `s` the number is"), "{nanos}");
        let neither = told("DateTime", "99999999999999999999", &of(TimestampUnit::Seconds));
        assert!(!neither.is_empty() && !neither.contains("TIMESTAMP_UNIT"), "{neither}");
        let lenient = Rules { is_lenient: true, ..of(TimestampUnit::Seconds) };
        let quoted = told("DateTime64(3)", "\"1770091506789\"", &lenient);
        assert!(quoted.contains(hint) && quoted.ends_with(date), "{quoted}");
        let unset =
            told("DateTime", "1770091506789", &Rules { is_lenient: true, ..Rules::default() });
        assert!(unset.contains("TIMESTAMP_UNIT is not set, and in `ms`"), "{unset}");
    }
}
