//! Hints: what would take a value that was refused. They are looked for once a record has failed, and name no value
//! of it, since the log shows them.

use chrono::DateTime;

use super::columns::Column;
use super::date::{is_offset_at_fault, nanos_of_number};
use super::lenient;
use super::number::Number;
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::{Forms, TimestampUnit, ValueRules};
use crate::schema::types::{Kind, Type};

/// Longest value that is read once more for a hint, in bytes.
const MOST_BYTES: usize = 16 * 1024;
/// Seconds since 1970 of the years in which a number is taken for a date that was meant: 2000 to 2099.
const PLAUSIBLE: std::ops::Range<i128> = 946_684_800..4_102_444_800;

/// Says that COERCION=lenient takes the value of a field, where it does. Where a number needs TIMESTAMP_UNIT, that
/// is said already: COERCION=lenient may take it for another time.
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
        if column.room().is_noted() {
            fault.expected.push_str(", and cuts digits");
        }
    }
}

/// Says that a text is a date and a time but for its offset, where it is.
#[cold]
pub fn offset(mut fault: Box<Fault>, text: &str) -> Box<Fault> {
    if is_offset_at_fault(text) {
        let hint = "; what stands behind the time is no offset of the forms Z, +hh:mm and +hhmm";
        fault.expected.push_str(hint);
    }
    fault
}

/// Says in which other unit a number is a date of this century, where it is one.
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
    let Some((word, seconds)) = meant else { return fault };
    let set = match configured {
        Some(unit) => format!("TIMESTAMP_UNIT says `{}`", unit.as_str()),
        None => "TIMESTAMP_UNIT is not set".to_owned(),
    };
    let hint = format!("; {set}, and in `{word}` the number is of the years 2000 to 2099");
    fault.expected.push_str(&hint);
    if let Some(moment) = DateTime::from_timestamp(seconds, 0) {
        let date = format!(" (in `{word}` {})", moment.date_naive());
        fault.got.push_str(&date);
    }
    fault
}

#[cfg(test)]
mod tests {
    use crate::decode::decode;
    use crate::schema::plan::{Rules, TablePlan, TimestampUnit};
    use crate::schema::source::Encoding;

    /// What is said of a value in a column of this type.
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
