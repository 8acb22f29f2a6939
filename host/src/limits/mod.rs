//! What the host admits: single records, bytes in flight, and shares of rejected records.

pub mod admission;
pub mod brake;
pub mod budget;
