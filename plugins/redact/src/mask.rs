//! Finds e-mail addresses and payment card numbers in a text.

use std::ops::Range;

/// Puts `mask` in the place of each e-mail address and payment card number; `None` where there is
/// none. Takes time in proportion to the text.
///
/// An address is a local part of letters, digits and `._%+'-`, an `@`, and a domain with a dot.
/// Quoted local parts, and hosts without a dot, are not taken for one.
///
/// A card number is 13 to 19 ASCII digits that pass Luhn's check, with at most one blank or dash
/// between two of them. Where more digits stand in a row, each of their groups may begin one. One
/// in ten numbers of that length passes by chance, and is masked as well.
///
/// ```
/// assert_eq!(redact::mask("to bob@example.org", "***"), Some("to ***".to_owned()));
/// assert_eq!(redact::mask("card 4111-1111 1111 1111.", "*"), Some("card *.".to_owned()));
/// assert_eq!(redact::mask("nothing", "***"), None);
/// ```
pub fn mask(text: &str, mask: &str) -> Option<String> {
    let mut found = emails(text);
    cards(text, &mut found);
    found.sort_unstable_by_key(|range| range.start);
    let mut masked = String::new();
    let mut done = 0;
    for range in &found {
        // One that begins within the one before it goes with that one's mask.
        if range.start >= done {
            masked.push_str(text.get(done..range.start)?);
            masked.push_str(mask);
        }
        done = done.max(range.end);
    }
    masked.push_str(text.get(done..)?);
    (!found.is_empty()).then_some(masked)
}

fn emails(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, sign) in text.match_indices('@') {
        let (before, after) = (text.get(..at), text.get(at + sign.len()..));
        let (Some(before), Some(after)) = (before, after) else { continue };
        let local = before.len() - before.trim_end_matches(is_local).len();
        let rest = after.trim_start_matches(is_domain).len();
        let domain = after.get(..after.len() - rest).unwrap_or_default();
        let domain = domain.trim_end_matches(['.', '-']);
        if local > 0 && domain.trim_start_matches('.').contains('.') {
            found.push(at - local..at + sign.len() + domain.len());
        }
    }
    found
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || "._%+'-".contains(c)
}

fn is_domain(c: char) -> bool {
    c.is_alphanumeric() || c == '.' || c == '-'
}

/// Adds the card numbers, left to right, the longest of those that begin at the same place.
fn cards(text: &str, found: &mut Vec<Range<usize>>) {
    let groups = digit_groups(text.as_bytes());
    let mut first = 0;
    while let Some(rest) = groups.get(first..).filter(|rest| !rest.is_empty()) {
        match card(text.as_bytes(), rest) {
            Some((range, taken)) => {
                found.push(range);
                first += taken;
            }
            None => first += 1,
        }
    }
}

/// The places of the digits, in unbroken groups.
fn digit_groups(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (place, _) in bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut() {
            Some(group) if group.end == place => group.end = place + 1,
            _ => groups.push(place..place + 1),
        }
    }
    groups
}

/// The longest card number that begins with the first of the groups, and how many groups it takes.
fn card(bytes: &[u8], groups: &[Range<usize>]) -> Option<(Range<usize>, usize)> {
    let start = groups.first()?.start;
    let (mut digits, mut end, mut longest) = (0, start, None);
    for (index, group) in groups.iter().enumerate() {
        let is_joined = matches!(bytes.get(end..group.start), Some([] | [b' ' | b'-']));
        digits += group.len();
        end = group.end;
        if !is_joined || digits > 19 {
            break;
        }
        if digits >= 13 && passes_luhn(bytes.get(start..end)?) {
            longest = Some((start..end, index + 1));
        }
    }
    longest
}

fn passes_luhn(bytes: &[u8]) -> bool {
    let digits = bytes.iter().rev().filter(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .enumerate()
        .map(|(place, byte)| match (u32::from(byte - b'0'), place % 2) {
            (digit, 0) => digit,
            (digit, _) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_addresses_and_card_numbers_and_nothing_else() {
        let cases = [
            ("", None),
            ("bob@example.org", Some("#")),
            ("<bob.o'hara+x@mail.example.co.uk>, a@b.org.", Some("<#>, #.")),
            ("jörg@müller.de und a@b.org", Some("# und #")),
            ("a@b.org@c.org", Some("#")),
            ("bob@localhost", None),
            ("@b.org", None),
            ("a@", None),
            ("a@.org", None),
            ("a@b..", None),
            ("4111111111111111", Some("#")),
            ("4111 1111 1111 1111", Some("#")),
            ("no 12 4111-1111-1111-1111 10", Some("no 12 # 10")),
            ("4111  1111 1111 1111", None),
            ("4111111111111112", None),
            ("411111111111111", None),
            ("4222222222222", Some("#")),
            ("6304000000000000000", Some("#")),
            ("6304000000000000001", None),
            ("63040000000000000000", None),
            ("34111111111111111111", None),
            ("x4111111111111111y é 5500005555555559", Some("x#y é #")),
            ("4111111111111111@example.org", Some("#")),
        ];
        for (text, expected) in cases {
            assert_eq!(mask(text, "#").as_deref(), expected, "{text}");
        }
    }
}
