//! The handle on a running `sluicegate-local`.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::Method;
use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::http::{Answer, HttpClient};
use crate::protocol::{Fault, FaultStatus, KafkaErrors, ReadyLine, SeenInsert};

/// How long [`LocalStack::stop`] waits for the child's own end before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a drop waits for it, and how often it looks.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);
const DROP_POLL: Duration = Duration::from_millis(5);

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct StackOptions {
    binary: PathBuf,
    chdb_lib: Option<PathBuf>,
    data: Option<PathBuf>,
    config_file: Option<PathBuf>,
    clickhouse_port: u16,
    brokers: u16,
    group_join_delay_ms: u16,
    credentials: (String, String),
    quiet: bool,
    ready_timeout: Duration,
    variables: Vec<(String, String)>,
}

impl StackOptions {
    /// One broker and one ClickHouse on free ports, on a folder removed at exit, with a
    /// password of this process ([`crate::password`]); 60 s to become ready. `binary` is the path of `sluicegate-local`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            chdb_lib: None,
            data: None,
            config_file: None,
            clickhouse_port: 0,
            brokers: 1,
            group_join_delay_ms: 100,
            credentials: (crate::USER.to_owned(), crate::password().to_owned()),
            quiet: false,
            ready_timeout: Duration::from_mins(1),
            variables: Vec::new(),
        }
    }

    /// The engine library; else [`crate::engine_library`].
    #[must_use]
    pub fn with_chdb_lib(mut self, file: impl Into<PathBuf>) -> Self {
        self.chdb_lib = Some(file.into());
        self
    }

    /// A folder for ClickHouse's data that outlives the stack.
    #[must_use]
    pub fn with_data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// ClickHouse's own configuration.
    #[must_use]
    pub fn with_config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config_file = Some(file.into());
        self
    }

    /// A fixed port for ClickHouse; 0 takes a free one.
    #[must_use]
    pub fn with_clickhouse_port(mut self, port: u16) -> Self {
        self.clickhouse_port = port;
        self
    }

    /// The number of Kafka brokers; 0 starts no Kafka.
    #[must_use]
    pub fn with_brokers(mut self, brokers: u16) -> Self {
        self.brokers = brokers;
        self
    }

    /// How long a new consumer group waits for more members before it gets its partitions,
    /// in milliseconds; 100 by default, where real brokers wait 3000.
    #[must_use]
    pub fn with_group_join_delay_ms(mut self, delay: u16) -> Self {
        self.group_join_delay_ms = delay;
        self
    }

    /// The user and password that ClickHouse demands; the handle's own calls send them.
    #[must_use]
    pub fn with_credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = (user.to_owned(), password.to_owned());
        self
    }

    /// Throws the child's log away; else it goes to this process's stderr.
    #[must_use]
    pub fn with_quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// How long the child may take to print its ready line.
    #[must_use]
    pub fn with_ready_timeout(mut self, timeout: Duration) -> Self {
        self.ready_timeout = timeout;
        self
    }

    /// Sets a variable of the child's environment, such as LD_PRELOAD.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(["--clickhouse-port", &self.clickhouse_port.to_string()]);
        if self.brokers == 0 {
            command.arg("--no-kafka");
        } else {
            command.args(["--brokers", &self.brokers.to_string()]);
            command.args(["--group-join-delay-ms", &self.group_join_delay_ms.to_string()]);
        }
        if let Some(file) = &self.chdb_lib {
            command.arg("--chdb-lib").arg(file);
        }
        if let Some(folder) = &self.data {
            command.arg("--data").arg(folder);
        }
        if let Some(file) = &self.config_file {
            command.arg("--config-file").arg(file);
        }
        let (user, password) = &self.credentials;
        command.args(["--user", user]).env(crate::PASSWORD_VARIABLE, password);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(if self.quiet { Stdio::null() } else { Stdio::inherit() });
        command
    }
}

