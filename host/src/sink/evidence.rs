//! Finds out whether the rows of an INSERT are in the table when its answer does not tell: from the parts
//! that appeared since it was sent, and from a checksum of their values.
//!
//! Used for plain MergeTree tables that deduplicate or have views. There the log of deduplication tokens is
//! written before the part is published (measured on 26.7), so a known token is no proof of rows; and a view
//! may throw before or after the table has its part.

use clickhouse::sql::Identifier;

use super::Sink;
use super::home::is_server;
use super::sums::{Sum, sum_rows};
use crate::base::blocking::run_blocking;
use crate::base::retry::Backoff;
use crate::clickhouse::answer;
use crate::clickhouse::engine::Keeping;
use crate::clickhouse::sight::seeing_settings;
use crate::clickhouse::table::{self, Table, TableFacts};
use crate::clickhouse::tokens::Sought;
use crate::flow::hold::Hold;
use crate::observe::status::Waiter;

/// Most parts that are read.
const MAX_PARTS: usize = 1_000;

/// How often the server is asked before the answer counts as unknown; outages are waited out elsewhere.
const MAX_TRIES: u32 = 20;

/// What is known of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// They are in the table.
    Rows,
    /// None of them is.
    NoRows,
    /// Not known.
    Unknown,
}

/// A part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TablePart {
    name: String,
    rows: u64,
    /// Made by an INSERT, not by a merge.
    is_inserted: bool,
    is_active: bool,
}

/// Whether parts are evidence for INSERTs of the table. Replicated tables number their parts by partition,
/// and publish a part and its token in one step, so there the token is proof.
fn tells(facts: &TableFacts) -> bool {
    let is_plain = facts.engine.ends_with("MergeTree") && !facts.is_replicated();
    is_plain && (facts.is_deduplicating || facts.has_views)
}

/// Whether stored rows always leave a part, whatever is merged. Other engines leave none for rows that cancel
/// out or sum to nothing.
fn leaves_rows(engine: &str) -> bool {
    matches!(engine, "MergeTree" | "ReplacingMergeTree" | "AggregatingMergeTree")
}

impl Sink {
    /// The table's highest block number before an INSERT; `None` if its parts are no evidence.
    pub(super) async fn parts_before(&self, table: &Table, waiter: &Waiter) -> Option<u64> {
        if !tells(&table.facts) {
            return None;
        }
        // A user without the right to read system.parts may still insert.
        self.asked(waiter, || table::last_block(&self.server, table)).await
    }

    /// Whether the rows of one INSERT are in the table. `before` is the highest block number before it,
    /// `server` the one to ask where several may answer.
    pub(super) async fn look_for(
        &self,
        table: &Table,
        sought: &Sought,
        before: Option<u64>,
        server: Option<u32>,
        waiter: &Waiter,
    ) -> Evidence {
        if Keeping::of(&table.facts.engine) == Keeping::Nowhere {
            return Evidence::NoRows;
        }
        let Some(before) = before else { return Evidence::Unknown };
        let Some(parts) = self.asked(waiter, || self.parts_behind(table, before, server)).await
        else {
            return Evidence::Unknown;
        };
        let Some(candidates) = candidates(&parts, sought.rows.num_rows() as u64, &table.facts)
        else {
            let is_none = parts.is_empty() && leaves_rows(&table.facts.engine);
            return if is_none { Evidence::NoRows } else { Evidence::Unknown };
        };
        let (of, rows, column) = (table.clone(), sought.rows.clone(), sought.token_column.clone());
        let Some(sum) = run_blocking(move || sum_rows(&of, &rows, column.as_deref())).await else {
            return Evidence::Unknown;
        };
        match self.asked(waiter, || self.has_rows(table, &candidates, &sum, server)).await {
            Some(true) => Evidence::Rows,
            Some(false) | None => Evidence::Unknown,
        }
    }

    /// Asks until the server answers; `None` if it refuses to tell, or after [`MAX_TRIES`].
    async fn asked<T, F>(&self, waiter: &Waiter, ask: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Hold>>,
    {
        let mut backoff = Backoff::default();
        while backoff.attempts() < MAX_TRIES {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(Hold::Paused(_)) => return None,
                Err(transient) => waiter.hold(transient),
            }
            backoff.wait().await;
        }
        None
    }

