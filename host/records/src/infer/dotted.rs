//! Members of objects that fill columns with dotted names: the member `b` of the object `a` fills `a.b`.

use std::collections::{BTreeMap, BTreeSet};

use super::MAX_FIELDS;
use super::envelope::Names;
use crate::decode::{each_field, each_member, kind_of};
use crate::schema::plan::TablePlan;
use crate::schema::source::ColumnSource;

/// The findings in such objects.
#[derive(Debug, Default)]
pub struct Within {
    /// The indices of columns whose field occurs in a record.
    pub seen: BTreeSet<usize>,
    /// Members without a column, by their dotted names, with their counts.
    pub unfilled: BTreeMap<String, u64>,
}

impl Within {
    /// Examines every record.
    pub fn of<'a>(plan: &TablePlan, payloads: impl Iterator<Item = &'a [u8]>) -> Self {
        let (names, mut within) = (Names::of(plan), Self::default());
        let ways = plan.columns.iter().filter_map(|column| match &column.source {
            ColumnSource::Pointer(pointer) => Some(format!("{}.", pointer.steps().join("."))),
            _ => None,
        });
        let ways: Vec<String> = ways.collect();
        for payload in payloads {
            // An invalid record is rejected for that.
            let _sound = each_field(payload, |name, token| {
                if names.find(name).is_none() && names.leads_on(name) {
                    within.look(&names, &ways, name, token);
                }
            });
        }
        within
    }

    fn look(&mut self, names: &Names, ways: &[String], path: &str, token: &str) {
        if kind_of(token) != "object" {
            return;
        }
        let _sound = each_member(token, |name, token| {
            let full = format!("{path}.{name}");
            let is_on_way = || ways.iter().any(|way| way.starts_with(&format!("{full}.")));
            if let Some(at) = names.find(&full) {
                self.seen.insert(at);
            } else if names.leads_on(&full) {
                self.look(names, ways, &full, token);
            } else if !is_on_way()
                && (self.unfilled.len() < MAX_FIELDS || self.unfilled.contains_key(&full))
            {
                *self.unfilled.entry(full).or_default() += 1;
            }
            Ok(())
        });
    }
}
