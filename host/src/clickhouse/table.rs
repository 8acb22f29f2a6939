//! Reads the table: its columns, its engine, and whether it recognises a repeated INSERT.

use std::collections::BTreeSet;
use std::sync::Arc;

use clickhouse::query::Query;
use clickhouse::sql::Identifier;
use futures_util::future::BoxFuture;

use super::answer;
use super::client::{Server, prove};
use super::error_text::TableName;
use super::errors::{InsertError, classify, hold_of_query};
use super::foreign::by_another;
use super::key::reads_part;
use super::merge_tree::{MergeTreeSettings, QUEUED, WINDOW, is_replicated};
use super::settings::{Settings, needed_settings};
use super::view_head::target_of;
use crate::flow::hold::Hold;
use crate::schema::table::{ColumnRow, TableSchema};
use crate::schema::types::MAX_PARTS;

/// A table as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The columns to fill.
    pub schema: Arc<TableSchema>,
    /// The settings that an INSERT into it needs.
    pub settings: Settings,
    /// Other facts about it.
    pub facts: TableFacts,
}

impl Table {
    /// Whether rows made for one of the two, and the way they are sent, fit the other.
    pub fn takes_rows_of(&self, other: &Self) -> bool {
        let facts = |table: &Self| {
            let TableFacts { engine, is_deduplicating, partition_columns, .. } = &table.facts;
            (engine.clone(), *is_deduplicating, partition_columns.clone())
        };
        self.schema == other.schema
            && self.settings == other.settings
            && facts(self) == facts(other)
    }

    /// Its database and name.
    pub fn place(&self) -> TableName {
        TableName { database: self.schema.database.clone(), name: self.schema.table.clone() }
    }
}

/// A table's facts besides the columns to fill.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// The engine's name.
    pub engine: String,
    /// Whether the server drops an INSERT that repeats a token.
    pub is_deduplicating: bool,
    /// Whether its own setting sends each INSERT through the async queue.
    pub is_queued: bool,
    /// Whether materialized views read from it, including those that the user may not see.
    pub has_views: bool,
    /// How many tokens a table that is not replicated remembers; `None` if none.
    pub window: Option<u64>,
    /// Whether that number is the server's, since the table has no such setting of its own.
    pub is_window_of_server: bool,
    /// The columns that the partition key reads, wholly or in part, in the table's order.
    pub partition_columns: Vec<String>,
    /// Every column, in the table's order.
    pub columns: Vec<ColumnRow>,
    /// Changes with anything about the table that may make the server refuse rows: its statement, its id and
    /// the server's version.
    pub definition: String,
}

impl TableFacts {
    /// A plain `MergeTree` that remembers 100 tokens.
    #[cfg(test)]
    pub fn of_merge_tree() -> Self {
        Self {
            engine: "MergeTree".into(),
            is_deduplicating: true,
            is_queued: false,
            has_views: false,
            window: Some(100),
            is_window_of_server: false,
            partition_columns: Vec::new(),
            columns: Vec::new(),
            definition: String::new(),
        }
    }

    /// Whether the table was read with this CREATE statement. Replicas may have other UUIDs.
    pub fn is_of(&self, statement: &str) -> bool {
        let behind = self.definition.strip_prefix(statement);
        behind.is_some_and(|uuid| uuid.get(8..9) == Some("-") && uuid.get(13..14) == Some("-"))
    }

    /// What sets the number of tokens it remembers.
    pub fn window_from(&self) -> &'static str {
        match self.is_window_of_server {
            true => "the server's configuration",
            false => "a setting of its own",
        }
    }

    /// Whether Keeper, or its cloud equivalent, keeps its parts and tokens, which then appear in one step.
    pub fn is_replicated(&self) -> bool {
        is_replicated(&self.engine)
    }
}

/// A table's facts, whether or not it can be filled.
#[derive(Debug, Clone)]
pub struct Description {
    /// Its facts.
    pub facts: TableFacts,
    /// The server's time zone.
    pub time_zone: String,
    /// Every column, in the table's order.
    pub columns: Vec<ColumnRow>,
}

/// Reads a table's columns and engine.
///
/// # Errors
/// What to wait for: a server that does not answer is transient; a missing table, a wrong password or a
/// column that cannot be filled is for an operator to mend.
pub async fn read_table(server: &Server, database: &str, table: &str) -> Result<Table, Hold> {
    if !server.is_proved() {
        prove(server).await?;
    }
    let Description { facts, time_zone, columns } = describe_table(server, database, table).await?;
    let schema = TableSchema::from_rows(database, table, &time_zone, columns)
        .map_err(|error| Hold::Paused(format!("table `{database}`.`{table}`: {error}")))?;
    let settings = needed_settings(server, &schema, &facts).await?;
    Ok(Table { schema: Arc::new(schema), settings, facts })
}

