//! Rows that are sent under a token that a plan names.

use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;

use super::body::{Body, print};
use super::client::Sending;
use super::ordered::as_sent;
use super::refusal::Refused;
use super::table::{self, Table};
use super::{Landed, Sink, until_read};
use crate::blocking;
use crate::observe::status::Waiter;

/// The share of the deduplication window that may pass before a token counts as forgotten: the other
/// half is for what is under way when the window is looked at.
const WINDOW_SHARE: u64 = 2;

impl Sink {
    /// Sends one body under this token until it is in, or refused. Before each try the window is
    /// looked at: a token that it may have forgotten since `mark` is not sent.
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
        mark: u64,
    ) -> Result<Landed, Refused> {
        // An INSERT into one partition is all or nothing; one into several that was refused for want
        // of memory may have landed in some of them.
        let may_split_for_memory = table.facts.partition_columns.is_empty();
        let (may_be_async, mark) = (false, Some(mark));
        let sending = Sending { token, may_be_async, may_split_for_memory, mark };
        self.send(table, body, &sending).await
    }

    /// How far the deduplication window had moved when it was last looked at.
    pub async fn mark(&self, table: &Table) -> u64 {
        match self.last_mark.load(Ordering::Acquire) {
            0 => self.look_at_window(table, &self.status.waiter("clickhouse")).await,
            mark => mark,
        }
    }

    /// A fingerprint of what decides whether the server takes an INSERT of the rows.
    ///
    /// # Errors
    /// Arrow cannot write them.
    ///
    /// # Cancel safety
    /// Dropped, the rows are held until the fingerprint is taken.
    pub async fn print(&self, table: &Table, rows: &RecordBatch) -> Result<u64, String> {
        let (table, rows) = (table.clone(), rows.clone());
        let settings = self.server.settings().to_owned();
        blocking::run(move || print(&table, &as_sent(&table, &rows)?, &settings)).await
    }

    /// Why the server may have forgotten a token of when the window stood at `mark`, if it may.
    pub(super) async fn is_aged(
        &self,
        table: &Table,
        mark: u64,
        waiter: &Waiter,
    ) -> Option<String> {
        let now = self.look_at_window(table, waiter).await;
        let window = table.facts.window.unwrap_or(0);
        let is_known = now.checked_sub(mark).is_some_and(|passed| passed <= window / WINDOW_SHARE);
        (!is_known).then(|| {
            format!(
                "{} parts were inserted into `{}` since it was planned, and \
                 non_replicated_deduplication_window is {window}",
                now.saturating_sub(mark),
                table.schema.table
            )
        })
    }

    async fn look_at_window(&self, table: &Table, waiter: &Waiter) -> u64 {
        let mark = until_read(waiter, || table::highest_block(&self.server, table)).await;
        self.last_mark.store(mark, Ordering::Release);
        mark
    }

    /// How many rows of the table have this token in this column.
    pub async fn count_of_token(&self, table: &Table, column: &str, token: &str) -> u64 {
        let waiter = self.status.waiter("clickhouse");
        until_read(&waiter, || table::count_of_token(&self.server, table, column, token)).await
    }
}
