//! Lookups by SELECT, on the real engine. What plugins do with them is tested with the hooks.

use std::sync::Arc;
use std::time::Duration;

use sluicegate::clickhouse::Server;
use sluicegate::config::{ClickHouse, Compression, KeyValues, Lookup, LookupSource, Secret};
use sluicegate::flow::hold::Hold;
use sluicegate::observe::lookups::LookupStates;
use sluicegate::observe::status::Status;
use sluicegate::plugins::lookups::{LookupTable, Lookups};
use sluicegate_local::{AppliesTo, Fault, FaultKind, LocalStack, Reset};
use sluicegate_tests::{PATIENCE, stack_options};
use tokio::time::{sleep, timeout};

/// How often something is looked at that is waited for.
const TURN: Duration = Duration::from_millis(50);

/// An engine with a table, and a host's client for it.
struct Rig {
    stack: LocalStack,
    server: Server,
}

impl Rig {
    async fn new() -> anyhow::Result<Self> {
        let stack = LocalStack::start(stack_options()?.with_brokers(0)).await?;
        stack
            .query(
                "CREATE TABLE zones (id UInt64, name Nullable(String), at DateTime64(3, 'UTC'), \
                 codes Array(UInt64), share Float64) ENGINE = MergeTree ORDER BY id",
            )
            .await?;
        stack
            .query(
                "INSERT INTO zones VALUES (1, 'No\"rth?', '2026-03-01 10:00:00.5', \
                 [18446744073709551615], nan), (18446744073709551615, NULL, '1970-01-01', [], 0.1)",
            )
            .await?;
        let server = Server::new(&ClickHouse {
            url: stack.clickhouse_url().to_owned(),
            database: "default".into(),
            user: "default".into(),
            password: Secret::new(stack.password()),
            table: "t".into(),
            settings: KeyValues::default(),
            ca_location: None,
            async_insert: true,
            compression: Compression::None,
        })?;
        Ok(Self { stack, server })
    }

    async fn load(&self, lookup: Lookup) -> anyhow::Result<Lookups> {
        let (status, states) = (Arc::new(Status::default()), Arc::new(LookupStates::default()));
        let load =
            async { Lookups::load(&[lookup], Some(self.server.clone()), status, states).await };
        timeout(PATIENCE, load).await?
    }

    /// What is told of a SELECT that gives no table.
    async fn hold(&self, sql: &str) -> anyhow::Result<Hold> {
        let (mut said, _) = Lookups::once(&[select(sql)], Some(&self.server), PATIENCE).await;
        match said.pop() {
            Some(Err(hold)) => Ok(hold),
            said => anyhow::bail!("{sql}: {said:?}"),
        }
    }
}

fn select(sql: &str) -> Lookup {
    Lookup {
        name: "zones".into(),
        source: LookupSource::Select(Secret::new(sql)),
        key: "id".into(),
        refresh: Duration::from_secs(1),
        memory_bytes: 1 << 20,
    }
}

fn on_select(part: &str, kind: FaultKind) -> Fault {
    Fault::on_insert(part, kind).with_applies_to(AppliesTo::Query)
}

/// Waits until it is so.
async fn until(is_so: impl Fn() -> bool) -> anyhow::Result<()> {
    let looking = async {
        while !is_so() {
            sleep(TURN).await;
        }
    };
    Ok(timeout(PATIENCE, looking).await?)
}

fn value(table: &LookupTable, column: &str, key: &str) -> Option<String> {
    let found = table.lookup(&[column], [key], 1_000).unwrap().pop().unwrap();
    found.missing.is_empty().then(|| String::from_utf8(found.bytes).unwrap())
}

