//! What a plugin did with each record, as one JSON object a line.

use std::sync::Arc;

use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::unions::Unions;
use crate::flow::payloads::Hooked;
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::{Reason, Rejection};
use crate::flow::rows::Rows;

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

/// One record's verdict. Payloads that are JSON appear byte for byte.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictLine {
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

impl std::fmt::Display for VerdictLine {
    /// Writes the JSON object, with its keys in a fixed order.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

/// The verdicts of a plugin on payloads, one for each record of the batch, in order.
pub fn of_payloads(batch: &Batch, hooked: &Hooked) -> Vec<VerdictLine> {
    let before: Vec<(Origin, &[u8])> = (0..batch.len())
        .filter_map(|origin| Some((origin, batch.record(origin)?.payload()?)))
        .collect();
    let after: Vec<(Origin, &[u8])> = hooked.payloads.iter(batch).collect();
    lines(batch, &before, &after, &hooked.rejections)
}

/// The verdicts of a plugin on decoded rows, with the rows as JSON. `rejections` has the records
/// that a host would dead-letter, for a fault in decode, in the plugin, or by the table's rules.
///
/// # Errors
/// A column cannot be shown as JSON.
pub fn of_rows(
    batch: &Batch,
    before: &Rows,
    after: &Rows,
    rejections: &[Rejection],
) -> anyhow::Result<Vec<VerdictLine>> {
    // After the plugin, only the table's columns are visible.
    let columns: Vec<usize> = (0..after.batch.num_columns()).collect();
    let before = Rows { batch: before.batch.project(&columns)?, ..before.clone() };
    let (was, is) = (json(&before)?, json(after)?);
    Ok(lines(batch, &pairs(&before, &was), &pairs(after, &is), rejections))
}

fn pairs<'a>(rows: &Rows, lines: &'a [Vec<u8>]) -> Vec<(Origin, &'a [u8])> {
    rows.origins.iter().copied().zip(lines.iter().map(Vec::as_slice)).collect()
}

/// Each row as a JSON object, without its nulls.
fn json(rows: &Rows) -> anyhow::Result<Vec<Vec<u8>>> {
    let builder = WriterBuilder::new().with_encoder_factory(Arc::new(Unions));
    let mut writer = builder.build::<_, LineDelimited>(Vec::new());
    writer.write(&rows.batch)?;
    writer.finish()?;
    let lines = writer.into_inner();
    let lines: Vec<Vec<u8>> = lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    Ok(lines)
}

/// The verdict of each record, from its rows before and after the plugin.
fn lines(
    batch: &Batch,
    before: &[(Origin, &[u8])],
    after: &[(Origin, &[u8])],
    rejections: &[Rejection],
) -> Vec<VerdictLine> {
    fn of<'a>(rows: &'a [(Origin, &'a [u8])], origin: Origin) -> &'a [(Origin, &'a [u8])] {
        let begin = rows.partition_point(|(row, _)| *row < origin);
        let end = rows.partition_point(|(row, _)| *row <= origin);
        rows.get(begin..end).unwrap_or_default()
    }
    let line = |origin| {
        let (payloads, message, column) = (Vec::new(), None, None);
        let line = batch.offset(origin).unwrap_or_default();
        let line = VerdictLine { line, verdict: Word::Drop, payloads, message, column };
        let at = rejections.binary_search_by_key(&origin, |refused| refused.origin);
        match at.ok().and_then(|at| rejections.get(at)) {
            Some(refused) => line.refused(refused),
            None => line.gone_on(of(before, origin), of(after, origin)),
        }
    };
    (0..batch.len()).map(line).collect()
}

impl VerdictLine {
    fn refused(self, refused: &Rejection) -> Self {
        let fault = &refused.fault;
        let verdict = if fault.reason == Reason::HookFailed { Word::Fail } else { Word::Reject };
        let message = match refused.stage.plugin() {
            Some(_) => fault.got.clone(),
            None => fault.to_string(),
        };
        let column = fault.column.as_deref().map(str::to_owned);
        Self { verdict, message: Some(message), column, ..self }
    }

    fn gone_on(self, before: &[(Origin, &[u8])], after: &[(Origin, &[u8])]) -> Self {
        let verdict = match after {
            [] => Word::Drop,
            _ if before == after => return Self { verdict: Word::Keep, ..self },
            [_] => Word::Replace,
            _ => Word::Many,
        };
        let payloads = after.iter().filter_map(|(_, row)| shown(row)).collect();
        Self { verdict, payloads, ..self }
    }
}

/// The payload itself if it is JSON on one line, otherwise a JSON string.
fn shown(payload: &[u8]) -> Option<Box<RawValue>> {
    let json = serde_json::from_slice::<Box<RawValue>>(payload).ok();
    let line = json.filter(|json| !json.get().contains('\n'));
    line.or_else(|| to_raw_value(&String::from_utf8_lossy(payload)).ok())
}
