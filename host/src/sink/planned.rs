//! Rows that are sent under a token that a plan names, and what the table says of those that were.

use std::time::{Duration, Instant};

use arrow_array::RecordBatch;

use super::evidence::Evidence;
use super::home::{Promised, is_server, wait_out};
use super::refusal::RefusedInsert;
use super::sending::Sending;
use super::{Landed, PAUSE, Sink};
use crate::base::blocking::run_blocking;
use crate::base::retry::Backoff;
use crate::clickhouse::TableName;
use crate::clickhouse::body::{Body, fingerprint};
use crate::clickhouse::error_text::{code_of, loggable};
use crate::clickhouse::post::Failed;
use crate::clickhouse::sight::{hidden_sql, seeing_settings};
use crate::clickhouse::table::Table;
use crate::clickhouse::tokens::{Sought, index_statements, losing_ttl};
use crate::delivery::plans::short_fingerprint;
use crate::flow::hold::Hold;
use crate::observe::status::Waiter;
use crate::schema::quoted::{identifier, literal};

/// How long the server may search for a token: it reads a whole column where no index spares it that.
const SEARCH_TIMEOUT: Duration = Duration::from_mins(30);

/// How often another server than the one that is sought may answer a search, before nothing is known.
const MAX_ASTRAY: u32 = 10;

/// How often a search may be refused for what an operator has to mend, before nothing is known.
const MAX_REFUSED: u32 = 10;

/// How often it is looked whether a search sees every row, before it counts as not seeing all.
const MAX_LOOKS: u32 = 8;

impl Sink {
    /// Sends one body under this token until it is in, or refused. Before each try the table is looked at:
    /// a token that it may have forgotten, or never knew, is not sent.
    ///
    /// # Errors
    /// What the caller must act on.
    ///
    /// # Cancel safety
    /// Dropped, the rows may have landed or may still land.
    pub async fn send_planned(
        &self,
        table: &Table,
        body: &Body,
        token: &str,
        promised: Promised<'_>,
    ) -> Result<Landed, RefusedInsert> {
        // An INSERT into one partition is all or nothing; one into several that was refused for want
        // of memory may have landed in some of them.
        let may_split_for_memory = table.facts.partition_columns.is_empty();
        let sending = Sending {
            token,
            may_be_async: false,
            may_split_for_memory,
            landed_before: None,
            planned: Some(promised),
        };
        self.send(table, body, &sending).await
    }

    /// A fingerprint of what decides whether the server takes an INSERT of the rows, as they are sent.
    ///
    /// # Errors
    /// Arrow cannot write them.
    ///
    /// # Cancel safety
    /// Dropped, the rows are held until the fingerprint is taken.
    pub async fn fingerprint(&self, table: &Table, rows: &RecordBatch) -> Result<u32, String> {
        let (table, rows) = (table.clone(), rows.clone());
        let settings = self.server.settings().to_owned();
        run_blocking(move || fingerprint(&table, &rows, &settings)).await.map(short_fingerprint)
    }

    /// Whether parts that came since the rows were planned hold them.
    pub async fn evidence(
        &self,
        table: &Table,
        sought: &Sought,
        promised: &Promised<'_>,
    ) -> Evidence {
        let waiter = self.status.waiter("clickhouse");
        let server = promised.home.map(|home| home.server);
        self.look_for(table, sought, Some(promised.before()), server, &waiter).await
    }

    /// How many rows of the table have this token in this column; `None` where the server of the plan is
    /// not reached. One search at a time, and none while an earlier one may still run.
    pub async fn count_of_token(
        &self,
        table: &Table,
        column: &str,
        token: &str,
        server: Option<u32>,
    ) -> Option<u64> {
        let sql = format!(
            "SELECT toString(count()), toString(serverUUID()) FROM {}.{} WHERE {} = {} \
             FORMAT JSONCompactEachRow",
            identifier(&table.schema.database),
            identifier(&table.schema.table),
            identifier(column),
            literal(token)
        );
        self.ask_count(table, column, &sql, server).await
    }

