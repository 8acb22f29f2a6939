//! A lookup in memory: texts by column, rows by key. It never changes; a newer one replaces it.

use std::fmt;
use std::hash::BuildHasher as _;

use arrow_buffer::BooleanBufferBuilder;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::builder::MAX_COLUMNS;

/// How many columns an error names.
const NAMED: usize = 20;

/// Texts by column and key.
#[derive(Debug)]
pub struct LookupTable {
    pub(super) name: String,
    pub(super) columns: Vec<LookupColumn>,
    /// The column that rows are found by.
    pub(super) key: usize,
    pub(super) index: Index,
    /// There was no header: the columns are those that some row has.
    pub(super) is_open: bool,
    pub(super) memory_bytes: usize,
}

/// The values found in one column, one for each key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundValues {
    /// The values one after the other, in UTF-8; missing values take no bytes.
    pub bytes: Vec<u8>,
    /// The end of each value in `bytes`.
    pub ends: Vec<u32>,
    /// The indices of the keys without a row or a value, ascending.
    pub missing: Vec<u32>,
}

impl FoundValues {
    /// Builds the answer from values with `bytes` bytes in all, less than 4 GiB.
    fn of<'a>(values: impl ExactSizeIterator<Item = Option<&'a str>>, bytes: usize) -> Self {
        let mut found = Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(values.len()),
            missing: Vec::new(),
        };
        for (at, value) in (0..).zip(values) {
            match value {
                Some(text) => found.bytes.extend_from_slice(text.as_bytes()),
                None => found.missing.push(at),
            }
            found.ends.push(u32::try_from(found.bytes.len()).unwrap_or(u32::MAX));
        }
        found
    }
}

/// Why a lookup cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// There is no such column.
    #[error("lookup `{lookup}` has no column `{column}`; it has {has}")]
    Column {
        /// The lookup.
        lookup: String,
        /// The column that was asked for.
        column: String,
        /// The columns that it has, as a text.
        has: String,
    },
    /// More columns are asked for than a lookup has.
    #[error("lookup `{lookup}`: at most {MAX_COLUMNS} columns may be asked for at once")]
    TooManyColumns {
        /// The lookup.
        lookup: String,
    },
    /// The answer is larger than allowed.
    #[error(
        "what was found in lookup `{lookup}` is more than {most_bytes} bytes; ask for fewer keys at once"
    )]
    TooLarge {
        /// The lookup.
        lookup: String,
        /// The limit, in bytes.
        most_bytes: usize,
    },
}

impl LookupTable {
    /// The lookup's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.index.rows.len()
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    /// The memory that it takes, in bytes, without the allocator's overhead.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Finds the values of columns, each in the order of the keys. The answer and the working
    /// memory take at most `most_bytes`, and the time is proportional.
    ///
    /// # Errors
    /// A column is missing, or the answer is too large. An empty list of keys is never too large,
    /// so it tests whether the columns exist.
    pub fn lookup<'k, K>(
        &self,
        columns: &[impl AsRef<str>],
        keys: K,
        most_bytes: usize,
    ) -> Result<Vec<FoundValues>, LookupError>
    where
        K: IntoIterator<Item = &'k str, IntoIter: ExactSizeIterator>,
    {
        if columns.len() > MAX_COLUMNS {
            return Err(LookupError::TooManyColumns { lookup: self.name.clone() });
        }
        let columns: Vec<Option<&LookupColumn>> =
            columns.iter().map(|name| self.column(name.as_ref())).collect::<Result<_, _>>()?;
        let keys = keys.into_iter();
        // So that every end fits into a u32.
        let most_bytes = most_bytes.min(u32::MAX as usize);
        let mut left = most_bytes;
        let mut take = |bytes: usize| match left.checked_sub(bytes) {
            Some(rest) => {
                left = rest;
                Ok(())
            }
            None => Err(LookupError::TooLarge { lookup: self.name.clone(), most_bytes }),
        };
        take(keys.len() * size_of::<Option<u32>>())?;
        let rows: Vec<Option<u32>> = keys.map(|key| self.row(key)).collect();
        let mut answer = Vec::with_capacity(columns.len());
        for column in columns {
            let values = || rows.iter().map(|row| column?.value((*row)?));
            let bytes = values().flatten().map(str::len).sum();
            take(bytes + rows.len() * 2 * size_of::<u32>())?;
            answer.push(FoundValues::of(values(), bytes));
        }
        Ok(answer)
    }

    /// The first column of another table that this one lacks.
    pub(super) fn lacks<'a>(&self, other: &'a Self) -> Option<&'a str> {
        other.columns().find(|name| self.columns().all(|own| own != *name))
    }

    /// `None` if the table has no header and no rows.
    fn column(&self, name: &str) -> Result<Option<&LookupColumn>, LookupError> {
        let column = self.columns.iter().find(|column| column.name == name);
        if column.is_none() && !(self.is_open && self.rows() == 0) {
            return Err(LookupError::Column {
                lookup: self.name.clone(),
                column: name.to_owned(),
                has: listed(self.columns()),
            });
        }
        Ok(column)
    }

    fn row(&self, key: &str) -> Option<u32> {
        self.index.find(self.columns.get(self.key)?, key)
    }
}

