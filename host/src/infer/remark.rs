//! Texts of records within comments of SQL.

use std::fmt::Write as _;

/// A text for a comment to the end of its line: it is cut after `most` characters, and what is not
/// to be seen, or moves what is, stands as an escape.
pub fn remark(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut chars = text.chars();
    for c in chars.by_ref().take(most) {
        let is_seen = c == ' ' || matches!(c, '"' | '\'' | '\\') || c.escape_debug().count() == 1;
        match is_seen {
            true => shown.push(c),
            false => drop(write!(shown, "{}", c.escape_debug())),
        }
    }
    if chars.next().is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_stays_one_line_that_shows_what_it_holds() {
        assert_eq!(remark("a\nb\r\u{2028}\u{202e}\0é'\"\\", 99), r#"a\nb\r\u{2028}\u{202e}\0é'"\"#);
        assert_eq!(remark("abcd", 3), "abc...");
        assert_eq!(remark("abc", 3), "abc");
    }
}
