//! The checks of Kafka: brokers, topics, and the group's offsets.

use super::report::Check;
use crate::config::{AutoOffsetReset, Kafka, SourceTopic, Words as _};
use crate::dead_letter::Finding;
use crate::flow::hold::Hold;
use crate::kafka::Probe;

const BROKER: &str = "broker";
const SOURCE: &str = "source topic";
const DEAD_LETTERS: &str = "dead letter topic";
const GROUP: &str = "consumer group";

/// Most topics of a pattern that are listed.
const NAMED: usize = 10;

/// A topic that exists, with its partitions.
type FoundTopic = (String, Vec<i32>);

/// The findings about the brokers.
pub struct Looked {
    pub checks: Vec<Check>,
    /// Whether any broker answered.
    pub is_answered: bool,
}

/// Queries the brokers. Blocks.
pub fn look_at_brokers(kafka: &Kafka, probe: &Probe) -> Looked {
    let mut checks = Vec::new();
    match probe.brokers() {
        Ok(brokers) => {
            let noun = if brokers == 1 { "broker" } else { "brokers" };
            let text = format!("a cluster of {brokers} {noun} answers at {}", kafka.brokers);
            checks.push(Check::ok(BROKER, text));
        }
        Err(hold) => {
            checks.push(problem(BROKER, &hold));
            let others = [SOURCE, DEAD_LETTERS, GROUP];
            checks.extend(
                others.map(|name| Check::not_known(name, "not looked at, for what `broker` says")),
            );
            return Looked { checks, is_answered: false };
        }
    }
    let mut found = Vec::new();
    for source in &kafka.source {
        match source {
            SourceTopic::Literal(name) => match probe.partitions("KAFKA_SOURCE_TOPIC", name) {
                Ok(partitions) => found.push((name.clone(), partitions)),
                Err(hold) => checks.push(problem(SOURCE, &hold)),
            },
            SourceTopic::Pattern(pattern) => match probe.matching(source) {
                Ok(matching) => {
                    checks.push(matched(pattern, &matching));
                    found.extend(matching);
                }
                Err(hold) => checks.push(problem(SOURCE, &hold)),
            },
        }
    }
    // A topic may be listed by name and match a pattern, too.
    found.sort();
    found.dedup();
    checks.extend(found.iter().map(|topic| readable(probe, topic)));
    checks.push(match probe.partitions("KAFKA_DLQ_TOPIC", &kafka.dlq_topic) {
        Ok(partitions) => {
            let text = format!("`{}`: {}", kafka.dlq_topic, count(partitions.len()));
            Check::ok(DEAD_LETTERS, text)
        }
        Err(hold) => problem(DEAD_LETTERS, &hold),
    });
    checks.push(apart(kafka, &found));
    checks.push(group(kafka, probe, &found));
    Looked { checks, is_answered: true }
}

/// The checks of the dead letter topic.
pub fn letters(found: Result<Vec<Finding>, String>) -> Vec<Check> {
    let found = found.unwrap_or_else(|error| {
        let text = format!("its settings could not be looked at: {error}");
        vec![Finding::NotKnown(text)]
    });
    let check = |finding| match finding {
        Finding::Fine(text) => Check::ok(DEAD_LETTERS, text),
        // Lacking permission to look does not prevent a host from working.
        Finding::NotKnown(text) | Finding::Warning(text) => Check::warning(DEAD_LETTERS, text),
        Finding::Problem(text) | Finding::Refused(text) => Check::problem(DEAD_LETTERS, text),
    };
    found.into_iter().map(check).collect()
}

fn matched(pattern: &str, matching: &[FoundTopic]) -> Check {
    if matching.is_empty() {
        let text =
            format!("pattern `{pattern}` matches no topic as of now: look at KAFKA_SOURCE_TOPIC");
        return Check::warning(SOURCE, text);
    }
    let named: Vec<&str> = matching.iter().take(NAMED).map(|(name, _)| &**name).collect();
    let more = if matching.len() > named.len() { ", ..." } else { "" };
    let text =
        format!("pattern `{pattern}` matches {}: {}{more}", matching.len(), named.join(", "));
    Check::ok(SOURCE, text)
}

/// Whether an existing topic may also be read.
fn readable(probe: &Probe, (name, partitions): &FoundTopic) -> Check {
    match partitions.first().map_or(Ok(()), |first| probe.read(name, *first)) {
        Ok(()) => Check::ok(SOURCE, format!("`{name}`: {}, may be read", count(partitions.len()))),
        Err(hold) => problem(SOURCE, &hold),
    }
}

/// Checks that the host does not consume its own dead letters, which it would reject for ever.
fn apart(kafka: &Kafka, found: &[FoundTopic]) -> Check {
    let is_source = kafka.source.iter().any(|source| source.matches(&kafka.dlq_topic))
        || found.iter().any(|(name, _)| *name == kafka.dlq_topic);
    if is_source {
        let text =
            format!("`{}` is a source topic as well: look at KAFKA_DLQ_TOPIC", kafka.dlq_topic);
        return Check::problem(DEAD_LETTERS, text);
    }
    Check::ok(DEAD_LETTERS, format!("`{}` is no source topic", kafka.dlq_topic))
}

/// The committed offsets of the group.
fn group(kafka: &Kafka, probe: &Probe, found: &[FoundTopic]) -> Check {
    let partitions: Vec<(&str, i32)> = found
        .iter()
        .flat_map(|(name, partitions)| partitions.iter().map(|partition| (&**name, *partition)))
        .collect();
    if partitions.is_empty() {
        return Check::not_known(GROUP, "no source topic is known");
    }
    let all = partitions.len();
    let committed = match probe.committed(partitions) {
        Ok(committed) => committed,
        Err(hold) => {
            let text = format!("`{}` (KAFKA_CONSUMER_GROUP_ID): {}", kafka.group_id, hold.text());
            return Check::problem(GROUP, text);
        }
    };
    let start = format!("`{}`: {committed} of {} committed", kafka.group_id, count(all));
    let reset = kafka.auto_offset_reset;
    if committed == all {
        Check::ok(GROUP, start)
    } else if reset == AutoOffsetReset::Error {
        let rest = "the host stops at the first other one, since KAFKA_AUTO_OFFSET_RESET is error";
        Check::problem(GROUP, format!("{start}; {rest}"))
    } else {
        let reset = reset.as_str();
        Check::ok(GROUP, format!("{start}; others begin by KAFKA_AUTO_OFFSET_RESET={reset}"))
    }
}

fn count(partitions: usize) -> String {
    let noun = if partitions == 1 { "partition" } else { "partitions" };
    format!("{partitions} {noun}")
}

fn problem(name: &'static str, hold: &Hold) -> Check {
    Check::problem(name, hold.text())
}
