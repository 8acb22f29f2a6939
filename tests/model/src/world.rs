//! What is remembered, and where: by Kafka, by ClickHouse, and by each member until it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::offsets::Offsets;
use sluicegate::delivery::plans::{Home, Plan, Planned};

/// The whole state of the model: one partition of one topic, and one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// The broker.
    pub kafka: Kafka,
    /// The server.
    pub clickhouse: ClickHouse,
    /// Those that were assigned the partition and have not ended. The one of Kafka's generation owns
    /// it; any other is a zombie.
    pub members: Vec<Member>,
}

/// What the broker remembers, and the commits on their way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Kafka {
    /// How often the topic was created again.
    pub topic: u8,
    /// Records that retention or compaction took.
    pub vanished: Offsets,
    /// The generation of the group; 0 before the first member.
    pub generation: u8,
    /// The committed offset and its metadata.
    pub committed: Option<Committed>,
    /// Commits under way. They may arrive in any order, late, or never.
    pub commits: BTreeSet<Commit>,
    /// Offsets of records that are in the dead letter topic.
    pub dead_letters: Offsets,
}

/// A committed offset and its metadata.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The plan in the metadata; `None` where at-least-once commits without one.
    pub plan: Option<Plan>,
    /// Which topic's records the offset speaks of. The broker does not know this.
    pub topic: u8,
}

/// A commit on its way to the broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit {
    /// Whose it is.
    pub generation: u8,
    /// What it commits.
    pub commits: Committed,
}

/// What the server remembers, and the INSERTs on their way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClickHouse {
    /// How often the table was altered.
    pub altered: u8,
    /// How often another table took the place of the table.
    pub table: u32,
    /// How often a server failed between a token and its rows.
    pub failures: u8,
    /// How far the deduplication window has moved: what was planned at a lower position is too old to be
    /// relied on, and may be forgotten.
    pub window: u64,
    /// The tokens that are in each server's window, with the marks of their plans.
    pub tokens: BTreeMap<(u32, Token), u64>,
    /// The tokens whose rows each server has; empty where the table cannot be asked.
    pub column: BTreeSet<(u32, Token)>,
    /// The rows of each topic's records, the first one's first.
    pub rows: [Rows; 2],
    /// INSERTs under way. They may arrive in any order, late, or never.
    pub inserts: BTreeSet<Insert>,
}

/// The rows of a topic's records in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rows {
    /// Records whose row is there.
    pub landed: Offsets,
    /// Records whose row is there more than once.
    pub doubled: Offsets,
}

/// What the deduplication token is made of, beside group, topic and partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// First offset of the range.
    pub start: i64,
    /// The offset after its last.
    pub end: i64,
    /// The nonce of its plan.
    pub nonce: u64,
}

/// An INSERT on its way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Insert {
    /// Whose it is.
    pub generation: u8,
    /// Its token.
    pub token: Token,
    /// The records whose rows it holds.
    pub rows: Offsets,
    /// Which topic they are of.
    pub topic: u8,
    /// The window position of its plan.
    pub window_position: u64,
    /// The server that it is bound to.
    pub server: u32,
}

/// What a member remembers of the partition. All of it is gone when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The generation under which it was assigned the partition.
    pub generation: u8,
    /// Which topic it reads.
    pub topic: u8,
    /// The low watermark: the first batch begins here.
    pub low: i64,
    /// The low watermark that Kafka was told.
    pub told: i64,
    /// The batches that are not settled, and those behind them. Each begins where the last ended.
    pub batches: Vec<Batch>,
    /// The commit whose answer it waits for.
    pub awaits: Option<Committed>,
    /// How many nonces it made.
    pub nonces: u64,
    /// Dead letters that were handed to the producer and not reported. Only where letters are not
    /// awaited, which is a flaw.
    pub unreported: Offsets,
    /// Whether it waits for an operator to set the group's offset.
    pub is_paused: bool,
}

/// A planned range, as its member knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Batch {
    /// What the plan holds of it.
    pub planned: Planned,
    /// Whether the plan that names it is known to be committed.
    pub is_committed: bool,
    /// What is known of its INSERT.
    pub fate: Fate,
    /// Its records whose dead letters were reported.
    pub reported: Offsets,
    /// Dead letters that are sent only after the INSERT, which is a flaw.
    pub owed: Offsets,
}

