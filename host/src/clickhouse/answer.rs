//! Reads the rows of an answer to the host's own query, whose bytes may come from anybody.
//!
//! The `clickhouse` crate trusts the header of names and types: with a few bytes its counts and nesting
//! reserve any amount of memory, or overflow the stack. Here memory is reserved only for bytes that have
//! arrived, and nothing nests.

use std::borrow::Cow;

use clickhouse::error::{Error, Result};
use clickhouse::query::Query;

/// Strings are quoted with their bytes unchanged, so an error in the middle of an answer does not look like a
/// row, and no setting changes a byte. The names tell an answer without rows from an empty one, as from a
/// proxy.
const FORMAT: &str = "CSVWithNames";
/// A user's profile may set another delimiter.
const DELIMITER: (&str, &str) = ("format_csv_delimiter", ",");
/// Most rows: no query finds as many, and each takes more memory than its bytes.
const MAX_ROWS: usize = 50_000;
/// Most bytes kept of an error in the middle of an answer.
const MAX_EXCEPTION_BYTES: usize = 16 * 1024;

/// Reads every row.
///
/// # Errors
/// The query's own; `InvalidColumnsHeader` if the answer is not a result of this query, `NotEnoughData` if it
/// ends within a row, `SchemaMismatch` if a value has another type.
pub async fn all<T: AnswerRow>(query: Query) -> Result<Vec<T>> {
    let body = body(query).await?;
    let found = rows(&body, MAX_ROWS + 1)?;
    if found.len() > MAX_ROWS {
        return Err(Error::Other(format!("the answer has more than {MAX_ROWS} rows").into()));
    }
    Ok(found)
}

/// Reads up to `most` rows, and ignores any others.
///
/// # Errors
/// As [`all`].
pub async fn at_most<T: AnswerRow>(query: Query, most: usize) -> Result<Vec<T>> {
    rows(&body(query).await?, most)
}

/// Reads the first row, if there is one.
///
/// # Errors
/// As [`all`].
pub async fn optional<T: AnswerRow>(query: Query) -> Result<Option<T>> {
    Ok(at_most(query, 1).await?.pop())
}

/// Reads the first row.
///
/// # Errors
/// As [`all`], and `RowNotFound`.
pub async fn one<T: AnswerRow>(query: Query) -> Result<T> {
    optional(query).await?.ok_or(Error::RowNotFound)
}

