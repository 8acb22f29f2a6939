//! The targets: what is fuzzed, and what has to hold of every input.

mod answer;
mod json;
mod plan;
mod schema;
mod types;

use std::hash::{DefaultHasher, Hash, Hasher as _};

use sluicegate::schema::plan::{Rules, TablePlan};
use sluicegate::schema::table::{ColumnRow, TableSchema};

pub use answer::written;

/// Something that reads bytes of others.
pub struct Target {
    /// Its name, and that of the folder of its seeds.
    pub name: &'static str,
    /// How many inputs the test suite tries: less than a minute for all on two cores.
    pub cases: u64,
    /// Reads an input and returns a hash of what came of it: an input with a new one is kept.
    pub run: fn(&[u8]) -> Result<u64, String>,
}

/// Every target.
pub const ALL: &[Target] = &[
    Target { name: "json", cases: 200_000, run: json::run },
    Target { name: "types", cases: 500_000, run: types::run },
    Target { name: "plan", cases: 500_000, run: plan::run },
    Target { name: "answer", cases: 500_000, run: answer::run },
    Target { name: "schema", cases: 500_000, run: schema::run },
];

/// The hash of an outcome.
pub fn outcome_of(outcome: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    outcome.hash(&mut hasher);
    hasher.finish()
}

/// The beginning of a message up to what it quotes, without digits: messages that differ in those are one outcome.
fn words(text: &str) -> String {
    let beginning = text.split(['`', '"', '\'', '/']).next().unwrap_or_default();
    beginning.chars().filter(|c| !c.is_ascii_digit()).take(40).collect()
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// How records fill a table of these columns, by name and type.
fn plan_of(columns: &[(&str, &str)], rules: &Rules) -> Result<TablePlan, String> {
    let rows = columns.iter().map(|(name, ty)| ColumnRow {
        name: (*name).into(),
        ty: (*ty).into(),
        default_kind: String::new(),
        default_expression: String::new(),
    });
    let schema =
        TableSchema::from_rows("d", "t", "UTC", rows).map_err(|error| error.to_string())?;
    TablePlan::new(&schema, rules).map_err(|errors| format!("{errors:?}"))
}
