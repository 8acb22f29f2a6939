//! What an operator sees: the log, and what the host waits for.

pub mod status;
