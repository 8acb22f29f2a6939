//! The sink: one INSERT for a batch's rows, split between records only when the data is refused.
//!
//! What goes on here is either over (landed, refused) or waited out: a transient error and a
//! pause never come back to the caller. An error of the schema does, since the rows must then be
//! decoded again.

mod body;
mod client;
mod errors;
mod fitness;
mod partitions;
mod pieces;
mod planned;
mod refusal;
mod settings;
mod table;
mod text;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;

pub use body::{Body, max_rows};
pub use client::Server;
pub use errors::hold_of_select;
pub use fitness::why_not_exactly_once;
pub use pieces::Piece;
pub use refusal::{Refusal, Refused, rejection};
pub use settings::{needed_settings, planned_settings};
pub use table::{Description, Facts, Table, describe, may_insert, read, version};

use crate::blocking;
use crate::config::Compression;
use crate::observe::count::{self, Class, Step};
use crate::observe::status::{Status, Waiter};
use crate::outcome::Hold;
use crate::record::Origin;
use crate::rejection::Rejection;
use crate::retry::Backoff;
use client::Sending;
use errors::InsertError;
use partitions::by_partition;
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

impl Left {
    /// One record alone was refused for its size.
    pub fn too_large(refusal: &Refusal) -> Self {
        Self::TooLarge(Hold::Paused(format!(
            "one record alone is more than ClickHouse takes in an INSERT: raise \
             max_partitions_per_insert_block in CLICKHOUSE_SETTINGS and restart, or partition the \
             table by less: {refusal}"
        )))
    }
}

/// Inserts into one table.
pub struct Sink {
    server: Server,
    status: Arc<Status>,
    /// How far the deduplication window had moved when it was last looked at; 0 before.
    last_mark: AtomicU64,
}

impl Sink {
    /// A sink for the server.
    pub fn new(server: Server, status: Arc<Status>) -> Self {
        Self { server, status, last_mark: AtomicU64::new(0) }
    }

    /// What a body takes in memory at most while it is written, of columns that take so many bytes: their
    /// bytes again; and where they are compressed, each buffer until the last one is.
    pub fn body_bytes(&self, columns: usize) -> usize {
        match self.server.compression() {
            Compression::None => columns,
            Compression::Lz4 => 2 * columns,
        }
    }

    /// The rows as an INSERT into the table.
    ///
    /// # Errors
    /// Arrow cannot write them.
    ///
    /// # Cancel safety
    /// Dropped, the rows are held until the body is written, and nothing is sent.
    pub async fn body(&self, table: &Table, rows: &RecordBatch) -> Result<Body, String> {
        let (table, rows, compression) = (table.clone(), rows.clone(), self.server.compression());
        blocking::run(move || Body::of(&table, &rows, compression)).await
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
            self.server.is_async() && !table.facts.is_deduplicating && !is_by_partition;
        while let Some(piece) = open.pop() {
            if piece.is_empty() {
                continue;
            }
            let halves = piece.split(origins);
            // A try whose answer was lost may have landed: where the table knows its token, nothing
            // is sent under another.
            let may_split = halves.is_some() && !table.facts.is_deduplicating;
            let slice = rows.slice(piece.start, piece.len());
            let sent = match self.body(table, &slice).await {
                Ok(body) => {
                    // Made once for these bytes and kept for every retry of them. Random: one derived
                    // from content or offsets would let the server drop new data after a replay.
                    let token = uuid::Uuid::new_v4().to_string();
                    let (may_split_for_memory, mark) = (may_split, None);
                    let sending =
                        Sending { token: &token, may_be_async, may_split_for_memory, mark };
                    self.send(table, &body, &sending).await.map_err(|refused| refused.refusal)
                }
                Err(text) => Err(Refusal::Schema(text)),
            };
            match (sent, halves) {
                (Ok(()), _) => inserted.landed.extend(piece.origins(origins)),
                (Err(Refusal::Schema(text) | Refusal::Aged(text)), _) => {
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
                        (piece.of(origins).to_vec(), table.facts.partition_columns.clone());
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
                    let origin = origins.get(piece.start);
                    inserted.refused.extend(origin.map(|origin| rejection(*origin, &said)));
                }
                (Err(Refusal::Data(said)), None) => {
                    inserted.left = Some(Left::TooManyRefused(said.to_string()));
                    break;
                }
                // Nothing is split for want of memory that cannot be.
                (Err(refusal), None) => {
                    inserted.left = Some(Left::too_large(&refusal));
                    break;
                }
            }
        }
        inserted
    }

    /// Sends one body until it is in, or refused for its data or its schema.
    async fn send(&self, table: &Table, body: &Body, sending: &Sending<'_>) -> Result<(), Refused> {
        let mut backoff = Backoff::default();
        let (mut memory_tries, mut may_have_landed) = (0, false);
        let waiter = self.status.waiter("clickhouse");
        let into =
            Place { database: table.schema.database.clone(), name: table.schema.table.clone() };
        let outcome = loop {
            if let Some(mark) = sending.mark
                && let Some(text) = self.is_aged(table, mark, &waiter).await
            {
                break Err(Refusal::Aged(text));
            }
            let started = Instant::now();
            let sent = self.server.insert(&body.sql, body.bytes.clone(), &table.settings, sending);
            let Err(error) = sent.await else {
                count::landed(body.rows, started.elapsed());
                break Ok(());
            };
            count::insert_failed(started.elapsed());
            let error = errors::classify(&error, self.server.url(), Some(&into));
            match self.confirm(error, &into, &waiter).await {
                InsertError::Data(said) => break Err(Refusal::Data(said)),
                InsertError::TooManyPartitions(text) => {
                    break Err(Refusal::TooManyPartitions(text));
                }
                InsertError::Memory(text)
                    if sending.may_split_for_memory && memory_tries == MEMORY_TRIES =>
                {
                    break Err(Refusal::Memory(text));
                }
                InsertError::Memory(text) => {
                    memory_tries += 1;
                    // Where rows may be split for it, want of memory is known to leave none.
                    may_have_landed |= !sending.may_split_for_memory;
                    count::retried(Step::Insert, Class::Transient);
                    waiter.hold(Hold::Transient(text));
                    backoff.wait().await;
                }
                InsertError::Schema(text) => break Err(Refusal::Schema(text)),
                InsertError::View { views, said } if !table.facts.is_deduplicating => {
                    count::landed_without_view(body.rows);
                    self.wait_for_view(&waiter, &views, &said).await;
                    break Ok(());
                }
                InsertError::View { views, said } => {
                    let text = format!(
                        "{} refuses rows that the table holds already; mend or drop the view: \
                         {said}",
                        told(&views)
                    );
                    may_have_landed = true;
                    count::retried(Step::Insert, Class::View);
                    waiter.hold(Hold::Paused(text));
                    tokio::time::sleep(PAUSE).await;
                }
                InsertError::Hold(hold) => {
                    may_have_landed = true;
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
                    may_have_landed = true;
                    count::retried(Step::Insert, Class::Unknown);
                    waiter.hold(hold(text));
                    backoff.wait().await;
                }
            }
        };
        self.status.clickhouse_answered();
        outcome.map_err(|refusal| Refused { refusal, may_have_landed })
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
        // One that is gone already was touched since it threw.
        let mut is_touched = before.contains(&None);
        while !is_touched {
            waiter.hold(Hold::Paused(text.clone()));
            tokio::time::sleep(PAUSE).await;
            let now = table::definitions(&self.server, views).await;
            is_touched = now.is_ok_and(|now| now != before);
        }
        tracing::error!(view, "rows of one batch are in the table but not in the view");
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
