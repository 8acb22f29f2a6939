//! The table as it is now, and the plan made from it. A plan is immutable; a new one replaces it between
//! batches, never inside one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::base::retry::Backoff;
use crate::clickhouse::{
    EngineVerdict, Server, Table, TableLook, advice, judge_engine, planned_settings, read_table,
    why_no_tokens, why_not_exactly_once,
};
use crate::flow::hold::Hold;
use crate::limits::budget::Budget;
use crate::observe::Observed;
use crate::observe::count::{self, RetryClass, RetryStep};
use crate::observe::status::Status;
use crate::schema::diff::changes;
use crate::schema::plan::{ColumnPlan, Rules, TablePlan};
use crate::schema::source::{ColumnSource, Metadata};
use crate::schema::table::TableSchema;
use crate::schema::width::{RowBytes, too_wide};
use crate::user_schema::UserSchema;

/// How often to check again what an operator must mend.
const PAUSE: Duration = Duration::from_secs(5);

/// After this long without an answer the host asks whether ClickHouse is still there.
const QUIET: Duration = Duration::from_secs(15);

/// How old the last look at a table may be when a batch begins. A type that narrows meanwhile may truncate
/// values: ClickHouse silently casts inserted values to the column's type.
const FRESH: Duration = Duration::from_secs(1);

/// Most table changes in one log line.
const MAX_CHANGES: usize = 20;

/// A table and the plan made from it.
#[derive(Debug)]
pub struct TableAndPlan {
    /// The table as read.
    pub table: Table,
    /// How records become its rows.
    pub plan: Arc<TablePlan>,
    /// The user's schema, if it refuses more than the table, so that records are validated against it.
    pub user_schema: Option<UserSchema>,
}

/// Keeps the view of one table current.
pub struct Tables {
    server: Server,
    database: String,
    table: String,
    rules: Rules,
    user_schema: Option<UserSchema>,
    is_exactly_once: bool,
    budget: Arc<Budget>,
    status: Arc<Status>,
    current: Mutex<Option<ReadTable>>,
    /// Warnings already logged.
    warned: Mutex<BTreeSet<String>>,
}

/// The table, and when it was last confirmed.
struct ReadTable {
    known: Arc<TableAndPlan>,
    at: Instant,
}

impl Tables {
    /// Nothing is known yet; the first use reads the table.
    pub fn new(
        server: Server,
        database: String,
        table: String,
        rules: Rules,
        user_schema: Option<UserSchema>,
        is_exactly_once: bool,
        observed: &Observed,
    ) -> Self {
        let (budget, status) = (Arc::clone(&observed.budget), Arc::clone(&observed.status));
        let (current, warned) = (Mutex::new(None), Mutex::default());
        Self {
            server,
            database,
            table,
            rules,
            user_schema,
            is_exactly_once,
            budget,
            status,
            current,
            warned,
        }
    }

