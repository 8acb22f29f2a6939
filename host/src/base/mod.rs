//! Basics that know nothing of records: memory, threads, and retries.

pub mod allocator;
pub mod blocking;
pub mod retry;
