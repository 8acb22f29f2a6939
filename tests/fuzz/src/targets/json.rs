//! A record: the parser against `serde_json`, and decode against its slower twin.
//!
//! - The parser takes an array if and only if `serde_json` does and it nests at most 127 deep, and finds the
//!   same elements.
//! - Decode and `seed_path` agree on rows and rejections, with COERCION=lenient too.
//! - A record that is taken is JSON, and a bad record leaves its neighbours alone.

use std::sync::LazyLock;

use serde_json::value::RawValue;
use sluicegate::decode::{decode, each_part, seed_path};
use sluicegate::flow::parts::without_mark;
use sluicegate::flow::rejection::Reason;
use sluicegate::schema::plan::{Rules, TablePlan};

use super::{ensure, outcome_of, plan_of};

/// One column for each way to read a value.
pub const COLUMNS: &[(&str, &str)] = &[
    ("i", "Int8"),
    ("u", "UInt64"),
    ("w", "Nullable(Int256)"),
    ("f", "Float64"),
    ("b", "Bool"),
    ("s", "String"),
    ("c", "LowCardinality(Nullable(String))"),
    ("d", "Date"),
    ("t", "DateTime64(3, 'UTC')"),
    ("id", "UUID"),
    ("p", "Decimal(10, 2)"),
    ("e", "Enum8('on' = 1, 'off' = 2)"),
    ("a", "Array(Nullable(Int16))"),
    ("m", "Map(String, Array(Float32))"),
    ("x", "Tuple(y Int8, z Nullable(String))"),
    ("j", "JSON"),
    ("v", "Variant(Array(Int8), Bool, Int64, UUID)"),
];

/// A record that every column of which is absent, but for one.
const GOOD: &[u8] = br#"{"i":7}"#;

static PLANS: LazyLock<Result<[TablePlan; 2], String>> = LazyLock::new(|| {
    let lenient = Rules { is_lenient: true, ..Rules::default() };
    Ok([plan_of(COLUMNS, &Rules::default())?, plan_of(COLUMNS, &lenient)?])
});

/// See the module.
pub fn run(input: &[u8]) -> Result<u64, String> {
    parts(input)?;
    let mut outcomes = Vec::new();
    for plan in PLANS.as_ref().map_err(Clone::clone)? {
        outcomes.push(record(plan, input)?);
    }
    Ok(outcome_of(&outcomes))
}

fn parts(input: &[u8]) -> Result<(), String> {
    let mut found = Vec::new();
    let read = each_part(input, |part| found.push(part));
    let Ok(text) = std::str::from_utf8(without_mark(input)) else {
        return ensure(read.is_err(), || "text that is no UTF-8 was read".to_owned());
    };
    let blanks = [' ', '\n', '\t', '\r'];
    if !text.trim_start_matches(blanks).starts_with('[') {
        let whole = text.trim_matches(blanks).as_bytes();
        return ensure(found == [whole], || format!("parts of {text:?}: {found:?}"));
    }
    let oracle: Result<Vec<&RawValue>, _> = serde_json::from_str(text);
    match (read, oracle) {
        (Ok(()), Ok(oracle)) => {
            let oracle: Vec<&[u8]> = oracle.iter().map(|value| value.get().as_bytes()).collect();
            ensure(found == oracle, || format!("elements {found:?}, serde_json finds {oracle:?}"))
        }
        (Err(fault), Ok(_)) => ensure(fault.reason == Reason::TooDeep, || {
            format!("refused as {fault}, and serde_json reads it")
        }),
        (Ok(()), Err(error)) => Err(format!("read, and serde_json refuses it: {error}")),
        (Err(_), Err(_)) => Ok(()),
    }
}

/// Reads the record between two good ones, both ways.
fn record(plan: &TablePlan, input: &[u8]) -> Result<Vec<String>, String> {
    let payloads = || (0..).zip([GOOD, input, GOOD]);
    let (rows, oracle) = (decode(plan, payloads()), seed_path(plan, payloads()));
    ensure(rows.rejections == oracle.rejections, || {
        format!("{:?}, by serde {:?}", rows.rejections, oracle.rejections)
    })?;
    ensure(rows.origins == oracle.origins, || "other rows than by serde".to_owned())?;
    ensure(rows.absent == oracle.absent, || "other absent fields than by serde".to_owned())?;
    // Of a record that nests too deep the parser has noted fields before it finds that out.
    let is_too_deep = rows.rejections.iter().any(|one| one.fault.reason == Reason::TooDeep);
    ensure(is_too_deep || rows.noticed == oracle.noticed, || {
        format!("noticed {:?}, by serde {:?}", rows.noticed, oracle.noticed)
    })?;
    ensure(rows.batch == oracle.batch, || "other values than by serde".to_owned())?;
    let taken = rows.origins.contains(&1);
    ensure(taken == rows.rejections.is_empty(), || "neither taken nor rejected".to_owned())?;
    ensure(rows.origins.contains(&0) && rows.origins.contains(&2), || {
        format!("a neighbour is lost: {:?}", rows.origins)
    })?;
    if taken {
        let is_json = serde_json::from_slice::<&RawValue>(without_mark(input)).is_ok();
        ensure(is_json, || "taken, and no JSON".to_owned())?;
    }
    let rejected = rows.rejections.iter().map(|rejection| {
        let fault = &rejection.fault;
        format!("{} {:?} {} {}", fault.reason, fault.column, fault.expected, fault.got_kind)
    });
    Ok(rejected.chain([format!("{:?}", rows.absent)]).collect())
}
