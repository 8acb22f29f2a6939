//! Sends rows under a planned token, and looks up rows that were sent under one.

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

/// Longest search for a token, which reads a whole column unless there is an index.
const SEARCH_TIMEOUT: Duration = Duration::from_mins(30);

/// How often a wrong server may answer before a search gives up.
const MAX_ASTRAY: u32 = 10;

/// How often a search may be refused for what an operator has to mend before it gives up.
const MAX_REFUSED: u32 = 10;

/// How often to check that a search sees every row before the answer is no.
const MAX_LOOKS: u32 = 8;

impl Sink {
    /// Sends one body under this token until it lands or is refused. The table is checked before each try: a
    /// token that it may have forgotten, or never knew, is not sent.
    ///
    /// # Errors
    /// What the caller must act on.
    ///
    /// # Cancel safety
    /// If dropped, the rows may have landed or may still land.
    pub async fn send_planned(
        &self,
        table: &Table,
        body: &Body,
        token: &str,
        promised: Promised<'_>,
    ) -> Result<Landed, RefusedInsert> {
        // An INSERT into one partition is all or nothing; one into several may land in some of them and then
        // fail for want of memory.
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

    /// Fingerprint of everything that decides whether the server takes an INSERT of these rows.
    ///
    /// # Errors
    /// Arrow cannot write them.
    ///
    /// # Cancel safety
    /// If dropped, the rows are held until the fingerprint is taken.
    pub async fn fingerprint(&self, table: &Table, rows: &RecordBatch) -> Result<u32, String> {
        let (table, rows) = (table.clone(), rows.clone());
        let settings = self.server.settings().to_owned();
        run_blocking(move || fingerprint(&table, &rows, &settings)).await.map(short_fingerprint)
    }

    /// Whether parts that appeared since the rows were planned hold them.
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

    /// How many rows of the table have this token in this column; `None` if the plan's server is not reached.
    /// Searches run one at a time, and only once earlier ones have ended.
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

    /// Whether a search sees every row of the table; otherwise a count of 0 proves nothing.
    pub async fn sees_all(&self, table: &Table, column: &str, server: Option<u32>) -> bool {
        let (sql, mut backoff) = (hidden_sql(table), Backoff::default());
        loop {
            match self.ask_count(table, column, &sql, server).await {
                Some(0) => return true,
                // Parts may change between the two reads.
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

    /// Whether rows in blocks after `before` still carry the token they landed with, as far as the table
    /// tells.
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

    /// Runs a counting query for as long as it takes; `None` if another server keeps answering, or if it is
    /// refused for what waiting does not mend.
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

    /// Waits until this server runs no INSERT under this token, which is its query id, as far as it tells.
    pub async fn until_no_insert_runs(&self, token: &str, server: Option<u32>) {
        let waiter = self.status.waiter("clickhouse");
        let sql = running(token);
        let (mut backoff, mut astray) = (Backoff::default(), 0);
        loop {
            let hold = match self.server.ask(&sql, None).await {
                Ok(text) => match counted(&text) {
                    Some((_, by)) if server.is_some_and(|server| !is_server(server, &by)) => {
                        // Later searches do not reach it either.
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

    /// Waits until a search without an answer has ended, at most until the server's own timeout.
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

/// How much a refusal counts towards [`MAX_REFUSED`]; all of it if the column is not readable.
fn refusals(failed: &Failed, hold: &Hold) -> u32 {
    let (Failed::Refused(text), Hold::Paused(_)) = (failed, hold) else { return 0 };
    match code_of(text) {
        // The column is missing, or exists by name only.
        Some(10 | 16 | 47) => MAX_REFUSED,
        // It took too long, which an index mends.
        Some(159 | 160) => 0,
        _ => 1,
    }
}

/// Counts mutations after this block that name the column, and names the server.
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

/// Whether the user may not see what a server runs, which no retry changes.
fn keeps_to_itself(text: &str) -> bool {
    code_of(text) == Some(497)
}

/// Counts the queries of this id that a server runs.
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
