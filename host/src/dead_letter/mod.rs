//! Dead letters: the broker has acknowledged them before anything is committed. docs/dead-letters.md is for
//! their readers.

mod cut;
mod earlier;
mod envelope;
mod holds;
mod letter;
mod patience;
mod producer;
mod refusals;
mod room;
mod topic;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rdkafka::error::KafkaError;

use crate::base::retry::Backoff;
use crate::config::{Config, OnTooLarge, SourceTopic};
use crate::flow::hold::Hold;
use crate::flow::record::{Batch, Record};
use crate::flow::rejection::Rejection;
use crate::limits::budget::Budget;
use crate::observe::count::{self, RetryClass as Retried, RetryStep as Tried};
use crate::observe::status::Status;
use crate::observe::throttle::Throttle;
use cut::{CutStep, LetterPart};
use holds::Holds;
use letter::{Letter, Provenance};
use patience::Patience;
use producer::{Company, Producer};
use refusals::RefusalClass;
use room::LetterRoom;
pub use topic::{Finding, Topic};

/// How many letters of a batch are handled at a time: enough to fill a produce request. [`LetterRoom`] bounds
/// the memory of those under way.
const IN_FLIGHT: usize = 1_000;
/// How often cuts of each part are logged.
const CUTS_PER: Duration = Duration::from_secs(10);

/// Writes dead letters to one topic.
pub struct DeadLetters {
    topic: String,
    sources: Vec<SourceTopic>,
    from: Provenance,
    on_too_large: OnTooLarge,
    producer: Producer,
    room: LetterRoom,
    status: Arc<Status>,
    cuts: Throttle<LetterPart>,
}

