//! The lookups of plugins: their sources and limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names::{as_part, is_name};
use super::plugins::PluginConfig;
use super::reader::VariableReader;
use super::redact::Secret;
use super::select;
use super::variables::VariableOwner;

/// The suffixes of LOOKUP_<NAME> in the variables of a lookup.
const VARIABLES_OF_ONE: &[&str] = &["", "_KEY", "_REFRESH_MS", "_MEMORY_BYTES"];
/// A name with such an ending would share a variable with another name, or its own file form.
const ENDS: &[&str] = &["_KEY", "_REFRESH_MS", "_MEMORY_BYTES", "_FILE"];

/// A table that the host reads for plugins to look up values in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The name, unique among lookups also as a part of a variable.
    pub name: String,
    /// Its source.
    pub source: LookupSource,
    /// The column that plugins look up by.
    pub key: String,
    /// The time between two reads, a second to a day, default a minute.
    pub refresh: Duration,
    /// Most memory, 1 MiB to 4 GiB, default 64 MiB.
    pub memory_bytes: usize,
}

/// The source of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupSource {
    /// A file on this machine.
    File {
        /// Its path.
        path: PathBuf,
        /// Its format.
        format: LookupFormat,
    },
    /// A SELECT for the server of CLICKHOUSE_HOST. It may contain a key or a password.
    Select(Secret),
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFormat {
    /// Comma-separated values, with the column names on the first line.
    Csv,
    /// One JSON object on each line.
    Ndjson,
}

impl Lookup {
    /// The name of one of its variables; `of` is the suffix after the lookup's name, such as `_KEY`,
    /// or nothing.
    pub fn variable(&self, of: &str) -> String {
        variable(&self.name, of)
    }
}

/// The name of a variable of this lookup.
fn variable(lookup: &str, of: &str) -> String {
    format!("LOOKUP_{}{of}", as_part(lookup))
}

/// A name, and the variable that grants it.
struct Grant<'a> {
    name: &'a str,
    by: String,
}

/// Reads the lookups that are granted to some plugin.
pub(super) fn read_lookups(
    reader: &mut VariableReader<'_>,
    plugins: &[PluginConfig],
) -> Vec<Lookup> {
    let mut grants: Vec<Grant<'_>> = Vec::new();
    for plugin in plugins {
        for name in &plugin.lookups {
            let grant = Grant { name, by: plugin.variable("LOOKUPS") };
            let is_known = grants.iter().any(|other| other.name == name);
            if !is_known && is_fit(reader, &grant, &grants) {
                grants.push(grant);
            }
        }
    }
    warn_of_strangers(reader, &grants);
    grants.iter().filter_map(|grant| read_lookup(reader, grant)).collect()
}

