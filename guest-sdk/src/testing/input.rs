use crate::{Wants, wire};

/// A record for a test: a payload, on partition 0 of the topic `test`, at offset 0, with neither
/// timestamp nor key nor headers, unless it is told otherwise.
#[derive(Debug, Clone)]
pub struct Input {
    payload: Vec<u8>,
    topic: String,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Input {
    /// A record of this payload.
    pub fn new(payload: impl AsRef<[u8]>) -> Self {
        Self {
            payload: payload.as_ref().to_vec(),
            topic: "test".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: -1,
            key: None,
            headers: Vec::new(),
        }
    }

    /// Its topic.
    #[must_use]
    pub fn topic(self, topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..self }
    }

    /// Its partition.
    #[must_use]
    pub fn partition(self, partition: i32) -> Self {
        Self { partition, ..self }
    }

    /// Its offset.
    #[must_use]
    pub fn offset(self, offset: i64) -> Self {
        Self { offset, ..self }
    }

    /// Its timestamp, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp_ms(self, timestamp_ms: i64) -> Self {
        Self { timestamp_ms, ..self }
    }

    /// Its key.
    #[must_use]
    pub fn key(self, key: impl AsRef<[u8]>) -> Self {
        Self { key: Some(key.as_ref().to_vec()), ..self }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Option<&str>) -> Self {
        self.headers.push((name.into(), value.map(|value| value.as_bytes().to_vec())));
        self
    }
}

/// Packs records as the host does, with what is wanted of them.
pub(crate) fn batch(wants: Wants, inputs: &[Input]) -> Result<wire::Batch, String> {
    let mut batch = wire::Batch {
        runs: Vec::new(),
        values: Vec::new(),
        value_ends: Vec::new(),
        offsets: Vec::new(),
        timestamps: Vec::new(),
        keys: Vec::new(),
        key_ends: Vec::new(),
        no_keys: Vec::new(),
        headers: Vec::new(),
    };
    for (row, input) in (0_u32..).zip(inputs) {
        push_run(&mut batch.runs, input);
        batch.values.extend_from_slice(&input.payload);
        batch.value_ends.push(end(&batch.values)?);
        if wants.contains(Wants::OFFSETS) {
            batch.offsets.push(input.offset);
        }
        if wants.contains(Wants::TIMESTAMPS) {
            batch.timestamps.push(input.timestamp_ms);
        }
        if wants.contains(Wants::KEYS) {
            match &input.key {
                Some(key) => batch.keys.extend_from_slice(key),
                None => batch.no_keys.push(row),
            }
            batch.key_ends.push(end(&batch.keys)?);
        }
        if wants.contains(Wants::HEADERS) {
            let headers = input.headers.iter().cloned();
            batch.headers.extend(headers.map(|(name, value)| wire::Header { row, name, value }));
        }
    }
    Ok(batch)
}

fn push_run(runs: &mut Vec<wire::Run>, input: &Input) {
    if let Some(run) = runs.last_mut()
        && (run.topic == input.topic && run.partition == input.partition)
    {
        run.rows += 1;
    } else {
        let Input { topic, partition, .. } = input;
        runs.push(wire::Run { topic: topic.clone(), partition: *partition, rows: 1 });
    }
}

fn end(bytes: &[u8]) -> Result<u32, String> {
    u32::try_from(bytes.len()).map_err(|_| "the records are larger than 4 GiB".to_owned())
}
