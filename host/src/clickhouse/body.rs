//! The body of one INSERT.

use std::hash::Hasher as _;
use std::io::Write;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::ArrowError;
use bytes::Bytes;
use twox_hash::XxHash3_64;

use super::table::Table;
use super::tokens::Sought;
use crate::config::Compression;
use crate::observe::cpu::CpuOf;
use crate::schema::quoted::identifier;

/// Most rows of one INSERT, so that it is one block and therefore atomic: below `min_insert_block_size_rows`
/// (1,048,449) and `min_insert_block_size_bytes` (256 MiB).
pub fn max_rows(rows: &RecordBatch) -> usize {
    const MAX_ROWS: usize = 1_000_000;
    const MAX_BYTES: usize = 200 * 1024 * 1024;
    let row_bytes = rows.get_array_memory_size().div_ceil(rows.num_rows().max(1)).max(1);
    MAX_ROWS.min(MAX_BYTES / row_bytes).max(1)
}

/// One INSERT as it is sent.
#[derive(Debug)]
pub struct Body {
    /// The statement.
    pub sql: String,
    /// One record batch as an Arrow IPC stream, or an empty JSON object for each row if the server fills
    /// every column.
    pub bytes: Bytes,
    /// How many rows.
    pub rows: usize,
    /// The rows themselves, to look for after an unclear answer.
    pub sought: Sought,
}

impl Body {
    /// Encodes rows as an INSERT into the table.
    ///
    /// # Errors
    /// Arrow cannot write them.
    pub fn of(table: &Table, rows: &RecordBatch, compression: Compression) -> Result<Self, String> {
        let sought = Sought { rows: rows.clone(), token_column: None };
        if rows.num_columns() == 0 {
            let (sql, bytes) = (insert_of_defaults(table)?, "{}\n".repeat(rows.num_rows()).into());
            return Ok(Self { sql, bytes, rows: rows.num_rows(), sought });
        }
        let mut body = Vec::with_capacity(rows.get_array_memory_size() / 2 + 4096);
        CpuOf::Ipc.run(|| write(&mut body, rows, compression))?;
        let (sql, bytes) = (insert_sql(table, rows), Bytes::from(body));
        Ok(Self { sql, bytes, rows: rows.num_rows(), sought })
    }
}

/// Fingerprint of everything that decides whether the server takes an INSERT of the rows: their bytes, the
/// table's definition, and the settings. It depends neither on the host's version nor on compression.
///
/// # Errors
/// Arrow cannot write the rows.
pub fn fingerprint(table: &Table, rows: &RecordBatch, settings: &str) -> Result<u64, String> {
    let mut hashed = FingerprintWriter(XxHash3_64::new());
    let sql = insert_sql(table, rows);
    for part in [table.facts.definition.as_bytes(), settings.as_bytes(), sql.as_bytes()] {
        hashed.0.write(part);
        hashed.0.write(&[0]);
    }
    CpuOf::Ipc.run(|| write(&mut hashed, rows, Compression::None))?;
    Ok(hashed.0.finish())
}

/// Fingerprints what is written to it.
struct FingerprintWriter(XxHash3_64);

impl Write for FingerprintWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes one record batch as an Arrow IPC stream.
fn write(to: impl Write, rows: &RecordBatch, compression: Compression) -> Result<(), String> {
    let compression = match compression {
        Compression::None => None,
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
    };
    let written = || {
        let options = IpcWriteOptions::default().try_with_compression(compression)?;
        let mut writer = StreamWriter::try_new_with_options(to, &rows.schema(), options)?;
        writer.write(rows)?;
        writer.finish()
    };
    written().map_err(|error: ArrowError| format!("arrow ipc: {error}"))
}

/// The INSERT of rows without values. Arrow has no rows without columns, but a JSON object may omit every
/// field, and the server then uses the DEFAULT of each.
fn insert_of_defaults(table: &Table) -> Result<String, String> {
    let column = table.schema.columns.first().ok_or("the table has no column to fill")?;
    let (database, name) = (identifier(&table.schema.database), identifier(&table.schema.table));
    let column = identifier(&column.name);
    Ok(format!("INSERT INTO {database}.{name} ({column}) FORMAT JSONEachRow"))
}

