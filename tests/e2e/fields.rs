//! From which fields columns are filled, and how strictly, through the whole path.

use sluicegate_tests::{DeadLetter, Job, Message};

#[tokio::test]
async fn columns_are_filled_from_within_the_record_and_with_what_kafka_says_of_it()
-> anyhow::Result<()> {
    let table = "CREATE TABLE t (Id UInt64, lat Nullable(Float64), rest String,
        _topic LowCardinality(String), _partition Int32, _offset UInt64, _at DateTime64(3),
        _key Nullable(String), _headers Map(String, Nullable(String)))
        ENGINE = MergeTree ORDER BY Id";
    let metadata = "_topic=topic,_partition=partition,_offset=offset,_at=timestamp,_key=key,\
        _headers=headers";
    let mut job = Job::with_partitions(table, 1)
        .await?
        .with("FIELD_CASE", "insensitive")
        .with("COLUMN_FROM", "lat=/position/lat")
        .with("UNKNOWN_FIELDS", "column:rest")
        .with("METADATA_COLUMNS", metadata);
    let first = r#"{"ID":1,"position":{"lat":48.5,"lon":11},"a":[1,{"b":null}],"_offset":77}"#;
    let first = Message {
        key: Some(b"k".to_vec()),
        headers: vec![("h".to_owned(), b"1".to_vec())],
        timestamp_ms: Some(1_700_000_000_123),
        ..first.into()
    };
    let second = r#"{"id":2,"position":{"lat":"north"}}"#.into();
    let binary = Message { key: Some(b"\xff".to_vec()), ..r#"{"id":4}"#.into() };
    job.produce([first, second, r#"{"id":3}"#.into(), binary]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (3, 1));
    let rows = "SELECT Id, lat, rest, _topic, _partition, _offset, \
        toUnixTimestamp64Milli(_at) = 1700000000123, _key, toString(_headers) FROM t ORDER BY Id";
    let rest = r#"{"a":[1,{"b":null}],"_offset":77}"#;
    let first = format!("1\t48.5\t{rest}\trecords\t0\t0\t1\tk\t{{\\'h\\':\\'1\\'}}");
    let third = "3\t\\N\t{}\trecords\t0\t2\t0\t\\N\t{}";
    assert_eq!(job.query(&format!("{rows} LIMIT 2")).await?, format!("{first}\n{third}"));
    assert_eq!(job.query("SELECT hex(_key) FROM t WHERE Id = 4").await?, "FF");
    let letters = job.dead_letters()?;
    let of = |reason: &str| letters.iter().find(|letter| letter.reason() == reason).unwrap();
    let told = of("type_mismatch").header("__connect.errors.exception.message");
    assert!(told.contains("column `lat` at /position/lat"), "{told}");
    Ok(())
}

#[tokio::test]
async fn lenient_forms_land_as_jsoneachrow_reads_them() -> anyhow::Result<()> {
    let columns = "(id UInt64, i Int8, u UInt32, f Float64, b Bool, d Decimal(10, 2), t DateTime, \
        t3 DateTime64(3), s String, e Enum8('a' = 1, 'b' = 2), a Array(Int16)) ENGINE = MergeTree ORDER BY id";
    let records = [
        r#"{"id":1,"i":"-5","u":"4294967295","f":"1.5","b":1,"d":"1.25","t":1700000000,"t3":1700000000,"s":{"k": 1.0},"e":2,"a":["1",2]}"#,
        r#"{"id":2,"i":5,"u":7,"f":"-2e3","b":0,"d":3,"t":"1700000000","t3":"1700000000.125","s":5,"e":"b","a":["-3"]}"#,
        r#"{"id":3,"i":"+7","u":true,"f":".5","b":0,"d":"1.255","t":"2026-02-03T04:05:06.789Z","t3":"2026-02-03 04:05:06.1239+00","s":[],"e":"1","a":[]}"#,
    ];
    let mut job = Job::new(&format!("CREATE TABLE t {columns}")).await?.with("COERCION", "lenient");
    job.query(&format!("CREATE TABLE theirs {columns}")).await?;
    job.query(&format!("INSERT INTO theirs FORMAT JSONEachRow {}", records.join("\n"))).await?;
    job.produce(records).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let page = host.admin("GET", "/metrics").await?;
    for column in ["d", "t", "t3"] {
        let series = format!("sluicegate_values_cut_total{{column=\"{column}\"}}");
        assert_eq!(page.metric(&series), Some(1.0), "{series}");
    }
    assert_eq!(host.stop().await?.landed, 3);
    let ours = job.query("SELECT * FROM t ORDER BY id").await?;
    assert_eq!(ours, job.query("SELECT * FROM theirs ORDER BY id").await?);
    Ok(())
}

#[tokio::test]
async fn what_is_replaced_or_passed_over_is_counted_and_what_is_unknown_may_be_refused()
-> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, speed Nullable(Int16), zone String DEFAULT 'none')
        ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table).await?.with("COLUMN_ON_INVALID", "speed=null,zone=default");
    job.produce([r#"{"id":1,"speed":99999,"zone":7,"colour":"red"}"#]).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    assert_eq!(job.query("SELECT * FROM t").await?, "1\t\\N\tnone");
    let page = host.admin("GET", "/metrics").await?;
    for series in [
        "sluicegate_values_replaced_total{column=\"speed\"}",
        "sluicegate_values_replaced_total{column=\"zone\"}",
        "sluicegate_unknown_fields_total{field=\"(not named)\"}",
    ] {
        assert_eq!(page.metric(series), Some(1.0), "{series}");
    }
    host.wait_for(&["fields that fill no column", "UNKNOWN_FIELD_NAMES", "schema infer"]).await?;
    // The name of a field may be a value.
    assert!(!host.log().join("\n").contains("colour") && !page.body.contains("colour"));
    host.stop().await?;

    let mut named = Job::new(table).await?.with("UNKNOWN_FIELD_NAMES", "1");
    named.produce([r#"{"id":1,"colour":"red","\u001b[2J\u202e\n":1}"#]).await?;
    let mut host = named.start()?;
    named.wait_until_committed(&host).await?;
    let page = host.admin("GET", "/metrics").await?;
    let series = |name: &str| format!("sluicegate_unknown_fields_total{{field=\"{name}\"}}");
    for name in ["colour", r"\\u{1b}[2J\\u{202e}\\n"] {
        assert_eq!(page.metric(&series(name)), Some(1.0), "{}", page.body);
    }
    host.wait_for(&["fields that fill no column", "colour", "schema infer"]).await?;
    host.stop().await?;

    let mut strict = Job::new(table).await?.with("UNKNOWN_FIELDS", "reject");
    strict.produce([r#"{"id":1,"colour":"red"}"#, r#"{"id":2}"#]).await?;
    let ledger = strict.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    assert_eq!(strict.dead_letters()?[0].reason(), "unknown_field");
    Ok(())
}

const ENVELOPE: &str = r#"{"before":null,"after":{"id":1},"op":"c"}"#;

#[tokio::test]
async fn a_record_of_which_no_field_fills_a_column_is_rejected_or_lands_by_choice_and_is_counted()
-> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table).await?;
    job.produce([ENVELOPE, "{}", r#"{"id":2}"#, r#"{"name":null}"#]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 2));
    let letters = job.dead_letters()?;
    let told = |letter: &DeadLetter| letter.header("__connect.errors.exception.message").to_owned();
    assert!(letters.iter().all(|letter| letter.reason() == "no_known_field"));
    let mut told: Vec<String> = letters.iter().map(told).collect();
    told.sort_unstable();
    let expected = "expected a field that fills a column, such as id, name, got";
    let got = ["an object without fields", "only before, after, op"];
    assert_eq!(told, got.map(|got| format!("{expected} {got}")));

    let mut job = Job::new(table).await?.with("UNFILLED_RECORDS", "accept");
    job.produce([ENVELOPE, "{}", r#"{"id":2}"#]).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    assert_eq!(job.query("SELECT id, empty(name) FROM t ORDER BY id").await?, "0\t1\n0\t1\n2\t1");
    let page = host.admin("GET", "/metrics").await?;
    assert_eq!(page.metric("sluicegate_rows_unfilled_total"), Some(2.0));
    host.stop().await?;

    // Nothing of an envelope is lost where a column keeps what fills no other.
    let table = "CREATE TABLE t (id UInt64, rest String) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table).await?.with("UNKNOWN_FIELDS", "column:rest");
    job.produce([ENVELOPE, "{}"]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    assert_eq!(job.query("SELECT rest FROM t").await?, ENVELOPE);
    Ok(())
}

#[tokio::test]
async fn a_stream_of_envelopes_is_braked() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";
    let mut job = Job::new(table).await?;
    job.produce(vec![ENVELOPE; 200]).await?;
    let mut host = job.start()?;
    host.wait_for(&["paused", "no_known_field", "DLQ_MAX_SHARE"]).await?;
    assert_eq!(job.query("SELECT count() FROM t").await?, "0");
    host.stop().await.map(drop)
}

#[tokio::test]
async fn an_envelope_of_which_one_field_fills_a_column_is_told() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String, op String) ENGINE = MergeTree ORDER BY id";
    for (with_names, words) in [
        ("0", ["a field of a record", "set COLUMN_FROM as `sluicegate schema infer"]),
        ("1", ["`/after` of a record", "set COLUMN_FROM=id=/after/id"]),
    ] {
        let mut job = Job::new(table).await?.with("UNKNOWN_FIELD_NAMES", with_names);
        job.produce([ENVELOPE]).await?;
        let mut host = job.start()?;
        host.wait_for(&["WARN", words[0], words[1]]).await?;
        assert_eq!(host.stop().await?.landed, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_way_of_column_from_that_ends_in_a_null_is_counted_and_told() -> anyhow::Result<()> {
    let table = "CREATE TABLE t (id UInt64, name String, op String) ENGINE = MergeTree ORDER BY id";
    let from = "id=/after/id,name=/after/name";
    let created = r#"{"before":null,"after":{"id":1,"name":"a"},"op":"c"}"#;
    let deleted = r#"{"before":{"id":1},"after":null,"op":"d"}"#;
    let mut job = Job::new(table).await?.with("COLUMN_FROM", from);
    job.produce([created, deleted, deleted]).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    host.wait_for(&["WARN", "COLUMN_FROM ends in a null", "id", "name", "REQUIRED_COLUMNS"])
        .await?;
    let page = host.admin("GET", "/metrics").await?;
    for column in ["id", "name"] {
        let series = format!("sluicegate_values_unreached_total{{column=\"{column}\"}}");
        assert_eq!(page.metric(&series), Some(2.0), "{series}");
    }
    assert_eq!(host.stop().await?.landed, 3);

    let mut job = Job::new(table).await?.with("COLUMN_FROM", from).with("REQUIRED_COLUMNS", "id");
    job.produce([created, deleted]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (1, 1));
    assert_eq!(job.dead_letters()?[0].reason(), "missing_column");
    Ok(())
}

#[tokio::test]
async fn objects_fill_columns_of_dotted_names_as_jsoneachrow_has_it() -> anyhow::Result<()> {
    let columns = "(id UInt64, `endpoint.name` String, `a.b.c` Int32, n Nested(x Int32, y String)) \
        ENGINE = MergeTree ORDER BY id";
    let records = [
        r#"{"id":1,"endpoint":{"name":"a"},"a":{"b.c":5},"n":{"x":[1,2],"y":["p","q"]}}"#,
        r#"{"id":2,"endpoint.name":"b","a.b.c":6,"n.x":[3],"n.y":["r"]}"#,
    ];
    let mut job = Job::new(&format!("CREATE TABLE t {columns}")).await?;
    job.query(&format!("CREATE TABLE theirs {columns}")).await?;
    let insert = "INSERT INTO theirs SETTINGS input_format_import_nested_json=1 FORMAT JSONEachRow";
    job.query(&format!("{insert} {}", records.join("\n"))).await?;
    let deeper = r#"{"id":3,"endpoint":{"name":"c","zone":"z"},"a":{"b":{"c":7}}}"#;
    let list = r#"{"id":4,"n":[{"x":1,"y":"p"}]}"#;
    job.produce(records.into_iter().chain([deeper, list])).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    let page = host.admin("GET", "/metrics").await?;
    let unknown = "sluicegate_unknown_fields_total{field=\"(not named)\"}";
    assert_eq!(page.metric(unknown), Some(1.0));
    let ledger = host.stop().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (3, 1));
    let ours = job.query("SELECT * FROM t WHERE id < 3 ORDER BY id").await?;
    assert_eq!(ours, job.query("SELECT * FROM theirs ORDER BY id").await?);
    let third = "SELECT `endpoint.name`, `a.b.c`, `n.x`, `n.y` FROM t WHERE id = 3";
    assert_eq!(job.query(third).await?, "c\t7\t[]\t[]");
    let letter = &job.dead_letters()?[0];
    assert_eq!(letter.reason(), "type_mismatch");
    let told = letter.header("__connect.errors.exception.message");
    assert!(told.contains("/n: expected object with an array for each of x, y"), "{told}");
    Ok(())
}
