//! KAFKA_PROPERTIES: which client a property applies to, and why the host refuses one.
//!
//! Only [`split_role`] removes the prefix, and every check or use of a property calls it, so no prefix
//! can carry a property past a refusal.

use std::ops::RangeInclusive;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::names::{ALIASES, JAVA, NAMES};
use crate::config::reader::RefusedEntry;
use crate::config::redact::{KeyValues, is_secret_key};
use crate::words::near;

/// The client that a property applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads the source topics.
    Consumer,
    /// Writes dead letters.
    Producer,
}

/// Splits a key into the client of its prefix and the property's own name.
pub fn split_role(key: &str) -> (Option<Role>, &str) {
    let (role, name) = match key.split_once('.') {
        Some(("consumer", name)) => (Some(Role::Consumer), name),
        Some(("producer", name)) => (Some(Role::Producer), name),
        _ => (None, key),
    };
    // librdkafka has a prefix without meaning, and property names that begin like one.
    let is_whole = NAMES.contains(&name);
    (role, name.strip_prefix("topic.").filter(|_| !is_whole).unwrap_or(name))
}

/// Every name of a property; the host uses the first.
pub fn names_of(name: &str) -> impl Iterator<Item = &str> {
    let group = ALIASES.iter().find(|group| group.contains(&name)).copied();
    let alone = if group.is_none() { Some(name) } else { None };
    group.unwrap_or_default().iter().copied().chain(alone)
}

/// The value of a property, under any of its names and for any client; the last one wins.
pub(super) fn value_of<'a>(properties: &'a KeyValues, name: &str) -> Option<&'a str> {
    let is_it = |key: &str| names_of(name).any(|of| of == split_role(key).1);
    properties.iter().rev().find(|(key, _)| is_it(key)).map(|(_, value)| value.as_str())
}

/// A value as librdkafka reads it: it accepts several forms of numbers and booleans.
pub fn taken(name: &str, value: &str) -> String {
    let config = ClientConfig::new().set(name, value).create_native_config();
    config.and_then(|config| config.get(name)).unwrap_or_else(|_| value.to_owned())
}

/// Why a property is refused, if it is; `typed` are the security variables that are set.
pub(super) fn judge_property(key: &str, value: &str, typed: &[&str]) -> Option<RefusedEntry> {
    let (_, name) = split_role(key);
    let first = names_of(name).next().unwrap_or(name);
    if let Some(hint) = owned(first, typed) {
        return Some(RefusedEntry::name(hint));
    }
    match ClientConfig::new().set(name, value).create_native_config() {
        Err(error) => Some(not_taken(key, error)),
        Ok(_) => breaks(first, &taken(name, value)).map(RefusedEntry::name),
    }
}

/// The security variables that replace properties.
const TYPED: &[(&str, &str)] = &[
    ("security.protocol", "KAFKA_SECURITY_PROTOCOL"),
    ("sasl.mechanism", "KAFKA_SASL_MECHANISM"),
    ("sasl.username", "KAFKA_SASL_USERNAME"),
    ("sasl.password", "KAFKA_SASL_PASSWORD"),
    ("ssl.ca.location", "KAFKA_SSL_CA_LOCATION"),
];

/// The interval of librdkafka's statistics, which provide lag, readiness and stalled partitions.
const STATISTICS_MS: RangeInclusive<i64> = 1..=60_000;

fn own(reason: &str) -> String {
    format!("leave it out: {reason}")
}

/// Why a property's value breaks a guarantee.
fn breaks(name: &str, value: &str) -> Option<String> {
    let number = value.parse::<i64>().ok();
    Some(match name {
        "message.timeout.ms" if number == Some(0) => {
            own("without it a dead letter that is not written would never be told of")
        }
        "check.crcs" if value == "false" => {
            own("what was damaged on the way would land as another value")
        }
        "isolation.level" if value != "read_committed" => {
            own("records of aborted transactions would land")
        }
        "topic.metadata.refresh.interval.ms" if number.is_some_and(|ms| ms < 0) => {
            own("new topics and partitions would never be read")
        }
        "statistics.interval.ms" if !number.is_some_and(|ms| STATISTICS_MS.contains(&ms)) => {
            let (least, most) = STATISTICS_MS.into_inner();
            format!(
                "write {least} to {most}, or leave it out: lag, readiness and partitions that stand still \
                 are known from it"
            )
        }
        "api.version.request" if value == "false" => {
            own("without it facts about dead letters have no headers, and topics no ids")
        }
        _ => return None,
    })
}

