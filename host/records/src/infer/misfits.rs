//! Finds the records that do not fit an existing table, as the host would.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Survey;
use super::dotted::Within;
use super::envelope::Envelope;
use crate::check::check;
use crate::decode::{Bounds, decode_within, judge_text, with_metadata};
use crate::flow::payloads::Hooked;
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::{Fault, Reason, Rejection};
use crate::schema::names::FindField as _;
use crate::schema::plan::{TablePlan, UnknownField};
use crate::schema::source::ColumnSource;
use crate::schema::table::{Column, TableSchema};
use crate::user_schema::UserSchema;

/// How many records are decoded at once, by origin.
const RECORDS: Origin = 10_000;

/// The misfits of records and a table.
#[derive(Debug, Default)]
pub struct Misfits {
    /// How many records would land.
    pub landing: u64,
    /// Records that would be rejected, the most frequent reason first.
    pub refused: Vec<Refused>,
    /// Columns whose values COLUMN_ON_INVALID would replace, with their counts.
    pub replaced: Vec<(Arc<str>, u64)>,
    /// Fields without a column, each with the number of its values and, if a column has its name, the reason
    /// that it is not filled.
    pub unfilled: Vec<(Box<str>, u64, Option<String>)>,
    /// Columns whose field no record has, and whether they are in REQUIRED_COLUMNS.
    pub unseen: Vec<(Arc<str>, bool)>,
    /// The envelope with columns' fields, if no record has one at the top, or most columns have none there.
    pub envelope: Option<Envelope>,
}

/// Records rejected for one reason at one column.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The column, if there is one.
    pub column: Option<Arc<str>>,
    /// The number of records.
    pub records: u64,
    /// The first of them.
    pub first: Origin,
    /// Its fault.
    pub text: String,
}

impl Misfits {
    /// Tests records against a table's plan and the user's schema, and their fields against its columns. Skips
    /// records without a payload; of a split record, all rows land or none.
    pub fn of(
        table: &TableSchema,
        plan: &TablePlan,
        user_schema: Option<&UserSchema>,
        survey: &Survey,
        (batch, split): (&Batch, &Hooked),
    ) -> Self {
        let (mut misfits, mut replaced) = (Self::default(), BTreeMap::<usize, u64>::new());
        let user_schema = user_schema.filter(|schema| schema.is_covered_by(plan).is_err());
        for rejection in &split.rejections {
            misfits.refuse(rejection.clone());
        }
        let tell = |origin, payload: &[u8], fault: &mut Fault| {
            split.payloads.tell(batch, origin, payload, fault);
        };
        let bounds = Bounds { tell: &tell, ..Bounds::NONE };
        let (mut next, row) = (0, |at| split.payloads.row(batch, at));
        while let Some((first, _)) = row(next) {
            // A record's rows stay together.
            let (begin, end) = (next, first.saturating_add(RECORDS));
            while row(next).is_some_and(|(origin, _)| origin < end) {
                next += 1;
            }
            let payloads = || (begin..next).filter_map(row);
            let violations = user_schema.map(|schema| schema.violations(plan, payloads(), tell));
            let rows = with_metadata(plan, batch, decode_within(plan, payloads(), &bounds).0);
            let mut checked = check(plan, rows, violations.unwrap_or_default(), judge_text);
            checked.origins.dedup();
            misfits.landing += checked.origins.len() as u64;
            for at in checked.noticed.replaced {
                *replaced.entry(at).or_default() += 1;
            }
            for rejection in checked.rejections {
                misfits.refuse(rejection);
            }
        }
        let column =
            |(at, values): (usize, u64)| Some((Arc::clone(&plan.columns.get(at)?.name), values));
        misfits.replaced = replaced.into_iter().filter_map(column).collect();
        misfits.refused.sort_by_key(|refused| std::cmp::Reverse(refused.records));
        let payloads = || split.payloads.iter(batch).map(|(_, payload)| payload);
        let within = Within::of(plan, payloads());
        let has_place = |name: &str| plan.names.find(name, 0).is_some();
        if !matches!(plan.unknown, UnknownField::Column(_)) {
            let unfilled = survey.fields().filter(|(name, _)| !has_place(name));
            let reason = |(name, values): (&str, u64)| (name.into(), values, filled(table, name));
            let inner = within.unfilled.iter().map(|(name, values)| (&**name, *values));
            misfits.unfilled = unfilled.chain(inner).map(reason).collect();
        }
        let is_seen = |name: &str| {
            survey.fields().any(|(field, _)| match plan.ignores_case() {
                true => field.to_lowercase() == name.to_lowercase(),
                false => field == name,
            })
        };
        let columns = plan.columns.iter().enumerate();
        let unseen = columns.filter(|(at, column)| match &column.source {
            ColumnSource::Name => !is_seen(&column.name) && !within.seen.contains(at),
            ColumnSource::Pointer(pointer) => {
                !pointer.steps().first().is_some_and(|name| is_seen(name))
            }
            _ => false,
        });
        let of = unseen.map(|(_, column)| (Arc::clone(&column.name), column.is_required));
        // An unexamined field may be the missing one.
        misfits.unseen = if survey.passed_over == 0 { of.collect() } else { Vec::new() };
        let are_unfilled = |refused: &Refused| {
            matches!(refused.reason, Reason::NoKnownField | Reason::UnknownField)
        };
        let lands_none = misfits.landing == 0 && misfits.refused.iter().all(are_unfilled);
        misfits.envelope = Envelope::of(plan, payloads())
            .filter(|envelope| lands_none || envelope.is_for_most_columns());
        misfits
    }

    fn refuse(&mut self, rejection: Rejection) {
        let Rejection { origin, fault, .. } = rejection;
        let is_same = |refused: &&mut Refused| {
            refused.reason == fault.reason && refused.column == fault.column
        };
        match self.refused.iter_mut().find(is_same) {
            Some(refused) => refused.records += 1,
            None => self.refused.push(Refused {
                reason: fault.reason,
                column: fault.column.clone(),
                records: 1,
                first: origin,
                text: fault.to_string(),
            }),
        }
    }
}

/// Why a field with a column's name does not fill it; `None` if there is no such column.
fn filled(table: &TableSchema, name: &str) -> Option<String> {
    let is_it = |column: &Column| *column.name == *name;
    table.why_not_filled(name).or_else(|| {
        table.columns.iter().any(is_it).then(|| "is a column that is filled otherwise".to_owned())
    })
}
