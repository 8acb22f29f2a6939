//! The sink: one INSERT for a batch's rows, split between records only when the data is refused.
//!
//! What goes on here is either over (landed, refused) or waited out: a transient error and a
//! pause never come back to the caller. An error of the schema does, since the rows must then be
//! decoded again.

mod client;
mod errors;
mod partitions;
mod pieces;
mod settings;
mod table;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use bytes::Bytes;

pub use client::Server;
pub use errors::hold_of_select;
pub use settings::needed_settings;
pub use table::{Description, Table, describe, may_insert, read, version};

use crate::blocking;
use crate::observe::count::{self, Class, Step};
use crate::observe::status::{Status, Waiter};
use crate::outcome::Hold;
use crate::record::Origin;
use crate::rejection::{Fault, Reason, Rejection, Stage};
use crate::retry::Backoff;
use crate::schema::quoted::identifier;
use errors::InsertError;
use partitions::by_partition;
use pieces::Piece;
use text::{Place, Said};

/// How often something that an operator must mend is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// How many tries rows get that the server has no memory for, before they are split.
const MEMORY_TRIES: u32 = 3;
/// How many tries an error of unknown code gets before an operator is called.
const UNKNOWN_TRIES: u32 = 8;

/// What became of the rows.
#[derive(Debug, Default)]
pub struct Inserted {
    /// The records whose rows are in the table.
    pub landed: Vec<Origin>,
    /// The records that ClickHouse refused alone.
    pub refused: Vec<Rejection>,
    /// Why the others were left; `None` when none is.
    pub left: Option<Left>,
}

impl Inserted {
    fn add(&mut self, more: Self) {
        self.landed.extend(more.landed);
        self.refused.extend(more.refused);
        self.left = self.left.take().or(more.left);
    }
}

/// Why rows were left.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// ClickHouse says the table is another: read it again and decode again.
    SchemaChanged(String),
    /// More records were refused than the caller allowed.
    TooManyRefused(String),
    /// One record alone is more than ClickHouse takes in an INSERT; no value of it is at fault.
    TooLarge(Hold),
}

/// Inserts into one table.
pub struct Sink {
    server: Server,
    status: Arc<Status>,
}

impl Sink {
    /// A sink for the server.
    pub fn new(server: Server, status: Arc<Status>) -> Self {
        Self { server, status }
    }

    /// Inserts the rows; `origins` names each row's record and never decreases. Of the records
    /// refused alone at most `allowance` are reported, then the rest is left.
    ///
    /// # Cancel safety
    /// Dropped, pieces that were sent may or may not have landed; nothing was committed.
    pub async fn insert(
        &self,
        table: &Table,
        rows: &RecordBatch,
        origins: &[Origin],
        allowance: usize,
    ) -> Inserted {
        self.insert_pieces(table, rows, origins, allowance, false).await
    }

    /// The same, of rows as they were read; or of those that one INSERT did not take for their
    /// partitions, ordered [`by_partition`].
    async fn insert_pieces(
        &self,
        table: &Table,
        rows: &RecordBatch,
        origins: &[Origin],
        allowance: usize,
        is_by_partition: bool,
    ) -> Inserted {
        let mut inserted = Inserted::default();
        let max_rows = if is_by_partition { rows.num_rows().div_ceil(2) } else { max_rows(rows) };
        let mut open = Piece::bounded(origins, max_rows);
        // A flush of async inserts fails as a whole, for its neighbours' sake too: once refused,
        // rows go synchronously, so that a refusal speaks of them alone.
        // Where the table deduplicates, every retry rests on the token. Servers before the setting
        // `deduplicate_insert` ignore that of an async INSERT unless `async_insert_deduplicate` is
        // set, which is for replicated tables alone, and not for their views, whose blocks are cut
        // anew by each flush (ClickHouse docs: "Deduplicating inserts on retries", and the settings
        // `deduplicate_insert`, `async_insert_deduplicate`).
        let mut may_be_async =
            self.server.is_async() && !table.is_deduplicating && !is_by_partition;
        while let Some(piece) = open.pop() {
            if piece.is_empty() {
                continue;
            }
            let halves = piece.split(origins);
            // A try whose answer was lost may have landed: where the table knows its token, nothing
            // is sent under another.
            let may_split = halves.is_some() && !table.is_deduplicating;
            let sent = self.send(table, rows, &piece, may_be_async, may_split).await;
            match (sent, halves) {
                (Ok(()), _) => inserted.landed.extend(piece.origins(origins)),
                (Err(Refusal::Schema(text)), _) => {
                    count::retried(Step::Insert, Class::Schema);
                    inserted.left = Some(Left::SchemaChanged(text));
                    break;
                }
                (Err(_), _) if may_be_async => {
                    may_be_async = false;
                    count::retried(Step::Insert, Class::Data);
                    open.push(piece);
                }
                (Err(Refusal::TooManyPartitions(text)), Some(halves)) if !is_by_partition => {
                    tracing::debug!(rows = piece.len(), "insert refused, split: {text}");
                    count::retried(Step::Insert, Class::Data);
                    let rows = rows.slice(piece.start, piece.len());
                    let (origins, key) =
                        (piece.of(origins).to_vec(), table.partition_columns.clone());
                    let sorted = blocking::run(move || by_partition(&rows, &origins, &key)).await;
                    let Ok((rows, origins)) = sorted else {
                        open.extend([halves.1, halves.0]);
                        continue;
                    };
                    let allowance = allowance.saturating_sub(inserted.refused.len());
                    let rest = self.insert_pieces(table, &rows, &origins, allowance, true);
                    inserted.add(Box::pin(rest).await);
                    if inserted.left.is_some() {
                        break;
                    }
                }
                (Err(refusal), Some((first, second))) => {
                    tracing::debug!(rows = piece.len(), "insert refused, split: {refusal}");
                    count::retried(Step::Insert, Class::Data);
                    open.extend([second, first]);
                }
                (Err(Refusal::Data(said)), None) if inserted.refused.len() < allowance => {
                    inserted.refused.extend(refusal(&piece, origins, &said));
                }
                (Err(Refusal::Data(said)), None) => {
                    inserted.left = Some(Left::TooManyRefused(said.to_string()));
                    break;
                }
                // Nothing is split for want of memory that cannot be.
                (Err(Refusal::TooManyPartitions(text) | Refusal::Memory(text)), None) => {
                    let text = format!(
                        "one record alone is more than ClickHouse takes in an INSERT: raise \
                         max_partitions_per_insert_block in CLICKHOUSE_SETTINGS and restart, or \
                         partition the table by less: {text}"
                    );
                    inserted.left = Some(Left::TooLarge(Hold::Paused(text)));
                    break;
                }
            }
        }
        inserted
    }

