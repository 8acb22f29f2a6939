//! The plugins, their order, and their limits.

use std::path::PathBuf;
use std::time::Duration;

use super::env::Environment;
use super::lookups::{self, Lookup};
use super::names::{as_part, is_name};
use super::problem::ConfigErrors;
use super::reader::VariableReader;
use super::redact::Secret;
use super::variables::VariableOwner;
use super::words::Words;

/// The suffixes of PLUGIN_<NAME>_ in the variables of a plugin.
const VARIABLES_OF_ONE: &[&str] = &["CONFIG", "TIMEOUT_MS", "MEMORY_BYTES", "SHA256", "LOOKUPS"];
/// Longest file of a plugin's configuration, in bytes.
const MAX_CONFIG_BYTES: u64 = 16 * 1024 * 1024;

/// The plugins, and their common settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugins {
    /// In the order in which they see records.
    pub list: Vec<PluginConfig>,
    /// The lookups granted to them, in the order in which they are granted.
    pub lookups: Vec<Lookup>,
    /// Share of rows (0 to 1) that may fail in a plugin, default 0.05.
    pub breaker_share: f64,
    /// What happens above that share, default pause.
    pub on_breaker: OnBreaker,
    /// The folder for compiled plugins; `None` compiles them at each start.
    pub cache_dir: Option<PathBuf>,
}

impl Plugins {
    /// Reads only the variables of plugins and their lookups, as [`super::Config::from_env`] does.
    ///
    /// # Errors
    /// Every broken rule of these variables.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigErrors> {
        let mut reader = VariableReader::new(env);
        let plugins = read_plugins(&mut reader);
        reader.finish().map(|_| plugins)
    }
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginConfig {
    /// The name, unique among plugins also as a part of a variable.
    pub name: String,
    /// The path of the component.
    pub path: PathBuf,
    /// JSON for its `init`, default `{}`.
    pub config: Secret,
    /// Longest call, 20 ms to a minute, default a second.
    pub timeout: Duration,
    /// Most memory of one instance, 1 MiB to 4 GiB, default 64 MiB.
    pub memory_bytes: usize,
    /// The SHA-256 that the file must have, as 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// The names of the lookups that it may read.
    pub lookups: Vec<String>,
}

impl PluginConfig {
    /// The name of one of its variables, such as `PLUGIN_REDACT_CONFIG`.
    pub fn variable(&self, of: &str) -> String {
        variable(&self.name, of)
    }
}

/// What happens when a plugin fails on too many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBreaker {
    /// The host waits, with an alarm, until somebody fixes it.
    Pause,
    /// Every record that it fails on goes to the dead letter topic.
    DeadLetter,
}

impl Words for OnBreaker {
    const WORDS: &'static [(&'static str, Self)] =
        &[("pause", Self::Pause), ("dead_letter", Self::DeadLetter)];
}

/// The name of a variable of this plugin.
fn variable(plugin: &str, of: &str) -> String {
    format!("PLUGIN_{}_{of}", as_part(plugin))
}

pub(super) fn read_plugins(reader: &mut VariableReader<'_>) -> Plugins {
    let mut list: Vec<PluginConfig> = Vec::new();
    for entry in reader.list("PLUGINS") {
        if let Some((name, path)) = split(reader, &entry, &list) {
            list.push(read_plugin(reader, name, path));
        }
    }
    if !cfg!(feature = "hooks") && !list.is_empty() {
        let hint = "use a build with the feature `hooks`, which is on by default";
        reader.refuse_found("PLUGINS", "nothing: this build runs no plugins", "plugins", hint);
    }
    warn_of_strangers(reader, &list);
    Plugins {
        lookups: lookups::read_lookups(reader, &list),
        list,
        breaker_share: reader
            .number("PLUGIN_BREAKER_SHARE", "a number", 0.0, 1.0)
            .unwrap_or_default(),
        on_breaker: reader
            .choice("PLUGIN_ON_BREAKER", OnBreaker::WORDS)
            .unwrap_or(OnBreaker::Pause),
        cache_dir: reader.optional("PLUGIN_CACHE_DIR").map(Into::into),
    }
}