/// Whether the name is valid and does not clash with the others.
fn is_fit(reader: &mut VariableReader<'_>, grant: &Grant<'_>, others: &[Grant<'_>]) -> bool {
    let Grant { name, by } = grant;
    let part = as_part(name);
    if !is_name(name) {
        let hint = "use at most 64 letters, digits, `-` and `_`";
        reader.refuse(by, "a list of names of lookups", name, hint);
    } else if let Some(end) = ENDS.iter().find(|end| part.ends_with(**end)) {
        let hint = format!("rename it: a name that ends in {end} reads like another variable");
        reader.refuse(by, "a list of names of lookups", name, &hint);
    } else if let Some(other) = others.iter().find(|other| as_part(other.name) == part) {
        let found = format!("`{}` and `{name}`", other.name);
        let hint = format!("rename one: the variables LOOKUP_{part}... would be those of both");
        reader.refuse_found(by, "names of lookups that differ", found, &hint);
    } else {
        return true;
    }
    false
}

fn read_lookup(reader: &mut VariableReader<'_>, grant: &Grant<'_>) -> Option<Lookup> {
    let Grant { name, by } = grant;
    let variable = |of: &str| variable(name, of);
    let source = read_source(reader, &variable(""), grant);
    if !reader.is_set(&variable("_KEY")) {
        let expected = format!("the column that `{name}` of {by} is looked up by");
        let hint = format!("name a column of what {} gives", variable(""));
        reader.refuse_found(&variable("_KEY"), &expected, "nothing", &hint);
    }
    let key = reader.optional(&variable("_KEY"));
    let refresh_ms = reader.number(&variable("_REFRESH_MS"), "milliseconds", 1_000, 86_400_000);
    let memory_bytes =
        reader.number(&variable("_MEMORY_BYTES"), "bytes", 1_048_576, 4_294_967_296_usize);
    Some(Lookup {
        name: (*name).to_owned(),
        source: source?,
        key: key?,
        refresh: Duration::from_millis(refresh_ms?),
        memory_bytes: memory_bytes?,
    })
}

fn read_source(
    reader: &mut VariableReader<'_>,
    variable: &str,
    grant: &Grant<'_>,
) -> Option<LookupSource> {
    let expected = "file:path.csv, file:path.ndjson, or a SELECT";
    if !reader.is_set(variable) {
        let Grant { name, by } = grant;
        let hint = format!("set {variable}, or take `{name}` out of {by}");
        let expected = format!("{expected}, for `{name}` of {by}");
        reader.refuse_found(variable, &expected, "nothing", &hint);
        return None;
    }
    let text = reader.optional(variable)?;
    if let Some(path) = text.strip_prefix("file:") {
        return read_file(reader, variable, path.trim());
    }
    if !select::is_select(&text) {
        let hint = "write file: before a path; a SELECT begins with SELECT or WITH";
        reader.refuse(variable, expected, &text, hint);
        return None;
    }
    if let Some(excess) = select::excess(&text) {
        let hint = "write one SELECT alone: the host says in which form it wants the answer";
        reader.refuse_found(
            variable,
            "a SELECT without `;`, FORMAT and INTO OUTFILE",
            excess,
            hint,
        );
        return None;
    }
    Some(LookupSource::Select(Secret::new(text)))
}

fn read_file(reader: &mut VariableReader<'_>, variable: &str, path: &str) -> Option<LookupSource> {
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
    let format = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => LookupFormat::Csv,
        Some("ndjson") => LookupFormat::Ndjson,
        _ => {
            let hint = "rename the file to what it holds: .csv or .ndjson";
            let found = format!("file:{path}");
            reader.refuse_found(variable, "a file that ends in .csv or .ndjson", found, hint);
            return None;
        }
    };
    if let Err(error) = std::fs::metadata(path) {
        let hint = "check the path, and that this process may read it";
        let found = format!("file:{path}: {error}");
        reader.refuse_found(variable, "the path of a file that is there", found, hint);
        return None;
    }
    Some(LookupSource::File { path: path.into(), format })
}

/// Warns about variables of a lookup that no plugin is granted.
fn warn_of_strangers(reader: &mut VariableReader<'_>, grants: &[Grant<'_>]) {
    let ours: Vec<String> = grants
        .iter()
        .flat_map(|grant| VARIABLES_OF_ONE.iter().map(|of| variable(grant.name, of)))
        .collect();
    for name in reader.names_of(VariableOwner::Lookup) {
        if !ours.contains(&name) {
            reader
                .warn(&name, "is not read; no PLUGIN_<NAME>_LOOKUPS grants a lookup of this name");
        }
    }
}

#[cfg(test)]
#[cfg(feature = "hooks")]
mod tests {
    use super::super::tests::{config, errors, warnings};
    use super::super::{Environment, Plugins};
    use super::*;

    /// Two plugins.
    const PLUGINS: (&str, &str) = ("PLUGINS", "join=Cargo.toml,mask=Cargo.toml");

    /// A folder with an empty file of each format.
    fn folder() -> (tempfile::TempDir, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let [csv, ndjson] = ["a.csv", "a.NDJSON"].map(|name| {
            let path = dir.path().join(name);
            std::fs::write(&path, "").unwrap();
            format!("file:{}", path.display())
        });
        (dir, csv, ndjson)
    }