#[tokio::test]
async fn a_value_is_the_text_that_clickhouse_gives_it() -> anyhow::Result<()> {
    let rig = Rig::new().await?;
    let sql = "SELECT *, '?' AS mark, (1, 'a')::Tuple(n UInt8, s String) AS pair FROM zones -- all";
    let lookups = rig.load(select(sql)).await?;
    let table = lookups.table("zones").unwrap();
    let columns: Vec<&str> = table.columns().collect();
    assert_eq!(columns, ["id", "name", "at", "codes", "share", "mark", "pair"]);
    let last = "18446744073709551615";
    for (column, first, second) in [
        ("id", Some("1"), Some(last)),
        ("name", Some("No\"rth?"), None),
        ("at", Some("2026-03-01 10:00:00.500"), Some("1970-01-01 00:00:00.000")),
        ("codes", Some("[18446744073709551615]"), Some("[]")),
        ("share", Some("nan"), Some("0.1")),
        ("mark", Some("?"), Some("?")),
        ("pair", Some(r#"{"n":1,"s":"a"}"#), Some(r#"{"n":1,"s":"a"}"#)),
    ] {
        assert_eq!(value(&table, column, "1").as_deref(), first, "{column}");
        assert_eq!(value(&table, column, last).as_deref(), second, "{column}");
    }
    assert_eq!(value(&table, "name", "2"), None);
    Ok(())
}

#[tokio::test]
async fn the_bounds_are_sent_along_and_the_select_cannot_lift_them() -> anyhow::Result<()> {
    let rig = Rig::new().await?;
    let sql = "SELECT 1 AS id, getSetting('readonly') AS readonly, \
               getSetting('max_execution_time') AS work, getSetting('max_result_rows') AS rows, \
               getSetting('max_result_bytes') AS bytes, \
               getSetting('result_overflow_mode') AS mode";
    let table = rig.load(select(sql)).await?.table("zones").unwrap();
    for (column, expected) in [
        ("readonly", "1"),
        ("work", "60"),
        ("rows", "61680"),
        ("bytes", "8388608"),
        ("mode", "throw"),
    ] {
        assert_eq!(value(&table, column, "1").as_deref(), Some(expected), "{column}");
    }
    for (sql, parts) in [
        ("SELECT number AS id FROM numbers(1000000)", ["396", "raise LOOKUP_<NAME>_MEMORY_BYTES"]),
        (
            "SELECT number AS id, repeat('x', 1000) AS x FROM numbers(5000)",
            ["line 10", "more than LOOKUP_ZONES_MEMORY_BYTES (1048576 bytes)"],
        ),
        ("SELECT 1 AS id SETTINGS max_result_rows = 0", ["164", "set nothing"]),
        ("WITH 1 AS x INSERT INTO zones (id) SELECT 9", ["Code: ", ""]),
    ] {
        match rig.hold(sql).await? {
            Hold::Paused(text) => assert!(
                text.starts_with("LOOKUP_ZONES: ") && parts.iter().all(|part| text.contains(part)),
                "{sql}: {text}"
            ),
            hold @ Hold::Transient(_) => panic!("{sql}: {hold:?}"),
        }
    }
    assert_eq!(rig.stack.query("SELECT count() FROM zones").await?.trim(), "2");
    Ok(())
}

#[tokio::test]
async fn what_an_operator_must_mend_is_told_from_what_heals_by_itself() -> anyhow::Result<()> {
    let rig = Rig::new().await?;
    for (sql, parts) in [
        ("SELECT * FROM nowhere", ["Code: 60", "nowhere"]),
        ("SELECT nmae FROM zones", ["Code: 47", "nmae"]),
        ("SELECT name FROM zones", ["none of 1 columns is `id`", "LOOKUP_ZONES_KEY"]),
        ("SELECT 1 AS id FROM zones", ["line 2", "the key is that of line 1"]),
        ("SELECT id, unhex('ff') AS x FROM zones", ["line 1", "not UTF-8"]),
    ] {
        match rig.hold(sql).await? {
            Hold::Paused(text) => {
                assert!(parts.iter().all(|part| text.contains(part)), "{sql}: {text}");
            }
            hold @ Hold::Transient(_) => panic!("{sql}: {hold:?}"),
        }
    }
    let broken = rig.hold("SELECT 'hunter2' FORM 'hunter2' BY").await?;
    let text = broken.text();
    assert!(
        text.contains("Syntax error: failed at position") && !text.contains("hunter2"),
        "{text}"
    );
    for kind in [
        FaultKind::Exception { code: 241, text: "memory".into() },
        FaultKind::Status { http_status: 502, body: "<html>".into() },
        FaultKind::Reset(Reset::Before),
        FaultKind::Reset(Reset::During),
    ] {
        rig.stack.fault(&on_select("FROM zones", kind.clone())).await?;
        let hold = rig.hold("SELECT * FROM zones").await?;
        assert!(matches!(&hold, Hold::Transient(_)), "{kind:?}: {hold:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_missing_is_waited_for_and_one_that_goes_leaves_the_lookup_as_it_was()
-> anyhow::Result<()> {
    let rig = Rig::new().await?;
    let (status, states) = (Arc::new(Status::default()), Arc::new(LookupStates::default()));
    let lookups = {
        let (config, server) = ([select("SELECT id, name FROM later")], Some(rig.server.clone()));
        let load = Lookups::load(&config, server, Arc::clone(&status), states);
        let create = async {
            until(|| status.is_paused()).await?;
            let texts = status.texts();
            assert!(
                texts.iter().all(|text| text.starts_with("lookups: LOOKUP_ZONES: ")),
                "{texts:?}"
            );
            rig.stack.query("RENAME TABLE zones TO later").await
        };
        let (lookups, created) = tokio::join!(timeout(PATIENCE, load), create);
        created?;
        lookups??
    };
    assert!(status.texts().is_empty());
    let rows = || lookups.table("zones").unwrap().rows();
    assert_eq!(rows(), 2);
    rig.stack.query("INSERT INTO later (id, name) VALUES (7, 'West')").await?;
    until(|| rows() == 3).await?;
    let unknown = FaultKind::Exception { code: 60, text: "Unknown table".into() };
    rig.stack.fault(&on_select("FROM later", unknown).with_times(None)).await?;
    while rig.stack.faults().await?.iter().all(|fault| fault.hits < 2) {
        sleep(TURN).await;
    }
    rig.stack.query("INSERT INTO later (id) VALUES (8)").await?;
    assert_eq!(rows(), 3);
    assert!(status.texts().is_empty(), "the host goes on");
    rig.stack.clear_faults().await?;
    until(|| rows() == 4).await
}
