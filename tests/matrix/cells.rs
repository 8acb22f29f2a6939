//! The cells, and both ways of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::value::RawValue;
use sluicegate::check::check;
use sluicegate::clickhouse::{Body, Table, TableFacts};
use sluicegate::config::Compression;
use sluicegate::decode::{decode, judge_text};
use sluicegate::schema::plan::{Rules, TablePlan};
use sluicegate::schema::table::{ColumnRow, TableSchema};
use sluicegate_local::LocalStack;
use sluicegate_tests::stack_options;
use tokio::sync::OnceCell;

/// Types, one a line.
const TYPES: &str = include_str!("types.txt");
/// Values as they stand in a record, one a line; behind `#` stands what those below have in common.
const FORMS: &str = include_str!("forms.txt");

/// Columns of which a null alone is sent: what it becomes hangs on the DEFAULT, or on what the type holds.
pub const OF_NULLS: &[&str] = &[
    "JSON",
    "JSON DEFAULT '{\"a\":1}'",
    "JSON DEFAULT toJSONString(map('id', id))",
    "Enum8('off' = 0, 'on' = 1) DEFAULT 'on'",
    "Enum8('off' = 0, 'on' = 1) DEFAULT lower('ON')",
    "Array(Int8) DEFAULT []",
    "Array(Int8) DEFAULT [1]",
    "Map(String, Int8) DEFAULT map()",
    "Map(String, Int8) DEFAULT map('a', 1)",
    "Tuple(a Int8, b String) DEFAULT (1, 'x')",
    "Tuple(e Enum8('off' = 0, 'on' = 1), s String)",
    "Tuple(JSON, String)",
    "Tuple(u LowCardinality(UUID))",
    "LowCardinality(UUID)",
    "LowCardinality(UUID) DEFAULT toUUID('123e4567-e89b-12d3-a456-426614174000')",
    "Int8 DEFAULT 7",
    "String DEFAULT lower('X')",
    "Point DEFAULT (1, 2)",
];

/// What the types need to stand in a table.
const TABLE_SETTINGS: &[(&str, &str)] = &[
    ("enable_time_time64_type", "1"),
    ("allow_suspicious_low_cardinality_types", "1"),
    ("enable_nullable_tuple_type", "1"),
];
/// As the host sends an INSERT.
const INSERT_SETTINGS: &[(&str, &str)] = &[
    ("input_format_null_as_default", "1"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("input_format_arrow_allow_missing_columns", "0"),
];

/// INSERTs of ClickHouse's own at a time.
const AT_ONCE: usize = 4;

/// One form for a column of one type.
#[derive(Debug)]
pub struct Cell {
    pub ty: &'static str,
    pub form: &'static str,
    /// What is stored by JSONEachRow, as a SELECT prints it; `None` if it is refused.
    pub clickhouse: Option<String>,
    /// What is stored by the host.
    pub host: Option<String>,
}

/// The engine, and what it takes of each type.
pub struct Matrix {
    stack: LocalStack,
    /// By type and form.
    taken: BTreeMap<(&'static str, &'static str), String>,
}

fn types() -> impl Iterator<Item = &'static str> {
    TYPES.lines().chain(OF_NULLS.iter().copied())
}

/// What is sent to a column of this type.
fn forms(ty: &str) -> Vec<&'static str> {
    if OF_NULLS.contains(&ty) {
        return vec!["null"];
    }
    FORMS.lines().filter(|line| !line.starts_with("# ")).collect()
}

/// What is selected to tell one value from another: the number of an Enum, since one without a label
/// cannot be printed, and times in UTC, since an hour may occur twice elsewhere.
fn selected(ty: &str) -> String {
    match ty {
        _ if ty.starts_with("Enum") || ty.starts_with("Nullable(Enum") => "toInt16(c)".to_owned(),
        _ if ty.starts_with("DateTime") && ty.contains('/') => "toTimeZone(c, 'UTC')".to_owned(),
        _ => "c".to_owned(),
    }
}

/// Of a table with nothing that makes an INSERT special.
fn facts() -> TableFacts {
    TableFacts {
        engine: "Memory".into(),
        is_deduplicating: false,
        has_views: false,
        is_queued: false,
        window: None,
        is_window_of_server: false,
        partition_columns: Vec::new(),
        columns: Vec::new(),
        definition: String::new(),
    }
}

fn record(id: usize, form: &str) -> String {
    format!("{{\"id\":{id},\"c\":{form}}}")
}

