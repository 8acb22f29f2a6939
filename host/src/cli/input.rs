//! Records from a file of one's own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde_json::value::RawValue;

/// How much of a file is read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most records.
    pub records: usize,
    /// Most bytes of records.
    pub bytes: usize,
}

impl Bounds {
    /// All of it.
    #[cfg(any(feature = "demo", test))]
    pub const NONE: Self = Self { records: usize::MAX, bytes: usize::MAX };
}

/// Hands out the records of a file, each as its bytes stand there, with the number of its line, or of
/// its element, from 1: the lines that are not blank (`.ndjson`, `.jsonl`, or `-` for stdin), or the
/// elements of a JSON array (`.json`). Says whether there are more than the bounds allow. `option` names
/// the file.
///
/// # Errors
/// A file that cannot be read, has another ending, or is no JSON array, by its name; an array larger
/// than the bound.
pub fn each_record(
    option: &str,
    path: &Path,
    bounds: Bounds,
    mut take: impl FnMut(i64, &[u8]),
) -> anyhow::Result<bool> {
    let name = format!("{option} {}", path.display());
    let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    let open = || File::open(path).with_context(|| name.clone());
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("json") => {
            let mut bytes = Vec::new();
            let limit = u64::try_from(bounds.bytes).unwrap_or(u64::MAX).saturating_add(1);
            open()?.take(limit).read_to_end(&mut bytes).with_context(|| name.clone())?;
            ensure!(
                bytes.len() <= bounds.bytes,
                "{name}: an array of more than {} bytes; write one record a line (.ndjson)",
                bounds.bytes
            );
            let records: Vec<&RawValue> = serde_json::from_slice(&bytes)
                .with_context(|| format!("{name}: expected one JSON array of records"))?;
            for (at, record) in (1..).zip(&records).take(bounds.records) {
                take(at, record.get().as_bytes());
            }
            Ok(records.len() > bounds.records)
        }
        Some("ndjson" | "jsonl") => {
            each_line(BufReader::new(open()?), bounds, take).with_context(|| name.clone())
        }
        None if path == Path::new("-") => {
            each_line(std::io::stdin().lock(), bounds, take).context("stdin")
        }
        _ => bail!("{name}: expected a file that ends in .json, .ndjson or .jsonl"),
    }
}

fn each_line(
    mut lines: impl BufRead,
    bounds: Bounds,
    mut take: impl FnMut(i64, &[u8]),
) -> std::io::Result<bool> {
    let (mut records, mut bytes, mut line) = (0, 0_usize, Vec::new());
    for at in 1.. {
        line.clear();
        // A line may be as long as the file.
        let limit = u64::try_from(bounds.bytes - bytes).unwrap_or(u64::MAX).saturating_add(1);
        if lines.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let is_part = line.len() as u64 == limit && !line.ends_with(b"\n");
        let record = line.trim_ascii();
        if !is_part && record.is_empty() {
            continue;
        }
        if is_part || records == bounds.records || record.len() > bounds.bytes - bytes {
            return Ok(true);
        }
        take(at, record);
        records += 1;
        bytes += record.len();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str, bounds: Bounds) -> anyhow::Result<(Vec<String>, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut records = Vec::new();
        let is_cut = each_record("--input", &path, bounds, |at, record| {
            records.push(format!("{at} {}", std::str::from_utf8(record).unwrap()));
        })?;
        Ok((records, is_cut))
    }

    #[test]
    fn an_array_and_lines_give_the_same_records() {
        let array = read("a.json", r#" [{"a":  1}, {"a":2}] "#, Bounds::NONE).unwrap();
        assert_eq!(array, (vec![r#"1 {"a":  1}"#.into(), r#"2 {"a":2}"#.into()], false));
        let lines = read("a.ndjson", "{\"a\":  1}\r\n\n{\"a\":2}", Bounds::NONE).unwrap();
        assert_eq!(lines, (vec![r#"1 {"a":  1}"#.into(), r#"3 {"a":2}"#.into()], false));
    }

    #[test]
    fn no_more_is_read_than_the_bounds_allow() {
        let lines = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        for (name, content) in [("a.jsonl", lines), ("a.json", r#"[{"a":1},{"a":2},{"a":3}]"#)] {
            let few = |records| read(name, content, Bounds { records, bytes: 100 }).unwrap();
            assert_eq!((few(2).0.len(), few(2).1, few(3).1), (2, true, false), "{name}");
        }
        let small = |bytes| read("a.jsonl", lines, Bounds { records: 9, bytes }).unwrap();
        assert_eq!((small(20).0.len(), small(20).1, small(21).1), (2, true, false));
        assert!(read("a.json", "[{},{}]", Bounds { records: 9, bytes: 6 }).is_err());
    }

    #[test]
    fn a_file_that_is_no_list_of_records_is_named() {
        let error = read("a.json", r#"{"a":1}"#, Bounds::NONE).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("a.json") && error.contains("array"), "{error}");
        assert!(read("a.csv", "", Bounds::NONE).is_err());
    }
}
