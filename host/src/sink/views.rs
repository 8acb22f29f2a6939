//! Materialized views that throw. Whether the table has the rows of the INSERT is looked up, and decides
//! whether they are sent again, refused, or counted as landed without the view.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::evidence::Evidence;
use super::home::is_remembered;
use super::send::Attempt;
use super::{PAUSE, Sink, until_read};
use crate::clickhouse::answer;
use crate::clickhouse::body::Body;
use crate::clickhouse::engine::{EngineVerdict, Keeping, behind, passes_on};
use crate::clickhouse::error_text::{Said, TableName};
use crate::clickhouse::errors::InsertError;
use crate::clickhouse::table::{self, Table};
use crate::clickhouse::view_head::target_of;
use crate::flow::hold::Hold;
use crate::observe::count::{self, RetryClass, RetryStep};
use crate::observe::status::Waiter;

/// How long a view that threw waits for a change before the next try: what it reads may have been mended,
/// which only a try can show.
const UNTOUCHED: Duration = Duration::from_mins(1);

/// How many quick tries a view gets for a transient error.
const VIEW_TRIES: u32 = 10;

/// What to do with rows on which a view threw.
#[derive(Debug)]
pub(super) enum Next {
    /// Send them again.
    Again,
    /// They are in the table, but not in the named view.
    WithoutView(String),
    /// The rows or the server are at fault: handle the error as if there were no view.
    Cause(InsertError),
}

/// A view's error.
pub(super) struct Thrown {
    /// The views on the way, innermost first.
    pub views: Vec<TableName>,
    /// What ClickHouse said.
    pub said: Said,
    /// The error's meaning without the view.
    pub cause: InsertError,
}

impl Sink {
    /// The views that pass the table's rows on to where they are kept; none if the table, or the one it
    /// stands for, keeps them. Waits until they are kept somewhere.
    ///
    /// # Cancel safety
    /// Nothing is held.
    pub(super) async fn views_behind(&self, table: &Table, waiter: &Waiter) -> BTreeSet<String> {
        let (place, engine) = (table.place(), &*table.facts.engine);
        if !passes_on(engine) {
            return BTreeSet::new();
        }
        loop {
            let behind = until_read(waiter, || behind(&self.server, &place, engine)).await;
            let EngineVerdict::Unfit(text) = behind.verdict else { return behind.views };
            waiter.hold(Hold::Paused(text));
            sleep(PAUSE).await;
        }
    }

    /// Waits as the case requires, then decides.
    pub(super) async fn after_view(
        &self,
        table: &Table,
        body: &Body,
        attempt: &mut Attempt,
        thrown: Thrown,
        waiter: &Waiter,
    ) -> Next {
        count::retried(RetryStep::Insert, RetryClass::View);
        let Thrown { views, said, cause } = thrown;
        let (view, is_transient) = (told(&views), is_transient(&cause));
        attempt.view = Some(view.clone());
        let keeps_nothing = Keeping::of(&table.facts.engine) == Keeping::Nowhere;
        let evidence = match attempt.has_rows {
            true => Evidence::Rows,
            false => {
                self.look_for(table, &body.sought, attempt.before, attempt.server, waiter).await
            }
        };
        attempt.has_rows = evidence == Evidence::Rows;
        attempt.is_unclear |= evidence == Evidence::Unknown;
        let mut is_touched = false;
        if table.facts.is_deduplicating {
            // The same token lands once in the table, and views get the rows they lack.
            let text = format!(
                "{view} threw, and is sent the rows again until it takes them; mend or drop it: {said}"
            );
            // Other views without a window get the rows again with each try.
            let is_new = is_transient && attempt.backoff.attempts() < VIEW_TRIES;
            let at_most = if is_new { attempt.backoff.next_delay() } else { UNTOUCHED };
            if !self.may_be_forgotten(table, attempt, waiter).await {
                let hold = hold(is_transient, text);
                is_touched = self.wait(&table.place(), &views, hold, Some(at_most), waiter).await;
            }
            // The token may have been forgotten during the wait.
            if !self.may_be_forgotten(table, attempt, waiter).await {
                return Next::Again;
            }
        }
        match evidence {
            // Nothing is stored before the view: the record is at fault, or time or an operator mends it.
            Evidence::NoRows => match cause {
                InsertError::Schema(_)
                | InsertError::Unknown(_)
                | InsertError::Hold(Hold::Paused(_)) => {
                    let what = if keeps_nothing {
                        "which keeps no rows"
                    } else {
                        "which has none of the rows"
                    };
                    let text = format!(
                        "{view} threw on rows of `{}`, {what}; mend or drop the view: {said}",
                        table.place()
                    );
                    let hold = Hold::Paused(text);
                    self.wait(&table.place(), &views, hold, Some(UNTOUCHED), waiter).await;
                    Next::Again
                }
                cause => Next::Cause(cause),
            },
            Evidence::Rows => {
                let text = format!(
                    "{view} threw; `{}` has the rows and the view does not, and sending them again would \
                     double them. Mend or drop the view: the host goes on when its definition changes. With \
                     {} non_replicated_deduplication_window the table would not need that: {said}",
                    table.place(),
                    if table.facts.is_deduplicating { "a larger" } else { "a" }
                );
                let at_most = is_transient.then_some(PAUSE);
                if !is_touched {
                    self.wait(&table.place(), &views, hold(is_transient, text), at_most, waiter)
                        .await;
                }
                count::landed_without_view(body.rows);
                Next::WithoutView(view)
            }
            Evidence::Unknown => {
                let text = format!(
                    "{view} threw, and whether `{}` has the rows cannot be told: they are sent again, and may \
                     be doubled, when the view's definition changes. Mend or drop the view: {said}",
                    table.place()
                );
                let at_most = is_transient.then_some(UNTOUCHED);
                if !is_touched {
                    self.wait(&table.place(), &views, hold(is_transient, text), at_most, waiter)
                        .await;
                }
                Next::Again
            }
        }
    }

