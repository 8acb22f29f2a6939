//! The INSERTs of one batch under exactly once: range by range, each sent only after a committed plan names
//! it. docs/exactly-once.md describes the protocol.

mod found;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::clickhouse::target::{TableAndPlan, Tables, token_column};
use crate::clickhouse::{Carried, max_rows};
use crate::config::Answers;
use crate::delivery::plans::{DraftRange, Planned, Plans, Range, TakenRange, column_fingerprint};
use crate::flow::hold::Hold;
use crate::flow::record::{Batch, Origin, TopicPartition};
use crate::observe::count::{self, RetryClass, RetryStep};
use crate::sink::{
    APART, Evidence, Inserted, Landed, Piece, Promised, Refusal, RefusedInsert, RowsLeft, Sink,
    rejection,
};
use found::FoundRows;

/// The rows of a batch, with the record of each.
#[derive(Debug, Clone, Copy)]
pub struct PlannedRows<'a> {
    /// The records.
    pub batch: &'a Batch,
    /// Their rows.
    pub rows: &'a RecordBatch,
    /// The record of each row; never decreases.
    pub origins: &'a [Origin],
}

/// What all batches of a host share.
#[derive(Debug)]
pub struct Ours {
    /// Requests plans.
    pub plans: Plans,
    /// The consumer group, which is part of each token.
    pub group: String,
    /// The operator's answers (DELIVERY_ANSWERS).
    pub answers: Answers,
}

/// One batch and its unsettled ranges.
#[derive(Debug)]
pub struct PlannedBatch {
    ours: Arc<Ours>,
    partition: TopicPartition,
    epoch: u64,
    range: (i64, i64),
    /// The unsettled ranges, in order; at first one for the whole batch.
    open: VecDeque<OpenRange>,
    /// The first range was refused, and is settled once it is dead-lettered.
    is_refused: bool,
}

#[derive(Debug, Clone, Copy)]
struct OpenRange {
    /// Where it begins, inclusive.
    first: i64,
    /// Where it ends, exclusive.
    end: i64,
    planned: Option<Range>,
    /// Whether rows may have landed under its token, or may still.
    is_sent: bool,
    /// Whether this member sent an INSERT under its token that got no clear answer.
    is_unclear: bool,
}

impl PlannedBatch {
    /// A batch whose records are this range of their partition.
    pub fn new(
        ours: &Arc<Ours>,
        partition: &TopicPartition,
        epoch: u64,
        TakenRange { first, end, recovered }: TakenRange,
    ) -> Self {
        let is_sent = recovered.is_some();
        let open = OpenRange { first, end, planned: recovered, is_sent, is_unclear: false };
        let (ours, partition) = (Arc::clone(ours), partition.clone());
        let open = VecDeque::from([open]);
        Self { ours, partition, epoch, range: (first, end), open, is_refused: false }
    }

    /// Keeps the refused record open, since it is not dead-lettered: its rows are sent again.
    pub fn keep_refused(&mut self) {
        self.is_refused = false;
    }

    /// The batch's range: start, inclusive, and end, exclusive.
    pub fn range(&self) -> (i64, i64) {
        self.range
    }

    /// Whether rows remain to be inserted once the refused record is dead-lettered.
    pub fn has_more(&self) -> bool {
        self.open.len() > usize::from(self.is_refused)
    }

