//! The commit metadata of an offset without a plan: the topic that it belongs to. A recreated topic keeps its
//! name, but offsets of the old one mean nothing in it. Pure: no clock, no I/O.

use std::fmt;

/// Prefix of every mark. Plans have another, so that no version takes one for the other.
const BEGIN: &str = "topic=";

/// The topic that a committed offset belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMark {
    /// Kafka's id of the topic.
    pub topic: u128,
    /// The offset it was committed with. Tools that copy commits translate the committed offset, but not this
    /// one.
    pub offset: i64,
    /// Kafka's id of the cluster; empty if it has none. A copy of the topic elsewhere has another cluster id
    /// and the same offsets.
    pub cluster: String,
}

/// Whether a committed offset is valid, by its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It is of the current topic, as far as can be told.
    OfThisTopic,
    /// It is of a deleted topic of this name.
    OfAnotherTopic,
}

impl TopicMark {
    /// Parses a mark that [`TopicMark`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix(BEGIN)?.split(';');
        let topic = u128::from_str_radix(fields.next()?, 16).ok()?;
        let offset = fields.next()?.strip_prefix("offset=")?.parse().ok()?;
        let cluster = fields.next()?.strip_prefix("cluster=")?.to_owned();
        fields.next().is_none().then_some(Self { topic, offset, cluster })
    }

    /// Judges the committed offset with this mark, by the current ids of topic and cluster.
    pub fn judge(&self, offset: i64, topic: u128, cluster: &str) -> Worth {
        let is_copy = offset != self.offset || cluster != self.cluster;
        match self.topic == topic || is_copy {
            true => Worth::OfThisTopic,
            false => Worth::OfAnotherTopic,
        }
    }
}

impl fmt::Display for TopicMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, offset, cluster } = self;
        write!(f, "{BEGIN}{topic:x};offset={offset};cluster={cluster}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::plans::Plan;

    fn mark() -> TopicMark {
        TopicMark { topic: 0xab, offset: 500, cluster: "c2x1aWNl".into() }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is() {
        let text = mark().to_string();
        assert_eq!(text, "topic=ab;offset=500;cluster=c2x1aWNl");
        assert_eq!(TopicMark::parse(&text), Some(mark()));
        assert_eq!(Plan::parse(&text), None);
        let plan = Plan { topic: 0xab, low: 500, planned: Vec::new() }.to_text();
        for text in ["", "of another tool", "topic=ab", &plan, "topic=x;offset=1;cluster="] {
            assert_eq!(TopicMark::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_is_of_another_topic_only_on_the_same_cluster() {
        use Worth::{OfAnotherTopic, OfThisTopic};
        assert_eq!(mark().judge(500, 0xab, "c2x1aWNl"), OfThisTopic);
        assert_eq!(mark().judge(500, 0xac, "c2x1aWNl"), OfAnotherTopic);
        assert_eq!(mark().judge(500, 0xac, "copied"), OfThisTopic, "offsets were copied along");
        assert_eq!(mark().judge(480, 0xac, "c2x1aWNl"), OfThisTopic, "an offset was translated");
    }
}
