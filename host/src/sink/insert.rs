//! The INSERTs of one batch: all rows at once, or in pieces if that is refused.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;

use super::ordered::{order_of, projected, taken};
use super::partitions::by_partition;
use super::sending::Sending;
use super::{Inserted, Landed, Piece, Refusal, RowsLeft, Sink, rejection};
use crate::base::blocking::run_blocking;
use crate::clickhouse::{Carried, Table, max_rows};
use crate::flow::hold::Hold;
use crate::flow::record::Origin;
use crate::json_order::RowOrder;
use crate::observe::count::{self, RetryClass, RetryStep};

/// A batch of this many INSERTs is reported as a wait once it takes longer than [`TOLD_AFTER`]: rows land,
/// but far fewer each second than in large INSERTs.
const TOLD_LISTS: usize = 100;
const TOLD_AFTER: Duration = Duration::from_secs(5);

impl Sink {
    /// Inserts the rows; `origins` names each row's record and never decreases. Once more than
    /// `allowance` records are refused alone, the rest is left.
    ///
    /// # Cancel safety
    /// If dropped, pieces that were sent may or may not have landed; nothing was committed.
    pub async fn insert(
        &self,
        table: &Table,
        rows: &RecordBatch,
        origins: &[Origin],
        allowance: usize,
    ) -> Inserted {
        match order_of(table, rows, Some(origins)).await {
            RowOrder::AsTheyStand => {
                self.insert_pieces(table, rows, origins, allowance, false, false).await
            }
            RowOrder::Lists(lists) if lists.len() < 2 => {
                self.insert_pieces(table, rows, origins, allowance, false, true).await
            }
            RowOrder::Lists(lists) => {
                self.insert_lists(table, rows, origins, allowance, lists).await
            }
        }
    }

    /// Inserts rows with at least one INSERT for each list. The largest list goes first, so that most rows do
    /// not wait for those that need an INSERT of their own.
    async fn insert_lists(
        &self,
        table: &Table,
        rows: &RecordBatch,
        origins: &[Origin],
        allowance: usize,
        mut lists: Vec<Vec<usize>>,
    ) -> Inserted {
        lists.sort_by_key(|list| Reverse(list.len()));
        tracing::debug!(
            inserts = lists.len(),
            "rows go apart: their JSON values would change each other, or they lack different columns"
        );
        let mut inserted = Inserted::default();
        let mut left = lists_left(&lists, origins);
        let (of, started, waiter) = (lists.len(), Instant::now(), self.status.waiter("insert"));
        for (mut list, open) in lists.into_iter().zip((1..=of).rev()) {
            if of >= TOLD_LISTS && started.elapsed() >= TOLD_AFTER {
                waiter.hold_as("apart", Hold::Transient(told_apart(table, open, of)));
            }
            list.sort_unstable();
            let origins: Vec<Origin> =
                list.iter().filter_map(|row| origins.get(*row).copied()).collect();
            let rows = match taken(rows, list.into_iter()) {
                Ok(rows) => rows,
                Err(error) => unreachable!("no more rows than were read: {error}"),
            };
            let allowance = allowance.saturating_sub(inserted.refused.len());
            let mut rest = self.insert_pieces(table, &rows, &origins, allowance, false, true).await;
            // A record has landed once all of its rows have.
            rest.landed.retain(|origin| is_last(&mut left, *origin));
            inserted.add(rest);
            if inserted.left.is_some() {
                break;
            }
        }
        inserted
    }

    /// Inserts one record whose rows need several INSERTs.
    async fn insert_apart(
        &self,
        table: &Table,
        rows: &RecordBatch,
        origins: &[Origin],
        allowance: usize,
    ) -> Inserted {
        let RowOrder::Lists(lists) = order_of(table, rows, None).await else {
            unreachable!("rows that no INSERT takes together are in several lists");
        };
        self.insert_lists(table, rows, origins, allowance, lists).await
    }

