//! What is wrong with a file or an answer that a lookup is to be made of.

use std::{fmt, io};

use super::builder::MAX_COLUMNS;

/// A line of a source, from 1; of a SELECT a row. 0 is the names before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Default)]
pub struct LookupLine(pub u64);

impl fmt::Display for LookupLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(0) => f.write_str("the header"),
            Self(line) => write!(f, "line {line}"),
        }
    }
}

/// What is wrong with a source. No value stands in its text, which goes to the log; nor do the names
/// of columns before the key is found among them: a file without a header has values there.
#[derive(Debug, thiserror::Error)]
pub enum LookupFault {
    /// It cannot be read to its end.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It was written to meanwhile.
    #[error("it was written to while it was read; write another file and move it to this name")]
    Changed,
    /// The key is no column.
    #[error("none of {columns} columns is `{key}`, which {variable} names{}", meant(.near.as_deref()))]
    NoKeyColumn { key: String, variable: String, columns: usize, near: Option<String> },
    /// A row without a key.
    #[error("{line}, column `{key}`: the key is absent or null")]
    NoKey { line: LookupLine, key: String },
    /// Two rows of one key.
    #[error("{line}, column `{key}`: the key is that of {before}")]
    SameKey { line: LookupLine, before: LookupLine, key: String },
    /// Two columns of one name.
    #[error("{line}, column `{column}`: it stands there twice")]
    SameColumn { line: LookupLine, column: String },
    /// Too many columns.
    #[error("{line}: more than {MAX_COLUMNS} columns")]
    TooManyColumns { line: LookupLine },
    /// A row that is shorter or longer than the header.
    #[error("{line}: expected {expected} fields, got {found}")]
    Fields { line: LookupLine, found: usize, expected: usize },
    /// Bytes that are no text.
    #[error("{line}{}: not UTF-8", in_column(.column.as_deref()))]
    NotUtf8 { line: LookupLine, column: Option<String> },
    /// Not of the form that it has to be of.
    #[error("{line}: {text}")]
    Malformed { line: LookupLine, text: String },
    /// The answer is longer than any that such a table is made of.
    #[error(
        "{line}: the answer is longer than {most_bytes} bytes, eight times what the table may have"
    )]
    TooLong { line: LookupLine, most_bytes: u64 },
    /// The table grew past its bound.
    #[error("{line}: more than {variable} ({most_bytes} bytes)")]
    TooLarge { line: LookupLine, variable: String, most_bytes: usize },
}

fn in_column(column: Option<&str>) -> String {
    column.map_or_else(String::new, |column| format!(", column `{column}`"))
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
