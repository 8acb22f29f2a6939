//! The rules, checked by the texts that an operator reads.

mod problems;
mod refused;

use std::time::Duration;

use super::variables::VARIABLES;
use super::*;
use crate::schema::plan::TimestampUnit;

/// The required variables.
const LEAST: &[(&str, &str)] = &[
    ("KAFKA_BROKER", "kafka:9092"),
    ("KAFKA_CONSUMER_GROUP_ID", "trips"),
    ("KAFKA_SOURCE_TOPIC", "trips"),
    ("KAFKA_DLQ_TOPIC", "trips-dlq"),
    ("CLICKHOUSE_HOST", "clickhouse"),
    ("CLICKHOUSE_TABLE", "trips"),
];

/// The required variables with some changes.
fn with(changes: &[(&str, &str)]) -> Environment {
    let is_kept = |name: &str| changes.iter().all(|(other, _)| *other != name);
    let least = LEAST.iter().filter(|(name, _)| is_kept(name));
    Environment::from_pairs(least.chain(changes).copied())
}

pub(super) fn config(changes: &[(&str, &str)]) -> Config {
    match Config::from_env(&with(changes)) {
        Ok((config, warnings)) => {
            assert_eq!(warnings, []);
            config
        }
        Err(errors) => panic!("{errors}"),
    }
}

pub(super) fn errors(changes: &[(&str, &str)]) -> String {
    Config::from_env(&with(changes)).unwrap_err().to_string()
}

