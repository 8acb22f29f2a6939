//! Comma-separated values, with the column names on the first line.

use std::io::{self, BufRead, Read};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::builder::{LookupBuilder, MAX_COLUMNS};
use super::fault::{LookupFault, LookupLine};
use super::table::LookupTable;

/// Appended to the input. An unclosed quote swallows everything up to and including it, because csv reads all of that
/// as the text of a field.
const LAST: &[u8] = b"\0";

/// Reads to the end.
///
/// # Errors
/// The first fault.
pub fn read_csv(
    mut input: impl BufRead,
    mut builder: LookupBuilder,
) -> Result<LookupTable, LookupFault> {
    let is_crlf = is_crlf(input.fill_buf()?);
    let end = [if is_crlf { b"\r\n" } else { &b"\n"[..] }, LAST].concat();
    // A text takes at most twice its bytes in a file, if each of them is a quote. This also bounds the memory of a
    // field with an unclosed quote, which extends to the end of the input.
    let most = (builder.most_bytes() as u64).saturating_mul(2);
    let input = Narrow::new(input.take(most).chain(&*end));
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let (mut record, mut next) = (ByteRecord::new(), ByteRecord::new());
    let (mut line, mut columns) = (LookupLine::default(), Vec::new());
    // Any bytes are valid records, so only the input itself can fail.
    loop {
        let read = reader.read_byte_record(&mut next);
        let is_too_wide = reader.get_ref().is_over;
        if !is_too_wide && !read.map_err(io::Error::from)? {
            break;
        }
        if line > LookupLine::default() {
            take(&record, line, &mut columns, &mut builder)?;
        }
        if is_too_wide {
            return Err(LookupFault::TooManyColumns { line: LookupLine(reader.position().line()) });
        }
        line = line_of(&reader, &next, is_crlf);
        std::mem::swap(&mut record, &mut next);
    }
    if reader.get_ref().input.get_ref().0.limit() == 0 {
        return Err(builder.too_large(line));
    }
    if !record.iter().eq([LAST]) {
        // The quote was never closed.
        line = line_of(&reader, &record, true);
        return Err(malformed(line, "a quote is opened and never closed"));
    }
    if columns.is_empty() {
        return Err(malformed(LookupLine(1), "no header: the first line names the columns"));
    }
    Ok(builder.finish())
}

/// Passes bytes on, up to the first record with more fields than a table may have columns: csv keeps eight bytes for
/// each field, without a limit.
struct Narrow<R> {
    input: R,
    at: CsvState,
    /// The commas of the current record.
    commas: usize,
    /// Whether a record has too many fields. What comes after its bytes is an error.
    is_over: bool,
}

/// The state of csv's parser before the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CsvState {
    FieldStart,
    Bare,
    Quoted,
    /// After a quote within quotes, which ends them unless another quote follows.
    Quote,
}

impl<R> Narrow<R> {
    fn new(input: R) -> Self {
        Self { input, at: CsvState::FieldStart, commas: 0, is_over: false }
    }

    /// Whether the record still has few enough fields after this byte.
    fn passes(&mut self, byte: u8) -> bool {
        self.at = match (self.at, byte) {
            (CsvState::Quoted, b'"') => CsvState::Quote,
            (CsvState::Quoted, _) | (CsvState::FieldStart | CsvState::Quote, b'"') => {
                CsvState::Quoted
            }
            (_, b',') => {
                self.commas += 1;
                CsvState::FieldStart
            }
            (_, b'\n' | b'\r') => {
                self.commas = 0;
                CsvState::FieldStart
            }
            _ => CsvState::Bare,
        };
        self.commas < MAX_COLUMNS
    }
}

impl<R: Read> Read for Narrow<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.commas >= MAX_COLUMNS {
            self.is_over = true;
            return Err(io::Error::other("too many fields"));
        }
        let read = self.input.read(into)?;
        let bytes = into.get(..read).unwrap_or_default();
        let passed = bytes.iter().position(|byte| !self.passes(*byte));
        Ok(passed.map_or(read, |at| at + 1))
    }
}

