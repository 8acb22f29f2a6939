//! What the refusal of a letter means: one table of the codes by which a broker or librdkafka refuses a
//! message. Time alone heals a transient refusal, but not a pause.

use rdkafka::error::RDKafkaErrorCode as Code;

/// The class of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// Time alone heals it; the text, if any, says what to look at meanwhile.
    Transient(&'static str),
    /// No answer in time, which revokes no earlier answer; the text says what to look at.
    Silence(&'static str),
    /// Transient if it passes soon; otherwise an operator must mend what the text says.
    Lasting(&'static str),
    /// An operator must mend what the text says.
    Operator(&'static str),
    /// The message or its batch is larger than the topic takes.
    TooLarge,
    /// This message or another one of its batch is refused; the text says what an operator may mend.
    OfTheLetter(Cause),
    /// Another message of its batch is refused.
    OfANeighbour,
    /// This producer can write no more; a new one can.
    Producer,
}

/// What the topic refuses about a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its timestamp, which is now.
    Timestamp,
    /// The record itself: it has no key in a compacted topic, or violates the topic's schema.
    Record,
    /// Something forbidden by a policy of the cluster.
    Policy,
    /// Its headers, since the topic has an old message format.
    Headers,
}

impl Cause {
    /// What to mend, for a letter with or without a key.
    pub fn text(self, has_key: bool) -> &'static str {
        match self {
            Self::Timestamp => {
                "the letter carries the time of this host, and the topic takes none so far from the \
                 broker's: set the clock right, or raise the topic's message.timestamp.before.max.ms, \
                 message.timestamp.after.max.ms and message.timestamp.difference.max.ms"
            }
            Self::Record if !has_key => {
                "a topic with cleanup.policy=compact takes no letter without a key: set \
                 cleanup.policy=delete on it. If it is not compacted, look at what else of the broker \
                 validates records, such as confluent.value.schema.validation"
            }
            Self::Record => {
                "look at what validates records of this topic, such as \
                 confluent.value.schema.validation, and turn it off for letters"
            }
            Self::Policy => {
                "a policy of the cluster forbids it: look at the broker's log, and at its policies for \
                 this topic"
            }
            Self::Headers => {
                "the topic keeps an old message format without headers: raise its message.format.version \
                 to 0.11 or more"
            }
        }
    }
}

const UNKNOWN_TOPIC: &str = "the topic does not exist: create it, or look at KAFKA_DLQ_TOPIC";
const GRANT: &str =
    "grant WRITE on the topic to the user of KAFKA_SASL_USERNAME, or look at KAFKA_DLQ_TOPIC";
const ACKS: &str =
    "the broker does not take acks=all: look at KAFKA_PROPERTIES and at the broker's version";
const COMPRESSION: &str = "the broker does not take this compression: set \
                           producer.compression.type in KAFKA_PROPERTIES to one that it does, such as gzip";
const VERSION: &str =
    "the broker does not take the request: look at its version, and at what stands between";
const LOGIN: &str = "look at KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, \
                     KAFKA_SASL_PASSWORD and KAFKA_SSL_CA_LOCATION";
const STORAGE: &str = "look at the disks of the brokers that hold the topic";
const REPLICAS: &str = "bring back the brokers that hold the topic's replicas, or lower its \
                        min.insync.replicas";
const SILENCE: &str = "look at the brokers that lead the topic, at whether as many replicas are in sync as its \
                       min.insync.replicas asks for, and at the network";
/// For unknown codes.
const UNKNOWN: &str = "look at the broker's log, which says why it refused the letter";

/// The codes by which a letter may be refused, with their classes. Codes that librdkafka retries itself
/// arrive once it gives up.
pub const REFUSALS: &[(Code, RefusalClass)] = &[
    // Time heals these.
    (Code::BrokerTransportFailure, RefusalClass::Transient("")),
    (Code::AllBrokersDown, RefusalClass::Transient("")),
    (Code::Resolve, RefusalClass::Transient("")),
    (Code::NetworkException, RefusalClass::Transient("")),
    (Code::LeaderNotAvailable, RefusalClass::Transient("")),
    (Code::NotLeaderForPartition, RefusalClass::Transient("")),
    (Code::BrokerNotAvailable, RefusalClass::Transient("")),
    (Code::ReplicaNotAvailable, RefusalClass::Transient("")),
    (Code::FencedLeaderEpoch, RefusalClass::Transient("")),
    (Code::UnknownLeaderEpoch, RefusalClass::Transient("")),
    (Code::RequestTimedOut, RefusalClass::Transient("")),
    (Code::OperationTimedOut, RefusalClass::Transient("")),
    (Code::TimedOutQueue, RefusalClass::Transient("")),
    (Code::QueueFull, RefusalClass::Transient("")),
    (Code::ThrottlingQuotaExceeded, RefusalClass::Transient("")),
    (Code::NotEnoughReplicasAfterAppend, RefusalClass::Transient(REPLICAS)),
    (Code::Retry, RefusalClass::Transient("")),
    (Code::WaitCache, RefusalClass::Transient("")),
    (Code::BrokerDestroy, RefusalClass::Transient("")),
    (Code::DestroyBroker, RefusalClass::Transient("")),
    (Code::NodeUpdate, RefusalClass::Transient("")),
    (Code::Interrupted, RefusalClass::Transient("")),
    (Code::PurgeQueue, RefusalClass::Transient("")),
    (Code::PurgeInflight, RefusalClass::Transient("")),
    (Code::RebootstrapRequired, RefusalClass::Transient("")),
    (Code::CriticalSystemResource, RefusalClass::Transient("")),
    // Another partition is chosen, and the topic is looked up again.
    (Code::UnknownPartition, RefusalClass::Transient("")),
    // Damaged on the way.
    (Code::InvalidMessage, RefusalClass::Transient("")),
    (Code::BadMessage, RefusalClass::Transient("")),
    (Code::MessageTimedOut, RefusalClass::Silence(SILENCE)),
    (Code::NotEnoughReplicas, RefusalClass::Transient(REPLICAS)),
    (Code::ISRInsufficient, RefusalClass::Transient(REPLICAS)),
    // Time heals these, if it does so soon.
    (Code::KafkaStorageError, RefusalClass::Lasting(STORAGE)),
    (Code::LogDirNotFound, RefusalClass::Lasting(STORAGE)),
    (Code::UnknownTopicOrPartition, RefusalClass::Lasting(UNKNOWN_TOPIC)),
    (Code::UnknownTopicId, RefusalClass::Lasting(UNKNOWN_TOPIC)),
    // An operator must mend these. librdkafka has looked for the topic for a while first: see
    // `producer::UNKNOWN_AFTER_MS`.
    (Code::UnknownTopic, RefusalClass::Operator(UNKNOWN_TOPIC)),
    (Code::InvalidTopic, RefusalClass::Operator("look at the name in KAFKA_DLQ_TOPIC")),
    (Code::TopicAuthorizationFailed, RefusalClass::Operator(GRANT)),
    (Code::ClusterAuthorizationFailed, RefusalClass::Operator(GRANT)),
    (Code::InvalidRequiredAcks, RefusalClass::Operator(ACKS)),
    (Code::UnsupportedCompressionType, RefusalClass::Operator(COMPRESSION)),
    (Code::BadCompression, RefusalClass::Operator(COMPRESSION)),
    (Code::UnsupportedVersion, RefusalClass::Operator(VERSION)),
    (Code::UnsupportedFeature, RefusalClass::Operator(VERSION)),
    (Code::InvalidRequest, RefusalClass::Operator(VERSION)),
    (Code::NotImplemented, RefusalClass::Operator(VERSION)),
    (Code::Authentication, RefusalClass::Operator(LOGIN)),
    (Code::SaslAuthenticationFailed, RefusalClass::Operator(LOGIN)),
    (Code::UnsupportedSASLMechanism, RefusalClass::Operator(LOGIN)),
    (Code::IllegalSASLState, RefusalClass::Operator(LOGIN)),
    (Code::SSL, RefusalClass::Operator(LOGIN)),
    (Code::SecurityDisabled, RefusalClass::Operator(LOGIN)),
    (Code::PrincipalDeserializationFailure, RefusalClass::Operator(LOGIN)),
    (Code::ReadOnly, RefusalClass::Operator(VERSION)),
    (Code::InvalidArgument, RefusalClass::Operator("look at KAFKA_PROPERTIES")),
    // About the letter itself.
    (Code::MessageSizeTooLarge, RefusalClass::TooLarge),
    (Code::InvalidMessageSize, RefusalClass::TooLarge),
    (Code::MessageBatchTooLarge, RefusalClass::TooLarge),
    (Code::InvalidTimestamp, RefusalClass::OfTheLetter(Cause::Timestamp)),
    (Code::InvalidRecord, RefusalClass::OfTheLetter(Cause::Record)),
    (Code::PolicyViolation, RefusalClass::OfTheLetter(Cause::Policy)),
    (Code::UnsupportedForMessageFormat, RefusalClass::OfTheLetter(Cause::Headers)),
    (Code::InvalidDifferentRecord, RefusalClass::OfANeighbour),
    // About sequence numbers and epochs, which this producer does not use, and its state after a fatal error.
    (Code::Fatal, RefusalClass::Producer),
    (Code::State, RefusalClass::Producer),
    (Code::Fenced, RefusalClass::Producer),
    (Code::GaplessGuarantee, RefusalClass::Producer),
    (Code::Inconsistent, RefusalClass::Producer),
    (Code::OutOfOrderSequenceNumber, RefusalClass::Producer),
    (Code::DuplicateSequenceNumber, RefusalClass::Producer),
    (Code::InvalidProducerEpoch, RefusalClass::Producer),
    (Code::InvalidProducerIdMapping, RefusalClass::Producer),
    (Code::UnknownProducerId, RefusalClass::Producer),
    (Code::ProducerFenced, RefusalClass::Producer),
    (Code::InvalidTransactionalState, RefusalClass::Producer),
    (Code::TransactionalIdAuthorizationFailed, RefusalClass::Producer),
];

impl RefusalClass {
    /// What an operator has to mend, which makes refusals alike; empty if nothing.
    pub fn mend(self) -> &'static str {
        match self {
            Self::Lasting(mend) | Self::Operator(mend) => mend,
            _ => "",
        }
    }
}