/// Only the warnings, one a line.
pub(super) fn warnings(changes: &[(&str, &str)]) -> String {
    let (_, warnings) = Config::from_env(&with(changes)).unwrap();
    warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_required_variables_alone_give_every_default() {
    let Config {
        kafka,
        batch,
        clickhouse,
        delivery,
        answers,
        dlq,
        rules,
        plugins,
        admin,
        log,
        records,
    } = config(&[]);
    assert_eq!((delivery, answers), (Delivery::AtLeastOnce, Answers::default()));
    assert_eq!(rules, Rules::default());
    assert_eq!(kafka.brokers, "kafka:9092");
    assert_eq!(kafka.source, [SourceTopic::Literal("trips".to_owned())]);
    assert_eq!(kafka.auto_offset_reset, AutoOffsetReset::Earliest);
    assert_eq!(kafka.security.protocol, SecurityProtocol::Plaintext);
    assert_eq!(kafka.security.ssl_ca_location, None);
    let expected = BatchConfig {
        max_records: 25_000,
        max_records_with_lag: 250_000,
        max_bytes: 20 * 1024 * 1024,
        linger: Duration::from_secs(1),
        in_flight: 4,
        memory_budget_bytes: 128 * 1024 * 1024,
        shutdown_timeout: Duration::from_secs(25),
    };
    assert_eq!(batch, expected);
    assert_eq!(clickhouse.url, "http://clickhouse:8123");
    assert_eq!((clickhouse.database.as_str(), clickhouse.user.as_str()), ("default", "default"));
    assert!(clickhouse.password.is_empty() && clickhouse.async_insert);
    assert_eq!(clickhouse.compression, Compression::None);
    let expected =
        Dlq { format: DlqFormat::Headers, on_too_large: OnTooLarge::Pause, max_share: 0.5 };
    assert_eq!(dlq, expected);
    assert_eq!(rules.timestamp_unit, None);
    assert_eq!(records.tombstones, Tombstones::Skip);
    assert_eq!((plugins.list, plugins.on_breaker), (vec![], OnBreaker::Pause));
    assert_eq!(admin.as_text(), "127.0.0.1:9464");
    assert_eq!(
        log,
        Log {
            format: LogFormat::Text,
            level: "info".to_owned(),
            with_payloads: false,
            with_field_names: false,
        }
    );
}

#[test]
fn every_variable_reaches_its_field() {
    let config = config(&[
        ("KAFKA_BROKER", "a:1, b:2"),
        ("KAFKA_SOURCE_TOPIC", "trips\n^fleet-[0-9]{1,3}$\n"),
        ("KAFKA_AUTO_OFFSET_RESET", "Latest"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ("KAFKA_SASL_MECHANISM", "scram-sha-512"),
        ("KAFKA_SASL_USERNAME", "me"),
        ("KAFKA_SASL_PASSWORD", " pw "),
        ("KAFKA_SSL_CA_LOCATION", "probe"),
        ("KAFKA_PROPERTIES", "client.rack=a, fetch.min.bytes=65536"),
        ("NUM_MESSAGES", "25000"),
        ("BATCH_LINGER_MS", "50"),
        ("CLICKHOUSE_HOST", "https://db"),
        ("CLICKHOUSE_PASSWORD", "hunter2"),
        ("CLICKHOUSE_SETTINGS", "insert_quorum=2"),
        ("CLICKHOUSE_ASYNC_INSERT", "0"),
        ("CLICKHOUSE_COMPRESSION", "lz4"),
        ("DLQ_FORMAT", "envelope"),
        ("DLQ_ON_TOO_LARGE", "cut"),
        ("DLQ_MAX_SHARE", "1"),
        ("REQUIRED_COLUMNS", "id,vin"),
        ("DATETIME_COLUMNS", "at,\n a,b"),
        ("STRING_ENUM_COLUMNS", "kind"),
        ("TIMESTAMP_UNIT", "ms"),
        ("RECORD_SPLIT", "lines"),
        ("TOMBSTONES", "dead_letter"),
        ("JSON_SCHEMA", r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#),
        ("ADMIN_ADDR", "[::1]:0"),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "info,sluicegate=debug"),
        ("LOG_PAYLOADS", "1"),
    ]);
    assert_eq!(config.kafka.brokers, "a:1,b:2");
    let topics: Vec<_> = config.kafka.source.iter().map(SourceTopic::as_str).collect();
    assert_eq!(topics, ["trips", "^fleet-[0-9]{1,3}$"]);
    assert!(matches!(config.kafka.source[1], SourceTopic::Pattern(_)));
    assert_eq!(config.kafka.auto_offset_reset.as_str(), "latest");
    assert_eq!(config.kafka.security.protocol, SecurityProtocol::SaslSsl);
    assert_eq!(config.kafka.security.sasl_mechanism, Some("SCRAM-SHA-512"));
    assert_eq!(config.kafka.security.sasl_password, Some(Secret::new(" pw ")));
    assert_eq!(config.kafka.properties.get("fetch.min.bytes"), Some("65536"));
    assert_eq!(config.batch.max_records_with_lag, config.batch.max_records);
    assert_eq!(config.batch.linger, Duration::from_millis(50));
    assert_eq!(config.clickhouse.url, "https://db:8443");
    assert_eq!(config.clickhouse.settings.get("insert_quorum"), Some("2"));
    assert!(!config.clickhouse.async_insert);
    assert_eq!(config.clickhouse.compression, Compression::Lz4);
    let expected =
        Dlq { format: DlqFormat::Envelope, on_too_large: OnTooLarge::Cut, max_share: 1.0 };
    assert_eq!(config.dlq, expected);
    assert_eq!(config.rules.required, ["id", "vin"]);
    assert_eq!(config.rules.datetime, ["at", "a,b"]);
    assert_eq!(config.rules.timestamp_unit, Some(TimestampUnit::Milliseconds));
    assert_eq!(config.records.split, Split::Lines);
    assert_eq!(config.records.tombstones, Tombstones::DeadLetter);
    assert_eq!(config.records.json_schema.unwrap().draft(), "draft 7");
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.log.with_payloads);
}

#[test]
fn an_empty_value_counts_as_unset() {
    let config = config(&[("NUM_MESSAGES", ""), ("TOMBSTONES", " "), ("KAFKA_SASL_USERNAME", "")]);
    assert_eq!(config.batch.max_records, 25_000);
    assert_eq!(config.batch.max_records_with_lag, 250_000);
}

#[test]
fn the_start_log_names_every_variable_in_the_order_of_the_readme() {
    let described = config(&[]).describe();
    let alone = VARIABLES.iter().filter(|variable| variable.owner().is_none());
    let names: Vec<&str> = described.iter().map(|(name, _)| &**name).collect();
    let known: Vec<&str> = alone.clone().map(|variable| variable.name).collect();
    assert_eq!(names, known);
    for ((name, value), variable) in described.iter().zip(alone) {
        if let Some(default) = variable.default {
            assert_eq!(value, default, "{name}");
        }
    }
}

#[test]
fn no_secret_is_shown_by_debug_describe_or_errors() {
    let secrets = [
        ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
        ("KAFKA_SASL_MECHANISM", "PLAIN"),
        ("KAFKA_SASL_USERNAME", "me"),
        ("KAFKA_SASL_PASSWORD", "hunter2"),
        ("KAFKA_PROPERTIES", "ssl.key.password=hunter2"),
        ("CLICKHOUSE_HOST", "https://db"),
        ("CLICKHOUSE_PASSWORD", "hunter2"),
        ("CLICKHOUSE_SETTINGS", "s3_secret=hunter2"),
    ];
    let config = config(&secrets);
    let shown = format!("{config:?} {:?}", config.describe());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("***"));
    let broken = errors(&[
        ("KAFKA_SASL_PASSWORD", "hunter2\n"),
        ("KAFKA_BROKER", "me:hunter2@kafka:9092"),
        ("KAFKA_PROPERTIES", "acks=hunter2,hunter2,a b=hunter2,client.id=hunter2"),
        ("CLICKHOUSE_HOST", "http://me:hunter2@db"),
        ("CLICKHOUSE_PASSWORD", "\thunter2"),
        ("CLICKHOUSE_SETTINGS", "readonly=hunter2"),
        ("CLICKHOUSE_PASSWORD_FILE", "/nonexistent"),
    ]);
    assert!(!broken.contains("hunter2"), "{broken}");
    for (name, value) in [
        ("CLICKHOUSE_HOST", "http://192.0.2.1:8123?password=hunter2"),
        ("CLICKHOUSE_HOST", "db:8123/?user=me&password=hunter2"),
        ("CLICKHOUSE_DATABASE", "http://me:hunter2@d\tb"),
        ("KAFKA_BROKER", "me:hunter2@kafka:1,me:hunter2@kafka:1"),
        ("KAFKA_BROKER", "ssl://kafka:9092?password=hunter2"),
        ("KAFKA_BROKER", "kafka?password=hunter2"),
        ("KAFKA_DLQ_TOPIC", "kafka://me:hunter2@kafka/topic"),
        ("ADMIN_ADDR", "http://me:hunter2@0.0.0.0:9464"),
    ] {
        let broken = errors(&[(name, value)]);
        assert!(broken.contains(name) && !broken.contains("hunter2"), "{broken}");
    }
}

