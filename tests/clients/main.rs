//! Other people's clients: what they write is understood, and what is written they understand.

#![allow(clippy::unwrap_used)]

mod tutorial;

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use sluicegate_tests::{Broker, Job, path_of};

const TABLE: &str = "CREATE TABLE t (
    id UInt64, codec LowCardinality(String), price Decimal(10, 2), at DateTime64(3, 'UTC'),
    tags Array(String)
) ENGINE = MergeTree ORDER BY id";

/// Runs a client to its end and returns what it printed.
fn run(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let name = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", name.display()))?;
    child.stdin.take().context("stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "{} ended with {}", name.display(), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn kcat_writes_by_every_codec_and_reads_the_dead_letters() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, TABLE, 1).await?;
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (at, codec) in codecs.iter().enumerate() {
        let record = |id: usize| {
            format!(
                r#"key-{id}:{{"id":{id},"codec":"{codec}","price":{id}.25,"at":"2026-03-01T10:00:00.5Z","tags":["a","b"]}}"#
            )
        };
        let mut lines: Vec<String> = (at * 100..at * 100 + 99).map(record).collect();
        lines.push(format!(r#"bad-{codec}:{{"id":"none","codec":"{codec}"}}"#));
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", job.kafka(), "-t", "records", "-p", "0", "-K", ":"]);
        kcat.args(["-z", codec, "-H", "trace=abc"]);
        run(&mut kcat, &lines.join("\n"))?;
        job.count_produced(0, 100);
    }
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (495, 5));

    let mut kcat = Command::new("kcat");
    kcat.args(["-C", "-b", job.kafka(), "-t", "dead-letters", "-o", "beginning", "-e", "-q"]);
    let letters = run(kcat.args(["-f", r"%k|%s|%h\n"]), "")?;
    assert_eq!(letters.lines().count(), 5, "{letters}");
    for (letter, codec) in letters.lines().zip(codecs) {
        let (record, headers) = letter.rsplit_once('|').unwrap();
        assert_eq!(record, format!(r#"bad-{codec}|{{"id":"none","codec":"{codec}"}}"#));
        for header in ["trace=abc", "failure_reason=type_mismatch", "sluicegate.column=id"] {
            assert!(headers.split(',').any(|found| found == header), "{header} in {headers}");
        }
    }

    // The table as ClickHouse's own client for Python sees it.
    let script = "import sys, clickhouse_connect\n\
        client = clickhouse_connect.get_client(dsn=sys.argv[1])\n\
        print(client.query('SELECT codec, count(), sum(price), any(at), any(tags) FROM t \
        GROUP BY codec ORDER BY min(id)').result_rows)";
    let mut python = Command::new(path_of("SLUICEGATE_PYTHON")?);
    let login = format!("http://{}:{}@", job.stack.user(), job.stack.password());
    let dsn = job.stack.clickhouse_url().replacen("http://", &login, 1);
    let rows = run(python.args(["-c", script, &dsn]), "")?;
    let at = "datetime.datetime(2026, 3, 1, 10, 0, 0, 500000)";
    let expected: Vec<String> = (0_u64..)
        .zip(codecs)
        .map(|(at_codec, codec)| {
            let cents: u64 = (at_codec * 100..at_codec * 100 + 99).map(|id| id * 100 + 25).sum();
            let sum = format!("Decimal('{}.{:02}')", cents / 100, cents % 100);
            format!("('{codec}', 99, {sum}, {at}, ['a', 'b'])")
        })
        .collect();
    assert_eq!(
        rows.trim().replace(", tzinfo=datetime.timezone.utc", ""),
        format!("[{}]", expected.join(", "))
    );
    Ok(())
}
