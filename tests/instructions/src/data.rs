//! The three data sets: a table, records from a fixed seed, and what is wrong with some of them.

use std::sync::Arc;

use anyhow::Context as _;
use sluicegate::cli::telemetry::{self, Broken, Telemetry};
use sluicegate::clickhouse::{Table, TableFacts};
use sluicegate::schema::plan::{Rules, TablePlan};
use sluicegate::schema::table::{ColumnRow, TableSchema};

use crate::{clicks, github};

/// Every record of every run comes from it.
const SEED: u64 = 42;

/// A table and the records for it.
pub struct DataSet {
    /// Its name, which its topic and its tables begin with.
    pub name: &'static str,
    /// The columns, one a line, as CREATE TABLE takes them.
    columns: &'static str,
    /// What the table is ordered by.
    order: &'static str,
    /// Columns without which a record is refused.
    pub required: &'static str,
    /// In how many partitions its records are, two million of them unless [`DataSet::holding`] says more.
    pub partitions: i32,
    writer: fn(share: f64) -> Writer,
}

/// Appends the next record, and says what is wrong with it.
pub type Writer = Box<dyn FnMut(&mut Vec<u8>) -> Option<Broken>>;

/// Every data set.
pub const ALL: [DataSet; 3] = [
    DataSet {
        name: "telemetry",
        columns: telemetry::CREATE_TABLE,
        order: "(vehicle_id, event_time)",
        required: telemetry::REQUIRED,
        partitions: 96,
        writer: |share| {
            let mut records = Telemetry::new(SEED, share);
            Box::new(move |out| records.next(out))
        },
    },
    DataSet {
        name: "github",
        columns: github::COLUMNS,
        order: "(kind, id)",
        required: github::REQUIRED,
        partitions: 192,
        writer: |share| written(share, github::write),
    },
    DataSet {
        name: "clicks",
        columns: clicks::COLUMNS,
        order: "(user_id, at)",
        required: clicks::REQUIRED,
        partitions: 48,
        writer: |share| written(share, clicks::write),
    },
];

/// Ways to be broken that the records written here know.
const WAYS: [Broken; 9] = [
    Broken::Truncated,
    Broken::TrailingJunk,
    Broken::WrongType,
    Broken::OutOfRange,
    Broken::BadDate,
    Broken::UnknownLabel,
    Broken::BadUuid,
    Broken::Missing,
    Broken::Null,
];

/// Writes the record of a number; one that is truncated or has junk behind it is written whole.
type Write = fn(&mut fastrand::Rng, u64, Option<Broken>, &mut Vec<u8>) -> std::io::Result<()>;

fn written(share: f64, write: Write) -> Writer {
    let (mut random, mut number) = (fastrand::Rng::with_seed(SEED), 0);
    Box::new(move |out| {
        let is_broken = random.f64() < share;
        let broken = is_broken.then(|| random.choice(WAYS)).flatten();
        let start = out.len();
        // Writing to a Vec cannot fail.
        let _written = write(&mut random, number, broken, out);
        match broken {
            Some(Broken::Truncated) => out.truncate(start + (out.len() - start) / 2),
            Some(Broken::TrailingJunk) => out.extend_from_slice(b"{}"),
            _ => {}
        }
        number += 1;
        broken
    })
}

impl DataSet {
    /// The same in as many partitions as so many records need: the mock broker keeps 5 MB of each.
    #[must_use]
    pub fn holding(self, records: usize) -> Self {
        let times = i32::try_from(records.div_ceil(2_000_000).max(1)).unwrap_or(i32::MAX);
        Self { partitions: self.partitions.saturating_mul(times), ..self }
    }

    /// Writes records of which this share is broken, 0 to 1.
    pub fn writer(&self, share: f64) -> Writer {
        (self.writer)(share)
    }

