//! Each hostile record stands between good ones. All good ones land, each other one lands or is a dead letter with
//! a reason, and the host stays within the memory limit of a container.

use std::ops::Range;

use anyhow::Context as _;
use fastrand::Rng;
use sluicegate::flow::rejection::Reason;
use sluicegate_tests::{Host, Job, MemoryLimit, Message, TOPIC, ensure_whole, plugins, read_all};

use crate::records::{Target, hostile};

/// The limit of deploy/kubernetes.yaml.
pub const LIMIT_BYTES: u64 = 512 * 1024 * 1024;
/// The mock broker keeps 5 MB of a partition.
const PARTITIONS: u32 = 32;
const LETTERS: &str = "letters";
/// Ids of hostile records begin here.
const HOSTILE: u64 = 1_000_000_000_000;

/// The seed of all that is generated.
pub fn seed() -> u64 {
    let set = std::env::var("SLUICEGATE_SEED").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Good and hostile records in turn, as many of each.
fn records(ids: Range<u64>, target: &Target) -> impl Iterator<Item = Message> {
    ids.flat_map(move |id| {
        let mut rng = Rng::with_seed(seed().wrapping_mul(HOSTILE).wrapping_add(id));
        let good = Message::from(format!(r#"{{"id":{id},"mark":"good"}}"#));
        [hostile(&mut rng, HOSTILE + id, target), good]
    })
}

async fn job(create: &str) -> anyhow::Result<Job> {
    let job = Job::with_partitions(create, PARTITIONS).await?;
    job.stack.create_topic(LETTERS, PARTITIONS).await?;
    Ok(job.with("KAFKA_DLQ_TOPIC", LETTERS).with("DLQ_MAX_SHARE", "1").with("LOG_LEVEL", "info"))
}

/// Takes the records of these ids through the host, and looks at what became of them.
async fn withstand(mut job: Job, ids: Range<u64>, target: &Target) -> anyhow::Result<()> {
    let good = ids.end - ids.start;
    let limit = MemoryLimit::new(LIMIT_BYTES);
    println!("limit: {limit:?}");
    job.produce(records(ids, target)).await?;
    ensure_whole(job.kafka(), TOPIC, job.partitions())?;
    let mut host = Host::start_within(&job.environment, &limit)?;
    let committed = job.wait_until_committed(&host).await;
    let peak = host.peak_memory_bytes();
    let log = host.log();
    let ended = host.ended()?;
    committed.with_context(|| format!("the host ended: {ended:?}"))?;
    let ledger = host.stop().await?;
    println!("{} MiB at the peak, {ledger:?}", peak? >> 20);

    let sum = ledger.landed + ledger.dead_lettered + ledger.dropped + ledger.skipped;
    assert_eq!((ledger.consumed, sum, ledger.in_flight), (2 * good, 2 * good, 0));
    let landed = format!("SELECT uniqExact(id) FROM t WHERE mark = 'good' AND id < {HOSTILE}");
    assert_eq!(job.query(&landed).await?, good.to_string());
    assert!(!log.iter().any(|line| line.contains("panicked at")), "{}", log.join("\n"));

    let letters = read_all(job.kafka(), LETTERS)?;
    for letter in &letters {
        let is_known = Reason::ALL.iter().any(|reason| reason.code() == letter.reason());
        let message = letter.header("__connect.errors.exception.message");
        assert!(is_known && !message.is_empty(), "{:?}", letter.headers);
    }
    // Of a partition with more than 5 MB the mock broker has dropped the first.
    println!("{} letters are read", letters.len());
    assert!(letters.len() as u64 * 2 > ledger.dead_lettered && ledger.dead_lettered > good / 10);
    Ok(())
}

#[tokio::test]
async fn columns_of_every_plain_kind_withstand() -> anyhow::Result<()> {
    let of_nulls = |count, ty: &str| vec![format!("Nullable({ty})"); count].join(", ");
    let create = format!(
        "CREATE TABLE t (id UInt64, mark String, i Int32, w UInt256, f Float32, d Decimal(38, 10),
         b Nullable(Bool), s String, fixed FixedString(256), at DateTime64(3), day Date,
         e Enum8('a' = 1, 'b' = 2), u UUID, ip IPv6, low LowCardinality(String),
         tags Array(Array(String)), m Map(String, Array(UInt8)), pair Tuple(a Int8, b String),
         rows Array(Tuple({})), wide Array(Tuple({})), n Nested(x Int8, y String))
         ENGINE = MergeTree ORDER BY id",
        of_nulls(20, "Float64"),
        of_nulls(50, "Decimal(76, 0)"),
    );
    let fields = &[
        "i", "w", "f", "d", "b", "s", "fixed", "at", "day", "e", "u", "ip", "low", "tags", "m",
        "pair", "rows", "rows", "wide", "wide", "n.x", "n.y", "n",
    ];
    withstand(job(&create).await?, 0..4_000, &Target { fields, orders: &[] }).await
}

#[tokio::test]
async fn columns_of_json_withstand() -> anyhow::Result<()> {
    // A wide part has a file for each path, more than a process may have open on a usual machine.
    let create = "CREATE TABLE t (id UInt64, mark String, j JSON, few JSON(max_dynamic_paths=2),
        typed JSON(a.b UInt8, `1` String), list Array(JSON), m Map(String, JSON))
        ENGINE = MergeTree ORDER BY id SETTINGS min_bytes_for_wide_part = 10000000000";
    let target = Target { fields: &["j", "j", "few", "typed", "list", "m"], orders: &[] };
    withstand(job(create).await?, 4_000..6_000, &target).await
}

#[tokio::test]
async fn columns_of_many_types_withstand() -> anyhow::Result<()> {
    let create = "CREATE TABLE t (id UInt64, mark String, any Dynamic, few Dynamic(max_types=2),
        either Variant(Int8, String, Array(UInt64), Array(Tuple(a Float64, b String))),
        list Array(Variant(Int64, FixedString(200))))
        ENGINE = MergeTree ORDER BY id";
    let target = Target { fields: &["any", "few", "either", "list"], orders: &[] };
    withstand(job(create).await?, 6_000..7_500, &target).await
}

