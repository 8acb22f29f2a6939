//! The Kafka side: what is consumed, as whom, and where the dead letters go.

mod names;
mod properties;

use regex_lite::Regex;

pub(super) use properties::taken;
pub use properties::{Role, names_of as names_of_property, split_role as split_property};

use super::exposed;
use super::reader::VariableReader;
use super::redact::{KeyValues, Secret};
use super::words::Words;
use properties::{judge_property, value_of};

/// Brokers, topics and credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Bootstrap servers, comma-separated: librdkafka's `bootstrap.servers`.
    pub brokers: String,
    /// Consumer group.
    pub group_id: String,
    /// Client id of the dead letter producer, default `sluicegate-dead-letters`.
    pub producer_client_id: String,
    /// Topics to consume; at least one, none of which can be the dead letter topic.
    pub source: Vec<SourceTopic>,
    /// Dead letter topic.
    pub dlq_topic: String,
    /// Where a partition without a usable committed offset begins, default earliest.
    pub auto_offset_reset: AutoOffsetReset,
    /// Transport and credentials.
    pub security: Security,
    /// Further librdkafka properties, some for one client only ([`split_property`]); set last, after
    /// everything above.
    pub properties: KeyValues,
}

/// One entry of `KAFKA_SOURCE_TOPIC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceTopic {
    /// A topic by its name.
    Literal(String),
    /// Every topic that matches this POSIX extended regular expression; begins with `^`.
    Pattern(String),
}

impl SourceTopic {
    /// The text that librdkafka's `subscribe` takes.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Literal(text) | Self::Pattern(text) => text,
        }
    }

    /// Whether a topic of this name is consumed.
    pub fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Literal(name) => name == topic,
            // An invalid pattern was refused when it was read.
            Self::Pattern(pattern) => Regex::new(pattern).is_ok_and(|regex| regex.is_match(topic)),
        }
    }
}

/// Where to begin without a committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
    /// Nowhere: the host stops with an error.
    Error,
}

impl Words for AutoOffsetReset {
    const WORDS: &'static [(&'static str, Self)] =
        &[("earliest", Self::Earliest), ("latest", Self::Latest), ("error", Self::Error)];
}

/// Transport and credentials of the connection to the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// librdkafka's `security.protocol`, default plaintext.
    pub protocol: SecurityProtocol,
    /// `sasl.mechanism`: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; set if the protocol is SASL, unless
    /// `properties` sets it.
    pub sasl_mechanism: Option<&'static str>,
    /// `sasl.username`.
    pub sasl_username: Option<String>,
    /// `sasl.password`.
    pub sasl_password: Option<Secret>,
    /// `ssl.ca.location`: PEM file, folder or `probe`. `None` means `probe`, unless `properties` sets
    /// certificates: the vendored OpenSSL does not find the system's.
    pub ssl_ca_location: Option<String>,
}

/// librdkafka's `security.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL, not encrypted.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

/// The words are librdkafka's.
impl Words for SecurityProtocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("plaintext", Self::Plaintext),
        ("ssl", Self::Ssl),
        ("sasl_plaintext", Self::SaslPlaintext),
        ("sasl_ssl", Self::SaslSsl),
    ];
}

pub(super) fn read_kafka(reader: &mut VariableReader<'_>) -> Kafka {
    let group_id = reader.text("KAFKA_CONSUMER_GROUP_ID").unwrap_or_default();
    let producer_client_id = reader.text("KAFKA_PRODUCER_CLIENT_ID").unwrap_or_default();
    let source = read_source(reader);
    let dlq_topic = reader.text("KAFKA_DLQ_TOPIC").unwrap_or_default();
    if !dlq_topic.is_empty() {
        check_topic(reader, "KAFKA_DLQ_TOPIC", &dlq_topic);
        check_source_leaves_out(reader, &source, &dlq_topic);
    }
    let auto_offset_reset = reader.choice("KAFKA_AUTO_OFFSET_RESET", AutoOffsetReset::WORDS);
    let auto_offset_reset = auto_offset_reset.unwrap_or(AutoOffsetReset::Earliest);
    let cluster = read_cluster(reader);
    Kafka { group_id, producer_client_id, source, dlq_topic, auto_offset_reset, ..cluster }
}