    /// Names and types of the columns.
    fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let lines = self.columns.lines().filter_map(|line| line.strip_prefix("    "));
        lines.filter_map(|line| line.trim_end_matches(',').split_once(' '))
    }

    /// The statement that creates a table of this name.
    pub fn create_table(&self, table: &str) -> String {
        self.create(table, &format!("MergeTree ORDER BY {}", self.order))
    }

    /// The same of a table that takes rows and keeps none.
    pub fn create_null_table(&self, table: &str) -> String {
        self.create(table, "Null")
    }

    fn create(&self, table: &str, engine: &str) -> String {
        let columns: Vec<String> =
            self.columns().map(|(name, ty)| format!("{name} {ty}")).collect();
        format!("CREATE TABLE {table} ({}) ENGINE = {engine}", columns.join(", "))
    }

    /// The table as the host knows it.
    ///
    /// # Errors
    /// The host does not know a type of it.
    pub fn schema(&self) -> anyhow::Result<Arc<TableSchema>> {
        Ok(Arc::new(schema_of(self.name, self.columns())?))
    }

    /// The same as its server describes it, with nothing that makes an INSERT special.
    ///
    /// # Errors
    /// As [`DataSet::schema`].
    pub fn table(&self) -> anyhow::Result<Table> {
        let facts = TableFacts {
            engine: "MergeTree".into(),
            is_deduplicating: false,
            has_views: false,
            is_queued: false,
            window: None,
            is_window_of_server: false,
            partition_columns: Vec::new(),
            columns: Vec::new(),
            definition: String::new(),
        };
        Ok(Table { schema: self.schema()?, settings: Vec::new(), facts })
    }

    /// How a record becomes a row, as with REQUIRED_COLUMNS and nothing else.
    pub fn plan(&self) -> anyhow::Result<TablePlan> {
        self.plan_by(Rules::default())
    }

    /// The same, with COERCION=lenient too.
    pub fn lenient_plan(&self) -> anyhow::Result<TablePlan> {
        self.plan_by(Rules { is_lenient: true, ..Rules::default() })
    }

    fn plan_by(&self, rules: Rules) -> anyhow::Result<TablePlan> {
        let required = self.required.split(',').map(str::to_owned).collect();
        let rules = Rules { required, ..rules };
        let plan = TablePlan::new(&*self.schema()?, &rules);
        plan.ok().with_context(|| format!("{}: no plan", self.name))
    }
}

/// A table of these columns, by name and type.
pub fn schema_of<'a>(
    table: &str,
    columns: impl Iterator<Item = (&'a str, &'a str)>,
) -> anyhow::Result<TableSchema> {
    let rows = columns.map(|(name, ty)| ColumnRow {
        name: name.into(),
        ty: ty.into(),
        default_kind: String::new(),
        default_expression: String::new(),
    });
    Ok(TableSchema::from_rows("default", table, "UTC", rows)?)
}

/// Clicks that are all alike: compressed, half a million of them fit into one partition of the mock broker.
pub const fn alike(name: &'static str, partitions: i32) -> DataSet {
    let writer = |_| -> Writer {
        Box::new(|out| {
            let mut random = fastrand::Rng::with_seed(SEED);
            let _written = clicks::write(&mut random, 0, None, out);
            None
        })
    };
    let (columns, order, required) = (clicks::COLUMNS, "(user_id, at)", clicks::REQUIRED);
    DataSet { name, columns, order, required, partitions, writer }
}

/// Records one behind the other.
#[derive(Default)]
pub struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// What is wrong with those that are broken.
    pub broken: Vec<Broken>,
}

impl Records {
    /// So many of a data set.
    pub fn of(set: &DataSet, count: usize, share: f64) -> Self {
        let (mut records, mut write) = (Self::default(), set.writer(share));
        for _ in 0..count {
            records.broken.extend(write(&mut records.bytes));
            records.ends.push(records.bytes.len());
        }
        records
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all together.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let record = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            record
        })
    }
}
