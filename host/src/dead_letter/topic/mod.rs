//! Checks the dead letter topic before there is a letter: whether it takes and keeps letters. Runs in
//! `sluicegate check` and at the start; writes nothing.

mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::{ClientConfig, ClientContext};

use crate::config::{DlqFormat, OnTooLarge, SourceTopic};
use crate::flow::hold::Hold;
use crate::kafka::describe;
use crate::observe::status::{Status, Waiter};
pub use judge::Finding;

/// Most source topics whose settings are asked for.
const MAX_SOURCES: usize = 100;
/// Longest wait for the answers at the start.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often to check until a broker has answered, and while no letter can be written.
const PERIOD: Duration = Duration::from_secs(10);

/// The dead letter topic, and what decides whether letters fit in.
pub struct Topic {
    pub(super) name: String,
    pub(super) sources: Vec<SourceTopic>,
    pub(super) settings: ClientConfig,
    pub(super) format: DlqFormat,
    pub(super) on_too_large: OnTooLarge,
    pub(super) status: Arc<Status>,
}

/// Why nothing is known of it.
const DENIED: &str = "not authorized; grant DESCRIBE_CONFIGS on it to have them looked at";

/// Settings of a topic, by name.
type TopicSettings = BTreeMap<String, String>;

/// The brokers' answers.
#[derive(Debug, Clone)]
struct TopicFacts {
    /// The smallest of its partitions' replica counts.
    replicas: usize,
    /// Or why they could not be read.
    settings: Result<TopicSettings, String>,
    /// The largest batch of any source topic, in bytes, and that topic, if known.
    largest_source: Option<(String, u64)>,
    /// `None` if the broker does not say.
    may_write: Result<Option<bool>, String>,
}

/// This client does not report brokers that do not answer: the source does.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "look at the dead letter topic: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "look at the dead letter topic: {reason}");
    }
}

/// The topic's metadata.
struct TopicMetadata {
    broker: i32,
    replicas: usize,
    sources: Vec<String>,
}

impl Topic {
    /// Checks it once. A topic that does not exist yields no finding.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn look(&self, timeout: Duration) -> Result<Vec<Finding>, String> {
        let admin: AdminClient<Quiet> = self
            .settings
            .create_with_context(Quiet)
            .map_err(|error: KafkaError| error.to_string())?;
        let admin = Arc::new(admin);
        let (asked, name, sources) = (Arc::clone(&admin), self.name.clone(), self.sources.clone());
        let looked = crate::base::blocking::run_blocking(move || {
            // For all topics: to ask about one, as a client that may produce, would create it on some
            // brokers.
            let metadata = asked.inner().fetch_metadata(None, timeout);
            let metadata = metadata.map_err(|error| error.to_string())?;
            let Some(seen) = seen(&metadata, &name, &sources) else { return Ok(None) };
            let may_write = describe::may_write(asked.inner(), &name, seen.broker, timeout);
            Ok::<_, String>(Some((seen, may_write)))
        });
        let found = match looked.await? {
            None => Vec::new(),
            Some((seen, may_write)) => {
                let facts = self.facts(&admin, seen, may_write, timeout).await;
                judge::judge_topic(&self.name, &facts, self.format, self.on_too_large)
            }
        };
        // Dropping it waits for its thread.
        crate::base::blocking::run_blocking(move || drop(admin)).await;
        Ok(found)
    }

    async fn facts(
        &self,
        admin: &AdminClient<Quiet>,
        seen: TopicMetadata,
        may_write: Result<Option<bool>, String>,
        timeout: Duration,
    ) -> TopicFacts {
        let names: Vec<&str> =
            std::iter::once(&*self.name).chain(seen.sources.iter().map(String::as_str)).collect();
        let topics: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options =
            AdminOptions::new().request_timeout(Some(timeout)).broker_id(Some(seen.broker));
        let mut told = match admin.describe_configs(&topics, &options).await {
            Ok(told) => told.into_iter(),
            Err(error) => {
                let settings = Err(error.to_string());
                return TopicFacts {
                    replicas: seen.replicas,
                    settings,
                    largest_source: None,
                    may_write,
                };
            }
        };
        let settings = match told.next() {
            // For a topic that this user may not describe, `rdkafka` reports no error, but no setting either.
            Some(Ok(topic)) if topic.entries.is_empty() => Err(DENIED.to_owned()),
            Some(Ok(topic)) => Ok(settings(topic)),
            Some(Err(code)) => Err(code.to_string()),
            None => Err("the broker tells nothing".to_owned()),
        };
        let of_sources = seen.sources.into_iter().zip(told);
        let limits = of_sources.filter_map(|(name, told)| {
            let limit = settings_number(&self::settings(told.ok()?), "max.message.bytes")?;
            Some((name, u64::try_from(limit).ok()?))
        });
        let largest_source = limits.max_by_key(|(_, limit)| *limit);
        TopicFacts { replicas: seen.replicas, settings, largest_source, may_write }
    }

    /// Checks it until a broker has answered, and logs the findings. If no letter can be written, reports the
    /// host as paused and checks again until they can.
    pub async fn watch(self) {
        let waiter = self.status.waiter("dead letters");
        let mut said = BTreeSet::new();
        loop {
            match self.look(TIMEOUT).await {
                Ok(found) => {
                    if !tell(&waiter, &found, &mut said) {
                        return;
                    }
                }
                // The source reports brokers that do not answer.
                Err(text) => tracing::debug!("dead letter topic not looked at: {text}"),
            }
            tokio::time::sleep(PERIOD).await;
        }
    }
}

/// Logs new findings; returns whether no letter can be written.
fn tell(waiter: &Waiter, found: &[Finding], said: &mut BTreeSet<String>) -> bool {
    let mut refused = None;
    for finding in found {
        match finding {
            Finding::Fine(text) | Finding::NotKnown(text) => tracing::debug!("{text}"),
            Finding::Warning(text) | Finding::Problem(text) => {
                if said.insert(text.clone()) {
                    tracing::warn!("{text}");
                }
            }
            Finding::Refused(text) => refused = Some(text),
        }
    }
    match refused {
        Some(text) => waiter.hold(Hold::Paused(text.clone())),
        None => waiter.release(),
    }
    refused.is_some()
}

fn seen(metadata: &Metadata, name: &str, sources: &[SourceTopic]) -> Option<TopicMetadata> {
    let is_there = |topic: &&MetadataTopic| topic.error().is_none();
    let topics = || metadata.topics().iter().filter(is_there);
    let topic = topics().find(|topic| topic.name() == name)?;
    let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min()?;
    let is_source =
        |topic: &str| topic != name && sources.iter().any(|source| source.matches(topic));
    let sources = topics().map(MetadataTopic::name).filter(|topic| is_source(topic));
    let sources = sources.take(MAX_SOURCES).map(str::to_owned).collect();
    Some(TopicMetadata { broker: describe::broker_of(metadata), replicas, sources })
}

fn settings(topic: ConfigResource) -> TopicSettings {
    let entries = topic.entries.into_iter();
    entries.filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

fn settings_number(settings: &TopicSettings, name: &str) -> Option<i64> {
    settings.get(name)?.parse().ok()
}