    /// Sends one piece until it is in, or refused for its data or its schema.
    async fn send(
        &self,
        table: &Table,
        rows: &RecordBatch,
        piece: &Piece,
        may_be_async: bool,
        may_split: bool,
    ) -> Result<(), Refusal> {
        let body = body(&rows.slice(piece.start, piece.len())).map_err(Refusal::Schema)?;
        let sql = insert_sql(table, rows);
        // Made once for these bytes and kept for every retry of them. Random: one derived from
        // content or offsets would let the server drop new data after a replay.
        let token = uuid::Uuid::new_v4().to_string();
        let mut backoff = Backoff::default();
        let mut memory_tries = 0;
        let waiter = self.status.waiter("clickhouse");
        let into =
            Place { database: table.schema.database.clone(), name: table.schema.table.clone() };
        let outcome = loop {
            let started = Instant::now();
            let sent =
                self.server.insert(&sql, body.clone(), &token, &table.settings, may_be_async).await;
            let Err(error) = sent else {
                count::landed(piece.len(), started.elapsed());
                break Ok(());
            };
            count::insert_failed(started.elapsed());
            let error = errors::classify(&error, self.server.url(), Some(&into));
            match self.confirm(error, &into, &waiter).await {
                InsertError::Data(said) => break Err(Refusal::Data(said)),
                InsertError::TooManyPartitions(text) => {
                    break Err(Refusal::TooManyPartitions(text));
                }
                InsertError::Memory(text) if may_split && memory_tries == MEMORY_TRIES => {
                    break Err(Refusal::Memory(text));
                }
                InsertError::Memory(text) => {
                    memory_tries += 1;
                    count::retried(Step::Insert, Class::Transient);
                    waiter.hold(Hold::Transient(text));
                    backoff.wait().await;
                }
                InsertError::Schema(text) => break Err(Refusal::Schema(text)),
                InsertError::View { views, said } if !table.is_deduplicating => {
                    count::landed_without_view(piece.len());
                    self.wait_for_view(&waiter, &views, &said).await;
                    break Ok(());
                }
                InsertError::View { views, said } => {
                    let text = format!(
                        "{} refuses rows that the table holds already; mend or drop the view: \
                         {said}",
                        told(&views)
                    );
                    count::retried(Step::Insert, Class::View);
                    waiter.hold(Hold::Paused(text));
                    tokio::time::sleep(PAUSE).await;
                }
                InsertError::Hold(hold) => {
                    let is_paused = matches!(hold, Hold::Paused(_));
                    count::retried(Step::Insert, Class::from(&hold));
                    waiter.hold(hold);
                    if is_paused {
                        tokio::time::sleep(PAUSE).await;
                    } else {
                        backoff.wait().await;
                    }
                }
                InsertError::Unknown(text) => {
                    let hold = if backoff.attempts() < UNKNOWN_TRIES {
                        Hold::Transient
                    } else {
                        Hold::Paused
                    };
                    count::retried(Step::Insert, Class::Unknown);
                    waiter.hold(hold(text));
                    backoff.wait().await;
                }
            }
        };
        self.status.clickhouse_answered();
        outcome
    }

