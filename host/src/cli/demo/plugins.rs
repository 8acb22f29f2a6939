//! The demo's plugins: `redact` masks drivers' mails, `enrich` looks up the owner of a fleet.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

/// The plugins, in the order in which they see records.
pub const NAMES: [&str; 2] = ["redact", "enrich"];
/// The column of the demo's table that `enrich` fills.
pub const COLUMN: &str = "fleet_owner LowCardinality(String)";
/// A further query at the end.
pub const QUESTION: &str = "SELECT fleet_owner, count() AS records, countIf(driver_note LIKE \
    '%***%') AS masked, countIf(driver_note LIKE '%@%') AS mails FROM vehicle_telemetry GROUP BY \
    fleet_owner ORDER BY fleet_owner";
/// Longest wait for the host's metrics.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The host variables for the plugins.
///
/// # Errors
/// The folder of the built plugins is not set, or lacks one.
pub fn variables(scratch: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let folder = std::env::var_os("SLUICEGATE_PLUGINS")
        .context("--plugins: run it by `cargo xtask demo`, which builds them")?;
    let folder = PathBuf::from(folder);
    // One on each line, so that the path may contain a comma.
    let list = NAMES.map(|name| format!("{name}={}.wasm\n", folder.join(name).display()));
    let fleets = scratch.join("fleets.csv");
    std::fs::write(&fleets, fleets_csv())?;
    let variables = [
        ("PLUGINS", list.concat()),
        ("PLUGIN_REDACT_CONFIG", r#"{"fields":["driver_note"]}"#.to_owned()),
        (
            "PLUGIN_ENRICH_CONFIG",
            r#"{"table":"fleets","key":"fleet","columns":{"fleet_owner":"owner"}}"#.to_owned(),
        ),
        ("PLUGIN_ENRICH_LOOKUPS", "fleets".to_owned()),
        ("LOOKUP_FLEETS", format!("file:{}", fleets.display())),
        ("LOOKUP_FLEETS_KEY", "fleet".to_owned()),
    ];
    Ok(variables.map(|(name, value)| (name.to_owned(), value)).into())
}

/// The owners of the generated fleets: two fleets for each of four owners.
fn fleets_csv() -> String {
    let owners = ["owner-1", "owner-2", "owner-3", "owner-4"];
    let fleets = (1..=8).zip(owners.iter().cycle());
    let lines = fleets.map(|(fleet, owner)| format!("fleet-{fleet},{owner}\n"));
    "fleet,owner\n".to_owned() + &lines.collect::<String>()
}

/// The cost of a plugin: seconds that the host spent in its calls.
pub struct Cost {
    /// The plugin.
    pub name: &'static str,
    /// The seconds.
    pub seconds: f64,
}

/// Reads the plugins' costs from the metrics at `address`.
///
/// # Errors
/// The host does not answer, or has no count for a plugin.
pub fn costs(address: &str) -> anyhow::Result<Vec<Cost>> {
    let mut host = TcpStream::connect(address).context("reading the host's metrics")?;
    host.set_read_timeout(Some(TIMEOUT))?;
    write!(host, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    host.read_to_string(&mut page).context("reading the host's metrics")?;
    let cost = |name: &'static str| {
        let series = format!("sluicegate_hook_seconds_sum{{plugin=\"{name}\"}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&*series));
        let seconds = value.and_then(|value| value.trim().parse().ok());
        let seconds = seconds.with_context(|| format!("no metric {series}"))?;
        Ok(Cost { name, seconds })
    };
    NAMES.into_iter().map(cost).collect()
}
