//! What became of rows whose INSERT was refused, or answered without proof, after an earlier one may have left
//! them: they are looked up, and nothing is decided that the look does not show.

use std::time::Duration;

use super::{Open, PlannedBatch, Rows, promised, with_token};
use crate::outcome::Hold;
use crate::plans::Range;
use crate::sink::{Evidence, Piece, Refusal, Refused, Sink};
use crate::tables::{Known, Tables, token_column};

/// How long nothing is decided about rows that may be under way: longer than an INSERT that was sent
/// whole takes, and than a member that lost its partition goes on.
const UNDER_WAY: Duration = Duration::from_secs(15);

/// What is known of rows that were refused and may have been sent before.
pub(super) enum Found {
    Landed,
    NotLanded,
    /// The table is another than the rows were made for.
    Changed,
    /// Another server may know, which may come back; or an operator.
    Elsewhere(String),
}

impl PlannedBatch {
    /// What became of the first range, which was refused or whose answer proves nothing.
    pub(super) async fn find(
        &mut self,
        sink: &Sink,
        tables: &Tables,
        known: &Known,
        rows: &Rows<'_>,
        piece: &Piece,
        refused: &Refused,
    ) -> Found {
        let Some(Open { planned: Some(range), is_sent: true, .. }) = self.open.front() else {
            return Found::NotLanded;
        };
        let range = *range;
        let token = range.token(&self.ours.group, &self.source);
        let refusal = &refused.refusal;
        tracing::info!(source = %self.source, %range, token, "{refusal}; it may have landed before, and is \
            looked up");
        // What is there is there, whatever may be under way.
        if self.look(sink, known, rows, piece, &range, refusal).await == Evidence::Rows {
            return Found::Landed;
        }
        if !matches!(refusal, Refusal::Elsewhere(_)) {
            tokio::time::sleep(UNDER_WAY).await;
            sink.until_no_insert_runs(&token).await;
        }
        if !tables.is_same_table(known).await {
            return Found::Changed;
        }
        match self.look(sink, known, rows, piece, &range, refusal).await {
            Evidence::Rows => return Found::Landed,
            Evidence::NoRows => return Found::NotLanded,
            Evidence::Unknown => {}
        }
        let text = format!(
            "whether the rows of {} at the offsets {range} landed cannot be told ({refusal}): look for them \
             in the table, and restart with DELIVERY_ANSWERS={token}=landed if they are there, or \
             {token}=not_landed if none is",
            self.source
        );
        if matches!(refusal, Refusal::Elsewhere(_)) {
            return Found::Elsewhere(text);
        }
        tables.hold(Hold::Paused(text)).await
    }

    /// Whether the table has the rows of the first range.
    async fn look(
        &self,
        sink: &Sink,
        known: &Known,
        rows: &Rows<'_>,
        piece: &Piece,
        range: &Range,
        refusal: &Refusal,
    ) -> Evidence {
        let (table, token) = (&known.table, range.token(&self.ours.group, &self.source));
        // Another server's table tells nothing of what this one has.
        if matches!(refusal, Refusal::Elsewhere(_)) {
            return Evidence::Unknown;
        }
        let promised = promised(known, range, true);
        // The blocks of another table are counted otherwise.
        let is_theirs = match promised.home {
            Some(home) => sink.stand_now(table).await.home.table == home.table,
            None => !matches!(refusal, Refusal::Replaced(_)),
        };
        if is_theirs {
            let slice = rows.rows.slice(piece.start, piece.len());
            if let Ok(slice) = with_token(known, &slice, &token) {
                let evidence = sink.evidence(table, &slice, &promised).await;
                if evidence != Evidence::Unknown {
                    tracing::info!(source = %self.source, %range, token, ?evidence, "looked at the parts \
                        that came since it was planned");
                    return evidence;
                }
            }
        }
        let Some((_, column)) = token_column(&known.plan) else { return Evidence::Unknown };
        let server = promised.home.map(|home| home.server);
        let Some(landed) = sink.count_of_token(table, column, &token, server).await else {
            return Evidence::Unknown;
        };
        tracing::info!(source = %self.source, %range, token, landed, "looked for its rows");
        // Another engine's merges may have taken its rows; of several partitions a server that died may
        // have taken some.
        let is_one_part = table.facts.partition_columns.is_empty();
        match landed {
            0 if table.facts.engine == "MergeTree" => Evidence::NoRows,
            0 => Evidence::Unknown,
            landed if is_one_part || landed == piece.len() as u64 => Evidence::Rows,
            _ => Evidence::Unknown,
        }
    }
}
