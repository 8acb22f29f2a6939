//! What a dead letter looks like: the record as it was, and the facts as headers or an envelope.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rdkafka::message::{Header, OwnedHeaders};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::record::Record;
use crate::rejection::Rejection;

/// How much of a payload is kept when the broker refuses the whole: 64 kB.
const TRUNCATED_BYTES: usize = 64_000;
/// Most characters of the message header, so that headers stay small beside the payload.
const MESSAGE_CHARS: usize = 1_000;

/// What every dead letter of this host says of where it comes from.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The consumer group.
    pub group: String,
    /// The table, as `database.table`.
    pub table: String,
}

/// A dead letter, ready to be produced.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// The record's payload, or the envelope; `None` for a tombstone.
    pub payload: Option<Cow<'a, [u8]>>,
    /// The record's headers, then ours.
    pub headers: OwnedHeaders,
}

/// The record as it was, with the facts as text headers.
pub fn with_headers<'a>(
    record: &Record<'a>,
    rejection: &Rejection,
    from: &Provenance,
    failed_at_ms: u128,
) -> Letter<'a> {
    Letter {
        key: record.key(),
        payload: record.payload().map(Cow::Borrowed),
        headers: headers(record, rejection, from, failed_at_ms),
    }
}

/// One JSON object with the record and the facts; bytes that are not UTF-8 as base64.
pub fn envelope<'a>(
    record: &Record<'a>,
    rejection: &Rejection,
    from: &Provenance,
    failed_at_ms: u128,
) -> Letter<'a> {
    let text = |bytes: Option<&[u8]>| match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (Value::Null, "null"),
        Some((Ok(text), _)) => (Value::from(text), "utf-8"),
        Some((Err(_), bytes)) => (Value::from(BASE64.encode(bytes)), "base64"),
    };
    let ((payload, encoding), (key, key_encoding)) = (text(record.payload()), text(record.key()));
    let kept: Vec<Value> = kept_headers(record)
        .map(|(name, value)| {
            let (value, encoding) = text(value);
            json!({"name": String::from_utf8_lossy(name), "value": value, "encoding": encoding})
        })
        .collect();
    let fault = &rejection.fault;
    let body = json!({
        "failure_reason": fault.reason.code(),
        "message": message(rejection),
        "stage": rejection.stage.name(),
        "plugin": rejection.stage.plugin(),
        "column": fault.column.as_deref(),
        "record": payload,
        "record_encoding": encoding,
        "key": key,
        "key_encoding": key_encoding,
        "headers": kept,
        "topic": &*record.source.topic,
        "partition": record.source.partition,
        "offset": record.offset(),
        "timestamp_ms": record.timestamp_ms(),
        "group": from.group,
        "table": from.table,
        "attempt": attempt(record),
        "failed_at_ms": u64::try_from(failed_at_ms).unwrap_or(u64::MAX),
        "version": env!("CARGO_PKG_VERSION"),
    });
    Letter {
        key: record.key(),
        payload: Some(body.to_string().into_bytes().into()),
        headers: OwnedHeaders::new()
            .insert(Header { key: "failure_reason", value: Some(fault.reason.code()) }),
    }
}

impl Letter<'_> {
    /// Whether more is there than [`Letter::cut`] keeps.
    pub fn can_be_cut(&self) -> bool {
        self.payload.as_ref().is_some_and(|payload| payload.len() > TRUNCATED_BYTES)
    }

    /// The same letter with its payload cut, for a broker that refuses the whole.
    pub fn cut(self) -> Self {
        let Some(payload) = self.payload.as_ref().filter(|_| self.can_be_cut()) else {
            return self;
        };
        let Some(kept) = payload.get(..TRUNCATED_BYTES) else { return self };
        let length = payload.len().to_string();
        let digest = hex::encode(Sha256::digest(payload));
        let headers = self
            .headers
            .insert(Header { key: "sluicegate.truncated-from", value: Some(&length) })
            .insert(Header { key: "sluicegate.sha256", value: Some(&digest) });
        let payload = Some(Cow::Owned(kept.to_vec()));
        Self { payload, headers, ..self }
    }
}

fn headers(
    record: &Record<'_>,
    rejection: &Rejection,
    from: &Provenance,
    failed_at_ms: u128,
) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new();
    for (name, value) in kept_headers(record) {
        let name = String::from_utf8_lossy(name);
        headers = headers.insert(Header { key: &name, value });
    }
    let fault = &rejection.fault;
    let owned = Cow::<str>::Owned;
    let mut facts = vec![
        ("failure_reason", fault.reason.code().into()),
        ("__connect.errors.topic", Cow::from(&*record.source.topic)),
        ("__connect.errors.partition", owned(record.source.partition.to_string())),
        ("__connect.errors.offset", owned(record.offset().to_string())),
        ("__connect.errors.connector.name", from.group.as_str().into()),
        ("__connect.errors.stage", rejection.stage.name().into()),
        (
            "__connect.errors.exception.class.name",
            owned(format!("sluicegate.{}", fault.reason.code())),
        ),
        ("__connect.errors.exception.message", owned(message(rejection))),
        ("sluicegate.group", from.group.as_str().into()),
        ("sluicegate.table", from.table.as_str().into()),
        ("sluicegate.attempt", owned(attempt(record).to_string())),
        ("sluicegate.failed-at-ms", owned(failed_at_ms.to_string())),
        ("sluicegate.version", env!("CARGO_PKG_VERSION").into()),
    ];
    if let Some(plugin) = rejection.stage.plugin() {
        facts.push(("sluicegate.plugin", plugin.into()));
    }
    if let Some(column) = &fault.column {
        facts.push(("sluicegate.column", Cow::from(&**column)));
    }
    if let Some(timestamp_ms) = record.timestamp_ms() {
        facts.push(("sluicegate.timestamp-ms", owned(timestamp_ms.to_string())));
    }
    for (name, value) in &facts {
        headers = headers.insert(Header { key: name, value: Some(&**value) });
    }
    headers
}