    /// Inserts the open ranges until all are settled, a record is refused alone, or rows are left for a
    /// reason. The next call continues after the refused record.
    ///
    /// # Cancel safety
    /// If dropped, planned rows may have landed; the partition's next owner gets the plan.
    pub async fn insert(
        &mut self,
        sink: &Sink,
        tables: &Tables,
        known: &TableAndPlan,
        rows: &PlannedRows<'_>,
    ) -> Inserted {
        let mut inserted = Inserted::default();
        if std::mem::take(&mut self.is_refused) {
            self.settle();
        }
        while let Some(open) = self.open.front() {
            let (first, end) = (open.first, open.end);
            let piece = rows.of(first, end);
            if piece.is_empty() {
                self.settle();
                continue;
            }
            if let Some(has_landed) = self.answered() {
                match has_landed {
                    true => {
                        inserted.landed.extend(piece.origins(rows.origins));
                        self.settle();
                    }
                    false => self.forget_plan(),
                }
                continue;
            }
            let refused = match self.send(sink, known, rows, &piece).await {
                Ok(landed) if landed.is_proved => {
                    inserted.landed.extend(piece.origins(rows.origins));
                    self.settle();
                    continue;
                }
                Ok(_) => {
                    let text = "an earlier INSERT may have left the token without the rows";
                    let refusal = Refusal::Unproved(text.to_owned());
                    RefusedInsert { refusal, may_have_landed: true, view: None }
                }
                Err(refused) => refused,
            };
            if let Refusal::Schema(text) = refused.refusal {
                count::retried(RetryStep::Insert, RetryClass::Schema);
                inserted.left = Some(RowsLeft::SchemaChanged(text));
                break;
            }
            let found = self.find(sink, tables, known, rows, &piece, &refused).await;
            match found {
                FoundRows::Landed => {
                    let landed = piece.origins(rows.origins);
                    if let Some(view) = refused.view {
                        count::found_without_view(piece.len());
                        inserted.without_view.push((landed.clone(), view));
                    } else if known.table.facts.has_views
                        && !matches!(refused.refusal, Refusal::Unproved(_))
                    {
                        let place = known.table.place();
                        tracing::warn!(
                            partition = %self.partition, table = %place, first, end,
                            "rows were found in the table; whether its materialized views have them is \
                             not known"
                        );
                    }
                    inserted.landed.extend(landed);
                    self.settle();
                    continue;
                }
                FoundRows::Changed => {
                    inserted.left = Some(RowsLeft::SchemaChanged(refused.refusal.to_string()));
                    break;
                }
                FoundRows::Elsewhere(text) => {
                    inserted.left = Some(RowsLeft::Held(Hold::Paused(text)));
                    break;
                }
                FoundRows::NotLanded => {}
            }
            match (refused.refusal, piece.split_by_records(rows.origins)) {
                (refusal, _) if refusal.is_of_token() => {
                    tracing::info!(partition = %self.partition, "range planned anew: {refusal}");
                    self.forget_plan();
                }
                (refusal, Some((first, second))) => {
                    tracing::debug!(rows = piece.len(), "insert refused, split: {refusal}");
                    count::retried(RetryStep::Insert, RetryClass::Data);
                    self.split(sink, known, rows, [&first, &second]).await;
                }
                (refusal @ (Refusal::Data(_) | Refusal::Apart), None) => {
                    let why = match &refusal {
                        Refusal::Data(said) => said.whole(),
                        _ => APART,
                    };
                    let origin = rows.origins.get(piece.start);
                    inserted.refused.extend(origin.map(|origin| rejection(*origin, why)));
                    self.is_refused = true;
                    break;
                }
                (refusal, None) => {
                    inserted.left = Some(RowsLeft::too_large(&refusal));
                    break;
                }
            }
        }
        inserted
    }

    /// Settles the first range.
    fn settle(&mut self) {
        if let Some(settled) = self.open.pop_front() {
            self.ours.plans.settled(&self.partition, self.epoch, settled.end);
        }
    }

    /// Drops the plan of the first range, of which nothing landed, so that it gets another token.
    fn forget_plan(&mut self) {
        if let Some(open) = self.open.front_mut() {
            (open.planned, open.is_sent, open.is_unclear) = (None, false, false);
        }
    }

    /// Sends the first range, and plans it first unless its plan already matches.
    async fn send(
        &mut self,
        sink: &Sink,
        known: &TableAndPlan,
        rows: &PlannedRows<'_>,
        piece: &Piece,
    ) -> Result<Landed, RefusedInsert> {
        let Some(open) = self.open.front().copied() else {
            return Ok(Landed { is_proved: true, without_view: None });
        };
        let OpenRange { end, planned, is_sent, is_unclear, .. } = open;
        let refused = |refusal| RefusedInsert { refusal, may_have_landed: is_sent, view: None };
        let schema = |text| refused(Refusal::Schema(text));
        let altered = |text: &str| refused(Refusal::Altered(text.to_owned()));
        // Rows that may have been sent are not cut again: the average row of another batch set their bounds.
        let is_bounded = is_sent || piece.len() <= max_rows(rows.rows);
        if !is_bounded && piece.split_by_records(rows.origins).is_some() {
            let text = "more rows than one INSERT takes".to_owned();
            return Err(refused(Refusal::TooManyPartitions(text)));
        }
        let slice = rows.rows.slice(piece.start, piece.len());
        let table = &known.table;
        let Some(slice) = sink.as_one(table, &slice).await.map_err(schema)? else {
            // The planned rows fitted one INSERT, so these differ from them.
            return Err(if is_sent { altered(APART) } else { refused(Refusal::Apart) });
        };
        let fingerprint = sink.fingerprint(table, &slice).await.map_err(schema)?;
        let named = named(known);
        let column = column_fingerprint(named);
        let range = match planned {
            Some(range) if is_sent => {
                if Carried::of(&range.planned, named) == Carried::Elsewhere {
                    return Err(altered(
                        "its rows carry their token in a column that METADATA_COLUMNS does not name any more: \
                         name it again, at least until they are told",
                    ));
                }
                // Tokens are remembered per table partition.
                if range.planned.fingerprint != fingerprint
                    && !table.facts.partition_columns.is_empty()
                {
                    return Err(altered(
                        "the rows that their records make now, the table or the settings are others than \
                         when they were sent, and may go into other partitions of the table",
                    ));
                }
                range
            }
            Some(range)
                if range.planned.fingerprint == fingerprint && range.planned.column == column =>
            {
                range
            }
            // A range that was never sent may be planned again, so that the plan matches what is sent.
            _ => {
                let stand = sink.stand(table).await;
                let (window_position, home) = (stand.window_position(), stand.home);
                let draft = DraftRange { end, fingerprint, window_position, home, column };
                let planned =
                    self.ours.plans.plan(&self.partition, self.epoch, end, vec![draft]).await;
                let Some(range) = planned.first() else { return std::future::pending().await };
                *range
            }
        };
        let token = range.token(&self.ours.group, &self.partition);
        let carried = Carried::of(&range.planned, named);
        let sent = carried.put(&slice, named, &token).map_err(schema)?;
        if is_sent && !is_unclear && self.is_there(sink, known, &range, &sent).await {
            tracing::info!(partition = %self.partition, %range, token, "found in the table before it was sent again");
            return Ok(Landed { is_proved: true, without_view: None });
        }
        let body = sink.body(table, &sent, carried).await.map_err(schema)?;
        tracing::debug!(partition = %self.partition, %range, token, rows = body.rows, "range sent");
        let promised = Promised { is_sent, is_unclear, ..promised(&range, named) };
        let sent = sink.send_planned(table, &body, &token, promised).await;
        if let Some(open) = self.open.front_mut() {
            open.planned = Some(range);
            let may_have_landed = match &sent {
                Ok(landed) => !landed.is_proved,
                Err(refused) => refused.may_have_landed,
            };
            open.is_sent |= may_have_landed;
            open.is_unclear |= may_have_landed;
        }
        sent
    }

