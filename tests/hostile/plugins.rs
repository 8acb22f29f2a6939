//! Files by chance that are offered as plugins, each made to cost or to break something.

#![allow(clippy::assigning_clones, reason = "a guest is put together once")]

use std::fmt::Write as _;

use fastrand::Rng;
use serde_json::json;
use sluicegate_tests::{changed, path_of};
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::guest::{ANSWER, Guest, World};

/// A file that is offered as a plugin.
pub struct Offered {
    /// What was done to it.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
    /// What is to become of it, where that is certain.
    pub end: Option<End>,
}

/// What becomes of a file, or of the records that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is loaded by no command.
    Refused,
    /// No host starts with it.
    NotStarted,
    /// The host pauses and names it.
    Paused,
    /// It fails on the record with the mark, alone.
    Isolated,
}

const BUILT: &[&str] = &["passthrough", "redact", "explode", "passthrough-arrow", "enrich"];
type Make = fn(&mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)>;
/// How often each kind comes among a hundred, beside it.
const KINDS: &[(&str, usize, Make)] = &[
    ("cut", 6, cut),
    ("flipped bits", 14, flipped),
    ("moved parts", 8, moved),
    ("noise", 6, noise),
    ("imports", 8, imports),
    ("memory", 6, memory),
    ("many", 6, many),
    ("tables", 4, tables),
    ("sections", 8, sections),
    ("nested", 5, nested),
    ("start", 6, start),
    ("at a record", 10, at_mark),
    ("answers", 7, answers),
    ("plans", 4, plans),
    ("worlds", 2, worlds),
];

/// The file of this number.
pub fn offered(seed: u64, number: usize) -> anyhow::Result<Offered> {
    let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
    // Every kind comes in turn, so that each part of a sweep has all of them.
    let turns: usize = KINDS.iter().map(|(_, share, _)| share).sum();
    let mut turn = number * 37 % turns;
    let (kind, _, make) = KINDS
        .iter()
        .find(|(_, share, _)| {
            let is_it = turn < *share;
            turn = turn.saturating_sub(*share);
            is_it
        })
        .unwrap();
    let (bytes, end) = make(&mut rng)?;
    Ok(Offered { kind, bytes, end })
}

fn built(rng: &mut Rng) -> anyhow::Result<Vec<u8>> {
    let name = format!("{}.wasm", rng.choice(BUILT).unwrap());
    Ok(std::fs::read(path_of("SLUICEGATE_PLUGINS")?.join(name))?)
}

fn world(rng: &mut Rng) -> World {
    if rng.bool() { World::Rows } else { World::Arrow }
}

fn cut(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut bytes = built(rng)?;
    bytes.truncate(rng.usize(..bytes.len()));
    Ok((bytes, None))
}

