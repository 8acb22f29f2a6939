//! Why a file or an answer makes no lookup.

use std::{fmt, io};

use super::builder::MAX_COLUMNS;

/// A line of a source, from 1; for a SELECT, a row. 0 is the line of names.
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

/// Why a source makes no table. Its text goes to the log, so it holds no value. Nor does it hold
/// column names before the key is found among them: in a file without a header they are values.
#[derive(Debug, thiserror::Error)]
pub enum LookupFault {
    /// Reading failed before the end.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The file changed during the read.
    #[error("it was written to while it was read; write another file and move it to this name")]
    Changed,
    /// The key is not one of the columns.
    #[error("none of {columns} columns is `{key}`, which {variable} names{}", meant(.near.as_deref()))]
    NoKeyColumn { key: String, variable: String, columns: usize, near: Option<String> },
    /// A row without a key.
    #[error("{line}, column `{key}`: the key is absent or null")]
    NoKey { line: LookupLine, key: String },
    /// Two rows with the same key.
    #[error("{line}, column `{key}`: the key is that of {before}")]
    SameKey { line: LookupLine, before: LookupLine, key: String },
    /// Two columns with the same name.
    #[error("{line}, column `{column}`: it stands there twice")]
    SameColumn { line: LookupLine, column: String },
    /// Too many columns.
    #[error("{line}: more than {MAX_COLUMNS} columns")]
    TooManyColumns { line: LookupLine },
    /// A row with fewer or more fields than the header.
    #[error("{line}: expected {expected} fields, got {found}")]
    Fields { line: LookupLine, found: usize, expected: usize },
    /// Bytes that are not UTF-8.
    #[error("{line}{}: not UTF-8", in_column(.column.as_deref()))]
    NotUtf8 { line: LookupLine, column: Option<String> },
    /// A syntax error.
    #[error("{line}: {text}")]
    Malformed { line: LookupLine, text: String },
    /// The answer is longer than that of any table within the limit.
    #[error(
        "{line}: the answer is longer than {most_bytes} bytes, eight times what the table may have"
    )]
    TooLong { line: LookupLine, most_bytes: u64 },
    /// The table exceeds its limit.
    #[error("{line}: more than {variable} ({most_bytes} bytes)")]
    TooLarge { line: LookupLine, variable: String, most_bytes: usize },
}

fn in_column(column: Option<&str>) -> String {
    column.map_or_else(String::new, |column| format!(", column `{column}`"))
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