/// A running stack. Dropping it ends the child, and blocks for that: mostly some 10 ms, 2 s at
/// most, after which it is killed. The child also ends by itself when this process does, as it
/// watches its stdin.
pub struct LocalStack {
    child: Child,
    stdin: Option<ChildStdin>,
    pid: u32,
    ready: ReadyLine,
    http: HttpClient,
}

impl LocalStack {
    /// Starts the binary and waits until both engines answer.
    ///
    /// # Errors
    /// The binary cannot be started, ends before it is ready (its log says why), or takes
    /// longer than the ready timeout, and is then killed.
    ///
    /// # Cancel safety
    /// Dropping the future kills the child.
    pub async fn start(options: StackOptions) -> anyhow::Result<Self> {
        let name = options.binary.display();
        let mut child = options
            .command()
            .spawn()
            .with_context(|| format!("local stack: cannot start {name}"))?;
        let stdin = child.stdin.take();
        let pid = child.id().context("local stack: the child has no process id")?;
        let stdout = child.stdout.take().context("local stack: the child has no stdout")?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        let read = tokio::time::timeout(options.ready_timeout, reader.read_line(&mut line))
            .await
            .with_context(|| {
                format!("local stack: {name} not ready within {:?}", options.ready_timeout)
            })?
            .context("local stack: reading the ready line")?;
        if read == 0 {
            let status = child.wait().await.context("local stack: waiting for the child")?;
            anyhow::bail!("local stack: {name} ended before it was ready ({status}); see its log");
        }
        let ready: ReadyLine = serde_json::from_str(&line)
            .with_context(|| format!("local stack: {name} printed a bad ready line: {line:?}"))?;
        let http = HttpClient::new(&ready);
        Ok(Self { child, stdin, pid, ready, http })
    }

    /// `http://127.0.0.1:PORT` of ClickHouse.
    pub fn clickhouse_url(&self) -> &str {
        &self.ready.clickhouse
    }

    /// The user that ClickHouse demands.
    pub fn user(&self) -> &str {
        &self.ready.user
    }

    /// The password that ClickHouse demands.
    pub fn password(&self) -> &str {
        &self.ready.password
    }

    /// Kafka's bootstrap servers; empty where none was asked for.
    pub fn kafka(&self) -> &str {
        self.ready.kafka.as_deref().unwrap_or_default()
    }

