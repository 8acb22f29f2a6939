//! Watches the topics while they are read: whether each one in KAFKA_SOURCE_TOPIC exists, and was not
//! recreated. Asks every few seconds, without waiting for the answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};

use super::ids::{Ids, Meaning};
use crate::config::{Kafka, SourceTopic};
use crate::flow::hold::Hold;
use crate::kafka::describe::{TopicAnswer, TopicQuestion};
use crate::kafka::topics::{denied, missing};
use crate::observe::status::{Status, Waiter};

/// How often to ask, and so the longest delay in noticing a recreated topic.
const PERIOD: Duration = Duration::from_secs(5);
/// The same while a topic is missing.
const PERIOD_OF_ABSENCE: Duration = Duration::from_secs(2);
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most topics in one question; if a pattern matches more, they take turns.
const MAX_ASKED: usize = 200;
/// How often a known topic must be missed before it counts as missing: a broker may be behind.
const MISSES: u32 = 2;

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// The topics to subscribe to have changed.
    Subscription,
    /// A topic was deleted and recreated, now with this id.
    Remade(String, u128),
    /// These topics are still those being read.
    Unchanged(Vec<String>),
}

/// Watches the topics.
pub struct Watch {
    /// Dropped before the consumer, whose client it uses.
    question: Option<(TopicQuestion, Instant)>,
    brokers: String,
    literals: BTreeMap<String, NamedTopic>,
    patterns: Vec<String>,
    status: Arc<Status>,
    ids: Ids,
    next: Instant,
    /// Where the next turn begins.
    turn: usize,
    /// How many questions failed.
    failures: usize,
    is_told_of_no_ids: bool,
}

/// A topic that KAFKA_SOURCE_TOPIC names.
#[derive(Debug, Default)]
struct NamedTopic {
    is_there: bool,
    misses: u32,
    waiter: Option<Waiter>,
}

impl Watch {
    pub fn new(kafka: &Kafka, status: &Arc<Status>) -> Self {
        let mut literals = BTreeMap::new();
        let mut patterns = Vec::new();
        for source in &kafka.source {
            match source {
                SourceTopic::Literal(name) => {
                    literals.insert(name.clone(), NamedTopic::default());
                }
                SourceTopic::Pattern(pattern) => patterns.push(pattern.clone()),
            }
        }
        Self {
            question: None,
            brokers: kafka.brokers.clone(),
            literals,
            patterns,
            status: Arc::clone(status),
            ids: Ids::default(),
            next: Instant::now() + PERIOD,
            turn: 0,
            failures: 0,
            is_told_of_no_ids: false,
        }
    }

    /// The ids under which topics are read.
    pub fn ids(&mut self) -> &mut Ids {
        &mut self.ids
    }

    /// The subscription: existing topics, and every pattern.
    pub fn subscription(&self) -> Vec<&str> {
        let there = self.literals.iter().filter(|(_, literal)| literal.is_there);
        there.map(|(name, _)| &**name).chain(self.patterns.iter().map(String::as_str)).collect()
    }

    /// Notes that a topic exists.
    pub fn is_there(&mut self, topic: &str) {
        if let Some(literal) = self.literals.get_mut(topic) {
            *literal = NamedTopic { is_there: true, misses: 0, waiter: None };
        }
    }

    /// Notes that a topic cannot be read, and reports it.
    pub fn is_absent(&mut self, topic: &str, hold: Hold) {
        if let Some(literal) = self.literals.get_mut(topic) {
            literal.is_there = false;
            literal.waiter.get_or_insert_with(|| self.status.waiter("kafka")).hold(hold);
        }
    }

