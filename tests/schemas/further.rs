//! Values by chance of the types beyond 64 bits, of addresses, spans of time and JSON.

use fastrand::Rng;
use sluicegate::schema::types::WideInt;

use crate::values::{anything, pick, quoted, spoilt};

/// An integer, at a border or just beyond it half of the time that it is odd.
pub fn wide(rng: &mut Rng, kind: WideInt, is_odd: bool) -> String {
    let (low, high) = kind.digits();
    let number = match rng.u8(..4) {
        0 => low.to_owned(),
        1 => high.to_owned(),
        2 if is_odd => last_digit_up(if rng.bool() && low != "0" { low } else { high }),
        _ => rng.i128(0..).to_string(),
    };
    let text = match rng.u8(..12) {
        0 => format!("{number}.0"),
        1 if rng.u8(..4) == 0 => format!("{number}e0"),
        2 if is_odd => format!("{number}.5"),
        3 if is_odd => pick(rng, &["-0", "-1", "1e400", "1e-400", "0.0", "12e2"]),
        _ => number,
    };
    if rng.u8(..3) == 0 { quoted(&text) } else { text }
}

/// One further from zero; no border ends in a nine.
fn last_digit_up(digits: &str) -> String {
    let (start, last) = digits.split_at(digits.len() - 1);
    format!("{start}{}", last.parse::<u8>().unwrap() + 1)
}

pub fn bfloat(rng: &mut Rng) -> String {
    const ODD: &[&str] = &[
        "339617752923045986637456772423047184383",
        "339617752923045986637456772423047184384",
        "-339617752923045986637456772423047184384",
        "339617752923046005526922703901628039168",
        "3.3895314e38",
        "-3.4e38",
        "1e400",
        "1e-400",
        "0.1",
    ];
    pick(rng, ODD)
}

fn of_4(rng: &mut Rng) -> String {
    let numbers: Vec<String> = (0..4).map(|_| rng.u8(..).to_string()).collect();
    numbers.join(".")
}

pub fn address_of_4(rng: &mut Rng, is_odd: bool) -> String {
    let text = of_4(rng);
    let odd = pick(rng, &["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4.5", "::1", "", "0.0.0.0"]);
    quoted(&match rng.u8(..3) {
        0 if is_odd => odd,
        1 if is_odd => spoilt(rng, text),
        _ => text,
    })
}

pub fn address_of_6(rng: &mut Rng, is_odd: bool) -> String {
    let part = |rng: &mut Rng| format!("{:x}", rng.u16(..));
    let parts =
        |rng: &mut Rng, count: usize| -> Vec<String> { (0..count).map(|_| part(rng)).collect() };
    let text = match rng.u8(..6) {
        0 => of_4(rng),
        1 => format!("{}:{}", parts(rng, 6).join(":"), of_4(rng)),
        2 => parts(rng, 8).join(":").to_uppercase(),
        _ => {
            let before = rng.usize(..7);
            let behind = rng.usize(..=(7 - before));
            let end = if behind >= 2 && rng.bool() {
                let mut end = parts(rng, behind - 2);
                end.push(of_4(rng));
                end
            } else {
                parts(rng, behind)
            };
            format!("{}::{}", parts(rng, before).join(":"), end.join(":"))
        }
    };
    let odd = pick(rng, &["::g", "fe80::1%eth0", "1:2:3:4:5:6:7::8", ":::", "1::2::3", "1:2", ""]);
    quoted(&match rng.u8(..3) {
        0 if is_odd => odd,
        1 if is_odd => spoilt(rng, text),
        _ => text,
    })
}

pub fn time(rng: &mut Rng, digits: u8, is_odd: bool) -> String {
    let sign = pick(rng, &["", "", "-"]);
    let mut text = format!("{sign}{}:{:02}:{:02}", rng.u16(..1000), rng.u8(..60), rng.u8(..60));
    match digits {
        _ if is_odd => text += &pick(rng, &[".1234", ".", ".5", ".1234567891", "Z", ""]),
        0 => text += &pick(rng, &["", ".0", ".000"]),
        _ => text += &pick(rng, &["", ".5", ".123", ".1230000000000"]),
    }
    let odd = pick(rng, &["1000:00:00", "12:60:00", "12:30", "", "5", "-0:00:00"]);
    quoted(&match rng.u8(..3) {
        0 if is_odd => odd,
        1 if is_odd => spoilt(rng, text),
        _ => text,
    })
}

pub fn json(rng: &mut Rng, is_odd: bool) -> String {
    const ALL: &[&str] = &[
        "{}",
        r#"{"a":{"b":255,"c":1.5},"d":"2026-03-01"}"#,
        r#"{"x":[1,"x",{"c":null}],"y":{"z":true}}"#,
        r#"{"a":7}"#,
    ];
    if is_odd {
        return format!(r#"{{"a":{},"d":{}}}"#, anything(rng), anything(rng));
    }
    pick(rng, ALL)
}