/// What a member knows of the INSERT of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nothing was sent under its token, by anyone.
    Unsent,
    /// Sent once, and not answered yet.
    Sent,
    /// There is an INSERT under its token of which no answer was heard: it may have landed.
    Unknown,
    /// Taken, where an earlier INSERT under its token may have left the token without the rows.
    Unproved,
    /// ClickHouse refused these rows.
    Refused {
        /// The rows that were refused.
        rows: Offsets,
        /// Whether it is certain that nothing landed under the token, and that nothing will.
        is_definite: bool,
    },
    /// Nothing is left to do for it.
    Settled,
    /// Nobody can tell whether it landed: an operator is told the range.
    Paused,
}

impl World {
    /// The world with this member as it is now.
    #[must_use]
    pub fn with(&self, member: Member) -> Self {
        let mut world = self.clone();
        world.members.retain(|other| other.generation != member.generation);
        world.members.push(member);
        world.members.sort_by_key(|member| member.generation);
        world
    }

    /// The member that owns the partition.
    pub fn owner(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.generation == self.kafka.generation)
    }
}

impl ClickHouse {
    /// The rows of the records of a topic.
    pub fn rows_of(&self, topic: u8) -> Rows {
        self.rows.get(usize::from(topic)).copied().unwrap_or_default()
    }

    /// Stores what an INSERT holds, unless its token is in the server's window.
    pub fn store(&mut self, insert: &Insert, server: u32) {
        if self.tokens.insert((server, insert.token), insert.window_position).is_none()
            && let Some(rows) = self.rows.get_mut(usize::from(insert.topic))
        {
            rows.doubled = rows.doubled.or(rows.landed.and(insert.rows));
            rows.landed = rows.landed.or(insert.rows);
        }
    }
}

impl Member {
    /// The offset to read next.
    pub fn next(&self) -> i64 {
        self.batches.last().map_or(self.low, |batch| batch.planned.end)
    }

    /// The batches with their tokens.
    pub fn tokens(&self) -> impl Iterator<Item = (usize, Token, &Batch)> {
        let starts =
            std::iter::once(self.low).chain(self.batches.iter().map(|batch| batch.planned.end));
        starts.zip(&self.batches).enumerate().map(|(at, (start, batch))| {
            let Planned { end, nonce, .. } = batch.planned;
            (at, Token { start, end, nonce }, batch)
        })
    }

    /// The member with one batch changed, and the settled prefix behind its low watermark.
    #[must_use]
    pub fn with_batch(&self, at: usize, change: impl FnOnce(&mut Batch)) -> Self {
        let mut member = self.clone();
        if let Some(batch) = member.batches.get_mut(at) {
            change(batch);
            if batch.is_settled() {
                // Nothing else of it matters any more.
                (batch.reported, batch.owed) = Default::default();
            }
        }
        let settled = member.batches.iter().take_while(|batch| batch.is_settled()).count();
        if let Some(last) = member.batches.drain(..settled).next_back() {
            member.low = last.planned.end;
        }
        member
    }
}

impl Batch {
    /// The server that it was planned for.
    pub fn server(&self) -> u32 {
        self.planned.home.map_or(0, |Home { server, .. }| server)
    }

    /// A batch of which nothing was sent.
    pub fn new(planned: Planned) -> Self {
        Self {
            planned,
            is_committed: false,
            fate: Fate::Unsent,
            reported: Offsets::default(),
            owed: Offsets::default(),
        }
    }

    /// Whether its records are landed or dead-lettered.
    pub fn is_settled(&self) -> bool {
        self.fate == Fate::Settled && self.owed.is_empty()
    }
}

impl Token {
    /// Its offsets.
    pub fn offsets(self) -> Offsets {
        Offsets::of(self.start..self.end)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}) nonce {:x}", self.start, self.end, self.nonce)
    }
}

impl fmt::Display for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}", self.offset)?;
        self.plan.as_ref().map_or(Ok(()), |plan| write!(f, " \"{plan}\""))
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kafka.committed {
            None => f.write_str("nothing is committed")?,
            Some(committed) => write!(f, "committed {committed}")?,
        }
        let rows = self.clickhouse.rows_of(self.kafka.topic);
        write!(f, ", landed {}, doubled {}", rows.landed, rows.doubled)?;
        write!(f, ", dead-lettered {}", self.kafka.dead_letters)
    }
}
