//! What a plugin did with a record, as one JSON object a line.

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

/// One record's verdict. Payloads stand in it byte for byte where they are JSON.
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
    /// The JSON object, its keys in one order.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

/// A verdict of a plugin on payloads for each record of the batch, in their order.
pub fn of_payloads(batch: &Batch, hooked: &Hooked) -> Vec<VerdictLine> {
    let before: Vec<(Origin, &[u8])> = (0..batch.len())
        .filter_map(|origin| Some((origin, batch.record(origin)?.payload()?)))
        .collect();
    let after: Vec<(Origin, &[u8])> = hooked.payloads.iter(batch).collect();
    lines(batch, &before, &after, &hooked.rejections)
}

/// A verdict of a plugin on decoded rows, whose rows are shown as JSON. `rejections` has the records
/// that a host would dead-letter, whether they did not decode, or the plugin or the table's rules
/// refuse them.
///
/// # Errors
/// A column that cannot be shown.
pub fn of_rows(
    batch: &Batch,
    before: &Rows,
    after: &Rows,
    rejections: &[Rejection],
) -> anyhow::Result<Vec<VerdictLine>> {
    // The fields beside the table's columns are not to be seen after the plugin.
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

/// A verdict for each record, by its rows before and after the plugin.
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

/// JSON of one line as it is, anything else as a text.
fn shown(payload: &[u8]) -> Option<Box<RawValue>> {
    let json = serde_json::from_slice::<Box<RawValue>>(payload).ok();
    let line = json.filter(|json| !json.get().contains('\n'));
    line.or_else(|| to_raw_value(&String::from_utf8_lossy(payload)).ok())
}