    /// The child's process id, for measuring it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How the child ended; None while it runs.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("local stack: looking at the child")
    }

    /// Asks the child to end, by closing its stdin, and waits for it; kills it after 15 s.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Ok(status) = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            return status.context("local stack: waiting for the child");
        }
        self.child.kill().await.context("local stack: killing the child")?;
        anyhow::bail!("local stack: did not end within {STOP_TIMEOUT:?} and was killed")
    }

    /// Sends the child a signal and waits until it has ended. Its data folder, where it was given
    /// one, and its port are free from then on.
    ///
    /// # Errors
    /// The child had ended before, or does not end within 15 s.
    pub async fn end_by(&mut self, signal: Signal) -> anyhow::Result<ExitStatus> {
        let pid = self.child.id().context("local stack: the child has ended already")?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        let ended = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await;
        let ended = ended.with_context(|| format!("local stack: {signal} does not end it"))?;
        ended.context("local stack: waiting for the child")
    }

    /// Runs a statement and returns its result, tab-separated unless it says otherwise.
    ///
    /// # Errors
    /// The statement fails: ClickHouse's text.
    pub async fn query(&self, sql: &str) -> anyhow::Result<String> {
        let body = Bytes::copy_from_slice(sql.as_bytes());
        self.http.send(Method::POST, "/", &[], body).await?.into_body()
    }

    /// Sends a statement in the URL with `body` behind it and gives the whole answer, errors
    /// included; `settings` become URL parameters.
    pub async fn post(
        &self,
        sql: &str,
        settings: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        self.post_by(&self.http, sql, settings, body.into()).await
    }

    /// The same of a body that is compressed, as its `Content-Encoding` says: `zstd`.
    pub async fn post_compressed(
        &self,
        sql: &str,
        settings: &[(&str, &str)],
        content_encoding: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let http = self.http.with_header("Content-Encoding", content_encoding);
        self.post_by(&http, sql, settings, body.into()).await
    }

    async fn post_by(
        &self,
        http: &HttpClient,
        sql: &str,
        settings: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut parameters = vec![("query", sql)];
        parameters.extend_from_slice(settings);
        http.send(Method::POST, "/", &parameters, body).await
    }

    /// Adds a fault; returns its number.
    pub async fn fault(&self, fault: &Fault) -> anyhow::Result<u64> {
        let body = Bytes::from(serde_json::to_vec(fault)?);
        let answer = self.http.send(Method::POST, "/_fault", &[], body).await?.into_body()?;
        Ok(serde_json::from_str::<FaultStatus>(&answer)?.id)
    }

    /// The faults, those used up included.
    pub async fn faults(&self) -> anyhow::Result<Vec<FaultStatus>> {
        let answer = self.http.send(Method::GET, "/_fault", &[], Bytes::new()).await?;
        Ok(serde_json::from_str(&answer.into_body()?)?)
    }

    /// Removes every fault.
    pub async fn clear_faults(&self) -> anyhow::Result<()> {
        let answer = self.http.send(Method::DELETE, "/_fault", &[], Bytes::new()).await?;
        answer.into_body().map(drop)
    }

    /// Removes the fault of this number.
    pub async fn clear_fault(&self, id: u64) -> anyhow::Result<()> {
        let id = id.to_string();
        let parameters = [("id", id.as_str())];
        let answer = self.http.send(Method::DELETE, "/_fault", &parameters, Bytes::new()).await?;
        answer.into_body().map(drop)
    }

    /// The INSERTs seen whose statement holds `matches`, oldest first; the last 10,000 of all
    /// are kept.
    pub async fn inserts(&self, matches: &str) -> anyhow::Result<Vec<SeenInsert>> {
        let parameters = [("match", matches)];
        let answer = self.http.send(Method::GET, "/_inserts", &parameters, Bytes::new()).await?;
        Ok(serde_json::from_str(&answer.into_body()?)?)
    }

    /// Creates a Kafka topic. The mock cluster cannot add partitions later.
    pub async fn create_topic(&self, name: &str, partitions: u32) -> anyhow::Result<()> {
        let partitions = partitions.to_string();
        self.control("/_kafka/topic", &[("name", name), ("partitions", &partitions)], Bytes::new())
            .await
    }

    /// Drops every Kafka connection and refuses new ones.
    pub async fn broker_down(&self) -> anyhow::Result<()> {
        self.control("/_kafka/broker_down", &[], Bytes::new()).await
    }

    /// Undoes [`LocalStack::broker_down`].
    pub async fn broker_up(&self) -> anyhow::Result<()> {
        self.control("/_kafka/broker_up", &[], Bytes::new()).await
    }

    /// Sets errors for the next Kafka requests of one kind; see [`KafkaErrors`].
    pub async fn kafka_errors(&self, api: &str, errors: &[&str]) -> anyhow::Result<()> {
        let errors = errors.iter().map(|&name| name.to_owned()).collect();
        let body = serde_json::to_vec(&KafkaErrors { api: api.to_owned(), errors })?;
        self.control("/_kafka/errors", &[], Bytes::from(body)).await
    }

    async fn control(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<()> {
        let answer = self.http.send(Method::POST, path, parameters, body).await?;
        answer.into_body().map(drop)
    }
}

impl Drop for LocalStack {
    /// Lets the child clean up its temporary folder, which a killed one leaves behind.
    fn drop(&mut self) {
        drop(self.stdin.take());
        let begin = Instant::now();
        while begin.elapsed() < DROP_TIMEOUT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(DROP_POLL);
        }
    }
}
