//! The connection to ClickHouse: one client, its TLS, its settings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::settings::{ALWAYS, PLANNED, Settings};
use crate::config::{ClickHouse, Compression};

/// Longest wait for the server to take a part of a body.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for the answer to an INSERT, views and an async flush included.
const END_TIMEOUT: Duration = Duration::from_mins(5);
/// Longest wait for the answer to a query: it reads a few rows of the system's tables.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Below the 3 s after which a server closes an idle connection by default, so that an INSERT
/// is not sent into a connection that is being closed.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How rows are sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// Makes a server that deduplicates take the same body once.
    pub token: &'a str,
    /// Whether they may go through the server's queue of async inserts.
    pub may_be_async: bool,
    /// Whether want of memory comes back after some tries, since they can be split.
    pub may_split_for_memory: bool,
    /// How far the deduplication window had moved when the token was planned; `None` where it was
    /// not, and nobody else sends under it.
    pub mark: Option<u64>,
}

/// The client for one server.
#[derive(Clone)]
pub struct Server {
    client: clickhouse::Client,
    url: String,
    settings: String,
    is_async: bool,
    compression: Compression,
    answer_timeout: Duration,
}

impl Server {
    /// Prepares the client; nothing is sent yet.
    ///
    /// # Errors
    /// A CA file that cannot be read, naming the variable.
    pub fn new(config: &ClickHouse) -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(config)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build(connector);
        let mut client = clickhouse::Client::with_http_client(http)
            .with_url(&config.url)
            .with_database(&config.database)
            .with_user(&config.user)
            .with_password(config.password.expose())
            .with_product_info("sluicegate", env!("CARGO_PKG_VERSION"))
            .with_compression(clickhouse::Compression::None);
        for (name, value) in &*config.settings {
            client = client.with_setting(name, value);
        }
        let (url, is_async) = (config.url.clone(), config.async_insert);
        let settings: Vec<String> =
            config.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (settings, answer_timeout) = (settings.join(","), ANSWER_TIMEOUT);
        let compression = config.compression;
        Ok(Self { client, url, settings, is_async, compression, answer_timeout })
    }

    /// Where it is, as `http(s)://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The settings of CLICKHOUSE_SETTINGS, as one text. They may hold secrets.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// Whether INSERTs go through the server's queue of async inserts unless told otherwise.
    pub fn is_async(&self) -> bool {
        self.is_async
    }

    /// How the bodies of INSERTs go over the wire.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// A query whose answer is read.
    pub fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.client.query(sql)
    }

    /// A query that somebody else wrote: a `?` in it is no place for a value.
    pub fn query_as_written(&self, sql: &str) -> clickhouse::query::Query {
        self.client.query_raw(sql)
    }

    /// Waits for the answer to a query, but not for ever: a server may take a connection and then
    /// say nothing.
    ///
    /// # Errors
    /// The query's own, or `TimedOut`.
    pub async fn answer<T>(
        &self,
        query: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> clickhouse::error::Result<T> {
        let answer = tokio::time::timeout(self.answer_timeout, query).await;
        answer.unwrap_or(Err(clickhouse::error::Error::TimedOut))
    }

    /// Sends one body as one INSERT and waits for its answer.
    ///
    /// # Cancel safety
    /// Dropped, the request is cut off; whether its rows landed is then unknown.
    pub async fn insert(
        &self,
        sql: &str,
        body: Bytes,
        settings: &Settings,
        sending: &Sending<'_>,
    ) -> clickhouse::error::Result<()> {
        let is_async = self.is_async && sending.may_be_async;
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_timeouts(Some(SEND_TIMEOUT), Some(END_TIMEOUT))
            .with_setting("insert_deduplication_token", sending.token)
            .with_setting("async_insert", if is_async { "1" } else { "0" });
        if is_async {
            insert = insert.with_setting("wait_for_async_insert", "1");
        }
        let planned = if sending.mark.is_some() { PLANNED } else { &[] };
        for (name, value) in ALWAYS.iter().chain(planned).chain(settings) {
            insert = insert.with_setting(*name, *value);
        }
        insert.send(body).await?;
        insert.end().await
    }
}

fn tls(config: &ClickHouse) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = &config.ca_location {
        let variable = || format!("CLICKHOUSE_SSL_CA_LOCATION: {path}");
        for certificate in CertificateDer::pem_file_iter(path).with_context(variable)? {
            roots.add(certificate.with_context(variable)?).with_context(variable)?;
        }
        anyhow::ensure!(!roots.is_empty(), "{}: holds no PEM certificate", variable());
    } else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{KeyValues, Secret};
    use crate::outcome::Hold;

    #[tokio::test]
    async fn a_server_that_takes_a_connection_and_says_nothing_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = ClickHouse {
            url: format!("http://{}", listener.local_addr().unwrap()),
            database: "d".into(),
            user: "u".into(),
            password: Secret::default(),
            table: "t".into(),
            settings: KeyValues::default(),
            ca_location: None,
            async_insert: false,
            compression: Compression::None,
        };
        let mut server = Server::new(&config).unwrap();
        server.answer_timeout = Duration::from_millis(50);
        let silent = tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok(connection) = listener.accept().await {
                taken.push(connection);
            }
        });
        let Err(Hold::Transient(text)) = super::super::read(&server, "d", "t").await else {
            panic!("it answered");
        };
        assert!(text.starts_with("CLICKHOUSE_HOST http://127.0.0.1:"), "{text}");
        silent.abort();
    }
}
