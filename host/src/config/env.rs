//! Reads the values: the process environment overrides the file `.env`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::exposed;
use super::names;
use super::problem::{Problem, Warning, shown};
use super::variables::{self, Variable};

/// The file that the process environment overrides.
const DOTENV: &str = ".env";

/// Longest value in a `NAME_FILE` file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The variables as found, before any rule is applied.
///
/// An empty or blank value counts as unset. Nothing here changes the process environment.
#[derive(Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Environment {
    /// Reads the process environment and, if there is one, the file `.env` of the working
    /// directory. `Config::from_env` reports read errors with all other problems.
    pub fn read() -> Self {
        let mut problems = Vec::new();
        let file = read_dotenv(Path::new(DOTENV), &mut problems);
        let mut process = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str() else { continue };
            match value.into_string() {
                Ok(value) => {
                    process.insert(name.to_owned(), value);
                }
                Err(_) if names::is_known(name) => problems.push(Problem {
                    variable: name.to_owned(),
                    expected: "a text in UTF-8".to_owned(),
                    found: "bytes that are not UTF-8".to_owned(),
                    hint: "write the value in UTF-8".to_owned(),
                }),
                Err(_) => {}
            }
        }
        let warnings = warning_of_dotenv(Path::new(DOTENV), &file).into_iter().collect();
        Self { values: layered(process, file), problems, warnings }
    }

    /// An environment of exactly these variables, for tests and the demo.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let values = layered(values, BTreeMap::new());
        Self { values, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The names that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The problems found while reading.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Warnings about names that nothing reads, and about secrets in files that others may read.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let odd = self.values.iter().filter_map(|(name, value)| names::judge_name(name, value));
        let secrets = self.values.keys().filter_map(|name| {
            let name = name.strip_suffix("_FILE")?;
            variables::find_variable(name).filter(|variable| variable.is_credential())?;
            self.warning_of_file(name)
        });
        self.warnings.iter().cloned().chain(odd).chain(secrets).collect()
    }

    /// A warning if `name` is a secret whose file others may read.
    pub(super) fn warning_of_file(&self, name: &str) -> Option<Warning> {
        let variable = format!("{name}_FILE");
        let path = self.values.get(&variable)?.trim();
        let text = exposed::open_to_others(Path::new(path), "a secret")?;
        Some(Warning { variable, text })
    }

    /// An unknown name that is set and close to `wanted`.
    pub(super) fn near_miss_of(&self, wanted: &str) -> Option<&str> {
        self.values
            .keys()
            .map(String::as_str)
            .find(|name| !names::is_known(name) && names::nearest(name) == Some(wanted))
    }

    /// The value of `name`, or the content of the file that `NAME_FILE` names.
    pub(super) fn value(&self, name: &str) -> Result<Option<String>, Problem> {
        let file_name = format!("{name}_FILE");
        match (self.values.get(name), self.values.get(&file_name)) {
            (Some(_), Some(path)) => Err(Problem {
                variable: name.to_owned(),
                expected: format!("either {name} or {file_name}"),
                found: format!("both, {file_name} is {}", shown(&file_name, path)),
                hint: "unset one of the two".to_owned(),
            }),
            (Some(value), None) => Ok(Some(value.clone())),
            (None, Some(path)) => read_value(path.trim()).map(non_blank).map_err(|cause| Problem {
                variable: file_name.clone(),
                expected: format!("the path of a file that holds the value of {name}"),
                found: format!("{}: {cause}", shown(&file_name, path)),
                hint: "check the path, and that this process may read it".to_owned(),
            }),
            (None, None) => Ok(None),
        }
    }
}

fn non_blank(value: String) -> Option<String> {
    (!value.trim().is_empty()).then_some(value)
}

/// Overrides the file with the process environment. `NAME` and `NAME_FILE` count as one name: a
/// real `NAME_FILE` hides the file's `NAME`.
fn layered(
    process: BTreeMap<String, String>,
    mut file: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let process: BTreeMap<_, _> =
        process.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    for name in process.keys() {
        let base = name.strip_suffix("_FILE").unwrap_or(name);
        file.remove(base);
        file.remove(&format!("{base}_FILE"));
    }
    file.retain(|_, value| !value.trim().is_empty());
    file.extend(process);
    file
}

fn read_value(path: &str) -> Result<String, String> {
    let mut value = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut value).map_err(|error| error.to_string())?;
    if value.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("longer than {MAX_FILE_BYTES} bytes"));
    }
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}

fn read_dotenv(path: &Path, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return values,
        Err(error) => {
            problems.push(dotenv_problem(path, &error, ""));
            return values;
        }
    };
    let mut place = "the first line".to_owned();
    for line in lines {
        match line {
            // The first line for a name wins, as in dotenvy's own loading.
            Ok((name, value)) => {
                place = format!("the line after that of {name}");
                values.entry(name).or_insert(value);
            }
            Err(error) => {
                problems.push(dotenv_problem(path, &error, &place));
                if !matches!(error, dotenvy::Error::LineParse(..)) {
                    break;
                }
            }
        }
    }
    values
}

/// A warning if this file holds secrets and others may read it.
fn warning_of_dotenv(path: &Path, file: &BTreeMap<String, String>) -> Option<Warning> {
    let is_secret =
        |name: &&String| variables::find_variable(name).is_some_and(Variable::is_credential);
    let secrets: Vec<&str> = file.keys().filter(is_secret).map(String::as_str).collect();
    if secrets.is_empty() {
        return None;
    }
    let text = exposed::open_to_others(path, &secrets.join(", "))?;
    Some(Warning { variable: DOTENV.to_owned(), text })
}

