//! What a JSON Schema cannot say, by name: the only disagreements that are none.

use std::collections::BTreeMap;

use serde_json::Value;
use sluicegate::flow::rejection::{Fault, Reason};
use sluicegate::schema::shape::Unsaid;

/// The days at the ends of the ranges, and the day on which an hour never occurs in Berlin.
const DAYS: &[&str] = &[
    "1899-12-31",
    "1900-01-01",
    "1969-12-31",
    "1970-01-01",
    "2106-02-07",
    "2106-02-08",
    "2262-04-11",
    "2262-04-12",
    "2299-12-31",
    "2300-01-01",
    "2026-03-29",
];

/// How often each was the reason for a disagreement.
#[derive(Debug, Default)]
pub struct Excuses(BTreeMap<Unsaid, u64>);

impl Excuses {
    /// Whether a disagreement has a name; `decided` is the decoder's fault, `judged` the schema's.
    pub fn hold(&mut self, record: &[u8], decided: Option<&Fault>, judged: Option<&Fault>) -> bool {
        let excuse = match (decided, judged) {
            (Some(fault), None) => only_decoder(fault),
            (None, Some(fault)) => only_schema(record, fault),
            _ => None,
        };
        if let Some(unsaid) = excuse {
            *self.0.entry(unsaid).or_default() += 1;
        }
        excuse.is_some()
    }

    /// How often one was.
    pub fn count(&self, unsaid: Unsaid) -> u64 {
        self.0.get(&unsaid).copied().unwrap_or(0)
    }
}

/// What the decoder refuses and the schema takes.
fn only_decoder(fault: &Fault) -> Option<Unsaid> {
    // These columns of the tables are of JSON, and of Variant and Dynamic.
    match fault.column.as_deref() {
        Some("js" | "jt") => return Some(Unsaid::Json),
        Some("va" | "vt" | "dy" | "ad") => return Some(Unsaid::Member),
        _ => {}
    }
    let got = fault.got.trim_matches('"').replace("\\u0000", "");
    match fault.reason {
        Reason::TooLarge if !got.is_ascii() => Some(Unsaid::Bytes),
        Reason::OutOfRange if fault.expected.contains("number within Float") => {
            Some(Unsaid::FloatRange)
        }
        // These columns of the tables are in DATETIME_COLUMNS.
        Reason::BadDatetime if matches!(fault.column.as_deref(), Some("day" | "wide")) => {
            Some(Unsaid::Layouts)
        }
        Reason::BadDatetime => {
            let day = got.get(..10)?.replace('/', "-");
            DAYS.contains(&day.as_str()).then_some(Unsaid::Instant)
        }
        _ => None,
    }
}

/// What the schema refuses and the decoder takes: a text of a number, with an exponent. It may be a
/// name of the map at fault.
fn only_schema(record: &[u8], fault: &Fault) -> Option<Unsaid> {
    let record: Value = serde_json::from_slice(record).ok()?;
    let is_number = |text: &str| {
        text.contains(['e', 'E']) && serde_json::from_str::<serde_json::Number>(text).is_ok()
    };
    let has_exponent = match record.pointer(&fault.pointer)? {
        Value::String(text) if fault.expected.contains("/pattern (") => is_number(text),
        Value::Object(members) if fault.expected.contains("/propertyNames/pattern (") => {
            members.keys().any(|name| is_number(name))
        }
        _ => false,
    };
    has_exponent.then_some(Unsaid::Exponent)
}
