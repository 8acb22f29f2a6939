//! Times as producers write them: the layouts that ClickHouse reads by default, with
//! `date_time_input_format=best_effort`, if they are unambiguous. Refused are texts without a year, a month or a day,
//! and those in which several numbers could be the day.

use chrono::NaiveDate;

use super::super::date::Moment;

/// A moment, and whether digits after the ninth of its second were cut off.
type Read = (Moment, bool);

/// Parses seconds since 1970, of nine or ten digits with an optional fraction; or milliseconds, microseconds or
/// nanoseconds, of 13, 16 or 19.
pub fn epoch(text: &str) -> Option<Read> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (seconds, digits) = match (whole.len(), fraction) {
        (9 | 10, fraction) => (whole, fraction),
        (13 | 16 | 19, "") if !text.ends_with('.') => whole.split_at_checked(10)?,
        _ => return None,
    };
    let mut rest = Cursor(digits.as_bytes());
    let (nanos, is_cut) = rest.fraction();
    let is_number = seconds.bytes().all(|byte| byte.is_ascii_digit()) && rest.0.is_empty();
    let seconds = is_number.then(|| seconds.parse().ok()).flatten()?;
    Some((Moment::of_epoch(seconds, nanos), is_cut))
}

/// Parses a date, or a date and a time.
pub fn parse(text: &str) -> Option<Read> {
    let mut parts = Parts::default();
    let mut rest = Cursor(text.trim_matches(' ').as_bytes());
    while !rest.0.is_empty() {
        parts.read(&mut rest)?;
    }
    let date = NaiveDate::from_ymd_opt(parts.year?, parts.month?, parts.day?)?;
    let clock = parts.second_of_day()?.map(|second| (second, parts.nanos));
    Some((Moment::new(date, clock, parts.offset_s), parts.is_cut))
}

/// The parts read so far.
#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    clock: Option<[u32; 3]>,
    nanos: u32,
    is_cut: bool,
    /// Whether a 12-hour clock is PM, if it is one.
    is_afternoon: Option<bool>,
    offset_s: Option<i64>,
}

impl Parts {
    /// Reads the next part; the text is not at its end.
    fn read(&mut self, rest: &mut Cursor<'_>) -> Option<()> {
        match *rest.0 {
            [b' ' | b',', ..] => rest.skip(1),
            [b'0'..=b'9', ..] => self.number(rest),
            [b'T', b'0'..=b'9', ..] if self.day.is_some() && self.clock.is_none() => rest.skip(1),
            [b'+' | b'-', ..] if self.clock.is_some() => self.offset(rest),
            // A date may have an offset too.
            [b'+' | b'-', b'0'..=b'9', b'0'..=b'9', b':', ..] if self.day.is_some() => {
                self.offset(rest)
            }
            [byte, ..] if byte.is_ascii_alphabetic() => self.word(rest),
            _ => None,
        }
    }

    fn number(&mut self, rest: &mut Cursor<'_>) -> Option<()> {
        let digits = rest.digits();
        let number = |at: std::ops::Range<usize>| super::super::date::number(digits, at);
        match (digits.len(), rest.0) {
            (1 | 2, [b':', ..]) if self.clock.is_none() => {
                self.clock = Some(self.clock(number(0..digits.len())?, rest)?);
            }
            (14, _) if self.is_empty() => {
                self.date(number(0..4)?, number(4..6)?, number(6..8)?)?;
                self.clock = Some([number(8..10)?, number(10..12)?, number(12..14)?]);
                self.fraction(rest);
            }
            (8, _) if self.is_empty() => {
                self.date(number(0..4)?, number(4..6)?, number(6..8)?)?;
            }
            (6, _) if self.day.is_some() && self.clock.is_none() => {
                self.clock = Some([number(0..2)?, number(2..4)?, number(4..6)?]);
                self.fraction(rest);
            }
            (2, []) if self.year.is_some() && self.day.is_some() && self.clock.is_none() => {
                self.clock = Some([number(0..2)?, 0, 0]);
            }
            (4, [separator @ (b'-' | b'/' | b'.'), ..]) if self.is_empty() => {
                let separator = *separator;
                rest.skip(1)?;
                let month = rest.one_or_two()?;
                rest.expect(separator)?;
                self.date(number(0..4)?, month, rest.one_or_two()?)?;
            }
            (4, [] | [b' ' | b',', ..]) if self.year.is_none() && self.month.is_some() => {
                self.year = Some(i32::try_from(number(0..4)?).ok()?);
            }
            (1 | 2, [] | [b' ' | b',', ..]) if self.day.is_none() => {
                self.day = Some(number(0..digits.len())?);
            }
            _ => return None,
        }
        Some(())
    }

