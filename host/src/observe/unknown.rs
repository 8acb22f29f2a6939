//! Fields that fill no column, counted by name: as many names as a scrape can bear.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::count;
use crate::rows::Noticed;

/// Most names that have a series of their own.
const MAX_NAMES: usize = 100;
/// Most characters of a name.
const MAX_NAME_CHARS: usize = 64;
/// The name of all others.
const OTHERS: &str = "(others)";

/// The names that were seen so far.
#[derive(Debug, Default)]
pub struct UnknownNames(Mutex<BTreeSet<String>>);

impl UnknownNames {
    /// Counts what decoding a batch noticed.
    pub fn count(&self, noticed: &Noticed) {
        let mut others = noticed.other_unknown;
        for (name, fields) in &noticed.unknown {
            match self.known(name) {
                Some(name) => count::unknown_field(&name, *fields),
                None => others += fields,
            }
        }
        if others > 0 {
            count::unknown_field(OTHERS, others);
        }
    }

    /// The name as it is counted, if it is one of the first.
    fn known(&self, name: &str) -> Option<String> {
        let name: String = name.chars().take(MAX_NAME_CHARS).collect();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(&name) {
            if names.len() >= MAX_NAMES {
                return None;
            }
            names.insert(name.clone());
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_told_apart_and_no_more() {
        let names = UnknownNames::default();
        for n in 0..MAX_NAMES {
            assert_eq!(names.known(&format!("n{n}")), Some(format!("n{n}")));
        }
        assert_eq!(names.known("late"), None);
        assert_eq!(names.known("n0"), Some("n0".to_owned()));
    }
}
