//! Replaces `lookups` in a build without hooks: no plugin exists that could look anything up.

use std::sync::Arc;
use std::time::Duration;

use crate::clickhouse::Server;
use crate::config::Lookup;
use crate::flow::hold::Hold;
use crate::observe::lookups::LookupStates;
use crate::observe::status::Status;

/// No lookup.
#[derive(Default)]
pub struct Lookups;

impl Lookups {
    /// Loads nothing: a configuration with plugins is refused before.
    #[allow(clippy::unused_async)]
    pub async fn load(
        _: &[Lookup],
        _: Option<Server>,
        _: Arc<Status>,
        _: Arc<LookupStates>,
    ) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// Reads nothing: there are no lookups.
    #[allow(clippy::unused_async)]
    pub async fn once(
        _: &[Lookup],
        _: Option<&Server>,
        _: Duration,
    ) -> (Vec<Result<String, Hold>>, Option<Self>) {
        (Vec::new(), Some(Self))
    }
}
