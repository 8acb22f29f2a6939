//! Each generated file is offered to `plugin inspect`, `check` and `run`. No process ends by a signal or waits for
//! ever, each refusal names the file, and a plugin that runs costs no more than the records that it fails on.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use serde_json::Value;
use sluicegate_tests::{DEAD_LETTERS, Host, Job, MemoryLimit, PATIENCE, once_within, read_all};
use tokio::time::{Instant, sleep};

use crate::guest::MARK;
use crate::plugins::{End, Offered, offered};
use crate::sweep::{LIMIT_BYTES, seed};

/// Files that are offered at the same time.
const AT_ONCE: usize = 6;
/// Records that each host reads; the last one holds [`MARK`].
const RECORDS: u64 = 8;

/// What became of a file and its records.
#[derive(Debug)]
enum Fate {
    NotStarted,
    Paused,
    /// So many records landed.
    Ran(u64),
}

struct Rig<'a> {
    job: &'a Job,
    folder: &'a Path,
}

#[tokio::test]
async fn no_generated_plugin_ends_a_process_or_takes_a_good_record_along() -> anyhow::Result<()> {
    let count = std::env::var("SLUICEGATE_COMPONENTS").ok().and_then(|text| text.parse().ok());
    let mut job = Job::new("CREATE TABLE t (id UInt64) ENGINE = Null").await?;
    let record = |id| match id + 1 {
        RECORDS => format!(r#"{{"id":{id},"mark":"{MARK}"}}"#),
        _ => format!(r#"{{"id":{id},"mark":"good"}}"#),
    };
    job.produce((0..RECORDS).map(record)).await?;
    let folder = tempfile::tempdir()?;
    let rig = Rig { job: &job, folder: folder.path() };
    let files = futures_util::stream::iter(0..count.unwrap_or(200)).map(|number| rig.offer(number));
    let mut files = std::pin::pin!(files.buffer_unordered(AT_ONCE));
    let mut found = BTreeMap::<_, usize>::new();
    while let Some(fate) = files.next().await {
        *found.entry(fate?).or_default() += 1;
    }
    println!("{found:#?}");
    for letter in read_all(job.kafka(), DEAD_LETTERS)? {
        let message = letter.header("__connect.errors.exception.message");
        assert!(!letter.reason().is_empty() && !message.is_empty(), "{:?}", letter.headers);
    }
    Ok(())
}

impl Rig<'_> {
    async fn offer(&self, number: usize) -> anyhow::Result<(&'static str, String)> {
        let offered = offered(seed(), number)?;
        let about = format!("file {number} of seed {}: {}", seed(), offered.kind);
        let path = self.folder.join(format!("p{number}.wasm"));
        std::fs::write(&path, &offered.bytes)?;
        let done = tokio::time::timeout(4 * PATIENCE, self.take(number, &path, &offered)).await;
        let fate = done.context("it waits for ever").flatten().context(about)?;
        std::fs::remove_file(path)?;
        println!("{number} {}: {fate:?}", offered.kind);
        Ok((offered.kind, format!("{fate:?}")))
    }

    async fn take(&self, number: usize, path: &Path, offered: &Offered) -> anyhow::Result<Fate> {
        let limit = MemoryLimit::new(LIMIT_BYTES);
        let name = path.display().to_string();
        let inspected =
            once_within(&BTreeMap::new(), &["plugin", "inspect", &name], &limit).await?;
        let is_loaded = sane(&inspected, &name)?;
        ensure!(!(is_loaded && offered.end == Some(End::Refused)), "it is loaded");

        let table = format!("rows_of_{number}");
        let create = "(id UInt64, mark String) ENGINE = MergeTree ORDER BY id";
        self.job.query(&format!("CREATE TABLE {table} {create}")).await?;
        let mut environment = self.job.environment.clone();
        for (variable, value) in [
            ("PLUGINS", format!("p={name}")),
            ("PLUGIN_P_TIMEOUT_MS", "500".to_owned()),
            ("CLICKHOUSE_TABLE", table.clone()),
            ("KAFKA_CONSUMER_GROUP_ID", format!("group-{number}")),
            ("DLQ_MAX_SHARE", "1".to_owned()),
        ] {
            environment.insert(variable.to_owned(), value);
        }
        let checked = once_within(&environment, &["check"], &limit).await?;
        let is_taken = sane(&checked, "`p")?;
        let host = Host::start_within(&environment, &limit)?;
        let fate = fate(host, &name).await?;
        let is_as_expected = match (offered.end, &fate) {
            (None, _) => true,
            (Some(End::Refused | End::NotStarted), fate) => matches!(fate, Fate::NotStarted),
            (Some(End::Paused), fate) => matches!(fate, Fate::Paused),
            (Some(End::Isolated), fate) => {
                matches!(fate, Fate::Ran(landed) if landed + 1 == RECORDS)
            }
        };
        ensure!(is_as_expected, "expected {:?}, got {fate:?}", offered.end);
        ensure!(
            !(is_taken && matches!(fate, Fate::NotStarted)),
            "`check` takes what `run` refuses"
        );
        if let Fate::Ran(landed) = fate {
            let rows = self.job.query(&format!("SELECT uniqExact(id) FROM {table}")).await?;
            ensure!(rows == landed.to_string(), "{landed} landed, and {rows} are there");
        }
        self.job.query(&format!("DROP TABLE {table}")).await?;
        Ok(fate)
    }
}

/// Whether a command ended well; if not, it names the file, and has not broken.
fn sane(output: &Output, name: &str) -> anyhow::Result<bool> {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let about = || format!("{}: {text}", output.status);
    let is_ended = matches!(output.status.code(), Some(0 | 1 | 64));
    ensure!(is_ended && !text.contains("panicked at"), "it broke: {}", about());
    ensure!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "it moves the terminal: {}", about());
    ensure!(output.status.success() || text.contains(name), "it does not name {name}: {}", about());
    Ok(output.status.success())
}

/// Waits until a host refuses its plugin, pauses for it, or has settled all records.
async fn fate(mut host: Host, name: &str) -> anyhow::Result<Fate> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if host.ended()?.is_some() {
            let status = host.wait().await?;
            let log = host.log().join("\n");
            let is_named = log.contains(&format!("PLUGINS: `p` ({name})"));
            ensure!(status.code() == Some(64) && is_named, "it ended with {status}:\n{log}");
            return Ok(Fate::NotStarted);
        }
        let log = host.log();
        if settled(&log) >= RECORDS {
            let ledger = host.stop().await?;
            let all = ledger.landed + ledger.dead_lettered + ledger.dropped;
            ensure!(all == RECORDS && ledger.in_flight == 0, "{ledger:?}");
            return Ok(Fate::Ran(ledger.landed));
        }
        if log.iter().any(|line| line.contains("paused") && line.contains("plugin `p")) {
            let ledger = host.stop().await?;
            ensure!(ledger.landed + ledger.dead_lettered < RECORDS, "{ledger:?}");
            return Ok(Fate::Paused);
        }
        ensure!(Instant::now() < deadline, "it waits for ever:\n{}", log.join("\n"));
        sleep(Duration::from_millis(50)).await;
    }
}

/// How many records are settled, by the log.
fn settled(log: &[String]) -> u64 {
    let lines = log.iter().filter(|line| line.contains("\"batch settled\""));
    let records = lines.filter_map(|line| {
        serde_json::from_str::<Value>(line).ok()?.get("records").and_then(Value::as_u64)
    });
    records.sum()
}