impl Matrix {
    /// The one of all tests.
    pub async fn get() -> anyhow::Result<&'static Self> {
        static MATRIX: OnceCell<Matrix> = OnceCell::const_new();
        MATRIX.get_or_try_init(Self::new).await
    }

    async fn new() -> anyhow::Result<Self> {
        let stack = LocalStack::start(stack_options()?.with_brokers(0)).await?;
        let mut matrix = Self { stack, taken: BTreeMap::new() };
        for ty in types() {
            let table = matrix.create(ty).await?;
            let insert = format!("INSERT INTO {table} FORMAT JSONEachRow");
            let send = |(id, form): (usize, &'static str)| {
                // One by one: an error in one record may hide the next.
                let sent = matrix.stack.post(&insert, &[], record(id, form));
                async move { sent.await.map(|answer| answer.status == 200) }
            };
            let forms: Vec<_> = forms(ty).into_iter().enumerate().collect();
            let sent = stream::iter(forms.clone()).map(send).buffer_unordered(AT_ONCE);
            let landed: Vec<bool> = sent.try_collect().await?;
            let stored = matrix.stored(&table, ty).await?;
            let count = landed.iter().filter(|is_landed| **is_landed).count();
            anyhow::ensure!(stored.len() == count, "{ty}: {count} landed, {} stored", stored.len());
            for (id, value) in stored {
                matrix.taken.insert((ty, forms[id].1), value);
            }
        }
        Ok(matrix)
    }

    /// Creates a table with a column of this type, and perhaps a DEFAULT; its name.
    async fn create(&self, ty: &str) -> anyhow::Result<String> {
        static CREATED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("t{}", CREATED.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE TABLE {name} (id UInt64, c {ty}) ENGINE = Memory");
        self.stack.post(&create, TABLE_SETTINGS, "").await?.into_body()?;
        Ok(name)
    }

    /// The values by their ids.
    async fn stored(&self, table: &str, ty: &str) -> anyhow::Result<BTreeMap<usize, String>> {
        #[derive(serde::Deserialize)]
        struct Row<'a> {
            id: usize,
            #[serde(borrow)]
            c: &'a RawValue,
        }
        let select = format!(
            "SELECT id, {} AS c FROM {table} FORMAT JSONEachRow \
             SETTINGS output_format_json_quote_denormals = 1, output_format_json_quote_64bit_integers = 0",
            selected(ty)
        );
        let printed = self.stack.query(&select).await?;
        let rows = printed.lines().map(|line| {
            let row: Row<'_> = serde_json::from_str(line).with_context(|| line.to_owned())?;
            Ok((row.id, row.c.get().to_owned()))
        });
        rows.collect()
    }

    /// Every cell, with what the host makes of it.
    pub async fn cells(&self, is_lenient: bool) -> anyhow::Result<Vec<Cell>> {
        let rules = Rules { is_lenient, ..Rules::default() };
        let mut cells = Vec::new();
        for ty in types() {
            let (mut stored, _) = self.through_the_host(ty, &rules, &forms(ty)).await?;
            cells.extend(forms(ty).into_iter().enumerate().map(|(id, form)| Cell {
                ty,
                form,
                clickhouse: self.taken.get(&(ty, form)).cloned(),
                host: stored.remove(&id),
            }));
        }
        Ok(cells)
    }

    /// What the host stores of each form, by its place, and how many values it cut.
    pub async fn through_the_host(
        &self,
        ty: &str,
        rules: &Rules,
        forms: &[&str],
    ) -> anyhow::Result<(BTreeMap<usize, String>, usize)> {
        let name = self.create(ty).await?;
        let columns = [("id", "UInt64"), ("c", ty)].map(|(name, ty)| {
            let (ty, default) = ty.split_once(" DEFAULT ").unwrap_or((ty, ""));
            ColumnRow {
                name: name.into(),
                ty: ty.into(),
                default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
                default_expression: default.into(),
            }
        });
        let zone = self.stack.query("SELECT timezone()").await?;
        let schema = Arc::new(TableSchema::from_rows("default", &name, zone.trim(), columns)?);
        let plan =
            TablePlan::new(&schema, rules).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let records: Vec<String> =
            forms.iter().enumerate().map(|(id, form)| record(id, form)).collect();
        let rows = decode(&plan, (0..).zip(records.iter().map(String::as_bytes)));
        let checked = check(&plan, rows, Vec::new(), judge_text);
        let table = Table { schema, settings: Vec::new(), facts: facts() };
        let body =
            Body::of(&table, &checked.batch, Compression::None).map_err(anyhow::Error::msg)?;
        let answer = self.stack.post(&body.sql, INSERT_SETTINGS, body.bytes).await?;
        answer.into_body().with_context(|| ty.to_owned())?;
        Ok((self.stored(&name, ty).await?, checked.noticed.cut.len()))
    }
}
