//! The sink: one INSERT for a batch's rows, split between records only when the data is refused.
//!
//! A call returns only rows that landed or were refused: transient errors and pauses are waited out here. A
//! schema error does return, since the rows must then be decoded again.

mod evidence;
pub mod exactly_once;
mod home;
mod insert;
mod memory;
mod ordered;
mod partitions;
mod pieces;
mod planned;
mod refusal;
mod send;
mod sending;
mod sums;
mod views;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use evidence::Evidence;
pub use home::{Promised, TableStand};
pub use pieces::Piece;
pub use refusal::{APART, Refusal, RefusedInsert, rejection};
pub use send::Landed;

use crate::base::retry::Backoff;
use crate::clickhouse::{Server, TableLook};
use crate::config::Compression;
use crate::flow::hold::Hold;
use crate::flow::record::Origin;
use crate::flow::rejection::Rejection;
use crate::observe::count::{self, RetryClass, RetryStep};
use crate::observe::status::{Status, Waiter};

/// How often to retry while an operator has to act.
const PAUSE: Duration = Duration::from_secs(5);

/// What became of the rows.
#[derive(Debug, Default)]
pub struct Inserted {
    /// The records whose rows are in the table.
    pub landed: Vec<Origin>,
    /// The landed records whose rows a materialized view lacks, with the view's name.
    pub without_view: Vec<(Vec<Origin>, String)>,
    /// The records that ClickHouse refused alone; one more than allowed if that is why others were left.
    pub refused: Vec<Rejection>,
    /// Why other rows were left; `None` if none were.
    pub left: Option<RowsLeft>,
}

impl Inserted {
    fn add(&mut self, more: Self) {
        self.landed.extend(more.landed);
        self.without_view.extend(more.without_view);
        self.refused.extend(more.refused);
        self.left = self.left.take().or(more.left);
    }
}

/// Why rows were left.
#[derive(Debug, PartialEq, Eq)]
pub enum RowsLeft {
    /// The table has changed: read it and decode the rows again.
    SchemaChanged(String),
    /// More records were refused than the caller allows.
    TooManyRefused,
    /// They wait for an operator: none of their values is at fault.
    Held(Hold),
}

impl RowsLeft {
    /// One record alone was refused for its size.
    pub fn too_large(refusal: &Refusal) -> Self {
        let look = match refusal {
            Refusal::TooManyPartitions(_) => {
                "raise max_partitions_per_insert_block in CLICKHOUSE_SETTINGS and restart, or partition \
                 the table by less"
            }
            Refusal::TooLarge(_) => "raise the size of bodies that the proxy takes",
            _ => "raise the memory of CLICKHOUSE_USER",
        };
        Self::Held(Hold::Paused(format!(
            "one record alone is more than an INSERT takes: {look}: {refusal}"
        )))
    }
}

/// Inserts into one table.
pub struct Sink {
    server: Server,
    status: Arc<Status>,
    look: Arc<dyn TableLook>,
    /// The table's state when it was last read for planned rows.
    last_stand: Mutex<Option<TableStand>>,
    /// One token search at a time, since each reads the whole column.
    search: tokio::sync::Mutex<()>,
    /// How many INSERTs have landed.
    landed: AtomicU64,
    /// The table definition that last took an INSERT without rows, and when.
    took_none: Mutex<Option<(String, Instant)>>,
}

impl Sink {
    /// A sink for the server.
    pub fn new(server: Server, status: Arc<Status>, look: Arc<dyn TableLook>) -> Self {
        let (last_stand, took_none) = (Mutex::default(), Mutex::default());
        let search = tokio::sync::Mutex::new(());
        let landed = AtomicU64::new(0);
        Self { server, status, look, last_stand, search, landed, took_none }
    }

    fn last_stand(&self) -> MutexGuard<'_, Option<TableStand>> {
        self.last_stand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Upper bound on the memory needed to encode `columns` bytes: the same again, or twice that with LZ4,
    /// which keeps every compressed buffer until the end.
    pub fn body_bytes(&self, columns: usize) -> usize {
        match self.server.compression() {
            Compression::None => columns,
            Compression::Lz4 => 2 * columns,
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
                count::retried(RetryStep::Table, RetryClass::from(&hold));
                waiter.hold(hold);
            }
        }
        waiter.pause(backoff.next_delay()).await;
    }
}
