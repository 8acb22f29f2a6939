//! What the consumer and the dead letter producer share: the brokers' addresses and protocol settings, and
//! what their errors mean.

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

pub use crate::config::Role;

use crate::config::{Kafka, Words as _, names_of_property, split_property};
use crate::flow::hold::Hold;

/// Settings that both clients start from.
pub fn client(kafka: &Kafka) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", &kafka.brokers).set("socket.keepalive.enable", "true");
    // librdkafka bundles its own OpenSSL, which knows no system certificates.
    let ca = kafka.security.ssl_ca_location.as_deref();
    settings.set("ssl.ca.location", ca.unwrap_or("probe"));
    settings.set("security.protocol", kafka.security.protocol.as_str());
    if let Some(mechanism) = kafka.security.sasl_mechanism {
        settings.set("sasl.mechanism", mechanism);
    }
    if let Some(username) = &kafka.security.sasl_username {
        settings.set("sasl.username", username);
    }
    if let Some(password) = &kafka.security.sasl_password {
        settings.set("sasl.password", password.expose());
    }
    settings
}

/// Adds the user's KAFKA_PROPERTIES. A key with the prefix `consumer.` or `producer.` goes to that client
/// alone; others go to both if librdkafka takes them for both. A property replaces the host's own value,
/// whichever of its names either uses.
pub fn apply(settings: &mut ClientConfig, kafka: &Kafka, role: Role) {
    for (key, value) in &*kafka.properties {
        let (only, name) = split_property(key);
        if only.is_none_or(|only| only == role) {
            for other in names_of_property(name) {
                settings.remove(other);
            }
            settings.set(name, value);
        }
    }
    let is_kip_848 = settings.get("group.protocol") == Some("consumer");
    if role == Role::Consumer && is_kip_848 {
        // With the new protocol the broker holds the group's settings.
        settings.remove("partition.assignment.strategy");
    }
}

/// The hold for an error by which a broker or this client rejects the other, which afterwards looks as if no
/// broker answered. `reason` is librdkafka's text, which tells the cause.
pub fn denial_of(error: &KafkaError, reason: &str) -> Option<Hold> {
    let variables = match error.rdkafka_error_code()? {
        Code::Authentication | Code::SaslAuthenticationFailed => {
            "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
        }
        Code::SSL => "KAFKA_SECURITY_PROTOCOL and KAFKA_SSL_CA_LOCATION",
        _ => return None,
    };
    // The rest is how long it took, which would make each text differ.
    let reason = reason.split(" (after ").next().unwrap_or(reason);
    Some(Hold::Paused(format!("{reason}: look at {variables}")))
}
