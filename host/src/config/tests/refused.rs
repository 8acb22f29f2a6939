//! What each rule refuses.

use super::*;

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
      found:    20971520
      hint:     lower BATCH_MAX_BYTES to 8388608, or raise MEMORY_BUDGET_BYTES to 41943040
    ");
    config(&[("MEMORY_BUDGET_BYTES", "41943040")]);
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

/// Only the hints, by name, for a list of `name=1`.
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
    "enable.idempotence": leave it out: dead letters are acknowledged by all replicas, and may stand twice
    "acks": leave it out: dead letters are acknowledged by all replicas, and may stand twice
    "transactional.id": leave it out: dead letters are not produced in transactions
    "plugin.library.paths": leave it out: it loads foreign code into the process
    "test.mock.num.brokers": leave it out: it replaces the brokers by a mock
    "security.protocol": KAFKA_SECURITY_PROTOCOL is set too: leave one of the two out
    "#);
}

/// The hint at a refused entry of KAFKA_PROPERTIES; `None` if it is accepted.
fn property(entry: &str, more: &[(&str, &str)]) -> Option<String> {
    let env = with(&[&[("KAFKA_PROPERTIES", entry)], more].concat());
    let errors = Config::from_env(&env).err()?;
    let [problem] = errors.problems() else { panic!("{errors}") };
    assert_eq!(problem.variable, "KAFKA_PROPERTIES");
    assert_eq!(problem.found, format!("{:?}", entry.split('=').next().unwrap()));
    Some(problem.hint.clone())
}

#[test]
fn neither_a_prefix_nor_another_name_carries_a_property_past_its_refusal() {
    for (entry, hint) in [
        ("metadata.broker.list=k:9092", "use KAFKA_BROKER instead"),
        ("auto.commit.enable=true", "offsets are committed by the host"),
        ("auto.commit.interval.ms=500", "offsets are committed by the host"),
        ("offset.store.method=none", "offsets are stored by the host"),
        ("offset.store.path=/tmp", "offsets are stored by the host"),
        ("request.required.acks=0", "acknowledged by all replicas"),
        ("acks=0", "acknowledged by all replicas"),
        ("enable.gapless.guarantee=true", "acknowledged by all replicas"),
        ("delivery.report.only.error=true", "once it is reported as written"),
        ("message.timeout.ms=0", "would never be told of"),
        ("delivery.timeout.ms=0", "would never be told of"),
        ("isolation.level=read_uncommitted", "aborted transactions"),
        ("check.crcs=false", "would land as another value"),
        ("statistics.interval.ms=0", "stand still"),
        ("statistics.interval.ms=60001", "stand still"),
        ("statistics.interval.ms=0x0", "stand still"),
        ("topic.metadata.refresh.interval.ms=-1", "would never be read"),
        ("api.version.request=false", "have no headers"),
        ("api.version.request=f", "have no headers"),
        ("log.queue=true", "use LOG_LEVEL instead"),
        ("ssl.engine.location=/tmp/engine.so", "foreign code"),
    ] {
        for prefix in ["", "consumer.", "producer.", "consumer.topic.", "topic."] {
            let found = property(&format!("{prefix}{entry}"), &[]).unwrap_or_default();
            assert!(found.contains(hint), "{prefix}{entry}: {found}");
        }
    }
    let typed = [("KAFKA_SECURITY_PROTOCOL", "ssl")];
    let found = property("consumer.security.protocol=plaintext", &typed).unwrap();
    assert_eq!(found, "KAFKA_SECURITY_PROTOCOL is set too: leave one of the two out");
}

#[test]
fn a_property_that_breaks_no_promise_is_taken_with_a_prefix_and_without() {
    for entry in [
        "isolation.level=read_committed",
        "statistics.interval.ms=1000",
        "topic.metadata.refresh.interval.ms=1000",
        "check.crcs=true",
        "fetch.wait.max.ms=20",
        "max.partition.fetch.bytes=65536",
        "group.instance.id=one",
        "topic.blacklist=^secret-.*",
        "metadata.max.age.ms=1000",
    ] {
        for prefix in ["", "consumer."] {
            assert_eq!(property(&format!("{prefix}{entry}"), &[]), None, "{prefix}{entry}");
        }
    }
    let login = [("KAFKA_SASL_USERNAME", "me"), ("KAFKA_SASL_PASSWORD", "pw")];
    let sasl = "consumer.security.protocol=sasl_ssl,consumer.sasl.mechanisms=PLAIN";
    config(&[&[("KAFKA_PROPERTIES", sasl)], &login[..]].concat());
}

#[test]
fn a_property_that_librdkafka_does_not_know_is_refused_with_what_was_meant() {
    for (entry, hint) in [
        ("fetch.mni.bytes=1", "did you mean fetch.min.bytes?"),
        ("consumer.Session.Timeout.ms=1", "did you mean session.timeout.ms?"),
        ("consumer.consumer.fetch.min.bytes=1", "write one prefix, `consumer.` or `producer.`"),
        ("producer.consumer.acks=0", "write one prefix, `consumer.` or `producer.`"),
        ("max.poll.records=1", "it is a property of Kafka's Java client: use NUM_MESSAGES instead"),
        (
            "consumer.key.deserializer=x",
            "it is a property of Kafka's Java client: leave it out: records are JSON",
        ),
        ("nothing.like.it.at.all=1", "look into librdkafka's CONFIGURATION.md for the name"),
    ] {
        assert_eq!(property(entry, &[]).as_deref(), Some(hint), "{entry}");
    }
}

#[test]
fn a_value_that_librdkafka_does_not_take_is_refused_in_its_words() {
    let found = property("fetch.min.bytes=0", &[]).unwrap();
    assert!(found.contains("fetch.min.bytes") && found.contains("1..100000000"), "{found}");
    let found = property("sasl.oauthbearer.client.secret=\u{1}", &[]);
    assert!(found.is_none_or(|found| !found.contains('\u{1}')));
}

#[test]
fn a_member_with_a_name_of_its_own_is_refused_with_exactly_once() {
    let delivery = [("DELIVERY", "exactly_once")];
    for entry in ["group.instance.id=one", "consumer.group.instance.id=one"] {
        let found = property(entry, &delivery).unwrap();
        assert!(found.contains("not fenced off"), "{found}");
    }
}

#[test]
fn two_hosts_of_clickhouse_are_refused_as_such() {
    for hosts in ["ch-1,ch-2", "http://ch-1:8123,http://ch-2:8123", "ch-1;ch-2", "ch-1 ch-2"] {
        let errors = Config::from_env(&with(&[("CLICKHOUSE_HOST", hosts)])).unwrap_err();
        assert!(errors.to_string().contains("name one host"), "{errors}");
    }
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
        "use_strict_insert_block_limits",
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
    "use_strict_insert_block_limits": leave it out: a batch has to stay one block, so that it lands whole or not at all
    "materialized_views_ignore_errors": leave it out: rows would go missing from views without a word
    "readonly": leave it out: with it the server takes no INSERT
    "query": leave it out: it is a part of the request, not a setting
    "password": use CLICKHOUSE_PASSWORD instead
    "#);
}
