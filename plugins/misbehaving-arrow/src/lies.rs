//! Answers that break the contract.

use std::sync::Arc;

use arrow_ipc::writer::StreamWriter;
use sluicegate_plugin::arrow::ROW;
use sluicegate_plugin::arrow::array::{
    Array as _, ArrayRef, BinaryArray, Int64Array, NullArray, RecordBatch, StringArray, UInt32Array,
};
use sluicegate_plugin::arrow::schema::{ArrowError, DataType, Field, Schema};
use sluicegate_plugin::wire::Rejection;
use sluicegate_plugin::wire::arrow::{Outcome, Refused};

const HUGE_BYTES: usize = 200 << 20;

/// The answer that a row orders, where the others go on as they are; `None` for what is no lie.
pub fn lie(
    what: &str,
    row: u32,
    rows: &RecordBatch,
    column: &str,
) -> Result<Option<Outcome>, ArrowError> {
    let count = u32::try_from(rows.num_rows()).unwrap_or(u32::MAX);
    let origins: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..count));
    let values = Arc::clone(rows.column(rows.schema().index_of(column)?));
    let honest = || batch(&[(ROW, &origins), (column, &values)]);
    let with_origins = |origins: ArrayRef| one(&batch(&[(ROW, &origins), (column, &values)])?);
    let with_values = |values: ArrayRef| one(&batch(&[(ROW, &origins), (column, &values)])?);
    let refused = |rows: &[u32]| {
        let why = Rejection { message: "told to reject".to_owned(), column: None };
        rows.iter().map(|row| Refused { row: *row, why: why.clone() }).collect()
    };
    let (rows, rejections) = match what {
        "out_of_range" => with_origins(Arc::new(UInt32Array::from_iter_values(1..=count))),
        "descending" => {
            let origins = std::iter::once(count).chain(0..count);
            let origins: ArrayRef = Arc::new(UInt32Array::from_iter_values(origins));
            let values: ArrayRef = Arc::new(StringArray::new_null(origins.len()));
            one(&batch(&[(ROW, &origins), (column, &values)])?)
        }
        "null_row" => {
            let origins = (0..count).map(|origin| (origin != row).then_some(origin));
            with_origins(Arc::new(origins.collect::<UInt32Array>()))
        }
        "row_of_other_type" => {
            with_origins(Arc::new(Int64Array::from_iter_values(0..i64::from(count))))
        }
        "no_row" => one(&batch(&[(column, &values)])?),
        "missing_column" => one(&batch(&[(ROW, &origins)])?),
        "extra_column" => one(&batch(&[(ROW, &origins), (column, &values), ("extra", &values)])?),
        "column_twice" => one(&batch(&[(ROW, &origins), (column, &values), (column, &values)])?),
        "wrong_type" => with_values(Arc::new(NullArray::new(values.len()))),
        "bad_utf8" => bad_utf8(&origins, column),
        "bad_offsets" => bad_offsets(&origins, column),
        "cut" => Ok(cut(one(&honest()?)?)),
        "empty" => Ok(Vec::new()),
        "no_batch" => stream(&honest()?.schema(), &[]),
        "two_batches" => stream(&honest()?.schema(), &[honest()?, honest()?]),
        "huge_output" => Ok(vec![0; HUGE_BYTES]),
        "reject_and_keep" | "reject_out_of_range" | "reject_twice" => one(&honest()?),
        _ => return Ok(None),
    }
    .map(|rows| match what {
        "reject_and_keep" => (rows, refused(&[row])),
        "reject_out_of_range" => (rows, refused(&[count])),
        "reject_twice" => (rows, refused(&[row, row])),
        _ => (rows, Vec::new()),
    })?;
    Ok(Some(Outcome { rows, rejections }))
}

fn batch(columns: &[(&str, &ArrayRef)]) -> Result<RecordBatch, ArrowError> {
    let columns = columns.iter().map(|(name, values)| (*name, Arc::clone(values), true));
    RecordBatch::try_from_iter_with_nullable(columns)
}

fn stream(schema: &Schema, batches: &[RecordBatch]) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.into_inner()
}

fn one(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    stream(&batch.schema(), std::slice::from_ref(batch))
}

fn cut(mut stream: Vec<u8>) -> Vec<u8> {
    stream.truncate(stream.len() / 2);
    stream
}

/// The part of a stream that says what its columns are.
fn head(schema: &Schema) -> Result<Vec<u8>, ArrowError> {
    Ok(StreamWriter::try_new(Vec::new(), schema)?.get_ref().clone())
}

/// Bytes that are no text, under a schema that says that they are.
fn bad_utf8(origins: &ArrayRef, column: &str) -> Result<Vec<u8>, ArrowError> {
    let values: ArrayRef =
        Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n(b"\xff\xfe", origins.len())));
    let bytes = batch(&[(ROW, origins), (column, &values)])?;
    let text = Schema::new(vec![
        Field::new(ROW, DataType::UInt32, true),
        Field::new(column, DataType::Utf8, true),
    ]);
    let (mut lie, truth) = (head(&text)?, head(&bytes.schema())?);
    lie.extend(one(&bytes)?.into_iter().skip(truth.len()));
    Ok(lie)
}

/// Texts of which the last one ends behind the bytes of all.
fn bad_offsets(origins: &ArrayRef, column: &str) -> Result<Vec<u8>, ArrowError> {
    // Of such a length that its bytes stand nowhere behind the offsets.
    const LENGTH: u32 = 0x1b2c;
    let text = "x".repeat(LENGTH as usize);
    let texts = std::iter::repeat_n(None, origins.len() - 1).chain([Some(&text)]);
    let values: ArrayRef = Arc::new(texts.collect::<StringArray>());
    let mut stream = one(&batch(&[(ROW, origins), (column, &values)])?)?;
    let end = LENGTH.to_le_bytes();
    let at = stream.windows(end.len()).rposition(|bytes| bytes == end);
    if let Some(claimed) = at.and_then(|at| stream.get_mut(at..at + end.len())) {
        claimed.copy_from_slice(&i32::MAX.to_le_bytes());
    }
    Ok(stream)
}
