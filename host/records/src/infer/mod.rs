//! Infer: from records to the table that takes them. Pure: nothing here reads a topic or a file, or
//! speaks to a server. docs/infer.md has the rules.
//!
//! [`Survey`] looks at every record once, `choose` names the types that may take what was seen at a
//! place, and [`Column::of`] holds each of them against the records by decode itself. So whatever is
//! chosen, every record that was looked at lands in it.

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

/// Most fields of records that are looked at.
pub const MAX_FIELDS: usize = 1_000;
/// Most records that are told for what is wrong with them.
const MAX_TOLD: usize = 10;
/// Records that are decoded at once.
const STRIDE: usize = 10_000;
/// What a JSON column holds where its field is missing.
const NO_OBJECT: &str = "'{}'";

/// What was seen of records.
#[derive(Debug, Default)]
pub struct Survey {
    fields: Members,
    /// The records that count, ascending, by their place among the payloads.
    usable: Vec<usize>,
    /// How many no table takes.
    pub unusable: u64,
    /// The first of those, with why.
    pub told: Vec<(Origin, Fault)>,
    /// How many have no payload.
    pub tombstones: u64,
    /// How many messages hold no record.
    pub empty: u64,
    /// How many values of further fields were not looked at.
    pub passed_over: u64,
}

impl Survey {
    /// Looks at every record of a batch that was split.
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
                // However much is within the fields before it, a field is looked at.
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

    /// How many records count.
    pub fn records(&self) -> u64 {
        self.usable.len() as u64
    }

    /// The fields, in the order in which they were first seen, each with the number of its values.
    pub fn fields(&self) -> impl Iterator<Item = (&str, u64)> {
        self.fields.iter().map(|(name, profile)| (name, profile.seen))
    }
}

/// A column, or a field of which there is none.
#[derive(Debug)]
pub struct Column {
    name: Box<str>,
    profile: Profile,
    /// In how many records there is no such field.
    missing: u64,
    /// The types that may take it, the best one first.
    choices: Vec<Choice>,
    /// Why there are no more of them.
    why: Why,
}

impl Column {
    /// The columns for the fields of these names; every record that was surveyed lands in a table of
    /// them. They are to stand beside those of the table that is `there`, if there is one.
    pub fn of(
        survey: &Survey,
        (batch, payloads): (&Batch, &Payloads),
        there: Option<&TableSchema>,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Vec<Self> {
        // A server reads JSON by other rules where the table has a Variant or Dynamic too.
        let allowed = Allowed {
            unions: there.is_none_or(|table| !table.holds(Kind::is_json)),
            json: there.is_none_or(|table| !table.holds(Kind::is_union)),
        };
        // Rows that are there have none of the fields.
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

    /// The type; `None` where the column is left out.
    pub fn type_text(&self) -> Option<&str> {
        self.choices.first().map(|choice| &*choice.text)
    }

    fn default(&self) -> Option<&'static str> {
        (self.type_text() == Some("JSON")).then_some(NO_OBJECT)
    }

    /// Whether every record has a value of it.
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

/// So many records, in words.
pub fn records(count: u64) -> String {
    let noun = if count == 1 { "record" } else { "records" };
    format!("{count} {noun}")
}

/// Drops the types that some record does not fit, until all records fit.
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
                // What is wrong is no column's, so no choice would mend it.
                None => {
                    let is_of =
                        |at: usize| payloads.row(batch, at).is_some_and(|row| row.0 == origin);
                    usable.retain(|at| !is_of(*at));
                }
            }
        }
    }
}

/// Where the table has a Variant or Dynamic too, texts within JSON that look like times are refused. So
/// a table has one or the other.
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

/// The first fault of each column, with its record, that the table of the first choices finds.
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

/// How records become rows of the table of the first choices; `None` for one without columns.
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
    // What fills no column speaks against no type.
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
