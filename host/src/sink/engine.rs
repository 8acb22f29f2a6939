//! What an engine does with the rows of an INSERT that it acknowledges: that decides what an answer is
//! worth, and what an error of a view means.

use std::collections::VecDeque;

use clickhouse::query::Query;

use super::client::Server;
use super::table::{Facts, answered};
use super::text::Place;
use super::view_head::{inner_engine_of, target_of};
use crate::outcome::Hold;
use crate::schema::quoted::identifier;

/// Most tables behind a table without rows of its own that are looked at.
const MAX_TARGETS: usize = 100;

/// Where the rows are once an INSERT is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// In the table, on the server's disks or its shards'.
    Stored,
    /// In the server's memory alone.
    InMemory,
    /// Nowhere: the table's views get them, and it keeps none.
    Nowhere,
    /// In a buffer that stores them later; what its destination refuses is lost.
    Buffered,
    /// In another system, or in no place that is known.
    Elsewhere,
}

impl Keeping {
    /// Of the engine of this name. A Distributed table stores where INSERTs carry
    /// `distributed_foreground_insert`, as the host's do.
    pub fn of(engine: &str) -> Self {
        match engine {
            "Null" => Self::Nowhere,
            "Memory" => Self::InMemory,
            "Buffer" => Self::Buffered,
            "Distributed" | "Log" | "TinyLog" | "StripeLog" | "EmbeddedRocksDB" | "Join"
            | "Set" | "MaterializedView" => Self::Stored,
            _ if engine.ends_with("MergeTree") => Self::Stored,
            _ => Self::Elsewhere,
        }
    }
}

/// What an operator has to know of how a table keeps its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Rows that it acknowledges are stored.
    Sound,
    /// They may be lost, by the engine's own nature.
    Risky(String),
    /// They would be lost: nothing may be sent.
    Unfit(String),
}

/// Judges the engine of a table, and of what is behind it where it keeps nothing itself.
///
/// # Errors
/// What to wait for, as of [`super::read`].
pub async fn judge(server: &Server, place: &Place, facts: &Facts) -> Result<Verdict, Hold> {
    if facts.is_queued {
        return Ok(Verdict::Unfit(format!(
            "table `{place}` has the setting async_insert = 1, by which an INSERT is flushed together with those \
             of others, so that a refusal is nobody's: run ALTER TABLE {}.{} MODIFY SETTING async_insert = 0, and \
             leave the queue to CLICKHOUSE_ASYNC_INSERT",
            identifier(&place.database),
            identifier(&place.name)
        )));
    }
    if Keeping::of(&facts.engine) != Keeping::Nowhere {
        return Ok(own(place, &facts.engine));
    }
    let (mut seen, mut open) = (vec![place.clone()], VecDeque::from([place.clone()]));
    let mut found = None;
    while let Some(from) = open.pop_front() {
        for (view, target) in views(server, &from).await? {
            let (place, engine) = match target {
                Target::Inner(engine) => (view.clone(), engine),
                Target::Named(place) => {
                    let Some(engine) = engine_of(server, &place).await? else { continue };
                    (place, engine)
                }
            };
            if seen.contains(&place) || seen.len() > MAX_TARGETS {
                continue;
            }
            seen.push(place.clone());
            if Keeping::of(&engine) == Keeping::Nowhere {
                open.push_back(place);
                continue;
            }
            let filled = |text: String| format!("{text}; it is filled by the view `{view}`");
            match own(&place, &engine) {
                Verdict::Unfit(text) => return Ok(Verdict::Unfit(filled(text))),
                Verdict::Risky(text) => found = Some(Verdict::Risky(filled(text))),
                Verdict::Sound => found = found.or(Some(Verdict::Sound)),
            }
        }
    }
    // Views that the user may not see are listed as dependencies all the same.
    Ok(found.unwrap_or_else(|| match facts.has_views {
        true => Verdict::Risky(format!(
            "table `{place}` is of the engine Null, and CLICKHOUSE_USER may not see the tables that its \
             views fill: grant SHOW on them"
        )),
        false => Verdict::Unfit(format!(
            "table `{place}` is of the engine Null, which keeps no row, and no view of it keeps one: \
             create a materialized view, or look at CLICKHOUSE_TABLE"
        )),
    }))
}

fn own(of: &Place, engine: &str) -> Verdict {
    match Keeping::of(engine) {
        Keeping::Stored | Keeping::Nowhere => Verdict::Sound,
        Keeping::InMemory => Verdict::Risky(format!(
            "table `{of}` is of the engine {engine}: its rows are gone when the server restarts"
        )),
        Keeping::Elsewhere => Verdict::Risky(format!(
            "table `{of}` is of the engine {engine}: whether it keeps the rows that it acknowledges is \
             not known"
        )),
        Keeping::Buffered => Verdict::Unfit(format!(
            "table `{of}` is of the engine Buffer, which acknowledges rows before they are stored, and \
             loses those that its destination refuses: set CLICKHOUSE_TABLE to the destination"
        )),
    }
}

/// Where a materialized view stores.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// In a table of its own, of this engine.
    Inner(String),
    /// In the table that it names.
    Named(Place),
}

/// The views that read from a table, as far as the user may see them, with where they store.
async fn views(server: &Server, of: &Place) -> Result<Vec<(Place, Target)>, Hold> {
    let query = server
        .query(
            "SELECT v.database, v.name, v.create_table_query FROM system.tables v \
             WHERE v.engine = 'MaterializedView' AND has((SELECT \
             arrayZip(dependencies_database, dependencies_table) FROM system.tables \
             WHERE database = ? AND name = ?), (v.database, v.name))",
        )
        .bind(&of.database)
        .bind(&of.name);
    let views: Vec<(String, String, String)> = answered(server, query, Query::fetch_all).await?;
    let view = |(database, name, statement): (String, String, String)| {
        let inner = || Target::Inner(inner_engine_of(&statement).unwrap_or_default());
        let target = target_of(&statement).map_or_else(inner, Target::Named);
        (Place { database, name }, target)
    };
    Ok(views.into_iter().map(view).collect())
}

/// The engine of a table; `None` where there is none, or the user may not see it.
async fn engine_of(server: &Server, of: &Place) -> Result<Option<String>, Hold> {
    let query = server
        .query("SELECT engine FROM system.tables WHERE database = ? AND name = ?")
        .bind(&of.database)
        .bind(&of.name);
    answered(server, query, Query::fetch_optional).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_judged_by_what_becomes_of_acknowledged_rows() {
        for engine in ["MergeTree", "ReplicatedReplacingMergeTree", "SharedMergeTree", "Log"] {
            assert_eq!(Keeping::of(engine), Keeping::Stored, "{engine}");
        }
        assert_eq!(Keeping::of("Null"), Keeping::Nowhere);
        assert_eq!(Keeping::of("Buffer"), Keeping::Buffered);
        assert_eq!(Keeping::of("Memory"), Keeping::InMemory);
        for engine in ["Kafka", "URL", "S3", "MySQL", "an engine of tomorrow"] {
            assert_eq!(Keeping::of(engine), Keeping::Elsewhere, "{engine}");
        }
    }
}
