//! Vehicle telemetry: 25 columns, about 500 bytes a record, the same for the same seed; one record
//! in a hundred is broken in one of ten ways.

use std::io::Write as _;

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// The table's name.
pub const TABLE: &str = "vehicle_telemetry";

/// The table.
pub const CREATE_TABLE: &str = "CREATE TABLE vehicle_telemetry (
    event_id UUID,
    event_time DateTime64(3, 'UTC'),
    received_at DateTime('UTC'),
    vehicle_id UInt32,
    trip_id Int64,
    fleet LowCardinality(String),
    region LowCardinality(String),
    gear Enum8('park' = 1, 'reverse' = 2, 'neutral' = 3, 'drive' = 4),
    state Enum8('driving' = 1, 'charging' = 2, 'parked' = 3),
    source Enum8('gateway' = 1, 'phone' = 2),
    latitude Float64,
    longitude Float64,
    altitude_m Float32,
    speed_kmh Float32,
    heading_deg UInt16,
    odometer_m UInt32,
    soc UInt8,
    battery_temp_c Int8,
    charge_price Decimal(12, 4),
    is_moving Bool,
    driver_note Nullable(String),
    cabin_temp_c Nullable(Float32),
    error_code Nullable(UInt16),
    warnings Array(String),
    country FixedString(2)
) ENGINE = MergeTree ORDER BY (vehicle_id, event_time)";

/// The columns that every record must have.
pub const REQUIRED: &str = "event_id,event_time,vehicle_id";

/// The queries at the end.
pub const QUESTIONS: [&str; 2] = [
    "SELECT fleet, count() AS records, round(avg(soc), 1) AS mean_soc, max(speed_kmh) AS top_speed \
     FROM vehicle_telemetry GROUP BY fleet ORDER BY fleet",
    "SELECT state, uniq(vehicle_id) AS vehicles, countIf(error_code IS NOT NULL) AS errors, \
     sum(charge_price) AS charged FROM vehicle_telemetry GROUP BY state ORDER BY state",
];

/// The ways that a record may be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Cut in the middle.
    Truncated,
    /// A second value after it.
    TrailingJunk,
    /// A string in place of a number.
    WrongType,
    /// 300 in a UInt8.
    OutOfRange,
    /// The thirtieth of February.
    BadDate,
    /// A label that is not in the Enum.
    UnknownLabel,
    /// A UUID that is too short.
    BadUuid,
    /// A required field left out.
    Missing,
    /// A required field that is null.
    Null,
    /// A duplicate field.
    Duplicate,
}

impl Broken {
    /// Every way.
    pub const ALL: [Self; 10] = [
        Self::Truncated,
        Self::TrailingJunk,
        Self::WrongType,
        Self::OutOfRange,
        Self::BadDate,
        Self::UnknownLabel,
        Self::BadUuid,
        Self::Missing,
        Self::Null,
        Self::Duplicate,
    ];
}

/// The generator.
pub struct Telemetry {
    random: StdRng,
    broken_share: f64,
    has_mails: bool,
    number: u64,
}

