//! The names of variables: which names may be a part of one, and which set variables nothing reads,
//! as far as typing errors can be detected.

use super::problem::Warning;
use super::variables::{self, VARIABLES};
use crate::words::near;

/// The prefixes whose unknown names are worth a warning, even without a near miss.
const FAMILIES: &[&str] =
    &["KAFKA_", "CLICKHOUSE_", "BATCH_", "DLQ_", "PLUGIN_", "LOOKUP_", "COLUMN_"];

/// Other tools' names for the same thing, too different for a near miss.
const ALIASES: &[(&str, &str)] = &[
    ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKER"),
    ("KAFKA_GROUP_ID", "KAFKA_CONSUMER_GROUP_ID"),
    ("KAFKA_TOPIC", "KAFKA_SOURCE_TOPIC"),
    ("KAFKA_TOPICS", "KAFKA_SOURCE_TOPIC"),
    ("KAFKA_DEAD_LETTER_TOPIC", "KAFKA_DLQ_TOPIC"),
    ("ADMIN_ADDRESS", "ADMIN_ADDR"),
    ("ADMIN_PORT", "ADMIN_ADDR"),
    ("CLICKHOUSE_DB", "CLICKHOUSE_DATABASE"),
    ("CLICKHOUSE_URL", "CLICKHOUSE_HOST"),
    ("CLICKHOUSE_USERNAME", "CLICKHOUSE_USER"),
];

/// Most characters of the name of a plugin or lookup: it appears in logs, labels and headers.
const MAX_NAME_CHARS: usize = 64;

/// Whether the name is valid for a plugin or a lookup.
pub fn is_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(is_legal)
}

/// The name of a plugin or lookup as it appears in a variable.
pub fn as_part(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// Whether the host reads this name, or its `NAME_FILE` form.
pub fn is_known(name: &str) -> bool {
    variables::find_variable(name.strip_suffix("_FILE").unwrap_or(name)).is_some()
}

/// The variable that an unknown name probably meant.
pub fn nearest(name: &str) -> Option<&'static str> {
    let base = name.strip_suffix("_FILE").unwrap_or(name);
    if let Some((_, meant)) = ALIASES.iter().find(|(alias, _)| *alias == base) {
        return Some(meant);
    }
    near::nearest(base, VARIABLES.iter().map(|variable| variable.name))
}

/// Warns about a name that was probably meant for the host but is not read.
pub fn judge_name(name: &str, value: &str) -> Option<Warning> {
    if is_known(name) || is_set_by_kubernetes(name, value) {
        return None;
    }
    let text = if name == "CLICKHOUSE_PORT" {
        "is not read; write the port into CLICKHOUSE_HOST as host:port".to_owned()
    } else if let Some(meant) = nearest(name) {
        let file = if name.ends_with("_FILE") { "_FILE" } else { "" };
        format!("is not read; did you mean {meant}{file}?")
    } else if FAMILIES.iter().any(|family| name.starts_with(family)) {
        "is not read; no variable of the host has a name like it".to_owned()
    } else {
        return None;
    };
    Some(Warning { variable: name.to_owned(), text })
}

/// Whether Kubernetes sets this name for a service in the namespace: `X_SERVICE_HOST`,
/// `X_SERVICE_PORT`, `X_SERVICE_PORT_HTTP`, `X_PORT`, `X_PORT_9092_TCP_ADDR` and the like.
///
/// Its `X_PORT` is always a URL (`tcp://10.0.0.1:8123`); a bare number was set by a person.
fn is_set_by_kubernetes(name: &str, value: &str) -> bool {
    let is_service = name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT");
    let is_url = name.ends_with("_PORT") && !value.trim().bytes().all(|byte| byte.is_ascii_digit());
    let is_port = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        rest.split_once('_').is_some_and(|(port, protocol)| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && ["TCP", "UDP", "SCTP"].iter().any(|known| protocol.starts_with(known))
        })
    });
    is_service || is_url || is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(name: &str) -> Option<String> {
        judge_name(name, "x").map(|warning| warning.to_string())
    }

    #[test]
    fn a_near_miss_names_the_variable_that_was_meant() {
        for (name, meant) in [
            ("NUM_MESAGES", "NUM_MESSAGES"),
            ("KAFKA_BROKERS", "KAFKA_BROKER"),
            ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKER"),
            ("KAKFA_BROKER", "KAFKA_BROKER"),
            ("CLICKHOUSE_PASSWROD_FILE", "CLICKHOUSE_PASSWORD_FILE"),
            ("BATCH_MAX_BYTE", "BATCH_MAX_BYTES"),
            ("TIMESTAMP_UNITS", "TIMESTAMP_UNIT"),
            ("LOGLEVEL", "LOG_LEVEL"),
            ("ADMIN_ADDRESS", "ADMIN_ADDR"),
        ] {
            let expected = format!("{name}: is not read; did you mean {meant}?");
            assert_eq!(warning(name), Some(expected));
        }
    }

    #[test]
    fn an_unknown_name_of_a_family_warns_without_a_near_miss() {
        for name in [
            "KAFKA_HEAP_OPTS",
            "PLUGIN_DIR",
            "COLUMN_ORDER",
            "BATCH_SIZE",
            "CLICKHOUSE_CERT_LOCATION",
            "KAFKA_SSL_KEY_LOCATION",
            "BATCH_MIN_BYTES_MS",
        ] {
            let expected =
                format!("{name}: is not read; no variable of the host has a name like it");
            assert_eq!(warning(name), Some(expected));
        }
    }

    #[test]
    fn known_names_and_those_of_others_are_silent() {
        for name in ["KAFKA_BROKER", "CLICKHOUSE_PASSWORD_FILE", "PATH", "HOME", "RUST_LOG", "LANG"]
        {
            assert_eq!(warning(name), None);
        }
    }

    #[test]
    fn names_that_kubernetes_sets_are_silent() {
        for name in [
            "CLICKHOUSE_PORT",
            "CLICKHOUSE_SERVICE_HOST",
            "CLICKHOUSE_SERVICE_PORT",
            "KAFKA_SERVICE_PORT_CLIENTS",
            "KAFKA_PORT_9092_TCP",
            "KAFKA_PORT_9092_TCP_ADDR",
            "KAFKA_HEADLESS_PORT_9093_UDP_PROTO",
        ] {
            assert_eq!(judge_name(name, "tcp://10.0.0.1:8123"), None, "{name}");
        }
    }

    #[test]
    fn a_port_set_by_hand_points_to_the_host_variable() {
        let warning = judge_name("CLICKHOUSE_PORT", "8123").unwrap();
        insta::assert_snapshot!(warning, @"CLICKHOUSE_PORT: is not read; write the port into CLICKHOUSE_HOST as host:port");
    }
}
