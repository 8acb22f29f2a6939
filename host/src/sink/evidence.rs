//! Whether the rows of an INSERT are in the table, where its answer does not tell: by the parts that came
//! since it was sent, and by some of its rows in them.
//!
//! It is asked of plain MergeTree tables that deduplicate or have views. The table's log of deduplication
//! tokens is written before the part is published (measured on 26.7), so a token that is known there is no
//! proof of rows; and a view may throw before the table has its part, or behind it.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use clickhouse::sql::Identifier;

use super::Sink;
use super::body::Body;
use super::engine::Keeping;
use super::table::{self, Facts, Table};
use crate::observe::status::Waiter;
use crate::outcome::Hold;

/// Most columns by which a row is told from others.
const MAX_COLUMNS: usize = 8;
/// Most parts that are looked at.
const MAX_PARTS: usize = 1_000;

/// What is known of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// They are in the table.
    Rows,
    /// None of them is.
    NoRows,
    /// Neither can be told.
    Unknown,
}

/// A part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    name: String,
    rows: u64,
    /// An INSERT made it, and not a merge.
    is_inserted: bool,
    is_active: bool,
}

/// Whether parts tell of a table's INSERTs. Replicated tables number their parts by partition, and publish
/// a part and its token in one step, so there the token is proof.
fn tells(facts: &Facts) -> bool {
    let is_plain = facts.engine.ends_with("MergeTree") && !facts.is_replicated();
    is_plain && (facts.is_deduplicating || facts.has_views)
}

impl Sink {
    /// Where the parts of the table stand before an INSERT, if they are going to tell of it.
    pub(super) async fn parts_before(&self, table: &Table, waiter: &Waiter) -> Option<u64> {
        if !tells(&table.facts) {
            return None;
        }
        Some(super::until_read(waiter, || table::last_block(&self.server, table)).await)
    }

    /// Whether the rows of a body that was sent are in the table. `before` is where its parts stood.
    pub(super) async fn look_for(
        &self,
        table: &Table,
        body: &Body,
        before: Option<u64>,
        waiter: &Waiter,
    ) -> Evidence {
        if Keeping::of(&table.facts.engine) == Keeping::Nowhere {
            return Evidence::NoRows;
        }
        let Some(before) = before else { return Evidence::Unknown };
        let parts = super::until_read(waiter, || self.parts_behind(table, before)).await;
        let Some(parts) = candidates(&parts, body.rows as u64, &table.facts) else {
            return if parts.is_empty() { Evidence::NoRows } else { Evidence::Unknown };
        };
        let samples = samples(table, &body.batch);
        if samples.is_empty() {
            return Evidence::Unknown;
        }
        let found = super::until_read(waiter, || self.has_rows(table, &parts, &samples)).await;
        if found { Evidence::Rows } else { Evidence::Unknown }
    }

    async fn parts_behind(&self, table: &Table, before: u64) -> Result<Vec<Part>, Hold> {
        let query = self
            .server
            .query(
                "SELECT name, rows, toBool(level = 0 AND min_block_number > ?), toBool(active) \
                 FROM system.parts WHERE database = ? AND table = ? AND max_block_number > ? LIMIT ?",
            )
            .bind(before)
            .bind(&table.schema.database)
            .bind(&table.schema.table)
            .bind(before)
            .bind(MAX_PARTS);
        let found: Vec<(String, u64, bool, bool)> =
            table::answered(&self.server, query.fetch_all()).await?;
        let part =
            |(name, rows, is_inserted, is_active)| Part { name, rows, is_inserted, is_active };
        Ok(found.into_iter().map(part).collect())
    }

    /// Whether these parts hold each sample.
    async fn has_rows(
        &self,
        table: &Table,
        parts: &[String],
        samples: &[Vec<(String, String)>],
    ) -> Result<bool, Hold> {
        let one = |sample: &Vec<(String, String)>| {
            let columns = vec!["toString(?) = ?"; sample.len()].join(" AND ");
            format!("countIf({columns}) > 0")
        };
        let all: Vec<String> = samples.iter().map(one).collect();
        let sql = format!("SELECT toBool({}) FROM ?.? WHERE _part IN ?", all.join(" AND "));
        let mut query = self.server.query(&sql);
        for (column, value) in samples.iter().flatten() {
            query = query.bind(Identifier(column)).bind(value);
        }
        let query = query
            .bind(Identifier(&table.schema.database))
            .bind(Identifier(&table.schema.table))
            .bind(parts);
        table::answered(&self.server, query.fetch_one()).await
    }
}

