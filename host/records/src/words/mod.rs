//! Words: from outside, made fit for a log or a terminal; and names that are near one that is not known.

pub mod near;
pub mod plain;
