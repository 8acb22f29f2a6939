//! Makes foreign text, such as a plugin's text, a server's error or a record's field name, safe for one
//! line of a log, a page or a terminal. All such text is printed with these types.

use std::fmt::{self, Write};

/// Whether a character ends a line, controls a terminal, reverses the text direction, or is invisible.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text on one line, with hidden characters as escapes, such as `\n` and `\u{202e}`.
#[derive(Debug, Clone, Copy)]
pub struct Plain<T>(pub T);

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// The same for text with lines of our own: line breaks and tabs stay.
#[derive(Debug, Clone, Copy)]
pub struct PlainLines<T>(pub T);

impl std::error::Error for PlainLines<String> {}

impl<T: fmt::Display> fmt::Display for PlainLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string().split_inclusive(['\n', '\t']).try_for_each(|part| {
            let text = part.trim_end_matches(['\n', '\t']);
            let (text, layout) = part.split_at(text.len());
            write!(f, "{}{layout}", Plain(text))
        })
    }
}

/// JSON on one line with the same meaning: hidden characters in its strings become `\u202e` and the
/// like.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: fmt::Display> fmt::Display for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(EscapingJson(f), "{}", self.0)
    }
}

/// Writes its input as [`Plain`] does.
#[derive(Debug)]
pub struct Escaping<W>(pub W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(&mut self.0, text, |out, c| write!(out, "{}", c.escape_debug()))
    }
}

struct EscapingJson<W>(W);

impl<W: Write> Write for EscapingJson<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(&mut self.0, text, |out, c| match c {
            // Layout: JSON strings cannot contain them. A carriage return would overwrite the line.
            '\n' | '\t' => out.write_char(c),
            '\r' => out.write_char(' '),
            _ => {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
            }
        })
    }
}

fn escape<W: Write>(
    out: &mut W,
    text: &str,
    mut hidden: impl FnMut(&mut W, char) -> fmt::Result,
) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(is_hidden) {
        let (seen, after) = rest.split_at(at);
        out.write_str(seen)?;
        let mut chars = after.chars();
        chars.next().map_or(Ok(()), |c| hidden(out, c))?;
        rest = chars.as_str();
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that forges a line, controls a terminal or is invisible.
    const HOSTILE: &str = "a\n\r\t\0\u{1b}[31m\u{7}\u{7f}\u{9b}2J\u{85}\u{200b}\u{200e}\u{202a}\u{202e}\u{2028}\
                           \u{2029}\u{2066}\u{2069}\u{feff}\u{e0041}é中🚗 \\\"";

    #[test]
    fn a_text_stays_on_one_line_and_shows_what_it_holds() {
        let shown = Plain(HOSTILE).to_string();
        assert!(!shown.contains(is_hidden), "{shown:?}");
        assert_eq!(
            shown,
            r#"a\n\r\t\0\u{1b}[31m\u{7}\u{7f}\u{9b}2J\u{85}\u{200b}\u{200e}\u{202a}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}\u{feff}\u{e0041}é中🚗 \""#
        );
        assert_eq!(PlainLines("a\n\tb\u{1b}\r\n").to_string(), "a\n\tb\\u{1b}\\r\n");
    }

    #[test]
    fn json_reads_the_same() {
        let json = serde_json::to_string(HOSTILE).unwrap();
        let shown = Json(&json).to_string();
        assert!(!shown.contains(is_hidden), "{shown:?}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), HOSTILE);
        assert_eq!(Json("{\n\t\"a\": \"\u{202e}\"\r}").to_string(), "{\n\t\"a\": \"\\u202e\" }");
    }
}