fn insert_sql(table: &Table, rows: &RecordBatch) -> String {
    let columns: Vec<String> =
        rows.schema().fields().iter().map(|field| identifier(field.name())).collect();
    let (database, name) = (identifier(&table.schema.database), identifier(&table.schema.table));
    format!("INSERT INTO {database}.{name} ({}) FORMAT ArrowStream", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray, UInt64Array};
    use arrow_ipc::reader::StreamReader;

    use super::*;
    use crate::clickhouse::TableFacts;
    use crate::schema::table::{ColumnRow, TableSchema};

    fn table() -> Table {
        let column = |name: &str, ty: &str| ColumnRow {
            name: name.into(),
            ty: ty.into(),
            default_kind: String::new(),
            default_expression: String::new(),
        };
        let columns = [column("id", "UInt64"), column("city", "String")];
        let schema = TableSchema::from_rows("d", "t", "UTC", columns).unwrap();
        let facts = TableFacts { definition: "CREATE TABLE".into(), ..TableFacts::of_merge_tree() };
        Table { schema: Arc::new(schema), settings: Vec::new(), facts }
    }

    fn rows(count: u64) -> RecordBatch {
        let ids: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..count));
        let cities = (0..count).map(|_| "a city of that name");
        let cities: ArrayRef = Arc::new(StringArray::from_iter_values(cities));
        RecordBatch::try_from_iter([("id", ids), ("city", cities)]).unwrap()
    }

    #[test]
    fn a_compressed_body_is_smaller_and_holds_the_same_rows() {
        let of = |compression| Body::of(&table(), &rows(1_000), compression).unwrap();
        let [plain, compressed] = [Compression::None, Compression::Lz4].map(of);
        assert_eq!((&plain.sql, plain.rows), (&compressed.sql, compressed.rows));
        assert_eq!(plain.sql, "INSERT INTO `d`.`t` (`id`, `city`) FORMAT ArrowStream");
        assert!(compressed.bytes.len() * 3 < plain.bytes.len(), "{}", compressed.bytes.len());
        for body in [plain, compressed] {
            let read = StreamReader::try_new(&*body.bytes, None).unwrap();
            assert_eq!(read.map(Result::unwrap).collect::<Vec<_>>(), [rows(1_000)]);
        }
    }

    #[test]
    fn rows_that_the_server_puts_all_of_are_as_many() {
        let none = rows(2).project(&[]).unwrap();
        let body = Body::of(&table(), &none, Compression::Lz4).unwrap();
        assert_eq!(body.sql, "INSERT INTO `d`.`t` (`id`) FORMAT JSONEachRow");
        assert_eq!((&*body.bytes, body.rows), (&b"{}\n{}\n"[..], 2));
        assert_ne!(fingerprint(&table(), &none, ""), fingerprint(&table(), &none.slice(0, 1), ""));
    }

    #[test]
    fn a_print_tells_rows_table_and_settings_and_stays_what_it_was() {
        let fingerprint = |rows, settings| fingerprint(&table(), &rows, settings).unwrap();
        assert_eq!(fingerprint(rows(3), "a=1"), 17_663_939_372_559_731_896);
        let body = Body::of(&table(), &rows(3), Compression::None).unwrap();
        let whole = [b"CREATE TABLE\0a=1\0", body.sql.as_bytes(), b"\0", &body.bytes].concat();
        assert_eq!(fingerprint(rows(3), "a=1"), XxHash3_64::oneshot(&whole));
        let others = [fingerprint(rows(4), "a=1"), fingerprint(rows(3), "a=2")];
        assert!(!others.contains(&fingerprint(rows(3), "a=1")));
        let mut altered = table();
        altered.facts.definition.push('2');
        assert_ne!(super::fingerprint(&altered, &rows(3), "a=1"), Ok(fingerprint(rows(3), "a=1")));
    }
}
