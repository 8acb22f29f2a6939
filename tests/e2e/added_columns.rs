//! A column that an ALTER adds while records flow is no record's fault.

use serde_json::Value;
use sluicegate_tests::{DeadLetter, Job, TABLE};

use crate::types::SETTINGS;

/// Columns that take no null, or whose DEFAULT the server does not put in the place of one.
const ADDED: &[&str] = &[
    "e Enum8('b' = 2, 'a' = 1)",
    "f Enum16('x' = 7, 'w' = -300) DEFAULT lower('X')",
    "j JSON",
    "k JSON(z UInt8, n.m Array(Int8))",
    "l JSON DEFAULT toJSONString(map('id', id))",
    "v Variant(Int64, String)",
    "d Dynamic",
    "a Array(Int8) DEFAULT [1, 2]",
    "m Map(String, Int8) DEFAULT map('a', 1)",
    "t Tuple(e Enum8('x' = 7, 'y' = 3), j JSON)",
    "s Tuple(x Int8) DEFAULT tuple(5)",
    "u LowCardinality(UUID) DEFAULT toUUID('123e4567-e89b-12d3-a456-426614174000')",
    "i Int8",
];

fn record(id: u64, further: &str) -> String {
    format!("{{\"id\":{id}{further}}}")
}

async fn add_columns(job: &Job) -> anyhow::Result<()> {
    for column in ADDED {
        job.query(&format!("ALTER TABLE {TABLE} ADD COLUMN {column}")).await?;
    }
    Ok(())
}

/// What an INSERT of ids alone stores of one row.
async fn stored_by_the_server(job: &Job) -> anyhow::Result<Value> {
    job.query(&format!("CREATE TABLE other AS {TABLE}")).await?;
    job.query("INSERT INTO other (id) VALUES (1)").await?;
    let row = job.query("SELECT * FROM other FORMAT JSONEachRow").await?;
    Ok(serde_json::from_str(&row)?)
}

fn create() -> String {
    format!("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS {SETTINGS}")
}

#[tokio::test]
async fn records_without_a_field_for_an_added_column_land_with_what_the_server_puts()
-> anyhow::Result<()> {
    let mut job = Job::new(&create()).await?;
    job.produce((0..50).map(|id| record(id, ""))).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    add_columns(&job).await?;
    job.produce((50..100).map(|id| record(id, ""))).await?;
    job.wait_until_committed(&host).await?;
    // From here on some have some of the fields.
    let further = |id: u64| match id % 4 {
        0 => "",
        1 => ",\"e\":\"b\",\"a\":[7]",
        2 => ",\"j\":{\"p\":1},\"f\":\"w\",\"u\":\"00000000-0000-0000-0000-000000000001\"",
        _ => ",\"t\":{\"e\":\"x\",\"j\":{}},\"l\":{\"q\":2},\"i\":3",
    };
    job.produce((100..200).map(|id| record(id, further(id)))).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (200, 0), "{:?}", job.dead_letters()?);

    let by_server = stored_by_the_server(&job).await?;
    let rows = job.query("SELECT * FROM t ORDER BY id FORMAT JSONEachRow").await?;
    assert_eq!(rows.lines().count(), 200);
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line)?;
        let id = row["id"].as_u64().unwrap_or_default();
        let mut expected = by_server.clone();
        expected["id"] = id.into();
        expected["l"] = serde_json::json!({ "id": id });
        if id >= 100 {
            let sent: Value = serde_json::from_str(&record(id, further(id)))?;
            for (name, value) in sent.as_object().into_iter().flatten() {
                expected[name.as_str()] = value.clone();
            }
        }
        assert_eq!(row, expected, "record {id}");
    }
    Ok(())
}

#[tokio::test]
async fn exactly_once_leaves_added_columns_to_the_server_too() -> anyhow::Result<()> {
    let mut job = Job::new(&create()).await?.exactly_once(1_000).await?;
    add_columns(&job).await?;
    let further = |id: u64| if id.is_multiple_of(16) { ",\"a\":[7],\"e\":\"b\"" } else { "" };
    job.produce((0..64).map(|id| record(id, further(id)))).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (64, 0), "{:?}", job.dead_letters()?);
    let found =
        job.query("SELECT countIf(a = [7] AND e = 'b'), countIf(a = [1, 2] AND e = 'a') FROM t");
    assert_eq!(found.await?, "4\t60");
    Ok(())
}

#[tokio::test]
async fn records_that_leave_every_column_to_the_server_get_their_defaults() -> anyhow::Result<()> {
    let create = "CREATE TABLE t (a Array(Int8) DEFAULT [1, 2], m Map(String, Int8) DEFAULT map('a', 1)) \
                  ENGINE = MergeTree ORDER BY tuple()";
    for is_exact in [false, true] {
        let mut job = Job::new(create).await?.with("UNFILLED_RECORDS", "accept");
        if is_exact {
            job = job.exactly_once(1_000).await?;
        }
        job.produce(["{}", "{\"a\":[7]}", "{}", "{\"m\":{\"b\":2}}"]).await?;
        job.run_to_the_end().await?;
        let found = "SELECT countIf(a = [1, 2]), countIf(m = map('a', 1)), countIf(a = [7]), count() FROM t";
        assert_eq!(job.query(found).await?, "3\t3\t1\t4", "exactly once: {is_exact}");
    }
    Ok(())
}