    /// Whether a search sees every row of the table: a count of 0 proves nothing otherwise.
    pub async fn sees_all(&self, table: &Table, column: &str, server: Option<u32>) -> bool {
        let (sql, mut backoff) = (hidden_sql(table), Backoff::default());
        loop {
            match self.ask_count(table, column, &sql, server).await {
                Some(0) => return true,
                // Parts come and go between the look at them and at their rows.
                Some(_) if backoff.attempts() < MAX_LOOKS => backoff.wait().await,
                Some(parts) => {
                    tracing::warn!(
                        table = %table.place(),
                        parts,
                        "a search of the table does not see every row: let CLICKHOUSE_USER see all of them, \
                         and look at its row policies and the settings of its profile"
                    );
                    return false;
                }
                None => return false,
            }
        }
    }

    /// Whether rows that carried their token when they landed carry it still, as far as the table tells: those of the
    /// blocks behind this one.
    pub async fn keeps_tokens(
        &self,
        table: &Table,
        column: &str,
        before: u64,
        server: Option<u32>,
    ) -> bool {
        if let Some(what) = losing_ttl(&table.facts.definition, column) {
            tracing::warn!(table = %table.place(), "a search for a token proves nothing: {what}");
            return false;
        }
        let sql = lost_sql(&table.place(), column, before);
        let found = self.ask_count(table, column, &sql, server).await;
        if let Some(mutations @ 1..) = found {
            tracing::warn!(
                table = %table.place(),
                mutations,
                "a search for a token proves nothing: the column `{column}` was altered since the rows were \
                 planned (system.mutations)"
            );
        }
        found == Some(0)
    }

    /// The count that this query tells, asked for as long as the server takes; `None` also where it is refused for
    /// what no waiting mends.
    async fn ask_count(
        &self,
        table: &Table,
        column: &str,
        sql: &str,
        server: Option<u32>,
    ) -> Option<u64> {
        let waiter = self.status.waiter("clickhouse");
        let _one_at_a_time = self.search.lock().await;
        let (mut backoff, mut astray, mut refused) = (Backoff::default(), 0, 0);
        loop {
            let settings = match seeing_settings(&self.server).await {
                Ok(settings) => settings,
                Err(hold) => {
                    wait_out(hold, &waiter, &mut backoff).await;
                    continue;
                }
            };
            let (started, query_id) = (Instant::now(), uuid::Uuid::new_v4().to_string());
            let asked = self.server.ask_at_length(sql, &settings, &query_id, SEARCH_TIMEOUT);
            let hold = match asked.await {
                Ok(text) => match counted(&text) {
                    Some((rows, by)) if server.is_none_or(|server| is_server(server, &by)) => {
                        return Some(rows);
                    }
                    Some(_) if astray >= MAX_ASTRAY => return None,
                    Some(_) => {
                        astray += 1;
                        let url = self.server.url();
                        Hold::Transient(format!(
                            "another server answers at CLICKHOUSE_HOST {url} than the one that is to be \
                             searched for a token"
                        ))
                    }
                    None => Hold::Transient("a search for a token has no count".to_owned()),
                },
                Err(failed) => {
                    let hold = self.hold_of_search(&failed, table, column);
                    refused += refusals(&failed, &hold);
                    if refused >= MAX_REFUSED {
                        tracing::warn!("a search for a token is refused: {}", hold.text());
                        return None;
                    }
                    waiter.hold(hold.clone());
                    self.until_over(&failed, &query_id, started, &waiter).await;
                    hold
                }
            };
            wait_out(hold, &waiter, &mut backoff).await;
        }
    }

    fn hold_of_search(&self, failed: &Failed, table: &Table, column: &str) -> Hold {
        let is_too_slow =
            matches!(failed, Failed::Refused(text) if matches!(code_of(text), Some(159 | 160)));
        if !is_too_slow && !matches!(failed, Failed::TimedOut) {
            return self.hold_of_failed(failed, table);
        }
        Hold::Paused(format!(
            "the search of `{}` for a token took longer than {} minutes. {}",
            table.place(),
            SEARCH_TIMEOUT.as_secs() / 60,
            index_statements(&table.place(), column)
        ))
    }

