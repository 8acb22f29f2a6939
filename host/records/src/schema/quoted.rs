//! Quoted texts within types and expressions, as ClickHouse prints them.

use crate::words::plain::is_hidden;

/// Splits arguments at top-level commas; `None` if quotes or brackets do not match.
pub fn split_arguments(inner: &str) -> Option<Vec<&str>> {
    let (mut args, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    let mut bytes = inner.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quote.is_some() => drop(bytes.next()),
            _ if quote == Some(byte) => quote = None,
            _ if quote.is_some() => {}
            b'\'' | b'`' => quote = Some(byte),
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                args.push(inner.get(start..at)?.trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if quote.is_some() || depth > 0 {
        return None;
    }
    args.push(inner.get(start..)?.trim());
    Some(args)
}

/// The text within single quotes, escapes resolved; `None` if it is not quoted.
pub fn unquote(quoted: &str) -> Option<String> {
    unquote_by('\'', quoted)
}

/// The leading name of an argument such as `id UInt64` or `` `a b` UInt64 ``, and the rest; `None` if it has none.
pub fn leading_name(arg: &str) -> Option<(String, &str)> {
    let (name, rest) = leading_identifier(arg)?;
    (arg.starts_with('`') || rest.starts_with(' ')).then(|| (name, rest.trim_start()))
}

/// The leading identifier of `text`, back-quoted if it is not a plain word, and the rest.
pub fn leading_identifier(text: &str) -> Option<(String, &str)> {
    if text.starts_with('`') {
        let end = closing_quote('`', text)?;
        return Some((unquote_by('`', text.get(..end)?)?, text.get(end..)?));
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, rest) = text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()));
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// A text as a literal in a statement.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A name in backticks; characters that end a line or move a terminal are written as byte escapes.
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
            _ if is_hidden(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    quoted.extend(['\\', 'x', hex(byte >> 4), hex(byte & 15)]);
                }
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('`');
    quoted
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0')
}

/// The leading quoted text of `text`, quotes included.
pub fn leading_quoted(text: &str) -> Option<&str> {
    text.get(..closing_quote('\'', text)?)
}

/// The end of the leading quoted text of `text`.
fn closing_quote(quote: char, text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    chars.next().filter(|(_, c)| *c == quote)?;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn unquote_by(quote: char, quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
    let (mut text, mut chars) = (Vec::with_capacity(inner.len()), inner.chars());
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next()? {
                'x' => {
                    let byte = chars.next()?.to_digit(16)? * 16 + chars.next()?.to_digit(16)?;
                    text.push(u8::try_from(byte).ok()?);
                    continue;
                }
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                'b' => '\u{8}',
                'f' => '\u{c}',
                other => other,
            },
            // Two quotes are one; one alone would have ended the text.
            _ if c == quote => (chars.next()? == quote).then_some(quote)?,
            other => other,
        };
        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_are_split_at_commas_that_are_not_quoted() {
        let table = [
            ("a, b", Some(vec!["a", "b"])),
            ("a(b, c), d", Some(vec!["a(b, c)", "d"])),
            (r"'it\'s, (so)' = 1, ''", Some(vec![r"'it\'s, (so)' = 1", "''"])),
            ("`a, (b` Int8, c Int8", Some(vec!["`a, (b` Int8", "c Int8"])),
            ("`it's` Int8", Some(vec!["`it's` Int8"])),
            ("'`', 1", Some(vec!["'`'", "1"])),
            ("'a", None),
            ("`a", None),
            ("a(", None),
            ("a)", None),
        ];
        for (text, expected) in table {
            assert_eq!(split_arguments(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_is_told_from_a_type() {
        let table = [
            ("id UInt64", Some(("id", "UInt64"))),
            ("e Enum8('a b' = 1)", Some(("e", "Enum8('a b' = 1)"))),
            ("`a b` UInt64", Some(("a b", "UInt64"))),
            (r"`a\`b\\` UInt64", Some((r"a`b\", "UInt64"))),
            ("`é, (` UInt64", Some(("é, (", "UInt64"))),
            ("UInt64", None),
            ("Decimal(10, 2)", None),
            ("Enum8('a b' = 1)", None),
            ("`a", None),
            ("", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(name, rest)| (name.to_owned(), rest));
            assert_eq!(leading_name(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_read_back_and_stands_on_one_line(
            name in ".*|[`\\\\\n\t\0\u{8}ax\u{1b}\u{85}\u{202e}\u{2028}\u{e0041}]*",
        ) {
            let quoted = identifier(&name);
            prop_assert!(!quoted.contains(is_hidden));
            let rest = format!("{quoted} Int8");
            prop_assert_eq!(leading_identifier(&rest), Some((name, " Int8")));
        }
    }
}
