//! The local stack as its users see it: through the handle and the official client.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]
#![expect(
    clippy::disallowed_methods,
    reason = "the stack is trusted, and this is how users ask it"
)]

use std::time::{Duration, Instant};

use clickhouse::Row;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use sluicegate_local::{
    AppliesTo, FalseSuccess, Fault, FaultKind, LocalStack, Reset, StackOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const WAIT: Duration = Duration::from_secs(20);

/// A stack for one test; without the engine library the test fails and says what to run.
async fn start(options: StackOptions) -> LocalStack {
    let library = sluicegate_local::engine_library();
    assert!(library.is_file(), "{}: no engine library\nrun cargo xtask setup", library.display());
    LocalStack::start(options).await.expect("the stack starts")
}

fn options() -> StackOptions {
    StackOptions::new(env!("CARGO_BIN_EXE_sluicegate-local"))
}

fn clickhouse_only() -> StackOptions {
    options().with_brokers(0)
}

async fn with_table() -> LocalStack {
    let stack = start(clickhouse_only()).await;
    let ddl = "CREATE TABLE t (id UInt32, name String, CONSTRAINT small CHECK id < 100) \
               ENGINE = MergeTree ORDER BY id";
    stack.query(ddl).await.expect("a table");
    stack
}

const INSERT: &str = "INSERT INTO t (id, name) FORMAT JSONEachRow";

async fn count(stack: &LocalStack) -> String {
    stack.query("SELECT count() FROM t").await.expect("a count").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_and_reads_back_with_settings_in_the_journal() {
    let stack = with_table().await;
    let settings = [("async_insert", "1"), ("insert_deduplication_token", "it's 1")];
    let answer = stack.post(INSERT, &settings, r#"{"id":7,"name":"seven"}"#).await.expect("answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let summary: serde_json::Value =
        serde_json::from_str(&answer.summary.expect("a summary")).expect("json");
    assert_eq!(summary["written_rows"], "1");
    assert_eq!(stack.query("SELECT * FROM t").await.expect("rows"), "7\tseven\n");

    let seen = stack.inserts("INTO t").await.expect("the journal");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].settings["insert_deduplication_token"], "it's 1");
    assert_eq!(seen[0].settings["async_insert"], "1");
    assert_eq!((seen[0].outcome_code, seen[0].written_rows, seen[0].body_bytes), (0, 1, 23));
    assert!(stack.inserts("INTO other").await.expect("the journal").is_empty());
    assert!(stack.stop().await.expect("an end").success());
}

#[derive(Debug, PartialEq, Row, Serialize, Deserialize)]
struct Named {
    id: u32,
    name: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_the_official_client() {
    let stack = with_table().await;
    let client = clickhouse::Client::default()
        .with_url(stack.clickhouse_url())
        .with_user(stack.user())
        .with_password(stack.password())
        .with_database("default")
        .with_compression(clickhouse::Compression::None);
    let mut insert = client
        .insert_formatted_with("INSERT INTO t (id, name) FORMAT JSONEachRow")
        .with_setting("async_insert", "0");
    insert.send(bytes::Bytes::from_static(b"{\"id\":1,\"name\":\"a\"}\n")).await.expect("sent");
    insert.send(bytes::Bytes::from_static(b"{\"id\":2,\"name\":\"b\"}\n")).await.expect("sent");
    insert.end().await.expect("inserted");
    let mut rows = client.insert::<Named>("t").await.expect("an insert");
    rows.write(&Named { id: 3, name: "c".to_owned() }).await.expect("written");
    rows.end().await.expect("inserted");

    let read: Vec<Named> =
        client.query("SELECT ?fields FROM t ORDER BY id").fetch_all().await.expect("rows");
    assert_eq!(read.len(), 3);
    assert_eq!(read[2], Named { id: 3, name: "c".to_owned() });
    let bound: u64 = client
        .query("SELECT count() FROM t WHERE name = {wanted: String}")
        .param("wanted", "b")
        .fetch_one()
        .await
        .expect("a count");
    assert_eq!(bound, 1);
    let mut cursor = client.query("SELECT id + 10 AS id, name FROM t").fetch_bytes("ArrowStream");
    let arrow = cursor.as_mut().expect("a cursor").collect().await.expect("arrow");
    let mut insert = client.insert_formatted_with("INSERT INTO t (id, name) FORMAT ArrowStream");
    insert.send(arrow).await.expect("sent");
    insert.end().await.expect("inserted");
    assert_eq!(stack.query("SELECT sum(id) FROM t").await.expect("a sum"), "42\n");

    let error = client.query("SELECT * FROM missing").execute().await.expect_err("no table");
    assert!(error.to_string().contains("Code: 60."), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_the_servers_codes_and_statuses() {
    let stack = with_table().await;
    let table = [
        (INSERT, "", r#"{"id":100,"name":"x"}"#, 469, 500),
        ("INSERT INTO missing FORMAT JSONEachRow", "", "{}", 60, 404),
        (INSERT, "no_such_setting", r#"{"id":1,"name":"x"}"#, 115, 404),
        ("SELECT FROM WHERE", "", "", 62, 400),
        ("SELECT 1; SELECT 2", "", "", 62, 400),
    ];
    for (sql, setting, body, code, status) in table {
        let settings = [(setting, "1")];
        let settings = if setting.is_empty() { &[][..] } else { &settings[..] };
        let answer = stack.post(sql, settings, body).await.expect("an answer");
        assert_eq!((answer.exception_code, answer.status), (Some(code), status), "{}", answer.body);
        assert!(answer.body.starts_with(&format!("Code: {code}. DB::Exception:")));
        assert!(answer.body.ends_with("(official build))\n"), "{}", answer.body);
        assert_eq!(answer.body.matches("(version").count(), 1, "{}", answer.body);
    }
    let answer = stack.post("SELECT 1", &[("database", "missing")], "").await.expect("an answer");
    assert_eq!(answer.exception_code, Some(81));
    stack.query("CREATE DATABASE other").await.expect("a database");
    let answer = stack.post("SELECT currentDatabase()", &[("database", "other")], "").await;
    assert_eq!(answer.expect("an answer").body, "other\n");
    assert_eq!(count(&stack).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn demands_the_password_it_was_given() {
    let stack = start(clickhouse_only().with_credentials("default", "s3cret")).await;
    assert_eq!(stack.query("SELECT 1").await.expect("let in"), "1\n");
    let stranger = clickhouse::Client::default()
        .with_url(stack.clickhouse_url())
        .with_user("default")
        .with_password("wrong")
        .with_compression(clickhouse::Compression::None);
    let error = stranger.query("SELECT 1").execute().await.expect_err("refused").to_string();
    assert!(error.contains("Code: 516. DB::Exception: default: Authentication failed"), "{error}");
    assert!(!error.contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_password_runs_statements_or_steers_the_stack() {
    let stack = start(options()).await;
    let address = stack.clickhouse_url().strip_prefix("http://").expect("a url");
    let key = format!("X-ClickHouse-Key: {}\r\n", stack.password());
    let ask = async |request: &str, header: &str| {
        let mut socket = tokio::net::TcpStream::connect(address).await.expect("connected");
        let head = format!("{request} HTTP/1.0\r\nContent-Length: 0\r\n{header}\r\n");
        socket.write_all(head.as_bytes()).await.expect("written");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    for request in [
        "POST /?query=SELECT+1",
        "GET /_fault",
        "DELETE /_fault",
        "GET /_inserts",
        "POST /_kafka/topic?name=t",
        "POST /_kafka/broker_up",
    ] {
        for header in ["", "X-ClickHouse-Key: wrong\r\n"] {
            let answer = ask(request, header).await;
            assert!(answer.contains("Code: 516"), "{request}: {answer}");
        }
        let answer = ask(request, &key).await;
        assert!(answer.starts_with("HTTP/1.0 200"), "{request}: {answer}");
    }
    let arguments = std::fs::read(format!("/proc/{}/cmdline", stack.pid())).expect("arguments");
    assert!(!String::from_utf8_lossy(&arguments).contains(stack.password()));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_would_read_files_or_ask_other_servers_are_refused() {
    let stack = with_table().await;
    for sql in [
        "SELECT * FROM file('/etc/passwd', 'LineAsString', 'line String')",
        "INSERT INTO FUNCTION file('/tmp/never-written', 'TSV', 'a String') SELECT 'x'",
        "CREATE TABLE u (a Int8) ENGINE = URL('http://127.0.0.1:1/', 'CSV')",
    ] {
        let answer = stack.post(sql, &[], "").await.expect("an answer");
        assert_eq!(answer.exception_code, Some(497), "{sql}: {}", answer.body);
    }
    let sql =
        "INSERT INTO FUNCTION file('/tmp/never-written', 'TSV', 'a String') FORMAT JSONEachRow";
    let answer = stack.post(sql, &[], r#"{"a":"x"}"#).await.expect("an answer");
    assert_eq!(answer.exception_code, Some(497), "{}", answer.body);
    assert_eq!(count(&stack).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_errors_statuses_and_delays_on_demand() {
    let stack = with_table().await;
    let row = r#"{"id":1,"name":"x"}"#;
    let parts = FaultKind::Exception { code: 252, text: "Too many parts".to_owned() };
    let id = stack.fault(&Fault::on_insert("INTO t", parts)).await.expect("a fault");
    let answer = stack.post(INSERT, &[], row).await.expect("an answer");
    assert_eq!((answer.exception_code, answer.status), (Some(252), 500));
    assert!(answer.body.starts_with("Code: 252. DB::Exception: Too many parts"));

    let proxy = FaultKind::Status { http_status: 503, body: "no backend".to_owned() };
    stack.fault(&Fault::on_insert("INTO t", proxy)).await.expect("a fault");
    let answer = stack.post(INSERT, &[], row).await.expect("an answer");
    assert_eq!((answer.exception_code, answer.status), (None, 503));
    assert_eq!(answer.body, "no backend");
    assert_eq!(count(&stack).await, "0");

    stack.fault(&Fault::on_insert("", FaultKind::Delay { delay_ms: 300 })).await.expect("a fault");
    let begin = Instant::now();
    let answer = stack.post(INSERT, &[], row).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(count(&stack).await, "1");

    let faults = stack.faults().await.expect("the list");
    assert_eq!(faults[0].id, id);
    assert!(faults.iter().all(|status| status.hits == 1 && status.remaining == Some(0)));
    let codes: Vec<i32> =
        stack.inserts("").await.expect("journal").iter().map(|seen| seen.outcome_code).collect();
    assert_eq!(codes, [252, -1, 0]);
    stack.clear_fault(id).await.expect("cleared");
    let left = stack.faults().await.expect("the list");
    assert!(!left.is_empty() && left.iter().all(|status| status.id != id));
    stack.clear_faults().await.expect("cleared");
    assert!(stack.faults().await.expect("the list").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn drops_the_connection_before_during_and_after_the_commit() {
    let stack = with_table().await;
    let row = r#"{"id":1,"name":"x"}"#;
    for (reset, rows) in [(Reset::Before, "0"), (Reset::During, "0"), (Reset::AfterCommit, "1")] {
        stack.fault(&Fault::on_insert("INTO t", FaultKind::Reset(reset))).await.expect("a fault");
        let error = stack.post(INSERT, &[], row).await.expect_err("no answer");
        let text = format!("{error:#}").to_lowercase();
        assert!(text.contains("reset") || text.contains("closed"), "{reset:?}: {text}");
        assert_eq!(count(&stack).await, rows, "{reset:?}");
    }
    let seen = stack.inserts("").await.expect("the journal");
    assert_eq!(seen.iter().map(|seen| seen.written_rows).collect::<Vec<_>>(), [0, 0, 1]);
    assert!(seen.iter().all(|seen| seen.outcome_code == -1));

    let fault = Fault::on_insert("numbers", FaultKind::Reset(Reset::During))
        .with_applies_to(AppliesTo::Query);
    stack.fault(&fault).await.expect("a fault");
    stack.query("SELECT * FROM numbers(100000)").await.expect_err("a broken answer");
    let rows = stack.query("SELECT * FROM numbers(100000)").await.expect("rows");
    assert_eq!(rows.lines().count(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_yes_wrongly_and_runs_late_on_demand() {
    let stack = with_table().await;
    let rows = r#"{"id":1,"name":"x"}{"id":2,"name":"y"}"#;
    for (success, written, stored) in [
        (FalseSuccess::OfNothing, Some("0"), "0"),
        (FalseSuccess::InPart, Some("1"), "2"),
        (FalseSuccess::WithoutHeaders, None, "4"),
        (FalseSuccess::OfAnother, Some("1000000"), "4"),
    ] {
        let fault = Fault::on_insert("INTO t", FaultKind::Success(success));
        stack.fault(&fault).await.expect("a fault");
        let answer = stack.post(INSERT, &[], rows).await.expect("an answer");
        assert_eq!(answer.status, 200);
        let summary = answer.summary.map(|summary| {
            let summary: serde_json::Value = serde_json::from_str(&summary).expect("json");
            summary["written_rows"].as_str().expect("a number").to_owned()
        });
        assert_eq!(summary.as_deref(), written, "{success:?}");
        assert_eq!(count(&stack).await, stored, "{success:?}");
    }
    let late = Fault::on_insert("INTO t", FaultKind::Late { late_ms: 1_000 });
    stack.fault(&late).await.expect("a fault");
    stack.post(INSERT, &[], rows).await.expect_err("no answer");
    assert_eq!(count(&stack).await, "4");
    wait_for_count(&stack, "6").await;
}

async fn wait_for_count(stack: &LocalStack, rows: &str) {
    let deadline = Instant::now() + WAIT;
    while count(stack).await != rows {
        assert!(Instant::now() < deadline, "the rows do not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_insert_runs_though_its_client_has_gone() {
    let stack = with_table().await;
    let delay = Fault::on_insert("INTO t", FaultKind::Delay { delay_ms: 1_000 });
    stack.fault(&delay).await.expect("a fault");
    let insert = stack.post(INSERT, &[], r#"{"id":1,"name":"x"}"#);
    let answer = tokio::time::timeout(Duration::from_millis(500), insert).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(count(&stack).await, "0");
    wait_for_count(&stack, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_client_breaks_off_leaves_no_row() {
    let stack = with_table().await;
    let address = stack.clickhouse_url().strip_prefix("http://").expect("a url");
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "POST /?query=INSERT+INTO+t+FORMAT+JSONEachRow HTTP/1.1\r\nHost: x\r\n\
         X-ClickHouse-Key: {}\r\nContent-Length: 1000\r\n\r\n",
        stack.password()
    );
    let part = format!("{head}{{\"id\":1,\"name\":\"x\"}}\n");
    socket.write_all(part.as_bytes()).await.expect("written");
    socket.flush().await.expect("flushed");
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(socket);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(count(&stack).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_wait_in_line_and_all_get_through() {
    let stack = std::sync::Arc::new(with_table().await);
    let inserts = (0..32).map(|id| {
        let stack = std::sync::Arc::clone(&stack);
        let row = format!(r#"{{"id":{id},"name":"x"}}"#);
        tokio::spawn(async move { stack.post(INSERT, &[], row).await.expect("answer").status })
    });
    for insert in inserts.collect::<Vec<_>>() {
        assert_eq!(insert.await.expect("joined"), 200);
    }
    assert_eq!(count(&stack).await, "32");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_when_its_stdin_does_even_under_load() {
    let stack = start(options()).await;
    let pid = stack.pid();
    let url = stack.clickhouse_url().to_owned();
    let client = clickhouse::Client::default()
        .with_url(url)
        .with_user(stack.user())
        .with_password(stack.password())
        .with_compression(clickhouse::Compression::None);
    let busy = tokio::spawn(async move { client.query("SELECT sleep(1)").execute().await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(stack.stop().await.expect("an end").success());
    let probe = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), None);
    assert!(probe.is_err(), "process {pid} is still there");
    busy.await.expect("joined").expect("the running statement was let finish");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_in_a_given_folder_outlives_the_stack() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = clickhouse_only().with_data(folder.path());
    let stack = start(options.clone()).await;
    stack.query("CREATE TABLE kept (a Int8) ENGINE = MergeTree ORDER BY a").await.expect("table");
    stack.query("INSERT INTO kept VALUES (1), (2)").await.expect("rows");
    stack.stop().await.expect("an end");
    let stack = start(options).await;
    assert_eq!(stack.query("SELECT count() FROM kept").await.expect("a count"), "2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_library_ends_the_start_with_a_reason() {
    let options = clickhouse_only().with_chdb_lib("no/such/libchdb.so").with_quiet();
    let error = LocalStack::start(options).await.err().expect("no start");
    assert!(error.to_string().contains("ended before it was ready"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_carries_a_record_and_shows_errors_on_demand() {
    let stack = start(options()).await;
    stack.create_topic("orders", 3).await.expect("a topic");
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", stack.kafka()).create().expect("a producer");
    let record = FutureRecord::to("orders").partition(1).key("k").payload("hello");
    producer.send(record, WAIT).await.expect("delivered");

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka())
        .set("group.id", "g")
        .create()
        .expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("orders", 1, Offset::Beginning).expect("an offset");
    consumer.assign(&assignment).expect("assigned");
    let received = tokio::task::spawn_blocking(move || {
        let message = consumer.poll(WAIT).expect("a record").expect("no error");
        (message.payload().map(<[u8]>::to_vec), message.offset())
    });
    assert_eq!(received.await.expect("joined"), (Some(b"hello".to_vec()), 0));

    stack.kafka_errors("produce", &["MSG_SIZE_TOO_LARGE"]).await.expect("set");
    let record = FutureRecord::to("orders").partition(0).key("k").payload("too large");
    let (error, _) = producer.send(record, WAIT).await.expect_err("refused");
    assert_eq!(
        error.rdkafka_error_code(),
        Some(rdkafka::types::RDKafkaErrorCode::MessageSizeTooLarge)
    );
    let error = stack.kafka_errors("produce", &["NO_SUCH"]).await.expect_err("refused");
    assert!(error.to_string().contains("NO_SUCH"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_goes_down_and_comes_back() {
    let stack = start(options()).await;
    stack.create_topic("orders", 1).await.expect("a topic");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka())
        .set("reconnect.backoff.max.ms", "200")
        .create()
        .expect("a producer");
    stack.broker_down().await.expect("down");
    let record = BaseRecord::to("orders").key("k").payload("waits");
    producer.send(record).map_err(|(error, _)| error).expect("queued");
    let down = producer.flush(Duration::from_secs(1));
    assert!(down.is_err(), "delivered to a broker that is down");
    stack.broker_up().await.expect("up");
    producer.flush(WAIT).expect("delivered after the broker came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_consumer_group_joins_without_the_brokers_usual_wait() {
    let stack = start(options()).await;
    stack.create_topic("orders", 2).await.expect("a topic");
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", stack.kafka()).create().expect("a producer");
    let record = FutureRecord::to("orders").partition(0).key("k").payload("hello");
    producer.send(record, WAIT).await.expect("delivered");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka())
        .set("group.id", "g")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["orders"]).expect("subscribed");
    let begin = Instant::now();
    let received = tokio::task::spawn_blocking(move || {
        // A rebalance ends a poll too, without a record.
        let message = std::iter::repeat_with(|| consumer.poll(Duration::from_millis(100)))
            .take_while(|_| begin.elapsed() < WAIT)
            .find_map(|polled| polled);
        message.expect("a record").expect("no error").payload().map(<[u8]>::to_vec)
    });
    assert_eq!(received.await.expect("joined"), Some(b"hello".to_vec()));
    assert!(begin.elapsed() < Duration::from_millis(2_500), "took {:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stack_is_gone() {
    let stack = start(clickhouse_only()).await;
    let pid = nix::unistd::Pid::from_raw(stack.pid().cast_signed());
    drop(stack);
    assert!(nix::sys::signal::kill(pid, None).is_err(), "process {pid} is still there");
}
