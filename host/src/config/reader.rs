//! Reads typed values and collects every broken rule on the way.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::env::Environment;
use super::problem::{ConfigErrors, Problem, Warning, shown};
use super::redact::{KeyValues, Secret, is_secret_key};
use super::variables::{self, Variable, VariableOwner};

/// The values of a switch.
pub(super) const SWITCH: &[(&str, bool)] =
    &[("1", true), ("0", false), ("true", true), ("false", false)];

/// Why an entry of a `name=value` list is refused.
pub(super) struct RefusedEntry {
    /// What is allowed there.
    pub expected: &'static str,
    /// What to do.
    pub hint: String,
}

impl RefusedEntry {
    /// An entry whose name the user may not set.
    pub fn name(hint: String) -> Self {
        Self { expected: "names that the host leaves to you", hint }
    }
}

/// Reads one environment. An invalid value is recorded as a problem and reads as `None`, so that no
/// second rule reports it.
pub(super) struct VariableReader<'a> {
    env: &'a Environment,
    /// The texts read so far, `Err` if that failed: a file may be a pipe, which reads only once.
    texts: BTreeMap<String, Result<Option<String>, ()>>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'a> VariableReader<'a> {
    pub fn new(env: &'a Environment) -> Self {
        Self {
            env,
            texts: BTreeMap::new(),
            problems: env.problems().to_vec(),
            warnings: env.warnings(),
        }
    }

    /// Returns the warnings, or all problems if there is one.
    pub fn finish(self) -> Result<Vec<Warning>, ConfigErrors> {
        if self.problems.is_empty() {
            Ok(self.warnings)
        } else {
            Err(ConfigErrors::new(self.problems))
        }
    }

    /// Records that a variable's value breaks a rule.
    pub fn refuse(&mut self, name: &str, expected: &str, value: &str, hint: &str) {
        self.refuse_found(name, expected, shown(name, value), hint);
    }

    /// Records a broken rule; `found` is shown verbatim, so it must hold no secret.
    pub fn refuse_found(
        &mut self,
        name: &str,
        expected: &str,
        found: impl Into<String>,
        hint: &str,
    ) {
        self.problems.push(Problem {
            variable: name.to_owned(),
            expected: expected.to_owned(),
            found: found.into(),
            hint: hint.to_owned(),
        });
    }

    /// Records a warning.
    pub fn warn(&mut self, name: &str, text: impl Into<String>) {
        self.warnings.push(Warning { variable: name.to_owned(), text: text.into() });
    }

    /// The text as set, untrimmed, without the default.
    fn read(&mut self, name: &str) -> Result<Option<String>, ()> {
        if let Some(known) = self.texts.get(name) {
            return known.clone();
        }
        let text = self.env.value(name).map_err(|problem| self.problems.push(problem));
        self.texts.insert(name.to_owned(), text.clone());
        text
    }

    /// Whether the variable or its file form is set, even to an invalid value.
    pub fn is_set(&mut self, name: &str) -> bool {
        self.read(name) != Ok(None)
    }

    /// The name under which a variable is set: its own or that of its file form.
    pub fn set_as(&self, name: &str) -> Option<String> {
        let file = format!("{name}_FILE");
        self.env.names().find(|set| *set == name || *set == file).map(str::to_owned)
    }

    /// The trimmed text, if it is set.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        self.read(name).ok().flatten().map(|text| text.trim().to_owned())
    }

    /// The trimmed text or the default; a missing required variable is a problem.
    pub fn text(&mut self, name: &str) -> Option<String> {
        if self.is_set(name) {
            return self.optional(name);
        }
        let variable = variables::find_variable(name)?;
        if variable.default.is_none() {
            let hint = match self.env.near_miss_of(name) {
                Some(near) => format!("{near} is set but not read; rename it to {name}"),
                None => format!("set {name}, or {name}_FILE to the path of a file that holds it"),
            };
            self.refuse_found(name, variable.meaning, "nothing, and there is no default", &hint);
        }
        variable.default.map(str::to_owned)
    }

    /// A secret; not trimmed, since its blanks may matter.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        let text = self.read(name).ok().flatten()?;
        if text.chars().any(char::is_control) {
            let hint = "check how it was written: a line break may have slipped in";
            self.refuse(name, "a text without control characters", &text, hint);
            return None;
        }
        Some(Secret::new(text))
    }

    /// A number within `min..=max`; `what` names it with its unit.
    pub fn number<N: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        name: &str,
        what: &str,
        min: N,
        max: N,
    ) -> Option<N> {
        let text = self.text(name)?;
        if let Ok(number) = text.parse::<N>()
            && (min..=max).contains(&number)
        {
            return Some(number);
        }
        let default =
            variables::find_variable(name).and_then(|variable| variable.default).unwrap_or("");
        let hint = format!("write a plain number, without a unit; the default is {default}");
        self.refuse(name, &format!("{what} from {min} to {max}"), &text, &hint);
        None
    }

    /// One of a closed list of words, in any case.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name).filter(|text| !text.is_empty())?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let near = list
                .iter()
                .map(|word| (strsim::damerau_levenshtein(word, &text.to_ascii_lowercase()), word))
                .filter(|(edits, _)| *edits <= 2)
                .min();
            let hint = match near {
                Some((_, word)) => format!("did you mean {word}?"),
                None => "use one of these words".to_owned(),
            };
            self.refuse(name, &format!("one of {}", list.join(", ")), &text, &hint);
        }
        found.map(|(_, value)| *value)
    }

    /// A list: one entry a line if the value has a line break (an entry may then contain commas),
    /// else comma-separated. Entries are trimmed, empty ones are skipped, duplicates are refused.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let mut entries: Vec<String> = Vec::new();
        for entry in split(&text) {
            if entries.iter().any(|known| known == entry) {
                let hint = "leave one of the two out";
                self.refuse(name, "a list in which nothing stands twice", entry, hint);
            } else {
                entries.push(entry.to_owned());
            }
        }
        if entries.is_empty() && !text.is_empty() {
            self.refuse(name, "a list with at least one entry", &text, "write at least one entry");
        }
        entries
    }

    /// A list of `name=value`; `refusal` returns why an entry is refused. Values are never shown:
    /// any of them may be a secret.
    pub fn pairs(
        &mut self,
        name: &str,
        refusal: impl Fn(&str, &str) -> Option<RefusedEntry>,
    ) -> KeyValues {
        let text = self.text(name).unwrap_or_default();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (at, entry) in split(&text).enumerate() {
            let Some((key, value)) = entry.split_once('=') else {
                let length = entry.chars().count();
                let found =
                    format!("entry {} without `=` ({length} characters, not shown)", at + 1);
                let hint = "where a value holds a comma, write one entry a line";
                self.refuse_found(name, "a list of name=value", found, hint);
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if key.is_empty() || !key.bytes().all(is_name) {
                let found = format!("entry {} with the name {}", at + 1, shown(name, key));
                let hint = "write name=value, the name of letters, digits, `.`, `_` and `-`";
                self.refuse_found(name, "a list of name=value", found, hint);
            } else if let Some(RefusedEntry { expected, hint }) = refusal(key, value) {
                self.refuse(name, expected, key, &hint);
            } else if pairs.iter().any(|(known, _)| known == key) {
                let expected = "a list in which no name stands twice";
                self.refuse(name, expected, key, "leave one of the two out");
            } else {
                pairs.push((key.to_owned(), value.to_owned()));
            }
        }
        if pairs.iter().any(|(key, _)| is_secret_key(key)) {
            self.warnings.extend(self.env.warning_of_file(name));
        }
        KeyValues::from(pairs)
    }

    /// The names that are set and match a variable of a plugin or lookup, even if no such object
    /// exists; those of files without `_FILE`.
    pub fn names_of(&self, owner: VariableOwner) -> Vec<String> {
        let bases = self.env.names().map(|name| name.strip_suffix("_FILE").unwrap_or(name));
        let is_ours =
            |name: &&str| variables::find_variable(name).and_then(Variable::owner) == Some(owner);
        bases.filter(is_ours).map(str::to_owned).collect()
    }

    /// The path of a file that must exist.
    pub fn path(&mut self, name: &str) -> Option<String> {
        let path = self.optional(name)?;
        if let Err(error) = std::fs::metadata(&path) {
            let found = format!("{}: {error}", shown(name, &path));
            let hint = "check the path, and that this process may read it";
            self.refuse_found(name, "the path of a file that is there", found, hint);
            return None;
        }
        Some(path)
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    let separator = if text.contains('\n') { '\n' } else { ',' };
    text.split(separator)
        .map(|entry| entry.trim().trim_end_matches(',').trim_end())
        .filter(|entry| !entry.is_empty())
}
