//! What delivery needs: which offsets may be committed, and what is planned before it is sent.

pub mod offsets;
pub mod plans;
