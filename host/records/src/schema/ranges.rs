//! The ranges of dates and times, for every maker of values: the decoder or a plugin.

use super::types::Kind;

/// 1900-01-01 in days since 1970.
const FIRST_DAY: i64 = -25_567;
/// 2299-12-31 in days since 1970.
const LAST_DAY: i64 = 120_529;
const DAY_SECONDS: i64 = 86_400;
/// 1000 hours; a Time of either sign is below it.
const TIME_SECONDS: i64 = 3_600_000;

/// How many decimal digits of a second a tick of the Arrow type has: the coarsest unit that keeps the column's digits.
/// Arrow counts times of day in 64 bits only from microseconds on.
pub fn unit_digits(kind: &Kind) -> u32 {
    match kind {
        Kind::DateTime64 { precision: 1..=3, .. } => 3,
        Kind::DateTime64 { precision: 4..=6, .. } | Kind::Time64 { precision: 0..=6 } => 6,
        Kind::DateTime64 { precision: 7.., .. } | Kind::Time64 { .. } => 9,
        _ => 0,
    }
}

/// Whether a column of dates or times holds this value, in days or ticks of its Arrow type: a Date to 2149-06-06, a
/// DateTime to 2106-02-07 06:28:15, Date32 and DateTime64 from 1900 to 2299, a Time under 1000 hours of either sign.
/// The server cuts digits of a second that the column does not keep, so they must be zero. True for any other kind.
pub fn fits(kind: &Kind, value: i64) -> bool {
    let second = 10_i64.pow(unit_digits(kind));
    let cuts_nothing = |precision: u8| {
        let cut = unit_digits(kind).saturating_sub(precision.into());
        value % 10_i64.pow(cut) == 0
    };
    let is_day = |days: i64| (FIRST_DAY..=LAST_DAY).contains(&days);
    let is_time = || value.unsigned_abs() < (TIME_SECONDS * second).unsigned_abs();
    match kind {
        Kind::Date => u16::try_from(value).is_ok(),
        Kind::Date32 => is_day(value),
        Kind::DateTime { .. } => u32::try_from(value).is_ok(),
        Kind::DateTime64 { precision, .. } => {
            is_day(value.div_euclid(second * DAY_SECONDS)) && cuts_nothing(*precision)
        }
        Kind::Time => is_time(),
        Kind::Time64 { precision } => is_time() && cuts_nothing(*precision),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_end_where_their_column_does() {
        let of = |precision| Kind::DateTime64 { precision, zone: None };
        let time = |precision| Kind::Time64 { precision };
        let second = Kind::DateTime { zone: None };
        for (kind, value, expected) in [
            (&Kind::Date, 65_535, true),
            (&Kind::Date, 65_536, false),
            (&Kind::Date, -1, false),
            (&Kind::Date32, -25_567, true),
            (&Kind::Date32, -25_568, false),
            (&second, i64::from(u32::MAX), true),
            (&second, i64::from(u32::MAX) + 1, false),
            (&second, -1, false),
            (&of(3), 10_413_791_999_999, true),
            (&of(3), 10_413_792_000_000, false),
            (&of(3), -2_208_988_800_000, true),
            (&of(3), -2_208_988_800_001, false),
            (&of(1), 100, true),
            (&of(1), 110, false),
            (&of(9), i64::MAX, true),
            (&Kind::Time, 3_599_999, true),
            (&Kind::Time, 3_600_000, false),
            (&Kind::Time, -3_599_999, true),
            (&Kind::Time, -3_600_000, false),
            (&time(0), 3_599_999_000_000, true),
            (&time(0), 1_000, false),
            (&time(3), -3_599_999_999_000, true),
            (&time(3), -3_600_000_000_000, false),
            (&time(3), 1_100, false),
            (&time(9), 3_599_999_999_999_999, true),
            (&time(9), i64::MIN, false),
        ] {
            assert_eq!(fits(kind, value), expected, "{kind:?} {value}");
        }
    }
}
