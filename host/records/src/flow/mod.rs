//! What flows: records, payloads, rows, and their outcomes.

pub mod arenas;
pub mod hold;
pub mod parts;
pub mod payloads;
pub mod record;
pub mod rejection;
pub mod rows;
pub mod settlement;