    /// Sends rows as one INSERT. `is_ordered`: reorders them to keep their JSON values.
    async fn send_rows(
        &self,
        table: &Table,
        rows: &RecordBatch,
        is_ordered: bool,
        sending: &Sending<'_>,
    ) -> Result<Landed, Refusal> {
        let one = match is_ordered {
            true => self.as_one(table, rows).await,
            false => projected(table, rows).map(Some),
        };
        let Some(one) = one.map_err(Refusal::Schema)? else { return Err(Refusal::Apart) };
        let body = self.body(table, &one, Carried::Not).await.map_err(Refusal::Schema)?;
        self.send(table, &body, sending).await.map_err(|refused| refused.refusal)
    }

    /// Inserts rows that one INSERT may hold: in the order read, or, if they had too many partitions for one
    /// INSERT, ordered [`by_partition`]. `is_ordered`: reorders the rows of each INSERT to keep their JSON
    /// values.
    async fn insert_pieces(
        &self,
        table: &Table,
        rows: &RecordBatch,
        origins: &[Origin],
        allowance: usize,
        is_by_partition: bool,
        is_ordered: bool,
    ) -> Inserted {
        let mut inserted = Inserted::default();
        let max_rows = if is_by_partition { rows.num_rows().div_ceil(2) } else { max_rows(rows) };
        let mut open = Piece::bounded(origins, max_rows);
        // A flush of async inserts fails as a whole, also because of other clients' rows. After a refusal,
        // rows go synchronously, so that the next refusal is about them alone.
        // If the table deduplicates, every retry relies on the token. Servers before the setting
        // `deduplicate_insert` ignore the token of an async INSERT unless `async_insert_deduplicate` is set,
        // which works for replicated tables only, and not for their views, since each flush cuts new blocks
        // (ClickHouse docs: "Deduplicating inserts on retries", and the settings `deduplicate_insert`,
        // `async_insert_deduplicate`).
        let mut may_be_async =
            self.server.is_async() && !table.facts.is_deduplicating && !is_by_partition;
        // Single records that found no memory, and how many INSERTs had landed then.
        let mut last: VecDeque<(Piece, Option<u64>)> = VecDeque::new();
        while let Some((piece, landed_before)) =
            open.pop().map(|piece| (piece, None)).or_else(|| last.pop_front())
        {
            if piece.is_empty() {
                continue;
            }
            let halves = piece.split(origins);
            // Others go first: if they land, the server does not lack memory.
            let goes_last = halves.is_none() && landed_before.is_none() && !open.is_empty();
            let slice = rows.slice(piece.start, piece.len());
            // Made once for these bytes and kept for every retry. Random: a token made from content or
            // offsets would let the server drop new data after a replay.
            let token = uuid::Uuid::new_v4().to_string();
            let sending = Sending {
                token: &token,
                may_be_async,
                may_split_for_memory: halves.is_some() || goes_last,
                landed_before,
                planned: None,
            };
            let sent = self.send_rows(table, &slice, is_ordered, &sending).await;
            match (sent, halves) {
                (Ok(Landed { without_view, .. }), _) => {
                    let landed = piece.origins(origins);
                    inserted.without_view.extend(without_view.map(|view| (landed.clone(), view)));
                    inserted.landed.extend(landed);
                }
                (Err(Refusal::Schema(text) | Refusal::Aged(text)), _) => {
                    count::retried(RetryStep::Insert, RetryClass::Schema);
                    inserted.left = Some(RowsLeft::SchemaChanged(text));
                    break;
                }
                (Err(Refusal::TooLarge(text)), Some((first, second))) => {
                    tracing::debug!(rows = piece.len(), "insert refused, split: {text}");
                    count::retried(RetryStep::Insert, RetryClass::Data);
                    open.extend([second, first]);
                }
                (Err(Refusal::Apart), Some((first, second))) => open.extend([second, first]),
                // The rows of one record, which lands with its last INSERT.
                (Err(Refusal::Apart), None) => {
                    let rest = self.insert_apart(table, &slice, piece.of(origins), allowance);
                    inserted.add(Box::pin(rest).await);
                    if inserted.left.is_some() {
                        break;
                    }
                }
                (Err(Refusal::Memory(_)), None) if goes_last => {
                    count::retried(RetryStep::Insert, RetryClass::Transient);
                    last.push_back((piece, Some(self.landed.load(Ordering::Relaxed))));
                }
                (Err(_), _) if may_be_async => {
                    may_be_async = false;
                    count::retried(RetryStep::Insert, RetryClass::Data);
                    open.push(piece);
                }
                (Err(Refusal::TooManyPartitions(text)), Some(halves)) if !is_by_partition => {
                    tracing::debug!(rows = piece.len(), "insert refused, split: {text}");
                    count::retried(RetryStep::Insert, RetryClass::Data);
                    let rows = rows.slice(piece.start, piece.len());
                    let (origins, key) =
                        (piece.of(origins).to_vec(), table.facts.partition_columns.clone());
                    let sorted = run_blocking(move || by_partition(&rows, &origins, &key)).await;
                    let Ok((rows, origins)) = sorted else {
                        open.extend([halves.1, halves.0]);
                        continue;
                    };
                    let allowance = allowance.saturating_sub(inserted.refused.len());
                    let rest =
                        self.insert_pieces(table, &rows, &origins, allowance, true, is_ordered);
                    inserted.add(Box::pin(rest).await);
                    if inserted.left.is_some() {
                        break;
                    }
                }
                (Err(refusal), Some((first, second))) => {
                    tracing::debug!(rows = piece.len(), "insert refused, split: {refusal}");
                    count::retried(RetryStep::Insert, RetryClass::Data);
                    open.extend([second, first]);
                }
                (Err(Refusal::Data(said)), None) => {
                    let origin = origins.get(piece.start);
                    inserted.refused.extend(origin.map(|origin| rejection(*origin, said.whole())));
                    if inserted.refused.len() > allowance {
                        inserted.left = Some(RowsLeft::TooManyRefused);
                        break;
                    }
                }
                // A refusal for want of memory comes back only if the rows can be split, so not here.
                (Err(refusal), None) => {
                    inserted.left = Some(RowsLeft::too_large(&refusal));
                    break;
                }
            }
        }
        inserted
    }
}

