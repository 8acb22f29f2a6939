use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::bindings::host::Found;
use crate::bindings::types::Texts;

thread_local! {
    static TABLES: RefCell<HashMap<String, Table>> = RefCell::default();
}

/// Rows by their key, not read yet.
struct Table {
    key: String,
    rows: Vec<String>,
}

/// Grants a table while `body` runs: rows as JSON objects, and the column that holds their key.
/// Of two rows with one key the later counts. Of the current thread only.
///
/// [`Lookup`](crate::Lookup) has an example.
pub fn with_table<R>(
    table: &str,
    key: &str,
    rows: &[impl AsRef<str>],
    body: impl FnOnce() -> R,
) -> R {
    let rows = rows.iter().map(|row| row.as_ref().to_owned()).collect();
    let granted = Table { key: key.to_owned(), rows };
    let before = TABLES.with_borrow_mut(|tables| tables.insert(table.to_owned(), granted));
    let _restored = Restore { table: table.to_owned(), before };
    body()
}

/// Takes the grant back, also where a test panics.
struct Restore {
    table: String,
    before: Option<Table>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        TABLES.with_borrow_mut(|tables| match self.before.take() {
            Some(before) => tables.insert(std::mem::take(&mut self.table), before),
            None => tables.remove(&self.table),
        });
    }
}

/// What the host would find.
pub(crate) fn lookup(table: &str, columns: &[String], keys: &Texts) -> Result<Vec<Found>, String> {
    let rows = TABLES.with_borrow(|tables| match tables.get(table) {
        Some(granted) => granted.by_key().map_err(|text| format!("table `{table}`: {text}")),
        None => Err(format!(
            "table `{table}`: not granted by PLUGIN_<NAME>_LOOKUPS, in a test by \
             `testing::with_table`"
        )),
    })?;
    let found = |column: &String| {
        if !rows.values().any(|row| row.contains_key(column)) {
            return Err(format!("table `{table}`: no column `{column}`"));
        }
        let mut found =
            Found { values: Texts { bytes: Vec::new(), ends: Vec::new() }, missing: Vec::new() };
        for (at, _) in (0_u32..).zip(&keys.ends) {
            let key = crate::batch::piece(&keys.bytes, &keys.ends, at as usize);
            let row = key.and_then(|key| rows.get(str::from_utf8(key).ok()?));
            match row.and_then(|row| text(row.get(column)?)) {
                Some(value) => found.values.bytes.extend_from_slice(value.as_bytes()),
                None => found.missing.push(at),
            }
            let end = u32::try_from(found.values.bytes.len());
            found.values.ends.push(end.map_err(|_| "the values are larger than 4 GiB")?);
        }
        Ok(found)
    };
    columns.iter().map(found).collect()
}

impl Table {
    fn by_key(&self) -> Result<HashMap<String, Map<String, Value>>, String> {
        let row = |row: &String| {
            let fields: Map<String, Value> =
                serde_json::from_str(row).map_err(|error| format!("row {row}: {error}"))?;
            let key = fields.get(&self.key).and_then(text);
            Ok((key.ok_or_else(|| format!("row {row}: no key `{}`", self.key))?, fields))
        };
        self.rows.iter().map(row).collect()
    }
}

/// A text as it is, any other value as its JSON; none for null.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
