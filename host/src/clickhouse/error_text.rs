//! The text of a ClickHouse error, and the names in it.
//!
//! It quotes values of rows, with and without quotes, so a name is looked for only where the server puts it.
//! Measured on 26.7:
//!
//! ```text
//! Code: 469. DB::Exception: Constraint `c` for table d.t (uuid) is violated at row 1. Expression:
//!   (...). Column values: name = 'x'. (VIOLATED_CONSTRAINT) (version 26.7.2.1 (official build))
//! Code: 6. DB::Exception: Cannot parse string 'x' as Int64: ...: while executing 'FUNCTION ...':
//!   while pushing to view d.inner (uuid): while pushing to view d.outer (uuid). (NAME) (version ..)
//! ```

use std::fmt;

use crate::schema::quoted::leading_identifier;

/// The words before a view's name: the server adds them last, once for each view on the way out.
const PUSHING: &str = ": while pushing to view ";

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// The database.
    pub database: String,
    /// The table or view.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.name)
    }
}

impl TableName {
    /// The table name at the start of `text`, each part back-quoted if needed, and the rest.
    fn leading(text: &str) -> Option<(Self, &str)> {
        let (database, rest) = leading_identifier(text)?;
        let (name, rest) = leading_identifier(rest.strip_prefix('.')?)?;
        Some((Self { database, name }, rest))
    }
}

/// The number of the first "Code: N" of a text; nested errors repeat it.
pub fn code_of(text: &str) -> Option<u32> {
    let digits = text.split_once("Code: ")?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The text after "Code: N. DB::Exception: ", however often that is repeated.
pub fn message_of(text: &str) -> &str {
    let mut rest = text.trim();
    while rest.starts_with("Code: ")
        && let Some((_, message)) = rest.split_once("DB::Exception: ")
    {
        rest = message;
    }
    rest
}

/// The constraint that a row violates, and its table, if the text is about one.
pub fn violated(text: &str) -> Option<(String, TableName)> {
    let (constraint, rest) = leading_identifier(message_of(text).strip_prefix("Constraint ")?)?;
    Some((constraint, TableName::leading(rest.strip_prefix(" for table ")?)?.0))
}

/// An error text about rows. It is displayed without possible row values: the code, its name, and a
/// constraint's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    /// Wraps an error text.
    pub fn new(text: &str) -> Self {
        Self(without_version(text).to_owned())
    }

    /// The whole text, row values included: for the dead letter.
    pub fn whole(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (its text may quote rows: see system.query_log)", shown_text(&self.0))
    }
}

/// The displayable part of an error text about rows: the code, its name, and a constraint's.
pub fn shown_text(text: &str) -> String {
    let mut told = match code_of(text) {
        Some(code) => format!("Code: {code}"),
        None => "an error without a code".to_owned(),
    };
    if let Some(name) = name_of(text) {
        told = format!("{told} {name}");
    }
    if let Some((constraint, table)) = violated(text) {
        told = format!("{told}, constraint `{constraint}` of `{table}`");
    }
    told
}

/// Whether the error was thrown while an expression was computed over rows. An expression tried during
/// analysis reads `while executing function f on arguments`, and concerns no row.
pub fn is_computed(text: &str) -> bool {
    text.contains(": while executing 'FUNCTION")
}

/// Whether it was thrown while rows were computed, read, converted or written.
pub fn is_over_rows(text: &str) -> bool {
    is_computed(text) || text.contains(": While executing ") || text.contains(": while converting")
}

/// Whether the expression was a look-up: an error of a dictionary concerns its source. The server names the
/// function last, after possible values.
pub fn is_lookup(text: &str) -> bool {
    let executed = text.rsplit_once(": while executing 'FUNCTION ").map_or("", |(_, rest)| rest);
    ["dict", "joinGet"].iter().any(|name| executed.starts_with(name))
}

/// The text of an error that is not about rows, at most 500 characters. If an expression was computed or a
/// value converted it may still quote a row, and is shortened as by [`Said`].
pub fn loggable(text: &str) -> String {
    let quotes = [": while executing", ": while converting", "Column values: "];
    if quotes.iter().any(|words| text.contains(words)) {
        return Said::new(text).to_string();
    }
    without_version(text).chars().take(500).collect()
}

/// A statement's error text, without the quoted part of the statement, and without its literals elsewhere.
pub fn without_literals(text: &str, sql: &str) -> String {
    const QUOTES: [&str; 4] = [" in scope ", " In scope ", ": while ", ": While "];
    /// Shorter parts are hidden only where they are quoted.
    const LEAST: usize = 4;
    let name = name_of(text).map(|name| format!(" ({name})")).unwrap_or_default();
    let end = QUOTES.iter().filter_map(|words| text.find(words)).min();
    let mut told = match end.and_then(|end| text.get(..end)) {
        Some(before) => format!("{before}{name}"),
        None => text.to_owned(),
    };
    for literal in literals(sql) {
        told = told.replace(&format!("'{literal}'"), "'...'");
        // The text may escape it differently.
        for part in literal.split(['\\', '\'']).filter(|part| part.len() >= LEAST) {
            told = told.replace(part, "...");
        }
    }
    told
}

/// The single-quoted literals of a statement, as written; longest first.
fn literals(sql: &str) -> Vec<&str> {
    let (mut literals, mut open, mut is_escaped) = (Vec::new(), None, false);
    for (at, c) in sql.char_indices() {
        match (open, c) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(start), '\'') => {
                literals.extend(sql.get(start..at).filter(|text| !text.is_empty()));
                open = None;
            }
            (None, '\'') => open = Some(at + 1),
            _ => {}
        }
    }
    // An unterminated literal counts too.
    literals.extend(open.and_then(|start| sql.get(start..)));
    literals.sort_by_key(|text| std::cmp::Reverse(text.len()));
    literals
}

