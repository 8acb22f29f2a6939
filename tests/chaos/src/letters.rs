//! The dead letter topic: taken away and brought back without losing a letter of its own, and what
//! was in it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sluicegate_tests::{Broker, DEAD_LETTERS, Job, Message};
use tokio::time::{Instant, sleep};

/// How long the broker may take to do what it was told.
const PATIENCE: Duration = Duration::from_mins(1);
/// The property by which a topic refuses every record: those that are under way when it is set are
/// either written before the topic is read, or refused.
const LIMIT: &str = "max.message.bytes";
const NOTHING: &str = "1";
const ENOUGH: &str = "20000000";

/// How often each record was found in the dead letter topic, by partition and offset; of topics
/// that are deleted, too.
#[derive(Debug, Default)]
pub struct Letters {
    found: BTreeMap<(i32, i64), u32>,
}

impl Letters {
    /// How often a record was found.
    pub fn count(&self, partition: i32, offset: i64) -> u32 {
        self.found.get(&(partition, offset)).copied().unwrap_or(0)
    }

    /// The records that were found, and how often.
    pub fn iter(&self) -> impl Iterator<Item = ((i32, i64), u32)> + '_ {
        self.found.iter().map(|(place, count)| (*place, *count))
    }

    /// Reads the topic as it is now; each topic is to be read once.
    pub fn read(&mut self, job: &Job) -> anyhow::Result<()> {
        for letter in job.dead_letters().context("reading the dead letters")? {
            if letter.headers.is_empty() {
                continue; // Sent to see whether the topic takes anything.
            }
            let number = |name: &str| letter.header(name).parse::<i64>();
            let partition = i32::try_from(number("__connect.errors.partition")?)?;
            *self.found.entry((partition, number("__connect.errors.offset")?)).or_default() += 1;
        }
        Ok(())
    }

    /// Deletes the topic. What the broker acknowledged to the hosts is read first: the topic
    /// refuses every letter from some moment on, is read to its end, and goes.
    pub async fn take_away(&mut self, job: &mut Job) -> anyhow::Result<()> {
        job.broker()?.set_topic(DEAD_LETTERS, LIMIT, NOTHING).await?;
        until("the dead letter topic refuses", || async { Ok(!takes_a_letter(job).await) }).await?;
        // For an append that read the property before it was set.
        sleep(Duration::from_millis(300)).await;
        self.read(job)?;
        job.broker()?.delete_topic(DEAD_LETTERS).await
    }
}

/// Has the topic refuse every letter for its size.
pub async fn refuse(job: &mut Job) -> anyhow::Result<()> {
    job.broker()?.set_topic(DEAD_LETTERS, LIMIT, NOTHING).await?;
    until("the dead letter topic refuses", || async { Ok(!takes_a_letter(job).await) }).await
}

/// Has it take letters again.
pub async fn take_again(job: &mut Job) -> anyhow::Result<()> {
    job.broker()?.set_topic(DEAD_LETTERS, LIMIT, ENOUGH).await?;
    until("the dead letter topic takes letters", || async { Ok(takes_a_letter(job).await) }).await
}

/// Creates the topic again.
pub async fn bring_back(job: &mut Job) -> anyhow::Result<()> {
    let broker: &Broker = job.broker()?;
    // A topic that is made while the broker still deletes the one of its name gets the settings of
    // that one (seen with Kafka 4.4.0).
    until("the dead letter topic is gone", || async { Ok(!broker.knows_topic(DEAD_LETTERS)?) })
        .await?;
    broker.create_topic(DEAD_LETTERS, 1).await?;
    take_again(job).await
}

async fn takes_a_letter(job: &Job) -> bool {
    let letter = [Message::from("is this written?")];
    sluicegate_tests::produce(job.kafka(), DEAD_LETTERS, 0, &letter).await.is_ok()
}

async fn until<F>(what: &str, is_so: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await? {
        if Instant::now() > deadline {
            bail!("waited in vain until {what}");
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
