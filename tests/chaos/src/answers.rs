//! What the engine answers wrongly: from a kind to a fault of its fault plane.

use sluicegate_local::{AppliesTo, FalseSuccess, Fault, FaultKind, Reset};
use sluicegate_tests::TABLE;

use crate::kind::Kind;
use crate::schedule::Outage;

/// Codes that an operator must mend (`host/src/clickhouse/errors.rs`), and what ClickHouse says with them.
const OPERATOR: &[(i32, &str)] = &[
    (27, "Cannot parse input: expected 'eof' before: 'x'"),
    (46, "Unknown function f"),
    (115, "Unknown setting s"),
    (164, "Cannot execute query in readonly mode"),
    (192, "Unknown user"),
    (193, "Wrong password"),
    (201, "Quota exceeded"),
    (452, "Setting s should not be changed"),
    (497, "Not enough privileges"),
    (516, "Authentication failed"),
];

/// Codes of a table that is another than the plan says.
const SCHEMA: &[(i32, &str)] = &[
    (8, "There is no column c"),
    (16, "No such column c in table"),
    (44, "Illegal column"),
    (47, "Unknown identifier"),
    (53, "Type mismatch"),
    (60, "Table does not exist"),
    (81, "Database does not exist"),
];

/// Codes of what passes.
const TRANSIENT: &[(i32, &str)] = &[
    (33, "Cannot read all data"),
    (159, "Timeout exceeded"),
    (202, "Too many simultaneous queries"),
    (209, "Socket timeout"),
    (210, "Network error"),
    (236, "Aborted"),
    (242, "Table is in readonly mode"),
    (243, "Not enough space"),
    (279, "All connection tries failed"),
    (285, "Too few live replicas"),
    (319, "Unknown status of insert"),
    (394, "Query was cancelled"),
    (425, "System error"),
    (439, "Cannot schedule a task"),
    (999, "Keeper exception"),
];

/// Every piece of a batch is refused so often, and split each time: without a bound it would be
/// split into its single records.
const REFUSALS_THAT_SPLIT: u32 = 8;

/// What stands in the statements that the host reads the table by, and in none of the audit's.
const TABLE_READ: &str = "system.columns";

/// What stands in the statements that the host looks at parts by, and looks for rows by.
const PARTS_READ: &str = "FROM system.parts";
const ROWS_READ: &str = "WHERE `token` = ";
/// Longer than the host waits for an answer that is no INSERT's.
const SLOW_READ_MS: u64 = 12_000;
/// Longer than exactly_once waits for what may be under way.
const SLOW_INSERT_MS: u64 = 17_000;
/// How late INSERTs arrive, in milliseconds.
pub const LATE_MS: u64 = 22_000;
/// How often something slow is done: each holds up a batch for long.
const SLOW_TIMES: u32 = 3;

/// The faults of a kind; none where the kind is none of the fault plane's. The first of them tells
/// whether a host has met it.
pub fn faults(outage: &Outage) -> Vec<Fault> {
    let lost_answers = on_insert(FaultKind::Reset(Reset::AfterCommit)).with_times(Some(SLOW_TIMES));
    let slow = |matches| {
        let kind = FaultKind::Delay { delay_ms: SLOW_READ_MS };
        Fault::on_insert(matches, kind)
            .with_applies_to(AppliesTo::Query)
            .with_times(Some(SLOW_TIMES))
    };
    match outage.kind {
        Kind::PartsReadSlow => vec![slow(PARTS_READ), lost_answers],
        Kind::RowsReadSlow => vec![slow(ROWS_READ), lost_answers],
        _ => fault(outage).into_iter().collect(),
    }
}

