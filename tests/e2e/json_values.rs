//! JSON columns keep each record's values, whatever stands beside it in one INSERT.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Map, Value};
use sluicegate_tests::Job;

/// Splitmix64: the same values with each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(values.len() as u64)).unwrap();
        values.get(at).copied().unwrap()
    }

    fn value(&mut self, scalars: &[&str], depth: u32) -> String {
        match self.below(20) {
            _ if depth == 0 => self.one_of(scalars).to_owned(),
            0..=8 => self.one_of(scalars).to_owned(),
            9..=12 => {
                let scalar = self.one_of(scalars);
                let count = usize::try_from(self.below(3)).unwrap();
                format!("[{}]", vec![scalar; count].join(","))
            }
            13..=16 => {
                let count = self.below(4);
                let values: Vec<_> = (0..count).map(|_| self.value(scalars, depth - 1)).collect();
                format!("[{}]", values.join(","))
            }
            _ => self.object(scalars, depth - 1),
        }
    }

    fn object(&mut self, scalars: &[&str], depth: u32) -> String {
        let names = ["a", "b", "c"];
        let held = self.below(8);
        let mut text = String::from("{");
        for name in names.iter().zip(0..).filter(|(_, bit)| held & (1 << bit) != 0).map(|(n, _)| n)
        {
            let comma = if text.len() > 1 { "," } else { "" };
            write!(text, "{comma}\"{name}\":{}", self.value(scalars, depth)).unwrap();
        }
        text.push('}');
        text
    }
}

/// Values that one type takes and another one does not, or not as they are.
const SCALARS: &[&str] = &[
    "1",
    "-1",
    "0",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551615",
    "0.5",
    "1.0",
    "1e2",
    "null",
    "\"x\"",
    "\"\"",
    "\"5\"",
    "true",
    "false",
    "\"2026-01-01\"",
    "\"10:00:00\"",
];
/// Those of them that a table with a Dynamic takes.
const BESIDE_UNIONS: &[&str] = &[
    "1",
    "-1",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551615",
    "0.5",
    "1.0",
    "null",
    "\"x\"",
    "\"5\"",
];

/// What of an object is stored: a member that is null and an object without members are as absent.
fn stored(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), stored(value)));
            let is_kept =
                |value: &Value| !value.is_null() && value.as_object().is_none_or(|o| !o.is_empty());
            Value::Object(members.filter(|(_, value)| is_kept(value)).collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.iter().map(stored).collect()),
        _ => value.clone(),
    }
}

/// Whether a value is what was sent: numbers by their value, integers to the last digit.
fn is_same(sent: &Value, found: &Value) -> bool {
    match (sent, found) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Number(a), Value::Number(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => sent == found,
    }
}

