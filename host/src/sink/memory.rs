//! Rows that exceed the server's memory or file limits: when to split them, when a record is at fault.

use super::sending::Sending;
use crate::flow::hold::Hold;

/// How many tries rows get before they are split.
const TRIES: u32 = 3;
/// How many tries the rows of one record get, and how many of these must be proofs, which only the record
/// explains, before it is at fault.
const LONE_TRIES: u32 = 8;
const LONE_PROOFS: u32 = 3;

/// The tries of rows that found no memory.
#[derive(Debug, Default)]
pub struct Want {
    tries: u32,
    /// How many of them prove that these rows are at fault: other INSERTs landed since the try before, or a
    /// single query is limited.
    proofs: u32,
    /// How many INSERTs had landed at the last try.
    landed: Option<u64>,
}

/// What to do with such rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again.
    Again,
    /// Split them.
    Split,
    /// Reject the record, which is at fault.
    Reject,
}

impl Want {
    /// For rows that found no memory when `landed` INSERTs had landed, and then let others go first.
    pub fn since(landed: Option<u64>) -> Self {
        Self { landed, ..Self::default() }
    }

    /// Notes a try that found no memory, with the server's text and the number of INSERTs landed so far. Rows
    /// that cannot be split are at fault only if the server's other load does not explain it. Planned rows
    /// wait.
    pub fn note(&mut self, sending: &Sending<'_>, text: &str, landed: u64) -> Remedy {
        let before = self.landed.replace(landed);
        let is_proof = before.is_some_and(|before| before < landed) || is_of_one_query(text);
        self.proofs += u32::from(is_proof);
        self.tries += 1;
        let may_split = sending.may_split_for_memory;
        if may_split && self.tries > TRIES {
            return Remedy::Split;
        }
        let is_lone = !may_split && sending.planned.is_none();
        match is_lone && self.tries >= LONE_TRIES && self.proofs >= LONE_PROOFS {
            true => Remedy::Reject,
            false => Remedy::Again,
        }
    }

    /// The hold while rows wait for memory.
    pub fn hold(&self, text: String) -> Hold {
        match self.tries > TRIES {
            true => Hold::Paused(format!(
                "{text}; the rows cannot be split any further: raise what CLICKHOUSE_USER or the server may take"
            )),
            false => Hold::Transient(text),
        }
    }
}

/// Whether the limit is that of a single query, independent of other load: the words of 26.7, and those
/// before 25.2.
fn is_of_one_query(text: &str) -> bool {
    text.contains("Query memory limit exceeded")
        || text.contains("Memory limit (for query) exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(may_split_for_memory: bool) -> Sending<'static> {
        Sending {
            token: "",
            may_be_async: false,
            may_split_for_memory,
            landed_before: None,
            planned: None,
        }
    }

    #[test]
    fn rows_of_many_records_are_split_after_three_more_tries() {
        let mut want = Want::default();
        let remedies = [0; 4].map(|landed| want.note(&sending(true), "memory", landed));
        assert_eq!(remedies, [Remedy::Again, Remedy::Again, Remedy::Again, Remedy::Split]);
    }

    #[test]
    fn a_record_is_at_fault_only_if_others_land_or_the_query_itself_is_limited() {
        let remedy = |text: &str, landed: &dyn Fn(u64) -> u64| {
            let mut want = Want::since(Some(0));
            (1..=20).find(|at| want.note(&sending(false), text, landed(*at)) == Remedy::Reject)
        };
        assert_eq!(remedy("(total) memory limit exceeded", &|_| 0), None);
        assert_eq!(remedy("(total) memory limit exceeded", &|at| at.min(2)), None);
        assert_eq!(remedy("(total) memory limit exceeded", &|at| at), Some(8));
        assert_eq!(remedy("Query memory limit exceeded: would use", &|_| 0), Some(8));
        assert_eq!(remedy("Memory limit (for query) exceeded: would use", &|_| 0), Some(8));
    }
}
