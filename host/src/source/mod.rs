//! The source: a thread that owns the consumer, reads batches, and tells of rebalances.
//!
//! Nobody else touches the consumer. The thread speaks by [`SourceEvent`]s, in order: a partition
//! is assigned before its first batch, and its last batch comes before it is revoked. The
//! pipeline answers by [`SourceCommand`]s, and to a revocation by its reply.

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

/// How long a revoked partition may take to settle what is in flight before it is let go.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A partition that is ours.
#[derive(Debug)]
pub struct Assignment {
    /// Which.
    pub partition: TopicPartition,
    /// The epoch that its records carry.
    pub epoch: u64,
    /// Where it begins, if that is to be committed at once.
    pub start: Option<i64>,
    /// Kafka's id of the topic, and what is committed, where each record is to land exactly once.
    pub planned: Option<(u128, Beginning)>,
}

/// Why a commit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitRefusal {
    /// The group is changing its assignment, which passes.
    GroupChanges,
    /// It will not be stored before an operator has mended something.
    NeedsOperator,
    /// Anything else.
    Other,
}

/// What the source tells the pipeline.
#[derive(Debug)]
pub enum SourceEvent {
    /// Partitions that are ours from now on.
    Assigned(Vec<Assignment>),
    /// Partitions of ours whose topic was made again, or has lost its end: what was read of them before
    /// counts no more.
    Restarted(Vec<Assignment>),
    /// Records taken together. The lease is their share of the budget.
    Batch(Batch, Lease),
    /// Partitions to let go: settle what is in flight and reply with what may be committed, at
    /// the latest after [`DRAIN_TIMEOUT`]. The consumer waits for the reply.
    Revoked {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// The membership is gone already: nothing can be committed any more.
        is_lost: bool,
        /// Takes the offsets to commit before the partitions are given back.
        reply: std_mpsc::SyncSender<Vec<Commit>>,
    },
    /// Kafka stored these offsets.
    Committed(Vec<Commit>),
    /// A commit failed.
    CommitFailed {
        /// The partitions whose offsets were not stored, as far as is known.
        of: Vec<TopicPartition>,
        /// It is certain that nothing was stored.
        is_refused: bool,
        /// Why, as far as that matters.
        why: CommitRefusal,
        /// What Kafka says.
        text: String,
    },
    /// Told to stop, and the last batch was handed over before this.
    Stopped,
    /// The consumer cannot go on.
    Failed(Fatal),
}

/// What the pipeline tells the source.
#[derive(Debug)]
pub enum SourceCommand {
    /// Commit these offsets, without waiting; [`SourceEvent::Committed`] answers.
    Commit(Vec<Commit>),
    /// Leave the group and join it again: what was committed without an answer is void then. The
    /// partitions are revoked as lost.
    Rejoin,
    /// Read no more; what was read comes as a last batch.
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
        // Unbounded, since what goes through is bounded by the budget.
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

    /// Gives a command. One that comes after the thread's end is dropped: there is nothing left
    /// to command.
    pub fn command(&self, command: SourceCommand) {
        let _ended = self.commands.send(command);
    }
}