/// Refuses KAFKA_PROPERTIES that `exactly_once` rules out.
pub(super) fn check_exactly_once(reader: &mut VariableReader<'_>, kafka: &Kafka) {
    for (key, _) in &*kafka.properties {
        if let Some(hint) = properties::weakens_exactly_once(key) {
            let expected = "properties that DELIVERY=exactly_once allows";
            reader.refuse("KAFKA_PROPERTIES", expected, key, hint);
        }
    }
}

/// Reads only brokers and credentials, for a look at a topic under any group.
pub(super) fn read_cluster(reader: &mut VariableReader<'_>) -> Kafka {
    let brokers = read_brokers(reader);
    let typed = ["KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME"]
        .into_iter()
        .chain(["KAFKA_SASL_PASSWORD", "KAFKA_SSL_CA_LOCATION"])
        .filter(|name| reader.is_set(name))
        .collect::<Vec<_>>();
    let properties =
        reader.pairs("KAFKA_PROPERTIES", |key, value| judge_property(key, value, &typed));
    let security = read_security(reader, &brokers, &properties);
    Kafka {
        brokers,
        group_id: reader.optional("KAFKA_CONSUMER_GROUP_ID").unwrap_or_default(),
        producer_client_id: String::new(),
        source: Vec::new(),
        dlq_topic: String::new(),
        auto_offset_reset: AutoOffsetReset::Earliest,
        security,
        properties,
    }
}

fn read_brokers(reader: &mut VariableReader<'_>) -> String {
    const NAME: &str = "KAFKA_BROKER";
    let expected = "a list of host:port";
    let brokers = reader.list(NAME);
    for broker in &brokers {
        if broker.contains('@') {
            let hint = "credentials go into KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD";
            reader.refuse_found(NAME, expected, "an entry with `@` (not shown)", hint);
        } else if broker.contains("://") {
            let hint = "leave the scheme out; KAFKA_SECURITY_PROTOCOL says how to connect";
            reader.refuse(NAME, expected, broker, hint);
        } else if broker.contains(['?', '#', '=']) {
            let hint = "leave the query out; settings go into KAFKA_PROPERTIES";
            reader.refuse(NAME, expected, broker, hint);
        } else if broker.contains(char::is_whitespace) || broker.contains(['/', ';', '|']) {
            reader.refuse(NAME, expected, broker, "separate the brokers by commas");
        } else if let Some((_, port)) = broker.rsplit_once(':')
            && !port.ends_with(']')
            && !port.parse::<u16>().is_ok_and(|port| port > 0)
        {
            reader.refuse(NAME, expected, broker, "the port is a number from 1 to 65535");
        }
    }
    brokers.join(",")
}

fn read_source(reader: &mut VariableReader<'_>) -> Vec<SourceTopic> {
    const NAME: &str = "KAFKA_SOURCE_TOPIC";
    let mut topics = Vec::new();
    for entry in reader.list(NAME) {
        if !entry.starts_with('^') {
            check_topic(reader, NAME, &entry);
            topics.push(SourceTopic::Literal(entry));
            continue;
        }
        let expected = "a POSIX extended regular expression after `^`";
        if has_foreign_syntax(&entry) {
            let hint =
                "librdkafka knows neither `(?...)` nor `\\d` and the like: write [0-9] for it";
            reader.refuse(NAME, expected, &entry, hint);
            continue;
        }
        match Regex::new(&entry) {
            Ok(_) => topics.push(SourceTopic::Pattern(entry)),
            Err(error) => {
                let hint = format!("{error}; a pattern with a comma goes on a line of its own");
                reader.refuse(NAME, expected, &entry, &hint);
            }
        }
    }
    topics
}

/// Whether a pattern uses syntax that POSIX extended expressions lack or interpret differently.
fn has_foreign_syntax(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    let mut has_foreign_escape = false;
    while let Some(char) = chars.next() {
        if char == '\\' {
            has_foreign_escape |= chars.next().is_some_and(|next| next.is_ascii_alphanumeric());
        }
    }
    has_foreign_escape || pattern.contains("(?")
}

fn check_topic(reader: &mut VariableReader<'_>, name: &str, topic: &str) {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if topic.len() > 249 || topic == "." || topic == ".." || !topic.bytes().all(is_legal) {
        let expected = "a topic name of at most 249 letters, digits, `.`, `_` and `-`";
        let hint = "check the name; a pattern, in KAFKA_SOURCE_TOPIC alone, begins with `^`";
        reader.refuse(name, expected, topic, hint);
    }
}

