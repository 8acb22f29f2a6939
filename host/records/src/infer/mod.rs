//! Infers a table that accepts given records. Pure: nothing here reads a topic or a file, or contacts a
//! server. The rules are in docs/infer.md.
//!
//! [`Survey`] examines every record once, `choose` proposes types for each place, and [`Column::of`]
//! tests each of them by decoding the records. So every examined record lands in the chosen table.

mod choose;
mod dotted;
mod envelope;
mod evidence;
mod misfits;
mod names;
mod paths;
mod profile;
mod remark;
mod scalar;
mod sql;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::check;
use crate::decode::{decode, each_field, judge_text};
use crate::flow::payloads::{Hooked, Payloads};
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::{Fault, Rejection};
use crate::schema::plan::{Rules, TablePlan};
use crate::schema::table::{ColumnRow, TableSchema};
use crate::schema::types::{Kind, parse};
use choose::{Allowed, Choice, Why};
pub use envelope::Envelope;
pub use misfits::{Misfits, Refused};
use profile::{Members, Profile, Room};
pub use remark::remark;
pub use sql::{alter_table, create_table};

/// Most fields that are examined.
pub const MAX_FIELDS: usize = 1_000;
/// Most faulty records that are reported.
const MAX_TOLD: usize = 10;
/// How many records are decoded at once.
const STRIDE: usize = 10_000;
/// The DEFAULT of a JSON column whose field is absent.
const NO_OBJECT: &str = "'{}'";

/// Statistics of records.
#[derive(Debug, Default)]
pub struct Survey {
    fields: Members,
    /// The valid records, ascending, by their index among the payloads.
    usable: Vec<usize>,
    /// How many records no table accepts.
    pub unusable: u64,
    /// The first of those, with their faults.
    pub told: Vec<(Origin, Fault)>,
    /// How many have no payload.
    pub tombstones: u64,
    /// How many messages contain no record.
    pub empty: u64,
    /// How many values of further fields were not examined.
    pub passed_over: u64,
}

impl Survey {
    /// Examines every record of a split batch.
    pub fn of(batch: &Batch, split: &Hooked) -> Self {
        let (mut survey, mut room) = (Self::default(), Room::default());
        survey.tombstones = batch.payloads().filter(Option::is_none).count() as u64;
        survey.empty = split.dropped.len() as u64;
        for rejection in &split.rejections {
            survey.leave_out(rejection.origin, rejection.fault.clone());
        }
        for (at, (origin, payload)) in split.payloads.iter(batch).enumerate() {
            let (fields, passed_over) = (&mut survey.fields, &mut survey.passed_over);
            let read = each_field(payload, |name, token| {
                // A field is examined even if earlier fields contain many places.
                let has_room = fields.len() < MAX_FIELDS;
                match fields.place(name, || has_room) {
                    Some(place) => place.add(token, &mut room, 0),
                    None => *passed_over += 1,
                }
            });
            match read {
                Ok(()) => survey.usable.push(at),
                Err(mut fault) => {
                    split.payloads.tell(batch, origin, payload, &mut fault);
                    survey.leave_out(origin, *fault);
                }
            }
        }
        survey
    }

    fn leave_out(&mut self, origin: Origin, fault: Fault) {
        self.unusable += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push((origin, fault));
        }
    }

    /// The number of valid records.
    pub fn records(&self) -> u64 {
        self.usable.len() as u64
    }

    /// The fields in the order of first occurrence, with the number of their values.
    pub fn fields(&self) -> impl Iterator<Item = (&str, u64)> {
        self.fields.iter().map(|(name, profile)| (name, profile.seen))
    }
}

/// A column, or a field that gets none.
#[derive(Debug)]
pub struct Column {
    name: Box<str>,
    profile: Profile,
    /// The number of records without this field.
    missing: u64,
    /// The types that may accept it, best first.
    choices: Vec<Choice>,
    /// Why there are no further types.
    why: Why,
}

