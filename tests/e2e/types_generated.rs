//! Generated values of every type, alone and within others, through each way in that the server has:
//! what is selected is what was sent.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Context as _;
use chrono::{DateTime, Days, NaiveDate};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use sluicegate_tests::Job;

use crate::types::{SETTINGS, columns};

/// A value as JSON, and as JSONEachRow prints it.
type Sample = (String, String);

/// A type, its values, and the wrappers that ClickHouse allows around it.
struct Scalar {
    ty: &'static str,
    values: BoxedStrategy<Sample>,
    is_low_cardinality: bool,
    is_key: bool,
    is_nullable: bool,
}

fn same(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Sample> {
    text.prop_map(|text| (text.clone(), text)).boxed()
}

fn shown<T: std::fmt::Display + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Sample> {
    same(value.prop_map(|value| value.to_string()))
}

fn quoted<T: std::fmt::Display + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Sample> {
    same(value.prop_map(|value| format!("\"{value}\"")))
}

/// Sometimes as a string.
fn or_string(values: BoxedStrategy<Sample>) -> BoxedStrategy<Sample> {
    let or_string = |((sent, printed), is_string)| match is_string {
        true => (format!("\"{sent}\""), printed),
        false => (sent, printed),
    };
    (values, any::<bool>()).prop_map(or_string).boxed()
}

/// Numbers that every printer of floats writes alike.
fn fractions(parts: f64, of: impl Strategy<Value = i32> + 'static) -> BoxedStrategy<Sample> {
    shown(of.prop_map(move |count| f64::from(count) / parts))
}

fn decimals(whole: usize, fraction: usize) -> BoxedStrategy<Sample> {
    let text = format!(
        "-?[1-9][0-9]{{0,{}}}(\\.[0-9]{{0,{}}}[1-9])?",
        whole - 1,
        fraction.saturating_sub(1)
    );
    let text = proptest::string::string_regex(&text).unwrap();
    let zeros = text.prop_map(|printed| match printed.contains('.') {
        true => (format!("{printed}e0"), printed),
        false => (format!("{printed}.0"), printed),
    });
    or_string(zeros.boxed())
}

fn uuids() -> BoxedStrategy<Sample> {
    let dashed = |value: u128| {
        let hex = format!("{value:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    };
    let sample = move |value: u128| {
        let printed = format!("\"{}\"", dashed(value));
        (printed.to_uppercase(), printed)
    };
    any::<u128>().prop_map(sample).boxed()
}

fn dates(days: std::ops::Range<i32>) -> BoxedStrategy<Sample> {
    let date = |days: i32| {
        let (epoch, count) = (NaiveDate::default(), Days::new(days.unsigned_abs().into()));
        if days < 0 { epoch - count } else { epoch + count }
    };
    quoted(days.prop_map(date))
}

fn times(layout: &'static str, nanos: std::ops::Range<i64>, step: i64) -> BoxedStrategy<Sample> {
    let time = move |nanos: i64| DateTime::from_timestamp_nanos(nanos / step * step).format(layout);
    quoted(nanos.prop_map(move |nanos| time(nanos).to_string()))
}

/// `layout` of the part of a second.
fn spans(precision: u32) -> BoxedStrategy<Sample> {
    let ticks = 10_i64.pow(precision);
    let span = move |count: i64| {
        let (seconds, part) = (count.abs() / ticks, count.abs() % ticks);
        let sign = if count < 0 { "-" } else { "" };
        let clock =
            format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        match precision {
            0 => clock,
            _ => format!("{clock}.{part:0width$}", width = precision as usize),
        }
    };
    quoted((-3_600_000 * ticks + 1..3_600_000 * ticks).prop_map(span))
}

fn fixed() -> BoxedStrategy<Sample> {
    let sample = |text: String| {
        let zeros = "\\u0000".repeat(4 - text.len());
        (format!("\"{text}\""), format!("\"{text}{zeros}\""))
    };
    "[a-z]{0,4}".prop_map(sample).boxed()
}

fn texts() -> BoxedStrategy<String> {
    "[a-zA-Z0-9 éß漢😀\"\\\\\n\t]{0,12}".prop_map(|text| Value::from(text).to_string()).boxed()
}

fn point() -> BoxedStrategy<Sample> {
    let axis = || fractions(8.0, any::<i32>());
    same((axis(), axis()).prop_map(|((x, _), (y, _))| format!("[{x},{y}]")))
}

fn polygon() -> BoxedStrategy<Sample> {
    let list = |values: Vec<Sample>| {
        let texts: Vec<String> = values.into_iter().map(|(text, _)| text).collect();
        format!("[{}]", texts.join(","))
    };
    let ring = same(prop::collection::vec(point(), 0..4).prop_map(list));
    same(prop::collection::vec(ring, 0..3).prop_map(list))
}

#[rustfmt::skip]
fn scalars() -> Vec<Scalar> {
    const SECOND: i64 = 1_000_000_000;
    let scalar = |ty, values, wrappers: &str| Scalar {
        ty,
        values,
        is_low_cardinality: wrappers.contains('l'),
        is_key: wrappers.contains('k'),
        is_nullable: wrappers.contains('n'),
    };
    let big = |regex: &str| same(proptest::string::string_regex(regex).unwrap());
    vec![
        scalar("Int8", shown(any::<i8>()), "lkn"),
        scalar("Int16", shown(any::<i16>()), "lkn"),
        scalar("Int32", shown(any::<i32>()), "lkn"),
        scalar("Int64", or_string(shown(any::<i64>())), "lkn"),
        scalar("UInt8", shown(any::<u8>()), "lkn"),
        scalar("UInt16", shown(any::<u16>()), "lkn"),
        scalar("UInt32", shown(any::<u32>()), "lkn"),
        scalar("UInt64", or_string(shown(any::<u64>())), "lkn"),
        scalar("Int128", or_string(shown(any::<i128>())), "lkn"),
        scalar("UInt128", or_string(shown(any::<u128>())), "lkn"),
        scalar("Int256", or_string(big("-?[1-9][0-9]{0,75}")), "lkn"),
        scalar("UInt256", or_string(big("[1-9][0-9]{0,76}")), "lkn"),
        scalar("Float32", fractions(16.0, -30_000..30_000), "lkn"),
        scalar("Float64", fractions(1024.0, any::<i32>()), "lkn"),
        scalar("BFloat16", fractions(4.0, -127..127), "lkn"),
        scalar("Decimal(9, 4)", decimals(5, 4), "kn"),
        scalar("Decimal(38, 10)", decimals(28, 10), "kn"),
        scalar("Decimal(76, 20)", decimals(56, 20), "kn"),
        scalar("Bool", shown(any::<bool>()), "lkn"),
        scalar("String", same(texts()), "lkn"),
        scalar("FixedString(4)", fixed(), "lkn"),
        scalar("UUID", uuids(), "lkn"),
        scalar("IPv4", quoted(any::<u32>().prop_map(Ipv4Addr::from)), "lkn"),
        // The first group is not zero: where it is, ClickHouse prints an IPv4 address behind more of them.
        scalar("IPv6", quoted((1..=u16::MAX, any::<[u8; 14]>().prop_map(|b| b.map(|b| if b < 128 { 0 } else { b })))
            .prop_map(|(first, rest)| {
                let mut octets = [0; 16];
                octets[..2].copy_from_slice(&first.to_be_bytes());
                octets[2..].copy_from_slice(&rest);
                Ipv6Addr::from(octets)
            })), "lkn"),
        scalar("Enum8('on' = 1, 'off' = 2)", quoted(prop::sample::select(vec!["on", "off"])), "kn"),
        scalar("Enum16('a' = -300, 'b' = 300)", quoted(prop::sample::select(vec!["a", "b"])), "kn"),
        scalar("Date", dates(0..65_536), "lkn"),
        scalar("Date32", dates(-25_567..120_530), "lkn"),
        scalar("DateTime('UTC')", times("%Y-%m-%d %H:%M:%S", 0..4_294_967_296 * SECOND, SECOND), "lkn"),
        scalar("DateTime64(0, 'UTC')", times("%Y-%m-%d %H:%M:%S", -2_208_988_800 * SECOND..i64::MAX, SECOND), "kn"),
        scalar("DateTime64(3, 'UTC')", times("%Y-%m-%d %H:%M:%S%.3f", -2_208_988_800 * SECOND..i64::MAX, 1_000_000), "kn"),
        scalar("DateTime64(9, 'UTC')", times("%Y-%m-%d %H:%M:%S%.9f", -2_208_988_800 * SECOND..i64::MAX, 1), "kn"),
        scalar("Time", spans(0), "lkn"),
        scalar("Time64(3)", spans(3), "kn"),
        scalar("Time64(9)", spans(9), "kn"),
        scalar("IntervalDay", or_string(shown(any::<i64>())), "lkn"),
        scalar("Point", point(), "n"),
        scalar("Polygon", polygon(), ""),
    ]
}

fn or_null(values: BoxedStrategy<Sample>) -> BoxedStrategy<Sample> {
    prop_oneof![1 => Just(("null".to_owned(), "null".to_owned())), 3 => values].boxed()
}

/// Joins samples into one.
fn joined(samples: &[Sample], start: &str, end: &str) -> Sample {
    let join = |of: fn(&Sample) -> &String| {
        let texts: Vec<&str> = samples.iter().map(|sample| of(sample).as_str()).collect();
        format!("{start}{}{end}", texts.join(","))
    };
    (join(|sample| &sample.0), join(|sample| &sample.1))
}

/// A type alone and within others: each a column's type and its values.
fn wrapped(scalar: &Scalar) -> Vec<(String, BoxedStrategy<Sample>)> {
    let Scalar { ty, values, is_low_cardinality, is_key, is_nullable } = scalar;
    let mut columns = vec![((*ty).to_owned(), values.clone())];
    let (element, elements) = match is_nullable {
        true => (format!("Nullable({ty})"), or_null(values.clone())),
        false => ((*ty).to_owned(), values.clone()),
    };
    if *is_nullable {
        columns.push((element.clone(), elements.clone()));
    }
    if *is_low_cardinality {
        columns.push((format!("LowCardinality({ty})"), values.clone()));
        columns.push((format!("LowCardinality({element})"), elements.clone()));
        let map = values.clone().prop_map(|value| joined(&[value], "{\"k\":[", "]}"));
        columns.push((format!("Map(String, Array(LowCardinality({ty})))"), map.boxed()));
    }
    let list = prop::collection::vec(elements.clone(), 0..4);
    let list = list.prop_map(|list| joined(&list, "[", "]")).boxed();
    columns.push((format!("Array({element})"), list.clone()));
    let row = (values.clone(), list, elements).prop_map(|(a, b, c)| joined(&[a, b, c], "[", "]"));
    let rows = prop::collection::vec(row, 0..3).prop_map(|rows| joined(&rows, "[", "]"));
    columns.push((format!("Array(Tuple({ty}, Array({element}), {element}))"), rows.boxed()));
    if *is_key {
        let keyed = values.clone().prop_map(|(_, key)| {
            let key = format!("\"{}\"", key.trim_matches('"'));
            (format!("{{{key}:1}}"), format!("{{{key}:1}}"))
        });
        // A text that ends in a quote keeps it.
        let keyed = keyed
            .prop_filter("quotes within", |(sent, _)| serde_json::from_str::<Value>(sent).is_ok());
        columns.push((format!("Map({ty}, UInt8)"), keyed.boxed()));
    }
    columns
}

/// An object that ClickHouse's JSON keeps as it is, but for the order of its members.
fn objects(texts: BoxedStrategy<String>, mixed: &'static str) -> BoxedStrategy<Sample> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i32>().prop_map(|number| (f64::from(number) / 8.0 + 0.0625).to_string()),
        any::<bool>().prop_map(|value| value.to_string()),
        texts.clone(),
    ];
    let list = prop::collection::vec(texts, 0..3).prop_map(|list| format!("[{}]", list.join(",")));
    let leaf = prop_oneof![4 => scalar, 1 => list, 1 => Just(mixed.to_owned())];
    let members = |value| {
        let members = prop::collection::btree_map("[a-z]{1,3}", value, 1..4);
        members.prop_map(|members| {
            let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        })
    };
    same(members(leaf.prop_recursive(3, 8, 3, members).boxed()))
}

/// Columns of JSON, alone and within others.
fn json(objects: &BoxedStrategy<Sample>) -> Vec<(String, BoxedStrategy<Sample>)> {
    let list = prop::collection::vec(or_null(objects.clone()), 0..3);
    let typed = (any::<u8>(), dates(-25_567..120_530), times("%F %T%.3f", 0..i64::MAX, 1_000_000));
    let typed = typed.prop_map(|(a, (d, _), (t, _))| {
        format!("{{\"p\":{{\"a\":{a}}},\"d\":{d},\"l\":[null,{a}],\"t\":{t},\"x\":[true]}}")
    });
    vec![
        ("JSON".into(), objects.clone()),
        ("Nullable(JSON)".into(), or_null(objects.clone())),
        ("Array(Nullable(JSON))".into(), list.prop_map(|l| joined(&l, "[", "]")).boxed()),
        (
            "Map(String, JSON)".into(),
            objects.clone().prop_map(|object| joined(&[object], "{\"k\":", "}")).boxed(),
        ),
        (
            "JSON(p.a UInt8, d Date32, l Array(Nullable(Int64)), t DateTime64(3, 'UTC'))".into(),
            same(typed),
        ),
    ]
}

fn dynamics() -> BoxedStrategy<Sample> {
    let float = || any::<i32>().prop_map(|number| (f64::from(number) / 8.0 + 0.0625).to_string());
    let list = |values: BoxedStrategy<Sample>| {
        let list = prop::collection::vec(or_null(values), 1..4);
        list.prop_map(|list| joined(&list, "[", "]")).boxed()
    };
    let number = || shown(any::<i64>());
    or_null(
        prop_oneof![
            number(),
            same(float()),
            shown(any::<bool>()),
            same(texts()),
            list(number()),
            list(same(float())),
            list(same(texts())),
        ]
        .boxed(),
    )
}

fn variants() -> BoxedStrategy<Sample> {
    let map =
        ("[a-z]{1,3}", any::<i8>()).prop_map(|(name, value)| format!("{{\"{name}\":{value}}}"));
    let list = prop::collection::vec(shown(any::<i8>()), 0..3);
    or_null(
        prop_oneof![
            shown(any::<i64>()),
            same(texts()),
            uuids(),
            dates(-25_567..120_530),
            same(map),
            list.prop_map(|list| joined(&list, "[", "]")),
        ]
        .boxed(),
    )
}

const VARIANT: &str = "Variant(Array(Int8), Date32, Int64, Map(String, Int8), String, UUID)";
/// What the server would rewrite if it took texts for times, or booleans for numbers.
const TIMES: &[&str] = &["\"2026-3-1\"", "\"2026-02-30 25:00:00\"", "\"2026-03-01 10:00:00.5\""];

/// Rows of generated values, each with what is printed of its columns.
fn generated(
    rows: usize,
    types: &[(String, BoxedStrategy<Sample>)],
) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[26; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut row = |id: usize| {
        let (mut fields, mut printed) = (vec![format!("\"id\":{id}")], Vec::new());
        for (at, (_, values)) in types.iter().enumerate() {
            let value = values.new_tree(&mut runner).map_err(anyhow::Error::msg)?;
            let (sent, text) = value.current();
            fields.push(format!("\"c{at}\":{sent}"));
            printed.push(text);
        }
        Ok((format!("{{{}}}", fields.join(",")), printed))
    };
    (0..rows).map(&mut row).collect()
}

/// The members of an object are printed in an order of their own.
fn is_same(ty: &str, found: &str, printed: &str) -> anyhow::Result<bool> {
    let value = |text| serde_json::from_str::<Value>(text);
    Ok(found == printed || (ty.contains("JSON") && value(found)? == value(printed)?))
}

/// Sends generated rows into a table of every type and these further columns, of which ClickHouse
/// refuses one, so that batches are cut in pieces; then compares. Bodies go as CLICKHOUSE_COMPRESSION
/// says.
async fn round_trip(
    compression: &str,
    further: Vec<(String, BoxedStrategy<Sample>)>,
) -> anyhow::Result<()> {
    const ROWS: usize = 120;
    const REFUSED: usize = 77;
    let types: Vec<_> = scalars().iter().flat_map(wrapped).chain(further).collect();
    let columns_of: Vec<String> =
        types.iter().enumerate().map(|(at, (ty, _))| format!("c{at} {ty}")).collect();
    let create = format!(
        "CREATE TABLE t (id UInt64, {}, CONSTRAINT c CHECK id != {REFUSED}) \
         ENGINE = MergeTree ORDER BY id SETTINGS {SETTINGS}",
        columns_of.join(", ")
    );
    let mut job = Job::new(&create).await?.with("CLICKHOUSE_COMPRESSION", compression);
    let mut rows = generated(ROWS, &types)?;
    job.produce(rows.iter().map(|(record, _)| record.as_str())).await?;
    let ledger = job.run_to_the_end().await?;
    let letters = job.dead_letters()?;
    let wrong = letters.iter().find(|letter| letter.reason() != "insert_refused");
    assert!(wrong.is_none(), "{wrong:?}");
    assert_eq!((ledger.landed, ledger.dead_lettered), (ROWS as u64 - 1, 1));

    rows.remove(REFUSED);
    let selected = job.query("SELECT * FROM t ORDER BY id FORMAT JSONEachRow").await?;
    assert_eq!(selected.lines().count(), rows.len());
    for (line, (record, printed)) in selected.lines().zip(&rows) {
        let found = columns(line);
        for (at, ((ty, _), printed)) in types.iter().zip(printed).enumerate() {
            let found = found.get(&*format!("c{at}")).context("a column")?;
            assert!(is_same(ty, found, printed)?, "{ty}: {found}, expected {printed} of {record}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn generated_values_of_every_type_come_back() -> anyhow::Result<()> {
    round_trip("none", Vec::new()).await
}

#[tokio::test]
async fn generated_values_of_every_type_come_back_from_compressed_bodies() -> anyhow::Result<()> {
    round_trip("lz4", Vec::new()).await
}

#[tokio::test]
async fn generated_json_comes_back_with_its_texts_and_booleans() -> anyhow::Result<()> {
    let texts = prop_oneof![texts(), prop::sample::select(TIMES.to_vec()).prop_map(String::from)];
    let objects = objects(texts.boxed(), "[true,1,\"x\",1.5,null,{\"a\":false}]");
    round_trip("none", json(&objects)).await
}

#[tokio::test]
async fn generated_values_of_several_types_come_back_beside_json() -> anyhow::Result<()> {
    let list = prop::collection::vec(dynamics(), 0..4).prop_map(|list| joined(&list, "[", "]"));
    let tuple = (dynamics(), variants()).prop_map(|(a, b)| joined(&[a, b], "[", "]"));
    let objects = objects(texts(), "[1,\"x\",1.5,null,{\"a\":false}]");
    let unions = vec![
        ("Dynamic".into(), dynamics()),
        (VARIANT.into(), variants()),
        ("Array(Dynamic)".into(), list.boxed()),
        (format!("Tuple(Dynamic, {VARIANT})"), tuple.boxed()),
    ];
    round_trip("none", json(&objects).into_iter().chain(unions).collect()).await
}

/// Types that a Variant takes as they are.
const MEMBERS: &[&str] = &[
    "Int8",
    "Int64",
    "UInt16",
    "Float32",
    "Float64",
    "Bool",
    "String",
    "FixedString(4)",
    "UUID",
    "Date32",
    "Decimal(9, 4)",
    "DateTime64(3, 'UTC')",
    "Time64(9)",
];

/// A type that a Variant takes, with others within it; `choice` chooses below a bound.
fn nested(choice: &mut impl FnMut(usize) -> usize, depth: u32) -> (String, BoxedStrategy<Sample>) {
    let named = |names: &'static [&'static str], samples: Vec<Sample>| {
        let member = |(name, (sent, printed)): (&&str, Sample)| {
            (format!("\"{name}\":{sent}"), format!("\"{name}\":{printed}"))
        };
        joined(&names.iter().zip(samples).map(member).collect::<Vec<_>>(), "{", "}")
    };
    match if depth == 0 { 4 + choice(2) } else { choice(6) } {
        0 => {
            let (ty, values) = nested(choice, depth - 1);
            let list = prop::collection::vec(values, 0..3).prop_map(|l| joined(&l, "[", "]"));
            (format!("Array({ty})"), list.boxed())
        }
        1 => {
            let (ty, values) = nested(choice, depth - 1);
            let map =
                prop::collection::vec(values, 0..2).prop_map(move |values| named(&["k"], values));
            (format!("Map(String, {ty})"), map.boxed())
        }
        2 => {
            let ((a, first), (b, second)) = (nested(choice, depth - 1), nested(choice, depth - 1));
            let pair = (first, second).prop_map(move |(a, b)| named(&["a", "b c"], vec![a, b]));
            (format!("Tuple(a {a}, `b c` {b})"), pair.boxed())
        }
        3 => {
            let ((a, first), (b, second)) = (nested(choice, depth - 1), nested(choice, depth - 1));
            let pair = (first, second).prop_map(|(a, b)| joined(&[a, b], "[", "]"));
            (format!("Tuple({a}, {b})"), pair.boxed())
        }
        leaf => {
            let name = MEMBERS.get(choice(MEMBERS.len())).copied().unwrap();
            let values = scalars().into_iter().find(|scalar| scalar.ty == name).unwrap().values;
            match leaf {
                4 => (name.to_owned(), values),
                _ => (format!("Nullable({name})"), or_null(values)),
            }
        }
    }
}

/// Variants of which each row holds one member, or none, alone and within others.
fn variants_of_all(count: usize) -> Vec<(String, BoxedStrategy<Sample>)> {
    let mut state = 26_usize;
    let mut choice = move |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let variant = |at: usize| {
        let (element, elements) = nested(&mut choice, 2);
        let list = prop::collection::vec(elements, 0..3).prop_map(|l| joined(&l, "[", "]"));
        let ((a, first), (b, second)) = (nested(&mut choice, 2), nested(&mut choice, 1));
        let pair = (first, second).prop_map(|((a, printed_a), (b, printed_b))| {
            let object = |a: &str, b: &str| format!("{{\"a\":{a},\"b\":{b}}}");
            (object(&a, &b), object(&printed_a, &printed_b))
        });
        let members = [
            (format!("Array({element})"), list.boxed()),
            ("Bool".to_owned(), shown(any::<bool>())),
            ("Int64".to_owned(), shown(any::<i64>())),
            ("String".to_owned(), same(texts())),
            (format!("Tuple(a {a}, b {b})"), pair.boxed()),
        ];
        let (types, values): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let (ty, values) = (
            format!("Variant({})", types.join(", ")),
            or_null(proptest::strategy::Union::new(values).boxed()),
        );
        let list = prop::collection::vec(values.clone(), 0..3);
        match at % 4 {
            0 | 1 => (ty, values),
            2 => (format!("Array({ty})"), list.prop_map(|l| joined(&l, "[", "]")).boxed()),
            _ => {
                let keyed = values.prop_map(|value| joined(&[value], "{\"k\":", "}"));
                (format!("Map(String, {ty})"), keyed.boxed())
            }
        }
    };
    (0..count).map(variant).collect()
}

#[tokio::test]
async fn a_variant_of_any_types_keeps_what_each_row_holds() -> anyhow::Result<()> {
    let tuple = |text: &'static str| (text.to_owned(), text.to_owned());
    let of = |values: Vec<Sample>| or_null(prop::sample::select(values).boxed());
    let further = vec![
        (
            "Variant(Tuple(a Int64, b String), String)".to_owned(),
            of(vec![tuple("{\"a\":1,\"b\":\"x\"}"), tuple("\"x\"")]),
        ),
        (
            "Variant(Tuple(Int64, Tuple(Nullable(String), Array(UUID))), String)".to_owned(),
            of(vec![tuple("[1,[\"x\",[]]]"), tuple("[-1,[null,[]]]"), tuple("\"x\"")]),
        ),
        (
            "Nested(a Int8, b Array(Nullable(String)))".to_owned(),
            prop::sample::select(vec![tuple("[]"), tuple("[{\"a\":1,\"b\":[null,\"x\"]}]")])
                .boxed(),
        ),
        (
            "JSON(n Nullable(Int64), l LowCardinality(String), a Array(Array(Nullable(Bool))))"
                .to_owned(),
            prop::sample::select(vec![
                tuple("{\"n\":1,\"l\":\"x\",\"a\":[[null,true],[]],\"o\":[1]}"),
                tuple("{\"n\":null,\"l\":\"\",\"a\":[],\"o\":\"x\"}"),
            ])
            .boxed(),
        ),
    ];
    round_trip("none", variants_of_all(24).into_iter().chain(further).collect()).await
}
