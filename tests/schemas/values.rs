//! Records by chance: most values of a kind that the column takes, many of them at a border, some of
//! another kind altogether.

use std::fmt::Write as _;

use fastrand::Rng;
use sluicegate::schema::plan::{TablePlan, UnknownField, WhenAbsent, WhenNull};
use sluicegate::schema::source::ColumnSource;
use sluicegate::schema::types::{Element, Kind, Type};

use crate::further;

/// A record of a table. No name that is read stands twice in an object, nor does a key.
pub fn record(rng: &mut Rng, plan: &TablePlan) -> String {
    // Few columns at a time are mutated, so that the verdict hangs on each of them.
    let mutated = [rng.usize(..plan.columns.len()), rng.usize(..plan.columns.len())];
    let is_clean = rng.u8(..4) == 0;
    let mut fields = Vec::new();
    for (at, column) in plan.columns.iter().enumerate() {
        if column.source != ColumnSource::Name {
            continue;
        }
        let rate = if !is_clean && mutated.contains(&at) { 30 } else { 0 };
        let may_lack = !column.is_required
            && (column.when_null != WhenNull::Reject || column.when_absent != WhenAbsent::AsNull);
        if rng.u8(..100) < rate / 3 || (rng.u8(..4) == 0 && may_lack) {
            // Absent, or null.
            let is_null = column.when_null != WhenNull::Reject || rate > 0;
            if is_null && rng.bool() {
                fields.push((column.name.to_string(), "null".to_owned()));
            }
            continue;
        }
        let is_nullable = column.ty.is_nullable && may_lack && column.when_null != WhenNull::Reject;
        let ty = Type { is_nullable, ..column.ty.clone() };
        fields.push((column.name.to_string(), value(rng, &ty, rate)));
    }
    // Where no such field is taken, few records have one.
    let every = if plan.unknown == UnknownField::Reject { 40 } else { 8 };
    if rng.u8(..every) == 0 {
        fields.push(("unwanted".to_owned(), anything(rng)));
    }
    if rng.u8(..every) == 0
        && let Some(column) = plan.columns.iter().find(|column| column.source != ColumnSource::Name)
    {
        fields.push((column.name.to_string(), anything(rng)));
    }
    rng.shuffle(&mut fields);
    object(&fields)
}