/// Refuses the dead letter topic as a source: the host would reject the same record for ever.
fn check_source_leaves_out(
    reader: &mut VariableReader<'_>,
    source: &[SourceTopic],
    dlq_topic: &str,
) {
    let expected = format!("topics other than KAFKA_DLQ_TOPIC ({dlq_topic})");
    for topic in source.iter().filter(|topic| topic.matches(dlq_topic)) {
        match topic {
            SourceTopic::Pattern(pattern) => reader.refuse_found(
                "KAFKA_SOURCE_TOPIC",
                &expected,
                format!("{pattern:?}, which matches {dlq_topic}"),
                "end the pattern with `$`, or rename KAFKA_DLQ_TOPIC so that it does not match",
            ),
            SourceTopic::Literal(name) => reader.refuse(
                "KAFKA_SOURCE_TOPIC",
                &expected,
                name,
                "give KAFKA_DLQ_TOPIC a topic of its own",
            ),
        }
    }
}

fn read_security(
    reader: &mut VariableReader<'_>,
    brokers: &str,
    properties: &KeyValues,
) -> Security {
    let mechanisms =
        ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].map(|mechanism| (mechanism, mechanism));
    let protocol_is_set = reader.is_set("KAFKA_SECURITY_PROTOCOL");
    let protocol = reader.choice("KAFKA_SECURITY_PROTOCOL", SecurityProtocol::WORDS);
    let mechanism_is_set = reader.is_set("KAFKA_SASL_MECHANISM");
    let security = Security {
        protocol: protocol.unwrap_or(SecurityProtocol::Plaintext),
        sasl_mechanism: reader.choice("KAFKA_SASL_MECHANISM", &mechanisms),
        sasl_username: reader.optional("KAFKA_SASL_USERNAME"),
        sasl_password: reader.secret("KAFKA_SASL_PASSWORD"),
        ssl_ca_location: read_ca_location(reader),
    };
    if protocol.is_none() {
        return security;
    }
    let (set_by, effective) = match value_of(properties, "security.protocol") {
        Some(text) if !protocol_is_set => ("KAFKA_PROPERTIES", text.to_ascii_lowercase()),
        _ => ("KAFKA_SECURITY_PROTOCOL", security.protocol.as_str().to_owned()),
    };
    exposed::warn_of_brokers(reader, brokers, (set_by, &effective), properties);
    if effective.starts_with("sasl") {
        let has = |name| value_of(properties, name).is_some();
        let has_mechanism = mechanism_is_set || has("sasl.mechanism");
        let needs_login = security.sasl_mechanism.is_some();
        let missing = [
            ("KAFKA_SASL_MECHANISM", !has_mechanism),
            (
                "KAFKA_SASL_USERNAME",
                needs_login && !reader.is_set("KAFKA_SASL_USERNAME") && !has("sasl.username"),
            ),
            (
                "KAFKA_SASL_PASSWORD",
                needs_login && !reader.is_set("KAFKA_SASL_PASSWORD") && !has("sasl.password"),
            ),
        ];
        for (name, _) in missing.iter().filter(|(_, is_missing)| *is_missing) {
            let expected = format!("a value, since the security protocol is {effective}");
            let hint = format!("set {name}, or {name}_FILE to the path of a file that holds it");
            reader.refuse_found(name, &expected, "nothing", &hint);
        }
    } else {
        for name in ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"] {
            if reader.is_set(name) {
                reader.refuse_found(
                    name,
                    &format!("nothing, since the security protocol is {effective}"),
                    "a value (not shown)",
                    "set KAFKA_SECURITY_PROTOCOL to sasl_ssl or sasl_plaintext, or unset this",
                );
            }
        }
    }
    if !effective.ends_with("ssl") && security.ssl_ca_location.is_some() {
        let text = format!("is without effect, since the security protocol is {effective}");
        reader.warn("KAFKA_SSL_CA_LOCATION", text);
    }
    security
}

fn read_ca_location(reader: &mut VariableReader<'_>) -> Option<String> {
    const NAME: &str = "KAFKA_SSL_CA_LOCATION";
    match reader.optional(NAME) {
        Some(location) if location == "probe" => Some(location),
        _ => reader.path(NAME),
    }
}
