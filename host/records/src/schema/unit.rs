//! The unit of a number in a date or time column.

use super::types::Kind;

/// The unit of a number: since 1970 in UTC, or since midnight for a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TimestampUnit {
    Days,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl TimestampUnit {
    /// Each with its word in TIMESTAMP_UNIT.
    pub const WORDS: &[(&str, Self)] = &[
        ("d", Self::Days),
        ("s", Self::Seconds),
        ("ms", Self::Milliseconds),
        ("us", Self::Microseconds),
        ("ns", Self::Nanoseconds),
    ];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, unit)| *unit == self).map_or("", |(word, _)| word)
    }

    /// Nanoseconds per unit.
    pub fn nanos(self) -> i128 {
        match self {
            Self::Days => 86_400_000_000_000,
            _ => 10_i128.pow(self.digits().into()),
        }
    }

    /// Digits after the point that make whole nanoseconds; a day has no fraction.
    pub fn digits(self) -> u8 {
        match self {
            Self::Seconds => 9,
            Self::Milliseconds => 6,
            Self::Microseconds => 3,
            Self::Days | Self::Nanoseconds => 0,
        }
    }

    /// Whether it applies to values of this kind.
    pub fn fits(self, kind: &Kind) -> bool {
        match kind {
            Kind::Date | Kind::Date32 | Kind::DateTime { .. } | Kind::DateTime64 { .. } => true,
            Kind::Time | Kind::Time64 { .. } => self != Self::Days,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_as_many_nanoseconds_as_its_digits_say() {
        let nanos: Vec<i128> = TimestampUnit::WORDS.iter().map(|(_, unit)| unit.nanos()).collect();
        assert_eq!(nanos, [86_400_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1]);
    }
}
