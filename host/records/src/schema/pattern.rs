//! Regular expressions for what no keyword of JSON Schema bounds: numbers and dates within texts. Every engine reads
//! them alike: no look-around, no references, `[0-9]` for a digit.

use chrono::{Datelike as _, NaiveDate};

/// A number in JSON's grammar.
pub const NUMBER: &str = "^-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$";

/// A UUID: plain, with hyphens, in braces, or as a URN.
pub const UUID: &str = "^(?:[0-9a-fA-F]{32}\
    |(?:[uU][rR][nN]:[uU][uU][iI][dD]:)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\
    |\\{[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\\})$";

/// An integer from `low` (0 or less) to `high`, without an exponent.
pub fn integer(low: &str, high: &str) -> String {
    let (positive, negative) = (up_to(high), up_to(low.strip_prefix('-').unwrap_or("0")));
    format!("^(?:(?:{positive})|-(?:{negative}))(?:\\.0+)?$")
}

/// A number with at most `whole` digits before the point and `scale` after it, without an exponent.
pub fn decimal(whole: u32, scale: u32) -> String {
    let whole = match whole {
        0 => "0".to_owned(),
        1 => "[0-9]".to_owned(),
        _ => format!("(?:0|[1-9][0-9]{{0,{}}})", whole - 1),
    };
    let fraction = match scale {
        0 => "\\.0+".to_owned(),
        _ => format!("\\.[0-9]{{1,{scale}}}0*"),
    };
    format!("^-?{whole}(?:{fraction})?$")
}

/// A date from `first` to `last`.
pub fn date(first: NaiveDate, last: NaiveDate) -> String {
    format!("^(?:{})$", dates(first, last))
}

/// A date from `first` to `last`, alone or with a time of at most `digits` digits of a second and an optional offset.
pub fn moment(first: NaiveDate, last: NaiveDate, digits: u8) -> String {
    let fraction = fraction(digits);
    let time = format!("(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:{fraction})?)?");
    let offset = "(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?";
    format!("^(?:{})(?:[ T]{time}{offset})?$", dates(first, last))
}

/// A span of time of less than 1000 hours, of either sign, with at most `digits` digits of a second.
pub fn time(digits: u8) -> String {
    format!("^-?[0-9]{{1,3}}:[0-5][0-9]:[0-5][0-9](?:{})?$", fraction(digits))
}

/// Digits of a second, then any zeros.
fn fraction(digits: u8) -> String {
    match digits {
        0 => "\\.0+".to_owned(),
        _ => format!("\\.[0-9]{{1,{digits}}}0*"),
    }
}

/// An IPv4 address; no number has leading zeros.
pub fn ipv4() -> String {
    format!("^{}$", address_of_4())
}

/// An IPv6 address, whose last two parts may be an IPv4 address; or an IPv4 address alone.
pub fn ipv6() -> String {
    const PART: &str = "[0-9a-fA-F]{1,4}";
    let v4 = address_of_4();
    let mut forms = vec![v4.clone(), format!("(?:{PART}:){{6}}(?:{PART}:{PART}|{v4})")];
    for before in 0..=7 {
        let start = match before {
            0 => String::new(),
            1 => PART.to_owned(),
            _ => format!("{PART}(?::{PART}){{{}}}", before - 1),
        };
        // `::` replaces at least one part.
        let end = match 7 - before {
            0 => String::new(),
            1 => format!("(?:{PART})?"),
            parts => format!("(?:(?:{PART}:){{0,{}}}(?:{PART}|{PART}:{PART}|{v4}))?", parts - 2),
        };
        forms.push(format!("{start}::{end}"));
    }
    format!("^(?:{})$", forms.join("|"))
}

fn address_of_4() -> String {
    let number = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!("(?:{number}\\.){{3}}{number}")
}

/// Either separator, but the same one twice.
fn dates(first: NaiveDate, last: NaiveDate) -> String {
    format!("{}|{}", dates_by('-', first, last), dates_by('/', first, last))
}

fn dates_by(by: char, first: NaiveDate, last: NaiveDate) -> String {
    let (begins, ends) = (first.year(), last.year());
    let (from, to) = ((first.month(), first.day()), (last.month(), last.day()));
    if begins == ends {
        return part_of_year(by, begins, from, to);
    }
    let mut parts = Vec::new();
    let (mut whole_from, mut whole_to) = (begins, ends);
    if from != (1, 1) {
        parts.push(part_of_year(by, begins, from, (12, 31)));
        whole_from += 1;
    }
    if to != (12, 31) {
        parts.push(part_of_year(by, ends, (1, 1), to));
        whole_to -= 1;
    }
    if whole_from <= whole_to {
        parts.push(whole_years(by, whole_from, whole_to));
    }
    parts.join("|")
}

