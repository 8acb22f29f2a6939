//! One range of a plan, and the token of its INSERT.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::text::Planned;
use crate::flow::record::TopicPartition;

/// A range of a partition in a committed plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where it begins, inclusive: the end of the range before it, or the low watermark.
    pub first: i64,
    /// Its entry in the plan.
    pub planned: Planned,
}

impl Range {
    /// The deduplication token of its INSERT: 32 hexadecimal digits, the same for every reader of the plan,
    /// unique to this range.
    pub fn token(&self, group: &str, partition: &TopicPartition) -> String {
        let Planned { end, nonce, .. } = self.planned;
        let mut digest = Sha256::new();
        for name in [group, &partition.topic] {
            // Each name is prefixed with its length, so that no two names run into one.
            digest.update((name.len() as u64).to_be_bytes());
            digest.update(name);
        }
        digest.update(partition.partition.to_be_bytes());
        digest.update(self.first.to_be_bytes());
        digest.update(end.to_be_bytes());
        digest.update(nonce.to_be_bytes());
        hex::encode(digest.finalize().first_chunk::<16>().unwrap_or(&[0; 16]))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.planned.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_changes_with_everything_that_makes_a_range_another() {
        let partition_of =
            |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
        let range = |first, end, nonce| {
            let (fingerprint, window_position, home, column) = (1, 2, None, 0);
            Range {
                first,
                planned: Planned { end, nonce, fingerprint, window_position, home, column },
            }
        };
        let token = |group: &str, topic: &str, partition, range: Range| {
            range.token(group, &partition_of(topic, partition))
        };
        let tokens = [
            token("g", "t", 0, range(5, 8, 1)),
            token("gt", "", 0, range(5, 8, 1)),
            token("", "gt", 0, range(5, 8, 1)),
            token("g", "t", 1, range(5, 8, 1)),
            token("g", "t", 0, range(4, 8, 1)),
            token("g", "t", 0, range(5, 9, 1)),
            token("g", "t", 0, range(5, 8, 2)),
        ];
        assert_eq!(tokens[0].len(), 32);
        for (at, one) in tokens.iter().enumerate() {
            assert!(!tokens[at + 1..].contains(one), "{at}");
        }
        let mut again = range(5, 8, 1);
        (again.planned.fingerprint, again.planned.window_position) = (9, 9);
        assert_eq!(token("g", "t", 0, again), tokens[0]);
    }
}
