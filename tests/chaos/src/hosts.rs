//! What is done to hosts, and undone.

use std::time::Duration;

use nix::sys::signal::Signal;
use sluicegate_tests::Preload;

use crate::fleet::Fleet;
use crate::kind::Kind;
use crate::schedule::Outage;

/// By how many seconds clocks jump, and back again at the mend; less than Kafka keeps dead letters by their
/// timestamps.
const JUMPS_S: &[i64] = &[-432_000, 432_000, -3_600, 21_600, -90];

/// Variables of hosts that are configured otherwise than the rest of their group.
const OTHERS: &[&[(&str, &str)]] = &[
    &[("NUM_MESSAGES", "50"), ("IN_FLIGHT_BATCHES", "8")],
    &[("BATCH_MAX_BYTES", "20000"), ("BATCH_LINGER_MS", "20")],
    &[("CLICKHOUSE_COMPRESSION", "lz4"), ("IN_FLIGHT_BATCHES", "1")],
    &[("CLICKHOUSE_SETTINGS", "max_threads=1"), ("CLICKHOUSE_ASYNC_INSERT", "0")],
    &[("MEMORY_BUDGET_BYTES", "4194304"), ("BATCH_MAX_BYTES", "1048576")],
];

/// What was begun.
#[derive(Debug, Default)]
pub struct Begun {
    /// What is to be told of it.
    pub told: String,
    /// The host that something must be done to at the mend.
    pub concerned: Option<String>,
}

impl Begun {
    fn told(told: String) -> Self {
        Self { told, concerned: None }
    }
}

/// Does it. `clocks` was loaded before each of the hosts.
pub async fn begin(fleet: &mut Fleet, clocks: &Preload, outage: &Outage) -> anyhow::Result<Begun> {
    let host = outage.index(fleet.len());
    let name = fleet.name(host)?;
    Ok(match outage.kind {
        Kind::HostKilled => Begun::told(fleet.kill(host).await?),
        Kind::AllHostsKilled => {
            fleet.kill_all().await?;
            Begun::default()
        }
        Kind::HostStopped => {
            let stopped = fleet.stop(host)?;
            Begun::told(format!("{stopped}, and {} starts", fleet.start()?))
        }
        Kind::HostKilledWhileStopping => {
            let after = Duration::from_millis(outage.dice % 400);
            Begun::told(fleet.kill_while_stopping(host, after).await?)
        }
        Kind::HostRemoved => Begun::told(fleet.stop(host)?),
        Kind::HostAdded => Begun::told(fleet.start()?),
        Kind::HostSuspended | Kind::HostSuspendedLong => {
            fleet.signal(&name, Signal::SIGSTOP)?;
            Begun { told: name.clone(), concerned: Some(name) }
        }
        Kind::HostReconfigured => {
            // Without warning, so that it leaves batches behind that its own configuration cut.
            let killed = fleet.kill(host).await?;
            let variables = outage.pick(OTHERS).copied().unwrap_or_default();
            let started = fleet.start_with(variables)?;
            let told = format!("{killed}, and {started} starts with {variables:?}");
            Begun { told, concerned: Some(started) }
        }
        Kind::HostOutOfMemory => {
            fleet.take_memory(&name).await?;
            Begun { told: name.clone(), concerned: Some(name) }
        }
        Kind::ClockJumps => {
            let seconds = outage.pick(JUMPS_S).copied().unwrap_or_default();
            clocks.set_clock(seconds)?;
            Begun::told(format!("by {seconds} s"))
        }
        kind => anyhow::bail!("nobody knows how to do {kind:?}"),
    })
}

/// Undoes it; `concerned` is of [`Begun`].
pub async fn end(
    fleet: &mut Fleet,
    clocks: &Preload,
    kind: Kind,
    concerned: Option<String>,
) -> anyhow::Result<()> {
    match (kind, concerned) {
        (Kind::HostAdded, _) => return fleet.stop(0).map(drop),
        (Kind::ClockJumps, _) => return clocks.set_clock(0),
        (Kind::HostSuspended | Kind::HostSuspendedLong, Some(name)) => {
            return fleet.signal(&name, Signal::SIGCONT);
        }
        (Kind::HostReconfigured, Some(name)) => fleet.stop_by_name(&name)?,
        (Kind::HostOutOfMemory, Some(name)) => fleet.kill_by_name(&name).await?,
        _ => {}
    }
    fleet.fill()
}
