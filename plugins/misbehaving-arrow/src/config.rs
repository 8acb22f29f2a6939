use std::hash::{BuildHasher as _, RandomState};

use serde::Deserialize;
use sluicegate_plugin::arrow::Plan;

/// What the plugin plans, and which column it writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What `plan` does.
    pub plan: Planning,
    /// The column to write, of type String.
    pub column: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { plan: Planning::Ok, column: "do".to_owned() }
    }
}

/// What `plan` does.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planning {
    /// It plans what it does.
    Ok,
    /// It never ends.
    Loop,
    /// It panics.
    Panic,
    /// It answers with an error.
    Error,
    /// It reads a column that is none.
    UnknownRead,
    /// It writes a column that is none.
    UnknownWrite,
    /// It reads a column of the table as a field beside it.
    KnownField,
    /// It reads a field of a type that is none.
    UnknownType,
    /// It reads a field of 2 GiB in each row.
    WideField,
    /// It reads a field of half a million types.
    ManyTypes,
    /// It reads another field in every instance.
    Differs,
}

impl Config {
    /// The columns `id` and `do`, and the one to write; and what is told beside them.
    ///
    /// # Errors
    ///
    /// It is told to fail.
    pub fn planned(&self) -> Result<Plan, String> {
        let plan = Plan::new().read("id").read("do").read(&self.column).write(&self.column);
        Ok(match self.plan {
            Planning::Ok => plan,
            Planning::Loop => crate::acts::run_for_ever(),
            Planning::Panic => crate::acts::fail("told to panic in plan"),
            Planning::Error => return Err("config, key `plan`: told to refuse".to_owned()),
            Planning::UnknownRead => plan.read("no_such"),
            Planning::UnknownWrite => plan.write("no_such"),
            Planning::KnownField => plan.field("id", "String"),
            Planning::UnknownType => plan.field("beside", "NoSuch"),
            Planning::WideField => plan.field("beside", "FixedString(2147483647)"),
            Planning::ManyTypes => {
                plan.field("beside", format!("Tuple({})", vec!["Int8"; 500_000].join(", ")))
            }
            Planning::Differs => {
                plan.field(format!("field_{}", RandomState::new().hash_one(0)), "String")
            }
        })
    }
}
