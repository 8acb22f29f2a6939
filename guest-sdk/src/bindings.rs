//! What wit-bindgen makes of `wit/plugin.wit`. Only `export!` and the modules beside this one
//! name it.
//!
//! A world of the contract is made of two here, which the linker joins again: what every plugin has,
//! and its hook. Two worlds as a whole would define the macros of `lifecycle` twice.

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
    inline: "
        package sluicegate:sdk;
        world plugin {
            import sluicegate:plugin/host@0.1.0;
            export sluicegate:plugin/lifecycle@0.1.0;
        }
    ",
    export_macro_name: "export_lifecycle",
    pub_export_macro: true,
    generate_all,
    generate_unused_types: true,
});

pub use exports::sluicegate::plugin::lifecycle::Guest as Lifecycle;
pub use sluicegate::plugin::{host, types};

/// The hook on payloads.
pub mod rows {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package sluicegate:sdk;
            world rows {
                export sluicegate:plugin/rows@0.1.0;
            }
        ",
        export_macro_name: "export_rows",
        pub_export_macro: true,
        with: {
            "sluicegate:plugin/types@0.1.0": crate::bindings::types,
            "sluicegate:plugin/rows@0.1.0": generate,
        },
    });

    pub use exports::sluicegate::plugin::rows::Guest as Rows;
}

/// The hook on decoded rows.
#[cfg(feature = "arrow")]
pub mod arrow {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package sluicegate:sdk;
            world arrow {
                export sluicegate:plugin/arrow@0.1.0;
            }
        ",
        export_macro_name: "export_arrow",
        pub_export_macro: true,
        with: {
            "sluicegate:plugin/types@0.1.0": crate::bindings::types,
            "sluicegate:plugin/arrow@0.1.0": generate,
        },
    });

    pub use exports::sluicegate::plugin::arrow::Guest as Arrow;
    pub use exports::sluicegate::plugin::arrow::{Column, Outcome, Planned, Refused};
}
