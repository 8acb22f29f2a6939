//! The probes and the metrics.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::json;
use sluicegate_tests::{Answer, Host, Job, Message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TABLE: &str =
    "CREATE TABLE t (id UInt64, kind String DEFAULT 'none') ENGINE = MergeTree ORDER BY id";

/// Every metric that docs/metrics.md has a row for, but those of plugins and lookups.
fn documented() -> BTreeSet<String> {
    let docs = include_str!("../../docs/metrics.md");
    let is_of_all = |line: &&str| !line.contains("`plugin`") && !line.contains("| `lookup` |");
    let rows = docs.lines().filter(is_of_all);
    let rows = rows.filter_map(|line| line.strip_prefix("| `sluicegate_"));
    rows.filter_map(|row| Some(format!("sluicegate_{}", row.split_once('`')?.0))).collect()
}

/// Every metric that has a sample and a line of help.
fn exposed(metrics: &Answer) -> BTreeSet<String> {
    let lines = || metrics.body.lines().filter(|line| !line.is_empty());
    let named = |prefix: &'static str| lines().filter_map(move |line| line.strip_prefix(prefix));
    let first = |line: &str| line.split([' ', '{']).next().unwrap_or_default().to_owned();
    let helped: BTreeSet<String> = named("# HELP ").map(first).collect();
    let typed: BTreeSet<String> = named("# TYPE ").map(first).collect();
    assert_eq!(helped, typed);
    for sample in lines().filter(|line| !line.starts_with('#')).map(first) {
        let is_of = |suffix| sample.strip_suffix(suffix).is_some_and(|name| helped.contains(name));
        let is_known = helped.contains(&sample) || ["_bucket", "_sum", "_count"].iter().any(is_of);
        assert!(is_known, "{sample} has no help");
    }
    helped
}

#[tokio::test]
async fn not_ready_before_the_assignment_and_ready_after_it() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("KAFKA_SOURCE_TOPIC", "soon");
    let mut host = job.start()?;
    let unready = host.wait_for_answer("/readyz", |ready| ready.body.contains("`soon`")).await?;
    assert_eq!(unready.status, 503);
    assert!(unready.body.contains("no partition assigned yet\n"), "{}", unready.body);
    assert!(unready.body.contains("KAFKA_SOURCE_TOPIC"), "{}", unready.body);
    assert_eq!(host.admin("GET", "/livez").await?.status, 200);
    job.stack.create_topic("soon", 1).await?;
    let ready = host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    assert_eq!(ready.body, "ready\n");
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_member_without_a_partition_is_ready_once_it_has_joined() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?;
    let (mut first, mut second) = (job.start()?, job.start()?);
    let partitions = |answer: &Answer| answer.metric("sluicegate_partitions_assigned");
    for host in [&mut first, &mut second] {
        host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    }
    let mut owned = 0.0;
    for host in [&mut first, &mut second] {
        owned += partitions(&host.admin("GET", "/metrics").await?).unwrap_or_default();
    }
    assert!(owned < 2.0, "one partition has two owners");
    second.stop().await?;
    first.wait_for_answer("/metrics", |metrics| partitions(metrics) == Some(1.0)).await?;
    first.stop().await.map(drop)
}

#[tokio::test]
async fn not_ready_while_paused_with_the_reason_even_without_records() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("CLICKHOUSE_TABLE", "later");
    let mut host = job.start()?;
    let paused = host.wait_for_answer("/readyz", |ready| ready.body.contains("later")).await?;
    assert_eq!(paused.status, 503);
    assert!(paused.body.contains("CLICKHOUSE_TABLE"), "{}", paused.body);
    assert_eq!(host.admin("GET", "/metrics").await?.metric("sluicegate_paused"), Some(1.0));
    job.stack.query("CREATE TABLE later (id UInt64) ENGINE = MergeTree ORDER BY id").await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    assert_eq!(host.admin("GET", "/metrics").await?.metric("sluicegate_paused"), Some(0.0));
    host.stop().await.map(drop)
}

