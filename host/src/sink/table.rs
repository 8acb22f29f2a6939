//! Reading the table: its columns, its engine, and whether a repeated INSERT is recognised.

use std::sync::Arc;

use clickhouse::sql::Identifier;

use super::client::Server;
use super::errors::{InsertError, classify};
use super::settings::{Settings, needed_settings};
use super::text::Place;
use crate::outcome::Hold;
use crate::schema::table::{ColumnRow, TableSchema};

/// A table as it stood when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The columns to fill.
    pub schema: Arc<TableSchema>,
    /// Whether the server drops an INSERT that repeats a token.
    pub is_deduplicating: bool,
    /// The columns that the partition key reads, in the table's order.
    pub partition_columns: Vec<String>,
    /// The settings that an INSERT into it needs.
    pub settings: Settings,
}

/// What the server says of a table, whether or not it can be filled.
#[derive(Debug, Clone)]
pub struct Description {
    /// The engine's name.
    pub engine: String,
    /// Whether the server drops an INSERT that repeats a token.
    pub is_deduplicating: bool,
    /// The columns that the partition key reads, in the table's order.
    pub partition_columns: Vec<String>,
    /// The server's time zone.
    pub time_zone: String,
    /// Every column, in the table's order.
    pub columns: Vec<ColumnRow>,
}

/// Reads a table's columns and engine.
///
/// # Errors
/// What to wait for: a server that does not answer is transient; a table that is missing, a
/// password that is wrong or a column that cannot be filled is for an operator to mend.
pub async fn read(server: &Server, database: &str, table: &str) -> Result<Table, Hold> {
    let Description { is_deduplicating, partition_columns, time_zone, columns, .. } =
        describe(server, database, table).await?;
    let schema = TableSchema::from_rows(database, table, &time_zone, columns)
        .map_err(|error| Hold::Paused(format!("table `{database}`.`{table}`: {error}")))?;
    let settings = needed_settings(server, &schema).await?;
    Ok(Table { schema: Arc::new(schema), is_deduplicating, partition_columns, settings })
}

/// Reads what the server says of a table.
///
/// # Errors
/// What to wait for, as of [`read`], but for the columns: they are not judged.
pub async fn describe(server: &Server, database: &str, table: &str) -> Result<Description, Hold> {
    let query = server
        .query(
            "SELECT engine, engine_full, timezone() FROM system.tables \
             WHERE database = ? AND name = ?",
        )
        .bind(database)
        .bind(table);
    let found: Option<(String, String, String)> = answered(server, query.fetch_optional()).await?;
    let Some((engine, engine_full, time_zone)) = found else {
        return Err(Hold::Paused(format!(
            "table `{database}`.`{table}` is unknown to CLICKHOUSE_HOST {}: create it, or look at \
             CLICKHOUSE_DATABASE and CLICKHOUSE_TABLE",
            server.url()
        )));
    };
    let query = server
        .query(
            "SELECT name, type, default_kind, default_expression, is_in_partition_key = 1 \
             FROM system.columns \
             WHERE database = ? AND table = ? ORDER BY position",
        )
        .bind(database)
        .bind(table);
    let found: Vec<(String, String, String, String, bool)> =
        answered(server, query.fetch_all()).await?;
    let is_deduplicating = is_deduplicating(&engine, &engine_full);
    let (mut columns, mut partition_columns) = (Vec::new(), Vec::new());
    for (name, ty, default_kind, default_expression, is_in_partition_key) in found {
        partition_columns.extend(is_in_partition_key.then(|| name.clone()));
        columns.push(ColumnRow { name, ty, default_kind, default_expression });
    }
    Ok(Description { engine, is_deduplicating, partition_columns, time_zone, columns })
}

/// The server's version: that it answers, and takes the user.
///
/// # Errors
/// What to wait for, as of [`read`].
pub async fn version(server: &Server) -> Result<String, Hold> {
    answered(server, server.query("SELECT version()").fetch_one()).await
}

/// Whether the server has a setting of this name.
///
/// # Errors
/// What to wait for, as of [`read`].
pub async fn knows_setting(server: &Server, name: &str) -> Result<bool, Hold> {
    let query = server.query("SELECT count() FROM system.settings WHERE name = ?").bind(name);
    let found: u64 = answered(server, query.fetch_one()).await?;
    Ok(found > 0)
}

