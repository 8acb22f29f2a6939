//! The types of `wit/plugin.wit` as they cross the border. An author needs them only for an
//! [`Outcome`](crate::Outcome) whose lists are made by hand; the contract's own words say what
//! each list means.

pub use crate::bindings::types::{Action, Batch, Header, Outcome, Rejection, Run, Wants};

/// The types of the arrow world.
#[cfg(feature = "arrow")]
pub mod arrow {
    pub use crate::bindings::arrow::{Column, Outcome, Planned, Refused};
}
