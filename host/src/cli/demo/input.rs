//! Records from a file of one's own.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::value::RawValue;

/// The records of a file, each as its bytes stand there: the elements of a JSON array (`.json`),
/// or the lines that are not blank (`.ndjson`, `.jsonl`).
///
/// # Errors
/// A file that cannot be read, has another ending, or is no JSON array, by its name.
pub fn records_of_file(path: &Path) -> anyhow::Result<Vec<Box<[u8]>>> {
    let name = path.display();
    let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    let bytes = std::fs::read(path).with_context(|| format!("--input {name}"))?;
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("json") => {
            let records: Vec<&RawValue> = serde_json::from_slice(&bytes)
                .with_context(|| format!("--input {name}: expected one JSON array of records"))?;
            Ok(records.iter().map(|record| record.get().as_bytes().into()).collect())
        }
        Some("ndjson" | "jsonl") => Ok(bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .map(Box::from)
            .collect()),
        _ => bail!("--input {name}: expected a file that ends in .json, .ndjson or .jsonl"),
    }
}

#[cfg(test)]
mod tests {
    use super::records_of_file;

    fn records(name: &str, content: &str) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let records = records_of_file(&path)?;
        Ok(records.iter().map(|record| String::from_utf8(record.to_vec()).unwrap()).collect())
    }

    #[test]
    fn an_array_and_lines_give_the_same_records() {
        let expected = [r#"{"a":  1}"#, r#"{"a":2}"#];
        assert_eq!(records("a.json", r#" [{"a":  1}, {"a":2}] "#).unwrap(), expected);
        assert_eq!(records("a.ndjson", "{\"a\":  1}\r\n\n{\"a\":2}").unwrap(), expected);
    }

    #[test]
    fn a_file_that_is_no_list_of_records_is_named() {
        let error = format!("{:#}", records("a.json", r#"{"a":1}"#).unwrap_err());
        assert!(error.contains("a.json") && error.contains("array"), "{error}");
        assert!(records("a.csv", "").is_err());
    }
}
