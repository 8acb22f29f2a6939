//! What an operator does to the table while records flow, well or badly.

use std::time::Duration;

use anyhow::ensure;
use sluicegate_tests::{Job, TABLE};
use tokio::time::{Instant, sleep};

use crate::kind::Kind;

/// Throws for nearly every INSERT, and never because of a bad record: those are not inserted.
const VIEW: &str = "CREATE MATERIALIZED VIEW broken TO thrown AS \
                    SELECT toUInt8(throwIf(n % 10 = 7, 'broken on purpose')) AS x FROM ";
/// What a view that takes all writes to.
const SEEN: &str = "(p Int32, n Int64) ENGINE = MergeTree ORDER BY n SETTINGS parts_to_delay_insert = 1, \
                    parts_to_throw_insert = 1, max_delay_to_insert = 1";
/// What a table that takes the table's place lacks.
const DROP_SPARE: &str = "DROP COLUMN spare";
/// How long INSERTs that found the old table may take.
const UNDER_WAY: Duration = Duration::from_secs(3);
/// How long rows may take to come to rest.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether a kind is an operator's.
pub fn does(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ColumnAdded
            | Kind::ColumnDropped
            | Kind::ColumnNarrowed
            | Kind::ViewThrows
            | Kind::ViewTargetFull
            | Kind::ViewTargetDropped
            | Kind::TablesExchanged
            | Kind::WindowChanged
    )
}

/// Whether a kind has a view read from the table.
pub fn is_view(kind: Kind) -> bool {
    matches!(kind, Kind::ViewThrows | Kind::ViewTargetFull | Kind::ViewTargetDropped)
}

/// The code that the engine counts where a kind strikes an INSERT; None where it strikes at once.
pub fn code(kind: Kind) -> Option<u32> {
    match kind {
        Kind::ViewThrows => Some(395),
        Kind::ViewTargetFull => Some(252),
        Kind::ViewTargetDropped => Some(60),
        _ => None,
    }
}

/// How often the engine has raised a code since it started.
pub async fn raised(job: &Job, code: u32) -> anyhow::Result<u64> {
    let sql = format!("SELECT sum(value) FROM system.errors WHERE code = {code}");
    Ok(job.query(&sql).await?.parse()?)
}

/// Does it. `window` is how many tokens the table remembers.
pub async fn begin(job: &Job, kind: Kind, window: u32) -> anyhow::Result<()> {
    match kind {
        Kind::ColumnAdded => alter(job, TABLE, "ADD COLUMN further UInt64 DEFAULT 3").await,
        Kind::ColumnDropped => alter(job, TABLE, "DROP COLUMN note").await,
        Kind::ViewThrows => job.query(&format!("{VIEW}{TABLE}")).await.map(drop),
        Kind::ViewTargetFull => {
            make_target(job, "full", window).await?;
            job.query("SYSTEM STOP MERGES full").await?;
            job.query("INSERT INTO full SELECT -1, -1").await?;
            make_view(job, "full").await
        }
        Kind::ViewTargetDropped => {
            make_target(job, "gone", window).await?;
            make_view(job, "gone").await?;
            drop_target(job, "gone").await
        }
        // All tokens but the last are forgotten.
        Kind::WindowChanged => set_window(job, if window > 0 { 1 } else { 1_000 }).await,
        Kind::TablesExchanged => exchange(job).await,
        _ => Ok(()),
    }
}

/// Undoes it. `window` is how many tokens the table is to remember from now on.
pub async fn end(job: &Job, kind: Kind, window: u32) -> anyhow::Result<()> {
    match kind {
        Kind::ColumnAdded => alter(job, TABLE, "DROP COLUMN further").await,
        Kind::ColumnDropped => alter(job, TABLE, "ADD COLUMN note String AFTER n").await,
        Kind::ViewThrows => job.query("DROP VIEW broken").await.map(drop),
        Kind::ViewTargetFull => {
            let room = "parts_to_delay_insert = 1000, parts_to_throw_insert = 3000";
            job.query(&format!("ALTER TABLE full MODIFY SETTING {room}")).await?;
            job.query("SYSTEM START MERGES full").await?;
            // Some INSERTs go through it.
            sleep(Duration::from_secs(1)).await;
            job.query("DROP VIEW view_of_full SYNC").await?;
            drop_target(job, "full").await
        }
        Kind::ViewTargetDropped => job.query("DROP VIEW view_of_gone SYNC").await.map(drop),
        Kind::WindowChanged => set_window(job, window).await,
        _ => Ok(()),
    }
}