    /// The table as of at most `FRESH` ago. Reads it again, for as long as that takes, if the last look is
    /// older.
    pub async fn current(&self) -> Arc<TableAndPlan> {
        let asked = Instant::now();
        let known = self.lock().as_ref().and_then(|read| {
            let is_fresh = asked.saturating_duration_since(read.at) < FRESH;
            is_fresh.then(|| Arc::clone(&read.known))
        });
        match known {
            Some(known) => known,
            None => self.read().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<ReadTable>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the table again, and returns whether its plan still equals that of `known`.
    pub async fn is_unchanged(&self, known: &TableAndPlan) -> bool {
        self.read().await.plan.fingerprint() == known.plan.fingerprint()
    }

    /// Reads the table again, and returns whether all of it still equals `known`.
    pub async fn is_same_table(&self, known: &TableAndPlan) -> bool {
        self.read().await.table == known.table
    }

    /// Reads the table again after ClickHouse refused it as different from `known`. If it is unchanged,
    /// returns a hold for an operator.
    pub async fn refresh_after(&self, known: &TableAndPlan, text: String) -> Option<Hold> {
        let text = format!("the table is as it was read, and still refuses its rows: {text}");
        self.is_same_table(known).await.then_some(Hold::Paused(text))
    }

    /// Waits at least 5 s, and then until the table changes, at most for `at_most`. If `is_paused`, an
    /// operator must act, and the wait never ends once the host stops.
    pub async fn wait_for_change(&self, known: &TableAndPlan, at_most: Duration, is_paused: bool) {
        let started = Instant::now();
        loop {
            match is_paused {
                true => self.status.pause(PAUSE).await,
                false => tokio::time::sleep(PAUSE).await,
            }
            if !self.is_same_table(known).await || started.elapsed() >= at_most {
                return;
            }
        }
    }

    /// Waits for what only a restart mends.
    pub async fn hold<T>(&self, hold: Hold) -> T {
        let waiter = self.status.waiter("plan");
        waiter.hold(hold);
        std::future::pending().await
    }

    /// Reads the table at once, and again after ClickHouse was silent for a while, so that trouble is known
    /// before the next record comes. Never ends.
    pub async fn watch(&self) {
        self.current().await;
        loop {
            tokio::time::sleep(QUIET).await;
            if self.status.clickhouse_quiet_for().is_none_or(|quiet| quiet >= QUIET) {
                self.read().await;
            }
        }
    }

    async fn read(&self) -> Arc<TableAndPlan> {
        let mut backoff = Backoff::default();
        let waiter = self.status.waiter("table");
        loop {
            let asked = Instant::now();
            match self.attempt().await {
                Ok((table, plan)) => {
                    self.status.clickhouse_answered();
                    waiter.release();
                    return self.keep(table, plan, asked);
                }
                Err(hold) => {
                    // A pause is ClickHouse's own word, if the server had proved to be ClickHouse.
                    if matches!(hold, Hold::Paused(_)) && self.server.is_proved() {
                        self.status.clickhouse_answered();
                    }
                    count::retried(RetryStep::Table, RetryClass::from(&hold));
                    waiter.hold(hold);
                }
            }
            waiter.pause(backoff.next_delay()).await;
        }
    }

    async fn attempt(&self) -> Result<(Table, TablePlan), Hold> {
        let mut table = read_table(&self.server, &self.database, &self.table).await?;
        if let Some(column) =
            self.lock().as_ref().and_then(|read| hidden(&read.known.table, &table))
        {
            return Err(Hold::Paused(format!(
                "column `{column}` of table `{}` is not shown to CLICKHOUSE_USER any more, though the table is defined \
                 as before: its values would be left out; grant INSERT on the whole table",
                table.place()
            )));
        }
        match judge_engine(&self.server, &table.place(), &table.facts).await? {
            EngineVerdict::Sound => {}
            EngineVerdict::Risky(text) => self.warn_once(text),
            EngineVerdict::Unfit(text) => return Err(Hold::Paused(text)),
        }
        if self.is_exactly_once {
            if let Some(text) =
                why_not_exactly_once(&self.server, &table.place(), &table.facts).await?
            {
                return Err(Hold::Paused(text));
            }
            table.settings.extend(planned_settings(&self.server).await?);
        }
        let plan = TablePlan::new(&table.schema, &self.rules).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Hold::Paused(format!("table `{}`: {}", self.table, texts.join("; ")))
        })?;
        let column = token_column(&plan).map(|(_, name)| name);
        if self.is_exactly_once
            && let Some(text) = why_no_tokens(&table.place(), &table.facts, column)
        {
            return Err(Hold::Paused(text));
        }
        let row = RowBytes::of(&plan);
        if let Some(text) = too_wide(row.fixed(), self.budget.most_record_bytes()) {
            return Err(Hold::Paused(format!("table `{}`: {text}", self.table)));
        }
        self.budget.expect_rows_of(row);
        let is_advised = !self.is_exactly_once
            || self.lock().as_ref().is_some_and(|read| read.known.table == table);
        if !is_advised
            && let Some(text) = advice(&self.server, &table.place(), &table.facts, column).await
        {
            self.warn_once(text);
        }
        Ok((table, plan))
    }

    /// Logs a warning about the table, unless it was logged before.
    fn warn_once(&self, text: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.contains(&text) {
            tracing::warn!("{text}");
            warned.insert(text);
        }
    }

    /// Makes this table, read at `at`, the current one, unless it equals that.
    fn keep(&self, table: Table, plan: TablePlan, at: Instant) -> Arc<TableAndPlan> {
        let mut current = self.lock();
        if let Some(before) = &mut *current
            && before.known.table == table
        {
            before.at = at;
            return Arc::clone(&before.known);
        }
        match &*current {
            Some(before) => self.tell_changes(&before.known.table, &table),
            None => self.tell(&table.schema),
        }
        let user_schema = self.user_schema.clone().filter(|schema| is_run(schema, &plan));
        let known = Arc::new(TableAndPlan { table, plan: Arc::new(plan), user_schema });
        *current = Some(ReadTable { known: Arc::clone(&known), at });
        known
    }

    fn tell(&self, schema: &TableSchema) {
        let left_out: Vec<&str> = schema.left_out.iter().map(|column| &*column.name).collect();
        tracing::info!(
            database = self.database,
            table = self.table,
            columns = schema.columns.len(),
            ?left_out,
            "table read"
        );
    }

