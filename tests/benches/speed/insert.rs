//! What ClickHouse takes at best: bodies that are ready, one after the other on one connection.

use anyhow::ensure;
use bytes::Bytes;
use sluicegate::clickhouse::Body;
use sluicegate::config::Compression;
use sluicegate::decode::decode;
use sluicegate_instructions::data::{DataSet, Records};
use tokio::time::Instant;

use crate::host::Servers;

/// Rows of a body, the larger first: what a host sends with a backlog, and without.
pub const ROWS: [usize; 2] = [250_000, 25_000];

/// What the host sends along.
pub const SETTINGS: [(&str, &str); 4] = [
    ("async_insert", "0"),
    ("input_format_null_as_default", "1"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("input_format_arrow_allow_missing_columns", "0"),
];

/// Bodies of a data set, in each size.
pub struct Bodies(Vec<Vec<Body>>);

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Inserted {
    /// CPU seconds of ClickHouse for a million rows, merges included.
    pub engine: f64,
    /// Rows a second.
    pub rows_per_s: f64,
}

impl Bodies {
    /// Decodes as many rows as the largest body has, and writes them as bodies of each size.
    pub fn of(set: &DataSet) -> anyhow::Result<Self> {
        let records = Records::of(set, ROWS.into_iter().max().unwrap_or(0), 0.0);
        let rows = decode(&set.plan()?, (0..).zip(records.iter())).batch;
        let table = set.table()?;
        let bodies = ROWS.map(|size| {
            let starts = (0..rows.num_rows()).step_by(size);
            starts
                .map(|start| Body::of(&table, &rows.slice(start, size), Compression::None))
                .collect()
        });
        let bodies: Result<_, String> = bodies.into_iter().collect();
        Ok(Self(bodies.map_err(anyhow::Error::msg)?))
    }

    /// Inserts so many rows or more, in bodies of each size in turn, into a table of their own.
    pub async fn insert(
        &self,
        servers: &Servers,
        set: &DataSet,
        rows: usize,
    ) -> anyhow::Result<Vec<Inserted>> {
        let mut done = Vec::new();
        for bodies in &self.0 {
            servers.clickhouse.query(&set.create_table(set.name)).await?;
            let (before, started, mut sent) = (servers.engine()?, Instant::now(), 0);
            for body in bodies.iter().cycle() {
                if sent >= rows {
                    break;
                }
                let bytes = Bytes::clone(&body.bytes);
                let answer = servers.clickhouse.post(&body.sql, &SETTINGS, bytes).await?;
                answer.into_body()?;
                sent += body.rows;
            }
            let took = started.elapsed().as_secs_f64();
            servers.wait_for_merges().await?;
            let engine = servers.engine()?.saturating_sub(before).as_secs_f64();
            let count =
                servers.clickhouse.query(&format!("SELECT count() FROM {}", set.name)).await?;
            ensure!(count.trim() == sent.to_string(), "{count} rows of {sent}");
            servers.clickhouse.query(&format!("DROP TABLE {} SYNC", set.name)).await?;
            let millions = sent as f64 / 1e6;
            done.push(Inserted { engine: engine / millions, rows_per_s: sent as f64 / took });
        }
        Ok(done)
    }
}