/// Adds a row, or sets the columns if there are none yet.
fn take(
    record: &ByteRecord,
    line: LookupLine,
    columns: &mut Vec<String>,
    builder: &mut LookupBuilder,
) -> Result<(), LookupFault> {
    let texts = record.iter().enumerate().map(|(at, field)| {
        str::from_utf8(field)
            .map_err(|_| LookupFault::NotUtf8 { line, column: columns.get(at).cloned() })
    });
    if columns.is_empty() {
        let names = texts.collect::<Result<Vec<&str>, LookupFault>>()?;
        builder.header(line, names.iter().copied())?;
        *columns = names.into_iter().map(str::to_owned).collect();
        return Ok(());
    }
    if record.len() != columns.len() {
        return Err(LookupFault::Fields { line, found: record.len(), expected: columns.len() });
    }
    builder.begin(line);
    for (at, text) in texts.enumerate() {
        builder.put(at, Some(text?))?;
    }
    builder.end()
}

fn malformed(line: LookupLine, text: &str) -> LookupFault {
    LookupFault::Malformed { line, text: text.to_owned() }
}

/// Whether the first line ends in `\r\n`.
fn is_crlf(start: &[u8]) -> bool {
    start
        .iter()
        .position(|byte| *byte == b'\n')
        .is_some_and(|at| start.get(..at).is_some_and(|line| line.ends_with(b"\r")))
}