    /// Asks at the next turn, since a topic looks wrong.
    pub fn soon(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// Handles an answer, or asks when it is time; `up` are the connected brokers, `read` the topics of owned
    /// partitions.
    pub fn turn<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        up: &[i32],
        read: impl Iterator<Item = String>,
        now: Instant,
    ) -> Vec<Change> {
        if let Some((question, asked)) = &self.question {
            let answer = question.answer(Duration::ZERO);
            let is_late = now.saturating_duration_since(*asked) > TIMEOUT * 2;
            match answer {
                Ok(None) if !is_late => return Vec::new(),
                Ok(Some(told)) => {
                    self.question = None;
                    return self.learn(told, now);
                }
                Ok(None) => self.failed("no answer in time"),
                Err(text) => self.failed(&text),
            }
        }
        if now < self.next {
            return Vec::new();
        }
        let is_absent = self.literals.values().any(|literal| !literal.is_there);
        self.next = now + if is_absent { PERIOD_OF_ABSENCE } else { PERIOD };
        let topics = self.next_to_ask(read);
        let broker = up.get(self.failures.checked_rem(up.len()).unwrap_or(0));
        if let (Some(broker), false) = (broker, topics.is_empty()) {
            match TopicQuestion::ask(consumer.client(), &topics, *broker, TIMEOUT) {
                Ok(question) => self.question = Some((question, now)),
                Err(text) => self.failed(&text),
            }
        }
        Vec::new()
    }

    fn failed(&mut self, text: &str) {
        self.question = None;
        self.failures += 1;
        tracing::debug!("topics not asked for: {text}");
    }

    fn next_to_ask(&mut self, read: impl Iterator<Item = String>) -> Vec<String> {
        let topics: BTreeSet<String> = self.literals.keys().cloned().chain(read).collect();
        if topics.len() <= MAX_ASKED {
            return topics.into_iter().collect();
        }
        let first = self.turn;
        self.turn = (first + MAX_ASKED) % topics.len();
        topics.iter().cycle().skip(first).take(MAX_ASKED).cloned().collect()
    }

    fn learn(&mut self, told: HashMap<String, TopicAnswer>, now: Instant) -> Vec<Change> {
        let before: Vec<String> = self.subscription().into_iter().map(str::to_owned).collect();
        let (mut changes, mut unchanged) = (Vec::new(), Vec::new());
        for (topic, told) in told {
            match told {
                TopicAnswer::There { id } => {
                    self.is_there(&topic);
                    match id.map(|id| (id, self.ids.judge(&topic, id))) {
                        None => self.tell_of_no_ids(),
                        Some((id, Meaning::Remade)) => changes.push(Change::Remade(topic, id)),
                        Some((id, Meaning::Same)) => {
                            self.ids.learn(&topic, id);
                            unchanged.push(topic);
                        }
                        Some((_, Meaning::Behind)) => self.soon(now + PERIOD_OF_ABSENCE),
                    }
                }
                TopicAnswer::Missing => self.missed(&topic, missing(&topic, &self.brokers, SOURCE)),
                TopicAnswer::Denied => self.missed(&topic, denied(&topic, SOURCE)),
                TopicAnswer::NotKnown(text) => tracing::debug!(topic, "not described: {text}"),
            }
        }
        let after = self.subscription();
        // An empty subscription would leave the group, and the topics may come back.
        if after != before && !after.is_empty() {
            changes.push(Change::Subscription);
        }
        changes.push(Change::Unchanged(unchanged));
        changes
    }

    fn missed(&mut self, topic: &str, hold: Hold) {
        let Some(literal) = self.literals.get_mut(topic) else { return };
        literal.misses += 1;
        if literal.is_there && literal.misses < MISSES {
            self.next = Instant::now();
        } else {
            self.is_absent(topic, hold);
        }
    }

    fn tell_of_no_ids(&mut self) {
        if !std::mem::replace(&mut self.is_told_of_no_ids, true) {
            tracing::info!(
                "the brokers tell no ids of topics, as before Kafka 2.8: a topic that is deleted and \
                 made again is noticed only where its offsets are lower than before"
            );
        }
    }
}