impl Column {
    /// The columns for the fields with these names; every surveyed record lands in a table of them. If
    /// a table `there` is given, they must fit beside its columns.
    pub fn of(
        survey: &Survey,
        (batch, payloads): (&Batch, &Payloads),
        there: Option<&TableSchema>,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Vec<Self> {
        // A server reads JSON differently if the table also has a Variant or Dynamic.
        let allowed = Allowed {
            unions: there.is_none_or(|table| !table.holds(Kind::is_json)),
            json: there.is_none_or(|table| !table.holds(Kind::is_union)),
        };
        // Existing rows have none of the fields.
        let before = u64::from(there.is_some());
        let wanted = survey.fields.iter().filter(|(name, _)| is_wanted(name));
        let columns = wanted.map(|(name, profile)| {
            let missing = survey.records() - profile.seen;
            let found = match names::refused(name) {
                Some(why) => Err(why.to_owned()),
                None => choose::column(profile, missing + before, allowed),
            };
            let (mut choices, why) = match found {
                Ok(choices) => (choices, Why::new()),
                Err(why) => (Vec::new(), why),
            };
            choices.retain(|choice| parse(&choice.text).is_ok());
            Self { name: name.into(), profile: profile.clone(), missing, choices, why }
        });
        let mut columns: Vec<Self> = columns.collect();
        names::part_dotted(&mut columns, there);
        settle(&mut columns, survey, batch, payloads);
        columns
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type; `None` if the column is left out.
    pub fn type_text(&self) -> Option<&str> {
        self.choices.first().map(|choice| &*choice.text)
    }

    fn default(&self) -> Option<&'static str> {
        (self.type_text() == Some("JSON")).then_some(NO_OBJECT)
    }

    /// Whether every record has a value for it.
    fn is_everywhere(&self) -> bool {
        self.missing == 0 && self.profile.nulls == 0
    }

    fn refuse(&mut self, why: impl FnOnce() -> Why, is_refused: impl Fn(&Choice) -> bool) {
        let before = self.choices.len();
        self.choices.retain(|choice| !is_refused(choice));
        if self.choices.is_empty() && before > 0 {
            self.why = why();
        }
    }
}

/// This many records, as text.
pub fn records(count: u64) -> String {
    let noun = if count == 1 { "record" } else { "records" };
    format!("{count} {noun}")
}

/// Removes types that some record does not fit, until all records fit.
fn settle(columns: &mut [Column], survey: &Survey, batch: &Batch, payloads: &Payloads) {
    let mut usable = survey.usable.clone();
    loop {
        part_unions(columns);
        let faults = faults(columns, batch, payloads, &usable);
        if faults.is_empty() {
            return;
        }
        for (name, (origin, fault)) in faults {
            match columns.iter_mut().find(|column| name.as_deref() == Some(&*column.name)) {
                Some(column) => {
                    let first = column.choices.first().cloned();
                    column.refuse(|| fault.to_string(), |choice| Some(choice) == first.as_ref());
                }
                // The fault belongs to no column, so no choice would fix it.
                None => {
                    let is_of =
                        |at: usize| payloads.row(batch, at).is_some_and(|row| row.0 == origin);
                    usable.retain(|at| !is_of(*at));
                }
            }
        }
    }
}

/// Beside a Variant or Dynamic, JSON columns refuse texts that look like times. So a table has either
/// JSON or those.
fn part_unions(columns: &mut [Column]) {
    let has = |is_such: fn(&Choice) -> bool| {
        columns.iter().any(|column| column.choices.first().is_some_and(is_such))
    };
    if has(|choice| choice.has_json) && has(|choice| choice.has_union) {
        for column in columns {
            let told = choose::told(&column.profile);
            let why = || format!("{told} were seen, and no Variant stands beside JSON");
            column.refuse(why, |choice| choice.has_union);
        }
    }
}

/// Each column's first fault and its record, in the table of the first choices.
fn faults(
    columns: &[Column],
    batch: &Batch,
    payloads: &Payloads,
    usable: &[usize],
) -> BTreeMap<Option<Arc<str>>, (Origin, Fault)> {
    let mut faults = BTreeMap::new();
    let Some(plan) = plan(columns) else { return faults };
    for places in usable.chunks(STRIDE) {
        let rows = decode(&plan, places.iter().filter_map(|at| payloads.row(batch, *at)));
        for rejection in check(&plan, rows, Vec::new(), judge_text).rejections {
            let Rejection { origin, fault, .. } = rejection;
            faults.entry(fault.column.clone()).or_insert((origin, fault));
        }
    }
    faults
}

/// The plan for the table of the first choices; `None` if it has no columns.
fn plan(columns: &[Column]) -> Option<TablePlan> {
    let rows = columns.iter().filter_map(|column| {
        Some(ColumnRow {
            name: column.name.clone().into(),
            ty: column.type_text()?.to_owned(),
            default_kind: column.default().map_or("", |_| "DEFAULT").to_owned(),
            default_expression: column.default().unwrap_or_default().to_owned(),
        })
    });
    let schema = TableSchema::from_rows("default", "inferred", "UTC", rows).ok()?;
    // Fields without a column rule out no type.
    TablePlan::new(&schema, &Rules { takes_unfilled: true, ..Rules::default() }).ok()
}

/// How many records fill no column of the table of the first choices.
pub fn unfilled(
    columns: &[Column],
    survey: &Survey,
    (batch, payloads): (&Batch, &Payloads),
) -> u64 {
    let Some(plan) = plan(columns) else { return 0 };
    let of = |places: &[usize]| {
        let rows = decode(&plan, places.iter().filter_map(|at| payloads.row(batch, *at)));
        rows.noticed.unfilled
    };
    survey.usable.chunks(STRIDE).map(of).sum()
}
