//! From the bytes of records to checked rows: what the host does without a clock, a network or a plugin.
//!
//! It is a crate of its own so that a changed line here is tested without building what surrounds it.

pub mod check;
pub mod decode;
pub mod flow;
pub mod infer;
pub mod json_order;
pub mod schema;
pub mod user_schema;
pub mod words;
