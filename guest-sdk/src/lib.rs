//! The SDK of sluicegate's plugins.
//!
//! [`RowsPlugin`] is what an author implements and [`export!`] what makes it a component;
//! [`Object`] and [`Raw`] are the ready record types, [`Batch`] and [`Outcome`] are for those who
//! answer by the batch, [`Lookup`] reads the host's tables, [`testing`] runs it all without a host.
//! With the feature `arrow`, the module `arrow` has the same for decoded rows.
//!
#![doc = include_str!("../README.md")]

#[cfg(feature = "arrow")]
pub mod arrow;
mod batch;
mod export;
mod host;
mod instance;
mod lookup;
mod object;
mod outcome;
mod payload;
mod plugin;
mod unreadable;
mod verdict;
mod wants;

#[doc(hidden)]
pub mod bindings;
pub mod testing;
pub mod wire;

#[cfg(feature = "arrow")]
#[doc(hidden)]
pub use arrow::ArrowInstance;
pub use batch::{Batch, Header, Meta};
pub use host::{counter_add, log};
#[doc(hidden)]
pub use instance::Instance;
pub use lookup::{Found, Lookup, Values};
pub use object::Object;
pub use outcome::Outcome;
pub use payload::{FromPayload, IntoPayload, Raw};
pub use plugin::{NoConfig, RowsPlugin, each_record};
pub use serde_json::value::RawValue;
pub use unreadable::Unreadable;
pub use verdict::{Rejection, Verdict};
pub use wants::Wants;
