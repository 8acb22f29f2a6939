//! Clicks: nine flat columns, small records.

use std::io::Write as _;

use fastrand::Rng;
use sluicegate::cli::telemetry::Broken;

/// Nine flat columns.
pub const COLUMNS: &str = "
    at DateTime64(3, 'UTC'),
    session UUID,
    user_id UInt64,
    page String,
    country LowCardinality(String),
    device Enum8('phone' = 1, 'tablet' = 2, 'desktop' = 3),
    x UInt16,
    y UInt16,
    referrer Nullable(String)";

/// The columns without which a record is worth nothing.
pub const REQUIRED: &str = "at,session,user_id";

/// The record of a number.
pub fn write(
    random: &mut Rng,
    number: u64,
    broken: Option<Broken>,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let is = |way| broken == Some(way);
    let session = uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid();
    let session = session.to_string();
    let session =
        if is(Broken::BadUuid) { session.get(..20).unwrap_or_default() } else { &session };
    let day = if is(Broken::BadDate) {
        "02-30".to_owned()
    } else {
        format!("03-{:02}", number / 86_400 % 28 + 1)
    };
    let (hour, minute, second) = (number / 3_600 % 24, number / 60 % 60, number % 60);
    let millis = random.u16(0..1_000);
    write!(
        out,
        r#"{{"at":"2026-{day}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z","session":"{session}","#
    )?;
    let user = random.u32(1..5_000_000);
    match broken {
        Some(Broken::Missing) => {}
        Some(Broken::Null) => write!(out, r#""user_id":null,"#)?,
        Some(Broken::WrongType) => write!(out, r#""user_id":"u-{user}","#)?,
        _ => write!(out, r#""user_id":{user},"#)?,
    }
    let country = random.choice(["DE", "FR", "NL", "PL"]).unwrap_or_default();
    let known = random.choice(["phone", "tablet", "desktop"]).unwrap_or_default();
    let device = if is(Broken::UnknownLabel) { "fridge" } else { known };
    let x = if is(Broken::OutOfRange) { 70_000 } else { random.u32(0..4_000) };
    write!(
        out,
        r#""page":"/shop/item-{}","country":"{country}","device":"{device}","x":{x},"y":{}"#,
        random.u16(..),
        random.u16(0..3_000)
    )?;
    if random.bool() {
        write!(out, r#","referrer":"/shop/list-{}""#, random.u8(..))?;
    }
    out.push(b'}');
    Ok(())
}
