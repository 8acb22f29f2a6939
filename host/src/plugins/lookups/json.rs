//! JSON lines: objects, as in a file, or arrays after an array of names, as ClickHouse answers.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read as _};
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::builder::{LookupBuilder, MAX_COLUMNS};
use super::fault::{LookupFault, LookupLine};
use super::table::LookupTable;

/// The largest answer, as a multiple of the table's limit: JSON writes a byte with six at most.
const ANSWER_SHARE: u64 = 8;

/// Reads one object a line, whose fields are columns; `before` are the columns of the previous table.
///
/// # Errors
/// The first fault.
pub fn objects(
    input: impl BufRead,
    mut builder: LookupBuilder,
    before: &[&str],
) -> Result<LookupTable, LookupFault> {
    builder.open(before)?;
    lines(input, builder, LookupLine(1), None, |builder, line, text| {
        let JsonFields(fields) = parse(text, line, "a JSON object")?;
        builder.begin(line);
        for (name, value) in fields {
            let column = builder.column(&name)?;
            builder.put(column, text_of(value, line)?.as_deref())?;
        }
        builder.end()
    })
}

/// Reads an array with the names of the columns, then one array for each row; rows count from 1.
///
/// # Errors
/// The first fault.
pub fn rows(input: impl BufRead, builder: LookupBuilder) -> Result<LookupTable, LookupFault> {
    let mut columns = None;
    let most_bytes = (builder.most_bytes() as u64).saturating_mul(ANSWER_SHARE);
    let table = lines(input, builder, LookupLine(0), Some(most_bytes), |builder, row, text| {
        let Some(expected) = columns else {
            let names: FirstItems<JsonText<'_>> = parse(text, row, "a JSON array of names")?;
            columns = Some(names.count);
            return builder.header(row, names.first.iter().map(|JsonText(name)| &**name));
        };
        let values: FirstItems<&RawValue> = parse(text, row, "a JSON array")?;
        if values.count != expected {
            return Err(LookupFault::Fields { line: row, found: values.count, expected });
        }
        builder.begin(row);
        for (at, value) in values.first.into_iter().enumerate() {
            builder.put(at, text_of(value, row)?.as_deref())?;
        }
        builder.end()
    })?;
    if columns.is_none() {
        let text = "nothing, not even names".to_owned();
        return Err(LookupFault::Malformed { line: LookupLine::default(), text });
    }
    Ok(table)
}

/// Reads the lines that are not blank, counted from `line`; all lines have at most `most_bytes`.
fn lines(
    mut input: impl BufRead,
    mut builder: LookupBuilder,
    mut line: LookupLine,
    most_bytes: Option<u64>,
    mut take: impl FnMut(&mut LookupBuilder, LookupLine, &str) -> Result<(), LookupFault>,
) -> Result<LookupTable, LookupFault> {
    let most = builder.most_bytes() as u64;
    let (mut bytes, mut all) = (Vec::new(), 0_u64);
    loop {
        bytes.clear();
        let read = input.by_ref().take(most).read_until(b'\n', &mut bytes)?;
        all = all.saturating_add(read as u64);
        if let Some(most_bytes) = most_bytes.filter(|most_bytes| all > *most_bytes) {
            return Err(LookupFault::TooLong { line, most_bytes });
        }
        if read == 0 {
            return Ok(builder.finish());
        }
        if read as u64 == most && !bytes.ends_with(b"\n") {
            return Err(builder.too_large(line));
        }
        let text =
            str::from_utf8(&bytes).map_err(|_| LookupFault::NotUtf8 { line, column: None })?;
        if !text.trim_ascii().is_empty() {
            take(&mut builder, line, text)?;
        }
        line.0 += 1;
    }
}

/// An error of serde_json may quote a value, so only its position is reported.
fn parse<'a, T: Deserialize<'a>>(
    text: &'a str,
    line: LookupLine,
    what: &str,
) -> Result<T, LookupFault> {
    serde_json::from_str(text).map_err(|error| LookupFault::Malformed {
        line,
        text: format!("not {what}, at byte {}", error.column().max(1)),
    })
}

/// The text of a string, nothing for null, and the JSON text of any other value.
fn text_of(value: &RawValue, line: LookupLine) -> Result<Option<Cow<'_, str>>, LookupFault> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'"') => parse(json, line, "a JSON string").map(|JsonText(text)| Some(text)),
        Some(b'n') => Ok(None),
        _ => Ok(Some(Cow::Borrowed(json))),
    }
}

