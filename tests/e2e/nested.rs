//! Arrays, maps and tuples within each other: what is sent is what a SELECT shows, and what does
//! not fit is dead-lettered with its place.

use sluicegate_tests::{Job, Message};

/// One column for each type of key, and the parts within each other.
const TABLE: &str = "CREATE TABLE t (
    id UInt64,
    m Map(String, Int8), lc Map(LowCardinality(String), LowCardinality(Nullable(String))),
    num Map(UInt64, Array(Float64)), day Map(Date, Bool), old Map(Date32, Bool),
    at Map(DateTime('UTC'), Bool), ms Map(DateTime64(3, 'UTC'), Bool), uuid Map(UUID, Bool),
    e Map(Enum8('on' = 1, 'off' = 2), Enum8('x' = 1, 'y' = 2)), fixed Map(FixedString(2), Bool),
    price Map(Decimal(6, 2), Bool), float Map(Float64, Bool), is Map(Bool, Int64),
    t Tuple(a Int8, `b c` Nullable(String), `d.e` Tuple(f Nullable(UUID), g Array(Date))),
    nt Nullable(Tuple(a Enum8('x' = 1, 'y' = 2), b Nullable(Int8))),
    u Tuple(Int8, Tuple(Nullable(String))),
    a Array(Array(Array(Nullable(Int8)))), l Array(Tuple(k String, v Map(String, Array(UInt8)))),
    n Nested(a Int8, b Array(Nullable(Tuple(c Decimal(4, 2))))),
    deep Map(String, Map(Int8, Array(Tuple(x Map(String, Nullable(DateTime64(6, 'UTC')))))))
) ENGINE = MergeTree ORDER BY id SETTINGS flatten_nested = 0, enable_nullable_tuple_type = 1";

