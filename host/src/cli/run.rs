//! `sluicegate run`: wires the stages from the configuration and runs until told to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{EXIT_CONFIG, EXIT_FATAL, Exit};
use crate::clickhouse::target::Tables;
use crate::clickhouse::{Server, TableLook};
use crate::config::{Config, Delivery, Environment, Tombstones};
use crate::dead_letter::DeadLetters;
use crate::flow::hold::Fatal;
use crate::flow::settlement::Ledger;
use crate::limits::admission::Admission;
use crate::limits::brake::Brake;
use crate::limits::budget::Budget;
use crate::observe::Observed;
use crate::observe::admin::AdminServer;
use crate::observe::envelopes::Envelopes;
use crate::observe::exposition::Exposition;
use crate::observe::log;
use crate::observe::progress::Progress;
use crate::observe::rejections::RejectionLog;
use crate::observe::status::Status;
use crate::observe::unknown_fields::UnknownNames;
use crate::observe::unreached::Unreached;
use crate::pipeline::Pipeline;
use crate::plugins::hooks::{Hooks, Worker};
use crate::plugins::lookups::Lookups;
use crate::sink::Sink;
use crate::source::Source;
use crate::user_schema::UserSchema;

/// The batches' share of the memory budget, after librdkafka's queue and the overhead of its messages:
/// three quarters.
const BATCHES_SHARE: (usize, usize) = (3, 4);

/// Reads the environment and runs.
pub fn run_host() -> Result<(), Exit> {
    let misconfigured = |error| Exit { code: EXIT_CONFIG, error };
    let (config, warnings) = Config::from_env(&Environment::read())
        .map_err(|errors| misconfigured(anyhow::Error::new(errors)))?;
    log::init_unread(config.log.format, &config.log.level)
        .map_err(|error| misconfigured(anyhow::Error::new(error)))?;
    for warning in warnings {
        tracing::warn!(variable = warning.variable, "{}", warning.text);
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), settings = ?config.describe(), "starting");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the async runtime")?;
    let outcome = runtime.block_on(live(&config))?;
    // Unfinished work must not delay the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(ledger) => {
            report(&ledger);
            Ok(())
        }
        Err(fatal) => Err(Exit { code: EXIT_FATAL, error: anyhow::Error::new(fatal) }),
    }
}

async fn live(config: &Config) -> Result<Result<Ledger, Fatal>, Exit> {
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let misconfigured = |error| Exit { code: EXIT_CONFIG, error };
    let observed = Observed {
        status: Arc::new(Status::default()),
        brake: Arc::new(Brake::new(config.dlq.max_share, crate::clickhouse::shown_text)),
        progress: Arc::new(Progress::default()),
        budget: budget(config),
        lookups: Arc::default(),
    };
    // Before anything else: a port in use is a mistake to report at once.
    serve_admin(config, &observed).await.map_err(misconfigured)?;
    let (pipeline, source) = tokio::select! {
        wired = wire(config, &observed) => wired.map_err(misconfigured)?,
        // Plugins may take long to compile and start, and lookups may be waited for.
        () = &mut stop => return Ok(Ok(Ledger::default())),
    };
    Ok(crate::life::run_until_stopped(pipeline, source, &observed, config, stop).await)
}

/// The budget of the batches in flight.
pub fn budget(config: &Config) -> Arc<Budget> {
    let (part, of) = BATCHES_SHARE;
    Budget::new(config.batch.in_flight, config.batch.memory_budget_bytes / of * part)
}

/// Serves probes and metrics for the life of the process.
async fn serve_admin(config: &Config, observed: &Observed) -> anyhow::Result<()> {
    let Some(address) = config.admin.address else { return Ok(()) };
    let admin = AdminServer::bind(address).await.with_context(|| {
        format!(
            "cannot listen on ADMIN_ADDR {address}; give another port (port 0 takes a free one), or \
             `off`"
        )
    })?;
    let exposition = Exposition::install(observed.clone()).context("recording metrics")?;
    tokio::spawn(admin.serve(exposition));
    Ok(())
}

/// Builds the stages from the configuration.
async fn wire(config: &Config, observed: &Observed) -> anyhow::Result<(Pipeline, Source)> {
    let batch = &config.batch;
    let status = &observed.status;
    let server = Server::new(&config.clickhouse)?;
    let (states, asked) = (Arc::clone(&observed.lookups), Some(server.clone()));
    let lookups = Lookups::load(&config.plugins.lookups, asked, Arc::clone(status), states).await?;
    let (lookups, budget) = (Arc::new(lookups), Arc::clone(&observed.budget));
    let hooks =
        Hooks::load(&config.plugins, Worker::default(), lookups, budget, Arc::clone(status))
            .await?;
    let tables = Arc::new(Tables::new(
        server.clone(),
        config.clickhouse.database.clone(),
        config.clickhouse.table.clone(),
        config.rules.clone(),
        user_schema(config, &hooks),
        config.delivery == Delivery::ExactlyOnce,
        observed,
    ));
    let look: Arc<dyn TableLook> = tables.clone();
    let dead_letters = DeadLetters::new(config, Arc::clone(status), Arc::clone(&observed.budget))?;
    tokio::spawn(dead_letters.topic().watch());
    let pipeline = Pipeline {
        admission: Admission {
            skips_tombstones: config.records.tombstones == Tombstones::Skip,
            max_record_bytes: batch.max_bytes,
        },
        split: config.records.split,
        tables,
        hooks,
        brake: Arc::clone(&observed.brake),
        dead_letters,
        sink: Sink::new(server, Arc::clone(status), look),
        log: RejectionLog::new(config.log.with_payloads),
        unknown: UnknownNames::new(config.log.with_field_names),
        unreached: Unreached::default(),
        envelopes: Envelopes::new(config.log.with_field_names),
        status: Arc::clone(status),
    };
    let source = Source::start(config, observed)?;
    Ok((pipeline, source))
}

/// The user's schema for records, and whether plugins run between it and the table.
pub(super) fn user_schema(config: &Config, hooks: &Hooks) -> Option<UserSchema> {
    let schema = config.records.json_schema.clone()?;
    Some(if hooks.arrow.is_some() { schema.before_plugins() } else { schema })
}

/// A signal this soon after the first one is the same: some tools send it to the process and to its
/// group.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Ready at the first SIGTERM or SIGINT; a later one ends the process at once, which is safe: what is
/// not committed is read again.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening to SIGINT")?;
    let (first, stopped) = oneshot::channel();
    tokio::spawn(async move {
        let (mut first, mut since) = (Some(first), Instant::now());
        loop {
            let code = tokio::select! {
                Some(()) = terminate.recv() => 143,
                Some(()) = interrupt.recv() => 130,
            };
            match first.take() {
                Some(first) => {
                    since = Instant::now();
                    // The receiver may be gone.
                    let _gone = first.send(());
                }
                None if since.elapsed() < SAME_SIGNAL => {}
                None => {
                    log::finish();
                    std::process::exit(code)
                }
            }
        }
    });
    Ok(async move {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Logs the ledger as the last line.
fn report(ledger: &Ledger) {
    tracing::info!(
        consumed = ledger.consumed,
        landed = ledger.landed,
        dead_lettered = ledger.dead_lettered,
        dropped = ledger.dropped,
        skipped = ledger.skipped,
        released = ledger.released,
        in_flight = ledger.in_flight(),
        "stopped"
    );
}
