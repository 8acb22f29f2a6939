//! What can happen next, and how a trace tells it.

use std::fmt;

use crate::offsets::Offsets;
use crate::world::{Commit, Insert, Token};

/// One step of the model. A member is named by the generation it was assigned under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A member is assigned the partition under the next generation, and reads what is committed.
    Assigned(u8),
    /// A member ends: it crashed, or it learnt that its assignment is over, or gave it up.
    Ended(u8),
    /// A member asks for a commit.
    Commits(Why, Commit),
    /// The broker takes or refuses a commit.
    CommitArrives { commit: Commit, is_taken: bool, is_heard: bool },
    /// A commit is lost on the way.
    CommitLost(Commit),
    /// A member stops waiting for the answer to a commit, and goes on: a flaw.
    CommitGivenUp(u8),
    /// A member dead-letters records of a batch, and has the reports.
    DeadLetters { generation: u8, records: Offsets },
    /// A member hands dead letters to its producer: a flaw.
    HandsOver { generation: u8, records: Offsets },
    /// The broker reports what the producer held.
    Reported(u8),
    /// A member sends an INSERT.
    Inserts(Insert),
    /// The server takes or refuses an INSERT.
    InsertArrives { insert: Insert, answer: Answer, is_heard: bool },
    /// An INSERT is lost on the way.
    InsertLost(Insert),
    /// A batch without rows is settled.
    NothingToInsert { generation: u8, token: Token },
    /// A member waits until nothing can arrive under a token, then knows what became of it.
    Finds { generation: u8, token: Token, found: Found },
    /// A member of which a flaw is known splits a batch without a plan.
    SplitsBySuffix { generation: u8, token: Token },
    /// So much was inserted since that the tokens of all plans may soon be forgotten.
    PlansAge,
    /// The tokens of old plans leave the deduplication window.
    TokensForgotten,
    /// The table is altered.
    TableAltered,
    /// A copy takes the place of the table.
    TableReplaced,
    /// Retention or compaction takes a record.
    Vanishes(i64),
    /// The topic is created again. Its committed offset is gone with it, or is left behind.
    TopicRecreated { keeps_offset: bool },
}

/// What a commit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It plans the next batch.
    Plan,
    /// It tells the low watermark.
    Retire,
    /// It replaces a batch that was refused by its halves.
    Split,
    /// It gives a batch that did not land a fresh nonce and window position.
    Renew,
}

/// What the server answers to an INSERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its rows are stored.
    Stored,
    /// Its token is in the window: nothing is stored, and it is answered as if it were.
    Deduplicated,
    /// Its rows are refused, all of them.
    Refused,
    /// The server fails once it has logged the token, and before it has stored the rows.
    Logged,
}

/// What a member finds out about a batch whose INSERT may have landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Its rows are in the table.
    Landed,
    /// Nothing of it is in the table, and nothing can arrive.
    NotLanded,
    /// It cannot be told.
    Nothing,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heard = |is_heard: &bool| if *is_heard { "" } else { ", the answer is lost" };
        match self {
            Self::Assigned(generation) => {
                write!(f, "member {generation} is assigned, reads what is committed")
            }
            Self::Ended(generation) => write!(f, "member {generation} ends"),
            Self::Commits(why, Commit { generation, commits }) => {
                let why = match why {
                    Why::Plan => "plans a batch",
                    Why::Retire => "tells its low watermark",
                    Why::Split => "splits a refused batch",
                    Why::Renew => "plans a batch anew that did not land",
                };
                write!(f, "member {generation} {why}: commits {commits}")
            }
            Self::CommitArrives { commit, is_taken, is_heard } => {
                let done = if *is_taken { "takes" } else { "refuses" };
                let Commit { generation, commits } = commit;
                let heard = heard(is_heard);
                write!(f, "the broker {done} the commit of member {generation}: {commits}{heard}")
            }
            Self::CommitLost(Commit { generation, commits }) => {
                write!(f, "the commit of member {generation} is lost: {commits}")
            }
            Self::CommitGivenUp(generation) => {
                write!(f, "member {generation} waits no longer for the answer to its commit")
            }
            Self::DeadLetters { generation, records } => {
                write!(f, "member {generation} dead-letters {records}, has the reports")
            }
            Self::HandsOver { generation, records } => {
                write!(f, "member {generation} hands the dead letters of {records} over")
            }
            Self::Reported(generation) => {
                write!(f, "the dead letters of member {generation} arrive")
            }
            Self::Inserts(Insert { generation, token, rows, .. }) => {
                write!(f, "member {generation} sends the rows of {rows}: {token}")
            }
            Self::InsertArrives { insert: Insert { generation, token, .. }, answer, is_heard } => {
                let done = match answer {
                    Answer::Stored => "stores",
                    Answer::Deduplicated => "drops as a repetition",
                    Answer::Refused => "refuses",
                    Answer::Logged => "logs the token and loses the rows of",
                };
                let heard = heard(is_heard);
                write!(f, "ClickHouse {done} the insert of member {generation}: {token}{heard}")
            }
            Self::InsertLost(Insert { generation, token, .. }) => {
                write!(f, "the insert of member {generation} is lost: {token}")
            }
            Self::NothingToInsert { generation, token } => {
                write!(f, "member {generation} has no row to insert: {token}")
            }
            Self::Finds { generation, token, found } => {
                let found = match found {
                    Found::Landed => "that its rows are in the table",
                    Found::NotLanded => "that nothing of it landed",
                    Found::Nothing => "no proof either way, and pauses",
                };
                write!(f, "member {generation} looks at {token}, finds {found}")
            }
            Self::SplitsBySuffix { generation, token } => {
                write!(f, "member {generation} splits without a plan: {token}")
            }
            Self::PlansAge => f.write_str("what is planned becomes too old for the window"),
            Self::TokensForgotten => f.write_str("the window forgets the tokens of old plans"),
            Self::TableAltered => f.write_str("the table is altered"),
            Self::TableReplaced => f.write_str("a copy takes the place of the table"),
            Self::Vanishes(offset) => write!(f, "record {offset} vanishes from the topic"),
            Self::TopicRecreated { keeps_offset } => {
                let offset = if *keeps_offset { "left behind" } else { "gone with it" };
                write!(f, "the topic is created again, its committed offset is {offset}")
            }
        }
    }
}
