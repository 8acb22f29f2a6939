//! Records by chance, each made to cost or to break something.

use std::fmt::Write as _;

use fastrand::Rng;
use sluicegate_tests::{Message, changed};

/// The nesting at which decode refuses a record, and more than any stack holds.
const DEPTHS: &[usize] = &[1, 100, 126, 127, 128, 129, 1_000, 100_000];
const NUMBERS: &[&str] = &[
    "1e999999999",
    "-1e-999999999",
    "18446744073709551616",
    "-170141183460469231731687303715884105729",
    "0.00000000000000000000000000000000000000000000000001",
    "-0",
    "1E400",
    "01",
    "+1",
    "1.",
    ".5",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
];
const TEXTS: &[&str] = &[
    "",
    r"\u0000",
    r"\ud800",
    r"\udfff\ud800",
    r"\u202e\u0007\u001b[31m",
    r"\n2026-01-01T00:00:00Z ERROR forged",
    "'); DROP TABLE t; --",
    "2299-12-31T23:59:60.999999999Z",
    "0000-00-00",
    "on",
    "\u{feff}",
    "🦀🦀🦀",
];

/// What a table makes a record cost.
pub struct Target {
    /// Fields that fill columns.
    pub fields: &'static [&'static str],
    /// Values that a plugin acts on, by the field `do`.
    pub orders: &'static [&'static str],
}

/// A record with this id, which says that it is none of the good ones.
pub fn hostile(rng: &mut Rng, id: u64, target: &Target) -> Message {
    let body = body(rng, id, target);
    let mut message = Message::from(match rng.u8(..10) {
        0 => changed(rng, body.as_bytes()),
        1 => spoilt(rng, body.into_bytes()),
        _ => body.into_bytes(),
    });
    match rng.u8(..40) {
        0 => message.payload = None,
        1 => message.payload = Some(Vec::new()),
        2 => message.headers = headers(rng),
        3 => message.key = Some(bytes(rng)),
        4 => {
            message.timestamp_ms =
                Some(*rng.choice(&[0, 1, i64::MAX / 2, 253_402_300_800_000]).unwrap());
        }
        _ => {}
    }
    message
}

/// Lengths of which few are large: a sweep must not be made of its largest records.
fn length(rng: &mut Rng) -> usize {
    match rng.u16(..1_000) {
        0..5 => large(rng),
        5..50 => rng.usize(2_000..50_000),
        _ => rng.usize(0..300),
    }
}

fn large(rng: &mut Rng) -> usize {
    rng.usize(100_000..900_000)
}