/// Whether the user may insert into these columns of a table; `None` where the server does not
/// tell, as one that knows no CHECK GRANT.
pub async fn may_insert(
    server: &Server,
    database: &str,
    table: &str,
    columns: &[&str],
) -> Option<bool> {
    let places = vec!["?"; columns.len()].join(", ");
    let sql = format!("CHECK GRANT INSERT({places}) ON ?.?");
    let names = columns.iter().chain([&database, &table]);
    let query = names.fold(server.query(&sql), |query, name| query.bind(Identifier(name)));
    let mut answer = query.fetch_bytes("TSV").ok()?;
    let answer = server.answer(answer.collect()).await.ok()?;
    match answer.trim_ascii() {
        b"1" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}

async fn answered<T>(
    server: &Server,
    query: impl Future<Output = clickhouse::error::Result<T>>,
) -> Result<T, Hold> {
    server.answer(query).await.map_err(|error| hold_of(&error, server))
}

/// What an error of a query means: no rows are at stake, so it is transient or an operator's.
fn hold_of(error: &clickhouse::error::Error, server: &Server) -> Hold {
    match classify(error, server.url(), None) {
        InsertError::Hold(hold) => hold,
        InsertError::Data(said) | InsertError::View { said, .. } => {
            Hold::Paused(format!("reading the table: {}", said.whole()))
        }
        InsertError::Memory(text) => Hold::Transient(text),
        InsertError::TooManyPartitions(text)
        | InsertError::Schema(text)
        | InsertError::Unknown(text) => Hold::Paused(format!("reading the table: {text}")),
    }
}

/// Whether a materialized view reads from the table itself.
///
/// # Errors
/// What to wait for, as of [`read`].
pub async fn feeds(server: &Server, table: &Place, view: &Place) -> Result<bool, Hold> {
    let query = server
        .query(
            "SELECT count() FROM system.tables WHERE database = ? AND name = ? AND \
             has(arrayZip(dependencies_database, dependencies_table), (?, ?))",
        )
        .bind(&table.database)
        .bind(&table.name)
        .bind(&view.database)
        .bind(&view.name);
    let found: u64 = answered(server, query.fetch_one()).await?;
    Ok(found > 0)
}

/// What views are made of, to see whether an operator touched one; nothing of one that is dropped.
///
/// # Errors
/// What to wait for, as of [`read`].
pub async fn definitions(server: &Server, views: &[Place]) -> Result<Vec<Option<String>>, Hold> {
    let mut definitions = Vec::with_capacity(views.len());
    for view in views {
        let query = server
            .query(
                "SELECT concat(create_table_query, toString(uuid)) FROM system.tables \
                 WHERE database = ? AND name = ?",
            )
            .bind(&view.database)
            .bind(&view.name);
        let definition = answered(server, query.fetch_optional()).await?;
        definitions.push(definition);
    }
    Ok(definitions)
}

/// A plain MergeTree keeps tokens only where `non_replicated_deduplication_window` is above 0; a
/// replicated one keeps them unless its window is set to 0.
fn is_deduplicating(engine: &str, engine_full: &str) -> bool {
    let window = |name: &str| {
        let rest = engine_full.split_once(&format!("{name} = "))?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    if engine.starts_with("Replicated") || engine.starts_with("Shared") {
        engine_full
            .split_once(" replicated_deduplication_window = ")
            .is_none_or(|(_, rest)| !rest.starts_with('0'))
    } else {
        window("non_replicated_deduplication_window").is_some_and(|window| window > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_window_above_zero_deduplicates() {
        let with = "MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100";
        assert!(is_deduplicating("MergeTree", with));
        assert!(!is_deduplicating("MergeTree", "MergeTree ORDER BY id"));
        assert!(is_deduplicating("ReplicatedMergeTree", "ReplicatedMergeTree('/p', 'r')"));
        let off = "ReplicatedMergeTree('/p', 'r') SETTINGS replicated_deduplication_window = 0";
        assert!(!is_deduplicating("ReplicatedMergeTree", off));
    }
}
