//! Checks a SELECT before it is sent: it must be a single SELECT, without a format of its own.

/// Whether the text begins like a SELECT.
pub fn is_select(sql: &str) -> bool {
    let first = tokens(sql).next();
    first
        .is_some_and(|word| ["select", "with"].iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// A part that a SELECT must not have, if there is one.
pub fn excess(sql: &str) -> Option<&'static str> {
    let words: Vec<&str> = tokens(sql).collect();
    if words.contains(&";") {
        return Some(";");
    }
    let is = |word: Option<&&str>, known: &str| word.is_some_and(|w| w.eq_ignore_ascii_case(known));
    if words.windows(2).any(|pair| is(pair.first(), "into") && is(pair.last(), "outfile")) {
        return Some("INTO OUTFILE");
    }
    // `format` may be the name of a column or a function. The clause ends the statement, or comes
    // before SETTINGS.
    let has_format = words.iter().enumerate().skip(1).any(|(at, word)| {
        let name = words.get(at + 1).is_some_and(|name| name.starts_with(char::is_alphabetic));
        let ends = words.get(at + 2).is_none() || is(words.get(at + 2), "settings");
        is(Some(word), "format") && name && ends
    });
    has_format.then_some("FORMAT")
}

/// Words, quoted texts with their quotes, and single characters, without comments.
fn tokens(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let (length, is_comment) = if rest.starts_with("--") {
                (rest.find('\n').unwrap_or(rest.len()), true)
            } else if rest.starts_with("/*") {
                (rest.find("*/").map_or(rest.len(), |end| end + 2), true)
            } else if matches!(first, '\'' | '"' | '`') {
                (quoted_length(rest, first), false)
            } else if is_word(first) {
                (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), false)
            } else {
                (first.len_utf8(), false)
            };
            let (token, after) = rest.split_at_checked(length)?;
            rest = after;
            if !is_comment {
                return Some(token);
            }
        }
    })
}

/// Bytes up to the closing quote; a backslash escapes, and a doubled quote reads as two texts.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if c == '\\' {
            is_escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_select_is_told_by_its_first_word() {
        for sql in ["SELECT 1", "select\n1", "With a AS (SELECT 1) SELECT *", "-- why\nSELECT 1"] {
            assert!(is_select(sql), "{sql}");
        }
        for sql in ["", "selected", "INSERT INTO t SELECT 1", "'select'", "/* SELECT", "a.csv"] {
            assert!(!is_select(sql), "{sql}");
        }
    }

    #[test]
    fn what_does_not_belong_into_a_select_is_found_unless_it_is_in_quotes() {
        for (sql, found) in [
            ("SELECT 1;", Some(";")),
            ("SELECT 1; SELECT 2", Some(";")),
            ("SELECT 1 FORMAT CSV", Some("FORMAT")),
            ("SELECT 1\nformat JSON -- why", Some("FORMAT")),
            ("SELECT 1 FORMAT TSV SETTINGS max_threads = 1", Some("FORMAT")),
            ("SELECT 1 into OutFile 'x'", Some("INTO OUTFILE")),
            ("SELECT 1 -- ; FORMAT CSV", None),
            ("SELECT '; FORMAT CSV', `a;b`, \"c;\", 'it''s\\';' /* ; */", None),
            ("SELECT format, id FROM t", None),
            ("SELECT format('{}', id) AS x FROM t", None),
            ("SELECT x AS format FROM t", None),
        ] {
            assert_eq!(excess(sql), found, "{sql}");
        }
    }
}
