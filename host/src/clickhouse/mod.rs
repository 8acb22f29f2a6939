//! ClickHouse as a neighbour: the connection, the table, and what its settings, answers and errors mean.

pub mod answer;
pub mod body;
mod bounded;
pub mod client;
pub mod codes;
pub mod engine;
pub mod error_text;
pub mod errors;
pub mod fitness;
pub mod foreign;
mod functions;
mod key;
pub mod merge_tree;
pub mod post;
mod select;
pub mod settings;
pub mod sight;
pub mod table;
pub mod target;
pub mod tokens;
pub mod view_head;

pub use body::{Body, max_rows};
pub use client::Server;
pub use engine::{EngineVerdict, judge_engine};
pub use error_text::{TableName, shown_text};
pub use errors::hold_of_select;
pub use fitness::{advice, why_no_tokens, why_not_exactly_once};
pub use settings::{needed_settings, planned_settings};
pub use table::{
    Description, Table, TableFacts, TableLook, describe_table, may_insert, read_table,
    server_version,
};
pub use tokens::{Carried, Sought};
