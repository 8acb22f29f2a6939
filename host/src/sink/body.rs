//! Rows as the body of one INSERT.

use std::hash::Hasher as _;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use bytes::Bytes;
use twox_hash::XxHash3_64;

use super::table::Table;
use crate::observe::cpu::CpuOf;
use crate::schema::quoted::identifier;

/// How many rows of a batch one INSERT takes, so that it is one block, and so atomic: below
/// `min_insert_block_size_rows` (1,048,449) and `min_insert_block_size_bytes` (256 MiB).
pub fn max_rows(rows: &RecordBatch) -> usize {
    const MAX_ROWS: usize = 1_000_000;
    const MAX_BYTES: usize = 200 * 1024 * 1024;
    let row_bytes = rows.get_array_memory_size().div_ceil(rows.num_rows().max(1)).max(1);
    MAX_ROWS.min(MAX_BYTES / row_bytes).max(1)
}

/// One INSERT as it goes over the wire.
#[derive(Debug)]
pub struct Body {
    /// The statement.
    pub sql: String,
    /// One record batch as an Arrow IPC stream.
    pub bytes: Bytes,
    /// How many rows.
    pub rows: usize,
}

impl Body {
    /// The rows as an INSERT into the table.
    ///
    /// # Errors
    /// Arrow cannot write them.
    pub fn of(table: &Table, rows: &RecordBatch) -> Result<Self, String> {
        let mut body = Vec::with_capacity(rows.get_array_memory_size() / 2 + 4096);
        let written = CpuOf::Ipc.run(|| {
            let mut writer = StreamWriter::try_new(&mut body, &rows.schema())?;
            writer.write(rows)?;
            writer.finish()
        });
        written.map_err(|error: ArrowError| format!("arrow ipc: {error}"))?;
        let (sql, bytes) = (insert_sql(table, rows), Bytes::from(body));
        Ok(Self { sql, bytes, rows: rows.num_rows() })
    }

    /// A fingerprint of what decides whether the server takes the INSERT: its bytes, the table's
    /// definition, and the settings. The same in every version of the host.
    pub fn print(&self, table: &Table, settings: &str) -> u64 {
        let mut hasher = XxHash3_64::new();
        for part in [table.facts.definition.as_bytes(), settings.as_bytes(), self.sql.as_bytes()] {
            hasher.write(part);
            hasher.write(&[0]);
        }
        hasher.write(&self.bytes);
        hasher.finish()
    }
}

fn insert_sql(table: &Table, rows: &RecordBatch) -> String {
    let columns: Vec<String> =
        rows.schema().fields().iter().map(|field| identifier(field.name())).collect();
    let (database, name) = (identifier(&table.schema.database), identifier(&table.schema.table));
    format!("INSERT INTO {database}.{name} ({}) FORMAT ArrowStream", columns.join(", "))
}