    fn is_empty(&self) -> bool {
        self.year.is_none() && self.month.is_none() && self.day.is_none()
    }

    fn date(&mut self, year: u32, month: u32, day: u32) -> Option<()> {
        self.year = Some(i32::try_from(year).ok()?);
        (self.month, self.day) = (Some(month), Some(day));
        Some(())
    }

    /// Reads what follows the hour.
    fn clock(&mut self, hour: u32, rest: &mut Cursor<'_>) -> Option<[u32; 3]> {
        rest.expect(b':')?;
        let minute = rest.one_or_two()?;
        if rest.expect(b':').is_none() {
            if rest.0 == b"." {
                rest.skip(1)?;
            }
            return Some([hour, minute, 0]);
        }
        let second = rest.one_or_two()?;
        self.fraction(rest);
        Some([hour, minute, second])
    }

    /// Reads the digits of a second after a point, if there is one.
    fn fraction(&mut self, rest: &mut Cursor<'_>) {
        if rest.expect(b'.').is_some() {
            (self.nanos, self.is_cut) = rest.fraction();
        }
    }

    /// Reads a month, a day of the week, AM or PM, or the name of an offset.
    fn word(&mut self, rest: &mut Cursor<'_>) -> Option<()> {
        let word = std::str::from_utf8(rest.letters()).ok()?.to_ascii_lowercase();
        if let Some(month) = place(MONTHS, &word) {
            return self.month.replace(month).is_none().then_some(());
        }
        if place(DAYS, &word).is_some() {
            return Some(());
        }
        match &*word {
            "am" | "pm" if self.clock.is_some() => {
                self.is_afternoon.replace(word == "pm").is_none().then_some(())
            }
            // It may follow the same offset in digits, as in `+0000 UTC`.
            "z" | "utc" | "gmt" => {
                self.offset_s.replace(0).is_none_or(|before| before == 0).then_some(())
            }
            "msk" => self.offset_s.replace(3 * 3600).is_none().then_some(()),
            "msd" => self.offset_s.replace(4 * 3600).is_none().then_some(()),
            _ => None,
        }
    }

    /// Reads `+h`, `+hh`, `+hmm`, `+hhmm` or `+hh:mm`.
    fn offset(&mut self, rest: &mut Cursor<'_>) -> Option<()> {
        let is_east = rest.0.starts_with(b"+");
        rest.skip(1)?;
        let digits = rest.digits();
        let hours = digits.len().checked_sub(2).filter(|hours| *hours > 0);
        let hours_end = hours.unwrap_or(digits.len());
        let number = |at: std::ops::Range<usize>| super::super::date::number(digits, at);
        let minutes = match hours {
            Some(at) => number(at..digits.len())?,
            None if rest.expect(b':').is_some() => rest.one_or_two()?,
            None => 0,
        };
        let is_offset = (1..=4).contains(&digits.len()) && minutes < 60;
        let hours = number(0..hours_end).filter(|hours| is_offset && *hours < 24)?;
        let seconds = i64::from(hours * 3600 + minutes * 60);
        let offset_s = if is_east { seconds } else { -seconds };
        // It may follow a name, as in `GMT+0100`.
        self.offset_s.replace(offset_s).is_none_or(|before| before == 0).then_some(())
    }

    /// `Some(None)` without a time, `None` if it is invalid. A date with an offset is its midnight. 24:00 and a leap
    /// second are the second after them.
    fn second_of_day(&self) -> Option<Option<u32>> {
        let Some([hour, minute, second]) = self.clock else {
            return Some(self.offset_s.map(|_| 0));
        };
        let hour = match self.is_afternoon {
            None => hour,
            Some(_) if !(1..=12).contains(&hour) => return None,
            Some(is_afternoon) => hour % 12 + if is_afternoon { 12 } else { 0 },
        };
        let is_end = hour == 24 && minute == 0 && second == 0 && self.nanos == 0;
        let is_time = (hour < 24 || is_end) && minute < 60 && second <= 60;
        is_time.then_some(Some(hour * 3600 + minute * 60 + second))
    }
}

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: &[&str] =
    &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The number, from 1, of the name that a word is in full or by its first three letters.
fn place(names: &[&str], word: &str) -> Option<u32> {
    let at = names.iter().position(|name| word == *name || name.get(..3) == Some(word))?;
    u32::try_from(at + 1).ok()
}

