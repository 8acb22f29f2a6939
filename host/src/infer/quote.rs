//! Names and texts of records within SQL.

use std::fmt::Write as _;

/// A name in backticks, whatever it holds.
pub fn identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('`');
    for c in name.chars() {
        match c {
            '`' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\0' => quoted.push_str("\\0"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            _ => quoted.push(c),
        }
    }
    quoted.push('`');
    quoted
}

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
    use proptest::prelude::*;

    use super::*;
    use crate::schema::quoted::leading_identifier;

    #[test]
    fn a_comment_stays_one_line_that_shows_what_it_holds() {
        assert_eq!(remark("a\nb\r\u{2028}\u{202e}\0é'\"\\", 99), r#"a\nb\r\u{2028}\u{202e}\0é'"\"#);
        assert_eq!(remark("abcd", 3), "abc...");
        assert_eq!(remark("abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_read_back_and_stands_on_one_line(name in ".*|[`\\\\\n\t\0\u{8}a]*") {
            let quoted = identifier(&name);
            prop_assert!(!quoted.contains('\n'));
            let rest = format!("{quoted} Int8");
            prop_assert_eq!(leading_identifier(&rest), Some((name, " Int8")));
        }
    }
}
