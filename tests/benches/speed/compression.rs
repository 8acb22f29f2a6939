//! What it costs both sides to compress the bodies of INSERTs: `cargo xtask bench --compression`.

use std::hint::black_box;

use anyhow::{Context as _, Error, ensure};
use arrow_array::RecordBatch;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sluicegate::clickhouse::{Body, Table};
use sluicegate::config::Compression as Config;
use sluicegate::decode::decode;
use sluicegate_instructions::data::{DataSet, Records};

use crate::clock::{median, of_this_thread};
use crate::host::Servers;
use crate::insert::SETTINGS;

/// Rows of a body: what a host sends without a backlog.
const ROWS: usize = 25_000;
/// Of the whole body.
const ZSTD_LEVEL: i32 = 1;

/// How a body may go.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// As it is.
    Plain,
    /// Each of Arrow's buffers by itself: CLICKHOUSE_COMPRESSION=lz4.
    Lz4InBuffers,
    /// The whole as HTTP's content encoding.
    ZstdWhole,
}

impl Way {
    const ALL: [Self; 3] = [Self::Plain, Self::Lz4InBuffers, Self::ZstdWhole];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Lz4InBuffers => "LZ4 in Arrow's buffers",
            Self::ZstdWhole => "zstd, level 1, whole",
        }
    }

    fn write(self, table: &Table, rows: &RecordBatch) -> anyhow::Result<Bytes> {
        let body = |how| Body::of(table, rows, how).map(|body| body.bytes).map_err(Error::msg);
        match self {
            Self::Plain => body(Config::None),
            Self::Lz4InBuffers => body(Config::Lz4),
            Self::ZstdWhole => Ok(zstd::bulk::compress(&body(Config::None)?, ZSTD_LEVEL)?.into()),
        }
    }

    async fn send(self, servers: &Servers, sql: &str, body: Bytes) -> anyhow::Result<()> {
        let clickhouse = &servers.clickhouse;
        let answer = match self {
            Self::ZstdWhole => clickhouse.post_compressed(sql, &SETTINGS, "zstd", body).await?,
            Self::Plain | Self::Lz4InBuffers => clickhouse.post(sql, &SETTINGS, body).await?,
        };
        answer.into_body().map(drop)
    }
}

/// What one way took of one data set, a value a round, in nanoseconds of CPU time for a row.
#[derive(Default)]
struct Taken {
    /// Bytes of a row on the wire.
    bytes: f64,
    /// To write the body from columns.
    host: Vec<f64>,
    /// To read it, without storing its rows.
    clickhouse: Vec<f64>,
}

impl Taken {
    fn figures(&self) -> [f64; 4] {
        let (host, clickhouse) = (median(&self.host), median(&self.clickhouse));
        [self.bytes, host, clickhouse, host + clickhouse]
    }
}

/// All data sets, each way.
pub struct Compression(Vec<(&'static str, [Taken; 3])>);

impl Compression {
    /// Measures so many rounds, each of which sends so many rows each way, or more, of these data sets.
    ///
    /// # Errors
    /// ClickHouse reads other rows than were sent.
    pub async fn measure(
        rounds: usize,
        rows: usize,
        of: impl Iterator<Item = DataSet>,
    ) -> anyhow::Result<Self> {
        let servers = Servers::start().await?;
        let mut sets = Vec::new();
        for set in of {
            let mut taken: [Taken; 3] = Default::default();
            let decoded = {
                let records = Records::of(&set, ROWS, 0.0);
                decode(&set.plan()?, (0..).zip(records.iter())).batch
            };
            verify(&servers, &set, &decoded).await?;
            servers.clickhouse.query(&set.create_null_table(set.name)).await?;
            for _ in 0..rounds {
                for (way, taken) in Way::ALL.into_iter().zip(&mut taken) {
                    round(&servers, &set, way, &decoded, rows, taken)
                        .await
                        .with_context(|| format!("{}, {}", set.name, way.name()))?;
                }
            }
            sets.push((set.name, taken));
        }
        Ok(Self(sets))
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, [f64; 4])> {
        self.0.iter().flat_map(|(set, taken)| {
            Way::ALL.iter().zip(taken).map(|(way, taken)| (*set, way.name(), taken.figures()))
        })
    }

    /// As Markdown.
    pub fn table(&self) -> String {
        let head =
            "| | | bytes a row | host | ClickHouse | both |\n|---|---|---:|---:|---:|---:|\n";
        let lines = self.rows().map(|(set, way, [bytes, host, clickhouse, both])| {
            format!("| {set} | {way} | {bytes:.0} | {host:.0} | {clickhouse:.0} | {both:.0} |\n")
        });
        head.to_owned() + &lines.collect::<String>()
    }

    /// One object, with an object for each data set.
    pub fn json(&self) -> Value {
        let mut sets = Map::new();
        for (set, way, [bytes, host, clickhouse, both]) in self.rows() {
            let figures = json!({
                "bytes": bytes, "host_ns": host, "clickhouse_ns": clickhouse, "both_ns": both,
            });
            let of_set = sets.entry(set).or_insert_with(|| json!({}));
            if let Some(of_set) = of_set.as_object_mut() {
                of_set.insert(way.to_owned(), figures);
            }
        }
        Value::Object(sets)
    }
}

/// Looks whether the rows arrive the same whichever way they go.
async fn verify(servers: &Servers, set: &DataSet, rows: &RecordBatch) -> anyhow::Result<()> {
    let mut sums = Vec::new();
    for way in Way::ALL {
        servers.clickhouse.query(&set.create_table(set.name)).await?;
        let table = set.table()?;
        let sql = Body::of(&table, rows, Config::None).map_err(Error::msg)?.sql;
        way.send(servers, &sql, way.write(&table, rows)?).await?;
        let sum = format!("SELECT count(), sum(cityHash64(*)) FROM {}", set.name);
        sums.push(servers.clickhouse.query(&sum).await?);
        servers.clickhouse.query(&format!("DROP TABLE {} SYNC", set.name)).await?;
    }
    ensure!(sums.iter().all(|sum| Some(sum) == sums.first()), "{}: {sums:?}", set.name);
    Ok(())
}

async fn round(
    servers: &Servers,
    set: &DataSet,
    way: Way,
    decoded: &RecordBatch,
    rows: usize,
    taken: &mut Taken,
) -> anyhow::Result<()> {
    let table = set.table()?;
    let bodies = rows.div_ceil(ROWS);
    let sent_rows = (bodies * ROWS) as f64;
    let before = of_this_thread();
    let mut body = Bytes::new();
    for _ in 0..bodies {
        body = black_box(way.write(&table, decoded)?);
    }
    taken.host.push(of_this_thread().saturating_sub(before).as_nanos() as f64 / sent_rows);
    taken.bytes = body.len() as f64 / ROWS as f64;
    let sql = Body::of(&table, decoded, Config::None).map_err(Error::msg)?.sql;
    let before = servers.engine()?;
    for _ in 0..bodies {
        way.send(servers, &sql, body.clone()).await?;
    }
    let engine = servers.engine()?.saturating_sub(before);
    taken.clickhouse.push(engine.as_nanos() as f64 / sent_rows);
    Ok(())
}
