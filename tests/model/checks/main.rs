//! What the model shows: that the protocol holds, and that it does not without any of its rules.
//!
//! Each check prints how many states it visited. `cargo xtask test --suite model -- --nocapture`
//! shows that, and for each broken property the shortest way to break it.

mod broken;
mod report;
mod sound;