/// The answer's bytes, within the connection's bound.
async fn body(query: Query) -> Result<Vec<u8>> {
    let mut answer = query.with_setting(DELIMITER.0, DELIMITER.1).fetch_bytes(FORMAT)?;
    let mut body = Vec::new();
    while let Some(part) = answer.next().await? {
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn rows<T: AnswerRow>(body: &[u8], most: usize) -> Result<Vec<T>> {
    let mut fields = AnswerFields { rest: body, column: 0, row: 0 };
    fields.names(T::COLUMNS)?;
    let mut rows = Vec::new();
    while !fields.rest.is_empty() && rows.len() < most {
        (fields.column, fields.row) = (0, fields.row + 1);
        fields.no_exception()?;
        rows.push(T::read(&mut fields)?);
    }
    Ok(rows)
}

/// A type that a row can be read into.
pub trait AnswerRow: Sized {
    /// How many columns it has.
    const COLUMNS: usize;

    /// Reads one row.
    ///
    /// # Errors
    /// The row has another form.
    fn read(fields: &mut AnswerFields<'_>) -> Result<Self>;
}

/// A type that a field can be read into.
pub trait AnswerValue: Sized {
    /// The form of its fields, for error texts.
    const FORM: &str;

    /// Reads it; `None` if the field has another form.
    ///
    /// # Errors
    /// Bytes that are not UTF-8.
    fn of(field: AnswerField<'_>) -> Result<Option<Self>>;
}

impl AnswerValue for String {
    const FORM: &str = "a string";

    fn of(field: AnswerField<'_>) -> Result<Option<Self>> {
        let AnswerField::Quoted(text) = field else { return Ok(None) };
        let text = String::from_utf8(text.into_owned()).map_err(|error| error.utf8_error())?;
        Ok(Some(text))
    }
}

impl AnswerValue for u64 {
    const FORM: &str = "a number of 64 bits";

    fn of(field: AnswerField<'_>) -> Result<Option<Self>> {
        let AnswerField::Bare(digits) = field else { return Ok(None) };
        Ok(str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()))
    }
}

/// A condition, which is a `UInt8`: the text of a `Bool` depends on the profile.
impl AnswerValue for bool {
    const FORM: &str = "0 or 1";

    fn of(field: AnswerField<'_>) -> Result<Option<Self>> {
        Ok(match field {
            AnswerField::Bare(b"0") => Some(false),
            AnswerField::Bare(b"1") => Some(true),
            _ => None,
        })
    }
}

impl<A: AnswerValue> AnswerRow for A {
    const COLUMNS: usize = 1;

    fn read(fields: &mut AnswerFields<'_>) -> Result<Self> {
        fields.last()
    }
}

/// Tuples are rows: all fields but the last, then the last.
macro_rules! rows_of {
    ($count:literal: $($of:ident),+; $last:ident) => {
        impl<$($of: AnswerValue,)+ $last: AnswerValue> AnswerRow for ($($of,)+ $last) {
            const COLUMNS: usize = $count;

            fn read(fields: &mut AnswerFields<'_>) -> Result<Self> {
                Ok(($(fields.next::<$of>()?,)+ fields.last()?))
            }
        }
    };
}

rows_of!(2: A; B);
rows_of!(4: A, B, C; D);
rows_of!(5: A, B, C, D; E);
rows_of!(6: A, B, C, D, E; F);

/// A field of the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum AnswerField<'a> {
    /// A quoted field, without its quotes.
    Quoted(Cow<'a, [u8]>),
    /// An unquoted field.
    Bare(&'a [u8]),
}

/// What follows a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldEnd {
    Field,
    Line,
}

/// The fields not read yet.
#[derive(Debug)]
pub struct AnswerFields<'a> {
    rest: &'a [u8],
    /// The last column read, from 1.
    column: usize,
    /// The row, from 1; 0 is the names.
    row: usize,
}

impl<'a> AnswerFields<'a> {
    /// Skips the header, which must name this many columns.
    fn names(&mut self, columns: usize) -> Result<()> {
        self.no_exception()?;
        let mut ends = (1..=columns).map(|column| {
            let is_right = if column == columns { FieldEnd::Line } else { FieldEnd::Field };
            matches!(self.field(), Ok((AnswerField::Quoted(_), end)) if end == is_right)
        });
        match ends.all(|is_right| is_right) {
            true => Ok(()),
            false => {
                let text = format!("it begins with no names of {columns} columns");
                Err(Error::InvalidColumnsHeader(text.into()))
            }
        }
    }

    /// Fails if ClickHouse's error stands where a row should begin. The client finds it only if it comes in
    /// one piece.
    fn no_exception(&self) -> Result<()> {
        let text = self.rest.trim_ascii_start();
        let text = text.get(..text.len().min(MAX_EXCEPTION_BYTES)).unwrap_or_default();
        if !text.starts_with(b"__exception__") && !text.starts_with(b"Code: ") {
            return Ok(());
        }
        let text = String::from_utf8_lossy(text);
        let text = text.find("Code: ").and_then(|at| text.get(at..)).unwrap_or_default();
        Err(Error::BadResponse(text.trim().to_owned()))
    }

    /// Reads a field that is not the last of its row.
    fn next<T: AnswerValue>(&mut self) -> Result<T> {
        self.value(FieldEnd::Field)
    }

    /// Reads the last field of a row.
    fn last<T: AnswerValue>(&mut self) -> Result<T> {
        self.value(FieldEnd::Line)
    }

    fn value<T: AnswerValue>(&mut self, expected: FieldEnd) -> Result<T> {
        self.column += 1;
        let (field, end) = self.field()?;
        let value = T::of(field)?.filter(|_| end == expected);
        value.ok_or_else(|| self.mismatch(T::FORM))
    }

    fn mismatch(&self, form: &str) -> Error {
        let Self { row, column, .. } = self;
        Error::SchemaMismatch(format!("row {row} of the answer, column {column}: expected {form}"))
    }

    /// Reads a field and its end.
    fn field(&mut self) -> Result<(AnswerField<'a>, FieldEnd)> {
        let field = match self.rest.strip_prefix(b"\"") {
            Some(behind) => {
                self.rest = behind;
                AnswerField::Quoted(self.quoted()?)
            }
            None => {
                let ends = |byte: &u8| matches!(byte, b',' | b'\r' | b'\n');
                let bytes = self.rest.iter().position(ends).ok_or(Error::NotEnoughData)?;
                let (bare, rest) = self.rest.split_at_checked(bytes).ok_or(Error::NotEnoughData)?;
                self.rest = rest;
                AnswerField::Bare(bare)
            }
        };
        let ends: [(&[u8], FieldEnd); 3] =
            [(b",", FieldEnd::Field), (b"\n", FieldEnd::Line), (b"\r\n", FieldEnd::Line)];
        for (bytes, end) in ends {
            if let Some(rest) = self.rest.strip_prefix(bytes) {
                self.rest = rest;
                return Ok((field, end));
            }
        }
        match self.rest {
            b"" | b"\r" => Err(Error::NotEnoughData),
            _ => Err(self.mismatch("a comma or the end of the line behind it")),
        }
    }

    /// The text up to the closing quote; a doubled quote stands for one.
    fn quoted(&mut self) -> Result<Cow<'a, [u8]>> {
        let mut text: Cow<'a, [u8]> = Cow::Borrowed(&[]);
        loop {
            let quote = self.rest.iter().position(|byte| *byte == b'"');
            let split = quote.and_then(|at| self.rest.split_at_checked(at));
            let (part, rest) = split.ok_or(Error::NotEnoughData)?;
            if text.is_empty() {
                text = Cow::Borrowed(part);
            } else {
                text.to_mut().extend_from_slice(part);
            }
            match rest.strip_prefix(b"\"\"") {
                Some(rest) => {
                    text.to_mut().push(b'"');
                    self.rest = rest;
                }
                None => {
                    self.rest = rest.strip_prefix(b"\"").unwrap_or_default();
                    return Ok(text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: AnswerRow>(body: impl AsRef<[u8]>) -> std::result::Result<Vec<T>, String> {
        rows(body.as_ref(), 3).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_is_its_bytes_and_a_number_its_digits() {
        type Found = (String, bool, u64, String);
        let body = "\"name\",\"is\",\"n\",\"a\"\n\"a \"\"b\"\",\n\\N'é\",1,18446744073709551615,\"\"\n\
                    \"\"\"\",0,0,\"\"\"\"\"\"\n";
        let expected = [
            ("a \"b\",\n\\N'é".to_owned(), true, u64::MAX, String::new()),
            ("\"".to_owned(), false, 0, "\"\"".to_owned()),
        ];
        assert_eq!(read::<Found>(body).unwrap(), expected);
        assert_eq!(read::<String>("\"a\"\r\n\"b\"\r\n").unwrap(), ["b"]);
        assert_eq!(read::<u64>("\"count()\"\n").unwrap(), [0; 0]);
        assert_eq!(read::<u64>("\"n\"\n1\n2\n3\nfour\n").unwrap(), [1, 2, 3], "the rest is left");
    }

    #[test]
    fn what_is_no_such_answer_is_told_apart_from_one_that_is_cut() {
        let cut = "not enough data, probably a row type mismatches a database schema";
        let no_header = "error while parsing columns header from the response: it begins with no names of 2 columns";
        let mismatch = |what: &str| format!("schema mismatch: row 1 of the answer, {what}");
        for (body, expected) in [
            ("", no_header.to_owned()),
            ("<html>", no_header.to_owned()),
            ("\"a\"\n", no_header.to_owned()),
            ("\"a\",\"b\",\"c\"\n", no_header.to_owned()),
            ("\"a\",b\n", no_header.to_owned()),
            ("\"a\",\"b", no_header.to_owned()),
            ("\"a\",\"b\"", no_header.to_owned()),
            ("\"a\",\"b\"\n\"x", cut.to_owned()),
            ("\"a\",\"b\"\n\"x\",1", cut.to_owned()),
            ("\"a\",\"b\"\n\"x\",1\r", cut.to_owned()),
            ("\"a\",\"b\"\n\"x\"", cut.to_owned()),
            ("\"a\",\"b\"\nx,1\n", mismatch("column 1: expected a string")),
            ("\"a\",\"b\"\n\\N,1\n", mismatch("column 1: expected a string")),
            ("\"a\",\"b\"\n\"x\",\"1\"\n", mismatch("column 2: expected a number of 64 bits")),
            ("\"a\",\"b\"\n\"x\",-1\n", mismatch("column 2: expected a number of 64 bits")),
            ("\"a\",\"b\"\n\"x\",1,2\n", mismatch("column 2: expected a number of 64 bits")),
            ("\"a\",\"b\"\n\"x\"\n", mismatch("column 1: expected a string")),
            (
                "\"a\",\"b\"\n\"x\"y,1\n",
                mismatch("column 1: expected a comma or the end of the line behind it"),
            ),
        ] {
            assert_eq!(read::<(String, u64)>(body).unwrap_err(), expected, "{body:?}");
        }
        let error = rows::<String>(b"\"a\"\n\"\xff\"\n", 1).unwrap_err();
        assert!(matches!(error, Error::InvalidUtf8Encoding(_)), "{error}");
    }

    #[test]
    fn an_exception_in_the_middle_is_no_row() {
        let said = "Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)";
        for before in ["", "\r\n__exception__\r\nrnywyenlaeqynhmu\r\n"] {
            for names in ["", "\"a\"\n", "\"a\"\n\"x\"\n"] {
                let error = rows::<String>(format!("{names}{before}{said}\n").as_bytes(), 9);
                let Err(Error::BadResponse(text)) = error else { panic!("{error:?}") };
                assert_eq!(text, said);
            }
        }
    }
}
