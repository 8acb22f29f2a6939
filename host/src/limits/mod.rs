//! What is let in: single records, bytes in flight, and shares of refused records.

pub mod admission;
pub mod brake;
pub mod budget;
