//! Does what a plugin must not, when a record's field `do` tells it to: the fixture that shows
//! that the sandbox holds.

mod acts;
mod config;
#[cfg(any(feature = "files", feature = "network"))]
mod forbidden;
mod lies;
mod tell;

use std::borrow::Cow;

use serde::Deserialize;
use sluicegate_plugin::{Batch, Outcome, Raw, RowsPlugin, Wants};

pub use config::{Config, Init};

/// The plugin.
#[derive(Debug)]
pub struct Misbehaving {
    slow_ms: u64,
}

/// What a record tells the plugin to do, if anything.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Order<'a> {
    #[serde(rename = "do", borrow)]
    what: Cow<'a, str>,
}

impl RowsPlugin for Misbehaving {
    type Config = Config;
    type Record<'a> = Raw<'a>;
    const WANTS: Wants = Wants::OFFSETS.and(Wants::TIMESTAMPS).and(Wants::KEYS).and(Wants::HEADERS);

    fn new(config: Config) -> Result<Self, String> {
        match config.init {
            Init::Ok => Ok(Self { slow_ms: config.slow_ms }),
            Init::Error => Err("config, key `init`: told to refuse".to_owned()),
            Init::Loop => acts::run_for_ever(),
            Init::Panic => acts::fail("told to panic in init"),
            Init::Allocate => acts::allocate(),
        }
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Outcome, String> {
        let mut lists = lies::keep_all(batch.rows());
        for (row, (payload, meta)) in batch.iter().enumerate() {
            let order: Order<'_> = serde_json::from_slice(payload).unwrap_or_default();
            acts::act(&order.what, self.slow_ms)?;
            lies::lie(&order.what, row, &mut lists);
            if order.what == "tell" {
                tell::tell(row, &meta, &mut lists);
            }
        }
        Ok(lists.into())
    }
}

sluicegate_plugin::export!(Misbehaving);

#[cfg(test)]
mod tests;
