//! What a plugin did with a record, as one JSON object a line.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::payloads::Hooked;
use crate::record::{Batch, Origin};
use crate::rejection::Reason;

/// What became of a record.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Keep,
    Replace,
    Many,
    Drop,
    Reject,
    Fail,
}

/// One record's verdict. Payloads stand in it byte for byte where they are JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The record's line in the input, from 1.
    line: i64,
    verdict: Word,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    payloads: Vec<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
}

impl std::fmt::Display for Line {
    /// The JSON object, its keys in one order.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

/// A verdict for each record of the batch, in their order.
pub fn lines(batch: &Batch, hooked: &Hooked) -> Vec<Line> {
    let rows: Vec<(Origin, &[u8])> = hooked.payloads.iter(batch).collect();
    let of = |origin: Origin| {
        let begin = rows.partition_point(|(row, _)| *row < origin);
        let end = rows.partition_point(|(row, _)| *row <= origin);
        rows.get(begin..end).unwrap_or_default()
    };
    (0..batch.len()).map(|origin| line(batch, hooked, origin, of(origin))).collect()
}

fn line(batch: &Batch, hooked: &Hooked, origin: Origin, rows: &[(Origin, &[u8])]) -> Line {
    let (payloads, message, column) = (Vec::new(), None, None);
    let line = batch.offset(origin).unwrap_or_default();
    let line = Line { line, verdict: Word::Drop, payloads, message, column };
    let at = hooked.rejections.binary_search_by_key(&origin, |refused| refused.origin);
    if let Some(refused) = at.ok().and_then(|at| hooked.rejections.get(at)) {
        let fault = &refused.fault;
        let verdict = if fault.reason == Reason::HookFailed { Word::Fail } else { Word::Reject };
        let column = fault.column.as_deref().map(str::to_owned);
        return Line { verdict, message: Some(fault.got.clone()), column, ..line };
    }
    let payload = batch.record(origin).and_then(|record| record.payload());
    let verdict = match rows {
        [] => Word::Drop,
        [(_, row)] if Some(*row) == payload => return Line { verdict: Word::Keep, ..line },
        [_] => Word::Replace,
        _ => Word::Many,
    };
    Line { verdict, payloads: rows.iter().filter_map(|(_, row)| shown(row)).collect(), ..line }
}

/// JSON of one line as it is, anything else as a text.
fn shown(payload: &[u8]) -> Option<Box<RawValue>> {
    let json = serde_json::from_slice::<Box<RawValue>>(payload).ok();
    let line = json.filter(|json| !json.get().contains('\n'));
    line.or_else(|| to_raw_value(&String::from_utf8_lossy(payload)).ok())
}
