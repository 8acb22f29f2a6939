//! Real Apache Kafka brokers, on free loopback ports: one node that is its own controller, or a cluster
//! of such.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::PATIENCE;

/// Any base64 of 16 bytes does.
const CLUSTER_ID: &str = "c2x1aWNlZ2F0ZS10ZXN0cw";

/// Groups that notice a dead member within seconds, and topics of the broker's own with one
/// partition.
const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
log.cleaner.dedupe.buffer.size=8388608
message.max.bytes=20000000
group.initial.rebalance.delay.ms=100
group.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=500
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=3000
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.cleaner.backoff.ms=500
";

/// Beside [`PROPERTIES`], which they overrule, in a cluster: what is acknowledged outlives one node, and a
/// dead node is noticed within seconds.
const OF_CLUSTER: &str = "\
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
min.insync.replicas=2
broker.heartbeat.interval.ms=300
broker.session.timeout.ms=2000
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
replica.lag.time.max.ms=5000
";

/// How many nodes a cluster has.
pub const NODES: usize = 3;

/// A running broker. Dropping it kills it and removes its data.
pub struct Broker {
    folder: TempDir,
    jars: PathBuf,
    /// Of this node alone.
    own_address: String,
    /// Of every node.
    address: String,
    secure_address: String,
    replicas: i32,
    process: Option<Child>,
}

