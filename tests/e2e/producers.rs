//! Values as producers of other tools write them, through the whole path: the logical types of Debezium and Kafka
//! Connect as docs/types.md lists them, and bytes.

use sluicegate_tests::{Job, Message};

const TIMES: &str = "SETTINGS enable_time_time64_type = 1";

#[tokio::test]
async fn logical_types_land_by_their_variables() -> anyhow::Result<()> {
    let stack = Job::new("CREATE TABLE other (x UInt8) ENGINE = Memory").await?;
    let table = "CREATE TABLE t (id UInt64, day Date, day32 Date32, ms DateTime64(3, 'UTC'), \
        us DateTime64(6, 'UTC'), ns DateTime64(9, 'UTC'), time Time64(3), microtime Time64(6), \
        nanotime Time64(9), zoned DateTime64(6, 'UTC'), precise Decimal(10, 2), \
        negative Nullable(Decimal(10, 2)), text Decimal(10, 2), double Decimal(10, 2), \
        raw String, hexed FixedString(2)) ENGINE = MergeTree ORDER BY id";
    stack.query(&format!("{table} {TIMES}")).await?;
    let units = "day=d,day32=d,ms=ms,us=us,ns=ns,time=ms,microtime=us,nanotime=ns";
    let mut job = stack
        .with("TIMESTAMP_UNIT", units)
        .with("COLUMN_ENCODING", "precise=base64,negative=base64,raw=base64,hexed=hex");
    let good = r#"{"id":1,"day":20487,"day32":-1,"ms":1770091506789,"us":1770091506789123,
        "ns":1770091506789123456,"time":45296789,"microtime":45296789123,"nanotime":45296789123456,
        "zoned":"2026-02-03T05:05:06.789123+01:00","precise":"MDk=","negative":"/w==","text":"123.45",
        "double":123.45,"raw":"_wB_","hexed":"\\xFF00"}"#;
    let bad = [
        r#"{"id":2,"day":20487.5}"#,
        r#"{"id":3,"day":70000}"#,
        r#"{"id":4,"raw":"not base64!"}"#,
        r#"{"id":5,"hexed":"ff0000"}"#,
        r#"{"id":6,"precise":"////////////"}"#,
        r#"{"id":7,"precise":"f/////////8="}"#,
    ];
    job.produce([good].into_iter().chain(bad)).await?;
    let ledger = job.run_to_the_end().await?;
    let letters = job.dead_letters()?;
    let reasons: Vec<_> = letters.iter().map(|l| (l.reason(), l.failure())).collect();
    // Six bytes of ones are -1.
    assert_eq!((ledger.landed, ledger.dead_lettered), (2, 5), "{reasons:?}");
    let row =
        job.query("SELECT * EXCEPT (raw, hexed), hex(raw), hex(hexed) FROM t WHERE id = 1").await?;
    assert_eq!(
        row.split('\t').collect::<Vec<_>>(),
        [
            "1",
            "2026-02-03",
            "1969-12-31",
            "2026-02-03 04:05:06.789",
            "2026-02-03 04:05:06.789123",
            "2026-02-03 04:05:06.789123456",
            "12:34:56.789",
            "12:34:56.789123",
            "12:34:56.789123456",
            "2026-02-03 04:05:06.789123",
            "123.45",
            "-0.01",
            "123.45",
            "123.45",
            "FF007F",
            "FF00",
        ]
    );
    assert_eq!(job.query("SELECT precise FROM t WHERE id = 6").await?, "-0.01");
    Ok(())
}

#[tokio::test]
async fn keys_and_headers_keep_their_bytes_with_each_delivery() -> anyhow::Result<()> {
    for delivery in ["at_least_once", "exactly_once"] {
        let table = "CREATE TABLE t (id UInt64, _key LowCardinality(String), _map Map(String, String), \
            _pairs Array(Tuple(String, Nullable(String)))) ENGINE = MergeTree ORDER BY id \
            SETTINGS non_replicated_deduplication_window = 10000";
        let mut job = Job::new(table)
            .await?
            .with("METADATA_COLUMNS", "_key=key,_map=headers,_pairs=headers")
            .with("DELIVERY", delivery);
        let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let record = Message {
            key: Some(b"\xff\x00k".to_vec()),
            headers: vec![header("a", b"1"), header("b", b"\xfe"), header("a", b"2")],
            ..r#"{"id":1}"#.into()
        };
        job.produce([record, r#"{"id":2}"#.into()]).await?;
        let mut host = job.start()?;
        job.wait_until_committed(&host).await?;
        let page = host.admin("GET", "/metrics").await?;
        let series = r#"sluicegate_values_replaced_total{column="_map"}"#;
        assert_eq!(page.metric(series), Some(1.0), "the first of two headers `a`");
        let ledger = host.stop().await?;
        assert_eq!((ledger.landed, ledger.dead_lettered), (2, 0), "{delivery}");
        let rows = "SELECT hex(_key), arrayMap(k -> hex(k), mapKeys(_map)), arrayMap(v -> hex(v), mapValues(_map)), \
            arrayMap(p -> hex(p.2), _pairs) FROM t ORDER BY id";
        let expected = "FF006B\t['62','61']\t['FE','32']\t['31','FE','32']\n\t[]\t[]\t[]";
        assert_eq!(job.query(rows).await?, expected, "{delivery}");
    }
    Ok(())
}