    #[test]
    fn each_lookup_that_is_granted_has_variables_of_its_own() {
        let (_dir, csv, ndjson) = folder();
        let select = "with 'hunter2' AS key SELECT id, decrypt('aes-128-ecb', x, key) AS x FROM v";
        let config = config(&[
            PLUGINS,
            ("PLUGIN_JOIN_LOOKUPS", "zones,Fleet-Names"),
            ("PLUGIN_MASK_LOOKUPS", "plain,zones"),
            ("LOOKUP_ZONES", &csv),
            ("LOOKUP_ZONES_KEY", "id"),
            ("LOOKUP_FLEET_NAMES", select),
            ("LOOKUP_FLEET_NAMES_KEY", "id"),
            ("LOOKUP_FLEET_NAMES_REFRESH_MS", "1000"),
            ("LOOKUP_FLEET_NAMES_MEMORY_BYTES", "1048576"),
            ("LOOKUP_PLAIN", &ndjson),
            ("LOOKUP_PLAIN_KEY", "k"),
        ]);
        let [zones, fleets, plain] = &*config.plugins.lookups else { panic!("{config:?}") };
        assert_eq!((&*zones.name, &*fleets.name, &*plain.name), ("zones", "Fleet-Names", "plain"));
        assert_eq!((&*zones.key, zones.refresh), ("id", Duration::from_mins(1)));
        assert_eq!((zones.memory_bytes, fleets.memory_bytes), (64 << 20, 1 << 20));
        assert_eq!(fleets.refresh, Duration::from_secs(1));
        assert_eq!(fleets.source, LookupSource::Select(Secret::new(select)));
        let format = |lookup: &Lookup| match &lookup.source {
            LookupSource::File { format, .. } => Some(*format),
            LookupSource::Select(_) => None,
        };
        assert_eq!(format(zones), Some(LookupFormat::Csv));
        assert_eq!(format(plain), Some(LookupFormat::Ndjson));
        assert_eq!(config.plugins.list[1].lookups, ["plain", "zones"]);
        let described = config.describe();
        let shown = format!("{config:?} {described:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for (name, value) in [
            ("PLUGIN_MASK_LOOKUPS", "plain,zones"),
            ("LOOKUP_ZONES", &csv),
            ("LOOKUP_FLEET_NAMES", "***"),
            ("LOOKUP_FLEET_NAMES_REFRESH_MS", "1000"),
        ] {
            assert!(described.contains(&(name.into(), value.into())), "{name}: {described:?}");
        }
    }

    #[test]
    fn plugins_alone_bring_their_lookups() {
        let pairs = [
            PLUGINS,
            ("PLUGIN_JOIN_LOOKUPS", "zones"),
            ("LOOKUP_ZONES", "SELECT 1 AS id"),
            ("LOOKUP_ZONES_KEY", "id"),
        ];
        let plugins = Plugins::from_env(&Environment::from_pairs(pairs)).unwrap();
        assert_eq!(plugins.lookups[0].variable("_KEY"), "LOOKUP_ZONES_KEY");
    }

