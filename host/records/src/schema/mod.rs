//! The table's structure: ClickHouse's type texts as a tree, the columns to fill, and the plan by which a record
//! becomes a row. Pure: nothing here talks to a server.

pub mod arrow;
pub mod diff;
pub mod json_schema;
pub mod literal;
pub mod names;
pub mod nested;
mod pattern;
pub mod plan;
pub mod quoted;
pub mod ranges;
pub mod rules;
pub mod shape;
pub mod source;
pub mod table;
pub mod types;
pub mod unit;
pub mod width;
