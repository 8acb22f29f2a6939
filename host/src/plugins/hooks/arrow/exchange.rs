//! Encodes rows as a question to a guest, and reads its answer: both are IPC streams.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use arrow_array::{Array as _, ArrayRef, RecordBatch, UInt32Array};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{ArrowError, FieldRef};

use super::fit::{FittedPlugin, ROW, stream};
use super::messages;
use crate::observe::log::quietly;
use crate::plugins::hooks::bindings::{Rejection, arrow};
use crate::plugins::hooks::failure::CallFailure;
use crate::plugins::hooks::isolate::MAX_ROWS_OUT;

/// An answer that keeps every rule of the contract.
#[derive(Debug)]
pub struct ArrowAnswer {
    /// The row of the question that each row comes from; never descending.
    pub rows: Vec<u32>,
    /// The columns that the plugin writes, in the order of its plan.
    pub columns: Vec<ArrayRef>,
    /// The rows that it rejects.
    pub refused: Vec<(usize, Rejection)>,
    /// The answer's size.
    pub bytes: usize,
}

/// The columns that a plugin reads.
pub fn with_rows(step: &FittedPlugin, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
    let row: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..rows));
    let read = step.reads.iter().filter_map(|at| batch.columns().get(*at)).cloned();
    let columns = std::iter::once(row).chain(read).collect();
    RecordBatch::try_new(Arc::clone(&step.schema), columns)
}

/// The question for some of the rows, which are numbered from 0 in each question.
pub fn question(batch: &RecordBatch, rows: Range<usize>) -> Result<Vec<u8>, CallFailure> {
    let mut columns = batch.slice(rows.start, rows.len()).columns().to_vec();
    if let Some(counted) = columns.first_mut() {
        *counted = batch.column(0).slice(0, rows.len());
    }
    let part = RecordBatch::try_new(batch.schema(), columns);
    let bytes = part.and_then(|part| stream(&batch.schema(), Some(&part)));
    bytes.map_err(|error| CallFailure::wrong_answer(&format!("the rows cannot be told: {error}")))
}

/// Reads an answer for `asked` rows.
///
/// # Errors
/// It breaks a rule of the contract.
pub fn read_answer(
    step: &FittedPlugin,
    asked: usize,
    outcome: arrow::Outcome,
) -> Result<ArrowAnswer, CallFailure> {
    let wrong = |text: String| CallFailure::wrong_answer(&text);
    let bytes = outcome.rows.len();
    // Arrow returns an error for a broken stream. If it panics, the guest is to blame, and the panic is reported
    // like other failures.
    let batch = quietly(|| only_batch(&step.gives, outcome.rows));
    let batch = batch.unwrap_or_else(|_| Err("its stream: it cannot be read".to_owned()));
    let batch = batch.map_err(wrong)?;
    if batch.num_rows() > MAX_ROWS_OUT {
        let text = format!("{} rows of one call; {MAX_ROWS_OUT} are the most", batch.num_rows());
        return Err(CallFailure::too_much_output(&text));
    }
    let rows = rows_of(&batch, asked).map_err(wrong)?;
    let given = step.gives.iter().filter_map(|field| batch.column_by_name(field.name()));
    let columns = given.cloned().collect();
    let refused = refused_of(outcome.rejections, asked, &rows).map_err(wrong)?;
    Ok(ArrowAnswer { rows, columns, refused, bytes })
}

/// The one batch of a stream: the row number and the columns `gives`. They share its bytes.
///
/// # Errors
/// What differs, or how the stream is broken.
pub fn only_batch(gives: &[FieldRef], bytes: Vec<u8>) -> Result<RecordBatch, String> {
    messages::judge_stream(gives, &bytes)?;
    let broken = |error: ArrowError| format!("its stream: {error}");
    let mut decoder = StreamDecoder::new();
    let mut rest = Buffer::from_vec(bytes);
    let mut found = None;
    while !rest.is_empty() {
        found = decoder.decode(&mut rest).map_err(broken)?.or(found);
    }
    decoder.finish().map_err(broken)?;
    found.ok_or_else(|| "its stream: no batch".to_owned())
}

/// The row of the question that each row comes from.
fn rows_of(batch: &RecordBatch, asked: usize) -> Result<Vec<u32>, String> {
    let rows = batch.column_by_name(ROW).and_then(|rows| rows.as_primitive_opt::<UInt32Type>());
    let rows = rows.ok_or_else(|| format!("no column `{ROW}`"))?;
    if rows.null_count() > 0 {
        return Err(format!("a null in `{ROW}`"));
    }
    let rows = rows.values();
    if !rows.is_sorted() {
        return Err(format!("`{ROW}` descends"));
    }
    match rows.last() {
        Some(last) if *last as usize >= asked => {
            Err(format!("`{ROW}` holds {last}, of {asked} rows"))
        }
        _ => Ok(rows.to_vec()),
    }
}

fn refused_of(
    refused: Vec<arrow::Refused>,
    asked: usize,
    rows: &[u32],
) -> Result<Vec<(usize, Rejection)>, String> {
    if !refused.is_sorted_by(|a, b| a.row < b.row) {
        return Err("the rejected rows do not ascend".to_owned());
    }
    if let Some(last) = refused.last().filter(|last| last.row as usize >= asked) {
        return Err(format!("row {} is rejected, of {asked} rows", last.row));
    }
    if let Some(both) = refused.iter().find(|refused| rows.binary_search(&refused.row).is_ok()) {
        return Err(format!("row {} is rejected and goes on", both.row));
    }
    Ok(refused.into_iter().map(|refused| (refused.row as usize, refused.why)).collect())
}

#[cfg(test)]
mod tests {
    use arrow_array::{StringArray, UInt64Array};
    use arrow_schema::{DataType, Field, Schema};

