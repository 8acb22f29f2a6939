//! What happened around a record that is not where it should be, for whoever looks for the cause.

use std::path::Path;

use serde_json::Value;
use sluicegate_tests::{TOPIC, produced_at_ms};

use crate::audit::Found;
use crate::events::Events;

/// How far from the moments of a record events are told.
const NEAR_MS: i64 = 10_000;

/// Tells what became of each record, and what was going on then. `logs` is the folder of the hosts'
/// logs.
pub fn of(found: &[&Found], brokers: &str, logs: &Path, events: &Events) -> Vec<String> {
    let (mut lines, mut moments) = (Vec::new(), Vec::new());
    for found in found {
        lines.extend(of_one(found, brokers, logs, events, &mut moments));
    }
    let near = |at_ms: &i64| moments.iter().any(|moment| (moment - at_ms).abs() <= NEAR_MS);
    lines.extend(events.when(near));
    lines
}

fn of_one(
    found: &Found,
    brokers: &str,
    logs: &Path,
    events: &Events,
    moments: &mut Vec<i64>,
) -> Vec<String> {
    let Found { partition, offset, landed_at_ms } = found;
    let mut lines = vec![format!("partition {partition} offset {offset}:")];
    moments.extend(landed_at_ms);
    match produced_at_ms(brokers, TOPIC, *partition, *offset) {
        Ok(at_ms) => {
            lines.push(format!("  produced at {:.2} s", events.seconds(at_ms)));
            moments.push(at_ms);
        }
        Err(error) => lines.push(format!("  cannot be read from Kafka: {error:#}")),
    }
    for at_ms in landed_at_ms {
        lines.push(format!("  landed at {:.2} s", events.seconds(*at_ms)));
    }
    match first_commit_past(logs, *partition, *offset) {
        Some((host, line)) => lines.push(format!("  first commit past it, by {host}: {line}")),
        None => lines.push("  no host tells of a commit past it".to_owned()),
    }
    lines
}

/// The line of the log that tells of the lowest commit behind an offset, and whose it is.
fn first_commit_past(logs: &Path, partition: i32, offset: i64) -> Option<(String, String)> {
    let partition = format!("{TOPIC}[{partition}]");
    let mut first: Option<(i64, String, String)> = None;
    for entry in std::fs::read_dir(logs).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read(entry.path()).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some(committed) = committed_in(line, &partition) else { continue };
            if committed > offset && first.as_ref().is_none_or(|(least, ..)| committed < *least) {
                first = Some((committed, name.clone(), line.to_owned()));
            }
        }
    }
    first.map(|(_, name, line)| (name, line))
}

/// The offset of a line that tells of a commit of this partition.
fn committed_in(line: &str, partition: &str) -> Option<i64> {
    if !line.contains("offset committed") {
        return None;
    }
    let fields: Value = serde_json::from_str(line).ok()?;
    let is_of = fields.get("partition").and_then(Value::as_str) == Some(partition);
    fields.get("offset").and_then(Value::as_i64).filter(|_| is_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_commit_past_a_record_is_found_among_the_logs_of_all_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let line = |partition: i32, offset: i64| {
            format!(
                r#"{{"message":"offset committed","partition":"{TOPIC}[{partition}]","offset":{offset}}}"#
            )
        };
        let write = |name: &str, lines: &[String]| {
            std::fs::write(folder.path().join(name), lines.join("\n")).unwrap();
        };
        write("host-001.log", &[line(0, 90), line(0, 400), "no JSON".to_owned()]);
        write("host-002.log", &[line(1, 105), line(0, 100), line(0, 200)]);
        let found = first_commit_past(folder.path(), 0, 100);
        assert_eq!(found, Some(("host-002.log".to_owned(), line(0, 200))));
        assert_eq!(first_commit_past(folder.path(), 0, 400), None);
    }
}
