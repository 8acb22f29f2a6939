//! The kinds of faults, and which of them keep out of each other's way.

use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Where a fault is. There is one at a time at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The servers, one of which is away. Exclusive: with two of them away nothing is left to test.
    Servers,
    /// What the engine answers, and what an operator does to the table.
    Answers,
    /// The hosts.
    Hosts,
    /// What the records hold.
    Records,
}

/// How much time a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Seconds: it is part of the short run among the tests.
    Quick,
    /// It lasts, or costs, more than the short run has time for.
    Slow,
}

/// What is known of a kind.
struct Facts {
    name: &'static str,
    place: Place,
    pace: Pace,
    /// The shortest time from its beginning to its mend, in milliseconds.
    lasts_ms: u64,
}

/// Declares each kind once: what it does, its name, where it is, its pace, and how long it lasts at
/// least, in milliseconds.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:literal $place:ident $pace:ident $lasts_ms:literal;)*) => {
        /// What goes wrong. Each kind has a beginning and a mend.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[doc = $doc])+ $kind,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            fn facts(self) -> Facts {
                match self {
                    $(Self::$kind => Facts {
                        name: $name,
                        place: Place::$place,
                        pace: Pace::$pace,
                        lasts_ms: $lasts_ms,
                    },)*
                }
            }
        }
    };
}

kinds! {
    /// SIGTERM for the broker, started again at the mend.
    BrokerStopped "broker_stopped" Servers Quick 1_000;
    /// SIGKILL for the broker.
    BrokerKilled "broker_killed" Servers Quick 1_000;
    /// SIGTERM for the engine.
    EngineStopped "engine_stopped" Servers Quick 1_000;
    /// SIGKILL for the engine.
    EngineKilled "engine_killed" Servers Quick 1_000;
    /// The dead letter topic is deleted, and created at the mend.
    DeadLettersDeleted "dead_letters_deleted" Servers Quick 1_000;
    /// The dead letter topic refuses every letter for its size.
    DeadLettersRefused "dead_letters_refused" Servers Slow 2_000;
    /// The engine dies between the log of deduplication tokens and the part.
    PublishKilled "publish_killed" Servers Slow 4_000;
    /// The source topic gets a partition more.
    TopicGrows "topic_grows" Servers Slow 1_000;
    /// The dead letter topic is empty, and records come whose timestamps are older than it keeps them.
    RecordsOld "records_old" Servers Slow 3_000;
    /// INSERTs are refused for what an operator must mend.
    OperatorErrors "operator_errors" Answers Quick 1_000;
    /// INSERTs are refused for a table that is not what the plan says.
    SchemaErrors "schema_errors" Answers Quick 1_000;
    /// INSERTs are refused for what passes.
    TransientErrors "transient_errors" Answers Quick 1_000;
    /// INSERTs are refused for want of memory.
    MemoryErrors "memory_errors" Answers Quick 1_000;
    /// INSERTs are refused for too many parts.
    TooManyParts "too_many_parts" Answers Quick 1_000;
    /// INSERTs are refused for too many partitions of the table.
    TooManyPartitions "too_many_partitions" Answers Quick 1_000;
    /// INSERTs are refused with a code that nobody knows.
    UnknownErrors "unknown_errors" Answers Quick 1_000;
    /// A proxy answers in ClickHouse's place.
    ProxyErrors "proxy_errors" Answers Quick 1_000;
    /// INSERTs are slow.
    InsertsDelayed "inserts_delayed" Answers Quick 1_000;
    /// Connections are reset before the body of an INSERT is read.
    ResetBeforeCommit "reset_before_commit" Answers Quick 1_000;
    /// Connections are reset within the body of an INSERT.
    ResetDuringBody "reset_during_body" Answers Quick 1_000;
    /// Connections are reset when the rows are stored, before the answer.
    ResetAfterCommit "reset_after_commit" Answers Quick 1_000;
    /// The table cannot be read.
    TableReadRefused "table_read_refused" Answers Quick 1_000;
    /// The answer about the table breaks off.
    TableReadReset "table_read_reset" Answers Quick 1_000;
    /// A column is added that records have a field for, and dropped at the mend.
    ColumnAdded "column_added" Answers Quick 1_000;
    /// A column that records fill is dropped, and added again at the mend.
    ColumnDropped "column_dropped" Answers Quick 1_000;
    /// A materialized view throws, after the rows are in the table; it is dropped at the mend.
    ViewThrows "view_throws" Answers Quick 1_000;
    /// A page with status 200 in ClickHouse's place: nothing is stored.
    SuccessOfPage "success_of_page" Answers Slow 1_000;
    /// ClickHouse's own success with no row written: nothing is stored.
    SuccessOfNothing "success_of_nothing" Answers Slow 1_000;
    /// The rows are stored, and the answer counts half of them.
    SuccessInPart "success_in_part" Answers Slow 1_000;
    /// The rows are stored, and the answer has lost ClickHouse's headers.
    SuccessWithoutHeaders "success_without_headers" Answers Slow 1_000;
    /// Something answers an INSERT with the answer to another one.
    SuccessOfAnother "success_of_another" Answers Slow 1_000;
    /// Connections are reset, and the INSERTs run 22 seconds later.
    InsertsLate "inserts_late" Answers Slow 1_000;
    /// INSERTs take 17 seconds, longer than what is under way is waited for.
    InsertsSlow "inserts_slow" Answers Slow 1_000;
    /// The table's parts are told after 12 seconds, and answers to INSERTs are lost.
    PartsReadSlow "parts_read_slow" Answers Slow 2_000;
    /// Rows are looked for in 12 seconds, and answers to INSERTs are lost.
    RowsReadSlow "rows_read_slow" Answers Slow 2_000;
    /// A part cannot be published once its token is logged, by an error of the disk.
    PublishFails "publish_fails" Answers Slow 1_000;
    /// The disk of the engine is full.
    DiskFull "disk_full" Answers Slow 1_000;
    /// A materialized view's table has too many parts; it has room again at the mend.
    ViewTargetFull "view_target_full" Answers Slow 1_000;
    /// A materialized view's table is dropped; so is the view at the mend.
    ViewTargetDropped "view_target_dropped" Answers Slow 1_000;
    /// The table is exchanged for another, without one of its columns, to which its rows are moved.
    TablesExchanged "tables_exchanged" Answers Slow 1_000;
    /// The table's deduplication window forgets all tokens but one, and has room again at the mend.
    WindowChanged "window_changed" Answers Slow 1_000;
    /// A column is narrowed while INSERTs are held whose values do not fit any more.
    ColumnNarrowed "column_narrowed" Answers Slow 3_000;
    /// SIGKILL for one host; another takes its place at the mend.
    HostKilled "host_killed" Hosts Quick 1_000;
    /// SIGKILL for every host at once.
    AllHostsKilled "all_hosts_killed" Hosts Quick 1_000;
    /// SIGTERM for one host, whose successor starts at once.
    HostStopped "host_stopped" Hosts Quick 0;
    /// SIGTERM for one host, and SIGKILL while it drains.
    HostKilledWhileStopping "host_killed_while_stopping" Hosts Quick 1_000;
    /// SIGTERM for one host, whose successor starts at the mend.
    HostRemoved "host_removed" Hosts Quick 1_000;
    /// One host more; the oldest is stopped at the mend.
    HostAdded "host_added" Hosts Quick 1_000;
    /// SIGSTOP for longer than its session lasts, then SIGCONT: the host goes on with what it holds,
    /// and is a member no more.
    HostSuspended "host_suspended" Hosts Quick 4_500;
    /// The same for longer than anything that is under way is waited for.
    HostSuspendedLong "host_suspended_long" Hosts Slow 26_000;
    /// SIGKILL for one host, whose successor has other batches and settings.
    HostReconfigured "host_reconfigured" Hosts Slow 2_000;
    /// The wall clock of every host jumps by seconds to days, and back again at the mend.
    ClockJumps "clock_jumps" Hosts Slow 1_000;
    /// One host has no memory left, ends as it may, and is replaced at the mend.
    HostOutOfMemory "host_out_of_memory" Hosts Slow 3_000;
    /// Records that the host takes for good, and an expression or a constraint of the table refuses.
    RecordsRefused "records_refused" Records Slow 2_000;
    /// The same by an expression of an index, behind which one partition of the table has its rows.
    RecordsRefusedInPart "records_refused_in_part" Records Slow 2_000;
    /// Records that a plugin fails on, where a host has it.
    RecordsTrap "records_trap" Records Slow 2_000;
}