/// The variable that names the topics.
const SOURCE: &str = "KAFKA_SOURCE_TOPIC";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn watch(source: &str) -> (Watch, Arc<Status>) {
        let environment = Environment::from_pairs([
            ("KAFKA_BROKER", "kafka:9092"),
            ("KAFKA_CONSUMER_GROUP_ID", "g"),
            ("KAFKA_SOURCE_TOPIC", source),
            ("KAFKA_DLQ_TOPIC", "dead"),
            ("CLICKHOUSE_HOST", "c"),
            ("CLICKHOUSE_TABLE", "t"),
        ]);
        let (config, _) = Config::from_env(&environment).unwrap();
        let status = Arc::new(Status::default());
        (Watch::new(&config.kafka, &status), status)
    }

    fn told(topics: &[(&str, TopicAnswer)]) -> HashMap<String, TopicAnswer> {
        topics.iter().map(|(name, told)| ((*name).to_owned(), told.clone())).collect()
    }

    fn there(id: u128) -> TopicAnswer {
        TopicAnswer::There { id: Some(id) }
    }

    fn changes(watch: &mut Watch, topics: &[(&str, TopicAnswer)]) -> Vec<Change> {
        let mut changes = watch.learn(told(topics), Instant::now());
        changes.retain(|change| !matches!(change, Change::Unchanged(_)));
        changes
    }

    #[test]
    fn a_topic_that_is_missing_is_named_and_taken_up_when_it_comes() {
        let (mut watch, status) = watch("a,b,^c-.*");
        changes(&mut watch, &[("a", there(1)), ("b", TopicAnswer::Missing)]);
        assert_eq!(watch.subscription(), ["a", "^c-.*"]);
        assert!(status.is_paused());
        assert!(status.texts().iter().all(|text| text.contains("topic `b` does not exist")));
        let came = changes(&mut watch, &[("a", there(1)), ("b", there(2))]);
        assert_eq!(came, [Change::Subscription]);
        assert_eq!(watch.subscription(), ["a", "b", "^c-.*"]);
        assert!(!status.is_paused());
    }

    #[test]
    fn a_topic_that_was_there_is_missing_once_it_was_missed_twice() {
        let (mut watch, status) = watch("a,b");
        changes(&mut watch, &[("a", there(1)), ("b", there(2))]);
        assert_eq!(changes(&mut watch, &[("a", there(1)), ("b", TopicAnswer::Missing)]), []);
        assert!(!status.is_paused());
        let gone = changes(&mut watch, &[("a", there(1)), ("b", TopicAnswer::Missing)]);
        assert_eq!((gone, watch.subscription()), (vec![Change::Subscription], vec!["a"]));
        assert!(status.is_paused());
    }

    #[test]
    fn a_topic_that_may_not_be_described_stops_no_other() {
        let (mut watch, status) = watch("a,b");
        changes(&mut watch, &[("a", there(1)), ("b", TopicAnswer::Denied)]);
        assert_eq!(watch.subscription(), ["a"]);
        assert!(status.texts().iter().all(|text| text.contains("grant DESCRIBE")));
    }

    #[test]
    fn a_topic_with_another_id_was_made_again() {
        let (mut watch, _) = watch("a");
        changes(&mut watch, &[("a", there(1))]);
        let remade = changes(&mut watch, &[("a", there(2))]);
        assert_eq!(remade, [Change::Remade("a".into(), 2)]);
        watch.ids().learn("a", 2);
        assert_eq!(changes(&mut watch, &[("a", there(1))]), [], "a broker that is behind");
    }

    #[test]
    fn topics_of_a_pattern_take_turns_where_they_are_many() {
        let (mut watch, _) = watch("^t-.*");
        let names = || (0..500).map(|at| format!("t-{at:03}"));
        let asked: BTreeSet<String> = (0..3).flat_map(|_| watch.next_to_ask(names())).collect();
        assert_eq!(asked.len(), 500);
    }
}
