//! Offsets that may be committed, and the plans that are committed before rows are sent.

pub mod offsets;
pub mod plans;
