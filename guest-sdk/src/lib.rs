//! The SDK of sluicegate's plugins.
//!
//! [`RowsPlugin`] is what an author implements and [`export!`] what makes it a component;
//! [`Object`] and [`Raw`] are the ready record types, [`Batch`] and [`Outcome`] are for those who
//! answer by the batch, [`Lookup`] reads the host's tables, [`testing`] runs it all without a host.
//!
#![doc = include_str!("../README.md")]

mod batch;
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

/// Makes a [`RowsPlugin`] the component that the host loads. Stands once in a plugin's crate.
///
/// Natively it only checks that the type is a plugin, so that the same crate is tested by
/// `cargo test`.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            #[cfg(not(target_family = "wasm"))]
            const _: $crate::Instance<$plugin> = $crate::Instance::new();

            #[cfg(target_family = "wasm")]
            struct Component;

            #[cfg(target_family = "wasm")]
            ::std::thread_local! {
                static INSTANCE: $crate::Instance<$plugin> = const { $crate::Instance::new() };
            }

            #[cfg(target_family = "wasm")]
            impl $crate::bindings::Lifecycle for Component {
                fn init(
                    config: ::std::string::String,
                ) -> ::std::result::Result<$crate::wire::Wants, ::std::string::String> {
                    INSTANCE.with(|instance| instance.init(&config))
                }
            }

            #[cfg(target_family = "wasm")]
            impl $crate::bindings::Rows for Component {
                fn transform(
                    batch: $crate::wire::Batch,
                ) -> ::std::result::Result<$crate::wire::Outcome, ::std::string::String> {
                    INSTANCE.with(|instance| instance.transform(&batch))
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}
