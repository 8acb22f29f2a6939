//! Problems of the configuration, with texts for the operator.

use std::fmt;

use super::redact::redact_address;
use super::variables::{self, VARIABLES};
use crate::words::plain::Plain;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable to look at.
    pub variable: String,
    /// What is allowed.
    pub expected: String,
    /// What was found; never a secret.
    pub found: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Plain(&self.variable))?;
        writeln!(f, "  expected: {}", Plain(&self.expected))?;
        writeln!(f, "  found:    {}", Plain(&self.found))?;
        write!(f, "  hint:     {}", Plain(&self.hint))
    }
}

/// Every broken rule of one environment; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    /// Sorts the problems as docs/configuration.md lists the variables.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| {
            let found = variables::find_variable(&problem.variable)?;
            VARIABLES.iter().position(|variable| variable.name == found.name)
        });
        Self { problems }
    }

    /// The problems, in the order of docs/configuration.md.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    /// One block for each problem, an empty line between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.problems.len() == 1 { "problem" } else { "problems" };
        write!(f, "{} {noun} in the configuration", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n\n{problem}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that looks like a mistake but does not stop the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The variable to look at.
    pub variable: String,
    /// What is suspicious, and what to do; never a secret.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Plain(&self.variable), Plain(&self.text))
    }
}

/// The variables that hold addresses.
const ADDRESSES: [&str; 3] = ["KAFKA_BROKER", "CLICKHOUSE_HOST", "ADMIN_ADDR"];

/// A value as an error may show it: quoted and cut after 80 characters, or only its length if the
/// variable is a secret. An address, in any variable, is shown without credentials.
pub(super) fn shown(variable: &str, value: &str) -> String {
    if variables::find_variable(variable).is_some_and(|variable| variable.is_secret) {
        return format!("(secret, {} characters)", value.chars().count());
    }
    let is_address = ADDRESSES.contains(&variable) || value.contains("://");
    let value = if is_address { &redact_address(value) } else { value };
    let start: String = value.chars().take(80).collect();
    if start.len() == value.len() { format!("{start:?}") } else { format!("{start:?}...") }
}