    /// Believes a view only if the server knows it as one that reads from this table. That is
    /// asked now, so that a view created after the table was read counts too. The others on the
    /// way need no look: they are only reached through the last one. Where there is no such view,
    /// be it dropped meanwhile or made up by a row's value, nobody can tell whether the rows are
    /// in the table: the INSERT is sent again, and an operator called if that goes on.
    async fn confirm(&self, error: InsertError, into: &Place, waiter: &Waiter) -> InsertError {
        let InsertError::View { views, said } = &error else { return error };
        let Some(view) = views.last() else { return error };
        if until_read(waiter, || table::feeds(&self.server, into, view)).await {
            return error;
        }
        InsertError::Unknown(format!("`{view}` is no view of `{into}` (any more): {said}"))
    }

    /// The table does not recognise a repeated INSERT, so sending the rows again would double
    /// them: they count as landed, once an operator has touched the view.
    async fn wait_for_view(&self, waiter: &Waiter, views: &[Place], said: &Said) {
        let view = told(views);
        let text = format!(
            "{view} threw; its table holds the rows of this batch, the view does not, and sending \
             them again would double them. Mend or drop the view: sluicegate goes on when its \
             definition changes. A table with the setting non_replicated_deduplication_window \
             heals by itself: {said}"
        );
        let before = until_read(waiter, || table::definitions(&self.server, views)).await;
        loop {
            waiter.hold(Hold::Paused(text.clone()));
            tokio::time::sleep(PAUSE).await;
            let now = table::definitions(&self.server, views).await;
            if now.is_ok_and(|now| now != before) {
                tracing::error!(view, "rows of one batch are in the table but not in the view");
                return;
            }
        }
    }
}

/// Asks the server until it answers.
async fn until_read<T, F>(waiter: &Waiter, read: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Hold>>,
{
    let mut backoff = Backoff::default();
    loop {
        match read().await {
            Ok(answer) => return answer,
            Err(hold) => {
                count::retried(Step::Table, Class::from(&hold));
                waiter.hold(hold);
            }
        }
        backoff.wait().await;
    }
}

/// The view that threw, and those that it was reached through.
fn told(views: &[Place]) -> String {
    let names: Vec<String> = views.iter().map(|view| format!("`{view}`")).collect();
    format!("materialized view {}", names.join(", reached through "))
}

/// A refusal that the caller must act on.
enum Refusal {
    Data(Said),
    TooManyPartitions(String),
    Memory(String),
    Schema(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(said) => said.fmt(f),
            Self::TooManyPartitions(text) | Self::Memory(text) | Self::Schema(text) => {
                f.write_str(text)
            }
        }
    }
}

fn refusal(piece: &Piece, origins: &[Origin], said: &Said) -> Option<Rejection> {
    let origin = *origins.get(piece.start)?;
    let fault = Fault {
        reason: Reason::InsertRefused,
        column: None,
        pointer: String::new(),
        expected: "a record that ClickHouse takes".into(),
        got_kind: "",
        got: said.whole().to_owned(),
    };
    Some(Rejection { origin, stage: Stage::Insert, fault })
}

/// How many rows of a batch one INSERT takes, so that it is one block, and so atomic: below
/// `min_insert_block_size_rows` (1,048,449) and `min_insert_block_size_bytes` (256 MiB).
fn max_rows(rows: &RecordBatch) -> usize {
    const MAX_ROWS: usize = 1_000_000;
    const MAX_BYTES: usize = 200 * 1024 * 1024;
    let row_bytes = rows.get_array_memory_size().div_ceil(rows.num_rows().max(1)).max(1);
    MAX_ROWS.min(MAX_BYTES / row_bytes).max(1)
}

/// One record batch as an Arrow IPC stream.
fn body(rows: &RecordBatch) -> Result<Bytes, String> {
    let mut body = Vec::with_capacity(rows.get_array_memory_size() / 2 + 4096);
    let written = arrow_ipc::writer::StreamWriter::try_new(&mut body, &rows.schema()).and_then(
        |mut writer| {
            writer.write(rows)?;
            writer.finish()
        },
    );
    written.map(|()| Bytes::from(body)).map_err(|error| format!("arrow ipc: {error}"))
}

fn insert_sql(table: &Table, rows: &RecordBatch) -> String {
    let columns: Vec<String> =
        rows.schema().fields().iter().map(|field| identifier(field.name())).collect();
    let (database, name) = (identifier(&table.schema.database), identifier(&table.schema.table));
    format!("INSERT INTO {database}.{name} ({}) FORMAT ArrowStream", columns.join(", "))
}