/// The class of a code; codes not known to refuse letters may pass by themselves.
pub fn class_of(code: Code) -> RefusalClass {
    let found = REFUSALS.iter().find(|(of, _)| *of == code);
    found.map_or(RefusalClass::Lasting(UNKNOWN), |(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_class() {
        for (at, (code, _)) in REFUSALS.iter().enumerate() {
            assert!(REFUSALS[at + 1..].iter().all(|(other, _)| other != code), "{code:?}");
        }
    }

    /// The errors in Kafka's `ProduceResponse`, by the broker's own code.
    #[test]
    fn every_code_of_an_answer_to_a_produce_request_is_in_the_table() {
        let answers = [
            Code::InvalidMessage,
            Code::UnknownTopicOrPartition,
            Code::InvalidMessageSize,
            Code::LeaderNotAvailable,
            Code::NotLeaderForPartition,
            Code::RequestTimedOut,
            Code::ReplicaNotAvailable,
            Code::MessageSizeTooLarge,
            Code::NetworkException,
            Code::InvalidTopic,
            Code::MessageBatchTooLarge,
            Code::NotEnoughReplicas,
            Code::NotEnoughReplicasAfterAppend,
            Code::InvalidRequiredAcks,
            Code::TopicAuthorizationFailed,
            Code::ClusterAuthorizationFailed,
            Code::InvalidTimestamp,
            Code::UnsupportedVersion,
            Code::InvalidRequest,
            Code::UnsupportedForMessageFormat,
            Code::PolicyViolation,
            Code::OutOfOrderSequenceNumber,
            Code::DuplicateSequenceNumber,
            Code::InvalidProducerEpoch,
            Code::InvalidTransactionalState,
            Code::InvalidProducerIdMapping,
            Code::TransactionalIdAuthorizationFailed,
            Code::KafkaStorageError,
            Code::UnknownProducerId,
            Code::FencedLeaderEpoch,
            Code::UnsupportedCompressionType,
            Code::InvalidRecord,
            Code::ThrottlingQuotaExceeded,
            Code::ProducerFenced,
            Code::UnknownTopicId,
        ];
        for code in answers {
            assert!(REFUSALS.iter().any(|(of, _)| *of == code), "{code:?}");
        }
    }

    #[test]
    fn a_code_that_is_not_known_may_pass_and_is_an_operators_if_it_does_not() {
        assert_eq!(class_of(Code::Unknown), RefusalClass::Lasting(UNKNOWN));
        assert_eq!(class_of(Code::RebalanceInProgress), RefusalClass::Lasting(UNKNOWN));
    }

    #[test]
    fn a_letter_without_a_key_is_told_of_compaction() {
        assert!(Cause::Record.text(false).contains("cleanup.policy=delete"));
        assert!(!Cause::Record.text(true).contains("cleanup.policy"));
    }
}