    use super::super::fit::tests::{fit, planned};
    use super::*;

    fn column(name: &str, column: ArrayRef) -> (Field, ArrayRef) {
        (Field::new(name, column.data_type().clone(), true), column)
    }

    fn row(rows: &[u32]) -> (Field, ArrayRef) {
        column(ROW, Arc::new(UInt32Array::from(rows.to_vec())))
    }

    fn owner(texts: &[&str]) -> (Field, ArrayRef) {
        column("owner", Arc::new(StringArray::from(texts.to_vec())))
    }

    fn ipc(columns: Vec<(Field, ArrayRef)>) -> Vec<u8> {
        let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        stream(&schema, Some(&batch)).unwrap()
    }

    /// Reads an answer to three rows from a plugin that writes `owner`.
    fn answer(rows: Vec<u8>, refused: &[u32]) -> Result<ArrowAnswer, String> {
        let fit = fit(vec![planned(&["id"], &[], &["owner"])]).unwrap();
        let why = || Rejection { message: "m".into(), column: None };
        let rejections = refused.iter().map(|row| arrow::Refused { row: *row, why: why() });
        let outcome = arrow::Outcome { rows, rejections: rejections.collect() };
        read_answer(&fit.steps[0], 3, outcome).map_err(|failure| failure.text)
    }

    #[test]
    fn rows_count_from_0_in_each_question() {
        let fit = fit(vec![planned(&["id"], &[], &["owner"])]).unwrap();
        let ids: ArrayRef = Arc::new(UInt64Array::from(vec![7, 8, 9]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 3]));
        let columns = vec![ids, Arc::clone(&texts), texts];
        let batch = RecordBatch::try_new(Arc::clone(&fit.decode.arrow), columns).unwrap();
        let read = with_rows(&fit.steps[0], &batch).unwrap();
        let told = question(&read, 1..3).unwrap();
        let told = only_batch(&read.schema().fields()[1..], told).unwrap();
        let expected: Vec<ArrayRef> =
            vec![Arc::new(UInt32Array::from(vec![0, 1])), Arc::new(UInt64Array::from(vec![8, 9]))];
        assert_eq!(told.columns(), expected);
    }

    #[test]
    fn an_answer_may_change_drop_multiply_and_refuse_rows() {
        let given = answer(ipc(vec![owner(&["x", "y", "z"]), row(&[0, 2, 2])]), &[1]).unwrap();
        assert_eq!((given.rows, given.refused.len()), (vec![0, 2, 2], 1));
        assert_eq!(given.columns[0].as_string::<i32>().value(2), "z");
    }

    #[test]
    fn an_answer_that_breaks_a_rule_is_refused_whole() {
        let good = || vec![row(&[0]), owner(&["x"])];
        let mut cut = ipc(good());
        cut.truncate(cut.len() / 2);
        let (mut twice, second) = (ipc(good()), ipc(good()));
        // Its end of stream, then the second one's batch without its schema.
        twice.truncate(twice.len() - 8);
        let head = stream(&Schema::new(vec![row(&[]).0, owner(&[]).0]), None).unwrap().len() - 8;
        twice.extend_from_slice(&second[head..]);
        let null = Arc::new(UInt32Array::from(vec![None::<u32>]));
        for (rows, refused, expected) in [
            (Vec::new(), &[][..], "no batch"),
            (b"not a stream".to_vec(), &[], "its stream: "),
            (cut, &[], "its stream: "),
            (twice, &[], "more than one batch"),
            (ipc(vec![owner(&["x"])]), &[], "no column `__row` of type UInt32"),
            (ipc(vec![column(ROW, null), owner(&["x"])]), &[], "a null in `__row`"),
            (ipc(vec![row(&[1, 0]), owner(&["x", "y"])]), &[], "`__row` descends"),
            (ipc(vec![row(&[3]), owner(&["x"])]), &[], "`__row` holds 3, of 3 rows"),
            (ipc(vec![row(&[0])]), &[], "no column `owner`"),
            (
                ipc(vec![row(&[0]), column("owner", Arc::new(UInt64Array::from(vec![1])))]),
                &[],
                "column `owner` is of type UInt64, expected Utf8",
            ),
            (
                ipc(vec![
                    row(&[0]),
                    owner(&["x"]),
                    column("id", Arc::new(UInt64Array::from(vec![1]))),
                ]),
                &[],
                "other columns than it planned: __row, owner, id",
            ),
            (ipc(good()), &[2, 1], "the rejected rows do not ascend"),
            (ipc(good()), &[3], "row 3 is rejected, of 3 rows"),
            (ipc(good()), &[0], "row 0 is rejected and goes on"),
        ] {
            let text = answer(rows, refused).unwrap_err();
            assert!(text.contains(expected), "{text:?}, expected {expected:?}");
        }
    }

    #[test]
    fn bytes_of_a_stream_that_are_changed_are_an_error_or_an_answer_but_no_panic() {
        let good = ipc(vec![row(&[0, 1, 2]), owner(&["x", "yy", ""])]);
        assert!(answer(good.clone(), &[]).is_ok());
        for at in 0..good.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= bits;
                let _told = answer(bytes, &[]);
            }
        }
    }

    #[test]
    fn a_text_that_is_no_utf_8_is_refused() {
        let mut bytes = ipc(vec![row(&[0]), owner(&["needle"])]);
        let at = bytes.windows(6).position(|bytes| bytes == b"needle").unwrap();
        bytes[at] = 0xff;
        assert!(answer(bytes, &[]).unwrap_err().contains("its stream: "));
        assert_eq!(owner(&[]).0.data_type(), &DataType::Utf8);
    }
}
