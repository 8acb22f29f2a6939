//! From which fields columns are filled, and how strictly.

use super::reader::Reader;
use super::words::word;
use crate::schema::source::{Encoding, Metadata, OnInvalid, Pointer, UnknownFields};

/// Which fields fill which columns. Whether the names are columns is known with the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Whether names of fields are the same in upper and lower case.
    pub ignores_case: bool,
    /// Columns that are filled from a place in the record.
    pub column_from: Vec<(String, Pointer)>,
    /// What becomes of fields that fill no column, default ignore.
    pub unknown: UnknownFields,
    /// Whether a record of which no field fills a column is a row of defaults.
    pub takes_unfilled: bool,
    /// Columns that are filled with what Kafka says of the record.
    pub metadata: Vec<(String, Metadata)>,
    /// Whether more forms of numbers, booleans and times are taken.
    pub is_lenient: bool,
    /// Columns whose strings write bytes.
    pub encodings: Vec<(String, Encoding)>,
    /// What becomes of a value that the column does not take.
    pub on_invalid: Vec<(String, OnInvalid)>,
}

const CASES: &[(&str, bool)] = &[("exact", false), ("insensitive", true)];
const UNFILLED: &[(&str, bool)] = &[("reject", false), ("accept", true)];
const COERCIONS: &[(&str, bool)] = &[("strict", false), ("lenient", true)];
const COLUMN: &str = "column:";

