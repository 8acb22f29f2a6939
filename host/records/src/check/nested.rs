//! Arrays of one Nested structure. ClickHouse refuses the whole INSERT if their lengths differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, BooleanArray, ListArray};

use super::emptied;
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::{ColumnPlan, TablePlan, WhenNull};
use crate::schema::source::escaped;

/// The faults of rows whose arrays differ in length. A null becomes an empty array. An absent array beside elements
/// stays null, and the server gives it as many elements. Any other absent array becomes empty, unless the server
/// already fills its column for other rows: then one INSERT takes them all.
pub fn settle_lengths(
    plan: &TablePlan,
    columns: &mut [ArrayRef],
    structure: &[usize],
    is_absent: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, Fault)> {
    let of = |at: &usize| Some((*at, plan.columns.get(*at)?, columns.get(*at)?.as_list_opt()?));
    let lists: Vec<(usize, &ColumnPlan, &ListArray)> = structure.iter().filter_map(of).collect();
    let rows = lists.first().map_or(0, |(.., list)| list.len());
    let mut faults = Vec::new();
    let (mut empty, mut left): (BTreeMap<usize, Vec<bool>>, BTreeSet<usize>) = Default::default();
    let mut absent = empty.clone();
    for row in 0..rows {
        let mut known: Option<(&ColumnPlan, i32)> = None;
        let mut missing = Vec::new();
        for (at, plan, list) in &lists {
            let length = if list.is_valid(row) { list.value_length(row) } else { 0 };
            let is_missing = list.is_null(row) && is_absent(*at, row);
            if is_missing {
                missing.push((*at, plan.when_null == WhenNull::Reject));
            } else if list.is_null(row) {
                note(&mut empty, *at, row, rows);
            }
            match known {
                _ if is_missing => {}
                None => known = Some((plan, length)),
                Some((_, other)) if other == length => {}
                Some((other, expected)) => {
                    faults.push((row, fault(plan, length, other, expected)));
                    break;
                }
            }
        }
        let has_elements = known.is_some_and(|(_, length)| length > 0);
        for (at, has_default) in missing {
            note(&mut absent, at, row, rows);
            // The server computes a DEFAULT.
            if has_elements || has_default {
                left.insert(at);
            }
        }
    }
    absent.retain(|at, _| !left.contains(at));
    for (at, is_empty) in empty.into_iter().chain(absent) {
        if let (Some(column), Some(plan)) = (columns.get_mut(at), plan.columns.get(at)) {
            *column = emptied(column, &BooleanArray::from(is_empty), plan);
        }
    }
    faults
}

fn note(rows_of: &mut BTreeMap<usize, Vec<bool>>, at: usize, row: usize, rows: usize) {
    let noted = rows_of.entry(at).or_insert_with(|| vec![false; rows]);
    noted.get_mut(row).into_iter().for_each(|is_noted| *is_noted = true);
}

fn fault(plan: &ColumnPlan, length: i32, other: &ColumnPlan, expected: i32) -> Fault {
    Fault {
        reason: Reason::UnequalLengths,
        column: Some(Arc::clone(&plan.name)),
        pointer: format!("/{}", escaped(&plan.name)),
        expected: format!("as many elements as `{}` has, {expected}", other.name),
        got_kind: "another number",
        got: length.to_string(),
    }
}