/// A record as JSONEachRow prints its row, so that not a byte of it may differ.
fn full(id: usize) -> String {
    let ids = |n: usize| (0..id % n).map(|n| n.to_string()).collect::<Vec<_>>();
    let map = ids(4).iter().map(|n| format!(r#""k{n}":-1{n}"#)).collect::<Vec<_>>().join(",");
    let lists = vec![format!("[{}]", ids(5).join(",")); id % 3].join(",");
    let label = if id.is_multiple_of(2) { "x" } else { "y" };
    [
        format!(r#"{{"id":{id},"m":{{{map}}},"lc":{{"é\"":null,"":"x"}}"#),
        format!(
            r#","num":{{"18446744073709551615":[0.1,-2.5],"{id}":[]}},"day":{{"2149-06-06":true}}"#
        ),
        r#","old":{"1900-01-01":false,"2299-12-31":true},"at":{"2106-02-07 06:28:15":true}"#.into(),
        r#","ms":{"2026-03-01 10:00:00.120":true}"#.into(),
        r#","uuid":{"123e4567-e89b-12d3-a456-426614174000":true}"#.into(),
        format!(r#","e":{{"off":"{label}","on":"x"}},"fixed":{{"ab":true,"é":false}}"#),
        format!(
            r#","price":{{"-{id}.25":true,"9999.99":false}},"float":{{"0.1":true,"1.5":true}}"#
        ),
        r#","is":{"true":-9223372036854775808,"false":0}"#.into(),
        format!(r#","t":{{"a":{},"b c":null,"d.e":{{"f":null,"g":["1970-01-01"]}}}}"#, id % 100),
        match id % 3 {
            0 => r#","nt":null"#.into(),
            _ => format!(r#","nt":{{"a":"{label}","b":null}}"#),
        },
        format!(r#","u":[-128,["u{id}"]],"a":[[],[{lists}],[[null,1]]]"#),
        format!(r#","l":[{{"k":"","v":{{}}}},{{"k":"{id}","v":{{"w":[{}]}}}}]"#, ids(9).join(",")),
        r#","n":[{"a":1,"b":[null,{"c":1.5}]},{"a":2,"b":[]}]"#.into(),
        r#","deep":{"p":{"-1":[{"x":{}},{"x":{"y":"2026-03-01 10:00:00.000001","z":null}}]}}}"#
            .into(),
    ]
    .concat()
}

#[tokio::test]
async fn what_is_sent_is_what_is_selected() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let records: Vec<String> = (0..500).map(full).collect();
    job.produce(records.iter().map(String::as_str)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (500, 0));
    let rows = job.query("SELECT * FROM t ORDER BY id FORMAT JSONEachRow").await?;
    assert_eq!(rows.lines().count(), 500);
    for (row, record) in rows.lines().zip(&records) {
        assert_eq!(row, record);
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_that_is_split_keeps_every_part_with_its_row() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    job.stack.query("ALTER TABLE t ADD CONSTRAINT c CHECK id != 321").await?;
    let mut records: Vec<String> = (0..500).map(full).collect();
    job.produce(records.iter().map(String::as_str)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (499, 1));
    records.remove(321);
    let rows = job.query("SELECT * FROM t ORDER BY id FORMAT JSONEachRow").await?;
    assert!(rows.lines().eq(records.iter().map(String::as_str)));
    Ok(())
}

const STRICT: &str = "CREATE TABLE t (
    id UInt64, m Map(String, Int8), num Map(UInt8, Nullable(Bool)), uuid Map(UUID, Bool),
    t Tuple(a Int8, b Nullable(String)), u Tuple(Int8, Int8) DEFAULT (1, 2), a Array(Array(Int8)),
    l Array(Tuple(name String, tags Map(String, Array(UInt8)))), dm Map(String, Int8) DEFAULT map('a', 1),
    te Tuple(e Enum8('x' = 1))
) ENGINE = MergeTree ORDER BY id";

fn with(fields: &str) -> Vec<u8> {
    format!(r#"{{"u":[1,2],"dm":{{}},"te":["x"],{fields}}}"#).into_bytes()
}

#[tokio::test]
async fn other_spellings_and_absent_fields_mean_the_same() -> anyhow::Result<()> {
    let mut job = Job::new(STRICT).await?;
    let sent = [
        r#""id":1"#,
        r#""id":2,"m":null,"t":null,"a":null,"l":null"#,
        r#""id":3,"t":[5,null],"l":[["n",{}]],"num":{"7":null}"#,
        r#""id":4,"t":{"extra":[{}],"b":"x","a":5},"uuid":{"123E4567E89B12D3A456426614174000":true}"#,
        r#""id":5,"t":{"a":5},"m":{"\u0061\n":1}"#,
    ];
    job.produce(sent.map(|fields| Message::from(with(fields)))).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (5, 0));
    let found = job.query("SELECT m, num, uuid, t, u, a, l, dm, te FROM t ORDER BY id").await?;
    let uuid = "{'123e4567-e89b-12d3-a456-426614174000':true}";
    let expected = [
        ["{}", "{}", "{}", "(0,NULL)", "[]"],
        ["{}", "{}", "{}", "(0,NULL)", "[]"],
        ["{}", "{7:NULL}", "{}", "(5,NULL)", "[('n',{})]"],
        ["{}", "{}", uuid, "(5,'x')", "[]"],
        [r"{'a\n':1}", "{}", "{}", "(5,NULL)", "[]"],
    ];
    let expected = expected
        .map(|[m, num, uuid, t, l]| [m, num, uuid, t, "(1,2)", "[]", l, "{}", "('x')"].join("\t"));
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_is_dead_lettered_with_its_place() -> anyhow::Result<()> {
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let cases = [
        (with(r#""m":{"a":1,"b/c":300}"#), "out_of_range", "m", "/m/b~1c"),
        (with(r#""m":{"a":null}"#), "null_not_allowed", "m", "/m/a"),
        (with(r#""m":{"a":1,"\u0061":2}"#), "duplicate_key", "m", "/m/a"),
        (with(r#""m":[1]"#), "type_mismatch", "m", "/m"),
        (with(r#""num":{"256":true}"#), "out_of_range", "num", "/num/256"),
        (with(r#""num":{"x":true}"#), "type_mismatch", "num", "/num/x"),
        (with(r#""uuid":{"x":true}"#), "bad_uuid", "uuid", "/uuid/x"),
        (
            with(&format!(r#""uuid":{{"{uuid}":true,"{}":true}}"#, uuid.to_uppercase())),
            "duplicate_key",
            "uuid",
            "/uuid/123E4567-E89B-12D3-A456-426614174000",
        ),
        (with(r#""t":{"b":"x"}"#), "null_not_allowed", "t", "/t/a"),
        (with(r#""t":{"a":1,"a":1}"#), "duplicate_key", "t", "/t/a"),
        (with(r#""t":[1]"#), "type_mismatch", "t", "/t"),
        (with(r#""t":{"a":1,"b":{}}"#), "type_mismatch", "t", "/t/b"),
        (with(r#""a":[[1],[2,300]]"#), "out_of_range", "a", "/a/1/1"),
        (with(r#""a":[[1],null]"#), "null_not_allowed", "a", "/a/1"),
        (with(r#""l":[{"name":"","tags":{"k":[1,2,-3]}}]"#), "out_of_range", "l", "/l/0/tags/k/2"),
        (with(r#""l":[{"name":"","tags":{}},{"tags":{}}]"#), "null_not_allowed", "l", "/l/1/name"),
        // The server would store zeros in the place of the DEFAULT, and refuses a null Enum.
        (br#"{"u":null,"dm":{},"te":["x"]}"#.to_vec(), "null_not_allowed", "u", "/u"),
        (br#"{"u":[1,2],"dm":null,"te":["x"]}"#.to_vec(), "null_not_allowed", "dm", "/dm"),
        (br#"{"u":[1,2],"dm":{},"te":null}"#.to_vec(), "null_not_allowed", "te", "/te"),
    ];
    let mut job = Job::new(STRICT).await?;
    let mut messages = Vec::new();
    for (payload, ..) in &cases {
        let id = messages.len();
        messages.push(Message::from(with(&format!(r#""id":{id},"m":{{"k":{id}}}"#))));
        messages.push(Message::from(payload));
    }
    job.produce(messages).await?;
    let ledger = job.run_to_the_end().await?;
    let bad = cases.len() as u64;
    assert_eq!((ledger.landed, ledger.dead_lettered), (bad, bad));
    let untouched =
        "length(m) = 1 AND m['k'] = id AND empty(a) AND empty(l) AND t.a = 0 AND t.b IS NULL";
    assert_eq!(job.query(&format!("SELECT countIf({untouched}) FROM t")).await?, bad.to_string());

    let letters = job.dead_letters()?;
    for (payload, reason, column, pointer) in &cases {
        let shown = String::from_utf8_lossy(payload);
        let letter = letters.iter().find(|letter| letter.payload.as_ref() == Some(payload));
        let letter = letter.unwrap_or_else(|| panic!("no dead letter of {shown}"));
        let found = (letter.reason(), letter.header("sluicegate.column"));
        assert_eq!(found, (*reason, *column), "of {shown}");
        let place = match pointer.get(1..) == Some(column) {
            true => format!("column `{column}`: "),
            false => format!("column `{column}` at {pointer}: "),
        };
        let message = letter.header("__connect.errors.exception.message");
        assert!(message.starts_with(&place), "{message} of {shown}");
    }
    Ok(())
}
