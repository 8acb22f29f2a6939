//! What wit-bindgen makes of `wit/plugin.wit`. Only `export!` and the modules beside this one
//! name it.

#![allow(
    missing_docs,
    unsafe_code,
    rust_2018_idioms,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "rows-plugin",
    export_macro_name: "export_component",
    pub_export_macro: true,
});

pub use exports::sluicegate::plugin::lifecycle::Guest as Lifecycle;
pub use exports::sluicegate::plugin::rows::Guest as Rows;
pub use sluicegate::plugin::{host, types};
