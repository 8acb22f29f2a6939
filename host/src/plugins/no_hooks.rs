//! Replaces `hooks` in a build without it: no plugin can exist, and the types show it.

use std::sync::Arc;

use crate::config::Plugins;
use crate::flow::hold::Hold;
use crate::flow::payloads::{Hooked, Payloads};
use crate::flow::record::Batch;
use crate::flow::rows::Rows;
use crate::limits::budget::Budget;
use crate::observe::status::Status;
use crate::plugins::lookups::Lookups;
use crate::schema::plan::TablePlan;

/// Compiles nothing: there are no plugins.
#[derive(Default)]
pub struct Worker(());

/// No plugin of either stage.
#[derive(Default)]
pub struct Hooks {
    /// None.
    pub rows: Option<RowsHooks>,
    /// None.
    pub arrow: Option<ArrowHooks>,
}

/// Uninhabited: this build has no plugins.
pub enum RowsHooks {}

/// Uninhabited: this build has no plugins.
pub enum ArrowHooks {}

/// Uninhabited: this build has no plugins.
pub enum Tally {}

/// Never made: this build has no plugins.
pub struct Fit {
    /// How records are decoded.
    pub decode: Arc<TablePlan>,
}

impl Hooks {
    /// Loads nothing: a configuration with plugins is refused before.
    #[allow(clippy::unused_async)]
    pub async fn load(
        _: &Plugins,
        _: Worker,
        _: Arc<Lookups>,
        _: Arc<Budget>,
        _: Arc<Status>,
    ) -> anyhow::Result<Self> {
        Ok(Self::default())
    }

    /// None.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}

impl RowsHooks {
    /// Never called.
    #[allow(clippy::unused_async)]
    pub async fn run(&self, _: &Arc<Batch>, _: Payloads) -> Hooked {
        match *self {}
    }
}

impl ArrowHooks {
    /// Never called.
    #[allow(clippy::unused_async)]
    pub async fn fit(&self, _: &Arc<TablePlan>) -> Result<Arc<Fit>, Hold> {
        match *self {}
    }

    /// Never called.
    #[allow(clippy::unused_async)]
    pub async fn run(&self, _: &Arc<Fit>, _: Rows) -> Result<(Rows, Tally), Hold> {
        match *self {}
    }

    /// Never called.
    pub fn note(&self, _: &Tally) {
        match *self {}
    }
}
