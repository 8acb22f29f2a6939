//! Words: foreign text made safe for a log or a terminal, and known names close to an unknown one.

pub mod near;
pub mod plain;
