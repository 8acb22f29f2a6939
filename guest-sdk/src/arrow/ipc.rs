//! Arrow IPC streams of a schema and at most one batch: the form in which columns cross.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{ArrowError, Schema, SchemaRef};

/// The stream of a schema and its batch.
pub(crate) fn stream(schema: &Schema, batch: Option<&RecordBatch>) -> Result<Vec<u8>, ArrowError> {
    let mut encoder = StreamEncoder::try_new(schema)?;
    let mut parts = match batch {
        Some(batch) => encoder.encode(batch)?,
        None => Vec::new(),
    };
    parts.extend(encoder.finish()?);
    // The parts share the columns' bytes, so that these are copied once.
    Ok(parts.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat())
}

/// The schema of a stream, and its batch if it has one. The columns share the bytes.
///
/// # Errors
///
/// When it is no stream, has an end too few, or a second batch.
pub(crate) fn read(bytes: Vec<u8>) -> Result<(SchemaRef, Option<RecordBatch>), String> {
    let text = |error: ArrowError| error.to_string();
    let mut decoder = StreamDecoder::new();
    let mut rest = Buffer::from_vec(bytes);
    let mut found = None;
    while !rest.is_empty() {
        let batch = decoder.decode(&mut rest).map_err(text)?;
        if batch.is_some() && std::mem::replace(&mut found, batch).is_some() {
            return Err("more than one batch".to_owned());
        }
    }
    decoder.finish().map_err(text)?;
    Ok((decoder.schema().ok_or("no schema")?, found))
}