/// The record's headers without those of an earlier failure, which this one replaces.
fn kept_headers<'a>(
    record: &Record<'a>,
) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
    record.headers().filter(|(name, _)| {
        !name.starts_with(b"__connect.errors.")
            && !name.starts_with(b"sluicegate.")
            && *name != b"failure_reason"
    })
}

/// How often this record failed, this time included.
fn attempt(record: &Record<'_>) -> u32 {
    let before = record.headers().find(|(name, _)| *name == b"sluicegate.attempt");
    let before = before.and_then(|(_, value)| std::str::from_utf8(value?).ok()?.parse().ok());
    before.unwrap_or(0_u32).saturating_add(1)
}

fn message(rejection: &Rejection) -> String {
    rejection.fault.to_string().chars().take(MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;

    use super::*;
    use crate::record::{Batch, RawRecord, TopicPartition};
    use crate::rejection::{Fault, Reason, Stage};

    fn rejected(payload: &[u8], headers: &[(&str, &str)]) -> (Batch, Rejection) {
        let mut batch = Batch::default();
        let source = TopicPartition { topic: "orders".into(), partition: 3 };
        let record = RawRecord {
            offset: 41,
            timestamp_ms: Some(7),
            key: Some(b"k"),
            payload: Some(payload),
        };
        batch.push(&source, 1, &record);
        for (name, value) in headers {
            batch.push_header(name.as_bytes(), Some(value.as_bytes()));
        }
        let fault = Fault {
            reason: Reason::OutOfRange,
            column: Some("soc".into()),
            pointer: "/soc".into(),
            expected: "integer from 0 to 255".into(),
            got_kind: "number",
            got: "300".into(),
        };
        (batch, Rejection { origin: 0, stage: Stage::Decode, fault })
    }

    fn from() -> Provenance {
        Provenance { group: "g".into(), table: "d.t".into() }
    }

    fn all(headers: &OwnedHeaders) -> Vec<(String, String)> {
        headers
            .iter()
            .map(|header| {
                let value = String::from_utf8_lossy(header.value.unwrap_or_default());
                (header.key.to_owned(), value.into_owned())
            })
            .collect()
    }

    #[test]
    fn a_letter_keeps_the_record_and_adds_the_facts() {
        let (batch, rejection) = rejected(b"{\"soc\":300}", &[("trace", "abc")]);
        let letter = with_headers(&batch.record(0).unwrap(), &rejection, &from(), 99);
        assert_eq!(letter.payload.as_deref(), Some(&b"{\"soc\":300}"[..]));
        assert_eq!(letter.key, Some(&b"k"[..]));
        let headers = all(&letter.headers);
        let version = env!("CARGO_PKG_VERSION");
        let expected = [
            ("trace", "abc"),
            ("failure_reason", "out_of_range"),
            ("__connect.errors.topic", "orders"),
            ("__connect.errors.partition", "3"),
            ("__connect.errors.offset", "41"),
            ("__connect.errors.connector.name", "g"),
            ("__connect.errors.stage", "decode"),
            ("__connect.errors.exception.class.name", "sluicegate.out_of_range"),
            (
                "__connect.errors.exception.message",
                "column `soc`: expected integer from 0 to 255, got 300",
            ),
            ("sluicegate.group", "g"),
            ("sluicegate.table", "d.t"),
            ("sluicegate.attempt", "1"),
            ("sluicegate.failed-at-ms", "99"),
            ("sluicegate.version", version),
            ("sluicegate.column", "soc"),
            ("sluicegate.timestamp-ms", "7"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_second_failure_replaces_the_first_and_counts_on() {
        let old = [("failure_reason", "bad_uuid"), ("sluicegate.attempt", "4"), ("own", "x")];
        let (batch, rejection) = rejected(b"{}", &old);
        let letter = with_headers(&batch.record(0).unwrap(), &rejection, &from(), 99);
        let headers = all(&letter.headers);
        let of = |name: &str| {
            let found = headers.iter().filter(|(found, _)| found == name);
            found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of("failure_reason"), ["out_of_range"]);
        assert_eq!(of("sluicegate.attempt"), ["5"]);
        assert_eq!(of("own"), ["x"]);
    }

    #[test]
    fn an_envelope_holds_bytes_that_are_no_text() {
        let (batch, rejection) = rejected(b"\xff\xfe", &[]);
        let letter = envelope(&batch.record(0).unwrap(), &rejection, &from(), 99);
        let body: Value = serde_json::from_slice(&letter.payload.unwrap()).unwrap();
        assert_eq!((&body["record"], &body["record_encoding"]), (&json!("//4="), &json!("base64")));
        assert_eq!(
            (&body["failure_reason"], &body["offset"]),
            (&json!("out_of_range"), &json!(41))
        );
    }

    #[test]
    fn a_cut_letter_says_what_it_was_cut_from() {
        let (batch, rejection) = rejected(&vec![b'x'; 70_000], &[]);
        let letter = with_headers(&batch.record(0).unwrap(), &rejection, &from(), 99);
        assert!(letter.can_be_cut());
        let cut = letter.cut();
        assert_eq!(cut.payload.as_ref().map(|payload| payload.len()), Some(TRUNCATED_BYTES));
        let headers = all(&cut.headers);
        assert!(headers.contains(&("sluicegate.truncated-from".into(), "70000".into())));
        assert!(
            headers.iter().any(|(name, value)| name == "sluicegate.sha256" && value.len() == 64)
        );
        assert!(!cut.can_be_cut(), "there is nothing left to cut");
    }
}
