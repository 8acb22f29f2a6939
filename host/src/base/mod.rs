//! What knows nothing of records: memory, threads, and how long to wait.

pub mod allocator;
pub mod blocking;
pub mod retry;
