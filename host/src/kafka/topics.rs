//! What brokers answer about topics, and what their errors mean for an operator: asked before the
//! subscription, and by `sluicegate check`.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::{Metadata, MetadataPartition, MetadataTopic};

use crate::config::SourceTopic;
use crate::flow::hold::Hold;
use crate::kafka::client::denial_of;

/// Asks the brokers through a consumer, which need not be a member of its group.
pub struct Topics<'a, C: ConsumerContext> {
    consumer: &'a BaseConsumer<C>,
    brokers: &'a str,
    /// Longest wait for one answer.
    timeout: Duration,
}

impl<'a, C: ConsumerContext> Topics<'a, C> {
    /// Asks these brokers through this consumer, for at most `timeout` each time.
    pub fn new(consumer: &'a BaseConsumer<C>, brokers: &'a str, timeout: Duration) -> Self {
        Self { consumer, brokers, timeout }
    }

    /// The partitions of a topic, at least one; `variable` names it.
    ///
    /// # Errors
    /// The hold, which names the variable.
    pub fn partitions(&self, variable: &str, topic: &str) -> Result<Vec<i32>, Hold> {
        let metadata = self.metadata(Some(topic))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let missing = || missing(topic, self.brokers, variable);
        let found = found.ok_or_else(missing)?;
        match found.error().map(Code::from) {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Err(missing()),
            Some(Code::TopicAuthorizationFailed) => Err(denied(topic, variable)),
            Some(code) => Err(Hold::Transient(format!("topic `{topic}` ({variable}): {code}"))),
            None if found.partitions().is_empty() => Err(missing()),
            None => Ok(found.partitions().iter().map(MetadataPartition::id).collect()),
        }
    }

    /// The topics that a pattern matches now, with their partitions, by name. None is no error: topics may be
    /// created later.
    ///
    /// # Errors
    /// The hold to wait out.
    pub fn matching(&self, pattern: &SourceTopic) -> Result<Vec<(String, Vec<i32>)>, Hold> {
        let metadata = self.metadata(None)?;
        let is_ours =
            |topic: &&MetadataTopic| topic.error().is_none() && pattern.matches(topic.name());
        let mut found: Vec<(String, Vec<i32>)> = metadata
            .topics()
            .iter()
            .filter(is_ours)
            .map(|topic| {
                let partitions = topic.partitions().iter().map(MetadataPartition::id);
                (topic.name().to_owned(), partitions.collect())
            })
            .collect();
        found.sort();
        Ok(found)
    }

    /// How many brokers the cluster has.
    ///
    /// # Errors
    /// No broker answers.
    pub fn brokers(&self) -> Result<usize, Hold> {
        Ok(self.metadata(None)?.brokers().len())
    }

    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, Hold> {
        self.consumer.fetch_metadata(topic, self.timeout).map_err(|error| {
            Hold::Transient(format!(
                "no broker of KAFKA_BROKER ({}) answers: {error}; look at KAFKA_BROKER and the \
                 KAFKA_SECURITY_PROTOCOL family",
                self.brokers
            ))
        })
    }
}

/// The hold for a topic that does not exist; `variable` names it.
pub fn missing(topic: &str, brokers: &str, variable: &str) -> Hold {
    Hold::Paused(format!(
        "topic `{topic}` does not exist at {brokers}: create it, or look at {variable}"
    ))
}

/// The hold for a topic that this user may not see; `variable` names it.
pub fn denied(topic: &str, variable: &str) -> Hold {
    Hold::Paused(format!("topic `{topic}` ({variable}) may not be described: grant DESCRIBE on it"))
}

/// The hold for a consumer error; `None` if librdkafka recovers by itself. `source` are the topics as
/// configured.
pub fn hold_of(error: &KafkaError, source: &str) -> Option<Hold> {
    let hold = match error.rdkafka_error_code()? {
        Code::UnknownTopicOrPartition | Code::UnknownTopic => {
            Hold::Paused(format!("a topic of KAFKA_SOURCE_TOPIC ({source}) does not exist"))
        }
        Code::TopicAuthorizationFailed => {
            Hold::Paused(format!("{error}: grant READ on the topic (KAFKA_SOURCE_TOPIC)"))
        }
        Code::GroupAuthorizationFailed => {
            Hold::Paused(format!("{error}: grant READ on the group (KAFKA_CONSUMER_GROUP_ID)"))
        }
        Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL => {
            return denial_of(error, &error.to_string());
        }
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve => {
            Hold::Transient(format!("no broker of KAFKA_BROKER answers: {error}"))
        }
        _ => return None,
    };
    Some(hold)
}

/// Whether librdkafka read the start of an HTTP answer as the length of a Kafka one, and therefore advises to
/// raise `receive.message.max.bytes`.
pub fn is_http(reason: &str) -> bool {
    reason.contains("Invalid response size 1213486160")
}

/// The hold for librdkafka's guess, when a broker closes a connection without an answer, that the protocols
/// do not match. A stopping broker does the same, so it counts only before one was ever reached.
pub fn mismatch_of(reason: &str) -> Option<Hold> {
    let text = reason.split(" (after ").next().unwrap_or(reason);
    if is_http(reason) {
        let text = "the port of KAFKA_BROKER speaks HTTP, and not the protocol of Kafka";
        return Some(Hold::Paused(format!("{text}: look at KAFKA_BROKER")));
    }
    reason.contains("security.protocol").then(|| {
        Hold::Paused(format!(
            "{text}: look at KAFKA_SECURITY_PROTOCOL, and at what the port of KAFKA_BROKER speaks"
        ))
    })
}
