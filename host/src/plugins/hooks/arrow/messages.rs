//! Checks the messages of an answer's stream against the plan before anything is decoded: a few
//! bytes can claim to be many.

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Message, MessageHeader, root_as_message_with_opts};
use arrow_schema::{DataType, FieldRef, Schema};
use flatbuffers::VerifierOptions;

use super::fit::ROW;

/// Precedes the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Most tables of a message: a column takes two, and two more for each part of its type.
const MAX_TABLES: usize = 100_000;
/// Most bytes of a message without its body, counted once for each reference to them.
const MAX_APPARENT_BYTES: usize = 16 * 1024 * 1024;

/// Checks that a stream has one schema (the row number and the columns `gives`), then each
/// dictionary at most once, then one batch, and that no message's buffers are larger than its body,
/// compressed or not. Does not check whether they can be read.
///
/// # Errors
/// What differs, or how the stream is broken.
pub fn judge_stream(gives: &[FieldRef], mut stream: &[u8]) -> Result<(), String> {
    let wrong = |text: &str| Err(format!("its stream: {text}"));
    let mut dictionaries = None;
    let mut has_batch = false;
    while let Some((message, body_bytes)) = next(&mut stream)? {
        let batch = match (message.header_type(), &mut dictionaries) {
            (MessageHeader::Schema, None) => {
                dictionaries = Some(judge_schema(gives, &message)?);
                None
            }
            (MessageHeader::Schema, Some(_)) => return wrong("more than one schema"),
            (_, None) => return wrong("no schema at its beginning"),
            (MessageHeader::DictionaryBatch, Some(left)) => {
                let dictionary = message.header_as_dictionary_batch();
                if dictionary.is_some_and(|dictionary| dictionary.isDelta()) {
                    return wrong("a delta of a dictionary");
                }
                let Some(fewer) = left.checked_sub(1) else {
                    return wrong("more dictionaries than its columns have");
                };
                *left = fewer;
                dictionary.and_then(|dictionary| dictionary.data())
            }
            (MessageHeader::RecordBatch, Some(_)) => {
                if std::mem::replace(&mut has_batch, true) {
                    return wrong("more than one batch");
                }
                message.header_as_record_batch()
            }
            (other, Some(_)) => return wrong(&format!("a message of another kind: {other:?}")),
        };
        if batch.is_some_and(|batch| batch.compression().is_some()) {
            return wrong("buffers that are compressed");
        }
        let mut left = body_bytes;
        for buffer in batch.and_then(|batch| batch.buffers()).iter().flatten() {
            let length = usize::try_from(buffer.length()).ok();
            let fewer = length.and_then(|length| left.checked_sub(length));
            let end = buffer.offset().checked_add(buffer.length());
            let end = end.and_then(|end| usize::try_from(end).ok());
            let is_within = buffer.offset() >= 0 && end.is_some_and(|end| end <= body_bytes);
            match fewer.filter(|_| is_within) {
                Some(fewer) => left = fewer,
                None => return wrong("buffers that overlap, or reach beyond their message"),
            }
        }
    }
    Ok(())
}

/// Takes the next message and its body from the stream; `None` at its end.
fn next<'a>(stream: &mut &'a [u8]) -> Result<Option<(Message<'a>, usize)>, String> {
    let cut = || "its stream: it ends within a message".to_owned();
    if stream.is_empty() {
        return Ok(None);
    }
    let mut length = take(stream, 4).ok_or_else(cut)?;
    if length == CONTINUATION {
        length = take(stream, 4).ok_or_else(cut)?;
    }
    let length = length.try_into().map(u32::from_le_bytes).unwrap_or_default();
    if length == 0 {
        // Anything after the end of the stream is refused where it is read.
        return Ok(None);
    }
    let head = take(stream, length as usize).ok_or_else(cut)?;
    let bounds = VerifierOptions {
        max_tables: MAX_TABLES,
        max_apparent_size: MAX_APPARENT_BYTES,
        ..VerifierOptions::default()
    };
    let message = root_as_message_with_opts(&bounds, head)
        .map_err(|error| format!("its stream: a message cannot be read: {error}"))?;
    let body = usize::try_from(message.bodyLength()).ok().and_then(|bytes| take(stream, bytes));
    Ok(Some((message, body.ok_or_else(cut)?.len())))
}

fn take<'a>(stream: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, rest) = stream.split_at_checked(bytes)?;
    *stream = rest;
    Some(taken)
}

