//! The evidence for a column's type, as the text of a comment.

use std::fmt::Display;

use super::Column;
use super::choose::{distinct, told};
use super::profile::{MAX_MEMBERS, Objects, Profile};
use super::remark::remark;
use super::scalar::{FORMS, TIME_FORMS, Written};

/// Most characters of one part with texts of records.
const SHOWN: usize = 40;
/// Most names of an object that are listed.
const LISTED: usize = 8;

/// The evidence for a column, on one line.
pub fn evidence(column: &Column, records: u64) -> String {
    let profile = &column.profile;
    let mut parts = vec![share(column, records)];
    if profile.seen > profile.nulls {
        parts.push(told(profile));
    }
    parts.extend(ranges(profile));
    if profile.booleans + profile.numbers.count + profile.strings.count > 0 {
        parts.push(distinct(profile));
    }
    parts.extend(profile.example.iter().map(|example| format!("e.g. {}", remark(example, SHOWN))));
    parts.extend(column.type_text().into_iter().flat_map(|text| notes(column, text)));
    parts.join("; ")
}

fn share(column: &Column, records: u64) -> String {
    let (seen, nulls) = (column.profile.seen, column.profile.nulls);
    let share = match column.missing {
        0 => "in every record".to_owned(),
        _ => format!("in {} of records", percent(seen, records)),
    };
    match nulls {
        0 => share,
        _ if nulls == records => format!("{share}, always null"),
        _ => format!("{share}, null in {}", percent(nulls, records)),
    }
}

/// Rounded down, so that 100 % means all; never 0 % if there is any.
fn percent(part: u64, whole: u64) -> String {
    match u128::from(part) * 10_000 / u128::from(whole.max(1)) {
        0 if part > 0 => "under 0.01 %".to_owned(),
        hundredths => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    }
}

fn ranges(profile: &Profile) -> Vec<String> {
    let mut parts = Vec::new();
    let range = |low: &dyn Display, high: &dyn Display| match (low.to_string(), high.to_string()) {
        (low, high) if low == high => low,
        (low, high) => format!("{low} to {high}"),
    };
    if let Some((low, high)) = &profile.numbers.range {
        parts.push(format!("values {}", range(&low.1, &high.1)));
    }
    if let Some((low, high)) = profile.strings.lengths {
        parts.push(format!("characters {}", range(&low, &high)));
    }
    if let Some((low, high)) = profile.arrays.lengths {
        parts.push(format!("elements {}", range(&low, &high)));
    }
    if profile.objects.count > 0 {
        parts.push(names(&profile.objects));
    }
    parts
}

fn names(objects: &Objects) -> String {
    if objects.values.is_some() {
        return format!("over {MAX_MEMBERS} names");
    }
    let names = objects.members.iter().take(LISTED).map(|(name, _)| remark(name, SHOWN));
    let list = names.collect::<Vec<_>>().join(", ");
    match objects.members.len() {
        0 => "no names".to_owned(),
        all if all > LISTED => format!("{all} names: {list}, ..."),
        _ => format!("names {list}"),
    }
}

/// Effects of the type that its values do not show.
fn notes(column: &Column, text: &str) -> Vec<String> {
    let (mut notes, profile) = (Vec::new(), &column.profile);
    if text.contains("Float64") && profile.numbers.range.as_ref().is_some_and(is_rounded) {
        notes.push("whole numbers past 2^53 are rounded".to_owned());
    }
    let strings = &profile.strings;
    if text.contains("String")
        && strings.count > 0
        && strings.forms.first(&FORMS).is_none()
        && let Some(time) = strings.times.first(&TIME_FORMS)
    {
        notes.push(format!("{time} takes these times with COERCION=lenient"));
    }
    if text.contains("DateTime64") && profile.strings.without_offset > 0 {
        notes.push(format!("{} without an offset, read as UTC", profile.strings.without_offset));
    }
    if !column.is_everywhere() {
        let zero = match text {
            _ if text.starts_with("Array(") => Some("[]"),
            _ if text.starts_with("Map(") || text == "JSON" => Some("{}"),
            _ if text.starts_with("Tuple(") => Some("a Tuple of NULL and zeros"),
            _ => None,
        };
        notes.extend(zero.map(|zero| format!("{zero} where it is missing or null")));
    }
    notes
}

fn is_rounded((low, high): &(Written, Written)) -> bool {
    const LAST_WHOLE: f64 = 9_007_199_254_740_992.0;
    low.0 < -LAST_WHOLE || high.0 > LAST_WHOLE
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_share_is_whole_only_if_it_is() {
        assert_eq!(percent(1, 1), "100.00 %");
        assert_eq!(percent(999_999, 1_000_000), "99.99 %");
        assert_eq!(percent(1, 1_000_000), "under 0.01 %");
        assert_eq!(percent(0, 7), "0.00 %");
        assert_eq!(percent(1, 3), "33.33 %");
    }
}
