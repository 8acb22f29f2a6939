//! Where an engine keeps the rows of an acknowledged INSERT, which decides what an answer is worth and what
//! an error of a view means.

use std::collections::{BTreeSet, VecDeque};

use super::answer;
use super::client::Server;
use super::error_text::TableName;
use super::functions::{SqlTokenKind, tokens};
use super::table::{TableFacts, answered, hidden_views};
use super::view_head::{inner_engine_of, target_of};
use crate::flow::hold::Hold;
use crate::schema::quoted::identifier;

/// Most tables followed behind a table without rows of its own.
const MAX_TARGETS: usize = 100;

/// Where the rows are after an INSERT is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// In the table, on the server's disks or its shards'.
    Stored,
    /// Only in the server's memory.
    InMemory,
    /// Nowhere: the table passes them to its views and keeps none.
    Nowhere,
    /// In a buffer that stores them later; rows that its destination refuses are lost.
    Buffered,
    /// In another system, or in an unknown place.
    Elsewhere,
}

impl Keeping {
    /// For the engine of this name. A Distributed table stores rows if INSERTs carry
    /// `distributed_foreground_insert`, as the host's do.
    pub fn of(engine: &str) -> Self {
        match engine {
            "Null" => Self::Nowhere,
            "Memory" => Self::InMemory,
            "Buffer" => Self::Buffered,
            "Distributed" | "Log" | "TinyLog" | "StripeLog" | "EmbeddedRocksDB" | "Join"
            | "Set" => Self::Stored,
            _ if engine.ends_with("MergeTree") => Self::Stored,
            _ => Self::Elsewhere,
        }
    }
}

/// How safely a table keeps its rows, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineVerdict {
    /// Acknowledged rows are stored.
    Sound,
    /// Acknowledged rows may be lost, by the engine's nature.
    Risky(String),
    /// Rows would be lost: nothing may be sent.
    Unfit(String),
}

/// Where the rows of a table that keeps none itself are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Whether the rows are kept.
    pub verdict: EngineVerdict,
    /// The views on the way, each with its id: a recreated view has another.
    pub views: BTreeSet<String>,
}

/// Judges a table's engine, and those behind it if it keeps no rows itself.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn judge_engine(
    server: &Server,
    place: &TableName,
    facts: &TableFacts,
) -> Result<EngineVerdict, Hold> {
    if facts.is_queued {
        return Ok(EngineVerdict::Unfit(format!(
            "table `{place}` has the setting async_insert = 1, by which an INSERT is flushed together with those \
             of others, so that a refusal is nobody's: run ALTER TABLE {}.{} MODIFY SETTING async_insert = 0, and \
             leave the queue to CLICKHOUSE_ASYNC_INSERT",
            identifier(&place.database),
            identifier(&place.name)
        )));
    }
    Ok(behind(server, place, &facts.engine).await?.verdict)
}

/// A table that rows reach.
struct Reached {
    place: TableName,
    engine: String,
    /// How they reach it, as text.
    by: String,
    /// Whether the rows certainly reach it.
    is_certain: bool,
}

/// Follows the rows from a table of this engine to the tables that keep them.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn behind(server: &Server, place: &TableName, engine: &str) -> Result<Behind, Hold> {
    let (engine, by) = (engine.to_owned(), String::new());
    let mut open = VecDeque::from([Reached { place: place.clone(), engine, by, is_certain: true }]);
    let (mut seen, mut views, mut found) = (vec![place.clone()], BTreeSet::new(), None);
    // The first that keeps nothing, and whether the user may not see some views of such tables.
    let (mut keeps_nothing, mut is_hidden) = (None, false);
    while let Some(reached) = open.pop_front() {
        let next = if Keeping::of(&reached.engine) == Keeping::Nowhere {
            let hidden = hidden_views(server, &reached.place).await?;
            is_hidden |= !hidden.is_empty();
            views.extend(hidden.iter().map(ToString::to_string));
            let (more, next) = behind_views(server, &reached).await?;
            views.extend(more);
            keeps_nothing = keeps_nothing.or(Some(reached));
            next
        } else if let Some(next) = passed_on(server, &reached).await? {
            vec![next]
        } else {
            let told = |text: String| format!("{text}{}", reached.by);
            match own(&reached.place, &reached.engine) {
                EngineVerdict::Unfit(text) if reached.is_certain => {
                    return Ok(Behind { verdict: EngineVerdict::Unfit(told(text)), views });
                }
                EngineVerdict::Unfit(text) | EngineVerdict::Risky(text) => {
                    found = Some(EngineVerdict::Risky(told(text)));
                }
                EngineVerdict::Sound => found = found.or(Some(EngineVerdict::Sound)),
            }
            continue;
        };
        for reached in next {
            if !seen.contains(&reached.place) && seen.len() <= MAX_TARGETS {
                seen.push(reached.place.clone());
                open.push_back(reached);
            }
        }
    }
    let verdict = found.unwrap_or_else(|| match keeps_nothing {
        Some(reached) => no_view(&reached, is_hidden),
        None => EngineVerdict::Sound,
    });
    Ok(Behind { verdict, views })
}

