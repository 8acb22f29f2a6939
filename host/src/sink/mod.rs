//! The sink: one INSERT for a batch's rows, split between records only when the data is refused.
//!
//! What goes on here is either over (landed, refused) or waited out: a transient error and a
//! pause never come back to the caller. An error of the schema does, since the rows must then be
//! decoded again.

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

/// How often something that an operator must mend is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// What became of the rows.
#[derive(Debug, Default)]
pub struct Inserted {
    /// The records whose rows are in the table.
    pub landed: Vec<Origin>,
    /// Those of them whose rows a materialized view does not have, with the view's name.
    pub without_view: Vec<(Vec<Origin>, String)>,
    /// The records that ClickHouse refused alone; one more than was allowed where that is why others
    /// were left.
    pub refused: Vec<Rejection>,
    /// Why the others were left; `None` when none is.
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
    /// ClickHouse says the table is another: read it again and decode again.
    SchemaChanged(String),
    /// More records were refused than the caller allowed.
    TooManyRefused,
    /// They wait until somebody acts: no value of them is at fault.
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
    /// Where the table was and stood when it was last looked at for rows that are planned.
    last_stand: Mutex<Option<TableStand>>,
    /// A search for a token reads the whole column: one at a time.
    search: tokio::sync::Mutex<()>,
    /// How many INSERTs have landed.
    landed: AtomicU64,
    /// When a table of which definition last took an INSERT without rows.
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

    /// What a body takes in memory at most while it is written, of columns that take so many bytes: their
    /// bytes again; and where they are compressed, each buffer until the last one is.
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