/// Sends the records, `batch` at a time, and holds every row against its record; rejected is what is
/// told apart by a reason. Gives how many landed.
async fn all_come_back(mut job: Job, records: &[String], batch: usize) -> anyhow::Result<u64> {
    job = job
        .with("NUM_MESSAGES", &batch.to_string())
        .with("BATCH_LINGER_MS", "20000")
        .with("DLQ_MAX_SHARE", "1");
    job.produce(records.iter().map(String::as_str)).await?;
    let ledger = job.run_to_the_end().await?;
    let letters = job.dead_letters()?;
    for letter in &letters {
        let reason = letter.reason();
        let text = letter.header("__connect.errors.exception.message");
        assert!(["out_of_range", "type_mismatch"].contains(&reason), "{reason}: {text}");
    }
    let selected = job.query("SELECT * FROM t ORDER BY id FORMAT JSONEachRow").await?;
    let id = |row: &Value| row.get("id").and_then(Value::as_u64).context("an id");
    let sent: BTreeMap<u64, Value> = records
        .iter()
        .map(|record| {
            let record: Value = serde_json::from_str(record)?;
            Ok((id(&record)?, record))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut landed = 0;
    for line in selected.lines() {
        let found: Value = serde_json::from_str(line)?;
        let sent = sent.get(&id(&found)?).context("a record")?;
        for (column, sent) in sent.as_object().into_iter().flatten() {
            let found = found.get(column).context("a column")?;
            assert!(is_same(&stored(sent), &stored(found)), "sent {sent}\nfound {found}");
        }
        landed += 1;
    }
    assert_eq!((landed, landed + letters.len() as u64), (ledger.landed, records.len() as u64));
    Ok(landed)
}

#[tokio::test]
async fn six_thousand_generated_objects_come_back_as_they_were_sent() -> anyhow::Result<()> {
    let job = Job::new(
        "CREATE TABLE t (id UInt64, plain JSON, few JSON(max_dynamic_paths=2),
         one JSON(max_dynamic_types=1, max_dynamic_paths=1), typed JSON(`z` UInt8),
         list Array(JSON), map Map(String, JSON), maybe Nullable(JSON))
         ENGINE = MergeTree ORDER BY id",
    )
    .await?;
    let mut random = Random(7);
    // In each record one column is in the way of the others, and all are in turn.
    let record = |id: u64| {
        let mut object = || random.object(SCALARS, 4);
        let (a, b) = (object(), object());
        let column = match id % 7 {
            0 => format!("\"few\":{a}"),
            1 => format!("\"one\":{a}"),
            2 => format!("\"typed\":{a}"),
            3 => format!("\"list\":[{a},{b}]"),
            4 => format!("\"map\":{{\"k\":{a},\"l\":{b}}}"),
            5 => format!("\"maybe\":{a}"),
            _ => "\"maybe\":null".to_owned(),
        };
        let others = ["few", "one", "typed"].map(|name| format!("\"{name}\":{{}}"));
        let others: Vec<_> =
            others.into_iter().filter(|other| !column.starts_with(&other[..4])).collect();
        format!("{{\"id\":{id},\"plain\":{b},{},{column}}}", others.join(","))
    };
    let records: Vec<String> = (0..6_000).map(record).collect();
    // The typed path of an object without it is a zero.
    let landed = all_come_back_typed(job, &records, 1_500).await?;
    assert!(landed > 5_000, "{landed}");
    Ok(())
}

/// The same where `typed` is stored with the zero of its path.
async fn all_come_back_typed(job: Job, records: &[String], batch: usize) -> anyhow::Result<u64> {
    let with_zero = |record: &String| {
        let mut record: Value = serde_json::from_str(record).unwrap();
        let typed = record.get_mut("typed").and_then(Value::as_object_mut).unwrap();
        typed.insert("z".to_owned(), 0.into());
        record.to_string()
    };
    let records: Vec<String> = records.iter().map(with_zero).collect();
    all_come_back(job, &records, batch).await
}

#[tokio::test]
async fn generated_objects_come_back_beside_dynamic_values() -> anyhow::Result<()> {
    let job = Job::new(
        "CREATE TABLE t (id UInt64, plain JSON, few JSON(max_dynamic_types=2), list Array(JSON),
         any Dynamic(max_types=2), either Variant(Array(Float64), Array(Int64), String))
         ENGINE = MergeTree ORDER BY id",
    )
    .await?;
    let mut random = Random(11);
    let any = ["1", "9007199254740993", "0.5", "\"x\"", "[0.5]", "[9007199254740993]", "[null]"];
    let either = ["[0.5]", "[9007199254740993]", "\"x\"", "[]", "null"];
    let record = |id: u64| {
        let [plain, few, list] = [(); 3].map(|()| random.object(BESIDE_UNIONS, 3));
        let (any, either) = (random.one_of(&any), random.one_of(&either));
        format!(
            "{{\"id\":{id},\"plain\":{plain},\"few\":{few},\"list\":[{list}],\"any\":{any},\
             \"either\":{either}}}"
        )
    };
    let records: Vec<String> = (0..1_500).map(record).collect();
    let landed = all_come_back(job, &records, 500).await?;
    assert!(landed > 1_200, "{landed}");
    Ok(())
}

/// Values of which the second one would change the first, if it came first.
const PAIRS: &[(&str, &str)] = &[
    ("[9007199254740993]", "[0.5]"),
    ("[18446744073709551615]", "[1.0]"),
    ("[-9007199254740993,null]", "[1,null,0.5]"),
    ("[9007199254740993,\"x\"]", "[0.5,\"x\"]"),
    ("[[9007199254740993]]", "[[1],[0.5]]"),
    ("[{\"b\":[9007199254740993]}]", "[{\"b\":[0.5]}]"),
    ("[null]", "[{}]"),
    ("[null]", "[{\"a\":1}]"),
    ("[null,null]", "[[1]]"),
    ("[null]", "[[]]"),
    ("[{\"a\":1},null]", "[{\"a\":1}]"),
    ("[[null]]", "[[{\"a\":1}]]"),
    ("[{\"a\":[null]}]", "[{\"a\":[{}]}]"),
];