/// The error without the text of the line, which may contain a secret.
fn dotenv_problem(path: &Path, error: &dotenvy::Error, place: &str) -> Problem {
    let (found, hint) = match error {
        dotenvy::Error::Io(error) => (
            error.to_string(),
            "check that it is a file in UTF-8, and that this process may read it",
        ),
        _ => (
            format!("something else at {place} (not shown)"),
            "put values with blanks, quotes, `$` or `#` in single quotes",
        ),
    };
    Problem {
        variable: path.display().to_string(),
        expected: "lines of the form NAME=value".to_owned(),
        found,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn dotenv(text: &str) -> (BTreeMap<String, String>, Vec<Problem>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        std::fs::write(&path, text).unwrap();
        let mut problems = Vec::new();
        let values = read_dotenv(&path, &mut problems);
        for problem in &mut problems {
            problem.variable = ".env".to_owned();
        }
        (values, problems)
    }

    #[test]
    fn real_variables_win_over_the_file() {
        let values = layered(
            map(&[("A", "process"), ("B", " ")]),
            map(&[("A", "file"), ("B", "file"), ("C", "")]),
        );
        assert_eq!(values, map(&[("A", "process"), ("B", "file")]));
    }

    #[test]
    fn a_real_file_form_hides_the_plain_form_of_the_file() {
        let values = layered(map(&[("A_FILE", "/run/a")]), map(&[("A", "file"), ("B_FILE", "/b")]));
        assert_eq!(values, map(&[("A_FILE", "/run/a"), ("B_FILE", "/b")]));
    }

    #[test]
    fn a_missing_dotenv_is_no_problem() {
        let mut problems = Vec::new();
        assert!(read_dotenv(Path::new("/nonexistent/.env"), &mut problems).is_empty());
        assert!(problems.is_empty());
    }

    #[test]
    fn dotenv_quotes_and_comments_are_read() {
        let (values, problems) = dotenv("# c\nA='x $y\nz$'\nexport B=1 # c\nC=\"l1\nl2\"\n");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(values, map(&[("A", "x $y\nz$"), ("B", "1"), ("C", "l1\nl2")]));
    }

    #[test]
    fn a_broken_dotenv_line_is_reported_without_its_text_and_the_next_are_read() {
        let (values, problems) = dotenv("A=1\nCLICKHOUSE_PASSWORD=a=hunter two\nB=2\n");
        assert_eq!(values, map(&[("A", "1"), ("B", "2")]));
        assert_eq!(problems.len(), 1);
        insta::assert_snapshot!(problems[0], @r"
        .env
          expected: lines of the form NAME=value
          found:    something else at the line after that of A (not shown)
          hint:     put values with blanks, quotes, `$` or `#` in single quotes
        ");
    }

    #[test]
    fn a_dotenv_that_others_may_read_is_warned_of_with_the_secrets_in_it() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        std::fs::write(&path, "").unwrap();
        let open = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
        open(dir.path(), 0o755).unwrap();
        open(&path, 0o644).unwrap();
        let secrets = map(&[
            ("CLICKHOUSE_PASSWORD", "hunter2"),
            ("KAFKA_BROKER", "b:9092"),
            ("KAFKA_SASL_PASSWORD", "hunter2"),
        ]);
        let warning = warning_of_dotenv(&path, &secrets).unwrap().to_string();
        let expected = ".env: holds CLICKHOUSE_PASSWORD, KAFKA_SASL_PASSWORD in /";
        assert!(warning.starts_with(expected) && !warning.contains("hunter2"), "{warning}");
        assert_eq!(warning_of_dotenv(&path, &map(&[("KAFKA_BROKER", "b:9092")])), None);
        open(&path, 0o600).unwrap();
        assert_eq!(warning_of_dotenv(&path, &secrets), None);
    }

    #[test]
    fn a_dotenv_that_is_a_folder_is_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut problems = Vec::new();
        assert!(read_dotenv(dir.path(), &mut problems).is_empty());
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_value_is_read_from_a_file_without_its_last_line_break() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, " pass word \r\n").unwrap();
        let env = Environment::from_pairs([("CLICKHOUSE_PASSWORD_FILE", path.to_str().unwrap())]);
        assert_eq!(env.value("CLICKHOUSE_PASSWORD"), Ok(Some(" pass word ".to_owned())));
    }

    #[test]
    fn a_name_and_its_file_form_at_once_are_refused() {
        let env = Environment::from_pairs([
            ("CLICKHOUSE_PASSWORD", "hunter2"),
            ("CLICKHOUSE_PASSWORD_FILE", "/run/secrets/password"),
        ]);
        insta::assert_snapshot!(env.value("CLICKHOUSE_PASSWORD").unwrap_err(), @r#"
        CLICKHOUSE_PASSWORD
          expected: either CLICKHOUSE_PASSWORD or CLICKHOUSE_PASSWORD_FILE
          found:    both, CLICKHOUSE_PASSWORD_FILE is "/run/secrets/password"
          hint:     unset one of the two
        "#);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let env = Environment::from_pairs([("CLICKHOUSE_PASSWORD_FILE", "/nonexistent/password")]);
        insta::assert_snapshot!(env.value("CLICKHOUSE_PASSWORD").unwrap_err(), @r#"
        CLICKHOUSE_PASSWORD_FILE
          expected: the path of a file that holds the value of CLICKHOUSE_PASSWORD
          found:    "/nonexistent/password": No such file or directory (os error 2)
          hint:     check the path, and that this process may read it
        "#);
    }
}