#[tokio::test]
async fn an_idle_host_notices_a_table_that_is_gone() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?;
    let mut host = job.start()?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    job.stack.query("RENAME TABLE t TO elsewhere").await?;
    host.wait_for_answer("/readyz", |ready| ready.body.contains("`t` is unknown")).await?;
    job.stack.query("RENAME TABLE elsewhere TO t").await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    host.stop().await.map(drop)
}

#[tokio::test]
async fn metrics_equal_the_ledger_and_are_those_of_the_docs() -> anyhow::Result<()> {
    let table =
        TABLE.replace("kind String", "price Decimal(4, 2), lat Float32, kind FixedString(4)");
    let mut job = Job::with_partitions(&table, 2)
        .await?
        .with("KAFKA_PROPERTIES", "fetch.wait.max.ms=20,statistics.interval.ms=200")
        .with("COERCION", "lenient")
        .with("COLUMN_FROM", "lat=/position/lat")
        .with("COLUMN_ON_INVALID", "kind=default");
    let kind = json!({"code": 241, "text": "memory"});
    let fault = json!({"match": "`t`", "times": 2, "kind": kind});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    let good = (1..3_000).map(|id| Message::from(format!(r#"{{"id":{id}}}"#)));
    let replaced =
        Message::from(r#"{"id":0,"kind":7,"price":1.255,"position":null,"colour":"red"}"#);
    let bad = [r#"{"id":"x"}"#, r#"{"id":-1}"#, "not json", r#"{"id":-2}"#].map(Message::from);
    let tombstone = Message { key: Some(b"k".to_vec()), ..Message::default() };
    job.produce(good.chain(bad).chain([replaced, tombstone])).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let metrics = host
        .wait_for_answer("/metrics", |metrics| {
            let lag = |partition| {
                let labels = format!("{{topic=\"records\",partition=\"{partition}\"}}");
                metrics.metric(&format!("sluicegate_lag_records{labels}")) == Some(0.0)
                    && metrics.metric(&format!("sluicegate_freshness_seconds{labels}")) == Some(0.0)
            };
            let idle = metrics.metric("sluicegate_records_in_flight") == Some(0.0);
            lag(0) && lag(1) && idle
        })
        .await?;
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered, ledger.skipped), (3_000, 4, 1));
    let equal = |series: &str, expected: u64| {
        assert_eq!(metrics.metric(series), Some(expected as f64), "{series}\n{}", metrics.body);
    };
    equal("sluicegate_records_consumed_total", ledger.consumed);
    equal("sluicegate_records_total{fate=\"landed\"}", ledger.landed);
    equal("sluicegate_records_total{fate=\"dead_lettered\"}", ledger.dead_lettered);
    equal("sluicegate_records_total{fate=\"skipped\"}", ledger.skipped);
    equal("sluicegate_records_total{fate=\"dropped\"}", ledger.dropped);
    equal("sluicegate_records_total{fate=\"released\"}", 0);
    equal("sluicegate_records_rejected_total{reason=\"type_mismatch\"}", 1);
    equal("sluicegate_records_rejected_total{reason=\"out_of_range\"}", 2);
    equal("sluicegate_records_rejected_total{reason=\"malformed_json\"}", 1);
    equal("sluicegate_records_rejected_total{reason=\"bad_uuid\"}", 0);
    equal("sluicegate_rows_landed_total", ledger.landed);
    equal("sluicegate_batch_rows_sum", ledger.landed);
    equal("sluicegate_values_defaulted_total{column=\"kind\"}", ledger.landed);
    equal("sluicegate_values_replaced_total{column=\"kind\"}", 1);
    equal("sluicegate_values_cut_total{column=\"price\"}", 1);
    equal("sluicegate_rows_unfilled_total", 0);
    equal("sluicegate_values_unreached_total{column=\"lat\"}", 1);
    equal("sluicegate_unknown_fields_total{field=\"(not named)\"}", 1);
    equal("sluicegate_retries_total{step=\"insert\",class=\"transient\"}", 2);
    equal("sluicegate_insert_seconds_count{outcome=\"failed\"}", 2);
    equal("sluicegate_partitions_assigned", 2);
    equal("sluicegate_budget_used_bytes", 0);
    equal("sluicegate_budget_limit_bytes", 128 * 1024 * 1024 / 4 * 3);
    equal("sluicegate_paused", 0);
    assert_eq!(exposed(&metrics), documented());
    Ok(())
}

#[tokio::test]
async fn lag_and_freshness_grow_while_clickhouse_takes_nothing() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE)
        .await?
        .with("KAFKA_PROPERTIES", "fetch.wait.max.ms=20,statistics.interval.ms=200");
    let fault = json!({"match": "`t`", "times": null, "kind": {"code": 241, "text": "memory"}});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let an_hour_ago = i64::try_from(now_ms)? - 3_600_000;
    job.produce((0..100).map(|id| Message {
        timestamp_ms: Some(an_hour_ago),
        ..Message::from(format!(r#"{{"id":{id}}}"#))
    }))
    .await?;
    let mut host = job.start()?;
    let labels = "{topic=\"records\",partition=\"0\"}";
    let (lag, freshness) = (
        format!("sluicegate_lag_records{labels}"),
        format!("sluicegate_freshness_seconds{labels}"),
    );
    host.wait_for_answer("/metrics", |metrics| {
        metrics.metric(&lag) == Some(100.0)
            && metrics.metric(&freshness).is_some_and(|age| (3_600.0..7_200.0).contains(&age))
            && metrics.metric("sluicegate_waiting") == Some(1.0)
    })
    .await?;
    let waiting = host.admin("GET", "/readyz").await?;
    assert!(waiting.status == 503 && waiting.body.contains("241"), "{waiting:?}");
    job.stack.clear_faults().await?;
    host.wait_for_answer("/metrics", |metrics| {
        metrics.metric(&lag) == Some(0.0) && metrics.metric(&freshness) == Some(0.0)
    })
    .await?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    host.stop().await.map(drop)
}

#[tokio::test]
async fn it_only_reads() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?;
    let mut host = job.start()?;
    for path in ["/livez", "/readyz", "/metrics"] {
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(host.admin(method, path).await?.status, 405, "{method} {path}");
        }
    }
    let unknown = host.admin("GET", "/").await?;
    assert_eq!((unknown.status, unknown.body.contains("/readyz")), (404, true));
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_port_that_is_taken_is_laid_to_its_variable_and_none_is_taken_when_off()
-> anyhow::Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let job = Job::new(TABLE).await?.with("ADMIN_ADDR", &address);
    let mut host = job.start()?;
    assert_eq!(host.wait().await?.code(), Some(64));
    let log = host.log().join("\n");
    assert!(log.contains(&format!("ADMIN_ADDR {address}")) && log.contains("in use"), "{log}");

    let job = job.with("ADMIN_ADDR", "off");
    let mut host = job.start()?;
    host.wait_for(&["partitions assigned"]).await?;
    assert!(!host.log().join("\n").contains("admin server listens"));
    host.stop().await.map(drop)
}

#[tokio::test]
async fn connections_that_others_hold_open_keep_no_probe_out() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?;
    let mut host = job.start()?;
    host.wait_for_answer("/readyz", |ready| ready.status == 200).await?;
    let descriptors = |host: &Host| -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", host.pid()?))?.count())
    };
    let before = descriptors(&host)?;
    let line = host.wait_for(&["admin server listens"]).await?;
    let fields: serde_json::Value = serde_json::from_str(&line)?;
    let address = fields["address"].as_str().context("no address")?.to_owned();
    let mut held = Vec::new();
    for _ in 0..361 {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n").await?;
        held.push(stream);
    }
    assert_eq!(host.admin("GET", "/livez").await?.status, 200);
    let most = before + 64 + 16;
    assert!(descriptors(&host)? <= most, "{before} before, {} now", descriptors(&host)?);
    // Those that were left are closed too, when their time is over.
    for mut stream in held {
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    host.stop().await.map(drop)
}
