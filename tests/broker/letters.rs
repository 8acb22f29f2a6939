//! What a real broker does to dead letters: it deletes them by age, compacts them, and refuses those that
//! are too large, too old, without a key, or not allowed.

use std::time::Duration;

use sluicegate_tests::{
    Authority, Broker, BrokerSecurity, DEAD_LETTERS, Host, Job, Message, PATIENCE, TOPIC,
    committed, once, produce, read_all,
};
use tokio::time::{Instant, sleep};

const TABLE: &str = "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id";
const BAD: &str = r#"{"id":"x"}"#;
const DAY_MS: i64 = 86_400_000;

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// What `check` prints of the dead letter topic.
async fn check(job: &Job) -> anyhow::Result<String> {
    let output = once(&job.environment, &["check"]).await?;
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().filter(|line| line.contains("dead letter topic"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[track_caller]
fn assert_says(printed: &str, verdict: &str, parts: &[&str]) {
    let says =
        |line: &str| line.starts_with(verdict) && parts.iter().all(|part| line.contains(part));
    assert!(printed.lines().any(says), "no {verdict:?} with {parts:?}:\n{printed}");
}

#[tokio::test]
async fn letters_of_old_records_outlive_the_look_of_the_log_cleaner() -> anyhow::Result<()> {
    let lines = "log.retention.check.interval.ms=500\nlog.initial.task.delay.ms=500\n";
    let broker = Broker::start_as(&BrokerSecurity::default(), lines).await?;
    // A letter that is as old as its record goes at the next look: this one shows when that was.
    broker.create_topic_with("witness", &[]).await?;
    let mut job = Job::on_broker(broker, TABLE, 1).await?;
    job.broker()?.set_topic(TOPIC, "retention.ms", "-1").await?;
    let old = Message { timestamp_ms: Some(now_ms() - 10 * DAY_MS), ..BAD.into() };
    job.produce(vec![old.clone(); 100]).await?;
    job = job.with("DLQ_MAX_SHARE", "1");
    job.run_to_the_end().await?;
    produce(job.kafka(), "witness", 0, &[old]).await?;
    let deadline = Instant::now() + PATIENCE;
    // It may go while it is read.
    while !read_all(job.kafka(), "witness").is_ok_and(|letters| letters.is_empty()) {
        anyhow::ensure!(Instant::now() < deadline, "the log cleaner does not look");
        sleep(Duration::from_millis(200)).await;
    }
    let letters = job.dead_letters()?;
    assert_eq!(letters.len(), 100);
    let record = letters[0].header("sluicegate.timestamp-ms").parse::<i64>()?;
    assert!(record < now_ms() - 9 * DAY_MS);
    assert!(letters[0].timestamp_ms.unwrap() > now_ms() - DAY_MS);
    Ok(())
}

/// A source topic and a dead letter topic of a job of its own.
struct Case {
    job: Job,
    at: u32,
}

impl Case {
    async fn next(
        mut self,
        source: &[(&str, &str)],
        dead: &[(&str, &str)],
        record: Message,
    ) -> anyhow::Result<Self> {
        self.at += 1;
        let (topic, letters) = self.topics();
        self.job.broker()?.create_topic_with(&topic, source).await?;
        self.job.broker()?.create_topic_with(&letters, dead).await?;
        produce(self.job.kafka(), &topic, 0, &[record, r#"{"id":1}"#.into()]).await?;
        self.job = self
            .job
            .with("KAFKA_SOURCE_TOPIC", &topic)
            .with("KAFKA_DLQ_TOPIC", &letters)
            .with("KAFKA_CONSUMER_GROUP_ID", &topic)
            .with("DLQ_ON_TOO_LARGE", "pause");
        Ok(self)
    }

    fn topics(&self) -> (String, String) {
        (format!("records-{}", self.at), format!("letters-{}", self.at))
    }

    fn committed(&self) -> anyhow::Result<i64> {
        let (topic, _) = self.topics();
        Ok(committed(self.job.kafka(), &topic, &topic, 1)?.iter().sum())
    }

    /// Waits until both records are committed, and stops the host.
    async fn end(&self, host: Host) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.committed().unwrap_or(0) < 2 {
            anyhow::ensure!(Instant::now() < deadline, "not committed:\n{}", host.log().join("\n"));
            sleep(Duration::from_millis(100)).await;
        }
        host.stop().await.map(drop)
    }

    fn letters(&self) -> anyhow::Result<Vec<sluicegate_tests::DeadLetter>> {
        read_all(self.job.kafka(), &self.topics().1)
    }
}

#[tokio::test]
async fn a_topic_that_refuses_a_letter_is_named_and_goes_on_once_it_is_mended() -> anyhow::Result<()>
{
    let job = Job::on_broker(Broker::start().await?, TABLE, 1).await?;
    let large: Vec<u8> = (0..2_000_000).map(|_| fastrand::u8(..)).collect();
    let limit = [("max.message.bytes", "1000000")];
    let room = [("max.message.bytes", "10000000")];

    // From the future: the letter is dated by now, so it is taken.
    let future = Message { timestamp_ms: Some(now_ms() + DAY_MS), ..BAD.into() };
    let any = [("message.timestamp.after.max.ms", "9223372036854775807")];
    let case = Case { job, at: 0 }.next(&any, &[], future).await?;
    let host = case.job.start()?;
    case.end(host).await?;
    assert_eq!(case.letters()?.len(), 1);

    // Without a key in a compacted topic.
    let case = case.next(&[], &[("cleanup.policy", "compact")], BAD.into()).await?;
    let printed = check(&case.job).await?;
    assert_says(&printed, "problem", &["letters-2", "cleanup.policy=compact"]);
    let mut host = case.job.start()?;
    host.wait_for(&["WARN", "cleanup.policy=compact"]).await?;
    host.wait_for(&["paused", "cleanup.policy=delete on it", "partition 0, offset 0"]).await?;
    assert_eq!(case.committed()?, 0);
    let mut case = case;
    case.job.broker()?.set_topic("letters-2", "cleanup.policy", "delete").await?;
    case.end(host).await?;
    assert_eq!(case.letters()?.len(), 1);

    // Larger than the topic takes: paused until it takes more.
    let payload = bad(4_000_000);
    let case = case.next(&room, &limit, payload.as_str().into()).await?;
    let printed = check(&case.job).await?;
    assert_says(
        &printed,
        "warning",
        &["letters-3", "records-3", "1000000", "DLQ_ON_TOO_LARGE=pause"],
    );
    let mut host = case.job.start()?;
    let parts = ["paused", "max.message.bytes", "`records-3`, partition 0, offset 0"];
    host.wait_for(&[&parts[..], &["DLQ_ON_TOO_LARGE=cut"]].concat()).await?;
    assert_eq!(case.committed()?, 0);
    let mut case = case;
    case.job.broker()?.set_topic("letters-3", "max.message.bytes", "10000000").await?;
    case.end(host).await?;
    let letters = case.letters()?;
    assert_eq!(letters[0].payload.as_deref(), Some(payload.as_bytes()));

    // A key that is too large, cut where that is allowed.
    let record = Message { key: Some(large.clone()), ..BAD.into() };
    let mut case = case.next(&room, &limit, record).await?;
    case.job = case.job.with("DLQ_ON_TOO_LARGE", "cut");
    let host = case.job.start()?;
    case.end(host).await?;
    let letters = case.letters()?;
    assert_eq!(letters[0].key.as_deref(), Some(&large[..1_000]));
    assert_eq!(letters[0].header("sluicegate.key-truncated-from"), "2000000");
    assert_eq!(letters[0].payload.as_deref(), Some(BAD.as_bytes()));

    // More replicas in sync than there are: not every version of Kafka writes then.
    let case = case.next(&[], &[("min.insync.replicas", "2")], BAD.into()).await?;
    let printed = check(&case.job).await?;
    assert_says(&printed, "warning", &["letters-5", "1 replica ", "min.insync.replicas=2"]);
    let host = case.job.start()?;
    case.end(host).await?;
    assert_eq!(case.letters()?.len(), 1);
    Ok(())
}

/// A bad record with a name of so many characters, which no compression makes shorter by much.
fn bad(characters: usize) -> String {
    let name: String = (0..characters).map(|_| fastrand::alphanumeric()).collect();
    format!(r#"{{"id":"x","name":"{name}"}}"#)
}

fn random(characters: usize) -> String {
    (0..characters).map(|_| fastrand::alphanumeric()).collect()
}

#[tokio::test]
async fn whatever_a_record_holds_its_letter_is_cut_until_the_topic_takes_it() -> anyhow::Result<()>
{
    for format in ["headers", "envelope"] {
        let broker = Broker::start().await?;
        let job = Job::on_broker(broker, TABLE, 1).await?.with("DLQ_MAX_SHARE", "1");
        let mut job = job.with("DLQ_ON_TOO_LARGE", "cut").with("DLQ_FORMAT", format);
        let header = |name: String, bytes| (name, random(bytes).into_bytes());
        let with = |headers: Vec<_>| Message { headers, ..bad(10_000).into() };
        let key = Some(random(300_000).into_bytes());
        let mut host = job.start()?;
        host.wait_for(&["partitions assigned"]).await?;
        // While the host runs, and below what the step before the last leaves.
        job.broker()?.set_topic(DEAD_LETTERS, "max.message.bytes", "5500").await?;
        job.produce([
            with((0..30_000).map(|_| header(random(8), 0)).collect()),
            with(vec![header("sluicegate.sha256".to_owned(), 300_000)]),
            Message { key, ..bad(10_000).into() },
            bad(10).into(),
        ])
        .await?;
        job.wait_until_committed(&host).await?;
        host.stop().await?;
        let letters = job.dead_letters()?;
        let count = |name| letters.iter().filter(|letter| !letter.header(name).is_empty()).count();
        for (name, expected) in [
            ("failure_reason", 4),
            ("sluicegate.truncated-from", 3),
            ("sluicegate.headers-truncated-from", 2),
            ("sluicegate.headers-left-out", 2),
            ("sluicegate.key-truncated-from", 1),
        ] {
            assert_eq!(count(name), expected, "{name} of {format}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn small_letters_together_are_not_taken_for_large_ones() -> anyhow::Result<()> {
    let broker = Broker::start().await?;
    let mut job = Job::on_broker(broker, TABLE, 1).await?.with("DLQ_MAX_SHARE", "1");
    job.broker()?.set_topic(DEAD_LETTERS, "max.message.bytes", "20000").await?;
    job.produce((0..200).map(|_| bad(5_000))).await?;
    let host = job.start()?;
    job.wait_until_committed(&host).await?;
    assert!(!host.log().iter().any(|line| line.contains("paused")), "{}", host.log().join("\n"));
    host.stop().await?;
    assert_eq!(job.dead_letters()?.len(), 200);
    Ok(())
}

#[tokio::test]
async fn a_topic_that_may_not_be_written_is_told_before_there_is_a_letter() -> anyhow::Result<()> {
    const USER: &str = "sluice";
    let authority = Authority::new()?;
    let security = BrokerSecurity {
        scram_users: vec![(USER.into(), "right-one".into())],
        pem: Some(authority.server()),
    };
    // Without a grant on a topic anybody may do anything with it; with one, its bearer that alone.
    let lines = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
                 super.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=true\n";
    let broker = Broker::start_as(&security, lines).await?;
    let address = broker.secure_address().to_owned();
    let job = Job::on_broker(broker, TABLE, 1)
        .await?
        .with("KAFKA_BROKER", &address)
        .with("KAFKA_SECURITY_PROTOCOL", "sasl_ssl")
        .with("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
        .with("KAFKA_SASL_USERNAME", USER)
        .with("KAFKA_SASL_PASSWORD", "right-one")
        .with("KAFKA_SSL_CA_LOCATION", &authority.root());
    let printed = check(&job).await?;
    assert_says(&printed, "ok", &["`dead-letters` may be written"]);
    assert_says(&printed, "ok", &["keeps letters for 7 days"]);
    let mut job = job;
    job.broker()?.grant_describe(USER, DEAD_LETTERS)?;
    let printed = check(&job).await?;
    assert_says(&printed, "problem", &["may not be written", "WRITE"]);
    assert_says(
        &printed,
        "warning",
        &["could not be looked at: not authorized", "DESCRIBE_CONFIGS"],
    );
    let mut host = job.start()?;
    host.wait_for(&["paused", "dead letters", "grant WRITE"]).await?;
    host.stop().await.map(drop)
}
