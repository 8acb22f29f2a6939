//! What an operator sees: the log, and what the host waits for.

pub mod log;
pub mod rejections;
pub mod status;
pub mod throttle;
