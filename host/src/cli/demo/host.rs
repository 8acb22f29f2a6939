//! The host of the demo: `sluicegate run` as a child process, observed through its log.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike as _;
use nix::unistd::Pid;
use serde_json::Value;
use sluicegate_local::LocalStack;

use super::plugins::{self, Cost};
use super::{DEAD_LETTER_TOPIC, TOPIC};
use crate::words::plain::PlainLines;

/// How many lines of the log are shown if the host ends too early.
const LOG_TAIL: usize = 20;

/// What the host's log has reported so far.
#[derive(Default)]
struct HostLog {
    settled: AtomicU64,
    /// The first assignment and the last settled batch; the rate is measured between them.
    times: Mutex<(Option<Instant>, Option<Instant>)>,
    ledger: Mutex<Option<Value>>,
    admin: Mutex<Option<String>>,
    tail: Mutex<VecDeque<String>>,
}

/// The running host.
pub struct DemoHost {
    child: Child,
    told: Arc<HostLog>,
    reader: JoinHandle<()>,
}

/// The result of the host, after it has stopped.
pub struct HostRun {
    /// The ledger, from the last line of its log.
    pub ledger: Value,
    /// The time from the first assignment to the last settled batch.
    pub elapsed: Duration,
    /// User and system time of the host's process alone, in seconds.
    pub cpu_seconds: f64,
}

impl DemoHost {
    /// Starts `sluicegate run` between the two engines of the stack.
    pub fn start(
        stack: &LocalStack,
        table: &str,
        required: &str,
        further: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("run")
            .env_clear()
            .envs([
                ("KAFKA_BROKER", stack.kafka()),
                ("KAFKA_CONSUMER_GROUP_ID", "sluicegate-demo"),
                ("KAFKA_SOURCE_TOPIC", TOPIC),
                ("KAFKA_DLQ_TOPIC", DEAD_LETTER_TOPIC),
                // The mock broker answers an empty fetch only after its whole wait.
                ("KAFKA_PROPERTIES", "fetch.wait.max.ms=20"),
                ("CLICKHOUSE_HOST", stack.clickhouse_url()),
                ("CLICKHOUSE_PASSWORD", stack.password()),
                ("CLICKHOUSE_TABLE", table),
                ("REQUIRED_COLUMNS", required),
                // Any free port: another host may run on this machine.
                ("ADMIN_ADDR", "127.0.0.1:0"),
                ("LOG_FORMAT", "json"),
                ("LOG_LEVEL", "info"),
            ])
            .envs(further)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting `sluicegate run`")?;
        let told = Arc::new(HostLog::default());
        let stderr = child.stderr.take().context("the host's log")?;
        let reader = std::thread::spawn({
            let told = Arc::clone(&told);
            move || read(stderr, &told)
        });
        Ok(Self { child, told, reader })
    }

    /// Records settled so far.
    pub fn settled(&self) -> u64 {
        self.told.settled.load(Ordering::Acquire)
    }

    /// Fails with the end of the log if the host has exited.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(
                PlainLines(format!("the host ended early ({status}):\n{}", self.tail())).into()
            );
        }
        Ok(())
    }

    /// The cost of its plugins so far.
    pub async fn costs(&self) -> anyhow::Result<Vec<Cost>> {
        let admin = self.told.admin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let admin = admin.context("the host told no address of its metrics")?;
        crate::base::blocking::run_blocking(move || plugins::costs(&admin)).await
    }

    /// Sends SIGTERM, waits, and returns the result.
    pub async fn stop(mut self) -> anyhow::Result<HostRun> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let (status, told) = crate::base::blocking::run_blocking(move || {
            let status = self.child.wait();
            // The log ends with the process.
            let _read = self.reader.join();
            (status, self.told)
        })
        .await;
        if !status?.success() {
            return Err(PlainLines(format!("the host failed:\n{}", tail(&told))).into());
        }
        // Only children that were waited for are counted; the host is the only one so far.
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let (first, last) = *told.times.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = first.zip(last).map(|(first, last)| last - first).unwrap_or_default();
        let ledger = told.ledger.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ledger =
            ledger.ok_or_else(|| PlainLines(format!("no ledger in the log:\n{}", tail(&told))))?;
        Ok(HostRun { ledger, elapsed, cpu_seconds: cpu as f64 / 1e6 })
    }

    fn tail(&self) -> String {
        tail(&self.told)
    }
}

fn tail(told: &HostLog) -> String {
    let tail = told.tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.iter().cloned().collect::<Vec<_>>().join("\n")
}

fn read(stderr: ChildStderr, told: &HostLog) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Ok(fields) = serde_json::from_str::<Value>(&line) {
            note(&fields, told);
        }
        let mut tail = told.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == LOG_TAIL {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

fn note(fields: &Value, told: &HostLog) {
    let mut times = told.times.lock().unwrap_or_else(PoisonError::into_inner);
    match fields.get("message").and_then(Value::as_str) {
        Some("partitions assigned") => {
            times.0.get_or_insert_with(Instant::now);
        }
        Some("batch settled") => {
            let records = fields.get("records").and_then(Value::as_u64).unwrap_or(0);
            told.settled.fetch_add(records, Ordering::AcqRel);
            times.1 = Some(Instant::now());
        }
        Some("admin server listens") => {
            let address = fields.get("address").and_then(Value::as_str).map(str::to_owned);
            *told.admin.lock().unwrap_or_else(PoisonError::into_inner) = address;
        }
        Some("stopped") => {
            let mut ledger = told.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            *ledger = Some(fields.clone());
        }
        _ => {}
    }
}