impl Broker {
    /// Formats a data folder and starts the broker, without encryption or passwords.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&BrokerSecurity::default()).await
    }

    /// The same, with a further listener for clients that prove who they are.
    pub async fn start_with(security: &BrokerSecurity) -> anyhow::Result<Self> {
        Self::start_as(security, "").await
    }

    /// The same, with further lines of `server.properties`.
    pub async fn start_as(security: &BrokerSecurity, lines: &str) -> anyhow::Result<Self> {
        let jars = crate::path_of("SLUICEGATE_KAFKA_JARS")?;
        let folder = tempfile::tempdir()?;
        let ports = free_ports()?;
        let address = format!("127.0.0.1:{}", ports[0]);
        let secure_address = format!("localhost:{}", ports[2]);
        let properties = properties(folder.path(), ports, security) + lines;
        std::fs::write(folder.path().join("server.properties"), properties)?;
        let own_address = address.clone();
        let (replicas, process) = (1, None);
        let mut broker =
            Self { folder, jars, own_address, address, secure_address, replicas, process };
        broker.format(security).await?;
        broker.restart().await?;
        Ok(broker)
    }

    /// Starts a cluster of [`NODES`], each of them broker and controller, on topics of as many replicas.
    /// Each knows the addresses of all.
    pub async fn start_cluster() -> anyhow::Result<Vec<Self>> {
        let jars = crate::path_of("SLUICEGATE_KAFKA_JARS")?;
        let ports: Vec<[u16; 3]> = free_ports_of(NODES)?;
        let every = |one: fn(usize, &[u16; 3]) -> String| {
            let texts: Vec<String> =
                ports.iter().enumerate().map(|(at, ports)| one(at, ports)).collect();
            texts.join(",")
        };
        let address = every(|_, [plain, ..]| format!("127.0.0.1:{plain}"));
        let voters = every(|at, [_, controller, _]| format!("{}@127.0.0.1:{controller}", at + 1));
        let security = BrokerSecurity::default();
        let mut nodes = Vec::new();
        for (at, ports) in ports.iter().enumerate() {
            let folder = tempfile::tempdir()?;
            let mut text = properties(folder.path(), *ports, &security);
            // The last line of a name counts.
            text.push_str(OF_CLUSTER);
            let _infallible =
                writeln!(text, "node.id={}\ncontroller.quorum.voters={voters}", at + 1);
            std::fs::write(folder.path().join("server.properties"), text)?;
            let mut node = Self {
                folder,
                jars: jars.clone(),
                own_address: format!("127.0.0.1:{}", ports[0]),
                address: address.clone(),
                secure_address: String::new(),
                replicas: i32::try_from(NODES)?,
                process: None,
            };
            node.format(&security).await?;
            node.spawn()?;
            nodes.push(node);
        }
        for node in &mut nodes {
            node.until_up().await?;
        }
        Ok(nodes)
    }

    /// `127.0.0.1:PORT`, without encryption; of every node, where there are several.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `localhost:PORT`, with TLS and SCRAM, where they were asked for.
    pub fn secure_address(&self) -> &str {
        &self.secure_address
    }

    /// Starts the broker again on its data and its port, and waits until it answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.until_up().await
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut java = self.java("kafka.Kafka");
        java.stdout(log.try_clone()?).stderr(log);
        self.process = Some(java.spawn().context("starting the broker")?);
        Ok(())
    }

    async fn until_up(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.ask().await {
            ensure!(Instant::now() < deadline, "{error:#}: {}", self.tail());
            let ended = self.process.as_mut().and_then(|child| child.try_wait().transpose());
            ensure!(ended.is_none(), "the broker ended ({ended:?}): {}", self.tail());
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Ends the broker without warning; its data stays.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.process.take().context("the broker is down already")?;
        Ok(child.kill().await?)
    }

    /// Ends the broker as an operator does; its data stays.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.process.take().context("the broker is down already")?;
        let pid = child.id().context("the broker ended")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        tokio::time::timeout(PATIENCE, child.wait()).await.context("the broker does not end")??;
        Ok(())
    }

    /// Creates a topic.
    pub async fn create_topic(&self, name: &str, partitions: u32) -> anyhow::Result<()> {
        let topic =
            NewTopic::new(name, i32::try_from(partitions)?, TopicReplication::Fixed(self.replicas));
        let results = self.admin()?.create_topics([&topic], &AdminOptions::new()).await?;
        for result in results {
            result.map_err(|(topic, code)| anyhow::anyhow!("creating {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Creates a topic of one partition with these properties.
    pub async fn create_topic_with(
        &self,
        name: &str,
        properties: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
        for (property, value) in properties {
            topic = topic.set(property, value);
        }
        for result in self.admin()?.create_topics([&topic], &AdminOptions::new()).await? {
            result.map_err(|(topic, code)| anyhow::anyhow!("creating {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Grants DESCRIBE and nothing else on a topic to a user, where the broker has an authorizer.
    pub fn grant_describe(&self, user: &str, topic: &str) -> anyhow::Result<()> {
        crate::acl::grant_describe(&self.admin()?, user, topic)
    }

    /// Deletes a topic with all that is in it.
    pub async fn delete_topic(&self, name: &str) -> anyhow::Result<()> {
        for result in self.admin()?.delete_topics(&[name], &AdminOptions::new()).await? {
            result.map_err(|(topic, code)| anyhow::anyhow!("deleting {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Gives a topic more partitions; `count` is how many it has then.
    pub async fn grow_topic(&self, name: &str, count: usize) -> anyhow::Result<()> {
        let grown = NewPartitions::new(name, count);
        for result in self.admin()?.create_partitions([&grown], &AdminOptions::new()).await? {
            result.map_err(|(topic, code)| anyhow::anyhow!("growing {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Puts other bytes in the place of the first that are like `old` in the log of a partition, as a
    /// disk does that goes bad.
    pub fn overwrite(
        &self,
        topic: &str,
        partition: i32,
        old: &[u8],
        new: &[u8],
    ) -> anyhow::Result<()> {
        ensure!(old.len() == new.len(), "the bytes are as many as before");
        let folder = self.folder.path().join(format!("data/{topic}-{partition}"));
        let log = folder.join("00000000000000000000.log");
        let bytes = std::fs::read(&log)?;
        let at = bytes.windows(old.len()).position(|bytes| bytes == old);
        let mut file = File::options().write(true).open(&log)?;
        file.seek(SeekFrom::Start(at.context("these bytes are not there")? as u64))?;
        Ok(file.write_all(new)?)
    }

    /// Sets a property of a topic; its other properties go back to their defaults.
    pub async fn set_topic(&self, name: &str, property: &str, value: &str) -> anyhow::Result<()> {
        self.set_topic_to(name, &[(property, value)]).await
    }

    /// Sets these properties of a topic; its others go back to their defaults.
    pub async fn set_topic_to(
        &self,
        name: &str,
        properties: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut config = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (property, value) in properties {
            config = config.set(property, value);
        }
        for result in self.admin()?.alter_configs([&config], &AdminOptions::new()).await? {
            result
                .map_err(|(_, code)| anyhow::anyhow!("setting {properties:?} of {name}: {code}"))?;
        }
        Ok(())
    }

    /// Whether the broker knows a topic of this name.
    pub fn knows_topic(&self, name: &str) -> anyhow::Result<bool> {
        let metadata = self.admin()?.inner().fetch_metadata(None, PATIENCE)?;
        Ok(metadata.topics().iter().any(|topic| topic.name() == name))
    }

    fn admin(&self) -> anyhow::Result<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new().set("bootstrap.servers", &self.address).create()?)
    }

    async fn ask(&self) -> anyhow::Result<()> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.own_address)
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create()?;
        let asked = tokio::task::spawn_blocking(move || {
            client.fetch_metadata(None, Duration::from_secs(1)).map(drop)
        });
        Ok(asked.await??)
    }

    async fn format(&self, security: &BrokerSecurity) -> anyhow::Result<()> {
        let mut java = self.java("kafka.tools.StorageTool");
        java.args(["format", "--cluster-id", CLUSTER_ID, "--config"]);
        java.arg(self.folder.path().join("server.properties"));
        for (user, password) in &security.scram_users {
            let scram = format!("SCRAM-SHA-512=[name={user},password={password}]");
            java.args(["--add-scram", &scram]);
        }
        let output = java.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "formatting the broker's folder: {text}");
        Ok(())
    }

    /// The JVM with this main class, small and quick to start.
    fn java(&self, main: &str) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-cp")
            .arg(self.jars.join("*"))
            .arg(main)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if main == "kafka.Kafka" {
            command.arg(self.folder.path().join("server.properties"));
        }
        command
    }

    /// The file that the broker logs to; removed with its data.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("broker.log")
    }

    fn tail(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }
}

/// How clients prove who they are, on a listener of its own.
#[derive(Debug, Default)]
pub struct BrokerSecurity {
    /// User and password, for SCRAM-SHA-512.
    pub scram_users: Vec<(String, String)>,
    /// A PEM file with the broker's key and certificate.
    pub pem: Option<PathBuf>,
}

fn properties(folder: &Path, ports: [u16; 3], security: &BrokerSecurity) -> String {
    let [plain, controller, secure] = ports;
    let mut text = PROPERTIES.to_owned();
    let data = folder.join("data");
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{plain}");
    let mut map = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    if let Some(pem) = &security.pem {
        let _infallible = write!(listeners, ",SECURE://localhost:{secure}");
        map.push_str(",SECURE:SASL_SSL");
        let _infallible = writeln!(
            text,
            "sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             ssl.keystore.type=PEM\nssl.keystore.location={}\n\
             listener.name.secure.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;",
            pem.display()
        );
    }
    let _infallible = writeln!(
        text,
        "log.dirs={}\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         advertised.listeners={listeners}\n\
         listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
         listener.security.protocol.map={map}",
        data.display()
    );
    text
}

/// Ports that were free a moment ago.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    free_ports_of(1)?.pop().context("no ports")
}

fn free_ports_of(nodes: usize) -> anyhow::Result<Vec<[u16; 3]>> {
    // All are held until each is known, so that none comes twice.
    let listeners: Vec<[TcpListener; 3]> = (0..nodes)
        .map(|_| {
            let bind = || TcpListener::bind("127.0.0.1:0");
            Ok([bind()?, bind()?, bind()?])
        })
        .collect::<std::io::Result<_>>()?;
    let port = |listener: &TcpListener| anyhow::Ok(listener.local_addr()?.port());
    listeners.iter().map(|[a, b, c]| Ok([port(a)?, port(b)?, port(c)?])).collect()
}