    fn tell_changes(&self, before: &Table, after: &Table) {
        let is_kept = |name: &&str| names(&after.schema).any(|kept| kept == *name);
        let gone: Vec<&str> = names(&before.schema).filter(|name| !is_kept(name)).collect();
        if !gone.is_empty() {
            let (database, table, columns) = (&self.database, &self.table, gone.join(", "));
            tracing::warn!(
                database,
                table,
                columns,
                "columns were dropped or renamed: fields of their names are unknown ones from now (UNKNOWN_FIELDS)"
            );
        }
        let mut changes = changes(&before.schema, &after.schema);
        if before.facts.is_deduplicating != after.facts.is_deduplicating {
            let knows = if after.facts.is_deduplicating { "is" } else { "is no longer" };
            changes.push(format!("an INSERT that is repeated {knows} recognised"));
        }
        if before.facts.has_views != after.facts.has_views {
            let reads = if after.facts.has_views { "reads" } else { "no longer reads" };
            changes.push(format!("a materialized view {reads} from it"));
        }
        if before.facts.partition_columns != after.facts.partition_columns {
            let columns = after.facts.partition_columns.join(", ");
            changes.push(format!("its partition key reads: {columns}"));
        }
        if changes.is_empty() {
            changes.push("its definition, but none of its columns".to_owned());
        }
        let more = changes.len().saturating_sub(MAX_CHANGES);
        changes.truncate(MAX_CHANGES);
        let (database, table) = (&self.database, &self.table);
        tracing::info!(
            database,
            table,
            ?changes,
            more,
            "table changed: batches follow it from now"
        );
    }
}

impl TableLook for Tables {
    fn is_as_read<'a>(&'a self, table: &'a Table) -> BoxFuture<'a, bool> {
        Box::pin(async { self.read().await.table.takes_rows_of(table) })
    }
}

/// A column that is no longer visible though the table was not altered: a right was revoked.
fn hidden<'a>(before: &'a Table, after: &Table) -> Option<&'a str> {
    if before.facts.definition != after.facts.definition {
        return None;
    }
    let mut before = names(&before.schema);
    before.find(|name| !names(&after.schema).any(|shown| shown == *name))
}

/// The names of all columns.
fn names(schema: &TableSchema) -> impl Iterator<Item = &str> {
    let left_out = schema.left_out.iter().map(|column| &*column.name);
    schema.columns.iter().map(|column| &*column.name).chain(left_out)
}

/// The METADATA_COLUMNS column for tokens: its index and its name.
pub fn token_column(plan: &TablePlan) -> Option<(usize, &str)> {
    let is_token = |column: &ColumnPlan| column.source == ColumnSource::Metadata(Metadata::Token);
    let at = plan.columns.iter().position(is_token)?;
    Some((at, &plan.columns.get(at)?.name))
}

/// Whether records must be validated against the schema, since the table takes some that it refuses; logs
/// which.
fn is_run(schema: &UserSchema, plan: &TablePlan) -> bool {
    match schema.is_covered_by(plan) {
        Ok(()) => {
            tracing::info!("JSON_SCHEMA asks for no more than the table does, and is not run");
            false
        }
        Err(not_covered) => {
            let draft = schema.draft();
            tracing::info!(draft, %not_covered, "JSON_SCHEMA is run on every record");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickhouse::TableFacts;
    use crate::schema::table::ColumnRow;

    fn table(definition: &str, columns: &[&str]) -> Table {
        let row = |name: &&str| ColumnRow {
            name: (*name).to_owned(),
            ty: "UInt64".into(),
            default_kind: if *name == "computed" { "MATERIALIZED".into() } else { String::new() },
            default_expression: String::new(),
        };
        let rows: Vec<ColumnRow> = columns.iter().map(row).collect();
        let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
        let facts = TableFacts { definition: definition.into(), ..TableFacts::of_merge_tree() };
        Table { schema: Arc::new(schema), settings: Vec::new(), facts }
    }

    #[test]
    fn a_column_that_is_gone_while_the_table_is_the_same_is_hidden() {
        let whole = table("one", &["id", "v", "computed"]);
        assert_eq!(hidden(&whole, &table("one", &["id", "computed"])), Some("v"));
        assert_eq!(hidden(&whole, &table("one", &["id", "v"])), Some("computed"));
        assert_eq!(hidden(&whole, &table("one", &["id", "v", "computed"])), None);
        assert_eq!(hidden(&whole, &table("two", &["id"])), None, "it was altered");
        assert_eq!(hidden(&table("one", &["id"]), &whole), None, "a right was given");
    }
}