fn whole_years(by: char, from: i32, to: i32) -> String {
    let years = between(&format!("{from:04}"), &format!("{to:04}"));
    let days = format!(
        "(?:(?:0[13578]|1[02]){by}(?:0[1-9]|[12][0-9]|3[01])\
         |(?:0[469]|11){by}(?:0[1-9]|[12][0-9]|30)|02{by}(?:0[1-9]|1[0-9]|2[0-8]))"
    );
    match leap_years(from, to) {
        None => format!("{years}{by}{days}"),
        Some(leap) => format!("{years}{by}{days}|(?:{leap}){by}02{by}29"),
    }
}

fn leap_years(from: i32, to: i32) -> Option<String> {
    let is_leap = |year: &i32| NaiveDate::from_ymd_opt(*year, 2, 29).is_some();
    let centuries = (from.div_euclid(100)..=to.div_euclid(100)).filter_map(|century| {
        let (start, end) = (from.max(century * 100), to.min(century * 100 + 99));
        let years: Vec<String> = (start..=end)
            .filter(is_leap)
            .map(|year| format!("{:02}", year.rem_euclid(100)))
            .collect();
        (!years.is_empty()).then(|| format!("{century:02}(?:{})", years.join("|")))
    });
    let centuries: Vec<String> = centuries.collect();
    (!centuries.is_empty()).then(|| centuries.join("|"))
}

/// Month and day from `from` to `to` in one year.
fn part_of_year(by: char, year: i32, from: (u32, u32), to: (u32, u32)) -> String {
    let months = (from.0..=to.0).map(|month| {
        let last = (28..=31).rev().find(|day| NaiveDate::from_ymd_opt(year, month, *day).is_some());
        let first = if month == from.0 { from.1 } else { 1 };
        let last = if month == to.0 { to.1 } else { last.unwrap_or(28) };
        let days = between(&format!("{first:02}"), &format!("{last:02}"));
        format!("{month:02}{by}{days}")
    });
    format!("{year:04}{by}(?:{})", months.collect::<Vec<_>>().join("|"))
}

/// The integers from 0 to `high`, without leading zeros.
fn up_to(high: &str) -> String {
    if high.len() <= 1 {
        return between("0", high);
    }
    let low = format!("1{}", "0".repeat(high.len() - 1));
    let fewer = format!("0|[1-9][0-9]{{0,{}}}", high.len() - 2);
    format!("{fewer}|{}", between(&low, high))
}

/// Texts of digits from `low` to `high`, which have the same length.
///
/// Alternatives are listed side by side, not in nested groups: engines limit how deep groups nest, and the range of an
/// Int256 has 77 digits.
fn between(low: &str, high: &str) -> String {
    let mut parts = Vec::new();
    push_between("", low, high, &mut parts);
    match <[String; 1]>::try_from(parts) {
        Ok([one]) => one,
        Err(parts) => format!("(?:{})", parts.join("|")),
    }
}

fn push_between(start: &str, low: &str, high: &str, parts: &mut Vec<String>) {
    let (Some((first, low)), Some((last, high))) = (split(low), split(high)) else { return };
    let any = match low.len() {
        0 => String::new(),
        1 => "[0-9]".to_owned(),
        many => format!("[0-9]{{{many}}}"),
    };
    let is_all = |digits: &str, digit: u8| digits.bytes().all(|byte| byte == digit);
    let begun = |digit: u8| format!("{start}{}", char::from(digit));
    if first == last && !(is_all(low, b'0') && is_all(high, b'9')) {
        return push_between(&begun(first), low, high, parts);
    }
    let (mut from, mut to) = (first, last);
    if !is_all(low, b'0') {
        push_between(&begun(first), low, &"9".repeat(low.len()), parts);
        from += 1;
    }
    if !is_all(high, b'9') {
        push_between(&begun(last), &"0".repeat(high.len()), high, parts);
        to -= 1;
    }
    match to.checked_sub(from) {
        None => {}
        Some(0) => parts.push(format!("{}{any}", begun(from))),
        Some(_) => parts.push(format!("{start}[{}-{}]{any}", char::from(from), char::from(to))),
    }
}