    /// Waits until this server runs no INSERT under this token, as far as it tells: its query goes by that id.
    pub async fn until_no_insert_runs(&self, token: &str, server: Option<u32>) {
        let waiter = self.status.waiter("clickhouse");
        let sql = running(token);
        let (mut backoff, mut astray) = (Backoff::default(), 0);
        loop {
            let hold = match self.server.ask(&sql, None).await {
                Ok(text) => match counted(&text) {
                    Some((_, by)) if server.is_some_and(|server| !is_server(server, &by)) => {
                        // The searches that follow do not reach it either.
                        if astray >= MAX_ASTRAY {
                            return;
                        }
                        astray += 1;
                        Hold::Transient("whether an earlier INSERT still runs is asked".into())
                    }
                    Some((0, _)) => return,
                    _ => {
                        Hold::Transient("an earlier INSERT under the same token still runs".into())
                    }
                },
                Err(Failed::Refused(text)) if keeps_to_itself(&text) => return,
                Err(Failed::Refused(text)) => Hold::Transient(format!(
                    "whether an earlier INSERT still runs is asked again: {}",
                    loggable(&text)
                )),
                Err(_) => Hold::Transient("whether an earlier INSERT still runs is asked".into()),
            };
            waiter.hold(hold);
            backoff.wait().await;
        }
    }

    /// Waits until a search of which no end was heard is over, at the latest when the server gives it up.
    async fn until_over(&self, failed: &Failed, query_id: &str, started: Instant, waiter: &Waiter) {
        if matches!(failed, Failed::Refused(_) | Failed::Unreached(_)) {
            return;
        }
        let sql = running(query_id);
        while started.elapsed() < SEARCH_TIMEOUT {
            let answer = self.server.ask(&sql, None).await;
            if answer.is_ok_and(|text| counted(&text).is_some_and(|(running, _)| running == 0)) {
                return;
            }
            waiter.hold(Hold::Transient("an earlier search for a token still runs".to_owned()));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// How much the refusal of a search counts: for as many as are allowed where the column is none that it can read.
fn refusals(failed: &Failed, hold: &Hold) -> u32 {
    let (Failed::Refused(text), Hold::Paused(_)) = (failed, hold) else { return 0 };
    match code_of(text) {
        // It is missing, or known by its name alone.
        Some(10 | 16 | 47) => MAX_REFUSED,
        // It took too long, which an index mends.
        Some(159 | 160) => 0,
        _ => 1,
    }
}

/// How many mutations behind this block name the column, and the server that says so.
fn lost_sql(of: &TableName, column: &str, before: u64) -> String {
    format!(
        "SELECT toString(count()), toString(serverUUID()) FROM system.mutations WHERE database = {} AND \
         table = {} AND arrayMax(block_numbers.number) > {before} AND position(command, {}) > 0 \
         FORMAT JSONCompactEachRow",
        literal(&of.database),
        literal(&of.name),
        literal(column)
    )
}

/// Whether a refusal says that the user may not see what a server runs: no later try tells it then.
fn keeps_to_itself(text: &str) -> bool {
    code_of(text) == Some(497)
}

/// How many queries of this id a server runs.
fn running(query_id: &str) -> String {
    format!(
        "SELECT toString(count()), toString(serverUUID()) FROM system.processes WHERE query_id = {} \
         FORMAT JSONCompactEachRow",
        literal(query_id)
    )
}

fn counted(text: &str) -> Option<(u64, String)> {
    let [rows, server]: [String; 2] = serde_json::from_str(text).ok()?;
    Some((rows.parse().ok()?, server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_right_is_why_a_server_does_not_tell_what_it_runs() {
        assert!(keeps_to_itself(
            "Code: 497. DB::Exception: Not enough privileges. (ACCESS_DENIED)"
        ));
        for code in [60, 159, 201, 202, 241, 439, 452] {
            assert!(!keeps_to_itself(&format!("Code: {code}. DB::Exception: x")), "{code}");
        }
        assert!(!keeps_to_itself("an error without a code"));
    }
}
