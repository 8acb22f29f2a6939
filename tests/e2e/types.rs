//! What docs/types.md says of each type, sent through the whole path and selected back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::value::RawValue;
use sluicegate::schema::arrow::data_type;
use sluicegate::schema::types::{TypeError, parse};
use sluicegate_tests::Job;

/// Settings that a table of every type is created with.
pub const SETTINGS: &str = "flatten_nested = 0, enable_nullable_tuple_type = 1, \
                            enable_time_time64_type = 1, allow_suspicious_low_cardinality_types = 1";

const PAGE: &str = include_str!("../../docs/types.md");

/// A row of the page's first table.
#[derive(Default)]
struct Documented {
    ty: &'static str,
    /// What is sent, and what a SELECT prints of it.
    taken: Vec<(&'static str, &'static str)>,
    /// What is sent, and the reason code.
    rejected: Vec<(&'static str, &'static str)>,
}

impl Documented {
    fn read(cells: &[&'static str]) -> Option<Self> {
        let [ty, _takes, taken, rejected] = cells else { return None };
        let mut row = Self { ty: ticked(ty).first()?.0, ..Self::default() };
        let mut is_stored = false;
        for (text, behind) in ticked(taken) {
            match row.taken.last_mut().filter(|_| is_stored) {
                Some((_, stored)) => *stored = text,
                None => row.taken.push((text, text)),
            }
            is_stored = behind == " → ";
        }
        // A code stands behind the last of its examples.
        let mut code = None;
        for (text, behind) in ticked(rejected).into_iter().rev() {
            code = behind.strip_prefix(": ").and_then(|rest| rest.split(';').next()).or(code);
            row.rejected.push((text, code?));
        }
        Some(row)
    }

    /// What is sent where another column is looked at, and what is printed of it.
    fn usual(&self) -> (&'static str, &'static str) {
        self.taken.first().copied().unwrap_or_default()
    }
}

/// The rows of the table under this head.
fn table(head: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let rows = PAGE.lines().skip_while(move |line| !line.starts_with(head)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
}

/// What stands between backticks, each with the text behind it.
fn ticked(cell: &'static str) -> Vec<(&'static str, &'static str)> {
    let parts: Vec<&str> = cell.split('`').skip(1).collect();
    parts.chunks(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect()
}

fn documented() -> anyhow::Result<Vec<Documented>> {
    let read = |cells: Vec<_>| Documented::read(&cells).with_context(|| format!("{cells:?}"));
    table("| type | takes | such as |").map(read).collect()
}

/// A record of every column, with one value in the place of a column's usual one.
fn record(id: usize, rows: &[Documented], other: Option<(usize, &str)>) -> String {
    let value = |(at, row): (usize, &Documented)| {
        let other = other.filter(|(column, _)| *column == at);
        format!("\"c{at}\":{}", other.map_or(row.usual().0, |(_, value)| value))
    };
    let values: Vec<String> = rows.iter().enumerate().map(value).collect();
    format!("{{\"id\":{id},{}}}", values.join(","))
}

fn create(rows: &[Documented]) -> String {
    let columns: Vec<String> =
        rows.iter().enumerate().map(|(at, row)| format!("c{at} {}", row.ty)).collect();
    let columns = columns.join(", ");
    format!(
        "CREATE TABLE t (id UInt64, {columns}) ENGINE = MergeTree ORDER BY id SETTINGS {SETTINGS}"
    )
}

/// The columns of a row as JSONEachRow prints them.
pub fn columns(row: &str) -> BTreeMap<&str, &str> {
    let columns: BTreeMap<&str, &RawValue> = serde_json::from_str(row).unwrap();
    columns.into_iter().map(|(name, value)| (name, value.get())).collect()
}

#[tokio::test]
async fn each_example_of_the_docs_is_stored_or_rejected_as_they_say() -> anyhow::Result<()> {
    let rows = documented()?;
    // More examples are refused than taken.
    let mut job = Job::new(&create(&rows)).await?.with("DLQ_MAX_SHARE", "1");
    let (mut records, mut stored, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate() {
        for (sent, printed) in &row.taken {
            records.push(record(stored.len(), &rows, Some((at, sent))));
            stored.push((at, *sent, *printed));
        }
        for (sent, code) in &row.rejected {
            let record = record(0, &rows, Some((at, sent)));
            records.push(record.clone());
            rejected.push((at, record, *code));
        }
    }
    assert!(stored.len() > 100 && rejected.len() > 100, "{} {}", stored.len(), rejected.len());
    job.produce(records.iter().map(String::as_str)).await?;
    let ledger = job.run_to_the_end().await?;

    let letters = job.dead_letters()?;
    for (at, record, code) in &rejected {
        let letter = letters.iter().find(|l| l.payload.as_deref() == Some(record.as_bytes()));
        let letter = letter.unwrap_or_else(|| panic!("c{at} took {record}"));
        let found = (letter.reason(), letter.header("sluicegate.column"));
        assert_eq!(found, (*code, &*format!("c{at}")), "{} of {record}", rows[*at].ty);
    }
    for letter in &letters {
        let payload = String::from_utf8_lossy(letter.payload.as_deref().unwrap_or_default());
        let is_expected = rejected.iter().any(|(_, record, _)| **record == *payload);
        let text = letter.header("__connect.errors.exception.message");
        assert!(is_expected, "{payload} is rejected: {text}");
    }
    assert_eq!(ledger.landed, u64::try_from(stored.len())?);

    let sql = "SELECT * FROM t ORDER BY id FORMAT JSONEachRow";
    let selected = job.query(sql).await?;
    for (line, (at, sent, printed)) in selected.lines().zip(&stored) {
        for (name, found) in columns(line).iter().filter(|(name, _)| **name != "id") {
            let column: usize = name[1..].parse()?;
            let row = &rows[column];
            let expected = if column == *at { *printed } else { row.usual().1 };
            assert_eq!(*found, expected, "{} of {sent}", row.ty);
        }
    }
    assert_eq!(selected.lines().count(), stored.len());
    Ok(())
}

/// Types that ClickHouse prints by another name.
const PRINTED_OTHERWISE: [&str; 2] = ["DateTime32", "Enum"];

/// Whether the host fills a type of this name, whatever stands within it.
fn is_filled(name: &str) -> bool {
    let within = ["", "(3)", "(4, 2)", "('a' = 1)", "(UInt8)", "(UInt8, UInt8)", "(a UInt8)"];
    within.iter().any(|within| parse(&format!("{name}{within}")).is_ok())
        || PRINTED_OTHERWISE.contains(&name)
}

#[tokio::test]
async fn the_types_that_the_docs_name_are_those_that_are_filled() -> anyhow::Result<()> {
    let job = Job::new("CREATE TABLE t (id UInt8) ENGINE = MergeTree ORDER BY id").await?;
    let sql = "SELECT name FROM system.data_type_families WHERE alias_to = '' ORDER BY name";
    let types = job.query(sql).await?;
    let words = |text: &'static str| -> BTreeSet<&str> {
        text.split(|c: char| !c.is_alphanumeric()).collect()
    };
    let (filled, refused) = PAGE.split_once("## Types that are refused").context("a heading")?;
    let (filled, refused) = (words(filled), words(refused));
    assert!(types.lines().count() > 50, "{types}");
    for name in types.lines() {
        let is_named = if is_filled(name) { filled.contains(name) } else { refused.contains(name) };
        assert!(is_named, "{name}");
        assert!(is_filled(name) || !filled.contains(name), "{name} is not filled");
    }
    let refused: Vec<_> = table("| type | why |")
        .filter_map(|cells| cells.first().copied())
        .flat_map(ticked)
        .collect();
    assert!(refused.len() > 5);
    for (ty, _) in refused {
        assert!(matches!(parse(ty), Err(TypeError::Unsupported { .. })), "{ty}");
    }
    Ok(())
}

#[test]
fn plugins_give_the_arrow_types_that_the_docs_name() {
    let rows: Vec<_> = table("| type | Arrow type | values |").collect();
    assert!(rows.len() > 10);
    for cells in rows {
        for (ty, _) in ticked(cells[0]) {
            assert_eq!(data_type(&parse(ty).unwrap()).to_string(), cells[1], "{ty}");
        }
    }
}

#[tokio::test]
async fn a_table_of_every_type_works_in_the_demo() -> anyhow::Result<()> {
    let rows = documented()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("records.ndjson");
    let records: Vec<String> = (0..50).map(|id| record(id, &rows, None)).collect();
    std::fs::write(&file, records.join("\n"))?;
    let input = file.to_str().context("a path of UTF-8")?;
    let (text, last) = crate::demo::run(&["--input", input, "--create", &create(&rows)]).await?;
    assert_eq!((&last["inserted"], &last["dead_lettered"]), (&50.into(), &0.into()), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_absent_field_becomes_what_the_docs_say() -> anyhow::Result<()> {
    let columns = "id UInt64, wide Int128 DEFAULT id * 10, ip IPv6 DEFAULT '::5', at Point,
        span Time64(3) DEFAULT toTime64('00:00:07', 3), count IntervalDay, near BFloat16,
        uuid LowCardinality(UUID), low LowCardinality(Int256) DEFAULT -7,
        variant Variant(Int64, String), dynamic Dynamic, json JSON DEFAULT '{\"a\":1}',
        nothing Nullable(JSON), given Int32 EPHEMERAL 5, unset Array(Int32) EPHEMERAL,
        sum Int64 DEFAULT given + arraySum(unset), made Int64 MATERIALIZED id + 1,
        seen Int64 ALIAS made + 1";
    let create = format!("CREATE TABLE t ({columns}) ENGINE = MergeTree ORDER BY id");
    let mut job = Job::new(&format!("{create} SETTINGS {SETTINGS}")).await?;
    let names = "wide, ip, at, span, count, near, uuid, low, variant, dynamic, json, nothing";
    let nulls: Vec<String> = names.split(", ").map(|name| format!("\"{name}\":null")).collect();
    let nulls = format!("{{\"id\":2,\"given\":1,\"unset\":[2,3],\"made\":9,{}}}", nulls.join(","));
    job.produce(["{\"id\":1}", &nulls]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 0), "{:?}", job.dead_letters()?);
    let found = job.query(&format!("SELECT {names}, sum, made, seen FROM t ORDER BY id")).await?;
    let uuid = "00000000-0000-0000-0000-000000000000";
    let others = format!("::5\t(0,0)\t00:00:07.000\t0\t0\t{uuid}\t-7\t\\N\t\\N\t{{\"a\":1}}\t\\N");
    let expected = [format!("10\t{others}\t5\t2\t3"), format!("20\t{others}\t6\t3\t4")];
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    Ok(())
}

#[tokio::test]
async fn a_null_whose_default_the_server_would_not_apply_is_rejected_and_an_absent_field_gets_it()
-> anyhow::Result<()> {
    let mut job = Job::new(
        "CREATE TABLE t (id UInt64, list Array(Int64) EPHEMERAL [7], json JSON,
         low LowCardinality(UUID) DEFAULT toUUID('00000000-0000-0000-0000-000000000005'),
         tuple Tuple(j JSON), sum Int64 DEFAULT arraySum(list)) ENGINE = MergeTree ORDER BY id",
    )
    .await?;
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let all = ["list", "json", "low", "tuple"];
    let values = ["[1,2]", "{}", &format!("\"{uuid}\""), "[{}]"];
    let record = |id: usize, other: &str, value: Option<&str>| {
        let field = |(name, sent): (&&str, &str)| match (*name == other, value) {
            (true, None) => None,
            (true, Some(value)) => Some(format!("\"{name}\":{value}")),
            (false, _) => Some(format!("\"{name}\":{sent}")),
        };
        let fields: Vec<String> = all.iter().zip(values).filter_map(field).collect();
        format!("{{\"id\":{id},{}}}", fields.join(","))
    };
    let absent = (1..).zip(all).map(|(id, name)| record(id, name, None));
    let null = all.map(|name| record(0, name, Some("null")));
    job.produce(absent.chain(null.clone()).chain([record(5, "", None)])).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 4));
    let found = job.query("SELECT sum, low, json, tuple FROM t ORDER BY id").await?;
    let given = format!("3\t{uuid}\t{{}}\t('{{}}')");
    let low = "3\t00000000-0000-0000-0000-000000000005\t{}\t('{}')";
    let list = given.replacen('3', "7", 1);
    assert_eq!(found.lines().collect::<Vec<_>>(), [&list, &given, low, &given, &given]);
    for letter in job.dead_letters()? {
        let column = letter.header("sluicegate.column");
        let sent = record(0, column, Some("null"));
        assert_eq!(letter.payload.as_deref(), Some(sent.as_bytes()), "{column}");
        assert_eq!(letter.reason(), "null_not_allowed");
    }
    Ok(())
}
