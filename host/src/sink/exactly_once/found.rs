//! Looks up whether rows landed after their INSERT was refused or answered without proof, if an earlier
//! INSERT may have left them. Nothing is decided beyond what the look-up shows.

use std::time::Duration;

use super::{OpenRange, PlannedBatch, PlannedRows, named, promised};
use crate::clickhouse::target::{TableAndPlan, Tables};
use crate::delivery::plans::Range;
use crate::flow::hold::Hold;
use crate::sink::{Evidence, Piece, Refusal, RefusedInsert, Sink};

/// How long to wait before deciding about rows that may be under way: longer than a fully sent INSERT takes,
/// and longer than a member works on after it lost its partition.
const UNDER_WAY: Duration = Duration::from_secs(15);

/// What became of rows that were refused and may have been sent before.
pub(super) enum FoundRows {
    Landed,
    NotLanded,
    /// The table is not the one the rows were made for.
    Changed,
    /// Only another server, which may come back, or an operator can tell.
    Elsewhere(String),
}

impl PlannedBatch {
    /// What became of the first range, which was refused or answered without proof.
    pub(super) async fn find(
        &mut self,
        sink: &Sink,
        tables: &Tables,
        known: &TableAndPlan,
        rows: &PlannedRows<'_>,
        piece: &Piece,
        refused: &RefusedInsert,
    ) -> FoundRows {
        let Some(OpenRange { planned: Some(range), is_sent: true, .. }) = self.open.front() else {
            return FoundRows::NotLanded;
        };
        let range = *range;
        let token = range.token(&self.ours.group, &self.partition);
        let refusal = &refused.refusal;
        tracing::info!(partition = %self.partition, %range, token, "{refusal}; it may have landed before, and is \
            looked up");
        let table = &known.table;
        // Only the server that the rows are bound to can tell.
        let is_elsewhere = match range.planned.home {
            _ if matches!(refusal, Refusal::Elsewhere(_)) => true,
            Some(home) => sink.stand_on(table, home.server).await.is_none(),
            None => false,
        };
        if is_elsewhere {
            return FoundRows::Elsewhere(self.question(&range, &sink.elsewhere(table)));
        }
        // Rows that are found have landed, whatever may be under way.
        if self.look(sink, known, rows, piece, &range, refusal).await == Evidence::Rows {
            return FoundRows::Landed;
        }
        tokio::time::sleep(UNDER_WAY).await;
        sink.until_no_insert_runs(&token, range.planned.home.map(|home| home.server)).await;
        if !tables.is_same_table(known).await {
            return FoundRows::Changed;
        }
        match self.look(sink, known, rows, piece, &range, refusal).await {
            Evidence::Rows => return FoundRows::Landed,
            Evidence::NoRows => return FoundRows::NotLanded,
            Evidence::Unknown => {}
        }
        // The server may have gone meanwhile, and may come back.
        if let Some(home) = range.planned.home
            && sink.stand_on(table, home.server).await.is_none()
        {
            return FoundRows::Elsewhere(self.question(&range, &sink.elsewhere(table)));
        }
        tables.hold(Hold::Paused(self.question(&range, refusal))).await
    }

    /// The question for the operator.
    fn question(&self, range: &Range, refusal: &Refusal) -> String {
        let token = range.token(&self.ours.group, &self.partition);
        format!(
            "whether the rows of {} at the offsets {range} landed cannot be told ({refusal}): look for them \
             in the table, and restart with DELIVERY_ANSWERS={token}=landed if they are there, or \
             {token}=not_landed if none is",
            self.partition
        )
    }

    /// Whether the table has the rows of the first range.
    async fn look(
        &self,
        sink: &Sink,
        known: &TableAndPlan,
        rows: &PlannedRows<'_>,
        piece: &Piece,
        range: &Range,
        refusal: &Refusal,
    ) -> Evidence {
        let (table, token) = (&known.table, range.token(&self.ours.group, &self.partition));
        let named = named(known);
        let promised = promised(range, named);
        let carried = promised.carried;
        let server = promised.home.map(|home| home.server);
        // Another table has its own block numbers.
        let is_theirs = match promised.home {
            Some(home) => {
                let stand = sink.stand_on(table, home.server).await;
                stand.is_some_and(|stand| stand.home.table == home.table)
            }
            None => !matches!(refusal, Refusal::Replaced(_)),
        };
        if is_theirs {
            let slice = rows.rows.slice(piece.start, piece.len());
            let sought = carried.put(&slice, named, &token).and_then(|sent| carried.sought(&sent));
            if let Ok(sought) = sought {
                let evidence = sink.evidence(table, &sought, &promised).await;
                if evidence != Evidence::Unknown {
                    tracing::info!(partition = %self.partition, %range, token, ?evidence, "looked at the parts \
                        that came since it was planned");
                    return evidence;
                }
            }
        }
        let Some(column) = carried.searched() else { return Evidence::Unknown };
        let Some(landed) = sink.count_of_token(table, column, &token, server).await else {
            return Evidence::Unknown;
        };
        tracing::info!(partition = %self.partition, %range, token, landed, "looked for its rows");
        let facts = &table.facts;
        let before = if is_theirs { promised.before() } else { 0 };
        match landed {
            // A server that died may have taken only some partitions, and a merge may have removed rows.
            1.. if landed == piece.len() as u64 => Evidence::Rows,
            // The plan says that the rows carry the token, no merge removes rows, no token is lost, no row is
            // hidden.
            0 if carried.is_known()
                && facts.engine == "MergeTree"
                && sink.keeps_tokens(table, column, before, server).await
                && sink.sees_all(table, column, server).await =>
            {
                Evidence::NoRows
            }
            _ => Evidence::Unknown,
        }
    }
}
