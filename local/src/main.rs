//! `sluicegate-local`: a Kafka and a ClickHouse in one child process.
//!
//! It prints one JSON line when both answer, and ends when its stdin does, so that it never
//! outlives the demo, test or bench that started it.
//!
//! Besides ClickHouse's own interface, its HTTP port has a control plane (the JSON is that of the
//! library's types). Both ask for the user and password of the ready line, and no statement leaves the
//! engine: what reads files or asks other servers is refused.
//!
//! | request | effect |
//! |---|---|
//! | `POST /_fault` with a `Fault` | adds a fault; answers its `FaultStatus` |
//! | `GET /_fault`, `DELETE /_fault` | lists the faults and their hits; clears them, or `?id=N` |
//! | `GET /_inserts?match=TEXT` | the INSERTs seen, as a list of `SeenInsert` |
//! | `POST /_kafka/topic?name=T&partitions=N` | creates a topic |
//! | `POST /_kafka/broker_down`, `/_kafka/broker_up` | all brokers, or `?broker=ID` |
//! | `POST /_kafka/errors` with `KafkaErrors` | errors for the next requests of one kind |
//!
//! What it cannot do as the server does: the queue of async inserts (they run at once),
//! compression but of whole bodies by zstd, streamed results, sessions, users, replicas.

mod answer;
mod chdb;
mod control;
mod execute;
mod faults;
mod front;
mod journal;
mod kafka;
mod request;
mod server;
mod sessions;
mod statement;
mod status;

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use sluicegate_local::ReadyLine;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::answer::Server;
use crate::chdb::{Connection, Engine, exit_now};
use crate::execute::Executor;
use crate::front::Front;
use crate::kafka::Kafka;
use crate::request::Credentials;

/// How long running statements may take to end at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A Kafka and a ClickHouse on free ports of 127.0.0.1, for tests and demos only.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The engine library; else `SLUICEGATE_CHDB_LIB`, else where `cargo xtask setup` puts it.
    #[arg(long, value_name = "PATH")]
    chdb_lib: Option<PathBuf>,
    /// Folder of ClickHouse's data; else a temporary one, removed at exit.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// ClickHouse's own configuration, such as its settings of tables.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// ClickHouse's HTTP port; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    clickhouse_port: u16,
    /// Number of Kafka brokers.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    brokers: u16,
    /// How long a new consumer group waits for more members before it gets its partitions;
    /// real brokers wait 3000.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    group_join_delay_ms: u16,
    /// Starts no Kafka.
    #[arg(long)]
    no_kafka: bool,
    /// The user that ClickHouse demands, with the password of `SLUICEGATE_LOCAL_PASSWORD`, or one
    /// that the ready line tells.
    #[arg(long, default_value = sluicegate_local::USER)]
    user: String,
}

fn main() {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    let code = match run(options) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{error:#}");
            1
        }
    };
    exit_now(code)
}

fn run(options: Options) -> anyhow::Result<()> {
    let library = options.chdb_lib.clone().unwrap_or_else(sluicegate_local::engine_library);
    let (temporary, data) = data_folder(options.data.as_deref())?;
    let engine = Engine::open(&library, &data, options.config_file.as_deref())?;
    // Held open to the end: the engine lives while a connection does.
    let mut anchor = engine.connect().map_err(|error| anyhow::anyhow!(error.text))?;
    let server = identify(&engine, &mut anchor)?;
    let kafka = if options.no_kafka {
        None
    } else {
        Some(Kafka::start(options.brokers, options.group_join_delay_ms)?)
    };
    let password = std::env::var(sluicegate_local::PASSWORD_VARIABLE)
        .ok()
        .filter(|password| !password.is_empty())
        .unwrap_or_else(|| sluicegate_local::password().to_owned());
    let credentials = Credentials { user: options.user, password };
    let front = Arc::new(Front {
        executor: Executor::new(engine),
        server,
        credentials,
        faults: faults::FaultPlane::default(),
        sessions: sessions::Sessions::default(),
        uuid: uuid_of(&data),
        journal: journal::Journal::default(),
        kafka,
    });
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(serve(&front, options.clickhouse_port))?;
    // Not dropped: a runtime waits for its blocking threads, and a statement may be stuck.
    std::mem::forget(runtime);
    drop(anchor);
    if let Some(folder) = temporary
        && let Err(error) = folder.close()
    {
        tracing::warn!(%error, "the temporary data folder is left behind");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn serve(front: &Arc<Front>, port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("clickhouse front: cannot listen on 127.0.0.1:{port}"))?;
    let address = listener.local_addr()?;
    let parent_gone = watch_stdin()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    announce(&ReadyLine {
        clickhouse: format!("http://{address}"),
        kafka: front.kafka.as_ref().map(|kafka| kafka.bootstrap_servers().to_owned()),
        user: front.credentials.user.clone(),
        password: front.credentials.password.clone(),
    })?;
    let shutdown = async {
        let reason = tokio::select! {
            _ = parent_gone => "stdin ended",
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(reason, "stopping");
    };
    server::serve(listener, front::router(Arc::clone(front)), shutdown).await;
    if tokio::time::timeout(DRAIN_TIMEOUT, front.executor.drain()).await.is_err() {
        tracing::warn!("statements still run after {DRAIN_TIMEOUT:?} and are cut off");
    }
    Ok(())
}

/// The server's UUID, which the engine lacks: the same for the same data.
fn uuid_of(data: &Path) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(data, &mut hasher);
    let hash = std::hash::Hasher::finish(&hasher);
    format!("00000000-0000-4000-{:04x}-{:012x}", hash >> 48, hash & 0xffff_ffff_ffff)
}

fn data_folder(given: Option<&Path>) -> anyhow::Result<(Option<tempfile::TempDir>, PathBuf)> {
    if let Some(folder) = given {
        let mut own = std::fs::DirBuilder::new();
        own.recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("data folder {}: cannot be made", folder.display()))?;
        let whole = folder.canonicalize()?;
        return Ok((None, whole));
    }
    let folder = tempfile::Builder::new()
        .prefix("sluicegate-local-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .context("cannot make a temporary data folder")?;
    let path = folder.path().to_path_buf();
    Ok((Some(folder), path))
}

/// Asks the engine for what every answer says of it.
fn identify(engine: &Engine, connection: &mut Connection) -> anyhow::Result<Server> {
    let output = connection
        .query("SELECT version(), timezone()", "TabSeparated")
        .map_err(|error| anyhow::anyhow!("first statement: {}", error.text))?;
    let line = String::from_utf8_lossy(&output.data).trim().to_owned();
    let (version, timezone) = line.split_once('\t').unwrap_or((&line, "UTC"));
    tracing::info!(chdb = engine.version(), clickhouse = version, timezone, "engine started");
    Ok(Server::new(version, timezone))
}

/// Completes when stdin ends, which is how a child learns that its parent is gone.
fn watch_stdin() -> anyhow::Result<oneshot::Receiver<()>> {
    let (sender, gone) = oneshot::channel();
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut ignored = [0; 256];
        let mut stdin = std::io::stdin().lock();
        while stdin.read(&mut ignored).is_ok_and(|bytes| bytes > 0) {}
        sender.send(()).ok();
    })?;
    Ok(gone)
}

fn announce(ready: &ReadyLine) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(ready)?)?;
    stdout.flush().context("writing the ready line")
}