fn flipped(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut bytes = built(rng)?;
    for _ in 0..1_usize << rng.u8(..7) {
        let at = rng.usize(8..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
    }
    Ok((bytes, None))
}

fn moved(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut bytes = built(rng)?;
    let from = rng.usize(..bytes.len());
    let part = from..(from + rng.usize(1..2_000)).min(bytes.len());
    match rng.u8(..3) {
        0 => drop(bytes.drain(part)),
        1 => bytes[part].fill(rng.u8(..)),
        _ => {
            let (part, to) = (bytes[part].to_vec(), rng.usize(8..bytes.len()));
            bytes.splice(to..to, part).for_each(drop);
        }
    }
    Ok((bytes, None))
}

/// The head of a component, and sections that lie about themselves.
#[allow(clippy::unnecessary_wraps, reason = "as the others")]
fn noise(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let heads: &[&[u8]] = &[
        b"",
        b"\0asm",
        b"\0asm\x01\0\0\0",
        b"\0asm\x0d\0\x01\0",
        b"\0asm\x0e\0\x01\0",
        b"#!/bin/sh\n",
    ];
    let mut bytes = rng.choice(heads).unwrap().to_vec();
    for _ in 0..rng.usize(..40) {
        bytes.push(rng.u8(..14));
        match rng.u8(..3) {
            0 => bytes.extend([0xff, 0xff, 0xff, 0xff, rng.u8(..16)]),
            _ => bytes.push(rng.u8(..100)),
        }
        bytes.extend((0..rng.usize(..100)).map(|_| rng.u8(..)));
    }
    // A component with nothing but noise may be valid, and then exports no world.
    Ok((changed(rng, &bytes), Some(End::Refused)))
}

fn imports(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    let imports = [
        r#"(import "wasi:filesystem/preopens@0.2.0" (instance (export "x" (func))))"#.to_owned(),
        r#"(import "wasi:sockets/network@0.2.0" (instance (export "n" (type (sub resource)))))"#.to_owned(),
        r#"(import "wasi:cli/environment@99.0.0" (instance (export "y" (func))))"#.to_owned(),
        r#"(import "wasi:cli/exit@0.2.0" (instance (export "exit" (func (param "s" string)))))"#.to_owned(),
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result string)))))"#
            .to_owned(),
        r#"(import "sluicegate:plugin/host@0.1.0" (instance (export "shell" (func (param "c" string)))))"#
            .to_owned(),
        r#"(import "sluicegate:plugin/host@7.0.0" (instance (export "log" (func))))"#.to_owned(),
        format!(r#"(import "{}" (func))"#, "a".repeat(rng.usize(1..50_000))),
        format!(r#"(import "url:<https://{}>" (component))"#, "b".repeat(rng.usize(1..5_000))),
        r#"(import "m" (core module (import "e" "f" (func))))"#.to_owned(),
        (0..rng.usize(1..5_000)).fold(String::new(), |mut text, at| {
            write!(text, r#"(import "f{at}" (func))"#).unwrap();
            text
        }),
    ];
    guest.component.clone_from(rng.choice(&imports).unwrap());
    // `plugin inspect` shows what it would be refused for.
    Ok((guest.build()?, Some(End::NotStarted)))
}

fn memory(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable";
    let end = match rng.u8(..6) {
        0 => {
            guest.memory = rng.u32(2_000..=65_536).to_string();
            Some(End::NotStarted)
        }
        1 => {
            guest.module = format!("(data (i32.const {}) \"x\")", rng.u32(2_097_152..u32::MAX / 2));
            Some(End::NotStarted)
        }
        2 => {
            guest.init = grow.to_owned();
            Some(End::NotStarted)
        }
        3 => {
            guest.at_mark = grow.to_owned();
            Some(End::Isolated)
        }
        4 => {
            guest.at_mark =
                "(memory.fill (i32.const 0) (i32.const 255) (i32.const 100000000))".to_owned();
            Some(End::Isolated)
        }
        _ => {
            guest.module = (0..rng.usize(1..50)).map(|_| "(memory 65536)").collect();
            Some(End::Refused)
        }
    };
    Ok((guest.build()?, end))
}

fn many(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    let count = rng.usize(1_000..20_000);
    let part = match rng.u8(..6) {
        0 => "(global (mut i64) (i64.const 1))",
        1 => "(func)",
        2 => "(func (param i32 f64) (result i32) local.get 0)",
        3 => "(type (func (param i32 i32 i32)))",
        4 => "(data \"0123456789\")",
        _ => {
            let locals = "i64 ".repeat(count / 2);
            guest.module = format!("(func (local {locals}))");
            return Ok((guest.build()?, None));
        }
    };
    guest.module = part.repeat(count);
    Ok((guest.build()?, None))
}

fn tables(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    match rng.u8(..4) {
        0 => guest.module = format!("(table {} funcref)", rng.u32(1_000_000..=10_000_000)),
        1 => guest.module = "(table 1000 funcref)".repeat(rng.usize(1..200)),
        2 => {
            guest.module = "(table $t 1 funcref)".to_owned();
            guest.init = "(drop (table.grow $t (ref.null func) (i32.const 2000000000)))".to_owned();
        }
        _ => {
            // A call over subtypes of functions, which once ended the process (RUSTSEC-2026-0570).
            guest.module = "(type $a (sub (func))) (type $b (sub $a (func))) (table $t 1 funcref)
                (func $f (type $b)) (elem (table $t) (i32.const 0) func $f)"
                .to_owned();
            guest.at_mark = "(call_indirect $t (type $a) (i32.const 0))".to_owned();
            return Ok((guest.build()?, Some(End::Refused)));
        }
    }
    Ok((guest.build()?, None))
}

/// An honest component with sections beside it, among them what it says of itself.
fn sections(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut bytes = Guest::new(world(rng)).build()?;
    let mut append = |name: &str, data: &[u8]| {
        CustomSection { name: name.into(), data: data.into() }.append_to_component(&mut bytes);
    };
    let manifest = |name: &str, version: &str| json!({"name": name, "version": version});
    let ours = match rng.u8(..9) {
        0 => "[".repeat(rng.usize(1..1_000_000)),
        1 => "x".repeat(rng.usize(1..3_000_000)),
        2 => manifest("\u{1b}[31m\n2026-01-01 ERROR forged", "\u{7}\u{202e}1").to_string(),
        3 => manifest(&"n".repeat(1_000_000), "1").to_string(),
        4 => manifest("p", &"9".repeat(1_000_000)).to_string(),
        5 => json!({"name": [], "version": {}}).to_string(),
        6 => {
            // Each level doubles what is tried.
            let levels = rng.usize(1..14);
            let rule = (0..levels)
                .fold(json!({"type": "string"}), |rule, _| json!({"anyOf": [rule, rule]}));
            json!({"name": "p", "version": "1", "config_schema": rule}).to_string()
        }
        7 => {
            json!({"name": "p", "version": "1", "config_schema": {"$ref": "https://127.0.0.1:1/"}})
                .to_string()
        }
        _ => {
            let name = "s".repeat(rng.usize(..1_000));
            (0..rng.usize(1..2_000)).for_each(|_| append(&name, &[7; 1_000]));
            append("component-name", &[0xff; 100]);
            append("name", &vec![0; 100_000]);
            manifest("p", "1").to_string()
        }
    };
    append("sluicegate:plugin", ours.as_bytes());
    Ok((bytes, None))
}

fn nested(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    let depth = 1 << rng.u8(1..16);
    match rng.u8(..4) {
        0 => guest.module = format!("(func {} {})", "block ".repeat(depth), "end ".repeat(depth)),
        // The reader of the text follows its depth, so few are enough.
        1 => {
            let depth = depth.min(90);
            guest.component = format!("{}{}", "(component ".repeat(depth), ")".repeat(depth));
        }
        2 => {
            guest.component =
                (0..depth.min(20_000)).fold("(type $t0 u8)".to_owned(), |mut text, at| {
                    write!(text, "(type $t{} (list $t{at}))", at + 1).unwrap();
                    text
                });
        }
        _ => {
            // The size of the last type doubles with each.
            guest.component =
                (0..depth.min(200)).fold("(type $t0 u8)".to_owned(), |mut text, at| {
                    write!(text, "(type $t{} (tuple $t{at} $t{at}))", at + 1).unwrap();
                    text
                });
        }
    }
    Ok((guest.build()?, None))
}

/// Code that does not come back.
fn fatal(rng: &mut Rng) -> String {
    const CODES: &[&str] = &[
        "unreachable",
        "(loop $ever (br $ever))",
        "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        "(drop (i32.load (i32.const -4)))",
        "(call $deep)",
        "(loop $ever (drop (memory.grow (i32.const 0))) (br $ever))",
        "(loop $ever (memory.fill (i32.const 200000) (i32.const 1) (i32.const 100000)) (br $ever))",
    ];
    (*rng.choice(CODES).unwrap()).to_owned()
}

const DEEP: &str = "(func $deep (call $deep) (call $deep))";

fn start(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    let code = fatal(rng);
    guest.module = DEEP.to_owned();
    match rng.u8(..3) {
        0 => write!(guest.module, "(func $start {code}) (start $start)")?,
        1 => guest.init = code,
        _ => guest.realloc = code,
    }
    Ok((guest.build()?, Some(End::NotStarted)))
}

fn at_mark(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    guest.module = DEEP.to_owned();
    guest.at_mark = fatal(rng);
    Ok((guest.build()?, Some(End::Isolated)))
}

/// Lists that are not there, of lengths that they do not have.
fn answers(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(world(rng));
    let length = *rng.choice(&[u32::MAX, 1 << 30, 100_000_000, 1_000_000]).unwrap();
    let stores = match rng.u8(..5) {
        // Neither `ok` nor `err`.
        0 => vec![(0, rng.u32(2..256))],
        // An error whose text is not there.
        1 => vec![(0, 1), (4, rng.u32(..)), (8, rng.u32(1 << 20..))],
        // An error that is no text.
        2 => vec![(0, 1), (4, ANSWER + 64), (8, 4), (64, u32::MAX)],
        _ => vec![(4, ANSWER), (8, length)],
    };
    for (at, value) in stores {
        let (at, value) = (ANSWER + at, value.cast_signed());
        write!(guest.at_mark, "(i32.store (i32.const {at}) (i32.const {value}))")?;
    }
    write!(guest.at_mark, "(return (i32.const {ANSWER}))")?;
    Ok((guest.build()?, Some(End::Isolated)))
}

fn plans(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let mut guest = Guest::new(World::Arrow);
    let count = rng.usize(20_000..400_000);
    let types = [
        "FixedString(2147483647)".to_owned(),
        format!("Tuple({})", vec!["Int8"; count].join(",")),
        format!("{}Int8{}", "Array(".repeat(count), ")".repeat(count)),
        format!("Tuple({})", vec!["FixedString(16777216)"; 100].join(",")),
        format!(
            "Enum16({})",
            (0..count).map(|at| format!("'{at}'={at}")).collect::<Vec<_>>().join(",")
        ),
        "x".repeat(count),
        format!("Nested({})", vec!["a Int8"; count].join(",")),
    ];
    let types: Vec<&String> = match rng.u8(..3) {
        0 => vec![&types[0]; rng.usize(1..2_000)],
        _ => vec![rng.choice(&types).unwrap()],
    };
    let fields = types.iter().enumerate().map(|(at, ty)| (format!("f{at}"), (*ty).clone()));
    guest.fields = fields.collect();
    guest.memory = "200".to_owned();
    Ok((guest.build()?, Some(End::Paused)))
}

fn worlds(rng: &mut Rng) -> anyhow::Result<(Vec<u8>, Option<End>)> {
    let guest = Guest::new(world(rng));
    let text = match rng.u8(..4) {
        0 => Guest { version: "0.2.0".to_owned(), ..guest }.text(),
        1 => guest.text().replace("sluicegate:plugin/lifecycle", "sluicegate:plugin/lifecycles"),
        2 => guest
            .text()
            .replace("sluicegate:plugin/rows", "sluicegate:plugin/columns")
            .replace("sluicegate:plugin/arrow", "sluicegate:plugin/columns"),
        _ => guest.text().replace("(param \"config\" string)", "(param \"config\" (list u8))"),
    };
    Ok((wat::parse_str(text)?, Some(End::NotStarted)))
}
