//! The findings, for people and for scripts.

use std::io::Write as _;

use serde_json::{Value, json};

use super::aligned_text;
use super::mapping::Mapping;
use crate::words::plain::Json;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckVerdict {
    /// As it should be.
    Ok,
    /// Works, but looks like a mistake.
    Warning,
    /// `run` would fail here.
    Problem,
    /// Not checked, because another check failed.
    NotKnown,
}

impl CheckVerdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::NotKnown => "not known",
        }
    }

    fn is_ok(self) -> bool {
        matches!(self, Self::Ok | Self::Warning)
    }
}

/// One check.
#[derive(Debug)]
pub struct Check {
    name: &'static str,
    verdict: CheckVerdict,
    text: String,
}

impl Check {
    pub fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: CheckVerdict::Ok, text: text.into() }
    }

    pub fn warning(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: CheckVerdict::Warning, text: text.into() }
    }

    pub fn problem(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: CheckVerdict::Problem, text: text.into() }
    }

    pub fn not_known(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: CheckVerdict::NotKnown, text: text.into() }
    }
}

/// All checks.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// In printing order.
    pub checks: Vec<Check>,
    /// The table's columns; empty if the table is unknown.
    pub columns: Vec<Mapping>,
}

impl CheckReport {
    /// Whether nothing prevents `run` from working.
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.verdict.is_ok())
    }

    /// The same for the checks with one name.
    pub fn is_ok_of(&self, name: &str) -> bool {
        self.checks.iter().filter(|check| check.name == name).all(|check| check.verdict.is_ok())
    }

    /// How many checks failed, in words.
    pub fn summary(&self) -> String {
        let count = |verdict| self.checks.iter().filter(|check| check.verdict == verdict).count();
        let (problems, not_known) = (count(CheckVerdict::Problem), count(CheckVerdict::NotKnown));
        let noun = if problems == 1 { "problem" } else { "problems" };
        let rest = match not_known {
            0 => String::new(),
            1 => ", and 1 thing could not be checked".into(),
            more => format!(", and {more} things could not be checked"),
        };
        let all = self.checks.len();
        let checks = if all == 1 { "check" } else { "checks" };
        format!("{problems} {noun} in {all} {checks}{rest}")
    }

    /// Prints the report to stdout.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn print(&self, as_json: bool) -> std::io::Result<()> {
        let text = match as_json {
            true => format!("{}\n", Json(format_args!("{:#}", self.json()))),
            false => self.text(),
        };
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    fn json(&self) -> Value {
        let checks = self.checks.iter().map(|check| {
            json!({
                "name": check.name,
                "ok": check.verdict.is_ok(),
                "verdict": check.verdict.word(),
                "text": check.text,
            })
        });
        let columns = self.columns.iter().map(Mapping::json);
        json!({
            "ok": self.is_ok(),
            "checks": checks.collect::<Vec<_>>(),
            "columns": columns.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let checks = self
            .checks
            .iter()
            .map(|check| vec![check.verdict.word().into(), check.name.into(), check.text.clone()]);
        let mut text = aligned_text::aligned(&["result", "check", "what was found"], checks);
        if !self.columns.is_empty() {
            let head = ["column", "type", "sent as", "takes", "missing or null"];
            text.push('\n');
            text.push_str(&aligned_text::aligned(&head, self.columns.iter().map(Mapping::cells)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: Vec<Check>) -> CheckReport {
        CheckReport { checks, columns: Vec::new() }
    }

    #[test]
    fn a_warning_is_well_and_what_is_not_known_is_not() {
        assert!(report(vec![Check::ok("a", ""), Check::warning("a", "")]).is_ok());
        let report = report(vec![Check::not_known("a", ""), Check::ok("b", "")]);
        assert!(!report.is_ok() && !report.is_ok_of("a") && report.is_ok_of("b"));
    }

    #[test]
    fn the_summary_counts_problems_and_what_hangs_on_them() {
        let report = report(vec![
            Check::ok("a", ""),
            Check::problem("b", ""),
            Check::not_known("c", ""),
            Check::not_known("d", ""),
        ]);
        let expected = "1 problem in 4 checks, and 2 things could not be checked";
        assert_eq!(report.summary(), expected);
    }

    #[test]
    fn json_and_text_hold_each_check() {
        let report = report(vec![Check::problem("broker", "no answer")]);
        let json = report.json();
        assert_eq!(json["ok"], false);
        assert_eq!(json["checks"][0]["name"], "broker");
        assert_eq!(json["checks"][0]["ok"], false);
        assert_eq!(json["checks"][0]["text"], "no answer");
        assert_eq!(json["columns"], json!([]));
        assert_eq!(report.text(), "result   check   what was found\nproblem  broker  no answer\n");
    }
}
