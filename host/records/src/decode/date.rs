//! Date and time texts: a closed list of layouts, and no guessing.
//!
//! | where | layouts |
//! |---|---|
//! | always, date | `YYYY-MM-DD`, `YYYY/MM/DD` |
//! | always, date and time | a date, then a space or `T`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f`; then nothing, `Z`, `+hh:mm` or `+hhmm` |
//! | in DATETIME_COLUMNS | also `YYYYMMDD`, `YYYYMMDDThhmmss` with or without `Z`, `Mon D YYYY`, and RFC 2822 |
//!
//! A text without an offset is in the column's time zone, else in the server's; never in this process's. If a local
//! time occurs twice, the earlier one counts; one that never occurs is refused. A date alone, in a column of date and
//! time, is its midnight.

use chrono::{
    DateTime, Datelike as _, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset as _,
    TimeZone as _,
};
use chrono_tz::Tz;

use super::number::{Misfit, Number, scaled};
use crate::schema::plan::TimestampUnit;

const NANOS: i128 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;
/// The last year for which `chrono-tz` has the transitions (its tables are made up to 2100).
const LAST_KNOWN_YEAR: i32 = 2099;
/// The calendar repeats after so many years: each date falls on the same weekday, in leap years too.
const CYCLE_YEARS: i32 = 28;

/// Bytes of `YYYY-MM-DD hh:mm`, and of a date and a time with nine digits of a second.
const SHORTEST_TIME: usize = 16;
const LONGEST_TIME: usize = 29;

/// A point in time, or a date, as written in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970 in local time.
    local_s: i64,
    nanos: u32,
    /// Seconds east of UTC, where the text says.
    offset_s: Option<i64>,
    has_time: bool,
}

/// Parses a text; accepts the wider list of layouts only if `is_wide`.
pub fn parse(text: &str, is_wide: bool) -> Option<Moment> {
    strict(text).or_else(|| is_wide.then(|| wide(text)).flatten())
}

fn strict(text: &str) -> Option<Moment> {
    let (date, rest) = text.as_bytes().split_first_chunk()?;
    let [y0, y1, y2, y3, separator, m0, m1, again, d0, d1] = *date;
    if !matches!(separator, b'-' | b'/') || again != separator {
        return None;
    }
    let date = date_of(two(y0, y1)? * 100 + two(y2, y3)?, two(m0, m1)?, two(d0, d1)?)?;
    if rest.is_empty() {
        return Some(Moment::of_date(date));
    }
    let ([join, h0, h1, colon, m0, m1], mut rest) = rest.split_first_chunk()?;
    if !matches!(join, b' ' | b'T') || *colon != b':' {
        return None;
    }
    let (hour, minute) = (two(*h0, *h1)?, two(*m0, *m1)?);
    let (mut second, mut nanos) = (0, 0);
    if let [b':', s0, s1, after @ ..] = rest {
        second = two(*s0, *s1)?;
        rest = after;
        if let [b'.', digits @ ..] = rest {
            (nanos, rest) = fraction(digits)?;
        }
    }
    let is_time = hour < 24 && minute < 60 && second < 60;
    let second_of_day = is_time.then_some(hour * 3600 + minute * 60 + second)?;
    let local_s = Moment::of_date(date).local_s + i64::from(second_of_day);
    Some(Moment { local_s, nanos, offset_s: offset(rest)?, has_time: true })
}

fn wide(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    if bytes.len() >= 8 && bytes.iter().take(8).all(u8::is_ascii_digit) {
        let date = date_of(number(bytes, 0..4)?, number(bytes, 4..6)?, number(bytes, 6..8)?)?;
        let rest = bytes.get(8..)?;
        if rest.is_empty() {
            return Some(Moment::of_date(date));
        }
        let (b'T', rest) = rest.split_first()? else { return None };
        let time =
            NaiveTime::from_hms_opt(number(rest, 0..2)?, number(rest, 2..4)?, number(rest, 4..6)?)?;
        let offset_s = offset(rest.get(6..)?)?;
        return Some(Moment::of_local(date.and_time(time), offset_s));
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%b %d %Y") {
        return Some(Moment::of_date(date));
    }
    let moment = DateTime::parse_from_rfc2822(text).ok()?;
    let offset_s = Some(moment.offset().local_minus_utc().into());
    Some(Moment::of_local(moment.naive_local(), offset_s))
}

