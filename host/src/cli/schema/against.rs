//! Reports which records do not fit the table, and an ALTER that would let more of them fit.

use std::fmt::Write as _;

use anyhow::anyhow;

use super::infer::{EXIT_REJECTED, EXIT_UNFILLED};
use super::sample::Sample;
use super::{Exit, print};
use crate::config::{TableConfig, Tombstones};
use crate::infer::{Column, MAX_FIELDS, Misfits, Survey, alter_table, records, remark};
use crate::schema::plan::TablePlan;
use crate::schema::quoted::identifier;
use crate::schema::table::TableSchema;

/// Most lines of one kind.
const LISTED: usize = 100;
/// Most characters of a name or a reason.
const SHOWN: usize = 300;

/// Prints what does not fit, and fails if there is anything.
pub fn against(
    config: &TableConfig,
    schema: &TableSchema,
    plan: &TablePlan,
    sample: &Sample,
    survey: &Survey,
) -> Result<(), Exit> {
    let user_schema = config.records.json_schema.as_ref();
    let misfits = Misfits::of(schema, plan, user_schema, survey, (&sample.batch, &sample.split));
    let table = format!("{}.{}", identifier(&schema.database), identifier(&schema.table));
    let tombstones = match config.records.tombstones {
        Tombstones::Skip => 0,
        Tombstones::DeadLetter => survey.tombstones,
    };
    let refused = tombstones + misfits.refused.iter().map(|refused| refused.records).sum::<u64>();
    let mut sql = told(&table, sample, survey, &misfits, tombstones);
    let is_new = |name: &str| {
        misfits.unfilled.iter().any(|(field, _, why)| **field == *name && why.is_none())
    };
    let columns = Column::of(survey, (&sample.batch, &sample.split.payloads), Some(schema), is_new);
    sql.push_str(&alter_table(&table, survey, &columns));
    print(&sql)?;
    let (all, unfilled) = (sample.batch.len(), misfits.unfilled.len());
    match (refused, unfilled, survey.passed_over) {
        (0, 0, 0) => Ok(()),
        (0, ..) => {
            let error = match survey.passed_over {
                0 => anyhow!("{unfilled} fields have no column in {table}"),
                more => anyhow!(
                    "{unfilled} fields have no column in {table}, of the first {MAX_FIELDS}; {more} \
                     values of further fields were not looked at"
                ),
            };
            Err(Exit { code: EXIT_UNFILLED, error })
        }
        _ => {
            let error = anyhow!("{refused} of {all} records would be rejected by {table}");
            Err(Exit { code: EXIT_REJECTED, error })
        }
    }
}

/// What does not fit, as SQL comments.
fn told(
    table: &str,
    sample: &Sample,
    survey: &Survey,
    misfits: &Misfits,
    tombstones: u64,
) -> String {
    let mut lines = vec![format!(
        "{} of {} against {table}: {} would land, {} have no payload",
        records(sample.batch.len().into()),
        sample.origin,
        misfits.landing,
        survey.tombstones
    )];
    if tombstones > 0 {
        lines.push(format!("rejected: {tombstones} null_not_allowed: no payload (TOMBSTONES)"));
    }
    for refused in misfits.refused.iter().take(LISTED) {
        let mut line = format!("rejected: {} {}", refused.records, refused.reason);
        if let Some(column) = &refused.column {
            let _infallible = write!(line, " at {}", identifier(column));
        }
        let place = sample.place(refused.first);
        lines.push(format!("{line}, such as {place}: {}", remark(&refused.text, SHOWN)));
    }
    if let Some(envelope) = &misfits.envelope {
        let (count, place) = (envelope.columns.len(), remark(&envelope.pointer, SHOWN));
        let noun = if count == 1 { "column" } else { "columns" };
        let ways = envelope.column_from(LISTED);
        lines.push(format!(
            "the fields of {count} {noun} stand within {place}: set COLUMN_FROM={ways}"
        ));
    }
    for (column, values) in &misfits.replaced {
        let column = identifier(column);
        lines.push(format!("replaced: values at {column}: {values} (COLUMN_ON_INVALID)"));
    }
    for (name, values, why) in misfits.unfilled.iter().take(LISTED) {
        let why = why.as_ref().map(|why| format!(": it {why}")).unwrap_or_default();
        let name = remark(name, SHOWN);
        lines.push(format!("no column takes the field \"{name}\" of {}{why}", records(*values)));
    }
    for (column, is_required) in misfits.unseen.iter().take(LISTED) {
        let rule = if *is_required { " (REQUIRED_COLUMNS)" } else { "" };
        lines.push(format!("no record has the field of column {}{rule}", identifier(column)));
    }
    for more in [misfits.refused.len(), misfits.unfilled.len(), misfits.unseen.len()] {
        if more > LISTED {
            lines.push(format!("and {} more of such lines", more - LISTED));
        }
    }
    lines.iter().fold(String::new(), |text, line| text + "-- " + &remark(line, usize::MAX) + "\n")
}