impl Fields {
    /// The variables and what they say.
    pub fn described(&self) -> Vec<(&'static str, String)> {
        let list = |entries: Vec<String>| entries.join(",");
        let from = self.column_from.iter().map(|(column, from)| format!("{column}={from}"));
        let metadata = self.metadata.iter();
        let metadata = metadata.map(|(column, what)| format!("{column}={}", what.as_str()));
        let encodings = self.encodings.iter();
        let encodings = encodings.map(|(column, what)| format!("{column}={}", what.as_str()));
        let invalid = self.on_invalid.iter();
        let invalid = invalid.map(|(column, what)| format!("{column}={}", what.as_str()));
        let unknown = match &self.unknown {
            UnknownFields::Ignore => "ignore".to_owned(),
            UnknownFields::Reject => "reject".to_owned(),
            UnknownFields::Column(column) => format!("{COLUMN}{column}"),
        };
        vec![
            ("FIELD_CASE", word(CASES, self.ignores_case).to_owned()),
            ("COLUMN_FROM", list(from.collect())),
            ("UNKNOWN_FIELDS", unknown),
            ("UNFILLED_RECORDS", word(UNFILLED, self.takes_unfilled).to_owned()),
            ("METADATA_COLUMNS", list(metadata.collect())),
            ("COERCION", word(COERCIONS, self.is_lenient).to_owned()),
            ("COLUMN_ENCODING", list(encodings.collect())),
            ("COLUMN_ON_INVALID", list(invalid.collect())),
        ]
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Fields {
    Fields {
        ignores_case: reader.choice("FIELD_CASE", CASES).unwrap_or_default(),
        column_from: entries(
            reader,
            "COLUMN_FROM",
            "a list of column=/json/pointer",
            "begin each place with /, as in id=/after/id; write ~1 for a / within a name, and ~0 for a ~",
            Pointer::parse,
        ),
        unknown: read_unknown(reader),
        takes_unfilled: reader.choice("UNFILLED_RECORDS", UNFILLED).unwrap_or_default(),
        metadata: entries(
            reader,
            "METADATA_COLUMNS",
            "a list of column=topic, partition, offset, timestamp, key, headers or token",
            "use one of these words",
            |text| of_word(Metadata::WORDS, text),
        ),
        is_lenient: reader.choice("COERCION", COERCIONS).unwrap_or_default(),
        encodings: entries(
            reader,
            "COLUMN_ENCODING",
            "a list of column=base64 or hex",
            "use one of these words",
            |text| of_word(Encoding::WORDS, text),
        ),
        on_invalid: entries(
            reader,
            "COLUMN_ON_INVALID",
            "a list of column=reject, null or default",
            "use one of these words",
            |text| of_word(OnInvalid::WORDS, text),
        ),
    }
}

fn read_unknown(reader: &mut Reader<'_>) -> UnknownFields {
    let text = reader.text("UNKNOWN_FIELDS").unwrap_or_default();
    match (&*text.to_ascii_lowercase(), text.strip_prefix(COLUMN)) {
        ("" | "ignore", _) => UnknownFields::Ignore,
        ("reject", _) => UnknownFields::Reject,
        (_, Some(column)) if !column.trim().is_empty() => {
            UnknownFields::Column(column.trim().to_owned())
        }
        _ => {
            let expected = "ignore, reject, or column: and the name of a column";
            reader.refuse("UNKNOWN_FIELDS", expected, &text, "write column:rest, for example");
            UnknownFields::Ignore
        }
    }
}

pub(super) fn of_word<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}

/// A list of `column=value`, each column once.
fn entries<T>(
    reader: &mut Reader<'_>,
    variable: &str,
    expected: &str,
    hint: &str,
    value: impl Fn(&str) -> Option<T>,
) -> Vec<(String, T)> {
    let list = reader.list(variable);
    entries_of(reader, (variable, list), expected, hint, value)
}

/// The same of a list that was read.
pub(super) fn entries_of<T>(
    reader: &mut Reader<'_>,
    (variable, entries): (&str, Vec<String>),
    expected: &str,
    hint: &str,
    value: impl Fn(&str) -> Option<T>,
) -> Vec<(String, T)> {
    let mut list: Vec<(String, T)> = Vec::new();
    for entry in entries {
        let split = entry.split_once('=').map(|(column, text)| (column.trim(), text.trim()));
        let read = split.and_then(|(column, text)| Some((column.to_owned(), value(text)?)));
        match read.filter(|(column, _)| !column.is_empty()) {
            None => reader.refuse(variable, expected, &entry, hint),
            Some((column, _)) if list.iter().any(|(known, _)| *known == column) => {
                let hint = format!("leave one of the two of `{column}` out");
                reader.refuse(variable, "each column once", &entry, &hint);
            }
            Some(entry) => list.push(entry),
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, errors};
    use super::*;

    #[test]
    fn where_columns_come_from_is_told_by_lists() {
        let config = config(&[
            ("FIELD_CASE", "insensitive"),
            ("COLUMN_FROM", "lat=/position/lat, a=/x~1y"),
            ("UNKNOWN_FIELDS", "column:rest"),
            ("UNFILLED_RECORDS", "accept"),
            ("METADATA_COLUMNS", "_offset=offset,_key=key"),
            ("COERCION", "lenient"),
            ("COLUMN_ENCODING", "body=base64,id=hex"),
            ("COLUMN_ON_INVALID", "speed=null"),
        ]);
        let described = config.fields.described();
        let words: Vec<&str> = described.iter().map(|(_, text)| &**text).collect();
        let lists = [
            "lat=/position/lat,a=/x~1y",
            "_offset=offset,_key=key",
            "body=base64,id=hex",
            "speed=null",
        ];
        let [from, metadata, encodings, invalid] = lists;
        let rest = ["column:rest", "accept"];
        let others = [metadata, "lenient", encodings, invalid];
        assert_eq!(words, [&["insensitive", from][..], &rest, &others].concat());
        assert_eq!(super::super::tests::config(&[]).fields, Fields::default());
    }

    #[test]
    fn what_is_wrong_with_them_is_told_by_variable() {
        insta::assert_snapshot!(
            errors(&[
                ("COLUMN_FROM", "lat=position,lat=/a,lat=/b"),
                ("UNKNOWN_FIELDS", "column:"),
                ("METADATA_COLUMNS", "_o=offsets"),
                ("COLUMN_ON_INVALID", "speed"),
            ]),
            @r#"
        5 problems in the configuration

        COLUMN_FROM
          expected: a list of column=/json/pointer
          found:    "lat=position"
          hint:     begin each place with /, as in id=/after/id; write ~1 for a / within a name, and ~0 for a ~

        COLUMN_FROM
          expected: each column once
          found:    "lat=/b"
          hint:     leave one of the two of `lat` out

        UNKNOWN_FIELDS
          expected: ignore, reject, or column: and the name of a column
          found:    "column:"
          hint:     write column:rest, for example

        METADATA_COLUMNS
          expected: a list of column=topic, partition, offset, timestamp, key, headers or token
          found:    "_o=offsets"
          hint:     use one of these words

        COLUMN_ON_INVALID
          expected: a list of column=reject, null or default
          found:    "speed"
          hint:     use one of these words
        "#
        );
    }
}
