//! Stands in for `hooks` in a build without it: there are no plugins, as the type says.

use std::sync::Arc;

use crate::config::Plugins;
use crate::observe::status::Status;
use crate::payloads::Hooked;
use crate::record::{Batch, Origin};

/// Nothing can make one.
pub enum Hooks {}

impl Hooks {
    /// No plugin: a configuration with any is refused before.
    #[allow(clippy::unused_async)]
    pub async fn load(_: &Plugins, _: Arc<Status>) -> anyhow::Result<Option<Self>> {
        Ok(None)
    }

    /// Never called.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// Never called.
    #[allow(clippy::unused_async)]
    pub async fn run(&self, _: &Arc<Batch>, _: Vec<Origin>) -> Hooked {
        match *self {}
    }
}
