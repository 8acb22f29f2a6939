//! The source: a thread that owns the consumer, reads batches, and reports rebalances.
//!
//! Only this thread uses the consumer. It sends [`SourceEvent`]s in order: a partition is assigned before its
//! first batch, and its last batch comes before it is revoked. The pipeline sends [`SourceCommand`]s, and
//! answers a revocation by its reply.

mod beginnings;
mod build;
mod context;
mod failures;
mod fresh;
mod ids;
mod mark;
mod open;
mod poll;
mod preflight;
mod refusals;
mod stall;
mod stand;
mod troubles;
mod watch;

use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::delivery::offsets::Commit;
use crate::delivery::plans::Beginning;
use crate::flow::hold::Fatal;
use crate::flow::record::{Batch, TopicPartition};
use crate::limits::budget::Lease;
use crate::observe::Observed;

/// How long a revoked partition may take to settle what is in flight.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// An assigned partition.
#[derive(Debug)]
pub struct Assignment {
    /// Which.
    pub partition: TopicPartition,
    /// The epoch of its records.
    pub epoch: u64,
    /// Its start, if that is to be committed at once.
    pub start: Option<i64>,
    /// Kafka's id of the topic and the committed plan; only under exactly once.
    pub planned: Option<(u128, Beginning)>,
}

/// Why a commit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitRefusal {
    /// The group is changing its assignment; this passes by itself.
    GroupChanges,
    /// Commits fail until an operator acts.
    NeedsOperator,
    /// Anything else.
    Other,
}

/// Events from the source to the pipeline.
#[derive(Debug)]
pub enum SourceEvent {
    /// These partitions were assigned.
    Assigned(Vec<Assignment>),
    /// Assigned partitions whose topic was recreated or truncated: earlier records of theirs no longer count.
    Restarted(Vec<Assignment>),
    /// Records taken together. The lease is their share of the budget.
    Batch(Batch, Lease),
    /// Partitions to give back: settle what is in flight and reply with the offsets to commit, within
    /// [`DRAIN_TIMEOUT`]. The consumer waits for the reply.
    Revoked {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// The membership is already lost: nothing can be committed.
        is_lost: bool,
        /// Takes the offsets to commit before the partitions are given back.
        reply: std_mpsc::SyncSender<Vec<Commit>>,
    },
    /// Kafka stored these offsets.
    Committed(Vec<Commit>),
    /// A commit failed.
    CommitFailed {
        /// The partitions whose offsets may not be stored.
        of: Vec<TopicPartition>,
        /// Whether certainly nothing was stored.
        is_refused: bool,
        /// The kind of failure.
        why: CommitRefusal,
        /// Kafka's text.
        text: String,
    },
    /// The source has stopped, and has handed over the last batch.
    Stopped,
    /// The consumer cannot go on.
    Failed(Fatal),
}

/// Commands from the pipeline to the source.
#[derive(Debug)]
pub enum SourceCommand {
    /// Commit these offsets without waiting; [`SourceEvent::Committed`] answers.
    Commit(Vec<Commit>),
    /// Leave the group and join it again, which voids commits without an answer. The partitions are revoked
    /// as lost.
    Rejoin,
    /// Stop reading; records already read come as a last batch.
    Stop,
    /// Commit these offsets, leave the group, end the thread; then answer.
    Close(Vec<Commit>, oneshot::Sender<()>),
}

/// The pipeline's end of the source.
pub struct Source {
    events: mpsc::UnboundedReceiver<SourceEvent>,
    commands: std_mpsc::Sender<SourceCommand>,
}

impl Source {
    /// Starts the thread. It connects, waits for the topics to exist, subscribes and reads.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn start(config: &Config, observed: &Observed) -> anyhow::Result<Self> {
        // Unbounded, since the budget bounds what goes through.
        let (events, received) = mpsc::unbounded_channel();
        let (commands, orders) = std_mpsc::channel();
        let poller = poll::Poller::new(config, observed, events, orders)?;
        std::thread::Builder::new().name("source".into()).spawn(move || poller.run())?;
        Ok(Self { events: received, commands })
    }

    /// The next event; `None` once the thread has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<SourceEvent> {
        self.events.recv().await
    }

    /// Sends a command. It is dropped if the thread has ended, since nothing is left to command.
    pub fn command(&self, command: SourceCommand) {
        let _ended = self.commands.send(command);
    }
}