/// The text for a batch of this many INSERTs.
fn told_apart(table: &Table, open: usize, of: usize) -> String {
    format!(
        "`{}`: rows of one batch land in {of} INSERTs, {open} are left: in one their JSON values would change each \
         other, or they lack different columns; docs/types.md says under JSON what to send instead",
        table.place()
    )
}

/// How many lists hold rows of each record.
fn lists_left(lists: &[Vec<usize>], origins: &[Origin]) -> HashMap<Origin, usize> {
    let mut left = HashMap::new();
    for list in lists {
        let mut of: Vec<Origin> =
            list.iter().filter_map(|row| origins.get(*row).copied()).collect();
        of.sort_unstable();
        of.dedup();
        for origin in of {
            *left.entry(origin).or_default() += 1;
        }
    }
    left
}

/// Counts a list as landed for this record; returns whether it was the record's last.
fn is_last(left: &mut HashMap<Origin, usize>, origin: Origin) -> bool {
    left.get_mut(&origin).is_none_or(|left| {
        *left = left.saturating_sub(1);
        *left == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_whose_rows_go_apart_has_landed_with_the_last_of_them() {
        // Record 7 has rows in both lists, twice in the first.
        let (lists, origins) = (vec![vec![0, 1, 3], vec![2, 4]], [6, 7, 7, 7, 8]);
        let mut left = lists_left(&lists, &origins);
        let first: Vec<Origin> = [6, 7].into_iter().filter(|of| is_last(&mut left, *of)).collect();
        assert_eq!(first, [6]);
        let second: Vec<Origin> = [7, 8].into_iter().filter(|of| is_last(&mut left, *of)).collect();
        assert_eq!(second, [7, 8]);
    }
}
