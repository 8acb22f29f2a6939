//! Builds a table row by row, and enforces its limits and rules.

use std::collections::HashMap;

use super::fault::{LookupFault, LookupLine};
use super::table::{Index, LookupColumn, LookupTable};
use crate::config::Lookup;
use crate::words::near;

/// Most columns: each row stores an entry in each of them, even for a missing value.
pub const MAX_COLUMNS: usize = 1_000;
/// The bytes of a value beside its text: its end, and whether it is missing.
const VALUE_BYTES: usize = 5;
/// The bytes of a row in the index.
const ROW_BYTES: usize = 12;
/// The least bytes of a row: its key.
pub const LEAST_ROW_BYTES: usize = ROW_BYTES + VALUE_BYTES;

/// A table under construction.
#[derive(Debug)]
pub struct LookupBuilder {
    lookup: Lookup,
    table: LookupTable,
    names: HashMap<String, usize>,
    /// The line of each row, for error texts.
    lines: Vec<LookupLine>,
    /// The line of the current row.
    line: LookupLine,
}

impl LookupBuilder {
    /// A table without columns.
    pub fn new(lookup: &Lookup) -> Self {
        let table = LookupTable {
            name: lookup.name.clone(),
            columns: Vec::new(),
            key: 0,
            index: Index::default(),
            is_open: false,
            memory_bytes: 0,
        };
        let (names, lines) = (HashMap::new(), Vec::new());
        Self { lookup: lookup.clone(), table, names, lines, line: LookupLine::default() }
    }

    /// The limit of the table, in bytes.
    pub fn most_bytes(&self) -> usize {
        self.lookup.memory_bytes
    }

    /// The error for exceeding the limit at a line.
    pub fn too_large(&self, line: LookupLine) -> LookupFault {
        let variable = self.lookup.variable("_MEMORY_BYTES");
        LookupFault::TooLarge { line, variable, most_bytes: self.lookup.memory_bytes }
    }

    /// Sets the columns; the key must be one of them.
    pub fn header<'a>(
        &mut self,
        line: LookupLine,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), LookupFault> {
        self.line = line;
        for name in names {
            if self.names.contains_key(name) {
                return Err(LookupFault::SameColumn { line, column: name.to_owned() });
            }
            self.column(name)?;
        }
        let Some(key) = self.names.get(&self.lookup.key) else {
            let (key, variable) = (self.lookup.key.clone(), self.lookup.variable("_KEY"));
            let columns = self.table.columns.len();
            let near = near::nearest(&key, self.table.columns()).map(str::to_owned);
            return Err(LookupFault::NoKeyColumn { key, variable, columns, near });
        };
        self.table.key = *key;
        Ok(())
    }

    /// Begins a table without a header. Its columns are those of its rows and of the previous
    /// table, so that a column without values any more is missing, not unknown.
    pub fn open(&mut self, before: &[&str]) -> Result<(), LookupFault> {
        self.table.is_open = true;
        self.table.key = self.column(&self.lookup.key.clone())?;
        before.iter().try_for_each(|name| self.column(name).map(drop))
    }

    /// Begins a row, at this line.
    pub fn begin(&mut self, line: LookupLine) {
        self.line = line;
    }

    /// The column of this name; created if it is new.
    pub fn column(&mut self, name: &str) -> Result<usize, LookupFault> {
        if let Some(at) = self.names.get(name) {
            return Ok(*at);
        }
        let at = self.table.columns.len();
        if at == MAX_COLUMNS {
            return Err(LookupFault::TooManyColumns { line: self.line });
        }
        self.take(name.len() + self.lines.len() * VALUE_BYTES)?;
        self.table.columns.push(LookupColumn::missing(name, self.lines.len()));
        self.names.insert(name.to_owned(), at);
        Ok(at)
    }

    /// Adds a value to the row.
    pub fn put(&mut self, column: usize, value: Option<&str>) -> Result<(), LookupFault> {
        self.take(value.map_or(0, str::len) + VALUE_BYTES)?;
        let (line, rows) = (self.line, self.lines.len());
        let Some(column) = self.table.columns.get_mut(column) else { return Ok(()) };
        if column.len() > rows {
            return Err(LookupFault::SameColumn { line, column: column.name.clone() });
        }
        column.push(value).ok_or_else(|| self.too_large(line))
    }

    /// Ends the row: values that were not added are missing.
    pub fn end(&mut self) -> Result<(), LookupFault> {
        self.take(ROW_BYTES)?;
        let (line, row) = (self.line, self.lines.len());
        for at in 0..self.table.columns.len() {
            if self.table.columns.get(at).is_some_and(|column| column.len() == row) {
                self.put(at, None)?;
            }
        }
        let row = u32::try_from(row).map_err(|_| self.too_large(line))?;
        let LookupTable { columns, key, index, .. } = &mut self.table;
        let key_name = || self.lookup.key.clone();
        let Some(keys) = columns.get(*key) else { return Ok(()) };
        let Some(text) = keys.value(row) else {
            return Err(LookupFault::NoKey { line, key: key_name() });
        };
        if let Some(before) = index.find(keys, text) {
            let before = self.lines.get(before as usize).copied().unwrap_or_default();
            return Err(LookupFault::SameKey { line, before, key: key_name() });
        }
        index.insert(keys, text, row);
        self.lines.push(line);
        Ok(())
    }

    /// Returns the table.
    pub fn finish(mut self) -> LookupTable {
        self.table.columns.iter_mut().for_each(LookupColumn::shrink);
        self.table
    }

    fn take(&mut self, bytes: usize) -> Result<(), LookupFault> {
        self.table.memory_bytes += bytes;
        if self.table.memory_bytes > self.lookup.memory_bytes {
            return Err(self.too_large(self.line));
        }
        Ok(())
    }
}