/// The verdict if no table that keeps rows is found behind this one.
fn no_view(of: &Reached, is_hidden: bool) -> EngineVerdict {
    let Reached { place, by, is_certain, .. } = of;
    // Views that the user may not see are still listed as dependencies.
    let text = match is_hidden {
        true => format!(
            "table `{place}` is of the engine Null, and CLICKHOUSE_USER may not see the tables that its \
             views fill: grant SHOW on them{by}"
        ),
        false => format!(
            "table `{place}` is of the engine Null, which keeps no row, and no view of it keeps one: \
             create a materialized view, or look at CLICKHOUSE_TABLE{by}"
        ),
    };
    if *is_certain && !is_hidden { EngineVerdict::Unfit(text) } else { EngineVerdict::Risky(text) }
}

/// The views that read from a table, each with its id, and their target tables.
async fn behind_views(server: &Server, of: &Reached) -> Result<(Vec<String>, Vec<Reached>), Hold> {
    let (mut ids, mut next) = (Vec::new(), Vec::new());
    for View { place: view, id, target } in views(server, &of.place).await? {
        ids.push(format!("{view} {id}"));
        let (place, engine) = match target {
            ViewTarget::Inner(engine) => (view.clone(), engine),
            ViewTarget::Named(place) => {
                let Some((engine, _)) = engine_of(server, &place).await? else { continue };
                (place, engine)
            }
        };
        let by = format!("; it is filled by the view `{view}`");
        next.push(Reached { place, engine, by, is_certain: of.is_certain });
    }
    Ok((ids, next))
}

/// The table that gets this one's rows; `None` if they are stored here, or if their target is unknown.
async fn passed_on(server: &Server, from: &Reached) -> Result<Option<Reached>, Hold> {
    let Reached { place, engine, is_certain, .. } = from;
    let Some((_, engine_full)) = (match passes_on(engine) || engine == "Distributed" {
        true => engine_of(server, place).await?,
        false => None,
    }) else {
        return Ok(None);
    };
    let (to, is_certain) = match &**engine {
        "MaterializedView" => match view_target(server, place).await? {
            Some(ViewTarget::Named(to)) => (to, *is_certain),
            Some(ViewTarget::Inner(engine)) if !passes_on(&engine) => {
                let by = format!("; `{place}` stores in it");
                let place = TableName { name: format!("{} (inner)", place.name), ..place.clone() };
                return Ok(Some(Reached { place, engine, by, is_certain: *is_certain }));
            }
            _ => return Ok(None),
        },
        engine => match destination(engine, &engine_full, &place.database) {
            // Its shards may be other servers.
            Some(to) => (to, *is_certain && engine != "Distributed"),
            None => return Ok(None),
        },
    };
    let Some((engine, _)) = engine_of(server, &to).await? else { return Ok(None) };
    let by = format!("; `{place}` passes rows on to it");
    Ok(Some(Reached { place: to, engine, by, is_certain }))
}

/// Whether a table of this engine keeps its rows elsewhere on the same server.
pub fn passes_on(engine: &str) -> bool {
    matches!(engine, "Null" | "MaterializedView" | "Alias")
}

/// The target of an Alias, or the shard table of a Distributed table.
fn destination(engine: &str, engine_full: &str, database: &str) -> Option<TableName> {
    let tokens = tokens(engine_full);
    let mut names =
        tokens.iter().filter(|token| token.depth == 1 && token.kind != SqlTokenKind::Sign);
    if engine == "Distributed" {
        names.next()?;
    }
    let first = names.next()?.text.to_string();
    let place = match names.next() {
        Some(name) => TableName { database: first, name: name.text.to_string() },
        None if engine == "Alias" => TableName { database: database.to_owned(), name: first },
        None => return None,
    };
    Some(place)
}

