//! The host side of `wit/plugin.wit`, generated. Types that both worlds share are generated once.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

mod rows_world {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "rows-plugin",
    });
}

mod arrow_world {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "arrow-plugin",
        with: {
            "sluicegate:plugin/types": super::rows_world::sluicegate::plugin::types,
            "sluicegate:plugin/host": super::rows_world::sluicegate::plugin::host,
        },
    });
}

pub use arrow_world::exports::sluicegate::plugin::arrow;
pub use arrow_world::{ArrowPlugin, ArrowPluginPre};
pub use rows_world::sluicegate::plugin::host;
pub use rows_world::sluicegate::plugin::types::{
    Action, Batch, Header, Outcome, Rejection, Run, Texts, Wants,
};
pub use rows_world::{RowsPlugin, RowsPluginPre};
