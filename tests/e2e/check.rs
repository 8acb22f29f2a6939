//! `sluicegate check`: what is wrong is named, each thing apart from the others, and nothing is
//! changed by looking.

use serde_json::Value;
use sluicegate_tests::{Job, once, path_of, stack_options};

const TABLE: &str = "CREATE TABLE t (id UInt64, at DateTime64(3, 'Europe/Berlin'), note Nullable(String), \
     n Int8 DEFAULT 5, twice UInt64 MATERIALIZED id * 2) ENGINE = MergeTree ORDER BY id";

/// What `check` printed, and its exit code.
struct Checked {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn check(job: &Job, options: &[&str]) -> anyhow::Result<Checked> {
    let output = once(&job.environment, &[&["check"], options].concat()).await?;
    Ok(Checked {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

impl Checked {
    /// Whether a line begins with the result and holds every part.
    fn says(&self, result: &str, parts: &[&str]) -> bool {
        let says =
            |line: &str| line.starts_with(result) && parts.iter().all(|part| line.contains(part));
        self.stdout.lines().any(says)
    }

    #[track_caller]
    fn assert_says(&self, result: &str, parts: &[&str]) {
        assert!(self.says(result, parts), "no {result:?} with {parts:?}:\n{}", self.stdout);
    }
}

#[tokio::test]
async fn all_well_is_said_of_each_part_and_nothing_is_changed() -> anyhow::Result<()> {
    let mut job = Job::with_partitions(TABLE, 3).await?;
    job.produce([r#"{"id":1,"at":"2026-03-01"}"#]).await?;
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    checked.assert_says("ok", &["configuration"]);
    checked.assert_says("ok", &["broker", job.stack.kafka()]);
    checked.assert_says("ok", &["source topic", "`records`: 3 partitions, may be read"]);
    checked.assert_says("ok", &["dead letter topic", "`dead-letters`: 1 partition"]);
    // The mock does not know the question.
    checked.assert_says("warning", &["dead letter topic", "settings", "could not be looked at"]);
    checked.assert_says("ok", &["consumer group", "0 of 3 partitions committed", "earliest"]);
    checked.assert_says("ok", &["clickhouse", "version"]);
    checked.assert_says("ok", &["table", "`default`.`t`", "MergeTree", "time zone"]);
    checked
        .assert_says("ok", &["columns", "4 filled", "1 left out", "rejected (UNFILLED_RECORDS)"]);
    checked.assert_says("at", &["DateTime64(3, 'Europe/Berlin')", "Timestamp", "Europe/Berlin"]);
    checked.assert_says("note", &["Nullable(String)", "Utf8", "string", "NULL"]);
    checked.assert_says("n ", &["Int8", "integer", "DEFAULT 5"]);
    checked.assert_says("twice", &["left out", "MATERIALIZED"]);
    assert!(!checked.stdout.contains('\u{1b}') && checked.stderr.is_empty(), "{}", checked.stderr);
    assert_eq!(job.committed()?, [0, 0, 0]);
    assert_eq!(job.query("SELECT count() FROM t").await?, "0");
    assert!(job.dead_letters()?.is_empty());
    // The group is as it was: a host gets every partition, and reads from the start.
    assert_eq!(job.run_to_the_end().await?.landed, 1);
    let checked = check(&job, &[]).await?;
    checked.assert_says("ok", &["consumer group", "1 of 3 partitions committed"]);
    Ok(())
}

#[tokio::test]
async fn each_plugin_is_loaded_and_one_that_refuses_its_configuration_is_named()
-> anyhow::Result<()> {
    let redact = path_of("SLUICEGATE_PLUGINS")?.join("redact.wasm");
    let job = Job::new(TABLE)
        .await?
        .with("PLUGINS", &format!("mask={}", redact.display()))
        .with("PLUGIN_MASK_CONFIG", r#"{"fields":["note"]}"#);
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    checked.assert_says("ok", &["plugins", "`mask 0.1.0` is loaded"]);

    let job = job.with("PLUGIN_MASK_CONFIG", r#"{"fields":"note"}"#);
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(64), "{}{}", checked.stdout, checked.stderr);
    checked.assert_says("problem", &["configuration", "`mask`", "PLUGIN_MASK_CONFIG", "/fields"]);
    Ok(())
}

#[tokio::test]
async fn an_unknown_table_does_not_hide_that_kafka_is_well() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("CLICKHOUSE_TABLE", "later");
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(1));
    checked.assert_says("problem", &["table", "`later`", "CLICKHOUSE_TABLE"]);
    checked.assert_says("ok", &["source topic", "records"]);
    checked.assert_says("ok", &["clickhouse", "version"]);
    checked.assert_says("not known", &["columns"]);
    assert!(checked.stderr.contains("1 problem"), "{}", checked.stderr);
    Ok(())
}

#[tokio::test]
async fn a_missing_topic_is_named_and_its_neighbours_are_looked_at() -> anyhow::Result<()> {
    let job = Job::new(TABLE)
        .await?
        .with("KAFKA_SOURCE_TOPIC", "nowhere,records,^rec.*,^none")
        .with("KAFKA_DLQ_TOPIC", "grave");
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(1));
    checked.assert_says("problem", &["source topic", "`nowhere`", "KAFKA_SOURCE_TOPIC"]);
    checked.assert_says("problem", &["dead letter topic", "`grave`", "KAFKA_DLQ_TOPIC"]);
    checked.assert_says("ok", &["source topic", "`records`: 1 partition"]);
    checked.assert_says("ok", &["source topic", "`^rec.*` matches 1: records"]);
    checked.assert_says("warning", &["source topic", "`^none` matches no topic"]);
    checked.assert_says("ok", &["table"]);
    Ok(())
}

#[tokio::test]
async fn a_topic_that_may_not_be_read_is_named() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?;
    job.stack.kafka_errors("fetch", &["TOPIC_AUTHORIZATION_FAILED"; 20]).await?;
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(1));
    checked.assert_says("problem", &["source topic", "`records`", "grant READ"]);
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_laid_to_its_variable_and_never_shown() -> anyhow::Result<()> {
    let options = sluicegate_tests::stack_options()?.with_credentials("default", "right-one");
    let mut job = Job::on(options, TABLE, 1).await?.with("CLICKHOUSE_PASSWORD", "wrong-one");
    for option in [&[][..], &["--json"]] {
        let checked = check(&job, option).await?;
        assert_eq!(checked.code, Some(1));
        let printed = checked.stdout + &checked.stderr;
        assert!(printed.contains("CLICKHOUSE_PASSWORD"), "{printed}");
        assert!(!printed.contains("wrong-one"), "{printed}");
    }
    job = job
        .with("CLICKHOUSE_PASSWORD", "right-one")
        .with("KAFKA_PROPERTIES", "ssl.key.password=hidden-one,client.rack=a");
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    let printed = checked.stdout + &checked.stderr;
    assert!(!printed.contains("right-one") && !printed.contains("hidden-one"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn a_broker_that_does_not_answer_does_not_hide_a_good_table() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.with("KAFKA_BROKER", "127.0.0.1:1");
    let checked = check(&job, &["--timeout-s", "1"]).await?;
    assert_eq!(checked.code, Some(1));
    checked.assert_says("problem", &["broker", "KAFKA_BROKER", "127.0.0.1:1", "refused"]);
    checked.assert_says("not known", &["source topic"]);
    checked.assert_says("ok", &["table", "`default`.`t`"]);
    checked.assert_says("id", &["UInt64"]);
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() -> anyhow::Result<()> {
    // Takes connections and stays silent.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = silent.local_addr()?.to_string();
    let job = Job::new(TABLE).await?.with("CLICKHOUSE_HOST", &address);
    let checked = check(&job, &["--timeout-s", "1"]).await?;
    assert_eq!(checked.code, Some(1));
    checked.assert_says("problem", &["clickhouse", "CLICKHOUSE_HOST", &address, "in time"]);
    checked.assert_says("ok", &["source topic"]);
    Ok(())
}

#[tokio::test]
async fn columns_and_rules_that_do_not_fit_are_named_and_the_others_mapped() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, m Geometry, created_at DateTime) \
                 ENGINE = MergeTree ORDER BY id";
    let job = Job::new(table)
        .await?
        .with("REQUIRED_COLUMNS", "id,craeted_at")
        .with("STRING_ENUM_COLUMNS", "id");
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(1));
    checked.assert_says("problem", &["columns", "`m`", "Geometry", "not supported"]);
    checked.assert_says("problem", &["column rules", "`craeted_at`", "created_at"]);
    checked.assert_says("problem", &["column rules", "STRING_ENUM_COLUMNS", "`id`"]);
    checked.assert_says("id", &["UInt64", "rejected (REQUIRED_COLUMNS)"]);
    checked.assert_says("m ", &["left out", "not supported"]);
    Ok(())
}

#[tokio::test]
async fn json_is_one_object_that_says_the_same() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?;
    let checked = check(&job, &["--json"]).await?;
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    let found: Value = serde_json::from_str(&checked.stdout)?;
    assert_eq!(found["ok"], true);
    let checks = found["checks"].as_array().unwrap();
    assert!(checks.len() >= 8 && checks.iter().all(|check| check["ok"] == true), "{found}");
    assert!(checks.iter().all(|check| check["name"].is_string() && check["text"].is_string()));
    let columns = found["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 5);
    assert_eq!((&columns[0]["name"], &columns[0]["type"]), (&"id".into(), &"UInt64".into()));
    assert_eq!(columns[3]["missing"], "DEFAULT 5");
    assert!(columns[4]["left_out"].as_str().unwrap().contains("MATERIALIZED"));

    let job = job.with("CLICKHOUSE_TABLE", "later");
    let checked = check(&job, &["--json"]).await?;
    assert_eq!(checked.code, Some(1));
    let found: Value = serde_json::from_str(&checked.stdout)?;
    let table = found["checks"].as_array().unwrap().iter().find(|check| check["name"] == "table");
    assert_eq!((&found["ok"], &table.unwrap()["ok"]), (&false.into(), &false.into()));
    Ok(())
}

#[tokio::test]
async fn a_wrong_configuration_lists_every_rule_and_exits_64() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE)
        .await?
        .with("NUM_MESSAGES", "many")
        .with("CLICKHOUSE_HOST", "http://user:secret@db");
    job.environment.remove("KAFKA_BROKER");
    for option in [&[][..], &["--json"]] {
        let checked = check(&job, option).await?;
        assert_eq!(checked.code, Some(64));
        for variable in ["KAFKA_BROKER", "NUM_MESSAGES", "CLICKHOUSE_HOST"] {
            assert!(checked.stdout.contains(variable), "no {variable}:\n{}", checked.stdout);
        }
        let printed = checked.stdout + &checked.stderr;
        assert!(!printed.contains("secret"), "the password is in:\n{printed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_property_that_librdkafka_refuses_is_a_broken_rule_and_the_table_is_still_looked_at()
-> anyhow::Result<()> {
    // Each of the two is taken alone.
    let properties = "max.poll.interval.ms=1000,session.timeout.ms=2000";
    let job = Job::new(TABLE).await?.with("KAFKA_PROPERTIES", properties);
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(64));
    checked.assert_says("problem", &["configuration", "KAFKA_PROPERTIES", "session.timeout.ms"]);
    checked.assert_says("ok", &["table", "`default`.`t`"]);
    Ok(())
}

#[tokio::test]
async fn a_port_that_another_has_is_a_problem_and_that_of_a_host_which_runs_is_not()
-> anyhow::Result<()> {
    let another = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = another.local_addr()?.to_string();
    let job = Job::new(TABLE).await?.with("ADMIN_ADDR", &address);
    let checked = check(&job, &[]).await?;
    assert_eq!(checked.code, Some(64), "{}", checked.stdout);
    checked.assert_says("problem", &["configuration", "ADMIN_ADDR", &address]);
    drop(another);
    let mut host = job.start()?;
    host.wait_for(&["admin server listens"]).await?;
    let checked = check(&job, &[]).await?;
    checked.assert_says("warning", &["configuration", "ADMIN_ADDR", &address]);
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_window_of_the_server_s_configuration_counts_and_is_said_to_be_its() -> anyhow::Result<()>
{
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config.xml");
    let setting = "<non_replicated_deduplication_window>1500</non_replicated_deduplication_window>";
    let config = format!("<clickhouse><merge_tree>{setting}</merge_tree></clickhouse>");
    std::fs::write(&file, config)?;
    let options = stack_options()?.with_config_file(&file);
    let mut job = Job::on(options, TABLE, 1).await?.with("DELIVERY", "exactly_once");
    let checked = check(&job, &[]).await?;
    let by = "it remembers 1500 tokens by the server's configuration";
    checked.assert_says("ok", &["table", "a repeated INSERT is recognised", by]);
    assert!(!checked.says("problem", &["exactly once"]), "{}", checked.stdout);
    let fault = serde_json::json!({"match": "`t`", "times": 1, "kind": "reset_after_commit"});
    job.stack.fault(&serde_json::from_value(fault)?).await?;
    job.produce((0..10).map(|id| format!(r#"{{"id":{id},"at":"2026-03-01"}}"#))).await?;
    assert_eq!(job.run_to_the_end().await?.landed, 10);
    assert_eq!(job.query("SELECT count(), uniqExact(id) FROM t").await?, "10\t10");

    job.query("ALTER TABLE t MODIFY SETTING non_replicated_deduplication_window = 7").await?;
    let checked = check(&job, &[]).await?;
    checked.assert_says("problem", &["exactly once", "remembers 7 tokens by a setting of its own"]);
    Ok(())
}