impl fmt::Display for LookupTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = (self.rows(), listed(self.columns()));
        let noun = if rows == 1 { "row" } else { "rows" };
        write!(f, "`{}`: {rows} {noun} of {columns}; {} bytes", self.name, self.memory_bytes)
    }
}

/// Names for an error: quoted, at most [`NAMED`] of them.
fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let mut text: Vec<String> =
        names.by_ref().take(NAMED).map(|name| format!("`{name}`")).collect();
    let more = names.count();
    if more > 0 {
        text.push(format!("{more} more"));
    }
    text.join(", ")
}

/// The texts of one column.
#[derive(Debug)]
pub(super) struct LookupColumn {
    pub name: String,
    text: String,
    ends: Vec<u32>,
    is_missing: BooleanBufferBuilder,
}

impl LookupColumn {
    /// A column of this many rows, all without a value.
    pub fn missing(name: &str, rows: usize) -> Self {
        let mut is_missing = BooleanBufferBuilder::new(rows);
        is_missing.append_n(rows, true);
        Self { name: name.to_owned(), text: String::new(), ends: vec![0; rows], is_missing }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds the value of the next row; `None` if the texts reach 4 GiB.
    pub fn push(&mut self, value: Option<&str>) -> Option<()> {
        let end = u32::try_from(self.text.len() + value.map_or(0, str::len)).ok()?;
        self.text.push_str(value.unwrap_or_default());
        self.ends.push(end);
        self.is_missing.append(value.is_none());
        Some(())
    }

    pub fn value(&self, row: u32) -> Option<&str> {
        let row = row as usize;
        let end = *self.ends.get(row)? as usize;
        if self.is_missing.get_bit(row) {
            return None;
        }
        let start = match row.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.text.get(start..end)
    }

    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// The rows by the text of their key.
#[derive(Debug, Default)]
pub(super) struct Index {
    rows: HashTable<u32>,
    hasher: RandomState,
}

impl Index {
    pub fn find(&self, keys: &LookupColumn, key: &str) -> Option<u32> {
        let is_it = |row: &u32| keys.value(*row) == Some(key);
        self.rows.find(self.hasher.hash_one(key), is_it).copied()
    }

    /// Adds a row whose key is new.
    pub fn insert(&mut self, keys: &LookupColumn, key: &str, row: u32) {
        let hash = |row: &u32| self.hasher.hash_one(keys.value(*row).unwrap_or_default());
        self.rows.insert_unique(self.hasher.hash_one(key), row, hash);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lookup, values};
    use super::super::{csv, json};
    use super::*;
    use crate::plugins::lookups::builder::LookupBuilder;

    fn table() -> LookupTable {
        let text = "id,name,note\n1,North,é\n2,,\n";
        csv::read_csv(text.as_bytes(), LookupBuilder::new(&lookup("id"))).unwrap()
    }

    #[test]
    fn values_come_in_the_order_of_the_keys_a_list_for_each_column() {
        let found = table().lookup(&["note", "name"], ["2", "1", "3", "1"], 1_000).unwrap();
        let note = FoundValues { bytes: "éé".into(), ends: vec![0, 2, 2, 4], missing: vec![2] };
        let name =
            FoundValues { bytes: b"NorthNorth".into(), ends: vec![0, 5, 5, 10], missing: vec![2] };
        assert_eq!(found, [note, name]);
    }

    #[test]
    fn a_column_that_is_not_there_is_named_even_without_a_key() {
        let error = table().lookup(&["name", "nmae"], [], 0).unwrap_err();
        let expected = "lookup `zones` has no column `nmae`; it has `id`, `name`, `note`";
        assert_eq!(error.to_string(), expected);
        assert_eq!(table().lookup(&["name"], [], 0).unwrap(), [FoundValues::default()]);
        let many = vec!["name"; MAX_COLUMNS + 1];
        let error = table().lookup(&many, [], usize::MAX).unwrap_err();
        assert!(error.to_string().contains("1000 columns"), "{error}");
    }

    #[test]
    fn an_answer_is_bounded_before_it_is_made() {
        // Two keys of 8 bytes, their two values of 8, and the text.
        let least = 2 * 8 + 2 * 8 + "North".len();
        let look = |most_bytes| table().lookup(&["name"], ["1", "2"], most_bytes);
        assert_eq!(look(least).unwrap()[0].bytes, b"North");
        let error = look(least - 1).unwrap_err();
        assert_eq!(error, LookupError::TooLarge { lookup: "zones".into(), most_bytes: least - 1 });
    }

    #[test]
    fn a_table_of_no_line_has_every_column_and_one_of_a_header_does_not() {
        let empty = json::objects(&b"\n"[..], LookupBuilder::new(&lookup("id")), &[]).unwrap();
        assert_eq!(values(&empty, "name", &["1"]), [None]);
        let empty = csv::read_csv(&b"id\n"[..], LookupBuilder::new(&lookup("id"))).unwrap();
        assert!(empty.lookup(&["name"], ["1"], 100).is_err());
    }

    #[test]
    fn an_error_does_not_list_columns_without_end() {
        let names: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
        let text = listed(names.iter().map(String::as_str));
        assert!(text.starts_with("`c0`, `c1`") && text.ends_with("`c19`, 80 more"), "{text}");
    }
}