/// The unread rest of a text.
struct Cursor<'t>(&'t [u8]);

impl<'t> Cursor<'t> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn while_is(&mut self, is: fn(&u8) -> bool) -> &'t [u8] {
        let end = self.0.iter().position(|byte| !is(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn digits(&mut self) -> &'t [u8] {
        self.while_is(u8::is_ascii_digit)
    }

    fn letters(&mut self) -> &'t [u8] {
        self.while_is(u8::is_ascii_alphabetic)
    }

    fn one_or_two(&mut self) -> Option<u32> {
        let digits = self.digits();
        let number = super::super::date::number(digits, 0..digits.len());
        number.filter(|_| (1..=2).contains(&digits.len()))
    }

    /// Nanoseconds of the leading digits, and whether one after the ninth is not zero.
    fn fraction(&mut self) -> (u32, bool) {
        let digits = self.digits();
        let (kept, rest) = digits.split_at(digits.len().min(9));
        let nanos = kept.iter().chain([&b'0'; 9]).take(9);
        let nanos = nanos.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
        (nanos, rest.iter().any(|digit| *digit != b'0'))
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    /// Nanoseconds since 1970 in UTC.
    fn read(text: &str) -> Option<(i128, bool)> {
        let (moment, is_cut) = epoch(text).or_else(|| parse(text))?;
        Some((moment.nanos(Tz::UTC)?, is_cut))
    }

    const SECOND: i128 = 1_000_000_000;
    /// 2026-02-03 04:05:06.
    const AT: i128 = 1_770_091_506 * SECOND;
    const MIDNIGHT: i128 = 1_770_076_800 * SECOND;

    #[test]
    fn each_layout_says_one_moment() {
        for (text, nanos) in [
            ("1770091506", AT),
            ("1770091506.789", AT + 789_000_000),
            ("1770091506789", AT + 789_000_000),
            ("1770091506789123456", AT + 789_123_456),
            ("123456789", 123_456_789 * SECOND),
            ("2026-2-3", MIDNIGHT),
            ("2026.02.03", MIDNIGHT),
            ("20260203", MIDNIGHT),
            ("2026-02-03Z", MIDNIGHT),
            ("Feb 3, 2026", MIDNIGHT),
            ("20260203040506", AT),
            ("20260203T040506Z", AT),
            (" 2026-02-03  4:5:6 ", AT),
            ("2026-02-03 04:05:06.", AT),
            ("2026-02-03 04:05:06-05", AT + 5 * 3600 * SECOND),
            ("2026-02-03 04:05:06+530", AT - 19_800 * SECOND),
            ("2026-02-03 04:05:06 +0000 UTC", AT),
            ("2026-02-03 04:05:06 GMT+0100", AT - 3600 * SECOND),
            ("2026-02-03 04:05:06 PM", AT + 12 * 3600 * SECOND),
            ("2026-02-03 12:00 am", MIDNIGHT),
            ("2026-02-02T24:00:00Z", MIDNIGHT),
            ("2026-02-02T23:59:60Z", MIDNIGHT),
            ("Tue, 3 Feb 2026 04:05:06 GMT", AT),
            ("Tue Feb 3 04:05:06 2026", AT),
        ] {
            assert_eq!(read(text), Some((nanos, false)), "{text}");
        }
        assert_eq!(read("2026-02-03T04:05:06.1234567890123Z"), Some((AT + 123_456_789, true)));
        assert_eq!(read("1770091506.1234567890"), Some((AT + 123_456_789, false)));
    }

    #[test]
    fn what_is_not_said_is_not_guessed() {
        for text in [
            "",
            " ",
            "1",
            "2026",
            "2026-02",
            "202602",
            "12:34:56",
            "Feb 3",
            "Feb 2026",
            "03/02/2026",
            "13-02-2026",
            "2026-02-30",
            "2026-13-01",
            "2026-02-03 25:00:00",
            "2026-02-03 24:00:01",
            "2026-02-03 04:60:00",
            "2026-02-03 13:00 PM",
            "2026-02-03 AM",
            "2026-02-03 04:05:06 EST",
            "2026-02-03 04:05:06 +0530 UTC",
            "2026-02-03 04:05:06 +01 +01",
            "2026-02-03 04:05:06+24",
            "2026-02-03 04:05:06+05:99",
            "2026-02-03T04:05:06,123Z",
            "2026-02-03 04:05:06 2026",
            "2026-02-03 Feb",
            "17700915067",
            "-1770091506",
            "1770091506.7x",
            "1770091506789.5",
            "today",
            "\u{661}\u{662}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