fn without_version(text: &str) -> &str {
    text.rsplit_once(" (version ").map_or(text, |(text, _)| text).trim()
}

/// The code's name, at the end of the text.
fn name_of(text: &str) -> Option<&str> {
    let name = text.strip_suffix(')')?.rsplit_once('(')?.1;
    let is_name =
        |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || "_0123456789".contains(c));
    (!name.is_empty() && is_name(name)).then_some(name)
}

/// The views on the way, by the text, innermost first, so that the last one reads from the INSERT's table;
/// empty if it names none. Whether they exist is not known.
pub fn views_of(text: &str) -> Vec<TableName> {
    let (mut views, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.rsplit_once(PUSHING) {
        let Some((view, tail)) = TableName::leading(after) else { break };
        // A row's value is followed by its closing quote, or by what the server did with it.
        if tail.contains('\'') || tail.contains(": while ") {
            break;
        }
        views.insert(0, view);
        rest = before;
    }
    views
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(text: &str) -> Vec<String> {
        views_of(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn no_literal_of_a_statement_is_told() {
        let sql = "SELECT id, decrypt('aes-256-gcm', 'k\\'ey-of-all', 'x') FROM zonez WHERE tenant = 'hunter2S3CRET'";
        for (text, told) in [
            (
                "Code: 60. DB::Exception: Unknown table expression identifier 'zonez' in scope SELECT id WHERE \
                 tenant = 'hunter2S3CRET'. (UNKNOWN_TABLE)",
                "Code: 60. DB::Exception: Unknown table expression identifier 'zonez' (UNKNOWN_TABLE)",
            ),
            (
                "Code: 6. DB::Exception: Cannot parse 'x' or hunter2S3CRET or k\\'ey-of-all. (E)",
                "Code: 6. DB::Exception: Cannot parse '...' or ... or k\\'.... (E)",
            ),
            ("Code: 1. DB::Exception: x. (E)", "Code: 1. DB::Exception: x. (E)"),
        ] {
            assert_eq!(without_literals(text, sql), told);
        }
        assert_eq!(literals("SELECT 'a''b', 'open"), ["open", "a", "b"]);
    }

    #[test]
    fn views_are_told_from_innermost_to_outermost() {
        let thrown =
            "Code: 395. DB::Exception: it's: while executing 'FUNCTION f(x :: 1, 'y'_String)'";
        let end = "(FUNCTION_THROW_IF_VALUE_IS_NON_ZERO) (version 26.7.2.1 (official build))";
        for (tail, expected) in [
            (": while pushing to view d.v. ", vec!["d.v"]),
            (": while pushing to view d.v (6f1d): While executing WaitForAsync. ", vec!["d.v"]),
            (
                ": while pushing to view d.in (6f): while pushing to view d.out. ",
                vec!["d.in", "d.out"],
            ),
            (r": while pushing to view `a b`.`it's (\` so`. ", vec!["a b.it's (` so"]),
            (": while pushing to view. ", vec![]),
            (". ", vec![]),
        ] {
            assert_eq!(views(&format!("{thrown}{tail}{end}")), expected, "{tail}");
        }
    }

    #[test]
    fn a_value_that_reads_like_a_view_is_none() {
        for (before, after) in [
            ("Cannot parse string '", "' as Int64: syntax error at begin of string"),
            ("Cannot parse uuid ", ": Cannot parse UUID from String: while converting column `j`"),
            ("Cannot parse date here: ", ": Cannot parse Date: while executing 'FUNCTION toDate'"),
            ("Constraint `c` for table d.t is violated. Column values: n = '", "', m = 2"),
        ] {
            let posing =
                format!("Code: 6. DB::Exception: {before}x: while pushing to view d.v{after}");
            assert_eq!(views(&format!("{posing}. (NAME) (version 26)")), Vec::<String>::new());
            let thrown = format!("{posing}: while pushing to view d.w. (NAME) (version 26)");
            assert_eq!(views(&thrown), ["d.w"]);
        }
    }

    #[test]
    fn values_of_rows_are_not_shown() {
        let head = "Code: 469. DB::Exception: Constraint `c` for table d.t (6f1d) is violated";
        let end = "(VIOLATED_CONSTRAINT) (version 26.7.2.1 (official build))";
        let said = Said::new(&format!("{head} at row 1. Column values: n = 'secret (SO)'. {end}"));
        assert!(said.whole().contains("secret") && !said.whole().contains("version"));
        let shown = said.to_string();
        assert!(shown.starts_with("Code: 469 VIOLATED_CONSTRAINT, constraint `c` of `d.t`"));
        assert!(!shown.contains("secret"), "{shown}");
        let cast = "Code: 36. DB::Exception: Bad 'secret': while executing 'FUNCTION f(n : 1)'";
        assert!(!loggable(cast).contains("secret"));
        let column = "Code: 16. DB::Exception: No such column zz in table d.t. (NO_SUCH_COLUMN)";
        assert_eq!(loggable(&format!("{column} (version 26.7.2.1)")), column);
    }

    #[test]
    fn the_table_of_a_violated_constraint_is_told_by_its_place() {
        let violated = |text: &str| violated(text).map(|(_, table)| table.to_string());
        let text = "Constraint `c for table x.y` for table d.`t\\`u` (6f1d) is violated at row 1";
        for head in
            ["Code: 469. DB::Exception: ", "Code: 469. DB::Exception: Code: 469. DB::Exception: "]
        {
            assert_eq!(violated(&format!("{head}{text}")).as_deref(), Some("d.t`u"));
        }
        assert_eq!(violated("Code: 6. DB::Exception: 'Constraint c for table d.t'"), None);
    }
}