    /// Whether the newest parts already hold the rows of a range that a predecessor may have sent, found by
    /// their token: when a partition is detached, the table forgets its tokens, and not its rows. Not asked
    /// if there are views: they may lack the rows, and get them by the same token.
    async fn is_there(
        &self,
        sink: &Sink,
        known: &TableAndPlan,
        range: &Range,
        sent: &RecordBatch,
    ) -> bool {
        let promised = promised(range, named(known));
        let (Some(home), Some(_)) = (promised.home, promised.carried.searched()) else {
            return false;
        };
        if known.table.facts.has_views {
            return false;
        }
        let stand = sink.stand_on(&known.table, home.server).await;
        let is_theirs = stand.is_some_and(|stand| stand.home.table == home.table);
        let Ok(sought) = promised.carried.sought(sent) else { return false };
        is_theirs && sink.evidence(&known.table, &sought, &promised).await == Evidence::Rows
    }

    /// The operator's answer for the first range, if its rows may be in the table.
    fn answered(&self) -> Option<bool> {
        let Some(OpenRange { planned: Some(range), is_sent: true, .. }) = self.open.front() else {
            return None;
        };
        let token = range.token(&self.ours.group, &self.partition);
        let has_landed = self.ours.answers.has_landed(&token)?;
        tracing::info!(partition = %self.partition, %range, token, has_landed, "answered by an operator");
        Some(has_landed)
    }

    /// Replaces the first range by two halves.
    async fn split(
        &mut self,
        sink: &Sink,
        known: &TableAndPlan,
        rows: &PlannedRows<'_>,
        halves: [&Piece; 2],
    ) {
        let Some(OpenRange { first, end, .. }) = self.open.front() else { return };
        let (first, end) = (*first, *end);
        let offset = |origin: &Origin| rows.batch.record(*origin).map(|record| record.offset());
        let Some(middle) = rows.origins.get(halves[1].start).and_then(offset) else { return };
        let stand = sink.stand(&known.table).await;
        let (window_position, home, column) =
            (stand.window_position(), stand.home, column_fingerprint(named(known)));
        let mut drafts = Vec::new();
        for (piece, end) in halves.into_iter().zip([middle, end]) {
            let slice = rows.rows.slice(piece.start, piece.len());
            // Rows that cannot go as they are get a new plan when they are sent.
            let fingerprint = match sink.as_one(&known.table, &slice).await {
                Ok(Some(slice)) => sink.fingerprint(&known.table, &slice).await.unwrap_or(0),
                Ok(None) | Err(_) => 0,
            };
            drafts.push(DraftRange { end, fingerprint, window_position, home, column });
        }
        let planned = self.ours.plans.plan(&self.partition, self.epoch, end, drafts).await;
        self.open.pop_front();
        for (range, first) in planned.into_iter().zip([first, middle]).rev() {
            let end = range.planned.end;
            self.open.push_front(OpenRange {
                first,
                end,
                planned: Some(range),
                is_sent: false,
                is_unclear: false,
            });
        }
    }
}

/// The column that METADATA_COLUMNS names for tokens.
fn named(known: &TableAndPlan) -> Option<&str> {
    token_column(&known.plan).map(|(_, name)| name)
}

/// The planned facts of a range that may have been sent.
fn promised<'a>(range: &Range, named: Option<&'a str>) -> Promised<'a> {
    let Planned { window_position, home, .. } = range.planned;
    let carried = Carried::of(&range.planned, named);
    Promised { window_position, home, is_sent: true, is_unclear: false, carried }
}

impl PlannedRows<'_> {
    /// The rows of the records from offset `first`, inclusive, to `end`, exclusive.
    fn of(&self, first: i64, end: i64) -> Piece {
        let before = |offset: i64| {
            let is_before = |origin: &Origin| {
                self.batch.record(*origin).is_some_and(|record| record.offset() < offset)
            };
            self.origins.partition_point(is_before)
        };
        Piece { start: before(first), end: before(end) }
    }
}