fn own(of: &TableName, engine: &str) -> EngineVerdict {
    match Keeping::of(engine) {
        Keeping::Stored | Keeping::Nowhere => EngineVerdict::Sound,
        Keeping::InMemory => EngineVerdict::Risky(format!(
            "table `{of}` is of the engine {engine}: its rows are gone when the server restarts"
        )),
        Keeping::Elsewhere => EngineVerdict::Risky(format!(
            "table `{of}` is of the engine {engine}: whether it keeps the rows that it acknowledges is \
             not known"
        )),
        Keeping::Buffered => EngineVerdict::Unfit(format!(
            "table `{of}` is of the engine Buffer, which acknowledges rows before they are stored, and \
             loses those that its destination refuses: set CLICKHOUSE_TABLE to the destination"
        )),
    }
}

/// Where a materialized view stores rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ViewTarget {
    /// In its own inner table, of this engine.
    Inner(String),
    /// In this named table.
    Named(TableName),
}

/// A view, as far as the user sees it.
struct View {
    place: TableName,
    id: String,
    target: ViewTarget,
}

/// The visible views that read from a table, and where they store rows.
async fn views(server: &Server, of: &TableName) -> Result<Vec<View>, Hold> {
    let query = server
        .query(
            "SELECT v.database, v.name, toString(v.uuid), v.create_table_query FROM system.tables v \
             WHERE v.engine = 'MaterializedView' AND has((SELECT \
             arrayZip(dependencies_database, dependencies_table) FROM system.tables \
             WHERE database = ? AND name = ?), (v.database, v.name))",
        )
        .bind(&of.database)
        .bind(&of.name);
    let views: Vec<(String, String, String, String)> = answered(server, query, answer::all).await?;
    let view = |(database, name, id, statement): (String, String, String, String)| View {
        place: TableName { database, name },
        id,
        target: stored_in(&statement),
    };
    Ok(views.into_iter().map(view).collect())
}

/// Where a view stores rows, from its CREATE statement.
fn stored_in(statement: &str) -> ViewTarget {
    let inner = || ViewTarget::Inner(inner_engine_of(statement).unwrap_or_default());
    target_of(statement).map_or_else(inner, ViewTarget::Named)
}

async fn view_target(server: &Server, of: &TableName) -> Result<Option<ViewTarget>, Hold> {
    let query = server
        .query("SELECT create_table_query FROM system.tables WHERE database = ? AND name = ?")
        .bind(&of.database)
        .bind(&of.name);
    let statement: Option<String> = answered(server, query, answer::optional).await?;
    Ok(statement.as_deref().map(stored_in))
}

/// A table's engine, and its printed form; `None` if the user sees no such table.
async fn engine_of(server: &Server, of: &TableName) -> Result<Option<(String, String)>, Hold> {
    let query = server
        .query("SELECT engine, engine_full FROM system.tables WHERE database = ? AND name = ?")
        .bind(&of.database)
        .bind(&of.name);
    answered(server, query, answer::optional).await
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

    #[test]
    fn what_stands_for_another_table_names_it() {
        let of = |engine: &str, full: &str| {
            destination(engine, full, "here").map(|place| place.to_string())
        };
        assert_eq!(of("Alias", "Alias('d', 'a b')").as_deref(), Some("d.a b"));
        assert_eq!(of("Alias", "Alias('t')").as_deref(), Some("here.t"));
        let distributed = "Distributed('c', 'd', 't', cityHash64(id))";
        assert_eq!(of("Distributed", distributed).as_deref(), Some("d.t"));
        assert_eq!(of("Distributed", "Distributed('c', 'd')"), None);
    }

    #[test]
    fn a_view_stores_in_its_target_or_in_a_table_of_its_own() {
        let inner =
            "CREATE MATERIALIZED VIEW d.v (`id` UInt64) ENGINE = Memory AS SELECT id FROM d.t";
        assert_eq!(stored_in(inner), ViewTarget::Inner("Memory".into()));
        let named = "CREATE MATERIALIZED VIEW d.v TO d.n (`id` UInt64) AS SELECT id FROM d.t";
        let place = TableName { database: "d".into(), name: "n".into() };
        assert_eq!(stored_in(named), ViewTarget::Named(place));
    }
}
