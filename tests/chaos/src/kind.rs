//! The kinds of faults, and which of them keep out of each other's way.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// What goes wrong. Each kind has a beginning and a mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// SIGTERM for the broker, started again at the mend.
    BrokerStopped,
    /// SIGKILL for the broker.
    BrokerKilled,
    /// SIGTERM for the engine.
    EngineStopped,
    /// SIGKILL for the engine.
    EngineKilled,
    /// The dead letter topic is deleted, and created at the mend.
    DeadLettersDeleted,
    /// INSERTs are refused for what an operator must mend.
    OperatorErrors,
    /// INSERTs are refused for a table that is not what the plan says.
    SchemaErrors,
    /// INSERTs are refused for what passes.
    TransientErrors,
    /// INSERTs are refused for want of memory.
    MemoryErrors,
    /// INSERTs are refused for too many parts.
    TooManyParts,
    /// INSERTs are refused for too many partitions of the table.
    TooManyPartitions,
    /// INSERTs are refused with a code that nobody knows.
    UnknownErrors,
    /// A proxy answers in ClickHouse's place.
    ProxyErrors,
    /// INSERTs are slow.
    InsertsDelayed,
    /// Connections are reset before the body of an INSERT is read.
    ResetBeforeCommit,
    /// Connections are reset within the body of an INSERT.
    ResetDuringBody,
    /// Connections are reset when the rows are stored, before the answer.
    ResetAfterCommit,
    /// The table cannot be read.
    TableReadRefused,
    /// The answer about the table breaks off.
    TableReadReset,
    /// A column is added that records have a field for, and dropped at the mend.
    ColumnAdded,
    /// A column that records fill is dropped, and added again at the mend.
    ColumnDropped,
    /// A materialized view throws, after the rows are in the table; it is dropped at the mend.
    ViewThrows,
    /// SIGKILL for one host; another takes its place at the mend.
    HostKilled,
    /// SIGKILL for every host at once.
    AllHostsKilled,
    /// SIGTERM for one host, whose successor starts at once.
    HostStopped,
    /// SIGTERM for one host, and SIGKILL while it drains.
    HostKilledWhileStopping,
    /// SIGTERM for one host, whose successor starts at the mend.
    HostRemoved,
    /// One host more; the oldest is stopped at the mend.
    HostAdded,
    /// SIGSTOP for longer than its session lasts, then SIGCONT: the host goes on with what it holds,
    /// and is a member no more.
    HostSuspended,
}

/// Where a fault is. There is one at a time at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The servers, one of which is away. Exclusive: with two of them away nothing is left to test.
    Servers,
    /// What the engine answers.
    Answers,
    /// The hosts.
    Hosts,
}

/// What a group of hosts is slow to notice: longer than the session of a member lasts.
const LONGER_THAN_A_SESSION: Duration = Duration::from_millis(4_500);

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 29] = [
        Self::BrokerStopped,
        Self::BrokerKilled,
        Self::EngineStopped,
        Self::EngineKilled,
        Self::DeadLettersDeleted,
        Self::OperatorErrors,
        Self::SchemaErrors,
        Self::TransientErrors,
        Self::MemoryErrors,
        Self::TooManyParts,
        Self::TooManyPartitions,
        Self::UnknownErrors,
        Self::ProxyErrors,
        Self::InsertsDelayed,
        Self::ResetBeforeCommit,
        Self::ResetDuringBody,
        Self::ResetAfterCommit,
        Self::TableReadRefused,
        Self::TableReadReset,
        Self::ColumnAdded,
        Self::ColumnDropped,
        Self::ViewThrows,
        Self::HostKilled,
        Self::AllHostsKilled,
        Self::HostStopped,
        Self::HostKilledWhileStopping,
        Self::HostRemoved,
        Self::HostAdded,
        Self::HostSuspended,
    ];

    /// Where it is.
    pub fn place(self) -> Place {
        match self {
            Self::BrokerStopped
            | Self::BrokerKilled
            | Self::EngineStopped
            | Self::EngineKilled
            | Self::DeadLettersDeleted => Place::Servers,
            Self::HostKilled
            | Self::AllHostsKilled
            | Self::HostStopped
            | Self::HostKilledWhileStopping
            | Self::HostRemoved
            | Self::HostAdded
            | Self::HostSuspended => Place::Hosts,
            _ => Place::Answers,
        }
    }

    /// Whether the engine is away: then nothing can be done to its answers.
    pub fn takes_the_engine(self) -> bool {
        matches!(self, Self::EngineStopped | Self::EngineKilled)
    }

    /// The shortest time from its beginning to its mend.
    pub fn lasts_at_least(self) -> Duration {
        match self {
            Self::HostSuspended => LONGER_THAN_A_SESSION,
            Self::HostStopped => Duration::ZERO,
            _ => Duration::from_secs(1),
        }
    }

    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokerStopped => "broker_stopped",
            Self::BrokerKilled => "broker_killed",
            Self::EngineStopped => "engine_stopped",
            Self::EngineKilled => "engine_killed",
            Self::DeadLettersDeleted => "dead_letters_deleted",
            Self::OperatorErrors => "operator_errors",
            Self::SchemaErrors => "schema_errors",
            Self::TransientErrors => "transient_errors",
            Self::MemoryErrors => "memory_errors",
            Self::TooManyParts => "too_many_parts",
            Self::TooManyPartitions => "too_many_partitions",
            Self::UnknownErrors => "unknown_errors",
            Self::ProxyErrors => "proxy_errors",
            Self::InsertsDelayed => "inserts_delayed",
            Self::ResetBeforeCommit => "reset_before_commit",
            Self::ResetDuringBody => "reset_during_body",
            Self::ResetAfterCommit => "reset_after_commit",
            Self::TableReadRefused => "table_read_refused",
            Self::TableReadReset => "table_read_reset",
            Self::ColumnAdded => "column_added",
            Self::ColumnDropped => "column_dropped",
            Self::ViewThrows => "view_throws",
            Self::HostKilled => "host_killed",
            Self::AllHostsKilled => "all_hosts_killed",
            Self::HostStopped => "host_stopped",
            Self::HostKilledWhileStopping => "host_killed_while_stopping",
            Self::HostRemoved => "host_removed",
            Self::HostAdded => "host_added",
            Self::HostSuspended => "host_suspended",
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
    fn every_kind_is_listed_once_under_a_name_of_its_own() {
        let names: HashSet<&str> = Kind::ALL.map(Kind::name).into();
        assert_eq!(names.len(), Kind::ALL.len());
        let last = Kind::ALL.last().map(|kind| *kind as usize);
        assert_eq!(last, Some(Kind::ALL.len() - 1), "a kind is missing");
    }
}
