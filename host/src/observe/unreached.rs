//! Columns that COLUMN_FROM did not reach, because their path ended in a null or in a value without
//! fields. A record whose `after` is null may be a delete, but lands as a row of defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::count;
use crate::flow::rows::Noticed;
use crate::schema::plan::TablePlan;

/// Most columns that the log names.
const MAX_TOLD: usize = 100;

/// The columns that were logged.
#[derive(Debug, Default)]
pub struct Unreached {
    told: Mutex<BTreeSet<String>>,
}

impl Unreached {
    /// Counts the unreached columns of a decoded batch, and logs each column once.
    pub fn count(&self, noticed: &Noticed, plan: &TablePlan) {
        let mut new = Vec::new();
        let mut sums = BTreeMap::<usize, u64>::new();
        noticed.unreached.iter().for_each(|at| *sums.entry(*at).or_default() += 1);
        for (at, values) in &sums {
            // If the column is required, the record is rejected and reported.
            let column = plan.columns.get(*at).filter(|column| !column.is_required);
            let Some(column) = column else { continue };
            count::unreached(&column.name, *values);
            new.extend(self.is_new(&column.name).then_some(&*column.name));
        }
        if !new.is_empty() {
            tracing::warn!(
                columns = ?new,
                "columns are absent where the way of COLUMN_FROM ends in a null or in a value without fields, as \
                 in a delete or an optional object; if no record may lack a column, REQUIRED_COLUMNS rejects those \
                 that do"
            );
        }
    }

    fn is_new(&self, column: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MAX_TOLD && told.insert(column.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_new_once_and_the_first_alone() {
        let unreached = Unreached::default();
        for n in 0..MAX_TOLD {
            assert!(unreached.is_new(&n.to_string()));
        }
        assert!(!unreached.is_new("0") && !unreached.is_new("late"));
    }
}