#[derive(Deserialize)]
struct JsonText<'a>(#[serde(borrow)] Cow<'a, str>);

/// The first items of an array, and the number of all.
struct FirstItems<T> {
    /// One more than a table may have columns, at most.
    first: Vec<T>,
    count: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FirstItems<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Array<T> {
            type Value = FirstItems<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut first = Vec::new();
                while first.len() <= MAX_COLUMNS {
                    let Some(item) = items.next_element()? else { break };
                    first.push(item);
                }
                let mut count = first.len();
                if count > MAX_COLUMNS {
                    while items.next_element::<IgnoredAny>()?.is_some() {
                        count += 1;
                    }
                }
                Ok(FirstItems { first, count })
            }
        }
        deserializer.deserialize_seq(Array(PhantomData))
    }
}

/// The fields of an object in their order, duplicates included. Reading stops at one more than a table may have
/// columns, which then has too many columns or a duplicate.
struct JsonFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for JsonFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = JsonFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while fields.len() <= MAX_COLUMNS {
                    let Some((JsonText(name), value)) = map.next_entry()? else { break };
                    fields.push((name, value));
                }
                if fields.len() > MAX_COLUMNS {
                    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                }
                Ok(JsonFields(fields))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lookup, values};
    use super::*;

    fn of_objects(text: impl AsRef<[u8]>) -> Result<LookupTable, LookupFault> {
        objects(text.as_ref(), LookupBuilder::new(&lookup("id")), &[])
    }

    fn of_rows(text: impl AsRef<[u8]>) -> Result<LookupTable, LookupFault> {
        rows(text.as_ref(), LookupBuilder::new(&lookup("id")))
    }

    #[test]
    fn a_string_is_its_characters_null_and_absent_are_missing_and_the_rest_is_json() {
        let text = r#"{"id":"1","v":"a\n\u00e9\"","w":true}
            {"v":null,"id":2}

            {"id":3}
            {"id":4,"v":{"a": [1, "b"]}}
            {"id":18446744073709551615,"v":0.10}
            {"id":[1],"v":"","x":1e3}"#;
        let table = of_objects(text).unwrap();
        let keys = ["1", "2", "3", "4", "18446744073709551615", "[1]"];
        let expected =
            [Some("a\né\""), None, None, Some(r#"{"a": [1, "b"]}"#), Some("0.10"), Some("")];
        assert_eq!(values(&table, "v", &keys), expected.map(|text| text.map(str::to_owned)));
        assert_eq!(values(&table, "w", &["1", "2"]), [Some("true".into()), None]);
        assert_eq!(values(&table, "x", &["1", "[1]"]), [None, Some("1e3".into())]);
    }

    #[test]
    fn what_is_wrong_with_objects_is_told_by_line_and_no_value_is_shown() {
        for (text, expected) in [
            ("{\"id\":1}\n{\"id\":2,}", "line 2: not a JSON object, at byte 9"),
            ("{\"id\":1}\n[\"hunter2\"]", "line 2: not a JSON object, at byte 1"),
            ("{\"id\":1} {}", "line 1: not a JSON object, at byte 10"),
            ("{\"id\":\"\\ud800\"}", "line 1: not a JSON string, at byte 8"),
            ("{\"id\":1}\n\n{\"x\":1}", "line 3, column `id`: the key is absent or null"),
            ("{\"id\":null}", "line 1, column `id`: the key is absent or null"),
            ("{\"id\":1,\"a\":1,\"a\":1}", "line 1, column `a`: it stands there twice"),
            ("{\"id\":1,\"id\":null}", "line 1, column `id`: it stands there twice"),
            ("{\"id\":1}\n{\"id\":\"1\"}", "line 2, column `id`: the key is that of line 1"),
        ] {
            assert_eq!(of_objects(text).unwrap_err().to_string(), expected, "{text}");
        }
        let error = of_objects(b"{\"id\":1}\n{\"id\":\"\xff\"}").unwrap_err();
        assert_eq!(error.to_string(), "line 2: not UTF-8");
    }

    #[test]
    fn a_line_or_a_table_beyond_the_bound_is_refused() {
        let expected = "more than LOOKUP_ZONES_MEMORY_BYTES (1048576 bytes)";
        let long = format!("{{\"id\":1}}\n{{\"id\":\"{}\"}}", "x".repeat(2 << 20));
        assert_eq!(of_objects(long).unwrap_err().to_string(), format!("line 2: {expected}"));
        let lines: Vec<String> = (0..999).map(|n| format!("{{\"id\":{n},\"c{n}\":1}}")).collect();
        let error = of_objects(lines.join("\n")).unwrap_err().to_string();
        assert!(error.ends_with(expected), "columns that others lack count: {error}");
    }

    #[test]
    fn more_columns_than_a_table_may_have_are_refused_and_not_kept() {
        let many = |one: &str| one.repeat(100_000);
        let objects = |fields: String| of_objects(format!("{{\"id\":1{fields}}}\n"));
        let twice = "line 1, column `a`: it stands there twice";
        assert_eq!(objects(many(",\"a\":1")).unwrap_err().to_string(), twice);
        let names =
            |count: u32| (0..count).map(|n| format!(",\"c{n}\":1")).collect::<Vec<_>>().concat();
        let too_many = "line 1: more than 1000 columns";
        assert_eq!(objects(names(2_000)).unwrap_err().to_string(), too_many);
        assert_eq!(objects(names(1_000)).unwrap_err().to_string(), too_many);
        assert_eq!(objects(names(999)).unwrap().columns().count(), 1_000);
        let cut = objects(names(2_000) + ",").unwrap_err().to_string();
        assert!(cut.starts_with("line 1: not a JSON object, at byte "), "{cut}");

        let answer = format!("[\"id\"{}]\n", many(",\"\""));
        let twice = "the header, column ``: it stands there twice";
        assert_eq!(of_rows(answer).unwrap_err().to_string(), twice);
        let names: Vec<String> = (0..2_000).map(|n| format!("\"c{n}\"")).collect();
        let too_many = "the header: more than 1000 columns";
        let answer = format!("[{}]\n", names.join(","));
        assert_eq!(of_rows(answer).unwrap_err().to_string(), too_many);
        let answer = format!("[\"id\"]\n[1{}]\n", many(",\"\""));
        let fields = "line 1: expected 1 fields, got 100001";
        assert_eq!(of_rows(answer).unwrap_err().to_string(), fields);
        let items: FirstItems<IgnoredAny> =
            serde_json::from_str(&format!("[1{}]", many(",1"))).unwrap();
        assert_eq!((items.first.len(), items.count), (1_001, 100_001));
        let object = format!("{{\"a\":1{}}}", many(",\"a\":1"));
        let JsonFields(fields) = serde_json::from_str(&object).unwrap();
        assert_eq!(fields.len(), 1_001);
    }

    #[test]
    fn an_answer_has_a_bound_that_blank_lines_count_against() {
        let answer = b"[\"id\"]\n".chain(std::io::BufReader::new(std::io::repeat(b'\n')));
        let error = rows(answer, LookupBuilder::new(&lookup("id"))).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "the answer is longer than 8388608 bytes, eight times what the table may have"
            ),
            "{error}"
        );
        assert_eq!(
            of_objects("\n".repeat(9 << 20) + "{\"id\":1}").unwrap().rows(),
            1,
            "a file ends"
        );
    }

    #[test]
    fn an_answer_names_its_columns_first() {
        let table = of_rows("[\"id\", \"v\"]\n[1, \"a\"]\n[\"2\", null]\n").unwrap();
        assert_eq!(values(&table, "v", &["1", "2"]), [Some("a".into()), None]);
        let empty = of_rows("[\"id\", \"v\"]\n").unwrap();
        assert_eq!((empty.rows(), values(&empty, "v", &["1"])), (0, vec![None]));
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_told_by_row() {
        for (text, expected) in [
            ("", "the header: nothing, not even names"),
            ("{\"id\":1}", "the header: not a JSON array of names, at byte 1"),
            ("[\"nr\"]\n", "none of 1 columns is `id`, which LOOKUP_ZONES_KEY names"),
            ("[\"id\",\"id\"]\n", "the header, column `id`: it stands there twice"),
            ("[\"id\"]\n[1]\n[1,2]\n", "line 2: expected 1 fields, got 2"),
            ("[\"id\"]\n[1]\n[2]\n[1]\n", "line 3, column `id`: the key is that of line 1"),
            ("[\"id\"]\nCode: 241. DB::Exception: x", "line 1: not a JSON array, at byte 1"),
        ] {
            assert_eq!(of_rows(text).unwrap_err().to_string(), expected, "{text}");
        }
        let error = of_rows(b"[\"id\"]\n[\"\xff\"]").unwrap_err();
        assert_eq!(error.to_string(), "line 1: not UTF-8");
    }
}
