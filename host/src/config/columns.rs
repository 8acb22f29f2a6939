//! The rules on columns: which fields fill them, and how values are read. Whether the names are columns is checked
//! against the schema later.

use super::reader::VariableReader;
use super::words::word;
use crate::schema::plan::{Rules, TimestampUnit};
use crate::schema::source::{Encoding, Metadata, OnInvalid, Pointer, UnknownFields};

const CASES: &[(&str, bool)] = &[("exact", false), ("insensitive", true)];
const UNFILLED: &[(&str, bool)] = &[("reject", false), ("accept", true)];
const COERCIONS: &[(&str, bool)] = &[("strict", false), ("lenient", true)];
const COLUMN: &str = "column:";

/// The variables and their values in force.
pub(super) fn described(rules: &Rules) -> Vec<(&'static str, String)> {
    let list = |entries: Vec<String>| entries.join(",");
    let from = rules.column_from.iter().map(|(column, from)| format!("{column}={from}"));
    let metadata = rules.metadata.iter();
    let metadata = metadata.map(|(column, what)| format!("{column}={}", what.as_str()));
    let encodings = rules.encodings.iter();
    let encodings = encodings.map(|(column, what)| format!("{column}={}", what.as_str()));
    let invalid = rules.on_invalid.iter();
    let invalid = invalid.map(|(column, what)| format!("{column}={}", what.as_str()));
    let unknown = match &rules.unknown_fields {
        UnknownFields::Ignore => "ignore".to_owned(),
        UnknownFields::Reject => "reject".to_owned(),
        UnknownFields::Column(column) => format!("{COLUMN}{column}"),
    };
    vec![
        ("REQUIRED_COLUMNS", rules.required.join(",")),
        ("DATETIME_COLUMNS", rules.datetime.join(",")),
        ("STRING_ENUM_COLUMNS", rules.string_enum.join(",")),
        ("TIMESTAMP_UNIT", units_as_text(rules)),
        ("FIELD_CASE", word(CASES, rules.ignores_case).to_owned()),
        ("COLUMN_FROM", list(from.collect())),
        ("UNKNOWN_FIELDS", unknown),
        ("UNFILLED_RECORDS", word(UNFILLED, rules.takes_unfilled).to_owned()),
        ("METADATA_COLUMNS", list(metadata.collect())),
        ("COERCION", word(COERCIONS, rules.is_lenient).to_owned()),
        ("COLUMN_ENCODING", list(encodings.collect())),
        ("COLUMN_ON_INVALID", list(invalid.collect())),
    ]
}

pub(super) fn read_rules(reader: &mut VariableReader<'_>) -> Rules {
    let (timestamp_unit, column_units) = read_units(reader);
    Rules {
        required: reader.list("REQUIRED_COLUMNS"),
        datetime: reader.list("DATETIME_COLUMNS"),
        string_enum: reader.list("STRING_ENUM_COLUMNS"),
        timestamp_unit,
        column_units,
        ignores_case: reader.choice("FIELD_CASE", CASES).unwrap_or_default(),
        column_from: entries(
            reader,
            "COLUMN_FROM",
            "a list of column=/json/pointer",
            "begin each place with /, as in id=/after/id; write ~1 for a / within a name, and ~0 for a ~",
            Pointer::parse,
        ),
        unknown_fields: read_unknown(reader),
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

/// The unit for all columns, and the units of single columns.
fn read_units(
    reader: &mut VariableReader<'_>,
) -> (Option<TimestampUnit>, Vec<(String, TimestampUnit)>) {
    const NAME: &str = "TIMESTAMP_UNIT";
    const EXPECTED: &str = "s, ms, us or ns for all columns, and column=d, s, ms, us or ns for one";
    const HINT: &str = "write ms,created=us,day=d, for example";
    let (of_columns, of_all): (Vec<String>, Vec<String>) =
        reader.list(NAME).into_iter().partition(|entry| entry.contains('='));
    let words = TimestampUnit::WORDS;
    let of_columns =
        entries_of(reader, (NAME, of_columns), EXPECTED, HINT, |text| of_word(words, text));
    let mut unit = None;
    for entry in of_all {
        match of_word(words, &entry).filter(|unit| *unit != TimestampUnit::Days) {
            None => reader.refuse(NAME, EXPECTED, &entry, HINT),
            Some(_) if unit.is_some() => {
                reader.refuse(NAME, "one unit without a column", &entry, HINT);
            }
            found => unit = found,
        }
    }
    (unit, of_columns)
}

/// The units as the variable is written.
fn units_as_text(rules: &Rules) -> String {
    let of_all = rules.timestamp_unit.map(|unit| unit.as_str().to_owned());
    let of_columns = rules.column_units.iter();
    let of_columns = of_columns.map(|(column, unit)| format!("{column}={}", unit.as_str()));
    of_all.into_iter().chain(of_columns).collect::<Vec<_>>().join(",")
}

fn read_unknown(reader: &mut VariableReader<'_>) -> UnknownFields {
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

fn of_word<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}

/// A list of `column=value`, each column once.
fn entries<T>(
    reader: &mut VariableReader<'_>,
    variable: &str,
    expected: &str,
    hint: &str,
    value: impl Fn(&str) -> Option<T>,
) -> Vec<(String, T)> {
    let list = reader.list(variable);
    entries_of(reader, (variable, list), expected, hint, value)
}

/// The same for a list that was read.
fn entries_of<T>(
    reader: &mut VariableReader<'_>,
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
            ("REQUIRED_COLUMNS", "id"),
            ("TIMESTAMP_UNIT", "at=us,ms"),
            ("FIELD_CASE", "insensitive"),
            ("COLUMN_FROM", "lat=/position/lat, a=/x~1y"),
            ("UNKNOWN_FIELDS", "column:rest"),
            ("UNFILLED_RECORDS", "accept"),
            ("METADATA_COLUMNS", "_offset=offset,_key=key"),
            ("COERCION", "lenient"),
            ("COLUMN_ENCODING", "body=base64,id=hex"),
            ("COLUMN_ON_INVALID", "speed=null"),
        ]);
        let described = super::described(&config.rules);
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
        assert_eq!(
            words,
            [&["id", "", "", "ms,at=us", "insensitive", from][..], &rest, &others].concat()
        );
        assert_eq!(super::super::tests::config(&[]).rules, Rules::default());
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