    async fn parts_behind(
        &self,
        table: &Table,
        before: u64,
        server: Option<u32>,
    ) -> Result<Vec<TablePart>, Hold> {
        // One extra row, so that a server without such parts names itself too.
        let query = self
            .server
            .query(
                "SELECT toString(serverUUID()), name, rows, level = 0 AND min_block_number > ?, \
                 active FROM system.parts \
                 WHERE database = ? AND table = ? AND max_block_number > ? LIMIT ? \
                 UNION ALL SELECT toString(serverUUID()), '', toUInt64(0), toUInt8(0), toUInt8(0)",
            )
            .bind(before)
            .bind(&table.schema.database)
            .bind(&table.schema.table)
            .bind(before)
            .bind(MAX_PARTS);
        let found: Vec<(String, String, u64, bool, bool)> =
            table::answered(&self.server, query, answer::all).await?;
        let mut parts = Vec::with_capacity(found.len());
        for (by, name, rows, is_inserted, is_active) in found {
            is_of(server, &by)?;
            parts.push(TablePart { name, rows, is_inserted, is_active });
        }
        parts.retain(|part| !part.name.is_empty());
        Ok(parts)
    }

    /// Whether the candidate parts have this checksum.
    async fn has_rows(
        &self,
        table: &Table,
        candidates: &Candidates,
        sum: &Sum,
        server: Option<u32>,
    ) -> Result<bool, Hold> {
        let (grouped, parts) = match candidates {
            Candidates::Together(parts) => ("tuple()", parts),
            Candidates::Alone(parts) => ("_part", parts),
        };
        // No alias appears next to table columns: it would shadow a column of the same name.
        let sql = format!(
            "SELECT count(), toString(serverUUID()) FROM (SELECT 1 FROM ?.? WHERE _part IN ? \
             GROUP BY {grouped} HAVING sum({}) = toInt128(?))",
            sum.expression
        );
        let settings = seeing_settings(&self.server).await?;
        let query = self.server.query_with(&sql, &settings);
        let mut query = query
            .bind(Identifier(&table.schema.database))
            .bind(Identifier(&table.schema.table))
            .bind(parts);
        for column in &sum.columns {
            query = query.bind(Identifier(column));
        }
        let query = query.bind(sum.sum.to_string());
        let (found, by): (u64, String) = table::answered(&self.server, query, answer::one).await?;
        is_of(server, &by)?;
        Ok(found > 0)
    }
}

/// Treats an answer of another server as none.
fn is_of(server: Option<u32>, by: &str) -> Result<(), Hold> {
    match server {
        Some(server) if !is_server(server, by) => {
            Err(Hold::Transient("another server answers than the one that has the rows".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Names of the parts that may hold the rows of an INSERT.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Candidates {
    /// All of them together.
    Together(Vec<String>),
    /// One of them.
    Alone(Vec<String>),
}

/// The parts that may hold an INSERT of `rows` rows: all new ones if they have that many together, else each
/// one that has that many alone. `None` if there are none.
fn candidates(parts: &[TablePart], rows: u64, facts: &TableFacts) -> Option<Candidates> {
    let inserted: Vec<&TablePart> = parts.iter().filter(|part| part.is_inserted).collect();
    let names = |of: &[&TablePart]| of.iter().map(|part| part.name.clone()).collect();
    if !inserted.is_empty() && inserted.iter().map(|part| part.rows).sum::<u64>() == rows {
        return Some(Candidates::Together(names(&inserted)));
    }
    if !facts.partition_columns.is_empty() {
        return None;
    }
    let alone: Vec<&TablePart> =
        inserted.into_iter().filter(|part| part.rows == rows && part.is_active).collect();
    (!alone.is_empty()).then(|| Candidates::Alone(names(&alone)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(partition_columns: &[&str]) -> TableFacts {
        let partition_columns = partition_columns.iter().map(|name| (*name).to_owned()).collect();
        TableFacts { partition_columns, ..TableFacts::of_merge_tree() }
    }

    fn part(name: &str, rows: u64, is_inserted: bool) -> TablePart {
        TablePart { name: name.into(), rows, is_inserted, is_active: true }
    }

    #[test]
    fn the_parts_of_an_insert_are_told_by_their_rows() {
        let found =
            |parts: &[TablePart], rows, keys: &[&str]| candidates(parts, rows, &facts(keys));
        let (ours, other) = (part("all_7_7_0", 5, true), part("all_8_8_0", 9, true));
        let named = vec!["all_7_7_0".to_owned()];
        let together = Some(Candidates::Together(named.clone()));
        assert_eq!(found(std::slice::from_ref(&ours), 5, &[]), together);
        let alone = Some(Candidates::Alone(named));
        assert_eq!(found(&[ours.clone(), other.clone()], 5, &[]), alone);
        assert_eq!(found(&[ours.clone(), other.clone()], 6, &[]), None);
        // Rows of several table partitions make several parts.
        let both = vec!["all_7_7_0".to_owned(), "all_8_8_0".to_owned()];
        let both = Some(Candidates::Together(both));
        assert_eq!(found(&[ours.clone(), other.clone()], 14, &["day"]), both);
        assert_eq!(
            found(&[ours, other], 5, &["day"]),
            None,
            "the other partitions may lack theirs"
        );
        assert_eq!(found(&[part("all_1_8_1", 5, false)], 5, &[]), None, "a merge");
        assert_eq!(found(&[], 5, &[]), None);
    }
}
