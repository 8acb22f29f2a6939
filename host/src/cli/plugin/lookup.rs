//! A lookup from a file, for a plugin that is tested without a host.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use csv::ReaderBuilder;

use crate::config::as_part;

/// `NAME=FILE` or `NAME:KEY=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupFile {
    /// How the plugin calls it.
    pub name: String,
    key: Option<String>,
    path: String,
}

impl FromStr for LookupFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected NAME=FILE or NAME:KEY=FILE".to_owned();
        let (name, path) = text.split_once('=').ok_or_else(expected)?;
        let (name, key) = match name.split_once(':') {
            Some((name, key)) => (name, Some(key)),
            None => (name, None),
        };
        if name.is_empty() || key == Some("") || path.is_empty() {
            return Err(expected());
        }
        Ok(Self { name: name.to_owned(), key: key.map(str::to_owned), path: path.to_owned() })
    }
}

impl LookupFile {
    /// The host variables that configure it.
    ///
    /// # Errors
    /// No key is given, and the file has no header that names one.
    pub fn variables(&self) -> anyhow::Result<[(String, String); 2]> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => first_column(&self.path).with_context(|| self.path.clone())?,
        };
        let variable = format!("LOOKUP_{}", as_part(&self.name));
        Ok([(format!("{variable}_KEY"), key), (variable, format!("file:{}", self.path))])
    }
}

fn first_column(path: &str) -> anyhow::Result<String> {
    let is_csv =
        Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    ensure!(is_csv, "no header names its columns; name the key by --lookup NAME:KEY=FILE");
    let mut reader = ReaderBuilder::new().has_headers(false).from_path(path)?;
    let header =
        reader.records().next().context("no header: the first line names the columns")??;
    Ok(header.get(0).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_of_a_csv_is_the_key_unless_another_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a=b.csv");
        std::fs::write(&path, "\"zone id\",name\n1,North\n").unwrap();
        for (option, expected) in [("my-zones=", "zone id"), ("my-zones:name=", "name")] {
            let file: LookupFile = format!("{option}{}", path.display()).parse().unwrap();
            assert_eq!(file.name, "my-zones");
            let [(key_variable, key), (variable, source)] = file.variables().unwrap();
            assert_eq!((&*key_variable, &*key), ("LOOKUP_MY_ZONES_KEY", expected));
            let file = format!("file:{}", path.display());
            assert_eq!((&*variable, source), ("LOOKUP_MY_ZONES", file));
        }
    }

    #[test]
    fn what_is_no_lookup_is_told() {
        for text in ["zones", "=f.csv", ":id=f.csv", "zones:=f.csv", "zones="] {
            assert!(text.parse::<LookupFile>().is_err(), "{text}");
        }
        let file: LookupFile = "zones=f.ndjson".parse().unwrap();
        assert!(format!("{:#}", file.variables().unwrap_err()).contains("NAME:KEY=FILE"));
    }
}
