//! Numbers and strings of each type, to the last digit.

use chrono::NaiveDate;

use super::super::pattern;
use super::super::plan::{TimestampUnit, ValueRules};
use super::super::types::Kind;
use super::{ShapeNumbers, ShapeTexts, Unsaid};

impl ShapeNumbers {
    /// The open range from the negative of a number to the number.
    pub fn within(bound: &str) -> Self {
        let bounds = Some((format!("-{bound}"), bound.to_owned()));
        Self { bounds, is_open: true, ..Self::default() }
    }

    /// Integers from `low` to `high`.
    pub fn integers(low: &impl ToString, high: &impl ToString) -> Self {
        let bounds = Some((low.to_string(), high.to_string()));
        Self { is_integer: true, bounds, ..Self::default() }
    }

    /// At most `whole` digits before the point and `scale` after it.
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

    /// Dates and times of this kind as numbers of a unit; `None` for any other kind.
    pub fn counted(kind: &Kind, unit: TimestampUnit) -> Option<Self> {
        const SECOND: i128 = 1_000_000_000;
        const DAY: i128 = 86_400 * SECOND;
        let tick = |precision: u8| 10_i128.pow(9 - u32::from(precision.min(9)));
        let (tick, first, last) = match kind {
            Kind::Date => (DAY, 0, i128::from(u16::MAX) * DAY),
            Kind::Date32 => (DAY, -25_567 * DAY, 120_529 * DAY),
            Kind::DateTime { .. } => (SECOND, 0, i128::from(u32::MAX) * SECOND),
            Kind::DateTime64 { precision, .. } => {
                let end = 120_530 * DAY - 1;
                // With more digits, ticks are nanoseconds in 64 bits.
                let last = if *precision > 6 { end.min(i64::MAX.into()) } else { end };
                (tick(*precision), -25_567 * DAY, last)
            }
            Kind::Time => (SECOND, -3_599_999 * SECOND, 3_599_999 * SECOND),
            Kind::Time64 { precision } => {
                let last = 3_600_000 * SECOND - tick(*precision);
                (tick(*precision), -last, last)
            }
            _ => return None,
        };
        let one = unit.nanos();
        if tick >= one || unit == TimestampUnit::Days {
            let numbers = Self::integers(&(first / one), &(last / one));
            return Some(Self { step: step(tick / one), ..numbers });
        }
        let scale = (one / tick).ilog10() as usize;
        let decimal = |ticks: i128| {
            let digits = format!("{:0>width$}", ticks.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{}{whole}.{fraction}", if ticks < 0 { "-" } else { "" })
        };
        let bounds = Some((decimal(first / tick), decimal(last / tick)));
        Some(Self { bounds, step: Some(decimal(1)), ..Self::default() })
    }

    /// The same numbers as texts.
    pub fn as_texts(&self) -> ShapeTexts {
        let (pattern, unsaid) = match &self.bounds {
            Some((low, high)) if self.is_integer => (pattern::integer(low, high), Unsaid::Exponent),
            _ => (pattern::NUMBER.to_owned(), Unsaid::FloatRange),
        };
        ShapeTexts {
            pattern: Some(pattern),
            min_chars: 1,
            unsaid: Some(unsaid),
            ..ShapeTexts::default()
        }
    }
}

fn step(units: i128) -> Option<String> {
    (units > 1).then(|| units.to_string())
}

impl ShapeTexts {
    /// Dates from `first` to `last`.
    pub fn date(first: (i32, u32, u32), last: (i32, u32, u32), rules: ValueRules) -> Self {
        if rules.is_wide {
            return Self { unsaid: Some(Unsaid::Layouts), ..Self::default() };
        }
        let pattern = pattern::date(day(first), day(last));
        Self { pattern: Some(pattern), min_chars: 10, max_chars: Some(10), ..Self::default() }
    }

    /// The texts that a regular expression matches exactly, with bounds on their characters.
    pub fn matching(pattern: String, min_chars: u64, max_chars: Option<u64>) -> Self {
        Self { pattern: Some(pattern), min_chars, max_chars, ..Self::default() }
    }

    /// Times from `first` to `last`, with at most `digits` digits of a second.
    ///
    /// The dates extend a day beyond the range, since an offset may lead into it.
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

/// A day that exists.
fn day((year, month, day): (i32, u32, u32)) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}
