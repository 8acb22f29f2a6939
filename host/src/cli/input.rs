//! Records from a local file.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::flow::parts::without_mark;

/// The limits on reading a file.
#[derive(Debug, Clone, Copy)]
pub struct InputBounds {
    /// Most records.
    pub records: usize,
    /// Most bytes of records.
    pub bytes: usize,
}

impl InputBounds {
    /// No limits.
    #[cfg(any(feature = "demo", test))]
    pub const NONE: Self = Self { records: usize::MAX, bytes: usize::MAX };
}

/// Passes on the records of a file, each as its bytes in the file, with the number of its line or element,
/// from 1: the lines that are not blank (`.ndjson`, `.jsonl`, or `-` for stdin), or the elements of a JSON
/// array (`.json`). Returns whether there are more than the limits allow; the rest of an array is not
/// examined. `option` names the file.
///
/// # Errors
/// The file cannot be read, has another ending, or is no JSON array, with its name; or an array is larger
/// than the limit.
pub fn each_record(
    option: &str,
    path: &Path,
    bounds: InputBounds,
    take: impl FnMut(i64, &[u8]),
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
            each_element(without_mark(&bytes), bounds.records, take)
                .with_context(|| format!("{name}: expected one JSON array of records"))
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

/// Passes on the elements of an array without collecting them: an element may be a single byte.
fn each_element(
    array: &[u8],
    most: usize,
    take: impl FnMut(i64, &[u8]),
) -> serde_json::Result<bool> {
    let mut is_cut = false;
    let mut reader = serde_json::Deserializer::from_slice(array);
    let read = reader.deserialize_seq(FileElements { most, take, is_cut: &mut is_cut });
    if is_cut {
        return Ok(true);
    }
    read.and_then(|()| reader.end()).map(|()| false)
}

struct FileElements<'a, F> {
    most: usize,
    take: F,
    /// Set if there are more. The array is left unfinished, which its reader reports as an error.
    is_cut: &'a mut bool,
}

impl<'de, F: FnMut(i64, &[u8])> Visitor<'de> for FileElements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        for number in (1..).take(self.most) {
            let Some(record) = elements.next_element::<&RawValue>()? else { return Ok(()) };
            (self.take)(number, record.get().as_bytes());
        }
        *self.is_cut = elements.next_element::<&RawValue>()?.is_some();
        Ok(())
    }
}

fn each_line(
    mut lines: impl BufRead,
    bounds: InputBounds,
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

    fn read(name: &str, content: &str, bounds: InputBounds) -> anyhow::Result<(Vec<String>, bool)> {
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
        let array = read("a.json", r#" [{"a":  1}, {"a":2}] "#, InputBounds::NONE).unwrap();
        assert_eq!(array, (vec![r#"1 {"a":  1}"#.into(), r#"2 {"a":2}"#.into()], false));
        let lines = read("a.ndjson", "{\"a\":  1}\r\n\n{\"a\":2}", InputBounds::NONE).unwrap();
        assert_eq!(lines, (vec![r#"1 {"a":  1}"#.into(), r#"3 {"a":2}"#.into()], false));
    }

    #[test]
    fn no_more_is_read_than_the_bounds_allow() {
        let lines = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        for (name, content) in [("a.jsonl", lines), ("a.json", r#"[{"a":1},{"a":2},{"a":3}]"#)] {
            let few = |records| read(name, content, InputBounds { records, bytes: 100 }).unwrap();
            assert_eq!((few(2).0.len(), few(2).1, few(3).1), (2, true, false), "{name}");
        }
        let small = |bytes| read("a.jsonl", lines, InputBounds { records: 9, bytes }).unwrap();
        assert_eq!((small(20).0.len(), small(20).1, small(21).1), (2, true, false));
        assert!(read("a.json", "[{},{}]", InputBounds { records: 9, bytes: 6 }).is_err());
        let rest = |records| read("a.json", "[1,2,3,}", InputBounds { records, bytes: 9 });
        assert_eq!(rest(2).unwrap(), (vec!["1 1".into(), "2 2".into()], true), "not looked at");
        assert!(rest(3).is_err() && read("a.json", "[1] 2", InputBounds::NONE).is_err());
    }

    #[test]
    fn a_file_that_is_no_list_of_records_is_named() {
        let error = read("a.json", r#"{"a":1}"#, InputBounds::NONE).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("a.json") && error.contains("array"), "{error}");
        assert!(read("a.csv", "", InputBounds::NONE).is_err());
    }
}