/// Narrows the column `size`, cutting what does not fit, and says when, in milliseconds since 1970.
pub async fn narrow(job: &Job) -> anyhow::Result<i64> {
    alter(job, TABLE, "MODIFY COLUMN size Int8").await?;
    Ok(job.query("SELECT toUnixTimestamp64Milli(now64(3))").await?.parse()?)
}

/// How many values too large for an Int8 are not as they were sent, of rows that landed since.
pub async fn cut_since(job: &Job, since_ms: i64) -> anyhow::Result<i64> {
    let sql = format!(
        "SELECT count() FROM {TABLE} WHERE endsWith(amount, '.5') AND size != 300 AND \
         toUnixTimestamp64Milli(landed_at) > {since_ms}"
    );
    Ok(job.query(&sql).await?.parse()?)
}

/// Widens it again.
pub async fn widen(job: &Job) -> anyhow::Result<()> {
    alter(job, TABLE, "MODIFY COLUMN size Int64").await
}

async fn alter(job: &Job, table: &str, change: &str) -> anyhow::Result<()> {
    job.query(&format!("ALTER TABLE {table} {change}")).await.map(drop)
}

async fn set_window(job: &Job, tokens: u32) -> anyhow::Result<()> {
    alter(job, TABLE, &format!("MODIFY SETTING non_replicated_deduplication_window = {tokens}"))
        .await
}

async fn make_target(job: &Job, name: &str, window: u32) -> anyhow::Result<()> {
    let window = if window > 0 { ", non_replicated_deduplication_window = 1000" } else { "" };
    job.query(&format!("CREATE TABLE {name} {SEEN}{window}")).await.map(drop)
}

async fn make_view(job: &Job, target: &str) -> anyhow::Result<()> {
    let view = format!(
        "CREATE MATERIALIZED VIEW view_of_{target} TO {target} AS SELECT p, n FROM {TABLE}"
    );
    job.query(&view).await.map(drop)
}

async fn drop_target(job: &Job, name: &str) -> anyhow::Result<()> {
    let settings = "check_table_dependencies = 0, check_referential_table_dependencies = 0";
    job.query(&format!("DROP TABLE {name} SYNC SETTINGS {settings}")).await.map(drop)
}

/// Puts an empty table in the table's place, and then its rows. The first time it lacks a column: whoever goes
/// on with what was read of the other one is refused for ever.
async fn exchange(job: &Job) -> anyhow::Result<()> {
    let columns = format!(
        "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = '{TABLE}' AND \
         name = 'spare'"
    );
    let has_spare = job.query(&columns).await? != "0";
    job.query(&format!("CREATE TABLE other AS {TABLE}")).await?;
    if has_spare {
        alter(job, "other", DROP_SPARE).await?;
    }
    job.query(&format!("EXCHANGE TABLES {TABLE} AND other")).await?;
    let count =
        || async { anyhow::Ok(job.query("SELECT count() FROM other").await?.parse::<u64>()?) };
    let deadline = Instant::now() + PATIENCE;
    let mut before = count().await?;
    loop {
        sleep(UNDER_WAY).await;
        let now = count().await?;
        if now == before {
            break;
        }
        ensure!(Instant::now() < deadline, "rows still come to the table that was exchanged");
        before = now;
    }
    // As the table is that they go to.
    if has_spare {
        alter(job, "other", DROP_SPARE).await?;
    }
    let ids = "SELECT DISTINCT partition_id FROM system.parts WHERE active AND table = 'other' AND \
               database = currentDatabase()";
    for id in job.query(ids).await?.lines() {
        alter(job, TABLE, &format!("ATTACH PARTITION ID '{id}' FROM other")).await?;
    }
    ensure!(
        count().await? == before,
        "rows came to the table that was exchanged, after it was copied"
    );
    job.query("DROP TABLE other SYNC").await.map(drop)
}
