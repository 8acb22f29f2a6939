//! The exact text of all problems reported at once.

use super::*;

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
      expected: table that the rows land in, without the database; a name with a dot needs CLICKHOUSE_DATABASE
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
    let schema = config(&[("JSON_SCHEMA_FILE", at)]).records.json_schema;
    assert_eq!(schema.unwrap().draft(), "draft 4");
}

/// An invalid value for every variable that can have one.
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
    ("CLICKHOUSE_COMPRESSION", "gzip"),
    ("DLQ_FORMAT", "json"),
    ("DLQ_ON_TOO_LARGE", "drop"),
    ("DLQ_MAX_SHARE", "50"),
    ("REQUIRED_COLUMNS", "id,vin,id"),
    ("TIMESTAMP_UNIT", "minutes"),
    ("RECORD_SPLIT", "line"),
    ("TOMBSTONES", "dead-letter"),
    ("JSON_SCHEMA", r#"{"properties":{"a":{"type":"strin"}}}"#),
    ("ADMIN_ADDR", "9464"),
    ("LOG_FORMAT", "logfmt"),
    ("LOG_LEVEL", "verbose"),
    ("LOG_PAYLOADS", "some"),
];

#[test]
#[expect(clippy::too_many_lines, reason = "one golden text")]
fn everything_broken_is_reported_at_once_in_the_order_of_the_table() {
    insta::assert_snapshot!(errors(BROKEN), @r#"
    33 problems in the configuration

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
      hint:     write a plain number, without a unit; the default is 20971520

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
      hint:     set CLICKHOUSE_DATABASE to the database, even to `default`; a dot in CLICKHOUSE_TABLE is then part of the table's name

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

    CLICKHOUSE_COMPRESSION
      expected: one of none, lz4
      found:    "gzip"
      hint:     use one of these words

    DLQ_FORMAT
      expected: one of headers, envelope
      found:    "json"
      hint:     use one of these words

    DLQ_ON_TOO_LARGE
      expected: one of pause, cut
      found:    "drop"
      hint:     use one of these words

    DLQ_MAX_SHARE
      expected: a number from 0 to 1
      found:    "50"
      hint:     write a plain number, without a unit; the default is 0.5

    RECORD_SPLIT
      expected: one of none, lines, array
      found:    "line"
      hint:     did you mean lines?

    TOMBSTONES
      expected: one of skip, dead_letter
      found:    "dead-letter"
      hint:     did you mean dead_letter?

    JSON_SCHEMA
      expected: a JSON Schema of draft 4, 6, 7, 2019-09 or 2020-12
      found:    at /properties/a/type: "strin" is not valid under any of the schemas listed in the 'anyOf' keyword
      hint:     look at the schema at this place

    REQUIRED_COLUMNS
      expected: a list in which nothing stands twice
      found:    "id"
      hint:     leave one of the two out

    TIMESTAMP_UNIT
      expected: s, ms, us or ns for all columns, and column=d, s, ms, us or ns for one
      found:    "minutes"
      hint:     write ms,created=us,day=d, for example

    ADMIN_ADDR
      expected: address:port of this machine, or off
      found:    "9464"
      hint:     write 127.0.0.1:9464, or 0.0.0.0:9464 for every address of the machine

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
