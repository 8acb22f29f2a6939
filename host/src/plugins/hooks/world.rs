//! The two worlds of the contract: what differs between them for an instance.

use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::bindings::{ArrowPlugin, ArrowPluginPre, RowsPlugin, RowsPluginPre, Wants};
use super::instance::InstanceState;

/// A world that a plugin may be built for, with its exports once they are found in an instance.
pub trait World: Sized + Send {
    /// A linked component, from which instances are made.
    type Linked: Send + Sync;

    /// Finds the world's exports.
    fn link(component: InstancePre<InstanceState>) -> wasmtime::Result<Self::Linked>;

    /// Makes an instance.
    fn instantiate(
        linked: &Self::Linked,
        store: &mut Store<InstanceState>,
    ) -> wasmtime::Result<Self>;

    /// Calls `init`.
    fn init(
        &self,
        store: &mut Store<InstanceState>,
        config: &str,
    ) -> wasmtime::Result<Result<Wants, String>>;
}

impl World for RowsPlugin {
    type Linked = RowsPluginPre<InstanceState>;

    fn link(component: InstancePre<InstanceState>) -> wasmtime::Result<Self::Linked> {
        RowsPluginPre::new(component)
    }

    fn instantiate(
        linked: &Self::Linked,
        store: &mut Store<InstanceState>,
    ) -> wasmtime::Result<Self> {
        linked.instantiate(store)
    }

    fn init(
        &self,
        store: &mut Store<InstanceState>,
        config: &str,
    ) -> wasmtime::Result<Result<Wants, String>> {
        self.sluicegate_plugin_lifecycle().call_init(store, config)
    }
}

impl World for ArrowPlugin {
    type Linked = ArrowPluginPre<InstanceState>;

    fn link(component: InstancePre<InstanceState>) -> wasmtime::Result<Self::Linked> {
        ArrowPluginPre::new(component)
    }

    fn instantiate(
        linked: &Self::Linked,
        store: &mut Store<InstanceState>,
    ) -> wasmtime::Result<Self> {
        linked.instantiate(store)
    }

    fn init(
        &self,
        store: &mut Store<InstanceState>,
        config: &str,
    ) -> wasmtime::Result<Result<Wants, String>> {
        self.sluicegate_plugin_lifecycle().call_init(store, config)
    }
}