/// Checks that the columns are the planned ones, and returns how many dictionaries they have.
fn judge_schema(gives: &[FieldRef], message: &Message<'_>) -> Result<usize, String> {
    let schema = message.header_as_schema().ok_or("its stream: no schema")?;
    let schema = try_fb_to_schema(schema).map_err(|error| format!("its stream: {error}"))?;
    let found = |name: &str| schema.column_with_name(name).map(|(_, field)| field.data_type());
    if found(ROW) != Some(&DataType::UInt32) {
        return Err(format!("no column `{ROW}` of type UInt32"));
    }
    for field in gives {
        let (name, expected) = (field.name(), field.data_type());
        let given = found(name).ok_or_else(|| format!("no column `{name}`"))?;
        if given != expected {
            return Err(format!("column `{name}` is of type {given}, expected {expected}"));
        }
    }
    if schema.fields().len() != gives.len() + 1 {
        let names: Vec<&str> = schema.fields().iter().map(|field| &**field.name()).collect();
        return Err(format!("other columns than it planned: {}", names.join(", ")));
    }
    Ok(dictionaries(&schema))
}

fn dictionaries(schema: &Schema) -> usize {
    let fields = schema.flattened_fields();
    fields.iter().filter(|field| matches!(field.data_type(), DataType::Dictionary(..))).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, RecordBatch, StringArray, UInt32Array};
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
    use arrow_schema::Field;

    use super::super::fit::stream;
    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        let row: ArrayRef = Arc::new(UInt32Array::from_iter_values((0..).take(rows)));
        let columns = std::iter::once((ROW, row)).chain(columns);
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
            .unwrap()
    }

    fn texts(texts: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    fn labels(labels: &[&str]) -> ArrayRef {
        Arc::new(labels.iter().copied().collect::<DictionaryArray<Int32Type>>())
    }

    /// The columns without the row number.
    fn gives(batch: &RecordBatch) -> Vec<FieldRef> {
        batch.schema().fields().iter().skip(1).cloned().collect()
    }

    fn streamed(batches: &[RecordBatch], dictionaries: DictionaryHandling) -> Vec<u8> {
        let options = IpcWriteOptions::default().with_dictionary_handling(dictionaries);
        let schema = batches[0].schema();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.into_inner().unwrap()
    }

    #[test]
    fn a_stream_of_what_was_planned_passes() {
        let given = batch(vec![("a", texts(&["x", ""])), ("b", labels(&["y", "z"]))]);
        assert_eq!(
            judge_stream(&gives(&given), &stream(&given.schema(), Some(&given)).unwrap()),
            Ok(())
        );
        let none = given.slice(0, 0);
        assert_eq!(
            judge_stream(&gives(&none), &stream(&none.schema(), Some(&none)).unwrap()),
            Ok(())
        );
    }

    #[test]
    fn a_column_that_was_not_planned_is_refused_by_the_schema_alone() {
        let given = batch(vec![("a", texts(&["x"]))]);
        let other = Field::new("b", DataType::Utf8, true);
        let many = (0..60_000).map(|at| Field::new(format!("c{at}"), DataType::Int8, true));
        let many = Schema::new(many.collect::<Vec<_>>());
        for (schema, expected) in [
            (Schema::new(vec![other]), "no column `__row` of type UInt32"),
            (many, "a message cannot be read"),
        ] {
            let error = judge_stream(&gives(&given), &stream(&schema, None).unwrap()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn buffers_do_not_share_the_bytes_of_a_message() {
        let (a, b) = ("a".repeat(2_000), "b".repeat(100));
        let given = batch(vec![("a", texts(&[&a])), ("b", texts(&[&b]))]);
        let mut bytes = stream(&given.schema(), Some(&given)).unwrap();
        let place = |length: i64| {
            bytes.windows(8).position(|window| window == length.to_le_bytes()).unwrap()
        };
        // The text of `b` becomes that of `a`: its start is stored before its length.
        let (from, to) = (place(2_000), place(100));
        bytes.copy_within(from - 8..from + 8, to - 8);
        let error = judge_stream(&gives(&given), &bytes).unwrap_err();
        assert_eq!(error, "its stream: buffers that overlap, or reach beyond their message");
    }

    #[test]
    fn what_is_compressed_is_refused_before_it_claims_memory() {
        let lz4 = Some(CompressionType::LZ4_FRAME);
        let options = IpcWriteOptions::default().try_with_compression(lz4).unwrap();
        // A dictionary's message comes before that of the batch.
        for column in [texts(&["a"; 1_000]), labels(&["a"; 1_000])] {
            let given = batch(vec![("a", column)]);
            let schema = given.schema();
            let mut writer =
                StreamWriter::try_new_with_options(Vec::new(), &schema, options.clone()).unwrap();
            writer.write(&given).unwrap();
            let error = judge_stream(&gives(&given), &writer.into_inner().unwrap()).unwrap_err();
            assert_eq!(error, "its stream: buffers that are compressed");
        }
    }

    #[test]
    fn a_dictionary_comes_once_and_whole() {
        let batches = [batch(vec![("a", labels(&["x"]))]), batch(vec![("a", labels(&["x", "y"]))])];
        let gives = gives(&batches[0]);
        for (handling, expected) in [
            (DictionaryHandling::Delta, "a delta of a dictionary"),
            (DictionaryHandling::Resend, "more dictionaries than its columns have"),
        ] {
            let error = judge_stream(&gives, &streamed(&batches, handling)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