/// The number that these digits form; `None` if one is no digit, or if there are too many.
pub fn number(bytes: &[u8], range: std::ops::Range<usize>) -> Option<u32> {
    bytes.get(range)?.iter().try_fold(0_u32, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The number that two digits form.
#[inline]
fn two(tens: u8, ones: u8) -> Option<u32> {
    let [tens, ones] = [tens, ones].map(|byte| u32::from(byte.wrapping_sub(b'0')));
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

fn date_of(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// Nanoseconds of the digits after a second's point; `None` if anything else follows.
pub fn fraction_nanos(digits: &[u8]) -> Option<u32> {
    fraction(digits).filter(|(_, rest)| rest.is_empty()).map(|(nanos, _)| nanos)
}

/// Nanoseconds of the leading digits, and what follows them. At least one digit; those after the ninth must be zero.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let (mut nanos, mut unit, mut rest) = (0, 1_000_000_000, text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        unit /= 10;
        if unit == 0 && *digit != b'0' {
            return None;
        }
        nanos += u32::from(digit - b'0') * unit;
        rest = after;
    }
    (rest.len() < text.len()).then_some((nanos, rest))
}

/// Parses what follows a time: `Some(None)` for nothing, `None` if it is not an offset.
fn offset(rest: &[u8]) -> Option<Option<i64>> {
    match rest {
        [] => Some(None),
        b"Z" => Some(Some(0)),
        [sign @ (b'+' | b'-'), digits @ ..] => {
            let minutes_at = match digits.len() {
                4 => 2,
                5 if digits.get(2) == Some(&b':') => 3,
                _ => return None,
            };
            let hours = number(digits, 0..2).filter(|hours| *hours < 24)?;
            let minutes = number(digits, minutes_at..minutes_at + 2).filter(|m| *m < 60)?;
            let seconds = i64::from(hours * 3600 + minutes * 60);
            Some(Some(if *sign == b'-' { -seconds } else { seconds }))
        }
        _ => None,
    }
}

/// Whether a text is a date and a time in the accepted layouts, followed by an offset in a form that is not accepted.
#[cold]
pub fn is_offset_at_fault(text: &str) -> bool {
    let is_time = |end: &usize| {
        let moment = text.get(..*end).and_then(strict);
        moment.is_some_and(|moment| moment.has_time && moment.offset_s.is_none())
    };
    if strict(text).is_some() {
        return false;
    }
    let end = (SHORTEST_TIME..=text.len().min(LONGEST_TIME)).rev().find(is_time);
    let rest = end.and_then(|end| text.get(end..)).unwrap_or_default().trim_start();
    let is_half = ["am", "pm"].iter().any(|half| rest.eq_ignore_ascii_case(half));
    let begins = |c: char| matches!(c, '+' | '-' | '[') || c.is_ascii_alphabetic();
    rest.starts_with(begins) && !is_half
}

impl Moment {
    fn of_date(date: NaiveDate) -> Self {
        let local_s = i64::from(date.to_epoch_days()) * DAY_SECONDS;
        Self { local_s, nanos: 0, offset_s: None, has_time: false }
    }

    /// A date, with the second of its day and the nanoseconds, if it has a time.
    pub fn new(date: NaiveDate, clock: Option<(u32, u32)>, offset_s: Option<i64>) -> Self {
        let midnight = Self::of_date(date);
        let Some((second, nanos)) = clock else { return midnight };
        let local_s = midnight.local_s + i64::from(second);
        Self { local_s, nanos, offset_s, has_time: true }
    }

    /// Seconds since 1970, UTC.
    pub fn of_epoch(seconds: i64, nanos: u32) -> Self {
        Self { local_s: seconds, nanos, offset_s: Some(0), has_time: true }
    }

    fn of_local(local: NaiveDateTime, offset_s: Option<i64>) -> Self {
        let local = local.and_utc();
        let nanos = local.timestamp_subsec_nanos();
        Self { local_s: local.timestamp(), nanos, offset_s, has_time: true }
    }

    /// Days since 1970 of a date; `None` for a text with a time, except midnight if `is_wide`.
    pub fn days(self, is_wide: bool) -> Option<i64> {
        let is_midnight = self.local_s.rem_euclid(DAY_SECONDS) == 0
            && self.nanos == 0
            && self.offset_s.is_none_or(|offset_s| offset_s == 0);
        if self.has_time && !(is_wide && is_midnight) {
            return None;
        }
        Some(self.local_s.div_euclid(DAY_SECONDS))
    }

    /// Nanoseconds since 1970, UTC; `None` if the local time never occurs.
    pub fn nanos(self, zone: Tz) -> Option<i128> {
        let seconds = match self.offset_s {
            Some(offset_s) => self.local_s - offset_s,
            None if zone == Tz::UTC => self.local_s,
            None => {
                let local = DateTime::from_timestamp(self.local_s, 0)?.naive_utc();
                let known = match local.year() {
                    ..=LAST_KNOWN_YEAR => local,
                    _ => known(local, zone)?,
                };
                let moment = match zone.from_local_datetime(&known) {
                    LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment,
                    LocalResult::None => return None,
                };
                moment.timestamp() + (local - known).num_seconds()
            }
        };
        Some(i128::from(seconds) * NANOS + i128::from(self.nanos))
    }
}

/// Converts a number in a unit to nanoseconds, decimal digits included: exact, or not at all.
///
/// # Errors
/// It is not a number, has digits below a nanosecond, or is too large.
pub fn nanos_of_number(number: Number<'_>, unit: TimestampUnit) -> Result<i128, Misfit> {
    match number.integer() {
        Ok(count) => count.checked_mul(unit.nanos()).ok_or(Misfit::Range),
        Err(Misfit::Fraction) if unit.digits() > 0 => {
            let (is_negative, nanos) = scaled::<u128>(number.text, unit.digits())?;
            let nanos = i128::try_from(nanos).map_err(|_| Misfit::Range)?;
            Ok(if is_negative { -nanos } else { nanos })
        }
        Err(misfit) => Err(misfit),
    }
}

/// Maps a time after the last known year to one with the same offset: in a year with the same calendar, since summer
/// time begins and ends by weekday; in any year if the zone has none.
#[cold]
fn known(local: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    let first = |year| NaiveDate::from_ymd_opt(year, 1, 1);
    let offset = |month| {
        let noon = NaiveDate::from_ymd_opt(LAST_KNOWN_YEAR, month, 1)?.and_hms_opt(12, 0, 0)?;
        Some(zone.offset_from_utc_datetime(&noon).fix())
    };
    if offset(1)? == offset(7)? {
        return first(LAST_KNOWN_YEAR)?.and_hms_opt(12, 0, 0);
    }
    let calendar = |year| first(year).map(|first| (first.leap_year(), first.weekday()));
    let wanted = calendar(local.year())?;
    let mut years = LAST_KNOWN_YEAR - CYCLE_YEARS + 1..=LAST_KNOWN_YEAR;
    years.find(|year| calendar(*year) == Some(wanted)).and_then(|year| local.with_year(year))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str, is_wide: bool) -> Option<i128> {
        parse(text, is_wide)?.nanos(Tz::UTC)
    }

    #[test]
    fn each_layout_of_the_closed_list_is_read() {
        let day = 1_772_323_200_i128; // 2026-03-01
        let table = [
            ("2026-03-01", day * NANOS),
            ("2026/03/01", day * NANOS),
            ("2026-03-01 10:20", (day + 37_200) * NANOS),
            ("2026-03-01T10:20:30", (day + 37_230) * NANOS),
            ("2026-03-01T10:20:30.5Z", (day + 37_230) * NANOS + 500_000_000),
            ("2026-03-01T10:20:30.123456789", (day + 37_230) * NANOS + 123_456_789),
            ("2026-03-01T10:20:30.1234567890", (day + 37_230) * NANOS + 123_456_789),
            ("2026-03-01T10:20:30+02:00", (day + 30_030) * NANOS),
            ("2026-03-01 10:20:30-0130", (day + 42_630) * NANOS),
        ];
        for (text, expected) in table {
            assert_eq!(utc(text, false), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_wider_layouts_are_read_only_where_asked_for() {
        let table = [
            ("20260301", "2026-03-01"),
            ("20260301T102030Z", "2026-03-01T10:20:30Z"),
            ("Mar 1 2026", "2026-03-01"),
            ("Sun, 1 Mar 2026 10:20:30 +0000", "2026-03-01T10:20:30Z"),
        ];
        for (text, same) in table {
            assert_eq!(utc(text, false), None, "{text}");
            assert_eq!(utc(text, true), utc(same, false), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "now",
            "2026-3-1",
            "2026-03/01",
            "2026-02-30",
            "2026-13-01",
            "2026-03-01T",
            "2026-03-01T25:00",
            "2026-03-01T10:60",
            "2026-03-01T10:20:60",
            "2026-03-01T10:20:30.",
            "2026-03-01T10:20:30 Z",
            "2026-03-01T10:20:30+2",
            "2026-03-01T10:20:30+24:00",
            "2026-03-01Z",
            "2026-03-01T10:20:30.1234567891",
            "12026-03-01",
            "2026-03-01 10:20x",
        ] {
            assert_eq!(parse(text, true), None, "{text}");
        }
    }

    #[test]
    fn a_text_without_offset_is_in_the_columns_zone() {
        let berlin = Tz::Europe__Berlin;
        let nanos = |text: &str| parse(text, false).unwrap().nanos(berlin);
        assert_eq!(nanos("2026-07-01 12:00:00"), utc("2026-07-01 10:00:00", false));
        // Ambiguous at the end of summer time: the earlier one. Skipped at its start: refused.
        assert_eq!(nanos("2026-10-25 02:30:00"), utc("2026-10-25 00:30:00", false));
        assert_eq!(nanos("2026-03-29 02:30:00"), None);
    }

    #[test]
    fn summer_time_goes_on_behind_the_last_year_that_is_known() {
        let nanos = |zone: Tz, text: &str| parse(text, false).unwrap().nanos(zone);
        let (berlin, sydney) = (Tz::Europe__Berlin, Tz::Australia__Sydney);
        for (zone, local, expected) in [
            (berlin, "2099-07-01 12:00:00", "2099-07-01 10:00:00"),
            (berlin, "2100-07-01 12:00:00", "2100-07-01 10:00:00"),
            (berlin, "2101-07-01 12:00:00", "2101-07-01 10:00:00"),
            (berlin, "2101-01-01 12:00:00", "2101-01-01 11:00:00"),
            // The last Sunday of March 2101 is the 27th, that of October the 30th.
            (berlin, "2101-03-27 01:59:59", "2101-03-27 00:59:59"),
            (berlin, "2101-03-27 03:00:00", "2101-03-27 01:00:00"),
            (berlin, "2101-10-30 02:30:00", "2101-10-30 00:30:00"),
            (berlin, "2104-02-29 12:00:00", "2104-02-29 11:00:00"),
            (berlin, "2299-07-01 12:00:00", "2299-07-01 10:00:00"),
            (sydney, "2150-01-01 12:00:00", "2150-01-01 01:00:00"),
            (sydney, "2150-07-01 12:00:00", "2150-07-01 02:00:00"),
            (Tz::Asia__Tokyo, "2150-07-01 12:00:00", "2150-07-01 03:00:00"),
            (Tz::Africa__Casablanca, "2150-07-01 12:00:00", "2150-07-01 11:00:00"),
        ] {
            assert_eq!(nanos(zone, local), utc(expected, false), "{local} in {zone}");
        }
        assert_eq!(nanos(berlin, "2101-03-27 02:30:00"), None, "it never occurs");
    }

    #[test]
    fn a_time_in_a_date_column_is_refused_but_for_midnight_where_asked_for() {
        let moment = |text| parse(text, false).unwrap();
        assert_eq!(moment("2026-03-01T10:00:00").days(true), None);
        assert_eq!(moment("2026-03-01T00:00:00").days(false), None);
        assert_eq!(moment("2026-03-01T00:00:00Z").days(true), Some(20_513));
    }
}