/// Why the user may not set a property, by its first name.
fn owned(name: &str, typed: &[&str]) -> Option<String> {
    let instead = |variable: &str| format!("use {variable} instead");
    Some(match name {
        "bootstrap.servers" => instead("KAFKA_BROKER"),
        "group.id" => instead("KAFKA_CONSUMER_GROUP_ID"),
        "client.id" => instead("KAFKA_PRODUCER_CLIENT_ID"),
        "auto.offset.reset" => instead("KAFKA_AUTO_OFFSET_RESET"),
        "queued.max.messages.kbytes" => instead("MEMORY_BUDGET_BYTES, from which it is derived,"),
        "log_level" | "log.queue" => instead("LOG_LEVEL"),
        "enable.auto.commit" | "auto.commit.interval.ms" => {
            own("offsets are committed by the host, once their records are settled")
        }
        "enable.auto.offset.store"
        | "offset.store.method"
        | "offset.store.path"
        | "offset.store.sync.interval.ms" => own("offsets are stored by the host"),
        "group.protocol.type" => own("the host is a consumer of its group"),
        "enable.partition.eof" => own("the source reads partitions without an end"),
        "enabled_events" => own("the host decides what it hears of"),
        "allow.auto.create.topics" => own("a mistyped topic would come to be; create topics first"),
        "enable.idempotence" | "enable.gapless.guarantee" | "request.required.acks" => {
            own("dead letters are acknowledged by all replicas, and may stand twice")
        }
        "delivery.report.only.error" => own("a dead letter counts once it is reported as written"),
        "transactional.id" | "transaction.timeout.ms" => {
            own("dead letters are not produced in transactions")
        }
        "plugin.library.paths" | "ssl.engine.location" | "ssl.engine.id" => {
            own("it loads foreign code into the process")
        }
        _ if name.starts_with("test.mock.") => own("it replaces the brokers by a mock"),
        _ => {
            let (_, variable) = TYPED.iter().find(|(property, _)| *property == name)?;
            let is_typed = typed.contains(variable);
            return is_typed.then(|| format!("{variable} is set too: leave one of the two out"));
        }
    })
}

/// Why a property is refused with `exactly_once`.
pub fn weakens_exactly_once(key: &str) -> Option<&'static str> {
    let (_, name) = split_role(key);
    (name == "group.instance.id").then_some(
        "leave it out: a member with a name of its own keeps its place when it leaves the group, \
         and a commit whose answer was lost is then not fenced off",
    )
}

/// Turns librdkafka's error about a property into a refusal.
fn not_taken(key: &str, error: KafkaError) -> RefusedEntry {
    let (_, name) = split_role(key);
    let (code, text) = match error {
        KafkaError::ClientConfig(code, text, ..) => (code, text),
        error => (RDKafkaConfRes::RD_KAFKA_CONF_INVALID, error.to_string()),
    };
    if code == RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN {
        return RefusedEntry { expected: "properties of librdkafka", hint: known(key) };
    }
    let hint = match is_secret_key(name) {
        true => "look at this property in librdkafka's CONFIGURATION.md".to_owned(),
        false => text,
    };
    RefusedEntry { expected: "values that librdkafka takes", hint }
}

/// A hint at the known name that was probably meant.
fn known(key: &str) -> String {
    let (role, name) = split_role(key);
    let lower = name.to_ascii_lowercase();
    if let Some((_, instead)) = JAVA.iter().find(|(java, _)| *java == lower) {
        return format!("it is a property of Kafka's Java client: {instead}");
    }
    if ["consumer.", "producer."].iter().any(|prefix| name.starts_with(prefix)) && role.is_some() {
        return "write one prefix, `consumer.` or `producer.`".to_owned();
    }
    match near::nearest(&lower, NAMES.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => "look into librdkafka's CONFIGURATION.md for the name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_knows_every_name_and_alias_of_the_list() {
        for name in NAMES.iter().chain(ALIASES.iter().copied().flatten()) {
            let asked = ClientConfig::new().set(*name, "?").create_native_config();
            let is_unknown = matches!(
                asked,
                Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..))
            );
            assert!(!is_unknown, "{name}");
        }
    }

    #[test]
    fn no_prefix_and_no_alias_carries_a_property_past_its_refusal() {
        for group in ALIASES {
            let refused = owned(group[0], &[]);
            for name in *group {
                for prefix in ["", "consumer.", "producer.", "topic.", "consumer.topic."] {
                    let key = format!("{prefix}{name}");
                    let judged = judge_property(&key, "1", &[]).map(|refused| refused.hint);
                    if refused.is_some() {
                        assert_eq!(judged, refused, "{key}");
                    }
                }
            }
        }
    }
}
