//! Numbers and strings of each type, to the last digit.

use chrono::NaiveDate;

use super::super::pattern;
use super::super::plan::{TimestampUnit, ValueRules};
use super::{Numbers, Texts, Unsaid};

impl Numbers {
    /// Integers from `low` to `high`.
    pub fn integers(low: &impl ToString, high: &impl ToString) -> Self {
        let bounds = Some((low.to_string(), high.to_string()));
        Self { is_integer: true, bounds, ..Self::default() }
    }

    /// At most `whole` digits before the point and `scale` behind it.
    pub fn decimal(whole: u32, scale: u32) -> Self {
        if scale == 0 {
            let high = "9".repeat(whole as usize);
            let bounds = Some((format!("-{high}"), high));
            return Self { is_integer: true, bounds, ..Self::default() };
        }
        let before = if whole == 0 { "0".to_owned() } else { "9".repeat(whole as usize) };
        let high = format!("{before}.{}", "9".repeat(scale as usize));
        let step = format!("0.{}1", "0".repeat(scale as usize - 1));
        Self { bounds: Some((format!("-{high}"), high)), step: Some(step), ..Self::default() }
    }

    /// Whole seconds of 32 bits, counted in a unit.
    pub fn seconds(unit: TimestampUnit) -> Self {
        let second = 1_000_000_000 / nanos(unit);
        Self { step: step(second), ..Self::integers(&0, &(i128::from(u32::MAX) * second)) }
    }

    /// Ticks of a precision from 1900 to 2299, counted in a unit.
    pub fn ticks(unit: TimestampUnit, precision: u8) -> Self {
        const DAY: i128 = 86_400 * 1_000_000_000;
        let tick = 10_i128.pow(9 - u32::from(precision.min(9)));
        let end = 120_530 * DAY - 1;
        let last = if precision > 6 { end.min(i64::MAX.into()) } else { end };
        let (first, last) = (-25_567 * DAY / nanos(unit), last / nanos(unit));
        Self { step: step(tick / nanos(unit)), ..Self::integers(&first, &last) }
    }

    /// The same numbers within texts.
    pub fn as_texts(&self) -> Texts {
        let (pattern, unsaid) = match &self.bounds {
            Some((low, high)) if self.is_integer => (pattern::integer(low, high), Unsaid::Exponent),
            _ => (pattern::NUMBER.to_owned(), Unsaid::FloatRange),
        };
        Texts { pattern: Some(pattern), min_chars: 1, unsaid: Some(unsaid), ..Texts::default() }
    }
}

fn nanos(unit: TimestampUnit) -> i128 {
    match unit {
        TimestampUnit::Seconds => 1_000_000_000,
        TimestampUnit::Milliseconds => 1_000_000,
        TimestampUnit::Microseconds => 1_000,
        TimestampUnit::Nanoseconds => 1,
    }
}

fn step(units: i128) -> Option<String> {
    (units > 1).then(|| units.to_string())
}

impl Texts {
    /// Dates from `first` to `last`.
    pub fn date(first: (i32, u32, u32), last: (i32, u32, u32), rules: ValueRules) -> Self {
        if rules.is_wide {
            return Self { unsaid: Some(Unsaid::Layouts), ..Self::default() };
        }
        let pattern = pattern::date(day(first), day(last));
        Self { pattern: Some(pattern), min_chars: 10, max_chars: Some(10), ..Self::default() }
    }

    /// Exactly those that a regular expression matches, of so many characters.
    pub fn matching(pattern: String, min_chars: u64, max_chars: Option<u64>) -> Self {
        Self { pattern: Some(pattern), min_chars, max_chars, ..Self::default() }
    }

    /// Times from `first` to `last`, with at most `digits` digits of a second.
    ///
    /// The dates are a day wider than the range, since an offset may lead into it.
    pub fn moment(
        first: (i32, u32, u32),
        last: (i32, u32, u32),
        digits: u8,
        rules: ValueRules,
    ) -> Self {
        if rules.is_wide {
            return Self { unsaid: Some(Unsaid::Layouts), ..Self::default() };
        }
        let pattern = pattern::moment(day(first), day(last), digits);
        let (pattern, unsaid) = (Some(pattern), Some(Unsaid::Instant));
        Self { pattern, min_chars: 10, unsaid, ..Self::default() }
    }
}

/// A day that is there.
fn day((year, month, day): (i32, u32, u32)) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}