fn fault(outage: &Outage) -> Option<Fault> {
    let one_of = |codes: &[(i32, &str)]| {
        let (code, text) = outage.pick(codes)?;
        Some(exception(*code, text))
    };
    let until_mended = |kind| on_insert(kind).with_times(None);
    Some(match outage.kind {
        Kind::OperatorErrors => until_mended(one_of(OPERATOR)?),
        Kind::SchemaErrors => until_mended(one_of(SCHEMA)?),
        Kind::TransientErrors => until_mended(one_of(TRANSIENT)?),
        Kind::UnknownErrors => until_mended(exception(4_242, "What nobody knows")),
        Kind::MemoryErrors => on_insert(exception(241, "Memory limit (total) exceeded"))
            .with_times(Some(REFUSALS_THAT_SPLIT)),
        // INSERTs are held while a column is narrowed.
        Kind::TooManyParts | Kind::ColumnNarrowed => {
            until_mended(exception(252, "Too many parts (3000 in all)"))
        }
        Kind::TooManyPartitions => {
            let text = "Too many partitions for single INSERT block (more than 100)";
            on_insert(exception(252, text)).with_times(Some(REFUSALS_THAT_SPLIT))
        }
        Kind::ProxyErrors => {
            let http_status = *outage.pick(&[502, 503, 504])?;
            let body = format!("<html>{http_status}</html>");
            until_mended(FaultKind::Status { http_status, body })
        }
        Kind::InsertsDelayed => {
            until_mended(FaultKind::Delay { delay_ms: 300 + outage.dice % 2_000 })
        }
        Kind::InsertsSlow => {
            on_insert(FaultKind::Delay { delay_ms: SLOW_INSERT_MS }).with_times(Some(SLOW_TIMES))
        }
        Kind::InsertsLate => {
            on_insert(FaultKind::Late { late_ms: LATE_MS }).with_times(Some(SLOW_TIMES))
        }
        Kind::SuccessOfPage => {
            let body = "<html>We are under maintenance</html>".to_owned();
            until_mended(FaultKind::Status { http_status: 200, body })
        }
        Kind::SuccessOfNothing => until_mended(FaultKind::Success(FalseSuccess::OfNothing)),
        Kind::SuccessOfAnother => until_mended(FaultKind::Success(FalseSuccess::OfAnother)),
        Kind::SuccessInPart => until_mended(FaultKind::Success(FalseSuccess::InPart)),
        Kind::SuccessWithoutHeaders => {
            until_mended(FaultKind::Success(FalseSuccess::WithoutHeaders))
        }
        Kind::ResetBeforeCommit => until_mended(FaultKind::Reset(Reset::Before)),
        Kind::ResetDuringBody => until_mended(FaultKind::Reset(Reset::During)),
        Kind::ResetAfterCommit => until_mended(FaultKind::Reset(Reset::AfterCommit)),
        Kind::TableReadRefused => on_table_read(one_of(OPERATOR)?),
        Kind::TableReadReset => on_table_read(FaultKind::Reset(Reset::During)),
        _ => return None,
    })
}

fn exception(code: i32, text: &str) -> FaultKind {
    FaultKind::Exception { code, text: text.to_owned() }
}

fn on_insert(kind: FaultKind) -> Fault {
    Fault::on_insert(format!("`{TABLE}`"), kind)
}

fn on_table_read(kind: FaultKind) -> Fault {
    Fault::on_insert(TABLE_READ, kind).with_applies_to(AppliesTo::Query).with_times(None)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kind::Place;
    use crate::operator;

    #[test]
    fn what_the_engine_answers_is_a_fault_of_its_plane_or_a_statement() {
        for kind in Kind::ALL.iter().copied() {
            let outage =
                Outage { kind, begins: Duration::ZERO, lasts: Duration::ZERO, dice: u64::MAX };
            let is_other =
                operator::does(kind) || matches!(kind, Kind::PublishFails | Kind::DiskFull);
            let is_answer = kind.place() == Place::Answers;
            let is_both = kind == Kind::ColumnNarrowed;
            let is_fault = !faults(&outage).is_empty();
            assert_eq!(is_fault, is_answer && (!is_other || is_both), "{kind:?}");
        }
    }
}
