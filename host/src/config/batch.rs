//! The limits of batches and of working memory.

use std::time::Duration;

use super::reader::VariableReader;

/// The limits of batches, memory and waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// Most records in a batch without a backlog; 1 to 1,000,000, default 25,000.
    pub max_records: usize,
    /// Most records in a batch with a backlog: `max_records` if that was set, else 250,000, since
    /// large INSERTs cost the server fewer merges.
    pub max_records_with_lag: usize,
    /// Most bytes of a batch's records in memory; 1 KiB to 256 MiB and at most half of
    /// `memory_budget_bytes`, default 20 MiB. Two such batches, with their columns and bodies, take
    /// most of the default budget: one is inserted while the next is decoded, and a third begins.
    pub max_bytes: usize,
    /// Longest wait for a batch to fill; 1 ms to 60 s and below `shutdown_timeout`, default 1 s.
    pub linger: Duration,
    /// Most batches between source and commit; 1 to 64, default 4.
    pub in_flight: usize,
    /// Most bytes of working memory; 1 MiB to 64 GiB, default 128 MiB.
    pub memory_budget_bytes: usize,
    /// Longest drain at shutdown or revocation; 100 ms to 10 min, default 25 s.
    pub shutdown_timeout: Duration,
}

/// Most records in a batch while there is a backlog and NUM_MESSAGES is unset: blocks of 250,000
/// rows cost ClickHouse about a third of what blocks of 25,000 cost it.
const MAX_RECORDS_WITH_LAG: usize = 250_000;

pub(super) fn read_batch(reader: &mut VariableReader<'_>) -> BatchConfig {
    let is_capped = reader.is_set("NUM_MESSAGES");
    let max_records = reader.number("NUM_MESSAGES", "a whole number of records", 1, 1_000_000);
    let max_records = max_records.unwrap_or_default();
    let bytes = "a whole number of bytes";
    let max_bytes = reader.number::<usize>("BATCH_MAX_BYTES", bytes, 1024, 268_435_456);
    let milliseconds = "a whole number of milliseconds";
    let linger = reader.number::<u64>("BATCH_LINGER_MS", milliseconds, 1, 60_000);
    let in_flight = reader.number("IN_FLIGHT_BATCHES", "a whole number of batches", 1, 64);
    let budget = reader.number::<usize>("MEMORY_BUDGET_BYTES", bytes, 1_048_576, 68_719_476_736);
    let shutdown = reader.number::<u64>("SHUTDOWN_TIMEOUT_MS", milliseconds, 100, 600_000);

    if let (Some(max_bytes), Some(budget)) = (max_bytes, budget)
        && max_bytes > budget / 2
    {
        let half = budget / 2;
        reader.refuse_found(
            "BATCH_MAX_BYTES",
            &format!("at most half of MEMORY_BUDGET_BYTES ({budget}), which is {half}"),
            max_bytes.to_string(),
            &format!(
                "lower BATCH_MAX_BYTES to {half}, or raise MEMORY_BUDGET_BYTES to {}",
                max_bytes * 2
            ),
        );
    }
    if let (Some(linger), Some(shutdown)) = (linger, shutdown)
        && linger >= shutdown
    {
        reader.refuse_found(
            "BATCH_LINGER_MS",
            &format!("less than SHUTDOWN_TIMEOUT_MS ({shutdown})"),
            linger.to_string(),
            "lower BATCH_LINGER_MS or raise SHUTDOWN_TIMEOUT_MS, so that a drain can finish",
        );
    }
    BatchConfig {
        max_records,
        max_records_with_lag: if is_capped { max_records } else { MAX_RECORDS_WITH_LAG },
        max_bytes: max_bytes.unwrap_or_default(),
        linger: Duration::from_millis(linger.unwrap_or_default()),
        in_flight: in_flight.unwrap_or_default(),
        memory_budget_bytes: budget.unwrap_or_default(),
        shutdown_timeout: Duration::from_millis(shutdown.unwrap_or_default()),
    }
}