#[tokio::test]
async fn a_null_and_an_absent_field_that_is_required_are_rejected_as_ever() -> anyhow::Result<()> {
    let mut job = Job::new(&create()).await?.with("REQUIRED_COLUMNS", "j");
    add_columns(&job).await?;
    job.produce([
        record(1, ",\"j\":{}"),
        record(2, ""),
        record(3, ",\"j\":{},\"e\":null"),
        record(4, ",\"j\":{},\"a\":null"),
    ])
    .await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 3));
    let letters = job.dead_letters()?;
    let mut reasons: Vec<_> = letters.iter().map(DeadLetter::reason).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["missing_column", "null_not_allowed", "null_not_allowed"]);
    Ok(())
}

const NESTED: &str =
    "CREATE TABLE t (id UInt64, n Nested(a UInt8, b String)) ENGINE = MergeTree ORDER BY id";

/// A sibling of columns that records fill: each kind of element that takes no null, and a DEFAULT.
const SIBLINGS: &[&str] = &[
    "n.c Array(UInt8)",
    "n.d Array(Nullable(String))",
    "n.e Array(Enum8('y' = 5, 'x' = 2))",
    "n.f Array(JSON)",
    "n.g Array(Tuple(x UInt8, y Array(String)))",
    "n.h Array(UInt8) DEFAULT arrayMap(x -> 7, n.a)",
];

/// As many elements as an id says, of both columns or of one.
fn elements(id: u64) -> String {
    let list = |element: &str| vec![element; usize::try_from(id % 4).unwrap_or(0)].join(",");
    match id % 8 {
        0..4 => format!(r#","n.a":[{}],"n.b":[{}]"#, list("1"), list(r#""x""#)),
        _ => format!(r#","n.a":[{}]"#, list("2")),
    }
}

async fn siblings(mut job: Job) -> anyhow::Result<()> {
    job.produce((0..20).map(|id| record(id, &elements(id)))).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    for column in SIBLINGS {
        job.query(&format!("ALTER TABLE t ADD COLUMN {column}")).await?;
    }
    job.produce((20..60).map(|id| record(id, &elements(id)))).await?;
    job.produce([record(60, ""), record(61, r#","n.c":[1,2]"#)]).await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (62, 0), "{:?}", job.dead_letters()?);

    // What ClickHouse itself puts for what an INSERT does not name.
    job.query("CREATE TABLE other AS t").await?;
    for (ids, columns, values) in [
        (
            "number % 8 < 4",
            "id, n.a, n.b",
            "number, arrayResize([], l, 1), arrayResize([], l, 'x')",
        ),
        ("number % 8 > 3", "id, n.a", "number, arrayResize([], l, 2)"),
    ] {
        let rows = format!("SELECT number, number % 4 AS l FROM numbers(60) WHERE {ids}");
        job.query(&format!("INSERT INTO other ({columns}) SELECT {values} FROM ({rows})")).await?;
    }
    job.query("INSERT INTO other (id) VALUES (60)").await?;
    job.query("INSERT INTO other (id, n.c) VALUES (61, [1, 2])").await?;
    let rows = |table: &str| format!("SELECT * FROM {table} ORDER BY id FORMAT JSONEachRow");
    assert_eq!(job.query(&rows("t")).await?, job.query(&rows("other")).await?);
    Ok(())
}

#[tokio::test]
async fn an_added_sibling_of_a_nested_structure_has_as_many_elements() -> anyhow::Result<()> {
    siblings(Job::new(NESTED).await?).await
}

#[tokio::test]
async fn an_added_sibling_has_so_exactly_once_too() -> anyhow::Result<()> {
    siblings(Job::new(NESTED).await?.exactly_once(1_000).await?).await
}

#[tokio::test]
async fn arrays_of_unequal_length_cost_their_record_alone_and_are_named() -> anyhow::Result<()> {
    let mut job = Job::new(NESTED).await?;
    job.produce([
        record(1, r#","n.a":[1],"n.b":["x"]"#),
        record(2, r#","n.a":[1,2],"n.b":["x"]"#),
        record(3, r#","n.a":[1],"n.b":null"#),
        record(4, r#","n.a":[],"n.b":null"#),
        record(5, r#","n.a":null,"n.b":null"#),
    ])
    .await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (3, 2));
    assert_eq!(
        job.query("SELECT groupArray(id) FROM (SELECT id FROM t ORDER BY id)").await?,
        "[1,4,5]"
    );
    for (letter, expected) in job.dead_letters()?.iter().zip(["2, got 1", "1, got 0"]) {
        assert_eq!(
            (letter.reason(), letter.header("sluicegate.column")),
            ("unequal_lengths", "n.b")
        );
        let message = letter.header("__connect.errors.exception.message");
        assert!(
            message.contains(&format!("as many elements as `n.a` has, {expected}")),
            "{message}"
        );
    }
    assert_eq!(job.stack.inserts("`t`").await?.len(), 1, "no INSERT is refused for them");
    Ok(())
}

#[tokio::test]
async fn a_value_of_a_sibling_that_is_replaced_has_as_many_elements() -> anyhow::Result<()> {
    let mut job = Job::new(NESTED).await?.with("COLUMN_ON_INVALID", "n.b=default");
    job.produce([record(1, r#","n.a":[1,2],"n.b":["x",3]"#)]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 0), "{:?}", job.dead_letters()?);
    assert_eq!(job.query("SELECT n.a, n.b FROM t").await?, "[1,2]\t['','']");
    Ok(())
}