    #[test]
    fn what_is_wrong_with_lookups_is_told_by_variable() {
        let (_dir, csv, _) = folder();
        insta::assert_snapshot!(
            errors(&[
                PLUGINS,
                ("PLUGIN_JOIN_LOOKUPS", "a b,zone-key,in_file,a-b,none,gone,text,words,two,form"),
                ("PLUGIN_MASK_LOOKUPS", "A_B,a-b"),
                ("LOOKUP_A_B", &csv),
                ("LOOKUP_A_B_REFRESH_MS", "10s"),
                ("LOOKUP_A_B_MEMORY_BYTES", "1"),
                ("LOOKUP_NONE_KEY", "id"),
                ("LOOKUP_GONE", "file:/nonexistent.csv"),
                ("LOOKUP_GONE_KEY", "id"),
                ("LOOKUP_TEXT", "file:notes.txt"),
                ("LOOKUP_TEXT_KEY", "id"),
                ("LOOKUP_WORDS", "hunter2.csv"),
                ("LOOKUP_WORDS_KEY", "id"),
                ("LOOKUP_TWO", "SELECT 'hunter2';"),
                ("LOOKUP_TWO_KEY", "id"),
                ("LOOKUP_FORM", "SELECT 'hunter2' FORMAT CSV"),
                ("LOOKUP_FORM_KEY", "id"),
            ]),
            @r#"
        13 problems in the configuration

        PLUGIN_JOIN_LOOKUPS
          expected: a list of names of lookups
          found:    "a b"
          hint:     use at most 64 letters, digits, `-` and `_`

        PLUGIN_JOIN_LOOKUPS
          expected: a list of names of lookups
          found:    "zone-key"
          hint:     rename it: a name that ends in _KEY reads like another variable

        PLUGIN_JOIN_LOOKUPS
          expected: a list of names of lookups
          found:    "in_file"
          hint:     rename it: a name that ends in _FILE reads like another variable

        PLUGIN_MASK_LOOKUPS
          expected: names of lookups that differ
          found:    `a-b` and `A_B`
          hint:     rename one: the variables LOOKUP_A_B... would be those of both

        LOOKUP_NONE
          expected: file:path.csv, file:path.ndjson, or a SELECT, for `none` of PLUGIN_JOIN_LOOKUPS
          found:    nothing
          hint:     set LOOKUP_NONE, or take `none` out of PLUGIN_JOIN_LOOKUPS

        LOOKUP_GONE
          expected: the path of a file that is there
          found:    file:/nonexistent.csv: No such file or directory (os error 2)
          hint:     check the path, and that this process may read it

        LOOKUP_TEXT
          expected: a file that ends in .csv or .ndjson
          found:    file:notes.txt
          hint:     rename the file to what it holds: .csv or .ndjson

        LOOKUP_WORDS
          expected: file:path.csv, file:path.ndjson, or a SELECT
          found:    (secret, 11 characters)
          hint:     write file: before a path; a SELECT begins with SELECT or WITH

        LOOKUP_TWO
          expected: a SELECT without `;`, FORMAT and INTO OUTFILE
          found:    ;
          hint:     write one SELECT alone: the host says in which form it wants the answer

        LOOKUP_FORM
          expected: a SELECT without `;`, FORMAT and INTO OUTFILE
          found:    FORMAT
          hint:     write one SELECT alone: the host says in which form it wants the answer

        LOOKUP_A_B_KEY
          expected: the column that `a-b` of PLUGIN_JOIN_LOOKUPS is looked up by
          found:    nothing
          hint:     name a column of what LOOKUP_A_B gives

        LOOKUP_A_B_REFRESH_MS
          expected: milliseconds from 1000 to 86400000
          found:    "10s"
          hint:     write a plain number, without a unit; the default is 60000

        LOOKUP_A_B_MEMORY_BYTES
          expected: bytes from 1048576 to 4294967296
          found:    "1"
          hint:     write a plain number, without a unit; the default is 67108864
        "#
        );
    }

    #[test]
    fn a_variable_of_a_lookup_that_is_not_granted_is_a_warning() {
        for stranger in ["LOOKUP_ZONE", "LOOKUP_ZONES_EXTRA_KEY", "LOOKUP_REFRESH_MS"] {
            let changes = [
                PLUGINS,
                ("PLUGIN_JOIN_LOOKUPS", "zones"),
                ("LOOKUP_ZONES", "SELECT 1 AS id"),
                ("LOOKUP_ZONES_KEY", "id"),
                (stranger, "x"),
            ];
            let expected = format!(
                "{stranger}: is not read; no PLUGIN_<NAME>_LOOKUPS grants a lookup of this name"
            );
            assert_eq!(warnings(&changes), expected);
        }
    }
}