fn object(fields: &[(String, String)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    format!("{{{}}}", fields.join(","))
}

pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A value for a type; `rate` in a hundred are at a border or beyond.
fn value(rng: &mut Rng, ty: &Type, rate: u8) -> String {
    let roll = rng.u8(..100);
    if ty.is_nullable && roll < 15 || roll < rate / 8 {
        return "null".to_owned();
    }
    if roll < rate / 4 {
        return anything(rng);
    }
    let is_odd = rng.u8(..100) < rate;
    match &ty.kind {
        Kind::Array(element) => array((0..rng.usize(..4)).map(|_| value(rng, element, rate / 2))),
        Kind::Map(key, item) => map(rng, key, item, rate),
        Kind::Tuple(elements) => tuple(rng, elements, is_odd, rate),
        Kind::Variant(members) | Kind::Dynamic(members) => {
            let member = &members[rng.usize(..members.len())];
            value(rng, member, rate)
        }
        Kind::Json(_) => further::json(rng, is_odd),
        kind => scalar(rng, kind, is_odd),
    }
}

fn array(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

fn map(rng: &mut Rng, key: &Type, item: &Type, rate: u8) -> String {
    let mut members: Vec<(String, String)> = Vec::new();
    for _ in 0..rng.usize(..3) {
        let is_odd = rng.u8(..100) < rate;
        let name = scalar(rng, &key.kind, is_odd);
        let name = serde_json::from_str::<String>(&name).unwrap_or(name);
        // Two texts may be one key; those that start alike are not told apart here.
        if members.iter().all(|(known, _)| is_apart(known, &name)) {
            members.push((name, value(rng, item, rate / 2)));
        }
    }
    object(&members)
}

/// Whether two texts are surely no spellings of one key.
fn is_apart(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    let number = |text: &str| text.parse::<f64>().ok();
    let digits = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>();
    match (number(&one), number(&other)) {
        (Some(one), Some(other)) => (one - other).abs() > 0.5,
        _ if one.len() < 8 && other.len() < 8 => one != other,
        _ => digits(&one) != digits(&other),
    }
}

fn tuple(rng: &mut Rng, elements: &[Element], is_odd: bool, rate: u8) -> String {
    let mut values: Vec<(String, String)> = elements
        .iter()
        .enumerate()
        .map(|(at, element)| {
            let name = element.name.as_deref().map_or((at + 1).to_string(), str::to_owned);
            (name, value(rng, &element.ty, rate / 2))
        })
        .collect();
    let has_names = elements[0].name.is_some();
    if is_odd {
        match rng.u8(..3) {
            0 => drop(values.pop()),
            1 => values.push(("more".to_owned(), anything(rng))),
            _ => {}
        }
    }
    // Without names an object is refused.
    if rng.bool() && (has_names || is_odd) {
        rng.shuffle(&mut values);
        object(&values)
    } else {
        array(values.into_iter().map(|(_, value)| value))
    }
}

fn scalar(rng: &mut Rng, kind: &Kind, is_odd: bool) -> String {
    match kind {
        Kind::Int(kind) => {
            let (low, high) = kind.range();
            integer(rng, low, high, is_odd, kind.is_64_bit())
        }
        Kind::WideInt(kind) => further::wide(rng, *kind, is_odd),
        Kind::BFloat16 if is_odd => further::bfloat(rng),
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => float(rng, is_odd),
        Kind::Ipv4 => further::address_of_4(rng, is_odd),
        Kind::Ipv6 => further::address_of_6(rng, is_odd),
        Kind::Time => further::time(rng, 0, is_odd),
        Kind::Time64 { precision } => further::time(rng, *precision, is_odd),
        Kind::Bool => pick(rng, &["true", "false"]),
        Kind::FixedString(_) if !is_odd => quoted(&text_of(rng, 1).replace("🦀", "c")),
        Kind::Enum(labels, _) if !is_odd => quoted(&labels[rng.usize(..labels.len())]),
        Kind::String | Kind::FixedString(_) | Kind::Enum(..) => text(rng),
        Kind::Uuid => uuid(rng, is_odd),
        Kind::Date | Kind::Date32 => date(rng, is_odd, false, true),
        Kind::DateTime { .. } if rng.u8(..5) == 0 => {
            integer(rng, 0, 4_294_967_295_000, is_odd, false)
        }
        Kind::DateTime64 { .. } if rng.u8(..5) == 0 => {
            let last = *rng.choice(&[10_413_791_999_000, 9_223_372_036_000]).unwrap();
            integer(rng, -2_208_988_800_000, last, is_odd, false)
        }
        Kind::DateTime { .. } => date(rng, is_odd, true, false),
        Kind::DateTime64 { precision, .. } => date(rng, is_odd, true, *precision == 0),
        Kind::Decimal { precision, scale } => decimal(rng, *precision, *scale, is_odd),
        _ => anything(rng),
    }
}

pub fn pick(rng: &mut Rng, texts: &[&str]) -> String {
    texts[rng.usize(..texts.len())].to_owned()
}

fn integer(rng: &mut Rng, low: i128, high: i128, is_odd: bool, may_be_text: bool) -> String {
    let number = match rng.u8(..6) {
        0 => low,
        1 => high,
        2 if is_odd => low - 1,
        3 if is_odd => high + 1,
        2 => rng.i128(-20..20).clamp(low, high) / 10 * 10,
        _ => rng.i128(low..=high),
    };
    // Of a time in milliseconds most columns take whole seconds alone.
    let number = if high > 9_000_000_000 && high < 99_000_000_000_000 && !is_odd {
        number / 1000 * 1000
    } else {
        number
    };
    let text = match rng.u8(..16) {
        0 => format!("{number}.0"),
        1 => format!("{number}.000"),
        2 if number % 1000 == 0 && rng.bool() => format!("{}e3", number / 1000),
        3 if rng.u8(..4) == 0 => format!("{number}e0"),
        4 if is_odd => format!("{number}.5"),
        5 if is_odd => pick(rng, &["-0", "0e5", "1e400", "1e-400", "01", "+1", "1.", "0.0"]),
        _ => number.to_string(),
    };
    let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
    if !is_json || (may_be_text || is_odd) && rng.u8(..3) == 0 { quoted(&text) } else { text }
}

fn float(rng: &mut Rng, is_odd: bool) -> String {
    const ODD: &[&str] = &[
        "340282356779733661637539395458142568447",
        "340282356779733661637539395458142568448",
        "-3.4028235677973366e38",
        "3.4028235e38",
        "1e39",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "-1e309",
        "1e400",
        "1e-400",
        "-0",
        "0.1",
        "5e-324",
    ];
    if is_odd { pick(rng, ODD) } else { format!("{}", f64::from(rng.i32(..)) / 64.0) }
}

fn text_of(rng: &mut Rng, most: usize) -> String {
    let parts = ["", "a", "é", "🦀", "on", "off", "\"", "\\", "\n", "\u{0}", "x", "DEFAULT", " "];
    (0..=rng.usize(..=most)).map(|_| parts[rng.usize(..parts.len())]).collect()
}

fn text(rng: &mut Rng) -> String {
    quoted(&text_of(rng, 3))
}

fn uuid(rng: &mut Rng, is_odd: bool) -> String {
    let digits = format!("{:032x}", rng.u128(..));
    let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let plain = cuts.map(|cut| &digits[cut]).join("-");
    let text = match rng.u8(..6) {
        0 => digits,
        1 => plain.to_uppercase(),
        2 => format!("{{{plain}}}"),
        3 => format!("urn:uuid:{plain}"),
        _ => plain,
    };
    quoted(&if is_odd { spoilt(rng, text) } else { text })
}

/// A text with one character changed, lost or doubled.
pub fn spoilt(rng: &mut Rng, text: String) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = rng.usize(..chars.len());
    match rng.u8(..4) {
        0 => drop(chars.remove(at)),
        1 => chars.insert(at, chars[at]),
        2 => chars[at] = *rng.choice(&['0', '9', '-', 'g', 'é', '٣']).unwrap(),
        _ => return text,
    }
    chars.into_iter().collect()
}

fn date(rng: &mut Rng, is_odd: bool, may_have_time: bool, is_whole: bool) -> String {
    const BORDERS: &[&str] = &[
        "1899-12-31",
        "1900-01-01",
        "1969-12-31",
        "1970-01-01",
        "2106-02-07",
        "2106-02-08",
        "2149-06-06",
        "2149-06-07",
        "2262-04-11",
        "2262-04-12",
        "2299-12-31",
        "2300-01-01",
        "2026-02-29",
        "2024-02-29",
        "1900-02-29",
        "2000-02-29",
        "2100-02-29",
        "2026-04-31",
        "2026-03-29",
        "2026-10-25",
        "2026-00-10",
        "2026-13-01",
        "2026-01-32",
    ];
    const ODD: &[&str] = &[
        "",
        "now",
        "20260301",
        "Mar 1 2026",
        "2026-3-1",
        "2026-03/01",
        "Sun, 1 Mar 2026 10:20:30 +0000",
    ];
    let (year, month, day) = (rng.u16(1971..2105), rng.u8(1..=12), rng.u8(1..=28));
    let mut text = match rng.u8(..4) {
        0 if is_odd => pick(rng, BORDERS),
        1 if is_odd => pick(rng, ODD),
        2 => format!("{year}/{month:02}/{day:02}"),
        _ => format!("{year}-{month:02}-{day:02}"),
    };
    if may_have_time && rng.u8(..4) > 0 || is_odd && rng.u8(..8) == 0 {
        let (hour, minute) = (rng.u8(4..24), rng.u8(..60));
        text += &pick(rng, &["T", " "]);
        write!(text, "{hour:02}:{minute:02}").unwrap();
        if rng.bool() {
            write!(text, ":{:02}", rng.u8(..60)).unwrap();
            let fraction = pick(rng, &["", ".0", ".5", ".123", ".1230000000000", ".12345", ".9"]);
            if !is_whole || is_odd {
                text += &fraction;
            }
        }
        text += &pick(rng, &["", "", "Z", "+01:00", "-0530", "+23:59"]);
        if is_odd {
            text += &pick(rng, &["", "", "", "Z", " ", "+24:00", "+01:60", ".", ":60"]);
            text = text.replace(&format!("{hour:02}:"), &pick(rng, &["02:", "00:", "23:", "24:"]));
        }
    }
    quoted(&if is_odd && !text.is_empty() { spoilt(rng, text) } else { text })
}

fn decimal(rng: &mut Rng, precision: u8, scale: u8, is_odd: bool) -> String {
    let most = usize::from(if is_odd { precision + 2 } else { precision });
    let digits: String = (0..=rng.usize(..most)).map(|_| char::from(rng.u8(b'0'..=b'9'))).collect();
    let behind = usize::from(scale).min(digits.len());
    let (whole, fraction) = digits.split_at(digits.len() - behind);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if rng.u8(..4) == 0 { "-" } else { "" };
    let fraction = if is_odd && rng.bool() {
        format!("{fraction}0{}", rng.u8(..2))
    } else {
        fraction.to_owned()
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let exponent = if rng.u8(..20) == 0 {
        pick(rng, &["e0", "E+1", "e-1", "e400", "e-400"])
    } else {
        String::new()
    };
    let text = format!("{sign}{whole}{point}{fraction}{exponent}");
    if rng.u8(..3) == 0 { quoted(&text) } else { text }
}

/// A value of any kind.
pub fn anything(rng: &mut Rng) -> String {
    const ALL: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "300",
        "1.5",
        "1e3",
        "18446744073709551616",
        "\"\"",
        "\"1\"",
        "\"x\"",
        "\"on\"",
        "\"2026-03-01\"",
        "[]",
        "[1]",
        "[null]",
        "[[]]",
        "{}",
        "{\"a\":1}",
        "{\"a\":null}",
        "[1,\"x\"]",
        "{\"a\":1,\"b/c\":2}",
        "{\"1\":\"a\"}",
        "[[1,null],[2]]",
    ];
    pick(rng, ALL)
}
