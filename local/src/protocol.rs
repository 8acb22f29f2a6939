//! The JSON that the binary and its users exchange.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The one line the binary prints on stdout once both engines answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyLine {
    /// `http://127.0.0.1:PORT`.
    pub clickhouse: String,
    /// Bootstrap servers, comma-separated; None with `--no-kafka`.
    pub kafka: Option<String>,
    /// The user that ClickHouse and the control plane ask for.
    pub user: String,
    /// The user's password.
    pub password: String,
}

/// A fault to show to the requests that match it (`POST /_fault`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// A substring of the statement, such as the table's name; empty matches every one.
    #[serde(rename = "match", default)]
    pub matches: String,
    /// How many requests it hits: 1 where left out; null means until cleared.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// What happens.
    pub kind: FaultKind,
    /// Which statements it may hit.
    #[serde(default)]
    pub applies_to: AppliesTo,
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the type of the field")]
fn once() -> Option<u32> {
    Some(1)
}

impl Fault {
    /// A fault for the next INSERT whose text holds `matches`.
    pub fn on_insert(matches: impl Into<String>, kind: FaultKind) -> Self {
        Self { matches: matches.into(), times: once(), kind, applies_to: AppliesTo::Insert }
    }

    /// The same for `times` requests; None means until cleared.
    #[must_use]
    pub fn with_times(mut self, times: Option<u32>) -> Self {
        self.times = times;
        self
    }

    /// The same for other statements.
    #[must_use]
    pub fn with_applies_to(mut self, applies_to: AppliesTo) -> Self {
        self.applies_to = applies_to;
        self
    }
}

/// What a fault does to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`kind` must be {\"code\":N,\"text\":\"..\"}, {\"http_status\":N,\"body\":\"..\"}, \
                 {\"delay_ms\":N}, {\"late_ms\":N}, \"reset_before\", \"reset_during\", \
                 \"reset_after_commit\", \"success_of_nothing\", \"success_in_part\" or \
                 \"success_without_headers\""
)]
pub enum FaultKind {
    /// The server's own error: nothing is run.
    Exception {
        /// ClickHouse's code, such as 252.
        code: i32,
        /// The text after `DB::Exception: `.
        #[serde(default)]
        text: String,
    },
    /// The answer of a proxy in between, with no ClickHouse code: nothing is run.
    Status {
        /// The HTTP status, 100 to 999.
        http_status: u16,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// The statement runs after this delay; another fault may hit it too.
    Delay {
        /// Milliseconds.
        delay_ms: u64,
    },
    /// The TCP connection is dropped once the body of an INSERT is read; the INSERT runs after this
    /// time, when its sender has long given it up.
    Late {
        /// Milliseconds.
        late_ms: u64,
    },
    /// The TCP connection is dropped.
    Reset(Reset),
    /// An INSERT is answered with status 200, and the answer is wrong.
    Success(FalseSuccess),
}

/// A success that proves less than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FalseSuccess {
    /// ClickHouse's own headers, with no row written: nothing is run.
    #[serde(rename = "success_of_nothing")]
    OfNothing,
    /// The rows are stored, and the answer says that half of them are.
    #[serde(rename = "success_in_part")]
    InPart,
    /// The rows are stored, and something on the way has removed ClickHouse's headers.
    #[serde(rename = "success_without_headers")]
    WithoutHeaders,
    /// The answer to another INSERT, which had more rows: nothing is run.
    #[serde(rename = "success_of_another")]
    OfAnother,
}

/// When a connection is dropped, seen from the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reset {
    /// Before anything is read of the body of an INSERT: no row is stored.
    #[serde(rename = "reset_before")]
    Before,
    /// Within the body of an INSERT (no row is stored), or within the answer of a query.
    #[serde(rename = "reset_during")]
    During,
    /// After the statement took effect, before any byte of its answer.
    #[serde(rename = "reset_after_commit")]
    AfterCommit,
}

/// The statements a fault may hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppliesTo {
    /// INSERT statements.
    #[default]
    Insert,
    /// Every other statement.
    Query,
    /// All, `/ping` too where the fault's `match` is empty or `/ping`.
    All,
}

/// A fault and what it has done (`GET /_fault`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its number, as answered by `POST /_fault`.
    pub id: u64,
    /// The fault as given.
    pub fault: Fault,
    /// How many more requests it hits; None means until cleared.
    pub remaining: Option<u32>,
    /// How many requests it hit.
    pub hits: u64,
}

/// One INSERT that reached the front, faults included (`GET /_inserts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenInsert {
    /// Its place in the order of arrival at the journal, from 0.
    pub sequence: u64,
    /// The statement, as sent.
    pub sql: String,
    /// The URL parameters but for the statement, user and password.
    pub settings: BTreeMap<String, String>,
    /// Bytes of body that were read.
    pub body_bytes: u64,
    /// 0 for success; the ClickHouse code of the error; -1 where the connection was dropped
    /// or a bare HTTP status was answered.
    pub outcome_code: i32,
    /// Rows the engine says it wrote, those of materialized views included; 0 unless stored.
    pub written_rows: u64,
}

/// Errors for the next Kafka requests of one kind (`POST /_kafka/errors`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaErrors {
    /// The request: `produce`, `fetch`, `offset_commit`, ...
    pub api: String,
    /// One error for each of the next requests, as librdkafka names them without its prefix:
    /// `MSG_SIZE_TOO_LARGE`, `_TRANSPORT` (drops the connection), `NO_ERROR`. An empty list
    /// clears what is left.
    pub errors: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Fault {
        serde_json::from_str(text).expect("a fault")
    }

    #[test]
    fn reads_every_kind_of_fault() {
        let fault = parse(r#"{"match":"t","kind":{"code":252,"text":"Too many parts"}}"#);
        assert_eq!(fault.times, Some(1));
        assert_eq!(fault.applies_to, AppliesTo::Insert);
        assert_eq!(fault.kind, FaultKind::Exception { code: 252, text: "Too many parts".into() });
        let fault = parse(r#"{"kind":{"http_status":503},"times":null,"applies_to":"all"}"#);
        assert_eq!(fault.times, None);
        assert_eq!(fault.kind, FaultKind::Status { http_status: 503, body: String::new() });
        assert_eq!(parse(r#"{"kind":{"delay_ms":5}}"#).kind, FaultKind::Delay { delay_ms: 5 });
        for (name, reset) in [
            ("reset_before", Reset::Before),
            ("reset_during", Reset::During),
            ("reset_after_commit", Reset::AfterCommit),
        ] {
            let fault = parse(&format!(r#"{{"kind":"{name}"}}"#));
            assert_eq!(fault.kind, FaultKind::Reset(reset));
            assert!(serde_json::to_string(&fault).expect("json").contains(name));
        }
        assert_eq!(parse(r#"{"kind":{"late_ms":5}}"#).kind, FaultKind::Late { late_ms: 5 });
        for (name, success) in [
            ("success_of_nothing", FalseSuccess::OfNothing),
            ("success_in_part", FalseSuccess::InPart),
            ("success_without_headers", FalseSuccess::WithoutHeaders),
            ("success_of_another", FalseSuccess::OfAnother),
        ] {
            let fault = parse(&format!(r#"{{"kind":"{name}"}}"#));
            assert_eq!(fault.kind, FaultKind::Success(success));
        }
    }

    #[test]
    fn an_unknown_kind_lists_the_known_ones() {
        let error = serde_json::from_str::<Fault>(r#"{"kind":"reset"}"#).expect_err("refused");
        assert!(error.to_string().contains("reset_after_commit"), "{error}");
    }
}