impl Telemetry {
    /// A generator with this share of broken records, 0 to 1.
    pub fn new(seed: u64, broken_share: f64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), broken_share, has_mails: false, number: 0 }
    }

    /// Adds a mail address to each driver's note.
    #[must_use]
    pub fn with_mails(self) -> Self {
        Self { has_mails: true, ..self }
    }

    /// Appends the next record and returns its fault, if it has one.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Option<Broken> {
        let random = &mut self.random;
        let broken = random
            .random_bool(self.broken_share)
            .then(|| Broken::ALL.get(random.random_range(0..Broken::ALL.len())).copied())
            .flatten();
        let start = out.len();
        // Writing to a Vec cannot fail.
        let _written = self.write(out, broken);
        match broken {
            Some(Broken::Truncated) => out.truncate(start + (out.len() - start) / 2),
            Some(Broken::TrailingJunk) => out.extend_from_slice(b"{}"),
            _ => {}
        }
        self.number += 1;
        broken
    }

    fn write(&mut self, out: &mut Vec<u8>, broken: Option<Broken>) -> std::io::Result<()> {
        let is = |way| broken == Some(way);
        let random = &mut self.random;
        let id = uuid::Builder::from_random_bytes(random.random()).into_uuid().to_string();
        let id = if is(Broken::BadUuid) { id.get(..20).unwrap_or_default() } else { &id };
        // The first four weeks of March 2026, from 2026-03-01 on.
        let (day, second) = (self.number / 86_400 % 28 + 1, self.number % 86_400);
        let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        let millis = random.random_range(0..1000);
        let date =
            if is(Broken::BadDate) { "2026-02-30".into() } else { format!("2026-03-{day:02}") };
        write!(out, r#"{{"event_id":"{id}","event_time":"{date}T{clock}.{millis:03}Z","#)?;
        write!(out, r#""received_at":"2026-03-{day:02} {clock}","#)?;
        let vehicle = random.random_range(1..=20_000);
        match broken {
            Some(Broken::Missing) => {}
            Some(Broken::Null) => write!(out, r#""vehicle_id":null,"#)?,
            Some(Broken::WrongType) => write!(out, r#""vehicle_id":"v-{vehicle}","#)?,
            _ => write!(out, r#""vehicle_id":{vehicle},"#)?,
        }
        let trip = random.random_range(0..9_000_000_000_000_000_000_i64);
        let (fleet, region) = (random.random_range(1..=8), random.random_range(1..=12));
        write!(out, r#""trip_id":{trip},"fleet":"fleet-{fleet}","region":"region-{region:02}","#)?;
        let of = |random: &mut StdRng, labels: &[&'static str]| {
            labels.get(random.random_range(0..labels.len())).copied().unwrap_or_default()
        };
        let gear = match is(Broken::UnknownLabel) {
            true => "overdrive",
            false => of(random, &["park", "reverse", "neutral", "drive"]),
        };
        let (state, source) =
            (of(random, &["driving", "charging", "parked"]), of(random, &["gateway", "phone"]));
        write!(out, r#""gear":"{gear}","state":"{state}","source":"{source}","#)?;
        let place = |random: &mut StdRng, range: std::ops::Range<f64>| random.random_range(range);
        let (latitude, longitude) = (place(random, 47.0..55.0), place(random, 6.0..15.0));
        write!(out, r#""latitude":{latitude:.6},"longitude":{longitude:.6},"#)?;
        let (altitude, speed) = (place(random, 0.0..900.0), place(random, 0.0..180.0));
        write!(out, r#""altitude_m":{altitude:.1},"speed_kmh":{speed:.1},"#)?;
        let (heading, odometer) = (random.random_range(0..360), random.next_u32() >> 4);
        let soc = if is(Broken::OutOfRange) { 300 } else { random.random_range(0..=100) };
        write!(out, r#""heading_deg":{heading},"odometer_m":{odometer},"soc":{soc},"#)?;
        let (temperature, price) = (random.random_range(-20..60), random.random_range(0..500_000));
        write!(
            out,
            r#""battery_temp_c":{temperature},"charge_price":{}.{:04},"is_moving":{},"#,
            price / 10_000,
            price % 10_000,
            random.random::<bool>()
        )?;
        // Optional fields are absent, null, or set.
        match random.random_range(0..4) {
            0 => write!(out, r#""driver_note":null,"cabin_temp_c":null,"#)?,
            1 => {
                let note = random.random_range(0..1000);
                let mail = if self.has_mails { " of driver@example.com" } else { "" };
                write!(out, r#""driver_note":"note {note}{mail}","#)?;
            }
            _ => write!(out, r#""cabin_temp_c":{:.1},"#, place(random, 15.0..28.0))?,
        }
        if random.random_bool(0.1) {
            write!(out, r#""error_code":{},"#, random.random_range(1..1000))?;
        }
        let warnings = of(random, &["[]", "[]", r#"["tyre"]"#, r#"["brake","tyre"]"#]);
        write!(out, r#""warnings":{warnings},"country":"{}""#, of(random, &["DE", "FR", "NL"]))?;
        if is(Broken::Duplicate) {
            write!(out, r#","soc":1"#)?;
        }
        out.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn records(seed: u64, share: f64, count: usize) -> Vec<(Vec<u8>, Option<Broken>)> {
        let mut generator = Telemetry::new(seed, share);
        (0..count)
            .map(|_| {
                let mut record = Vec::new();
                let broken = generator.next(&mut record);
                (record, broken)
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_records() {
        assert_eq!(records(7, 0.1, 500), records(7, 0.1, 500));
        assert_ne!(records(7, 0.1, 500), records(8, 0.1, 500));
    }

    #[test]
    fn about_one_in_a_hundred_is_broken_in_each_of_ten_ways() {
        let records = records(42, 0.01, 100_000);
        let mut ways: HashMap<Broken, usize> = HashMap::new();
        for broken in records.iter().filter_map(|(_, broken)| *broken) {
            *ways.entry(broken).or_default() += 1;
        }
        assert_eq!(ways.len(), 10);
        let total: usize = ways.values().sum();
        assert!((800..1200).contains(&total), "{total}");
    }

    #[test]
    fn a_good_record_is_an_object_of_the_tables_columns_and_about_500_bytes() {
        let records = records(42, 0.0, 2_000);
        for (record, _) in &records {
            let fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(record).unwrap();
            assert!(fields.keys().all(|field| CREATE_TABLE.contains(&format!("    {field} "))));
        }
        let bytes: usize = records.iter().map(|(record, _)| record.len()).sum();
        assert!((450..560).contains(&(bytes / records.len())), "{}", bytes / records.len());
    }
}