impl DeadLetters {
    /// Prepares the producer; it connects by itself.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn new(config: &Config, status: Arc<Status>, budget: Arc<Budget>) -> anyhow::Result<Self> {
        Ok(Self {
            topic: config.kafka.dlq_topic.clone(),
            sources: config.kafka.source.clone(),
            from: Provenance {
                group: config.kafka.group_id.clone(),
                table: format!("{}.{}", config.clickhouse.database, config.clickhouse.table),
                format: config.dlq.format,
            },
            on_too_large: config.dlq.on_too_large,
            producer: Producer::new(config)?,
            room: LetterRoom::new(budget),
            status,
            cuts: Throttle::new(CUTS_PER),
        })
    }

    /// The topic, to be checked before there is a letter.
    pub fn topic(&self) -> Topic {
        Topic {
            name: self.topic.clone(),
            sources: self.sources.clone(),
            settings: self.producer.settings().clone(),
            format: self.from.format,
            on_too_large: self.on_too_large,
            status: Arc::clone(&self.status),
        }
    }

    /// Writes a letter for each rejection and waits until the broker has acknowledged every one. Retries for
    /// ever; at least once, so the topic may hold a letter twice.
    ///
    /// # Cancel safety
    /// If dropped, some letters may be written; none of their records was committed.
    pub async fn send(&self, batch: &Batch, rejections: &[Rejection]) {
        let failed_at_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let holds = Holds::new(self.status.waiter("dead letters"));
        let mut letters = rejections.iter().filter_map(|rejection| {
            let record = batch.record(rejection.origin)?;
            Some(self.deliver(record, rejection, failed_at_ms, &holds))
        });
        let mut seen_to: FuturesUnordered<_> = letters.by_ref().take(IN_FLIGHT).collect();
        while seen_to.next().await.is_some() {
            seen_to.extend(letters.next());
        }
    }

    async fn deliver(
        &self,
        record: Record<'_>,
        rejection: &Rejection,
        failed_at_ms: u128,
        holds: &Holds,
    ) {
        let (mut step, mut company) = (CutStep::WHOLE, Company::Any);
        let (mut backoff, mut patience) = (Backoff::default(), Patience::default());
        loop {
            let room = Letter::room_bytes(&record, rejection, &self.from, step);
            let room = self.room.take(room).await;
            let letter = Letter::new(&record, rejection, &self.from, failed_at_ms, step);
            let error = match self.producer.produce(&self.topic, &letter, company).await {
                Ok(report) if report.offset >= 0 => {
                    self.tell_of_cuts(&record, &letter);
                    holds.release(rejection.origin);
                    return;
                }
                // Without an offset nothing is proved: see `producer::settings`.
                Ok(_) => None,
                Err(error) => Some(error),
            };
            let class = class_of(error.as_ref());
            let is_its_own = matches!(class, RefusalClass::TooLarge | RefusalClass::OfTheLetter(_));
            if is_its_own && company == Company::Any {
                // The broker refuses whole batches: ask about this letter alone.
                company = Company::None;
                continue;
            }
            if class == RefusalClass::TooLarge
                && self.on_too_large == OnTooLarge::Cut
                && let Some(next) = step.next(&record)
            {
                step = next;
                continue;
            }
            let hold = self.hold(class, error.as_ref(), &mut patience, &record, &letter);
            drop((letter, room));
            if !matches!(class, RefusalClass::Silence(_)) {
                patience.note(class.mend(), &hold);
            }
            if class == RefusalClass::TooLarge {
                // The topic may take more by then.
                step = CutStep::WHOLE;
            }
            count::retried(Tried::DeadLetter, Retried::from(&hold));
            holds.hold(rejection.origin, hold);
            backoff.wait().await;
        }
    }

    /// What an unwritten letter waits for.
    fn hold(
        &self,
        class: RefusalClass,
        error: Option<&KafkaError>,
        patience: &mut Patience,
        record: &Record<'_>,
        letter: &Letter<'_>,
    ) -> Hold {
        let topic = format!("topic `{}` (KAFKA_DLQ_TOPIC)", self.topic);
        let Some(error) = error else {
            let text = "a letter is reported as written, but not where";
            return Hold::Transient(format!("{topic}: {text}"));
        };
        let of = || {
            let partition = &record.partition;
            format!(
                "the letter of topic `{}`, partition {}, offset {}",
                partition.topic,
                partition.partition,
                record.offset()
            )
        };
        match class {
            RefusalClass::Transient(_) | RefusalClass::Silence(_)
                if let Some(denial) = self.producer.denial() =>
            {
                denial
            }
            RefusalClass::Silence(_) if let Some(paused) = patience.paused() => paused.clone(),
            RefusalClass::Transient("") => Hold::Transient(format!("{topic}: {error}")),
            RefusalClass::Transient(hint) | RefusalClass::Silence(hint) => {
                Hold::Transient(format!("{topic}: {error}: {hint}"))
            }
            RefusalClass::Lasting(mend) if patience.is_over(mend) => {
                Hold::Paused(format!("{topic}: {error}: {mend}"))
            }
            RefusalClass::Lasting(_) => Hold::Transient(format!("{topic}: {error}")),
            RefusalClass::Operator(mend) => Hold::Paused(format!("{topic}: {error}: {mend}")),
            RefusalClass::OfTheLetter(cause) => {
                let mend = cause.text(letter.key.is_some());
                Hold::Paused(format!("{topic} refuses {}: {error}: {mend}", of()))
            }
            RefusalClass::TooLarge => Hold::Paused(self.too_large(&topic, &of(), error, letter)),
            RefusalClass::OfANeighbour => {
                Hold::Transient(format!("{topic}: {error}: it is sent again without that one"))
            }
            RefusalClass::Producer => {
                Hold::Transient(format!("{topic}: {error}: it is sent again by a new producer"))
            }
        }
    }

    fn too_large(&self, topic: &str, of: &str, error: &KafkaError, letter: &Letter<'_>) -> String {
        let bytes = letter.size_bytes();
        let what = if letter.cuts.iter().any(|cut| cut.left.is_some()) { "cut, " } else { "" };
        let limit = match self.producer.own_limit_bytes().filter(|limit| bytes > *limit) {
            Some(limit) => format!("producer.message.max.bytes in KAFKA_PROPERTIES, now {limit}"),
            None => {
                "max.message.bytes of the topic (where it is not set, message.max.bytes of the \
                     brokers), which must be below segment.bytes"
                    .to_owned()
            }
        };
        let otherwise = match self.on_too_large {
            OnTooLarge::Pause => ", or set DLQ_ON_TOO_LARGE=cut and restart",
            OnTooLarge::Cut => "",
        };
        format!(
            "{topic} refuses {of}, {what}of up to {bytes} bytes: {error}: raise {limit}{otherwise}"
        )
    }

    /// Counts the cuts of a written letter, and logs them once in a while.
    fn tell_of_cuts(&self, record: &Record<'_>, letter: &Letter<'_>) {
        for cut in &letter.cuts {
            let Some(left_bytes) = cut.left else { continue };
            count::letter_cut(cut.part.name());
            let Some(suppressed) = self.cuts.allow(cut.part) else { continue };
            tracing::warn!(
                part = cut.part.name(),
                topic = &*record.partition.topic,
                partition = record.partition.partition,
                offset = record.offset(),
                bytes = cut.from,
                left_bytes,
                suppressed,
                "dead letter cut, since its topic takes no larger one (DLQ_ON_TOO_LARGE=cut)"
            );
        }
    }
}

/// The class of a report's error, or of a report without proof.
fn class_of(error: Option<&KafkaError>) -> RefusalClass {
    let code = error.and_then(KafkaError::rdkafka_error_code);
    code.map_or(RefusalClass::Transient(""), refusals::class_of)
}