/// Name and path of an entry of PLUGINS, if both are valid.
fn split(
    reader: &mut VariableReader<'_>,
    entry: &str,
    list: &[PluginConfig],
) -> Option<(String, PathBuf)> {
    let expected = "a list of name=path.wasm";
    let (name, path) = match entry.split_once('=') {
        Some((name, path)) if !path.trim().is_empty() => (name.trim(), path.trim()),
        _ => {
            let hint = "write name=path.wasm; the name is yours, for logs and variables";
            reader.refuse("PLUGINS", expected, entry, hint);
            return None;
        }
    };
    if !is_name(name) {
        let hint = "use at most 64 letters, digits, `-` and `_`";
        reader.refuse("PLUGINS", expected, entry, hint);
        return None;
    }
    if let Some(other) = list.iter().find(|other| as_part(&other.name) == as_part(name)) {
        let found = format!("`{}` and `{name}`", other.name);
        let hint = format!(
            "rename one: the variables PLUGIN_{}_... would be those of both",
            as_part(name)
        );
        reader.refuse_found("PLUGINS", "names that differ", found, &hint);
        return None;
    }
    if let Err(error) = std::fs::metadata(path) {
        let hint = "check the path, and that this process may read it";
        reader.refuse_found("PLUGINS", "paths of files", format!("{entry}: {error}"), hint);
        return None;
    }
    Some((name.to_owned(), path.into()))
}

fn read_plugin(reader: &mut VariableReader<'_>, name: String, path: PathBuf) -> PluginConfig {
    let variable = |of: &str| variable(&name, of);
    let timeout_ms = reader.number(&variable("TIMEOUT_MS"), "milliseconds", 20, 60_000);
    let memory_bytes =
        reader.number(&variable("MEMORY_BYTES"), "bytes", 1_048_576, 4_294_967_296_usize);
    let sha256 = reader.optional(&variable("SHA256"));
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(text) = sha256.as_deref().filter(|text| !is_digest(text)) {
        let hint = "take the first word that `sha256sum` prints of the file";
        reader.refuse(&variable("SHA256"), "64 hexadecimal digits", text, hint);
    }
    let config = read_config(reader, &variable("CONFIG"));
    let lookups = reader.list(&variable("LOOKUPS"));
    PluginConfig {
        name,
        path,
        config: Secret::new(config.unwrap_or_else(|| "{}".to_owned())),
        timeout: Duration::from_millis(timeout_ms.unwrap_or_default()),
        memory_bytes: memory_bytes.unwrap_or_default(),
        sha256: sha256.map(|text| text.to_ascii_lowercase()),
        lookups,
    }
}

/// The JSON of a plugin's configuration, from the variable or the file named after `@`.
fn read_config(reader: &mut VariableReader<'_>, variable: &str) -> Option<String> {
    let text = reader.optional(variable)?;
    let text = match text.strip_prefix('@') {
        None => text,
        Some(path) => match read_file(path) {
            Ok(text) => text,
            Err(error) => {
                let hint = "check the path after the `@`, and that this process may read it";
                let found = format!("@{path}: {error}");
                reader.refuse_found(variable, "JSON, or `@` and the path of a file", found, hint);
                return None;
            }
        },
    };
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        let found =
            format!("no JSON: line {}, column {} (not shown)", error.line(), error.column());
        let hint = "write one JSON value, such as {\"fields\": [\"email\"]}";
        reader.refuse_found(variable, "JSON, or `@` and the path of a file", found, hint);
        return None;
    }
    Some(text)
}

fn read_file(path: &str) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_CONFIG_BYTES {
        let text = format!("longer than {MAX_CONFIG_BYTES} bytes");
        return Err(std::io::Error::other(text));
    }
    std::fs::read_to_string(path)
}

/// Warns about variables of a plugin that is not in PLUGINS.
fn warn_of_strangers(reader: &mut VariableReader<'_>, list: &[PluginConfig]) {
    let ours: Vec<String> = list
        .iter()
        .flat_map(|plugin| VARIABLES_OF_ONE.iter().map(|of| plugin.variable(of)))
        .collect();
    for name in reader.names_of(VariableOwner::Plugin) {
        if !ours.contains(&name) {
            reader.warn(&name, "is not read; no plugin of PLUGINS has this name");
        }
    }
}

#[cfg(all(test, feature = "hooks"))]
mod tests {
    use super::super::tests::{config, errors, warnings};
    use super::*;

    /// A file that exists.
    const FILE: &str = "Cargo.toml";

