//! The connection to ClickHouse: one client, its TLS, its settings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clickhouse::Compression;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::settings::{ALWAYS, PLANNED, Settings};
use crate::blocking;
use crate::config::{ClickHouse, Compression as Wire};
use crate::observe::cpu::CpuOf;

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

/// Level of zstd: higher ones take more time than they save bytes of Arrow's columns.
const ZSTD_LEVEL: i32 = 1;

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
    /// The same for INSERTs: it names the encoding of their bodies.
    inserts: clickhouse::Client,
    url: String,
    settings: String,
    is_async: bool,
    compression: Wire,
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
            .with_compression(Compression::None);
        for (name, value) in &*config.settings {
            client = client.with_setting(name, value);
        }
        let (url, is_async) = (config.url.clone(), config.async_insert);
        let settings: Vec<String> =
            config.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (settings, answer_timeout) = (settings.join(","), ANSWER_TIMEOUT);
        let (inserts, compression) = (client.clone(), config.compression);
        let inserts = match compression {
            Wire::None => inserts,
            Wire::Zstd => inserts.with_header("Content-Encoding", "zstd"),
        };
        Ok(Self { client, inserts, url, settings, is_async, compression, answer_timeout })
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
        // Here, so that the token and the fingerprint are those of the body whatever the wire.
        let body = match self.compression {
            Wire::None => body,
            Wire::Zstd => compressed(body).await?,
        };
        let mut insert = self
            .inserts
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

async fn compressed(body: Bytes) -> clickhouse::error::Result<Bytes> {
    let compress = move || CpuOf::Ipc.run(|| zstd::bulk::compress(&body, ZSTD_LEVEL));
    let compressed = blocking::run(compress).await;
    compressed.map(Bytes::from).map_err(|error| clickhouse::error::Error::Compression(error.into()))
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{KeyValues, Secret};
    use crate::outcome::Hold;

    fn config(url: String, compression: Wire) -> ClickHouse {
        ClickHouse {
            url,
            database: "d".into(),
            user: "u".into(),
            password: Secret::default(),
            table: "t".into(),
            settings: KeyValues::default(),
            ca_location: None,
            async_insert: false,
            compression,
        }
    }

    /// The head and the body of an INSERT of 10,000 bytes, as they came over the wire.
    async fn sent(compression: Wire) -> (String, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::new(&config(url, compression)).unwrap();
        let insert = tokio::spawn(async move {
            let sending = Sending {
                token: "1",
                may_be_async: false,
                may_split_for_memory: false,
                mark: None,
            };
            let body = Bytes::from(vec![7; 10_000]);
            server.insert("INSERT INTO t FORMAT Null", body, &Settings::default(), &sending).await
        });
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n0\r\n\r\n") {
            assert!(connection.read_buf(&mut request).await.unwrap() > 0);
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        insert.await.unwrap().unwrap();
        let at = request.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let body = request.split_off(at + 4);
        (String::from_utf8(request).unwrap().to_ascii_lowercase(), body)
    }

    /// What the chunks of a body hold.
    fn unchunked(mut body: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let end = body.windows(2).position(|end| end == b"\r\n").unwrap();
            let size = std::str::from_utf8(&body[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                return whole;
            }
            whole.extend_from_slice(&body[end + 2..end + 2 + size]);
            body = &body[end + 4 + size..];
        }
    }

    #[tokio::test]
    async fn a_body_is_compressed_on_the_wire_where_that_is_configured() {
        let (head, body) = sent(Wire::None).await;
        assert!(!head.contains("content-encoding"), "{head}");
        assert_eq!(unchunked(&body), vec![7; 10_000]);
        let (head, body) = sent(Wire::Zstd).await;
        assert!(head.contains("content-encoding: zstd"), "{head}");
        let body = unchunked(&body);
        assert!(body.len() < 100, "{}", body.len());
        assert_eq!(zstd::bulk::decompress(&body, 10_000).unwrap(), vec![7; 10_000]);
    }

    #[tokio::test]
    async fn a_server_that_takes_a_connection_and_says_nothing_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = Server::new(&config(url, Wire::None)).unwrap();
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