/// The parts that may be those of an INSERT of so many rows: all that came since where they have as many
/// rows together, else one that has them alone. `None` where there are no such parts.
fn candidates(parts: &[Part], rows: u64, facts: &Facts) -> Option<Vec<String>> {
    let inserted: Vec<&Part> = parts.iter().filter(|part| part.is_inserted).collect();
    let names = |of: &[&Part]| of.iter().map(|part| part.name.clone()).collect();
    if !inserted.is_empty() && inserted.iter().map(|part| part.rows).sum::<u64>() == rows {
        return Some(names(&inserted));
    }
    if !facts.partition_columns.is_empty() {
        return None;
    }
    let alone: Vec<&Part> =
        inserted.into_iter().filter(|part| part.rows == rows && part.is_active).collect();
    (!alone.is_empty()).then(|| names(&alone))
}

/// The first, the middle and the last row, each by columns whose values read the same in both systems.
fn samples(table: &Table, rows: &RecordBatch) -> Vec<Vec<(String, String)>> {
    let last = rows.num_rows().saturating_sub(1);
    let mut at = vec![0, last / 2, last];
    at.dedup();
    let sample = |row: usize| -> Vec<(String, String)> {
        let columns = table.schema.columns.iter().filter_map(|column| {
            let text = text_of(&column.type_text, rows.column_by_name(&column.name)?, row)?;
            Some((column.name.to_string(), text))
        });
        columns.take(MAX_COLUMNS).collect()
    };
    let samples: Vec<_> = at.into_iter().map(sample).collect();
    if samples.iter().any(Vec::is_empty) { Vec::new() } else { samples }
}

/// A value as ClickHouse's `toString` has it.
fn text_of(ty: &str, column: &dyn Array, row: usize) -> Option<String> {
    let unwrapped = |ty: &str, wrapper: &str| {
        ty.strip_prefix(wrapper).and_then(|ty| ty.strip_suffix(')')).map(str::to_owned)
    };
    let ty = unwrapped(ty, "LowCardinality(").unwrap_or_else(|| ty.to_owned());
    let ty = unwrapped(&ty, "Nullable(").unwrap_or(ty);
    let is_plain = ty == "String" || ty.strip_prefix('U').unwrap_or(&ty).starts_with("Int");
    if !is_plain || column.is_null(row) || row >= column.len() {
        return None;
    }
    macro_rules! number {
        ($ty:ty) => {
            column.as_primitive::<$ty>().value(row).to_string()
        };
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int16Array, StringArray};

    use super::*;

    fn facts(partition_columns: &[&str]) -> Facts {
        Facts {
            engine: "MergeTree".into(),
            is_deduplicating: true,
            has_views: false,
            window: Some(100),
            partition_columns: partition_columns.iter().map(|name| (*name).to_owned()).collect(),
            volatile_partition: None,
            definition: String::new(),
        }
    }

    fn part(name: &str, rows: u64, is_inserted: bool) -> Part {
        Part { name: name.into(), rows, is_inserted, is_active: true }
    }

    #[test]
    fn the_parts_of_an_insert_are_told_by_their_rows() {
        let found = |parts: &[Part], rows, keys: &[&str]| candidates(parts, rows, &facts(keys));
        let (ours, other) = (part("all_7_7_0", 5, true), part("all_8_8_0", 9, true));
        let named = Some(vec!["all_7_7_0".to_owned()]);
        assert_eq!(found(std::slice::from_ref(&ours), 5, &[]), named);
        assert_eq!(found(&[ours.clone(), other.clone()], 5, &[]), named);
        assert_eq!(found(&[ours.clone(), other.clone()], 6, &[]), None);
        // Rows that go into several partitions of the table make several parts.
        let both = Some(vec!["all_7_7_0".to_owned(), "all_8_8_0".to_owned()]);
        assert_eq!(found(&[ours.clone(), other.clone()], 14, &["day"]), both);
        assert_eq!(
            found(&[ours, other], 5, &["day"]),
            None,
            "the other partitions may lack theirs"
        );
        assert_eq!(found(&[part("all_1_8_1", 5, false)], 5, &[]), None, "a merge");
        assert_eq!(found(&[], 5, &[]), None);
    }

    #[test]
    fn a_value_is_compared_only_where_both_systems_write_it_alike() {
        let text = StringArray::from(vec![Some("x"), None]);
        let number = Int16Array::from(vec![-3]);
        let number: Arc<dyn Array> = Arc::new(number);
        assert_eq!(text_of("LowCardinality(Nullable(String))", &text, 0).as_deref(), Some("x"));
        assert_eq!(text_of("Nullable(String)", &text, 1), None, "the server may put a default");
        assert_eq!(text_of("Int16", &number, 0).as_deref(), Some("-3"));
        assert_eq!(text_of("Enum16('a' = -3)", &number, 0), None);
        assert_eq!(text_of("FixedString(1)", &text, 0), None);
    }
}
