//! Arrays of one Nested structure: ClickHouse takes those of equal length alone, and refuses the whole INSERT
//! for others.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, BooleanArray, ListArray};

use super::emptied;
use crate::rejection::{Fault, Reason};
use crate::schema::plan::{ColumnPlan, TablePlan, WhenNull};
use crate::schema::source::escaped;

/// The faults of rows of which the arrays have different lengths. A null becomes an empty array, and so does what
/// is absent where the others are empty; what is absent beside elements stays a null, and is left to the server,
/// which puts as many.
pub fn settle(
    plan: &TablePlan,
    columns: &mut [ArrayRef],
    structure: &[usize],
    is_absent: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, Fault)> {
    let of = |at: &usize| Some((*at, plan.columns.get(*at)?, columns.get(*at)?.as_list_opt()?));
    let lists: Vec<(usize, &ColumnPlan, &ListArray)> = structure.iter().filter_map(of).collect();
    let rows = lists.first().map_or(0, |(.., list)| list.len());
    let (mut faults, mut empty): (Vec<_>, BTreeMap<usize, Vec<bool>>) = Default::default();
    for row in 0..rows {
        let mut known: Option<(&ColumnPlan, i32)> = None;
        let mut nulls = Vec::new();
        for (at, plan, list) in &lists {
            let length = if list.is_valid(row) { list.value_length(row) } else { 0 };
            let is_absent = list.is_null(row) && is_absent(*at, row);
            if list.is_null(row) {
                nulls.push((*at, *plan, is_absent));
            }
            match known {
                _ if is_absent => {}
                None => known = Some((plan, length)),
                Some((_, other)) if other == length => {}
                Some((other, expected)) => {
                    faults.push((row, fault(plan, length, other, expected)));
                    break;
                }
            }
        }
        let has_elements = known.is_some_and(|(_, length)| length > 0);
        for (at, plan, is_absent) in nulls {
            // What has a DEFAULT is the server's to compute, and a null there is refused.
            let is_left = is_absent && (has_elements || plan.when_null == WhenNull::Reject);
            if !is_left {
                let empty = empty.entry(at).or_insert_with(|| vec![false; rows]);
                empty.get_mut(row).into_iter().for_each(|is_empty| *is_empty = true);
            }
        }
    }
    for (at, is_empty) in empty {
        if let (Some(column), Some(plan)) = (columns.get_mut(at), plan.columns.get(at)) {
            *column = emptied(column, &BooleanArray::from(is_empty), plan);
        }
    }
    faults
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
