//! A run from its beginning to its report.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sluicegate_tests::{Broker, GROUP, Job, Preload, TABLE, TOPIC};
use tokio::time::{Instant, sleep, sleep_until};

use crate::audit::{self, Audit, Expected, Found};
use crate::events::Events;
use crate::faults::Field;
use crate::fleet::Fleet;
use crate::kind::Kind;
use crate::options::{Control, Options};
use crate::report::Report;
use crate::schedule::{Round, Schedule, Step};
use crate::stream::{PARTITIONS, Stream};
use crate::trail;

/// How long hosts may take to catch up when nothing is wrong any more.
const PATIENCE: Duration = Duration::from_mins(3);
/// How long a fault waits at the end of its round for a host to meet it.
const MEETING: Duration = Duration::from_secs(20);
/// How long nothing was wrong before an operator answers: nothing may be under way any more.
const CONSULTED_AFTER: Duration = Duration::from_secs(30);
/// How often what hosts ask is looked for in their logs.
const CONSULTED_EVERY: Duration = Duration::from_secs(10);
/// How often the committed offsets are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Sets all up, lets the faults begin, and counts. `folder` takes the logs.
pub async fn run(options: &Options, folder: &Path) -> anyhow::Result<Report> {
    let events = Events::new(folder)?;
    let partitions = u32::try_from(PARTITIONS)?;
    let table = format!(
        "CREATE TABLE {TABLE} {}{} {}",
        audit::COLUMNS,
        options.partition_key(),
        options.table_settings()
    );
    let (disk, clocks) = (Preload::build()?, Preload::build()?);
    let mut stack = sluicegate_tests::stack_options()?;
    for (name, value) in disk.variables() {
        stack = stack.with_variable(name, &value);
    }
    // Partitions that are added are noticed within a second.
    let properties =
        format!("{},topic.metadata.refresh.interval.ms=1000", options.protocol.properties());
    let mut job = Job::on_broker_with(Broker::start().await?, stack, &table, partitions)
        .await?
        .with("METADATA_COLUMNS", &options.metadata_columns())
        .with("KAFKA_PROPERTIES", &properties)
        .with("SHUTDOWN_TIMEOUT_MS", "5000");
    for (name, value) in clocks.variables() {
        job = job.with(name, &value);
    }
    // Old records are kept; dead letters are kept as long as Kafka does unless told.
    job.broker()?.set_topic(TOPIC, "retention.ms", "-1").await?;
    // The view that throws writes to it.
    job.query("CREATE TABLE thrown (x UInt8) ENGINE = Null").await?;
    for (name, value) in options.variables() {
        job = job.with(name, value);
    }
    let mut fleet = Fleet::new(job.environment.clone(), folder);
    fleet.fill()?;
    let stream = Stream::start(job.kafka(), options.per_second)?;
    let all = (job, fleet, stream.remote());
    let mut field = Field::new(all, events, options.window(), (disk, clocks));
    let report = play(&mut field, stream, options, folder).await;
    let broker_log = field.job.broker()?.log();
    if let Err(error) = std::fs::copy(broker_log, folder.join("broker.log")) {
        eprintln!("the broker's log is not kept: {error}");
    }
    report
}

