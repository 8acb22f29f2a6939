//! Texts of records in SQL comments.

use crate::words::plain::Plain;

/// A text for a comment up to the end of its line, cut to `most` characters.
pub fn remark(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", Plain(text.get(..end).unwrap_or(text))),
        None => Plain(text).to_string(),
    }
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