/// Reads a table's facts.
///
/// # Errors
/// What to wait for: see [`read_table`], except that the columns are not judged.
pub async fn describe_table(
    server: &Server,
    database: &str,
    table: &str,
) -> Result<Description, Hold> {
    let described = || describe_if_seen(server, database, table);
    server.with_or_without_cache(described).await?.ok_or_else(|| {
        Hold::Paused(format!(
            "table `{database}`.`{table}` is unknown to CLICKHOUSE_HOST {}: create it, grant INSERT on it to \
             CLICKHOUSE_USER, or look at CLICKHOUSE_DATABASE and CLICKHOUSE_TABLE",
            server.url()
        ))
    })
}

/// The same; `None` if the user sees no such table.
async fn describe_if_seen(
    server: &Server,
    database: &str,
    table: &str,
) -> Result<Option<Description>, Hold> {
    let query = server
        .query(
            "SELECT engine, engine_full, serverTimezone(), \
             concat(create_table_query, toString(uuid), version()), \
             notEmpty(dependencies_table), partition_key FROM system.tables \
             WHERE database = ? AND name = ?",
        )
        .bind(database)
        .bind(table);
    let found: Option<(String, String, String, String, bool, String)> =
        answered(server, query, answer::optional).await?;
    let Some((engine, engine_full, time_zone, definition, has_views, partition_key)) = found else {
        return Ok(None);
    };
    let of_table = MergeTreeSettings::new(server, &engine, engine_full).await?;
    let query = server
        .query(
            "SELECT name, type, default_kind, default_expression, is_in_partition_key = 1 \
             FROM system.columns \
             WHERE database = ? AND table = ? ORDER BY position LIMIT ?",
        )
        .bind(database)
        .bind(table)
        .bind(MOST_COLUMNS);
    let columns_of = |query| answer::at_most::<ColumnFound>(query, MOST_COLUMNS);
    let found = answered(server, query, columns_of).await?;
    let (mut columns, mut partition_columns) = (Vec::new(), Vec::new());
    for (name, ty, default_kind, default_expression, is_in_partition_key) in found {
        let is_read = is_in_partition_key || reads_part(&partition_key, &name);
        partition_columns.extend(is_read.then(|| name.clone()));
        columns.push(ColumnRow { name, ty, default_kind, default_expression });
    }
    let facts = TableFacts {
        is_deduplicating: of_table.is_deduplicating(&engine),
        has_views,
        is_queued: of_table.value(QUEUED) == Some(1),
        window: of_table.value(WINDOW).filter(|window| *window > 0),
        is_window_of_server: !of_table.has_own(WINDOW),
        columns: columns.clone(),
        engine,
        partition_columns,
        definition,
    };
    Ok(Some(Description { facts, time_zone, columns }))
}

/// A row of `system.columns`: name, type, kind and expression of the default, and whether the partition key reads it.
type ColumnFound = (String, String, String, String, bool);

/// Columns to read: one more than allowed, so that too many are refused.
const MOST_COLUMNS: usize = MAX_PARTS + 1;

/// The highest block number among the table's parts; 0 if it has none.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn last_block(server: &Server, table: &Table) -> Result<u64, Hold> {
    let query = server
        .query(
            "SELECT toUInt64(max(max_block_number)) FROM system.parts \
             WHERE database = ? AND table = ?",
        )
        .bind(&table.schema.database)
        .bind(&table.schema.table);
    answered(server, query, answer::one).await
}

/// The server's version. Succeeds only if the server answers with the headers that prove an INSERT, and
/// accepts the user.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn server_version(server: &Server) -> Result<String, Hold> {
    prove(server).await?;
    answered(server, server.query("SELECT version()"), answer::one).await
}

/// Which of these settings the server has.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn known_settings(server: &Server, names: &[&str]) -> Result<BTreeSet<String>, Hold> {
    let query = server.query("SELECT name FROM system.settings WHERE name IN ?").bind(names);
    let found: Vec<String> = answered(server, query, answer::all).await?;
    Ok(found.into_iter().collect())
}

/// Whether the server has a setting of this name.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn knows_setting(server: &Server, name: &str) -> Result<bool, Hold> {
    let query = server.query("SELECT count() FROM system.settings WHERE name = ?").bind(name);
    let found: u64 = answered(server, query, answer::one).await?;
    Ok(found > 0)
}

/// Whether the user may insert into these columns; `None` if the server does not tell, as one without CHECK
/// GRANT.
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