#[tokio::test]
async fn a_table_of_many_columns_withstands() -> anyhow::Result<()> {
    let columns: Vec<String> =
        (0..1_500).map(|at| format!("f{at} Array(Nullable(Float64))")).collect();
    let create = format!(
        "CREATE TABLE t (id UInt64, mark String, {}) ENGINE = MergeTree ORDER BY id",
        columns.join(", ")
    );
    let target = Target { fields: &["f0", "f1", "f700", "f1499"], orders: &[] };
    withstand(job(&create).await?, 7_500..8_500, &target).await
}

#[tokio::test]
async fn plugins_that_make_many_rows_or_break_withstand() -> anyhow::Result<()> {
    let create =
        "CREATE TABLE t (id UInt64, mark String, do String, items String, s String, f Float64)
        ENGINE = MergeTree ORDER BY id";
    let job = job(create)
        .await?
        .with("PLUGINS", &plugins(&["explode", "misbehaving", "misbehaving-arrow"])?)
        .with("PLUGIN_EXPLODE_CONFIG", r#"{"array":"items"}"#)
        // What fails by design is not to make them count as broken.
        .with("PLUGIN_BREAKER_SHARE", "0.5")
        .with("NUM_MESSAGES", "500");
    let target = Target {
        fields: &["items", "items", "s", "f", "do"],
        orders: &[
            "allocate",
            "huge_output",
            "recurse",
            "panic",
            "abort",
            "exit",
            "sleep",
            "error",
            "long_error",
            "many_rows",
            "few_actions",
            "bad_ends",
            "million",
            "out_of_range",
            "null_row",
            "cut",
            "two_batches",
            "bad_utf8",
            "bad_offsets",
            "reject_twice",
        ],
    };
    withstand(job, 8_500..10_000, &target).await
}