    fn listed(names: &[&str]) -> String {
        names.iter().map(|name| format!("{name}={FILE}")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn each_plugin_has_variables_of_its_own() {
        let digest = "AB".repeat(32);
        let config = config(&[
            ("PLUGINS", &listed(&["mask-mail", "join"])),
            ("PLUGIN_MASK_MAIL_CONFIG", r#"{"key": "hunter2"}"#),
            ("PLUGIN_MASK_MAIL_TIMEOUT_MS", "250"),
            ("PLUGIN_JOIN_MEMORY_BYTES", "1048576"),
            ("PLUGIN_JOIN_SHA256", &digest),
            ("PLUGIN_BREAKER_SHARE", "0.5"),
            ("PLUGIN_ON_BREAKER", "dead_letter"),
            ("PLUGIN_CACHE_DIR", "/var/cache/sluicegate"),
        ]);
        let [mask, join] = &*config.plugins.list else { panic!("{config:?}") };
        assert_eq!((&*mask.name, &*join.name), ("mask-mail", "join"));
        assert_eq!((mask.config.expose(), join.config.expose()), (r#"{"key": "hunter2"}"#, "{}"));
        assert_eq!((mask.timeout, join.timeout).0, Duration::from_millis(250));
        assert_eq!((mask.timeout, join.timeout).1, Duration::from_secs(1));
        assert_eq!((mask.memory_bytes, join.memory_bytes), (64 << 20, 1 << 20));
        assert_eq!(join.sha256, Some("ab".repeat(32)));
        assert_eq!(config.plugins.on_breaker, OnBreaker::DeadLetter);
        let shown = format!("{config:?} {:?}", config.describe());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains(r#"("PLUGIN_MASK_MAIL_TIMEOUT_MS", "250")"#), "{shown}");
    }

    #[test]
    fn a_configuration_may_stand_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, "[1]\n").unwrap();
        let at = format!("@{}", path.display());
        let config = config(&[("PLUGINS", &listed(&["p"])), ("PLUGIN_P_CONFIG", &at)]);
        assert_eq!(config.plugins.list[0].config.expose(), "[1]\n");
    }

    #[test]
    fn what_is_wrong_with_plugins_is_told_by_variable() {
        let plugins =
            format!("{},Cargo.toml,a b=x,gone=/nonexistent.wasm", listed(&["a-b", "A_B", "p"]));
        insta::assert_snapshot!(
            errors(&[
                ("PLUGINS", &plugins),
                ("PLUGIN_A_B_CONFIG", "@/nonexistent.json"),
                ("PLUGIN_P_CONFIG", r#"{"token": hunter2}"#),
                ("PLUGIN_P_TIMEOUT_MS", "1"),
                ("PLUGIN_P_SHA256", "abc"),
                ("PLUGIN_ON_BREAKER", "ignore"),
            ]),
            @r#"
        9 problems in the configuration

        PLUGINS
          expected: names that differ
          found:    `a-b` and `A_B`
          hint:     rename one: the variables PLUGIN_A_B_... would be those of both

        PLUGINS
          expected: a list of name=path.wasm
          found:    "Cargo.toml"
          hint:     write name=path.wasm; the name is yours, for logs and variables

        PLUGINS
          expected: a list of name=path.wasm
          found:    "a b=x"
          hint:     use at most 64 letters, digits, `-` and `_`

        PLUGINS
          expected: paths of files
          found:    gone=/nonexistent.wasm: No such file or directory (os error 2)
          hint:     check the path, and that this process may read it

        PLUGIN_A_B_CONFIG
          expected: JSON, or `@` and the path of a file
          found:    @/nonexistent.json: No such file or directory (os error 2)
          hint:     check the path after the `@`, and that this process may read it

        PLUGIN_P_CONFIG
          expected: JSON, or `@` and the path of a file
          found:    no JSON: line 1, column 11 (not shown)
          hint:     write one JSON value, such as {"fields": ["email"]}

        PLUGIN_P_TIMEOUT_MS
          expected: milliseconds from 20 to 60000
          found:    "1"
          hint:     write a plain number, without a unit; the default is 1000

        PLUGIN_P_SHA256
          expected: 64 hexadecimal digits
          found:    "abc"
          hint:     take the first word that `sha256sum` prints of the file

        PLUGIN_ON_BREAKER
          expected: one of pause, dead_letter
          found:    "ignore"
          hint:     use one of these words
        "#
        );
    }

    #[test]
    fn a_variable_of_a_plugin_that_is_not_there_is_a_warning() {
        for stranger in ["PLUGIN_REDCT_CONFIG", "PLUGIN_REDACT_MAIL_SHA256"] {
            let changes = [("PLUGINS", &*listed(&["redact"])), (stranger, "x")];
            let expected = format!("{stranger}: is not read; no plugin of PLUGINS has this name");
            assert_eq!(warnings(&changes), expected);
        }
    }
}
