//! Refusals of the server, and what follows from each.

use std::fmt;

use crate::clickhouse::error_text::{Said, shown_text};
use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Reason, Rejection, Stage};

/// A refusal that the caller must act on.
#[derive(Debug)]
pub enum Refusal {
    /// A row's data does not fit.
    Data(Said),
    /// The rows have more table partitions than one INSERT may.
    TooManyPartitions(String),
    /// The rows cannot share an INSERT: their JSON values would change each other, or they lack different
    /// columns.
    Apart,
    /// The body is too large for something on the way.
    TooLarge(String),
    /// The server lacks memory for this many rows.
    Memory(String),
    /// The table has changed since the rows were made.
    Schema(String),
    /// The table may have forgotten the rows' token.
    Aged(String),
    /// Another server answers than the rows were planned for.
    Elsewhere(String),
    /// The table is not the one the rows were planned for.
    Replaced(String),
    /// Other rows were sent under this token, which may have gone into other table partitions.
    Altered(String),
    /// An earlier INSERT may have stored the token without its rows.
    Unproved(String),
}

/// Why rows cannot share an INSERT.
pub const APART: &str = "JSON values of some rows would change those of others in one INSERT, or some rows lack \
    columns that others have";

/// A refusal and what preceded it.
#[derive(Debug)]
pub struct RefusedInsert {
    /// Why.
    pub refusal: Refusal,
    /// Whether an earlier try may have landed. The refused try left nothing.
    pub may_have_landed: bool,
    /// A materialized view that threw meanwhile, and may lack the rows even if the table has them.
    pub view: Option<String>,
}

impl Refusal {
    /// Whether it concerns the token and not the rows.
    pub fn is_of_token(&self) -> bool {
        matches!(
            self,
            Self::Aged(_)
                | Self::Elsewhere(_)
                | Self::Replaced(_)
                | Self::Altered(_)
                | Self::Unproved(_)
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(said) => said.fmt(f),
            Self::Apart => f.write_str(APART),
            Self::TooManyPartitions(text)
            | Self::TooLarge(text)
            | Self::Memory(text)
            | Self::Schema(text)
            | Self::Aged(text)
            | Self::Elsewhere(text)
            | Self::Replaced(text)
            | Self::Altered(text)
            | Self::Unproved(text) => f.write_str(text),
        }
    }
}

/// The rejection of a record whose rows were refused alone.
pub fn rejection(origin: Origin, why: &str) -> Rejection {
    let expected = if why == APART {
        "a record whose rows go in one INSERT, as DELIVERY=exactly_once has to send them".to_owned()
    } else {
        format!("a record that ClickHouse does not refuse by {}", shown_text(why))
    };
    let fault = Fault {
        reason: Reason::InsertRefused,
        column: None,
        pointer: String::new(),
        expected,
        got_kind: "",
        got: why.to_owned(),
    };
    Rejection { origin, stage: Stage::Insert, fault }
}
