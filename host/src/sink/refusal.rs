//! What the server refuses, and what becomes of it.

use std::fmt;

use crate::clickhouse::error_text::{Said, shown_text};
use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Reason, Rejection, Stage};

/// A refusal that the caller must act on.
#[derive(Debug)]
pub enum Refusal {
    /// A row does not fit.
    Data(Said),
    /// The rows go into more partitions of the table than one INSERT may.
    TooManyPartitions(String),
    /// No INSERT takes the rows together: JSON values of some would change those of others, or they lack
    /// different columns.
    Apart,
    /// Something on the way takes no body of that size.
    TooLarge(String),
    /// The server has no memory for as many rows.
    Memory(String),
    /// The table is another than the rows were made for.
    Schema(String),
    /// The server may not know the token any more that the rows were to be sent under.
    Aged(String),
    /// Another server answers than the one that the rows were planned for.
    Elsewhere(String),
    /// The table is another than the one that the rows were planned for.
    Replaced(String),
    /// Under the token of the rows others were sent, which may have gone into other partitions of the table.
    Altered(String),
    /// Under the token of the rows an earlier INSERT may have been written, and the table did not take them.
    Unproved(String),
}

/// Why rows do not go in one INSERT.
pub const APART: &str = "JSON values of some rows would change those of others in one INSERT, or some rows lack \
    columns that others have";

/// A refusal, and how it came.
#[derive(Debug)]
pub struct RefusedInsert {
    /// Why.
    pub refusal: Refusal,
    /// Whether an earlier try of the same may have landed. The refused one itself left nothing.
    pub may_have_landed: bool,
    /// A materialized view that threw meanwhile, and may lack the rows if the table has them.
    pub view: Option<String>,
}

impl Refusal {
    /// Whether it is about the token, and says nothing of the rows.
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

/// The rejection of a record whose rows are refused alone, for this.
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
