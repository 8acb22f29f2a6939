//! Where partitions begin with `latest`, which applies to a fresh start only. A partition that existed when
//! the host started, of a topic that the group had never read, begins at its end. Any other, such as one
//! added later, begins at its start, so that no record after the host's start is skipped. Pure: no clock, no
//! I/O.

use std::collections::HashMap;

use crate::config::SourceTopic;

/// A topic as it was when the host started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAtStart {
    /// Its name.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
    /// Whether the group had committed an offset for any of them.
    pub is_read: bool,
}

/// The topics on which the group starts afresh.
#[derive(Debug, Default)]
pub struct Fresh {
    of: HashMap<String, Vec<i32>>,
}

impl Fresh {
    /// Picks the fresh topics of those that existed. A topic that only a pattern matches is not fresh if the
    /// group has read another topic of this pattern: it was created while no host ran.
    pub fn among(seen: &[TopicAtStart], source: &[SourceTopic]) -> Self {
        let is_read_by = |pattern: &SourceTopic| {
            seen.iter().any(|topic| topic.is_read && pattern.matches(&topic.topic))
        };
        let read: Vec<bool> = source.iter().map(is_read_by).collect();
        let is_fresh = |topic: &TopicAtStart| {
            let mut by = source.iter().zip(&read).filter(|(by, _)| by.matches(&topic.topic));
            let is_new = |(by, is_read): (&SourceTopic, &bool)| {
                matches!(by, SourceTopic::Literal(_)) || !is_read
            };
            !topic.is_read && by.any(is_new)
        };
        let fresh = seen.iter().filter(|topic| is_fresh(topic));
        Self { of: fresh.map(|topic| (topic.topic.clone(), topic.partitions.clone())).collect() }
    }

    /// Whether a partition without a committed offset begins at its end.
    pub fn begins_at_its_end(&self, topic: &str, partition: i32) -> bool {
        self.of.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// Notes that a topic was deleted or recreated: what follows under its name is new.
    pub fn forget(&mut self, topic: &str) {
        self.of.remove(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(topic: &str, is_read: bool) -> TopicAtStart {
        TopicAtStart { topic: topic.into(), partitions: vec![0, 1], is_read }
    }

    fn fresh(topics: &[(&str, bool)]) -> Fresh {
        let source = [SourceTopic::Literal("a".into()), SourceTopic::Pattern("^fleet-.*".into())];
        let seen: Vec<TopicAtStart> =
            topics.iter().map(|(topic, is_read)| seen(topic, *is_read)).collect();
        Fresh::among(&seen, &source)
    }

    #[test]
    fn a_topic_that_the_group_read_nothing_of_is_fresh() {
        let fresh = fresh(&[("a", false), ("fleet-1", false)]);
        assert!(fresh.begins_at_its_end("a", 1) && fresh.begins_at_its_end("fleet-1", 0));
    }

    #[test]
    fn a_partition_or_topic_that_came_later_is_not() {
        let fresh = fresh(&[("a", false)]);
        assert!(!fresh.begins_at_its_end("a", 2), "added since");
        assert!(!fresh.begins_at_its_end("fleet-1", 0), "created since");
    }

    #[test]
    fn nor_is_one_that_came_while_nobody_looked() {
        let fresh = fresh(&[("a", true), ("fleet-1", true), ("fleet-2", false)]);
        assert!(!fresh.begins_at_its_end("a", 1), "other partitions are committed");
        assert!(!fresh.begins_at_its_end("fleet-2", 0), "another topic of the pattern is");
    }

    #[test]
    fn a_topic_that_is_named_is_fresh_beside_others() {
        let fresh = fresh(&[("a", false), ("fleet-1", true)]);
        assert!(fresh.begins_at_its_end("a", 0));
    }

    #[test]
    fn a_topic_that_was_made_again_is_new() {
        let mut fresh = fresh(&[("a", false)]);
        fresh.forget("a");
        assert!(!fresh.begins_at_its_end("a", 0));
    }
}