/// The line that the last record begins on, counted back from its end, since csv may report an empty line before it.
/// csv stands after the `\n`, or before it if `\r` comes first.
fn line_of<R: Read>(reader: &Reader<R>, record: &ByteRecord, is_before_end: bool) -> LookupLine {
    let inner = record.as_slice().split(|byte| *byte == b'\n').skip(1).count() as u64;
    LookupLine(reader.position().line().saturating_sub(inner + u64::from(!is_before_end)).max(1))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lookup, values};
    use super::*;

    fn read_csv(text: impl AsRef<[u8]>) -> Result<LookupTable, LookupFault> {
        super::read_csv(text.as_ref(), LookupBuilder::new(&lookup("id")))
    }

    fn fault(text: impl AsRef<[u8]>) -> String {
        read_csv(text).unwrap_err().to_string()
    }

    #[test]
    fn a_field_is_its_text_as_it_is() {
        let text = "\u{feff}name,id\n North ,1\n\"a \"\"b\"\",\nc\",\"2\"\n,3\nnull,4\n\"\0\",5";
        let table = read_csv(text).unwrap();
        let expected = [" North ", "a \"b\",\nc", "", "null", "\0"].map(|text| Some(text.into()));
        assert_eq!(values(&table, "name", &["1", "2", "3", "4", "5"]), expected);
        assert_eq!(values(&table, "id", &["2"]), [Some("2".into())]);
    }

    #[test]
    fn more_fields_than_a_table_may_have_columns_are_not_kept() {
        let wide = ",".repeat(1_000);
        for (text, expected) in [
            (format!("id{wide}"), "line 1: more than 1000 columns"),
            (format!("id{}", ",a".repeat(1_000_000)), "line 1: more than 1000 columns"),
            (format!("id,a\n1,b\n2{wide}\n"), "line 3: more than 1000 columns"),
            (format!("id,a\r\n1,b\r\n2{wide}\r\n"), "line 3: more than 1000 columns"),
            (format!("id,a\n1,\"b\"\"\"{wide}\n"), "line 2: more than 1000 columns"),
            (format!("id,a\n1,b\"{wide}\"\n"), "line 2: more than 1000 columns"),
            (
                format!("id,a\n1,b\n1,c\n2{wide}\n"),
                "line 3, column `id`: the key is that of line 2",
            ),
            (format!("id,a\n1,b\n1\n2{wide}\n"), "line 3: expected 2 fields, got 1"),
        ] {
            assert_eq!(fault(&text), expected, "{}", &text[..20]);
        }
        let text = format!("id,a\n1,\"{wide}\"\n2,\"\"\"{wide}\"\n\"3\",x\n");
        let table = read_csv(text).unwrap();
        let expected = [wide.clone(), format!("\"{wide}"), "x".into()].map(Some);
        assert_eq!(values(&table, "a", &["1", "2", "3"]), expected);
        let names: Vec<String> = (0..999).map(|n| format!("c{n}")).collect();
        assert_eq!(read_csv(format!("id,{}\n", names.join(","))).unwrap().columns().count(), 1_000);
    }

    #[test]
    fn a_table_may_be_empty_or_of_one_column() {
        for text in ["id", "id\n", "id\r\n\r\n", "name,id\n"] {
            assert_eq!(read_csv(text).unwrap().rows(), 0, "{text:?}");
        }
        assert_eq!(read_csv("id\n1\n\n2").unwrap().rows(), 2);
        // Looks like what is appended at the end.
        assert_eq!(
            read_csv("id\n1\n\0\n\0\n").map(drop).unwrap_err().to_string(),
            "line 4, column `id`: the key is that of line 3"
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_column_and_no_value_is_shown() {
        for (text, expected) in [
            ("", "line 1: no header: the first line names the columns"),
            ("\n\n", "line 1: no header: the first line names the columns"),
            ("nr,name\n1,a\n", "none of 2 columns is `id`, which LOOKUP_ZONES_KEY names"),
            (
                "Id,name\n1,a\n",
                "none of 2 columns is `id`, which LOOKUP_ZONES_KEY names; did you mean `Id`?",
            ),
            ("id,a,id\n1,2,3\n", "line 1, column `id`: it stands there twice"),
            ("id,a\n7,b\n1,x\n7,c\n", "line 4, column `id`: the key is that of line 2"),
            ("id,a\n1,b,c\n", "line 2: expected 2 fields, got 3"),
            ("id,a\n1\n", "line 2: expected 2 fields, got 1"),
            ("id,a\n1,b\n2,\"c\n3,d\n", "line 3: a quote is opened and never closed"),
            ("\"id,a\n1,b\n", "line 1: a quote is opened and never closed"),
        ] {
            assert_eq!(fault(text), expected, "{text:?}");
        }
        assert_eq!(fault(b"id,a\n1,b\n2,\xff\n"), "line 3, column `a`: not UTF-8");
        assert_eq!(fault(b"id,\xff\n"), "line 1: not UTF-8");
    }

    #[test]
    fn lines_are_counted_past_empty_ones_and_within_quotes_however_they_end() {
        let text = "id,a\n\n1,\"x\ny\"\n\n\n2,z\n1,z\n";
        let expected = "line 8, column `id`: the key is that of line 3";
        assert_eq!(fault(text), expected);
        assert_eq!(fault(text.replace('\n', "\r\n")), expected);
        assert_eq!(fault(text.trim_end()), expected);
        assert_eq!(fault(text.replace('\n', "\r\n").trim_end()), expected);
    }

    #[test]
    fn a_table_beyond_its_bound_is_refused_where_it_breaks_it() {
        let row = |id: u32| format!("{id},{}\n", "x".repeat(1_000));
        let text: String = (0..1_100).map(row).collect();
        let expected = "more than LOOKUP_ZONES_MEMORY_BYTES (1048576 bytes)";
        let found = fault(format!("id,a\n{text}"));
        // 1,022 bytes of text, and 22 of the values and the row.
        assert!(found.starts_with("line 10") && found.ends_with(expected), "{found}");
        let all_in_quotes = format!("id,a\n1,\"{}", "x".repeat(3 << 20));
        assert!(fault(all_in_quotes).ends_with(expected));
        let many: Vec<String> = (0..=1_000).map(|n| format!("c{n}")).collect();
        assert_eq!(fault(many.join(",")), "line 1: more than 1000 columns");
    }
}
