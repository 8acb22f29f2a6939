//! Plugins, and the lookups that they read.

#[cfg_attr(not(feature = "hooks"), path = "no_hooks.rs")]
pub mod hooks;
#[cfg_attr(not(feature = "hooks"), path = "no_lookups.rs")]
pub mod lookups;
