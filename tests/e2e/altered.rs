//! An ALTER of each kind while an INSERT is held back: rows land as if they had been sent behind it, and
//! none is lost, doubled or rejected for it.

use serde_json::json;
use sluicegate_tests::Job;

/// An ALTER, and what comes of ten records that were decoded before it.
struct Case {
    what: &'static str,
    columns: &'static str,
    /// A record's fields beside its `id`, by the id.
    fields: fn(u64) -> String,
    alter: &'static str,
    /// Asked of the rows in the order of their ids.
    asked: &'static str,
    answer: &'static str,
    dead_letters: &'static [&'static str],
}

const V: fn(u64) -> String = |id| format!(r#","v":{id}"#);
const SUM: &str = "count(), uniqExact(id), sum(v)";

const CASES: &[Case] = &[
    Case {
        what: "a wider type",
        columns: "v Int8",
        fields: V,
        alter: "MODIFY COLUMN v Int64",
        asked: SUM,
        answer: "10\t10\t45",
        dead_letters: &[],
    },
    Case {
        what: "a narrower type",
        columns: "v Int64",
        fields: |id| format!(r#","v":{}"#, if id == 3 { 300 } else { id }),
        alter: "MODIFY COLUMN v Int8",
        asked: SUM,
        answer: "9\t9\t42",
        dead_letters: &["out_of_range"],
    },
    Case {
        what: "a text that becomes a number",
        columns: "v String",
        fields: |id| format!(r#","v":"{id}""#),
        alter: "DROP COLUMN v, ADD COLUMN v UInt64",
        asked: SUM,
        answer: "10\t10\t45",
        dead_letters: &[],
    },
    Case {
        what: "a text of fewer bytes",
        columns: "v String",
        fields: |id| format!(r#","v":"{}""#, "x".repeat(if id == 3 { 3 } else { 2 })),
        alter: "MODIFY COLUMN v FixedString(2)",
        asked: "count(), uniqExact(id), sum(length(v))",
        answer: "9\t9\t18",
        dead_letters: &["too_large"],
    },
    Case {
        what: "a label that goes",
        columns: "v Enum8('a' = 1, 'b' = 2)",
        fields: |id| format!(r#","v":"{}""#, if id == 3 { 'b' } else { 'a' }),
        alter: "MODIFY COLUMN v Enum8('a' = 1)",
        asked: "count(), uniqExact(id), countIf(v = 'a')",
        answer: "9\t9\t9",
        dead_letters: &["unknown_label"],
    },
    Case {
        what: "a column that holds no null any more",
        columns: "v Nullable(Int8)",
        fields: |id| if id == 3 { r#","v":null"#.to_owned() } else { V(id) },
        alter: "MODIFY COLUMN v Int8 DEFAULT 0",
        asked: SUM,
        answer: "10\t10\t42",
        dead_letters: &[],
    },
    Case {
        what: "another name",
        columns: "v Int8",
        fields: |id| format!(r#","v":{id},"w":{}"#, id + 1),
        alter: "RENAME COLUMN v TO w",
        asked: "count(), uniqExact(id), sum(w)",
        answer: "10\t10\t55",
        dead_letters: &[],
    },
    Case {
        what: "a column that goes",
        columns: "v Int8, w Int8",
        fields: |id| format!(r#","v":{id},"w":{id}"#),
        alter: "DROP COLUMN w",
        asked: SUM,
        answer: "10\t10\t45",
        dead_letters: &[],
    },
    Case {
        what: "a column that comes",
        columns: "v Int8",
        fields: |id| format!(r#","v":{id},"w":{id}"#),
        alter: "ADD COLUMN w Int8",
        asked: "count(), uniqExact(id), sum(v + w)",
        answer: "10\t10\t90",
        dead_letters: &[],
    },
    Case {
        what: "a column with a DEFAULT",
        columns: "v Int8",
        fields: V,
        alter: "ADD COLUMN w Int8 DEFAULT v + 1, ADD COLUMN a Array(Int8) DEFAULT [v]",
        asked: "count(), uniqExact(id), sum(w + a[1])",
        answer: "10\t10\t100",
        dead_letters: &[],
    },
    Case {
        what: "a column that is MATERIALIZED",
        columns: "v Int8",
        fields: |id| format!(r#","v":{id},"w":"no number""#),
        alter: "ADD COLUMN w Int8 MATERIALIZED v * 2",
        asked: "count(), uniqExact(id), sum(w)",
        answer: "10\t10\t90",
        dead_letters: &[],
    },
    Case {
        what: "a column that is an ALIAS",
        columns: "v Int8",
        fields: |id| format!(r#","v":{id},"w":"no number""#),
        alter: "ADD COLUMN w Int8 ALIAS v * 2",
        asked: "count(), uniqExact(id), sum(w)",
        answer: "10\t10\t90",
        dead_letters: &[],
    },
    Case {
        what: "a column that is EPHEMERAL",
        columns: "v Int8",
        fields: |id| format!(r#","v":{id},"w":{id}"#),
        alter: "ADD COLUMN w Int8 EPHEMERAL 3, MODIFY COLUMN v Int8 DEFAULT w",
        asked: SUM,
        answer: "10\t10\t45",
        dead_letters: &[],
    },
    Case {
        what: "another DEFAULT",
        columns: "v Int8 DEFAULT 1",
        fields: |_| String::new(),
        alter: "MODIFY COLUMN v DEFAULT 5",
        asked: SUM,
        answer: "10\t10\t50",
        dead_letters: &[],
    },
    Case {
        what: "a DEFAULT that becomes MATERIALIZED",
        columns: "v Int8 DEFAULT 1",
        fields: V,
        alter: "MODIFY COLUMN v MATERIALIZED 7",
        asked: SUM,
        answer: "10\t10\t70",
        dead_letters: &[],
    },
    Case {
        what: "a constraint, which one record violates",
        columns: "v Int8",
        fields: V,
        alter: "ADD CONSTRAINT c CHECK v != 3",
        asked: SUM,
        answer: "9\t9\t42",
        dead_letters: &["insert_refused"],
    },
    Case {
        what: "a TTL",
        columns: "v Int8, at DateTime",
        fields: |id| format!(r#","v":{id},"at":"2026-03-01 00:00:00""#),
        alter: "MODIFY TTL at + INTERVAL 50 YEAR",
        asked: SUM,
        answer: "10\t10\t45",
        dead_letters: &[],
    },
    Case {
        what: "a window for tokens",
        columns: "v Int8",
        fields: V,
        alter: "MODIFY SETTING non_replicated_deduplication_window = 2000",
        asked: SUM,
        answer: "10\t10\t45",
        dead_letters: &[],
    },
    Case {
        what: "a sibling of a Nested structure",
        columns: "v Int8, n Nested(a Int8)",
        fields: |id| {
            format!(r#","v":{id},"n.a":[{}]"#, (0..id).map(|_| "1").collect::<Vec<_>>().join(","))
        },
        alter: "ADD COLUMN n.b Array(String), ADD COLUMN n.c Array(UInt8) DEFAULT arrayMap(x -> 7, n.a)",
        asked: "count(), sum(length(n.b)), sum(arraySum(n.c))",
        answer: "10\t45\t315",
        dead_letters: &[],
    },
];

/// Whether every case holds in a mode of delivery.
async fn hold(is_exact: bool) -> anyhow::Result<()> {
    let mut job = Job::new("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    if is_exact {
        job = job.exactly_once(1_000).await?;
    }
    let window = if is_exact { "SETTINGS non_replicated_deduplication_window = 1000" } else { "" };
    let mut letters = Vec::new();
    for Case { what, columns, fields, alter, asked, answer, dead_letters } in CASES {
        job.query("DROP TABLE t SYNC").await?;
        let create = format!(
            "CREATE TABLE t (id UInt64, {columns}) ENGINE = MergeTree ORDER BY id {window}"
        );
        job.query(&create).await?;
        let kind = json!({"code": 252, "text": "Too many parts (3000 in all)"});
        let fault = json!({"match": "`t`", "times": null, "kind": kind});
        job.stack.fault(&serde_json::from_value(fault)?).await?;
        job.produce((0..10).map(|id| format!(r#"{{"id":{id}{}}}"#, fields(id)))).await?;
        let mut host = job.start()?;
        host.wait_for(&["waiting", "252"]).await?;
        job.query(&format!("ALTER TABLE t {alter}")).await?;
        // An INSERT that is on its way as the table is altered is cast by the server.
        host.wait_for(&["table changed"]).await?;
        job.stack.clear_faults().await?;
        job.wait_until_committed(&host).await?;
        host.stop().await?;
        assert_eq!(job.query(&format!("SELECT {asked} FROM t")).await?, *answer, "{what}");
        letters.extend(dead_letters.iter().map(|reason| ((*reason).to_owned(), *what)));
        let found = job.dead_letters()?;
        let found: Vec<&str> = found.iter().map(sluicegate_tests::DeadLetter::reason).collect();
        let expected: Vec<&str> = letters.iter().map(|(reason, _)| &**reason).collect();
        assert_eq!(found, expected, "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn rows_land_as_if_they_had_been_sent_behind_it() -> anyhow::Result<()> {
    hold(false).await
}

#[tokio::test]
async fn rows_land_so_exactly_once() -> anyhow::Result<()> {
    hold(true).await
}

#[tokio::test]
async fn rows_that_are_held_go_into_the_table_that_took_the_place_of_theirs() -> anyhow::Result<()>
{
    let mut job =
        Job::new("CREATE TABLE t (id UInt64, v Int8) ENGINE = MergeTree ORDER BY id").await?;
    job.query("CREATE TABLE other (id UInt64, w String, v Int64) ENGINE = MergeTree ORDER BY id")
        .await?;
    let kind = json!({"code": 252, "text": "Too many parts (3000 in all)"});
    let fault = json!({"match": "`t`", "times": null, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..10).map(|id| format!(r#"{{"id":{id},"v":{id}}}"#))).await?;
    let mut host = job.start()?;
    host.wait_for(&["waiting", "252"]).await?;
    job.query("EXCHANGE TABLES t AND other").await?;
    host.wait_for(&["table changed"]).await?;
    job.stack.clear_faults().await?;
    job.wait_until_committed(&host).await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (10, 0));
    let found = job.query("SELECT count(), sum(v), (SELECT count() FROM other) FROM t").await?;
    assert_eq!(found, "10\t45\t0");
    Ok(())
}
