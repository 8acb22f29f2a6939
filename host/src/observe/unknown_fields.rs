//! Fields that fill no column. A name may be a value, such as an address used as a key, so names are
//! logged and counted only with UNKNOWN_FIELD_NAMES=1, and at most 100 of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::count;
use crate::flow::rows::Noticed;

/// Most names that have a series of their own.
const MAX_NAMES: usize = 100;
/// Most characters of a name.
const MAX_NAME_CHARS: usize = 64;
/// The label of all further names.
const OTHERS: &str = "(others)";
/// The label of all fields without UNKNOWN_FIELD_NAMES.
const NOT_NAMED: &str = "(not named)";

/// The names seen so far.
#[derive(Debug)]
pub struct UnknownNames {
    with_names: bool,
    was_told: AtomicBool,
    names: Mutex<BTreeSet<String>>,
}

impl UnknownNames {
    /// Counts fields by name, or all of them together.
    pub fn new(with_names: bool) -> Self {
        Self { with_names, was_told: AtomicBool::new(false), names: Mutex::default() }
    }

    /// Counts the unknown fields of a decoded batch, and logs new names.
    pub fn count(&self, noticed: &Noticed) {
        match self.with_names {
            true => self.count_by_name(noticed),
            false => self.count_all(noticed),
        }
    }

    fn count_all(&self, noticed: &Noticed) {
        let named: u64 = noticed.unknown.iter().map(|(_, fields)| *fields).sum();
        let fields = named + noticed.other_unknown;
        if fields == 0 {
            return;
        }
        count::unknown_field(NOT_NAMED, fields);
        if !self.was_told.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "records have fields that fill no column; `sluicegate schema infer --topic <topic> \
                 --against-table` names them, and UNKNOWN_FIELD_NAMES=1 has them counted by name"
            );
        }
    }

    fn count_by_name(&self, noticed: &Noticed) {
        let mut others = noticed.other_unknown;
        let mut new = Vec::new();
        for (name, fields) in &noticed.unknown {
            let Some(CountedName { name, is_new }) = self.known(name) else {
                others += fields;
                continue;
            };
            count::unknown_field(&name, *fields);
            new.extend(is_new.then_some(name));
        }
        if !new.is_empty() {
            tracing::info!(
                fields = ?new,
                "fields that fill no column; `sluicegate schema infer --topic <topic> \
                 --against-table` prints the ALTER TABLE that takes them in"
            );
        }
        if others > 0 {
            count::unknown_field(OTHERS, others);
        }
    }

    /// The name as it is counted, if it is among the first.
    fn known(&self, name: &str) -> Option<CountedName> {
        let name: String = name.chars().take(MAX_NAME_CHARS).collect();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(&name) {
            return Some(CountedName { name, is_new: false });
        }
        (names.len() < MAX_NAMES && names.insert(name.clone()))
            .then_some(CountedName { name, is_new: true })
    }
}

/// A name that is counted.
#[derive(Debug, PartialEq, Eq)]
struct CountedName {
    name: String,
    is_new: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_told_apart_and_no_more() {
        let names = UnknownNames::new(true);
        for n in 0..MAX_NAMES {
            let name = format!("n{n}");
            assert_eq!(names.known(&name), Some(CountedName { name: name.clone(), is_new: true }));
        }
        assert_eq!(names.known("late"), None);
        assert_eq!(names.known("n0"), Some(CountedName { name: "n0".into(), is_new: false }));
    }
}
