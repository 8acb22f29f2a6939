//! The rules, by the texts that an operator reads.

use std::time::Duration;

use super::variables::VARIABLES;
use super::*;

/// The required variables.
const LEAST: &[(&str, &str)] = &[
    ("KAFKA_BROKER", "kafka:9092"),
    ("KAFKA_CONSUMER_GROUP_ID", "trips"),
    ("KAFKA_SOURCE_TOPIC", "trips"),
    ("KAFKA_DLQ_TOPIC", "trips-dlq"),
    ("CLICKHOUSE_HOST", "clickhouse"),
    ("CLICKHOUSE_TABLE", "trips"),
];

/// The required variables, with some set otherwise.
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

/// The warnings alone, one a line.
pub(super) fn warnings(changes: &[(&str, &str)]) -> String {
    let (_, warnings) = Config::from_env(&with(changes)).unwrap();
    warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_required_variables_alone_give_every_default() {
    let Config { kafka, batch, clickhouse, dlq, rules, plugins, admin, log, fields } = config(&[]);
    assert_eq!(fields, Fields::default());
    assert_eq!(kafka.brokers, "kafka:9092");
    assert_eq!(kafka.source, [SourceTopic::Literal("trips".to_owned())]);
    assert_eq!(kafka.auto_offset_reset, AutoOffsetReset::Earliest);
    assert_eq!(kafka.security.protocol, SecurityProtocol::Plaintext);
    assert_eq!(kafka.security.ssl_ca_location, None);
    let expected = Batch {
        max_records: 25_000,
        max_records_with_lag: 250_000,
        max_bytes: 32 * 1024 * 1024,
        linger: Duration::from_secs(1),
        in_flight: 4,
        memory_budget_bytes: 128 * 1024 * 1024,
        shutdown_timeout: Duration::from_secs(25),
    };
    assert_eq!(batch, expected);
    assert_eq!(clickhouse.url, "http://clickhouse:8123");
    assert_eq!((clickhouse.database.as_str(), clickhouse.user.as_str()), ("default", "default"));
    assert!(clickhouse.password.is_empty() && clickhouse.async_insert);
    assert_eq!(dlq, Dlq { format: DlqFormat::Headers, max_share: 0.5 });
    assert_eq!(rules.timestamp_unit, None);
    assert_eq!(rules.tombstones, Tombstones::Skip);
    assert_eq!((plugins.list, plugins.on_breaker), (vec![], OnBreaker::Pause));
    assert_eq!(admin.as_text(), "0.0.0.0:9464");
    assert_eq!(
        log,
        Log { format: LogFormat::Text, level: "info".to_owned(), with_payloads: false }
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
        ("DLQ_FORMAT", "envelope"),
        ("DLQ_MAX_SHARE", "1"),
        ("REQUIRED_COLUMNS", "id,vin"),
        ("DATETIME_COLUMNS", "at,\n a,b"),
        ("STRING_ENUM_COLUMNS", "kind"),
        ("TIMESTAMP_UNIT", "ms"),
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
    assert_eq!(config.dlq, Dlq { format: DlqFormat::Envelope, max_share: 1.0 });
    assert_eq!(config.rules.required, ["id", "vin"]);
    assert_eq!(config.rules.datetime, ["at", "a,b"]);
    assert_eq!(config.rules.timestamp_unit, Some(TimestampUnit::Milliseconds));
    assert_eq!(config.rules.tombstones, Tombstones::DeadLetter);
    assert_eq!(config.rules.json_schema.unwrap().draft(), "draft 7");
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
    let alone = VARIABLES.iter().filter(|variable| variable.kind().is_none());
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
}

#[test]
fn nothing_set_reports_every_required_variable() {
    let nothing = Environment::from_pairs([("KAFKA_BROKERS", "kafka:9092")]);
    let errors = Config::from_env(&nothing).unwrap_err();
    insta::assert_snapshot!(errors, @r"
    6 problems in the configuration

    KAFKA_BROKER
      expected: bootstrap servers, `host:port` each, as a list
      found:    nothing, and there is no default
      hint:     KAFKA_BROKERS is set but not read; rename it to KAFKA_BROKER

    KAFKA_CONSUMER_GROUP_ID
      expected: consumer group
      found:    nothing, and there is no default
      hint:     set KAFKA_CONSUMER_GROUP_ID, or KAFKA_CONSUMER_GROUP_ID_FILE to the path of a file that holds it

    KAFKA_SOURCE_TOPIC
      expected: topics to consume, as a list; an entry that begins with `^` is a POSIX extended regular expression
      found:    nothing, and there is no default
      hint:     set KAFKA_SOURCE_TOPIC, or KAFKA_SOURCE_TOPIC_FILE to the path of a file that holds it

    KAFKA_DLQ_TOPIC
      expected: dead letter topic
      found:    nothing, and there is no default
      hint:     set KAFKA_DLQ_TOPIC, or KAFKA_DLQ_TOPIC_FILE to the path of a file that holds it

    CLICKHOUSE_HOST
      expected: `host`, `host:port` or `http(s)://host:port`; the HTTP port
      found:    nothing, and there is no default
      hint:     set CLICKHOUSE_HOST, or CLICKHOUSE_HOST_FILE to the path of a file that holds it

    CLICKHOUSE_TABLE
      expected: table that the rows land in, without the database
      found:    nothing, and there is no default
      hint:     set CLICKHOUSE_TABLE, or CLICKHOUSE_TABLE_FILE to the path of a file that holds it
    ");
}

#[test]
fn a_schema_that_cannot_be_used_is_told_by_the_name_that_it_was_set_by() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("schema.json");
    let at = path.to_str().unwrap();
    let long = format!("{{{}}}", " ".repeat(1024 * 1024));
    let schemas = [
        "",
        &long,
        "{\n\"a\" 1}",
        r#"{"$schema":"http://json-schema.org/draft-03/schema#"}"#,
        r#"{"items":{"$ref":"https://example.com/a.json#/b"}}"#,
    ];
    let told = schemas.map(|schema| {
        std::fs::write(&path, schema).unwrap();
        errors(&[("JSON_SCHEMA_FILE", at)]).replace(at, "schema.json")
    });
    insta::assert_snapshot!(told.join("\n\n"), @r#"
    1 problem in the configuration

    JSON_SCHEMA_FILE
      expected: a JSON Schema of draft 4, 6, 7, 2019-09 or 2020-12
      found:    a file that is empty
      hint:     write a schema into it, or unset the variable

    1 problem in the configuration

    JSON_SCHEMA_FILE
      expected: the path of a file that holds the value of JSON_SCHEMA
      found:    "schema.json": longer than 1048576 bytes
      hint:     check the path, and that this process may read it

    1 problem in the configuration

    JSON_SCHEMA_FILE
      expected: a JSON Schema of draft 4, 6, 7, 2019-09 or 2020-12
      found:    no JSON: line 2, column 5
      hint:     write one JSON value: an object, `true` or `false`

    1 problem in the configuration

    JSON_SCHEMA_FILE
      expected: a JSON Schema of draft 4, 6, 7, 2019-09 or 2020-12
      found:    at /$schema: "http://json-schema.org/draft-03/schema#", an unknown draft
      hint:     use draft 4, 6, 7, 2019-09 or 2020-12

    1 problem in the configuration

    JSON_SCHEMA_FILE
      expected: a JSON Schema of draft 4, 6, 7, 2019-09 or 2020-12
      found:    at /items/$ref: `https://example.com/a.json`, which is not in the schema
      hint:     copy it into the schema, below `$defs`: no schema is fetched, nor read from a file
    "#);
    std::fs::write(&path, r#"{"$schema":"http://json-schema.org/draft-04/schema"}"#).unwrap();
    let schema = config(&[("JSON_SCHEMA_FILE", at)]).rules.json_schema;
    assert_eq!(schema.unwrap().draft(), "draft 4");
}

/// A value that breaks a rule, for every variable that has one.
const BROKEN: &[(&str, &str)] = &[
    ("KAFKA_BROKER", "kafka:99999"),
    ("KAFKA_CONSUMER_GROUP_ID", ""),
    ("KAFKA_SOURCE_TOPIC", "trips,^trips"),
    ("KAFKA_AUTO_OFFSET_RESET", "erliest"),
    ("KAFKA_SECURITY_PROTOCOL", "tls"),
    ("KAFKA_SASL_MECHANISM", "GSSAPI"),
    ("KAFKA_SSL_CA_LOCATION", "/nonexistent/ca.pem"),
    ("KAFKA_PROPERTIES", "group.id=x"),
    ("NUM_MESSAGES", "lots"),
    ("BATCH_MAX_BYTES", "32MiB"),
    ("BATCH_LINGER_MS", "0"),
    ("IN_FLIGHT_BATCHES", "65"),
    ("MEMORY_BUDGET_BYTES", "-1"),
    ("SHUTDOWN_TIMEOUT_MS", "25s"),
    ("CLICKHOUSE_HOST", "tcp://db:9000"),
    ("CLICKHOUSE_PASSWORD", "hunter2\r\nX: 1"),
    ("CLICKHOUSE_TABLE", "fleet.trips"),
    ("CLICKHOUSE_SETTINGS", "async_insert=0"),
    ("CLICKHOUSE_SSL_CA_LOCATION", "/nonexistent/ca.pem"),
    ("CLICKHOUSE_ASYNC_INSERT", "maybe"),
    ("DLQ_FORMAT", "json"),
    ("DLQ_MAX_SHARE", "50"),
    ("REQUIRED_COLUMNS", "id,vin,id"),
    ("TIMESTAMP_UNIT", "minutes"),
    ("TOMBSTONES", "dead-letter"),
    ("JSON_SCHEMA", r#"{"properties":{"a":{"type":"strin"}}}"#),
    ("ADMIN_ADDR", "9464"),
    ("LOG_FORMAT", "logfmt"),
    ("LOG_LEVEL", "verbose"),
    ("LOG_PAYLOADS", "some"),
];

#[test]
#[expect(clippy::too_many_lines, reason = "one golden text")]
fn everything_broken_is_reported_at_once_in_the_order_of_the_readme() {
    insta::assert_snapshot!(errors(BROKEN), @r#"
    30 problems in the configuration

    KAFKA_BROKER
      expected: a list of host:port
      found:    "kafka:99999"
      hint:     the port is a number from 1 to 65535

    KAFKA_CONSUMER_GROUP_ID
      expected: consumer group
      found:    nothing, and there is no default
      hint:     set KAFKA_CONSUMER_GROUP_ID, or KAFKA_CONSUMER_GROUP_ID_FILE to the path of a file that holds it

    KAFKA_SOURCE_TOPIC
      expected: topics other than KAFKA_DLQ_TOPIC (trips-dlq)
      found:    "^trips", which matches trips-dlq
      hint:     end the pattern with `$`, or rename KAFKA_DLQ_TOPIC so that it does not match

    KAFKA_AUTO_OFFSET_RESET
      expected: one of earliest, latest, error
      found:    "erliest"
      hint:     did you mean earliest?

    KAFKA_SECURITY_PROTOCOL
      expected: one of plaintext, ssl, sasl_plaintext, sasl_ssl
      found:    "tls"
      hint:     did you mean ssl?

    KAFKA_SASL_MECHANISM
      expected: one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
      found:    "GSSAPI"
      hint:     use one of these words

    KAFKA_SSL_CA_LOCATION
      expected: the path of a file that is there
      found:    "/nonexistent/ca.pem": No such file or directory (os error 2)
      hint:     check the path, and that this process may read it

    KAFKA_PROPERTIES
      expected: names that the host leaves to you
      found:    "group.id"
      hint:     use KAFKA_CONSUMER_GROUP_ID instead

    NUM_MESSAGES
      expected: a whole number of records from 1 to 1000000
      found:    "lots"
      hint:     write a plain number, without a unit; the default is 25000

    BATCH_MAX_BYTES
      expected: a whole number of bytes from 1024 to 268435456
      found:    "32MiB"
      hint:     write a plain number, without a unit; the default is 33554432

    BATCH_LINGER_MS
      expected: a whole number of milliseconds from 1 to 60000
      found:    "0"
      hint:     write a plain number, without a unit; the default is 1000

    IN_FLIGHT_BATCHES
      expected: a whole number of batches from 1 to 64
      found:    "65"
      hint:     write a plain number, without a unit; the default is 4

    MEMORY_BUDGET_BYTES
      expected: a whole number of bytes from 1048576 to 68719476736
      found:    "-1"
      hint:     write a plain number, without a unit; the default is 134217728

    SHUTDOWN_TIMEOUT_MS
      expected: a whole number of milliseconds from 100 to 600000
      found:    "25s"
      hint:     write a plain number, without a unit; the default is 25000

    CLICKHOUSE_HOST
      expected: host, host:port, http://host:port or https://host:port
      found:    "tcp://db:9000"
      hint:     the host speaks ClickHouse's HTTP interface: use http or https

    CLICKHOUSE_PASSWORD
      expected: a text without control characters
      found:    (secret, 13 characters)
      hint:     check how it was written: a line break may have slipped in

    CLICKHOUSE_TABLE
      expected: the name of a table, without database and quotes
      found:    "fleet.trips"
      hint:     set CLICKHOUSE_DATABASE=fleet and CLICKHOUSE_TABLE=trips

    CLICKHOUSE_SETTINGS
      expected: names that the host leaves to you
      found:    "async_insert"
      hint:     use CLICKHOUSE_ASYNC_INSERT instead

    CLICKHOUSE_SSL_CA_LOCATION
      expected: the path of a file that is there
      found:    "/nonexistent/ca.pem": No such file or directory (os error 2)
      hint:     check the path, and that this process may read it

    CLICKHOUSE_ASYNC_INSERT
      expected: one of 1, 0, true, false
      found:    "maybe"
      hint:     use one of these words

    DLQ_FORMAT
      expected: one of headers, envelope
      found:    "json"
      hint:     use one of these words

    DLQ_MAX_SHARE
      expected: a number from 0 to 1
      found:    "50"
      hint:     write a plain number, without a unit; the default is 0.5

    REQUIRED_COLUMNS
      expected: a list in which nothing stands twice
      found:    "id"
      hint:     leave one of the two out

    TIMESTAMP_UNIT
      expected: one of s, ms, us, ns
      found:    "minutes"
      hint:     use one of these words

    TOMBSTONES
      expected: one of skip, dead_letter
      found:    "dead-letter"
      hint:     did you mean dead_letter?

    JSON_SCHEMA
      expected: a JSON Schema of draft 4, 6, 7, 2019-09 or 2020-12
      found:    at /properties/a/type: "strin" is not valid under any of the schemas listed in the 'anyOf' keyword
      hint:     look at the schema at this place

    ADMIN_ADDR
      expected: address:port of this machine, or off
      found:    "9464"
      hint:     write 0.0.0.0:9464 for every address of the machine

    LOG_FORMAT
      expected: one of text, json
      found:    "logfmt"
      hint:     use one of these words

    LOG_LEVEL
      expected: error, warn, info, debug, trace, or directives such as info,sluicegate=debug
      found:    "verbose"
      hint:     check the spelling of the level

    LOG_PAYLOADS
      expected: one of 1, 0, true, false
      found:    "some"
      hint:     use one of these words
    "#);
}

#[test]
fn a_source_that_is_the_dead_letter_topic_is_refused() {
    insta::assert_snapshot!(errors(&[("KAFKA_SOURCE_TOPIC", "trips,trips-dlq")]), @r#"
    1 problem in the configuration

    KAFKA_SOURCE_TOPIC
      expected: topics other than KAFKA_DLQ_TOPIC (trips-dlq)
      found:    "trips-dlq"
      hint:     give KAFKA_DLQ_TOPIC a topic of its own
    "#);
}

#[test]
fn a_pattern_that_matches_the_dead_letter_topic_is_refused() {
    insta::assert_snapshot!(errors(&[("KAFKA_SOURCE_TOPIC", "^trips")]), @r#"
    1 problem in the configuration

    KAFKA_SOURCE_TOPIC
      expected: topics other than KAFKA_DLQ_TOPIC (trips-dlq)
      found:    "^trips", which matches trips-dlq
      hint:     end the pattern with `$`, or rename KAFKA_DLQ_TOPIC so that it does not match
    "#);
    config(&[("KAFKA_SOURCE_TOPIC", "^trips$")]);
}

#[test]
fn a_pattern_that_librdkafka_would_read_otherwise_is_refused() {
    insta::assert_snapshot!(errors(&[("KAFKA_SOURCE_TOPIC", r"^fleet-\d+$,^(fleet")]), @r#"
    2 problems in the configuration

    KAFKA_SOURCE_TOPIC
      expected: a POSIX extended regular expression after `^`
      found:    "^fleet-\\d+$"
      hint:     librdkafka knows neither `(?...)` nor `\d` and the like: write [0-9] for it

    KAFKA_SOURCE_TOPIC
      expected: a POSIX extended regular expression after `^`
      found:    "^(fleet"
      hint:     found open group without closing ')'; a pattern with a comma goes on a line of its own
    "#);
    config(&[("KAFKA_SOURCE_TOPIC", r"^fleet\.[0-9]+$")]);
}

#[test]
fn a_name_that_no_topic_can_have_is_refused() {
    insta::assert_snapshot!(errors(&[("KAFKA_DLQ_TOPIC", "dead letters")]), @r#"
    1 problem in the configuration

    KAFKA_DLQ_TOPIC
      expected: a topic name of at most 249 letters, digits, `.`, `_` and `-`
      found:    "dead letters"
      hint:     check the name; a pattern, in KAFKA_SOURCE_TOPIC alone, begins with `^`
    "#);
}

#[test]
fn a_batch_larger_than_half_of_the_budget_is_refused() {
    insta::assert_snapshot!(errors(&[("MEMORY_BUDGET_BYTES", "16777216")]), @r"
    1 problem in the configuration

    BATCH_MAX_BYTES
      expected: at most half of MEMORY_BUDGET_BYTES (16777216), which is 8388608
      found:    33554432
      hint:     lower BATCH_MAX_BYTES to 8388608, or raise MEMORY_BUDGET_BYTES to 67108864
    ");
    config(&[("MEMORY_BUDGET_BYTES", "67108864")]);
}

#[test]
fn a_linger_that_outlasts_the_shutdown_is_refused() {
    insta::assert_snapshot!(errors(&[("SHUTDOWN_TIMEOUT_MS", "1000")]), @r"
    1 problem in the configuration

    BATCH_LINGER_MS
      expected: less than SHUTDOWN_TIMEOUT_MS (1000)
      found:    1000
      hint:     lower BATCH_LINGER_MS or raise SHUTDOWN_TIMEOUT_MS, so that a drain can finish
    ");
}

#[test]
fn sasl_without_a_login_is_refused() {
    let sasl = [("KAFKA_SECURITY_PROTOCOL", "sasl_ssl")];
    insta::assert_snapshot!(errors(&sasl), @r"
    1 problem in the configuration

    KAFKA_SASL_MECHANISM
      expected: a value, since the security protocol is sasl_ssl
      found:    nothing
      hint:     set KAFKA_SASL_MECHANISM, or KAFKA_SASL_MECHANISM_FILE to the path of a file that holds it
    ");
    let plain = [sasl[0], ("KAFKA_SASL_MECHANISM", "PLAIN")];
    insta::assert_snapshot!(errors(&plain), @r"
    2 problems in the configuration

    KAFKA_SASL_USERNAME
      expected: a value, since the security protocol is sasl_ssl
      found:    nothing
      hint:     set KAFKA_SASL_USERNAME, or KAFKA_SASL_USERNAME_FILE to the path of a file that holds it

    KAFKA_SASL_PASSWORD
      expected: a value, since the security protocol is sasl_ssl
      found:    nothing
      hint:     set KAFKA_SASL_PASSWORD, or KAFKA_SASL_PASSWORD_FILE to the path of a file that holds it
    ");
    config(&[sasl[0], ("KAFKA_PROPERTIES", "sasl.mechanisms=OAUTHBEARER")]);
}

#[test]
fn a_login_without_sasl_is_refused() {
    insta::assert_snapshot!(errors(&[("KAFKA_SASL_PASSWORD", "hunter2")]), @r"
    1 problem in the configuration

    KAFKA_SASL_PASSWORD
      expected: nothing, since the security protocol is plaintext
      found:    a value (not shown)
      hint:     set KAFKA_SECURITY_PROTOCOL to sasl_ssl or sasl_plaintext, or unset this
    ");
    let property = ("KAFKA_PROPERTIES", "security.protocol=sasl_ssl,sasl.mechanism=PLAIN");
    config(&[property, ("KAFKA_SASL_USERNAME", "me"), ("KAFKA_SASL_PASSWORD", "hunter2")]);
}

/// The hints alone, by name, for a list of `name=1`.
fn hints(variable: &str, names: &[&str], more: &[(&str, &str)]) -> String {
    let list: Vec<String> = names.iter().map(|name| format!("{name}=1")).collect();
    let list = list.join(",");
    let env = with(&[&[(variable, list.as_str())], more].concat());
    let errors = Config::from_env(&env).unwrap_err();
    let lines = errors.problems().iter().map(|problem| {
        assert_eq!(problem.variable, variable);
        format!("{}: {}", problem.found, problem.hint)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn properties_that_the_host_owns_are_refused_with_what_to_use_instead() {
    let names = [
        "bootstrap.servers",
        "group.id",
        "client.id",
        "auto.offset.reset",
        "queued.max.messages.kbytes",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "allow.auto.create.topics",
        "enable.idempotence",
        "acks",
        "transactional.id",
        "plugin.library.paths",
        "test.mock.num.brokers",
        "security.protocol",
    ];
    let typed = [("KAFKA_SECURITY_PROTOCOL", "ssl")];
    insta::assert_snapshot!(hints("KAFKA_PROPERTIES", &names, &typed), @r#"
    "bootstrap.servers": use KAFKA_BROKER instead
    "group.id": use KAFKA_CONSUMER_GROUP_ID instead
    "client.id": use KAFKA_PRODUCER_CLIENT_ID instead
    "auto.offset.reset": use KAFKA_AUTO_OFFSET_RESET instead
    "queued.max.messages.kbytes": use MEMORY_BUDGET_BYTES, from which it is derived, instead
    "enable.auto.commit": leave it out: offsets are committed by the host, once their records are settled
    "enable.auto.offset.store": leave it out: offsets are stored by the host
    "enable.partition.eof": leave it out: the source reads partitions without an end
    "allow.auto.create.topics": leave it out: a mistyped topic would come to be; create topics first
    "enable.idempotence": leave it out: dead letters are produced idempotently and acknowledged by all replicas
    "acks": leave it out: dead letters are produced idempotently and acknowledged by all replicas
    "transactional.id": leave it out: dead letters are not produced in transactions
    "plugin.library.paths": leave it out: it loads foreign code into the process
    "test.mock.num.brokers": leave it out: it replaces the brokers by a mock
    "security.protocol": KAFKA_SECURITY_PROTOCOL is set too: leave one of the two out
    "#);
}

#[test]
fn settings_that_the_guarantees_rest_on_are_refused_with_the_reason() {
    let names = [
        "async_insert",
        "wait_for_async_insert",
        "insert_deduplicate",
        "insert_deduplication_token",
        "async_insert_deduplicate",
        "deduplicate_blocks_in_dependent_materialized_views",
        "input_format_arrow_allow_missing_columns",
        "input_format_null_as_default",
        "insert_null_as_default",
        "input_format_defaults_for_omitted_fields",
        "max_insert_block_size",
        "min_insert_block_size_rows",
        "max_block_size",
        "materialized_views_ignore_errors",
        "readonly",
        "query",
        "password",
    ];
    insta::assert_snapshot!(hints("CLICKHOUSE_SETTINGS", &names, &[]), @r#"
    "async_insert": use CLICKHOUSE_ASYNC_INSERT instead
    "wait_for_async_insert": use CLICKHOUSE_ASYNC_INSERT instead
    "insert_deduplicate": leave it out: retries rest on the host's deduplication
    "insert_deduplication_token": leave it out: retries rest on the host's deduplication
    "async_insert_deduplicate": leave it out: retries rest on the host's deduplication
    "deduplicate_blocks_in_dependent_materialized_views": leave it out: retries rest on the host's deduplication
    "input_format_arrow_allow_missing_columns": leave it out: the host's checks rest on how the server reads Arrow
    "input_format_null_as_default": leave it out: the host's checks rest on how the server reads Arrow
    "insert_null_as_default": leave it out: the host's checks rest on how the server reads Arrow
    "input_format_defaults_for_omitted_fields": leave it out: the host's checks rest on how the server reads Arrow
    "max_insert_block_size": leave it out: a batch has to stay one block, so that it lands whole or not at all
    "min_insert_block_size_rows": leave it out: a batch has to stay one block, so that it lands whole or not at all
    "max_block_size": leave it out: a batch has to stay one block, so that it lands whole or not at all
    "materialized_views_ignore_errors": leave it out: rows would go missing from views without a word
    "readonly": leave it out: with it the server takes no INSERT
    "query": leave it out: it is a part of the request, not a setting
    "password": use CLICKHOUSE_PASSWORD instead
    "#);
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
