//! The borders of dates and times, for whoever makes values: the decoder, or a plugin.

use super::types::Kind;

/// 1900-01-01 in days since 1970.
const FIRST_DAY: i64 = -25_567;
/// 2299-12-31 in days since 1970.
const LAST_DAY: i64 = 120_529;
const DAY_SECONDS: i64 = 86_400;

/// Whether a Date column holds this day since 1970: to 2149-06-06.
pub fn fits_date(days: i64) -> bool {
    (0..=i64::from(u16::MAX)).contains(&days)
}

/// Whether a Date32 column holds this day since 1970: from 1900-01-01 to 2299-12-31.
pub fn fits_date32(days: i64) -> bool {
    (FIRST_DAY..=LAST_DAY).contains(&days)
}

/// How many decimal digits of a second a tick of the Arrow type of a DateTime64 has.
pub fn unit_digits(precision: u8) -> u32 {
    match precision {
        0 => 0,
        1..=3 => 3,
        4..=6 => 6,
        _ => 9,
    }
}

/// Whether a column of dates or times holds this value, in days or ticks of its Arrow type. The
/// server cuts digits of a second that the column does not keep, so they must be zero. True for
/// any other kind.
pub fn fits(kind: &Kind, value: i64) -> bool {
    match kind {
        Kind::Date => fits_date(value),
        Kind::Date32 => fits_date32(value),
        Kind::DateTime { .. } => u32::try_from(value).is_ok(),
        Kind::DateTime64 { precision, .. } => {
            let digits = unit_digits(*precision);
            let seconds = value.div_euclid(10_i64.pow(digits));
            let kept = digits.saturating_sub(u32::from(*precision));
            fits_date32(seconds.div_euclid(DAY_SECONDS)) && value % 10_i64.pow(kept) == 0
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_end_where_their_column_does() {
        let of = |precision| Kind::DateTime64 { precision, zone: None };
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
        ] {
            assert_eq!(fits(kind, value), expected, "{kind:?} {value}");
        }
    }
}