/// Waits for a query's answer.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn answered<T, F>(
    server: &Server,
    query: Query,
    fetch: impl FnOnce(Query) -> F,
) -> Result<T, Hold>
where
    F: Future<Output = clickhouse::error::Result<T>>,
{
    let sql = query.sql_display().to_string();
    match server.answer(fetch(query)).await {
        Ok(answer) => Ok(answer),
        Err(error) => {
            server.note_cache(&error);
            Err(match by_another(server, &sql, &error).await {
                Some(hold) => hold,
                None => hold_of(&error, server),
            })
        }
    }
}

/// The hold for an error of a query without rows: transient, or an operator's to mend.
fn hold_of(error: &clickhouse::error::Error, server: &Server) -> Hold {
    match classify(error, server.url()) {
        InsertError::Hold(hold) => hold,
        error => match hold_of_query(error, |said| said.whole().to_owned()) {
            Hold::Paused(text) => Hold::Paused(format!("reading the table: {text}")),
            transient @ Hold::Transient(_) => transient,
        },
    }
}

/// Whether a materialized view reads from the table itself.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn feeds(server: &Server, table: &TableName, view: &TableName) -> Result<bool, Hold> {
    let query = server
        .query(
            "SELECT count() FROM system.tables WHERE database = ? AND name = ? AND \
             has(arrayZip(dependencies_database, dependencies_table), (?, ?))",
        )
        .bind(&table.database)
        .bind(&table.name)
        .bind(&view.database)
        .bind(&view.name);
    let found: u64 = answered(server, query, answer::one).await?;
    Ok(found > 0)
}

/// Whether a table lists the view among those that read from it, which includes hidden ones.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn is_listed(server: &Server, view: &TableName) -> Result<bool, Hold> {
    let query = server
        .query(
            "SELECT count() FROM system.tables WHERE \
             has(arrayZip(dependencies_database, dependencies_table), (?, ?))",
        )
        .bind(&view.database)
        .bind(&view.name);
    let found: u64 = answered(server, query, answer::one).await?;
    Ok(found > 0)
}

/// The readers of a table that the user may not see: tables list such views too.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn hidden_views(server: &Server, of: &TableName) -> Result<Vec<TableName>, Hold> {
    let query = server
        .query(
            "SELECT view.1, view.2 FROM (SELECT \
             arrayJoin(arrayZip(dependencies_database, dependencies_table)) AS view FROM system.tables \
             WHERE database = ? AND name = ?) WHERE view NOT IN (SELECT database, name FROM system.tables)",
        )
        .bind(&of.database)
        .bind(&of.name);
    let found: Vec<(String, String)> = answered(server, query, answer::all).await?;
    Ok(found.into_iter().map(|(database, name)| TableName { database, name }).collect())
}

/// A table that a view fills.
#[derive(Debug)]
pub struct Fed {
    /// The view's name.
    pub view: String,
    /// The table's database and name.
    pub place: TableName,
    /// The table's facts.
    pub facts: TableFacts,
    /// The view's SELECT.
    pub select: String,
}

/// The tables that this table's views fill.
///
/// # Errors
/// What to wait for: see [`read_table`].
pub async fn targets(server: &Server, of: &TableName) -> Result<Vec<Fed>, Hold> {
    let query = server
        .query(
            "SELECT v.database, v.name, toString(v.uuid), v.create_table_query, v.as_select \
             FROM system.tables v \
             WHERE v.engine = 'MaterializedView' AND has((SELECT \
             arrayZip(dependencies_database, dependencies_table) FROM system.tables \
             WHERE database = ? AND name = ?), (v.database, v.name))",
        )
        .bind(&of.database)
        .bind(&of.name);
    let views: Vec<(String, String, String, String, String)> =
        answered(server, query, answer::all).await?;
    let mut targets = Vec::with_capacity(views.len());
    for (database, name, uuid, statement, select) in views {
        let inner = TableName { database: database.clone(), name: format!(".inner_id.{uuid}") };
        let place = target_of(&statement).unwrap_or(inner);
        let Some(Description { facts, .. }) =
            describe_if_seen(server, &place.database, &place.name).await?
        else {
            return Err(Hold::Paused(format!(
                "the view `{database}.{name}` fills `{place}`, which is dropped or kept from CLICKHOUSE_USER: \
                 grant SHOW TABLES on it"
            )));
        };
        targets.push(Fed { view: format!("{database}.{name}"), place, facts, select });
    }
    Ok(targets)
}

/// Checks a table against a newer look.
pub trait TableLook: Send + Sync {
    /// Whether the table is still as it was read. Waits until the server answers. Cancel safe.
    fn is_as_read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, bool>;
}
