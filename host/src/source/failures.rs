//! Texts for partitions that cannot be read: which one, where, why, and what to do.

use rdkafka::error::RDKafkaErrorCode as Code;

use super::stall::{StallReason, Still};
use crate::flow::hold::Hold;
use crate::flow::record::TopicPartition;

/// An error that librdkafka reports instead of a record.
#[derive(Debug, Clone)]
pub struct ReadFailure {
    /// The partition.
    pub partition: TopicPartition,
    /// Its code.
    pub code: Code,
    /// librdkafka's text.
    pub text: String,
    /// The offset it names; negative for none.
    pub offset: i64,
}

/// What to do about a batch that can never be read.
const PAST_IT: &str = "to go past it, stop every host of the group and set its offset";

impl ReadFailure {
    /// The hold to report; `next` is the partition's next offset.
    pub fn hold(&self, next: Option<i64>) -> Hold {
        let Self { partition, code, text, offset } = self;
        // The batch may begin before the next record.
        let at = next.map_or(*offset, |next| next.max(*offset));
        let place = place(partition, at);
        let what = match code {
            Code::BadCompression => format!(
                "a batch does not unpack: it is damaged, or larger than receive.message.max.bytes; \
                 raise that in KAFKA_PROPERTIES; {PAST_IT}"
            ),
            Code::BadMessage | Code::InvalidMessage => format!(
                "a batch is damaged: move the partition's leadership to a replica that is whole; \
                 {PAST_IT}"
            ),
            Code::NotImplemented => format!(
                "a batch is of a format or codec that librdkafka does not know, or is damaged; \
                 {PAST_IT}"
            ),
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => format!(
                "a record is larger than a fetch: raise receive.message.max.bytes and \
                 fetch.max.bytes in KAFKA_PROPERTIES; {PAST_IT}"
            ),
            Code::TopicAuthorizationFailed => {
                return Hold::Paused(format!(
                    "topic `{}` (KAFKA_SOURCE_TOPIC) may not be read: grant READ on it",
                    partition.topic
                ));
            }
            _ => return Hold::Transient(format!("{place}: {text}")),
        };
        Hold::Paused(format!("{place}: {what} ({text})"))
    }
}

impl Still {
    /// The hold for a partition that is fetched but stands still; `reason` is the known cause, if any.
    pub fn hold(&self, next: Option<i64>, reason: Option<&str>) -> Hold {
        let (at, end) = (next.unwrap_or(self.look.next), self.look.end);
        let place = place(&self.look.partition, at);
        let reason = reason.unwrap_or(
            "a batch is damaged, larger than receive.message.max.bytes, or not handed out by its \
             broker; look at that broker's log",
        );
        Hold::Paused(format!(
            "{place}: fetches are answered and nothing of them can be read, while the partition ends \
             at {end}: {reason}; {PAST_IT}"
        ))
    }
}

/// The hold for partitions whose brokers do not answer.
pub fn unreachable(still: &[Still]) -> Option<Hold> {
    let mut away = still.iter().filter(|still| still.why == StallReason::Unreachable);
    let first = away.next()?;
    let broker = match first.look.broker {
        id if id < 0 => "which has no leader".to_owned(),
        id => format!("whose broker {id} does not answer"),
    };
    let others = match away.count() {
        0 => String::new(),
        more => format!(", and {more} more partitions of such brokers"),
    };
    let place = place(&first.look.partition, first.look.next.max(0));
    Some(Hold::Transient(format!("{place}, {broker}{others}: look at the brokers of KAFKA_BROKER")))
}

fn place(partition: &TopicPartition, offset: i64) -> String {
    let TopicPartition { topic, partition: number } = partition;
    match offset {
        ..0 => format!("topic `{topic}`, partition {number}"),
        _ => format!("topic `{topic}`, partition {number}, offset {offset}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::stall::PartitionLook;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "records".into(), partition: 3 }
    }

    fn failure(code: Code, offset: i64) -> ReadFailure {
        ReadFailure { partition: partition(), code, text: "as librdkafka says".into(), offset }
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_told_with_its_place_and_what_to_do() {
        for (code, word) in [
            (Code::BadCompression, "receive.message.max.bytes"),
            (Code::BadMessage, "leadership"),
            (Code::InvalidMessage, "leadership"),
            (Code::NotImplemented, "codec"),
            (Code::MessageSizeTooLarge, "fetch.max.bytes"),
        ] {
            let hold = failure(code, 100).hold(Some(120));
            let Hold::Paused(text) = &hold else { panic!("{hold:?}") };
            assert!(text.starts_with("topic `records`, partition 3, offset 120: "), "{text}");
            assert!(text.contains(word) && text.contains("as librdkafka says"), "{text}");
        }
    }

    #[test]
    fn a_topic_that_may_not_be_read_is_told_of_as_a_whole() {
        let hold = failure(Code::TopicAuthorizationFailed, 7).hold(None);
        let expected = "topic `records` (KAFKA_SOURCE_TOPIC) may not be read: grant READ on it";
        assert_eq!(hold, Hold::Paused(expected.into()));
    }

    #[test]
    fn partitions_of_brokers_that_do_not_answer_are_told_as_one() {
        let still = |partition, why| Still {
            look: PartitionLook {
                partition: TopicPartition { topic: "records".into(), partition },
                next: 17,
                end: 20,
                high: 20,
                broker: 2,
                is_connected: why != StallReason::Unreachable,
                fetches: 0,
                timeouts: 0,
            },
            why,
            since: Duration::from_secs(30),
        };
        let both = [still(3, StallReason::Unreachable), still(4, StallReason::Unreachable)];
        let text = unreachable(&both).unwrap().text().to_owned();
        assert!(text.contains("partition 3, offset 17, whose broker 2"), "{text}");
        assert!(text.contains("and 1 more"), "{text}");
        assert_eq!(unreachable(&[still(3, StallReason::Unreadable)]), None);
    }
}
