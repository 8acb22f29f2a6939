//! The settings of a MergeTree table: its own, or else the server's. An operator may set them in the server's
//! configuration (`<merge_tree>`), and the table's statement then lacks them.

use std::collections::BTreeMap;

use super::answer;
use super::client::Server;
use super::table::answered;
use crate::flow::hold::Hold;

/// How many tokens a table that is not replicated remembers.
pub const WINDOW: &str = "non_replicated_deduplication_window";
/// Whether INSERTs go through the async queue.
pub const QUEUED: &str = "async_insert";
/// How many tokens a replicated table remembers.
const REPLICATED_WINDOW: &str = "replicated_deduplication_window";

/// The effective settings of one table.
#[derive(Debug, Clone, Default)]
pub struct MergeTreeSettings {
    /// The printed engine, which ends with the table's own settings.
    engine_full: String,
    of_server: BTreeMap<String, String>,
}

impl MergeTreeSettings {
    /// Asks the server for its settings. If the user may not see them, it counts as having none.
    ///
    /// # Errors
    /// What to wait for: an answer that does not come.
    pub async fn new(server: &Server, engine: &str, engine_full: String) -> Result<Self, Hold> {
        let of_server = match engine.ends_with("MergeTree") {
            true => of_server(server, is_replicated(engine)).await?,
            false => BTreeMap::new(),
        };
        Ok(Self { engine_full, of_server })
    }

    /// The effective value of a numeric setting.
    pub fn value(&self, name: &str) -> Option<u64> {
        own(&self.engine_full, name).or_else(|| number(self.of_server.get(name)?))
    }

    /// Whether the table itself has a setting of this name.
    pub fn has_own(&self, name: &str) -> bool {
        own(&self.engine_full, name).is_some()
    }

    /// Whether the table drops an INSERT that repeats a token. A plain MergeTree remembers tokens only if its
    /// window is above 0; a replicated one does unless its window is 0.
    pub fn is_deduplicating(&self, engine: &str) -> bool {
        match is_replicated(engine) {
            true => self.value(REPLICATED_WINDOW) != Some(0),
            false => self.value(WINDOW).is_some_and(|window| window > 0),
        }
    }
}

/// Whether tables of the engine are replicated, by Keeper or its cloud equivalent.
pub fn is_replicated(engine: &str) -> bool {
    engine.starts_with("Replicated") || engine.starts_with("Shared")
}

async fn of_server(server: &Server, is_replicated: bool) -> Result<BTreeMap<String, String>, Hold> {
    let from = if is_replicated { "replicated_merge_tree_settings" } else { "merge_tree_settings" };
    let sql = format!("SELECT name, value FROM system.{from} WHERE name IN ?");
    let query = server.query(&sql).bind([WINDOW, QUEUED, REPLICATED_WINDOW]);
    let found: Result<Vec<(String, String)>, Hold> = answered(server, query, answer::all).await;
    match found {
        Ok(found) => Ok(found.into_iter().collect()),
        Err(Hold::Paused(text)) => {
            tracing::debug!("the server's settings of tables are not told: {text}");
            Ok(BTreeMap::new())
        }
        Err(hold) => Err(hold),
    }
}

/// How many tokens a table that is not replicated remembers: by its printed engine, or else by the server's
/// value, which is empty if it was not asked.
pub fn window(engine_full: &str, of_server: &str) -> u64 {
    own(engine_full, WINDOW).or_else(|| number(of_server)).unwrap_or(0)
}

/// A numeric setting of the table's own, from its printed engine.
fn own(engine_full: &str, name: &str) -> Option<u64> {
    let (_, settings) = engine_full.rsplit_once(" SETTINGS ")?;
    let value = settings.split(", ").find_map(|setting| {
        let (own, value) = setting.split_once(" = ")?;
        (own == name).then_some(value)
    })?;
    number(value.trim_matches('\''))
}

fn number(value: &str) -> Option<u64> {
    match value {
        "true" => Some(1),
        "false" => Some(0),
        value => value.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(engine_full: &str, of_server: &[(&str, &str)]) -> MergeTreeSettings {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let of_server = of_server.iter().map(own).collect();
        MergeTreeSettings { engine_full: engine_full.to_owned(), of_server }
    }

    #[test]
    fn only_a_window_above_zero_deduplicates() {
        let is_deduplicating = |engine: &str, full: &str, of_server: &[(&str, &str)]| {
            settings(full, of_server).is_deduplicating(engine)
        };
        let with = "MergeTree ORDER BY id SETTINGS index_granularity = 8192, \
                    non_replicated_deduplication_window = 100";
        let without = "MergeTree ORDER BY id SETTINGS index_granularity = 8192";
        let off = "MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 0";
        let of_server = [(WINDOW, "1000"), (REPLICATED_WINDOW, "0")];
        assert!(is_deduplicating("MergeTree", with, &[]));
        assert!(!is_deduplicating("MergeTree", without, &[]));
        assert!(is_deduplicating("MergeTree", without, &of_server));
        assert!(!is_deduplicating("MergeTree", off, &of_server), "the table's own counts");
        let replicated = "ReplicatedMergeTree('/p', 'r')";
        assert!(is_deduplicating("ReplicatedMergeTree", replicated, &[]));
        assert!(!is_deduplicating("ReplicatedMergeTree", replicated, &of_server));
        let off = "ReplicatedMergeTree('/p', 'r') SETTINGS replicated_deduplication_window = 0";
        assert!(!is_deduplicating("ReplicatedMergeTree", off, &[]));
        let on = "ReplicatedMergeTree('/p', 'r') SETTINGS replicated_deduplication_window = 7";
        assert!(is_deduplicating("ReplicatedMergeTree", on, &of_server));
    }

    #[test]
    fn a_value_is_the_table_s_own_or_else_the_server_s() {
        let own = settings("MergeTree SETTINGS a = 1, async_insert = 1", &[(QUEUED, "0")]);
        assert_eq!((own.value(QUEUED), own.has_own(QUEUED)), (Some(1), true));
        let of_server = settings("MergeTree ORDER BY id", &[(QUEUED, "1"), (WINDOW, "5")]);
        assert_eq!((of_server.value(QUEUED), of_server.has_own(QUEUED)), (Some(1), false));
        assert_eq!((of_server.value(WINDOW), of_server.value("other")), (Some(5), None));
        let word = settings("MergeTree SETTINGS async_insert = true", &[]);
        assert_eq!(word.value(QUEUED), Some(1));
    }
}