    /// Whether the table may have forgotten the token of the first try, so that another try would double the
    /// rows. False for planned rows, which are not sent again then, and for replicated tables, which do not
    /// tell.
    async fn may_be_forgotten(&self, table: &Table, attempt: &Attempt, waiter: &Waiter) -> bool {
        let (Some(window), Some(before), None) =
            (table.facts.window, attempt.before, attempt.server)
        else {
            return false;
        };
        match self.parts_before(table, waiter).await {
            Some(now) => !is_remembered(before.max(1), now.max(1), window),
            None => false,
        }
    }

    /// Waits until a view or its target table changes, at most for `at_most`. Returns whether one did.
    async fn wait(
        &self,
        table: &TableName,
        views: &[TableName],
        hold: Hold,
        at_most: Option<Duration>,
        waiter: &Waiter,
    ) -> bool {
        let until = at_most.map(|at_most| Instant::now() + at_most);
        let look = || self.definitions(views);
        // Read before the operator is told, who may act at once.
        let before = until_read(waiter, look).await;
        waiter.hold(hold);
        // A view that is already gone was changed since it threw.
        let mut is_touched = before.contains(&None);
        while !is_touched {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            sleep(left.unwrap_or(PAUSE).min(PAUSE)).await;
            is_touched = look().await.is_ok_and(|now| now != before);
        }
        tracing::info!(%table, "a materialized view of the table was changed");
        true
    }

    /// The definitions of the views and their target tables, to detect changes; `None` for a dropped view. A
    /// view that the user may not see exists while a table lists it among its dependencies.
    async fn definitions(&self, views: &[TableName]) -> Result<Vec<Option<String>>, Hold> {
        let mut definitions = Vec::with_capacity(views.len());
        for view in views {
            let own = self.definition(view).await?;
            let target = match own.as_deref().and_then(target_of) {
                Some(target) => self.definition(&target).await?.unwrap_or_default(),
                None => String::new(),
            };
            let is_hidden = own.is_none() && table::is_listed(&self.server, view).await?;
            let own = if is_hidden { Some(String::new()) } else { own };
            definitions.push(own.map(|own| own + &target));
        }
        Ok(definitions)
    }

    /// A table's CREATE statement and UUID; `None` if the user sees no such table.
    async fn definition(&self, of: &TableName) -> Result<Option<String>, Hold> {
        let query = self
            .server
            .query(
                "SELECT concat(create_table_query, toString(uuid)) FROM system.tables \
                 WHERE database = ? AND name = ?",
            )
            .bind(&of.database)
            .bind(&of.name);
        table::answered(&self.server, query, answer::optional).await
    }
}

fn hold(is_transient: bool, text: String) -> Hold {
    if is_transient { Hold::Transient(text) } else { Hold::Paused(text) }
}

fn is_transient(cause: &InsertError) -> bool {
    matches!(
        cause,
        InsertError::Hold(Hold::Transient(_))
            | InsertError::Memory(_)
            | InsertError::TooManyPartitions(_)
    )
}

/// The view that threw, and the views through which it was reached.
fn told(views: &[TableName]) -> String {
    let names: Vec<String> = views.iter().map(|view| format!("`{view}`")).collect();
    format!("materialized view {}", names.join(", reached through "))
}