async fn play(
    field: &mut Field,
    stream: Stream,
    options: &Options,
    folder: &Path,
) -> anyhow::Result<Report> {
    let mut troubles = Vec::new();
    let (mut worst, mut rounds, mut stuck) = (Duration::ZERO, 0, 0);
    // The first records committed: from here on a silence is a fault's.
    until_committed(field, &[1; PARTITIONS]).await?;
    if options.control == Some(Control::EarlyCommit) {
        commit_early(field, &stream).await?;
    }
    let started = Instant::now();
    for round in Schedule::new(options.seed, &options.kinds()) {
        let is_over = started.elapsed() >= options.duration() && rounds >= options.rounds;
        if is_over || stream.is_broken() {
            break;
        }
        rounds += 1;
        field.events.tell(&format!("round {rounds}"));
        play_round(field, &round).await?;
        match until_committed(field, &stream.acknowledged()).await {
            Ok(Progress::Behind(partitions)) => {
                stuck = partitions;
                troubles.push(format!("{partitions} partitions are stuck after round {rounds}"));
                break;
            }
            Ok(Progress::CaughtUp(recovery)) => {
                worst = worst.max(recovery);
                field.events.tell(&format!("caught up after {:.1} s", recovery.as_secs_f64()));
            }
            Err(error) => {
                troubles.push(format!("after round {rounds}: {error:#}"));
                break;
            }
        }
    }
    let (ends, marked) = tokio::task::spawn_blocking(|| stream.stop()).await??;
    match until_committed(field, &ends).await {
        Ok(Progress::Behind(partitions)) => stuck = stuck.max(partitions),
        Ok(Progress::CaughtUp(_)) => {}
        Err(error) => troubles.push(format!("at the end: {error:#}")),
    }
    field.fleet.stop_all().await?;
    sleep_until(field.late_until).await;
    field.events.tell("all hosts ended");
    field.letters.read(&field.job)?;
    for (partition, end) in (0..).zip(&ends) {
        let kept = sluicegate_tests::end_offset(field.job.kafka(), TOPIC, partition)?;
        anyhow::ensure!(kept == *end, "the broker holds {kept} of {end} records of {partition}");
    }
    let expected = Expected { ends, marked, narrowed_ms: field.narrowed_ms };
    let mut audit = Audit::of(&field.job, &field.letters, &expected).await.context("the audit")?;
    audit.stuck = i64::try_from(stuck)?;
    audit.changed += field.cut;
    let is_told = |found: &&Found| found.is_lost() || options.forbids_doubles();
    let found: Vec<&Found> = audit.found.iter().filter(is_told).collect();
    for line in trail::of(&found, field.job.kafka(), folder, &field.events) {
        eprintln!("{line}");
    }
    troubles.extend_from_slice(field.fleet.faults());
    Ok(Report {
        seed: options.seed,
        mode: options.mode,
        protocol: options.protocol,
        control: options.control,
        minutes: options.minutes,
        kinds: field.done.len(),
        missed: missed(field),
        faults: std::mem::take(&mut field.done),
        rounds,
        records: expected.ends.iter().sum(),
        audit,
        worst_recovery_seconds: (worst.as_secs_f64() * 10.0).round() / 10.0,
        troubles,
    })
}

/// Does the steps of a round one after the other, each no earlier than planned and each outage at
/// least as long; then mends what is left.
async fn play_round(field: &mut Field, round: &Round) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut begun = Vec::new();
    for step in round.steps() {
        sleep_until(started + step.at()).await;
        match step {
            Step::Begin(outage) => {
                field.begin(&outage).await?;
                begun.push((outage, Instant::now()));
            }
            Step::Mend(outage) => {
                let since = begun.iter().find(|(other, _)| *other == outage);
                if let Some((_, since)) = since {
                    sleep_until(*since + outage.lasts).await;
                }
                field.mend(outage.kind).await?;
            }
        }
        field.fleet.look().await?;
    }
    field.mend_the_unmet(MEETING).await
}

/// Kinds that were begun more than once and never struck.
fn missed(field: &Field) -> Vec<Kind> {
    let begun = field.begun_so_far.iter().filter(|(_, times)| **times > 1);
    begun.map(|(kind, _)| *kind).filter(|kind| !field.done.contains_key(kind)).collect()
}

/// How far the group has come.
enum Progress {
    /// It has committed all, after so long.
    CaughtUp(Duration),
    /// So many partitions are behind after minutes in which nothing was wrong.
    Behind(usize),
}

/// Waits until the group has committed up to these offsets.
async fn until_committed(field: &mut Field, ends: &[i64]) -> anyhow::Result<Progress> {
    let started = Instant::now();
    let mut consult = started + CONSULTED_AFTER;
    loop {
        let behind = field.behind(ends);
        match behind {
            Ok(0) => return Ok(Progress::CaughtUp(started.elapsed())),
            Ok(behind) if started.elapsed() > PATIENCE => return Ok(Progress::Behind(behind)),
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(error.context("asking what is committed"));
            }
            _ => {}
        }
        if consult < Instant::now() {
            field.answer().await?;
            consult = Instant::now() + CONSULTED_EVERY;
        }
        field.fleet.look().await?;
        sleep(LOOK).await;
    }
}

/// Leaves behind what hosts would that commit before they settle, and are killed in between: the
/// offsets of all that Kafka has, committed, and the records in nobody's hands.
async fn commit_early(field: &mut Field, stream: &Stream) -> anyhow::Result<()> {
    let ends = stream.acknowledged();
    field.fleet.kill_all().await?;
    field.events.tell("all hosts killed, to commit in their stead");
    let started = Instant::now();
    // As long as the killed are members, nobody else may commit.
    while let Err(error) = sluicegate_tests::commit(field.job.kafka(), GROUP, TOPIC, &ends) {
        anyhow::ensure!(started.elapsed() < PATIENCE, "committing early: {error:#}");
        sleep(LOOK).await;
    }
    field.events.tell(&format!("committed {ends:?}"));
    field.fleet.fill()
}