/// Each pair at a path of its own, in both orders.
fn pairs() -> Vec<String> {
    let both = PAIRS.iter().flat_map(|(a, b)| [(a, b), (b, a)]).zip(0..);
    let records = both.flat_map(|((first, second), at)| {
        [first, second].map(|value| format!("\"j\":{{\"p{at}\":{value}}}"))
    });
    records.zip(0..).map(|(field, id)| format!("{{\"id\":{id},{field}}}")).collect()
}

const TABLE: &str = "CREATE TABLE t (id UInt64, j JSON) ENGINE = MergeTree ORDER BY id";

#[tokio::test]
async fn values_that_would_change_each_other_land_in_one_insert() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?;
    let records = pairs();
    job = job.with("NUM_MESSAGES", &records.len().to_string()).with("BATCH_LINGER_MS", "20000");
    job.produce(records.iter().map(String::as_str)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (records.len() as u64, 0));
    assert_eq!(job.stack.inserts("`t`").await?.len(), 1);
    let selected = job.query("SELECT * FROM t ORDER BY id FORMAT JSONEachRow").await?;
    assert_eq!(selected.lines().count(), records.len());
    for (line, record) in selected.lines().zip(&records) {
        let [sent, found] = [record, line].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert!(is_same(&stored(&sent), &stored(&found)), "sent {sent}\nfound {found}");
    }
    Ok(())
}

#[tokio::test]
async fn records_that_must_go_apart_go_in_few_inserts() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("NUM_MESSAGES", "400");
    job = job.with("BATCH_LINGER_MS", "20000");
    let record = |id: u64| {
        let (p, q) = if id.is_multiple_of(2) {
            ("9007199254740993", "0.5")
        } else {
            ("0.5", "9007199254740993")
        };
        format!("{{\"id\":{id},\"j\":{{\"p\":[{p}],\"q\":[{q}]}}}}")
    };
    job.produce((0..400).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (400, 0));
    assert_eq!(job.stack.inserts("`t`").await?.len(), 2);
    let sql = "SELECT countIf(toString(j) LIKE '%9007199254740993%') FROM t";
    assert_eq!(job.query(sql).await?, "400");
    Ok(())
}

#[tokio::test]
async fn records_that_each_go_alone_do_not_hold_up_those_that_go_together() -> anyhow::Result<()> {
    let mut job = Job::new(TABLE).await?.with("NUM_MESSAGES", "300");
    job = job.with("BATCH_LINGER_MS", "20000");
    let record = |id: u64| match id {
        0..40 => format!(
            "{{\"id\":{id},\"j\":{{\"p\":[{{\"v\":[9007199254740993]}},{{\"v\":[0.5]}}]}}}}"
        ),
        _ => format!("{{\"id\":{id},\"j\":{{\"q\":\"a value that goes with any other\"}}}}"),
    };
    job.produce((0..300).map(record)).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (300, 0));
    let inserts = job.stack.inserts("`t`").await?;
    let bytes: Vec<u64> = inserts.iter().map(|insert| insert.body_bytes).collect();
    assert_eq!((bytes.len(), bytes.first()), (40, bytes.iter().max()), "{bytes:?}");
    let sql = "SELECT countIf(toString(j) LIKE '%9007199254740993%') FROM t";
    assert_eq!(job.query(sql).await?, "40");
    Ok(())
}

#[tokio::test]
async fn exactly_once_keeps_the_values_too() -> anyhow::Result<()> {
    let job = Job::new(TABLE).await?.exactly_once(10_000).await?;
    let mut random = Random(13);
    let generated = (1_000..1_400).map(|id| {
        let object = random.object(SCALARS, 3);
        format!("{{\"id\":{id},\"j\":{object}}}")
    });
    let records: Vec<String> = pairs().into_iter().chain(generated).collect();
    let landed = all_come_back(job, &records, 1_000).await?;
    assert!(landed > 400, "{landed}");
    Ok(())
}
