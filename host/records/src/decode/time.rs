//! Times of day, and spans of time, as texts: `[-]h:mm:ss[.f]` with one to three digits of hours.

use super::date::{fraction_nanos, number};

const NANOS: i64 = 1_000_000_000;

/// Nanoseconds of a text from `-999:59:59.999999999` to `999:59:59.999999999`.
pub fn parse(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (hours, rest) = rest.split_once(':')?;
    let hours = number(hours.as_bytes(), 0..hours.len()).filter(|_| (1..=3).contains(&hours.len()));
    let (clock, fraction) = match rest.split_once('.') {
        Some((clock, fraction)) => (clock.as_bytes(), fraction_nanos(fraction.as_bytes())?),
        None => (rest.as_bytes(), 0),
    };
    if clock.len() != 5 || clock.get(2) != Some(&b':') {
        return None;
    }
    let within = |at| number(clock, at).filter(|number| *number < 60);
    let seconds = hours? * 3600 + within(0..2)? * 60 + within(3..5)?;
    Some(sign * (i64::from(seconds) * NANOS + i64::from(fraction)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_negative_and_longer_than_a_day() {
        let table = [
            ("00:00:00", 0),
            ("-0:00:00", 0),
            ("12:34:56", 45_296 * NANOS),
            ("7:00:00.5", 25_200 * NANOS + 500_000_000),
            ("-00:00:01.000000001", -NANOS - 1),
            ("999:59:59.999999999", 3_600_000 * NANOS - 1),
            ("-999:59:59.9999999990", -3_600_000 * NANOS + 1),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "12:34",
            "12",
            ":00:00",
            "1000:00:00",
            "12:60:00",
            "12:00:60",
            "12:0:00",
            "12:00:00.",
            "12:00:00.1234567891",
            "12:00:00Z",
            "+12:00:00",
            "--12:00:00",
            " 12:00:00",
            "12:-1:00",
            "12:00:00:00",
            "1é:00:00",
            "42949672960:00:00",
            "12:00:00.1a",
            "12:00:00./",
            "12:00:00.5.5",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
