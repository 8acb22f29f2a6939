//! The table as it is now, and the plan made from it. A plan is immutable; a new one takes its
//! place between batches, never inside one.

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

/// How often something that an operator must mend is looked at again.
const PAUSE: Duration = Duration::from_secs(5);

/// After this long without an answer ClickHouse is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(15);

/// How old the knowledge of a table may be when a batch begins. A type that narrows meanwhile may
/// cut values short: ClickHouse casts what an INSERT brings to the column's type without a word.
const FRESH: Duration = Duration::from_secs(1);

/// Most changes of a table that one line of the log tells.
const MAX_CHANGES: usize = 20;

/// A table and the plan made from it.
#[derive(Debug)]
pub struct TableAndPlan {
    /// The table as read.
    pub table: Table,
    /// How records become its rows.
    pub plan: Arc<TablePlan>,
    /// The user's schema, where the table does not cover it and records are held against it.
    pub user_schema: Option<UserSchema>,
}

/// Keeps one table known.
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
    /// What was warned of.
    warned: Mutex<BTreeSet<String>>,
}

/// What was read, and when it was last found to be so.
struct ReadTable {
    known: Arc<TableAndPlan>,
    at: Instant,
}

impl Tables {
    /// Knows nothing yet; the first use reads the table.
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

    /// The table as it was at most [`FRESH`] ago; reads it, for as long as that takes, if that
    /// was longer ago.
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

    /// Reads the table anew and says whether `known` is still how it is.
    pub async fn is_unchanged(&self, known: &TableAndPlan) -> bool {
        self.read().await.plan.fingerprint() == known.plan.fingerprint()
    }

    /// Reads the table anew and says whether everything of it is still as `known` says.
    pub async fn is_same_table(&self, known: &TableAndPlan) -> bool {
        self.read().await.table == known.table
    }

    /// ClickHouse says that the table is not what `known` says. If a new look finds it the same,
    /// an operator is needed.
    pub async fn refresh_after(&self, known: &TableAndPlan, text: String) -> Option<Hold> {
        let text = format!("the table is as it was read, and still refuses its rows: {text}");
        self.is_same_table(known).await.then_some(Hold::Paused(text))
    }

    /// Waits for at least 5 s and then until the table is another, but not for longer than `at_most`. Where an operator
    /// must mend what is waited for, it ends no more once the host stops.
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

    /// Reads the table at once, and again whenever ClickHouse was silent for a while: what is
    /// wrong there is known before the next record comes. Never ends.
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
                    // What an operator has to mend is ClickHouse's own word, once it was known for ClickHouse.
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

    /// Says what an operator has to know of the table, unless it was said of the table before.
    fn warn_once(&self, text: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.contains(&text) {
            tracing::warn!("{text}");
            warned.insert(text);
        }
    }

    /// Makes the table current, as it stood at `at`, unless it is the same as the current one.
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

/// A column of the table that is not shown any more, though nobody altered the table: a right was taken back.
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

/// The column of METADATA_COLUMNS that tokens go into: its place and its name.
pub fn token_column(plan: &TablePlan) -> Option<(usize, &str)> {
    let is_token = |column: &ColumnPlan| column.source == ColumnSource::Metadata(Metadata::Token);
    let at = plan.columns.iter().position(is_token)?;
    Some((at, &plan.columns.get(at)?.name))
}

/// Whether records have to be held against the schema, since the table takes what it refuses; says so.
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