impl Kind {
    /// Where it is.
    pub fn place(self) -> Place {
        self.facts().place
    }

    /// How much time it takes.
    pub fn pace(self) -> Pace {
        self.facts().pace
    }

    /// Whether the engine is away: then nothing can be done to its answers.
    pub fn takes_the_engine(self) -> bool {
        matches!(self, Self::EngineStopped | Self::EngineKilled | Self::PublishKilled)
    }

    /// The shortest time from its beginning to its mend.
    pub fn lasts_at_least(self) -> Duration {
        Duration::from_millis(self.facts().lasts_ms)
    }

    /// The name in the report.
    pub fn name(self) -> &'static str {
        self.facts().name
    }
}

/// Kinds as an option names them: one, or `quick` for all of the short run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named(pub Vec<Kind>);

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Kind::ALL.iter().copied();
        let kinds: Vec<Kind> = match text {
            "quick" => all.filter(|kind| kind.pace() == Pace::Quick).collect(),
            name => all.filter(|kind| kind.name() == name).collect(),
        };
        let names = || Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        match kinds.is_empty() {
            false => Ok(Self(kinds)),
            true => {
                Err(format!("no such kind; there are quick (those of the short run), {}", names()))
            }
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_is_found_by_it() {
        let names: HashSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(Named(vec![*kind])));
        }
        assert!("quick".parse::<Named>().unwrap().0.contains(&Kind::HostKilled));
        assert!("nonsense".parse::<Named>().unwrap_err().contains("host_killed"));
    }

    /// docs/chaos.md tells of each kind what it does, what keeps the promise, and which test fails
    /// without that.
    #[test]
    fn every_kind_is_in_the_docs() {
        let docs = include_str!("../../../docs/chaos.md");
        for kind in Kind::ALL {
            assert!(docs.contains(&format!("| `{}` |", kind.name())), "{}", kind.name());
        }
    }
}