fn body(rng: &mut Rng, id: u64, target: &Target) -> String {
    if let Some(order) = rng.choice(target.orders).filter(|_| rng.u8(..30) == 0) {
        return format!(r#"{{"id":{id},"do":"{order}"}}"#);
    }
    let mut body = format!(r#"{{"id":{id}"#);
    for _ in 0..rng.usize(1..=3) {
        let name = match rng.u8(..5) {
            0 => name(rng),
            _ => (*rng.choice(target.fields).unwrap()).to_owned(),
        };
        let value = if rng.u8(..100) == 0 { dense(rng) } else { value(rng) };
        write!(body, r#","{name}":{value}"#).unwrap();
    }
    if rng.u8(..20) == 0 {
        let count = length(rng) / 8;
        (0..count).for_each(|at| write!(body, r#","f{at}":{at}"#).unwrap());
    }
    body.push('}');
    body
}

fn name(rng: &mut Rng) -> String {
    match rng.u8(..5) {
        0 => "id".to_owned(),
        1 => "k".repeat(length(rng)),
        2 => (*rng.choice(TEXTS).unwrap()).replace('\u{feff}', "."),
        3 => r"\u0069\u0064".to_owned(),
        _ => format!("unknown{}", rng.u32(..)),
    }
}

fn value(rng: &mut Rng) -> String {
    let length = length(rng);
    match rng.u8(..16) {
        0 => deep(rng),
        1 => (*rng.choice(NUMBERS).unwrap()).to_owned(),
        2 => format!("-{}.{}e{}", "9".repeat(length), "1".repeat(length / 2), rng.i32(..)),
        3 => format!(r#""{}""#, rng.choice(TEXTS).unwrap().repeat(1 + length / 40)),
        4 => format!(r#""{}""#, "x".repeat(length)),
        5 => format!(r#""{}""#, r"\u00e9".repeat(length / 6)),
        6 => list(length, "{}"),
        7 => list(length, "null"),
        8 => list(length, "[]"),
        9 => list(length, &list(4, "1")),
        10 => list(length, r#"{"a":1,"1":[{}],"b":"x"}"#),
        11 => members(length, |at| format!(r#""{at}":{}"#, at % 3)),
        12 => members(length, |_| r#""same":1"#.to_owned()),
        13 => members(length, |at| format!(r#""{at:x}":{{"{at}":{{"a":[1,"x",null]}}}}"#)),
        14 => paths(length),
        _ => mixed(rng, length),
    }
}

/// A value of which each few bytes become many.
fn dense(rng: &mut Rng) -> String {
    let length = large(rng);
    match rng.u8(..4) {
        0 | 1 => list(length, "{}"),
        2 => list(length, "[]"),
        _ => paths(length),
    }
}

/// Many values below a long name: the server stores the path of each in full.
fn paths(length: usize) -> String {
    let name = "p".repeat(length / 2);
    format!(r#"{{"{name}":{}}}"#, members(length / 2, |at| format!(r#""{at}":1"#)))
}

fn deep(rng: &mut Rng) -> String {
    let depth = *rng.choice(DEPTHS).unwrap();
    let (open, close) = *rng.choice(&[("[", "]"), (r#"{"a":"#, "}"), (r#"[{"1":"#, "}]")]).unwrap();
    let end = if rng.bool() { close.repeat(depth) } else { String::new() };
    format!("{}1{end}", open.repeat(depth))
}

/// As many elements as fit into a length.
fn list(length: usize, element: &str) -> String {
    format!("[{}]", vec![element; 1 + length / (element.len() + 1)].join(","))
}

fn members(length: usize, member: impl Fn(usize) -> String) -> String {
    let mut object = "{".to_owned();
    for at in 0.. {
        let member = member(at);
        if object.len() + member.len() > length {
            break;
        }
        if at > 0 {
            object.push(',');
        }
        object += &member;
    }
    object.push('}');
    object
}

/// Values of kinds that differ, so that each has a type of its own.
fn mixed(rng: &mut Rng, length: usize) -> String {
    let kinds =
        ["1", "-1", "1.5", r#""x""#, "true", "null", "[1]", "[null,1]", "{}", r#"{"a":[]}"#];
    let elements = (0..=length.min(20_000) / 5).map(|_| *rng.choice(&kinds).unwrap());
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

/// A payload that is no JSON, or no UTF-8.
fn spoilt(rng: &mut Rng, mut body: Vec<u8>) -> Vec<u8> {
    let at = rng.usize(..body.len());
    match rng.u8(..6) {
        0 => body.truncate(at),
        1 => body[at] = *rng.choice(b"\xff\xc0\xed\x00\x1f\xf5").unwrap(),
        2 => body.splice(..0, *b"\xef\xbb\xbf").for_each(drop),
        3 => body.splice(at..at, vec![b' '; length(rng)]).for_each(drop),
        4 => body.extend_from_within(..),
        _ => body = bytes(rng),
    }
    body
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    let length = length(rng);
    (0..length).map(|_| rng.u8(..)).collect()
}

fn headers(rng: &mut Rng) -> Vec<(String, Vec<u8>)> {
    let header = |rng: &mut Rng| match rng.u8(..4) {
        0 => (String::new(), Vec::new()),
        1 => ("sluicegate.reason".to_owned(), b"forged".to_vec()),
        2 => ("failure_reason".to_owned(), bytes(rng)),
        _ => ("h".repeat(length(rng)), b"\x1b[31m\n".to_vec()),
    };
    match rng.u8(..10) {
        0 => vec![(String::new(), Vec::new()); rng.usize(10_000..20_000)],
        _ => (0..rng.usize(1..20)).map(|_| header(rng)).collect(),
    }
}