fn split(digits: &str) -> Option<(u8, &str)> {
    Some((digits.bytes().next()?, digits.get(1..)?))
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;
    use crate::schema::types::WideInt;

    #[test]
    fn a_range_of_integers_holds_exactly_its_integers() {
        for (low, high) in [(0, 7), (-128, 127), (0, 255), (-9, 1000), (0, 4095), (-32, 10)] {
            let pattern = Regex::new(&integer(&low.to_string(), &high.to_string())).unwrap();
            for number in -5000..5000 {
                let is_in = (low..=high).contains(&number);
                assert_eq!(pattern.is_match(&number.to_string()), is_in, "{low}..{high}: {number}");
            }
            for (text, is_in) in
                [("-0", true), ("1.0", true), ("1.", false), ("01", false), ("1e0", false)]
            {
                assert_eq!(pattern.is_match(text), is_in, "{low}..{high}: {text}");
            }
        }
        let pattern = Regex::new(&integer("0", "18446744073709551615")).unwrap();
        assert!(pattern.is_match("18446744073709551615"));
        assert!(!pattern.is_match("18446744073709551616") && !pattern.is_match("-1"));
    }

    #[test]
    fn the_pattern_of_the_widest_integer_nests_no_deeper_than_that_of_a_narrow_one() {
        let depth = |pattern: &str| {
            let opened = pattern.bytes().scan(0_i32, |depth, byte| {
                *depth += i32::from(byte == b'(') - i32::from(byte == b')');
                Some(*depth)
            });
            opened.max()
        };
        let (low, high) = WideInt::I256.digits();
        let pattern = integer(low, high);
        assert_eq!(depth(&pattern), depth(&integer("-128", "127")));
        let pattern = Regex::new(&pattern).unwrap();
        assert!(pattern.is_match(low) && pattern.is_match(high));
        let beyond = |digits: &str| format!("{}9", &digits[..digits.len() - 1]);
        assert!(!pattern.is_match(&beyond(low)) && !pattern.is_match(&beyond(high)));
    }

    #[test]
    fn a_range_of_dates_holds_exactly_its_days() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (first, last) in [
            ("1970-01-01", "2149-06-06"),
            ("1899-12-31", "2300-01-01"),
            ("1969-12-31", "2106-02-08"),
            ("2000-02-28", "2000-03-01"),
        ] {
            let pattern = Regex::new(&date(day(first), day(last))).unwrap();
            for year in 1890..2310 {
                for (month, date) in (0..14).flat_map(|month| (0..33).map(move |day| (month, day)))
                {
                    let text = format!("{year:04}-{month:02}-{date:02}");
                    let known = NaiveDate::from_ymd_opt(year, month, date);
                    let is_in =
                        known.is_some_and(|known| day(first) <= known && known <= day(last));
                    assert_eq!(pattern.is_match(&text), is_in, "{first}..{last}: {text}");
                }
            }
            assert!(!pattern.is_match("2000-02/29") && pattern.is_match("2000/02/29"));
        }
    }

    #[test]
    fn an_address_is_one_to_the_pattern_where_it_is_one_to_the_reader() {
        use std::net::{Ipv4Addr, Ipv6Addr};
        let (v4, v6) = (Regex::new(&ipv4()).unwrap(), Regex::new(&ipv6()).unwrap());
        let parts = ["1", "", "00ff", "12345", "g", "1.2.3.4", "01.2.3.4", "256.0.0.1"];
        // Every choice of up to three parts before and after the colons, and long runs of one part.
        let mut texts: Vec<String> = vec![String::new()];
        for first in parts {
            for second in parts {
                texts.push(format!("{first}:{second}"));
                texts.push(format!("{first}::{second}"));
                for third in parts {
                    texts.push(format!("{first}:{second}::{third}"));
                    texts.push(format!("{first}::{second}:{third}"));
                    texts.push(format!("{first}.{second}.{third}.0"));
                }
            }
        }
        for (before, behind) in (0..10).flat_map(|before| (0..10).map(move |of| (before, of))) {
            let (start, end) = (vec!["a"; before].join(":"), vec!["F"; behind].join(":"));
            for last in [":1.2.3.4", "1.2.3.4", ":", ""] {
                texts.push(format!("{start}::{end}{last}"));
                texts.push(format!("{start}{last}"));
            }
        }
        let mut taken = 0;
        for text in &texts {
            let (is_4, is_6) = (text.parse::<Ipv4Addr>().is_ok(), text.parse::<Ipv6Addr>().is_ok());
            assert_eq!(v4.is_match(text), is_4, "{text}");
            assert_eq!(v6.is_match(text), is_4 || is_6, "{text}");
            taken += usize::from(is_6);
        }
        assert!(taken > 30, "{taken}");
    }

    #[test]
    fn a_span_of_time_has_its_digits_and_no_more() {
        for (digits, taken, refused) in [
            (0, ["0:00:00", "-999:59:59.0", "07:30:00.00"], ["1000:00:00", "0:60:00", "0:00:00.1"]),
            (3, ["1:00:00", "-1:00:00.5", "1:00:00.12300"], ["1:00", "1:00:00.1234", "1:00:00."]),
        ] {
            let pattern = Regex::new(&time(digits)).unwrap();
            assert!(taken.iter().all(|text| pattern.is_match(text)), "{digits}");
            assert!(!refused.iter().any(|text| pattern.is_match(text)), "{digits}");
        }
    }

    #[test]
    fn a_decimal_has_its_digits_and_no_more() {
        for (whole, scale, taken, refused) in [
            (2, 2, ["0", "-99.99", "1.500", "0.1"], ["100", "1.234", "01", "1."]),
            (0, 3, ["0", "-0.5", "0.1230", "0.000"], ["1", "0.1234", ".5", "00.1"]),
            (1, 0, ["9", "0", "-1", "1.00"], ["10", "1.1", "", "1e0"]),
        ] {
            let pattern = Regex::new(&decimal(whole, scale)).unwrap();
            assert!(taken.iter().all(|text| pattern.is_match(text)), "{whole}, {scale}");
            assert!(!refused.iter().any(|text| pattern.is_match(text)), "{whole}, {scale}");
        }
    }
}