#[test]
fn a_list_of_pairs_with_a_comma_in_a_value_goes_one_a_line() {
    insta::assert_snapshot!(errors(&[("KAFKA_PROPERTIES", "debug=cgrp,topic,debug=all")]), @r#"
    2 problems in the configuration

    KAFKA_PROPERTIES
      expected: a list of name=value
      found:    entry 2 without `=` (5 characters, not shown)
      hint:     where a value holds a comma, write one entry a line

    KAFKA_PROPERTIES
      expected: a list in which no name stands twice
      found:    "debug"
      hint:     leave one of the two out
    "#);
    let config = config(&[("KAFKA_PROPERTIES", "debug=cgrp,topic\nclient.rack=a")]);
    assert_eq!(config.kafka.properties.get("debug"), Some("cgrp,topic"));
}

#[test]
fn a_value_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("columns");
    std::fs::write(&path, "id\nvin\n").unwrap();
    let config = config(&[("REQUIRED_COLUMNS_FILE", path.to_str().unwrap())]);
    assert_eq!(config.rules.required, ["id", "vin"]);
}

#[test]
fn what_looks_like_a_mistake_warns_and_does_not_stop() {
    let ca = tempfile::NamedTempFile::new().unwrap();
    let ca = ca.path().to_str().unwrap();
    insta::assert_snapshot!(warnings(&[
        ("NUM_MESAGES", "1"),
        ("KAFKA_LINGER", "1"),
        ("CLICKHOUSE_SERVICE_HOST", "10.0.0.1"),
        ("CLICKHOUSE_HOST", "db:9000"),
        ("CLICKHOUSE_SSL_CA_LOCATION", ca),
        ("KAFKA_SSL_CA_LOCATION", ca),
    ]), @r"
    KAFKA_LINGER: is not read; no variable of the host has a name like it
    NUM_MESAGES: is not read; did you mean NUM_MESSAGES?
    KAFKA_SSL_CA_LOCATION: is without effect, since the security protocol is plaintext
    CLICKHOUSE_HOST: 9000 is the port of ClickHouse's native protocol by custom; the host speaks HTTP, by custom on 8123 or 8443
    CLICKHOUSE_SSL_CA_LOCATION: is without effect, since CLICKHOUSE_HOST is not https
    ");
}
