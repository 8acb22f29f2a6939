//! The connection to ClickHouse: one client, its TLS, its settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::body::Body;
use super::bounded::{Bounded, MAX_ERROR_BYTES};
use super::error_text::{TableName, code_of};
use super::errors;
use super::post::{Failed, POOL_IDLE_TIMEOUT, Poster};
use super::settings::{ALWAYS, PLANNED, Settings};
use crate::config::{ClickHouse, Compression};
use crate::flow::hold::Hold;

/// Longest wait for a query's answer: it reads a few rows of system tables.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How many seconds a server keeps an idle session: each is opened right before its INSERT.
const SESSION_TIMEOUT: (&str, &str) = ("session_timeout", "30");
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of an answer to the host's own query: a table's columns, or a thousand of its parts.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// For each query: with other values, which a user's profile may set, a partial answer looks complete.
const WHOLE: &[(&str, &str)] = &[
    ("limit", "0"),
    ("offset", "0"),
    ("max_result_rows", "0"),
    ("max_result_bytes", "0"),
    ("result_overflow_mode", "throw"),
    ("read_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("distinct_overflow_mode", "throw"),
];

/// For the host's own queries: with other values an alias may mean a column, and an answer has extra rows.
const OWN: [(&str, &str); 2] = [("prefer_column_name_to_alias", "0"), ("extremes", "0")];

/// For each query, if the server has it: an old answer tells nothing about now, and with the cache on a
/// server refuses to read some of its system tables.
const CACHE: (&str, &str) = ("use_query_cache", "0");

/// How one INSERT is sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// The deduplication token: a server that deduplicates takes the same body once.
    pub token: &'a str,
    /// The session on the server it is bound to, if any.
    pub session: Option<&'a str>,
    /// Whether it may go through the server's queue of async inserts.
    pub may_be_async: bool,
    /// Whether a plan names the token.
    pub is_planned: bool,
}

/// The client for one server.
#[derive(Clone)]
pub struct Server {
    client: clickhouse::Client,
    /// For queries whose reader bounds the answer.
    reader: clickhouse::Client,
    poster: Poster,
    url: String,
    settings: String,
    is_async: bool,
    compression: Compression,
    answer_timeout: Duration,
    /// Whether ClickHouse itself has answered since the last foreign answer.
    is_proved: Arc<AtomicBool>,
    /// Whether the server has no query cache, as before 23.1.
    lacks_cache: Arc<AtomicBool>,
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
        let poster = Poster::new(config, connector.clone())?;
        let client = |max_bytes| {
            let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .build(Bounded::new(connector.clone(), max_bytes, MAX_ERROR_BYTES));
            let client = clickhouse::Client::with_http_client(http)
                .with_url(&config.url)
                .with_database(&config.database)
                .with_user(&config.user)
                .with_password(config.password.expose())
                .with_product_info("sluicegate", env!("CARGO_PKG_VERSION"))
                .with_compression(clickhouse::Compression::None);
            let set = |client: clickhouse::Client, (name, value): &(String, String)| {
                client.with_setting(name, value)
            };
            config.settings.iter().fold(client, set)
        };
        let (client, reader) = (client(MAX_ANSWER_BYTES), client(usize::MAX));
        let (url, is_async) = (config.url.clone(), config.async_insert);
        let settings: Vec<String> =
            config.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (settings, answer_timeout) = (settings.join(","), ANSWER_TIMEOUT);
        let compression = config.compression;
        Ok(Self {
            client,
            reader,
            poster,
            url,
            settings,
            is_async,
            compression,
            answer_timeout,
            is_proved: Arc::default(),
            lacks_cache: Arc::default(),
        })
    }

    /// Its address, as `http(s)://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The settings of CLICKHOUSE_SETTINGS, as one text. They may hold secrets.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// Whether INSERTs go through the server's async queue by default.
    pub fn is_async(&self) -> bool {
        self.is_async
    }

    /// The compression of INSERT bodies.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Whether answers are known to come from ClickHouse, with the headers that prove an INSERT.
    pub fn is_proved(&self) -> bool {
        self.is_proved.load(Ordering::Relaxed)
    }

    /// Sets whether they do.
    pub fn set_proved(&self, is_proved: bool) {
        self.is_proved.store(is_proved, Ordering::Relaxed);
    }

    /// Whether queries keep their request's ids, as far as is known.
    pub fn keeps_ids(&self) -> bool {
        self.poster.keeps_ids()
    }

    /// The settings for a complete and current answer.
    fn whole<'a>(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let cache = (!self.lacks_cache.load(Ordering::Relaxed)).then_some(CACHE);
        WHOLE.iter().copied().chain(cache)
    }

    /// Notes that the server has no query cache, if the error says so.
    pub fn note_cache(&self, error: &clickhouse::error::Error) {
        if let clickhouse::error::Error::BadResponse(text) = error
            && code_of(text) == Some(115)
            && text.contains(CACHE.0)
        {
            self.lacks_cache.store(true, Ordering::Relaxed);
        }
    }

    /// Asks a server's first query; again if it was refused for lack of a query cache.
    ///
    /// # Errors
    /// The query's own.
    pub async fn with_or_without_cache<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Hold>
    where
        F: Future<Output = Result<T, Hold>>,
    {
        let lacked = self.lacks_cache.load(Ordering::Relaxed);
        let answer = ask().await;
        match self.lacks_cache.load(Ordering::Relaxed) != lacked {
            true => ask().await,
            false => answer,
        }
    }

    /// A query whose answer is read completely or not at all.
    pub fn query(&self, sql: &str) -> clickhouse::query::Query {
        let query = self.client.query(sql);
        self.whole().chain(OWN).fold(query, |query, (name, value)| query.with_setting(name, value))
    }

    /// The same with further settings.
    pub fn query_with(&self, sql: &str, settings: &Settings) -> clickhouse::query::Query {
        let set = |query: clickhouse::query::Query, (name, value): &(&str, &str)| {
            query.with_setting(*name, *value)
        };
        settings.iter().fold(self.query(sql), set)
    }

    /// A query written by the user: a `?` in it is not a placeholder. Its answer may have any length.
    pub fn query_as_written(&self, sql: &str) -> clickhouse::query::Query {
        let query = self.reader.query_raw(sql);
        self.whole().fold(query, |query, (name, value)| query.with_setting(name, value))
    }

    /// Waits for a query's answer, with a timeout: a server may accept a connection and then say nothing.
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

    /// Asks a query the way INSERTs go, in the session of this name, which is created if needed.
    ///
    /// # Errors
    /// Anything but an answer of ClickHouse in time.
    pub async fn ask(&self, sql: &str, session: Option<&str>) -> Result<String, Failed> {
        let session = session.map(|name| [("session_id", name), SESSION_TIMEOUT]);
        let settings = self.whole().chain(OWN).chain(session.into_iter().flatten());
        let id = uuid::Uuid::new_v4().to_string();
        let asked = self.poster.ask(sql, settings, &id);
        tokio::time::timeout(self.answer_timeout, asked).await.unwrap_or(Err(Failed::TimedOut))
    }

    /// Asks a query that may take `at_most` long. The server cancels it then, or when nobody waits for it.
    ///
    /// # Errors
    /// Anything but an answer of ClickHouse in time.
    pub async fn ask_at_length(
        &self,
        sql: &str,
        settings: &Settings,
        query_id: &str,
        at_most: Duration,
    ) -> Result<String, Failed> {
        let seconds = at_most.as_secs().to_string();
        let own = [
            ("max_execution_time", seconds.as_str()),
            // Its estimated run time does not cancel it.
            ("timeout_before_checking_execution_speed", "0"),
            ("cancel_http_readonly_queries_on_client_close", "1"),
        ];
        let settings = self.whole().chain(OWN).chain(settings.iter().copied()).chain(own);
        let asked = self.poster.ask(sql, settings, query_id);
        let at_most = at_most + self.answer_timeout;
        tokio::time::timeout(at_most, asked).await.unwrap_or(Err(Failed::TimedOut))
    }

    /// Sends one body as one INSERT and waits for its answer.
    ///
    /// # Errors
    /// Anything but proof that every row landed.
    ///
    /// # Cancel safety
    /// If dropped, the request is cut off; whether its rows landed is then unknown.
    pub async fn insert(
        &self,
        body: &Body,
        settings: &Settings,
        sent: Sent<'_>,
    ) -> Result<(), Failed> {
        let is_async = self.is_async && sent.may_be_async;
        let own: [(&str, &str); 2] = [
            ("insert_deduplication_token", sent.token),
            ("async_insert", if is_async { "1" } else { "0" }),
        ];
        // A table's own setting may turn the queue on.
        let waited = [("wait_for_async_insert", "1")];
        let planned = if sent.is_planned { PLANNED } else { &[] };
        // The INSERT fails unless this server knows the session.
        let session = sent
            .session
            .map(|session| [("session_id", session), ("session_check", "1"), SESSION_TIMEOUT]);
        // A planned token is the query id, so the server runs one at a time.
        let own_id = uuid::Uuid::new_v4().to_string();
        let id = if session.is_some() { sent.token } else { &own_id };
        let settings = ALWAYS.iter().chain(planned).chain(settings).copied();
        let settings = settings.chain(session.into_iter().flatten());
        let all = own.into_iter().chain(waited).chain(settings);
        let (rows, bytes) = (body.rows, body.bytes.clone());
        let answer = self.poster.insert(&body.sql, all, bytes, (rows, is_async), id).await;
        if let Err(Failed::Foreign { .. } | Failed::Unproved(_)) = &answer {
            self.set_proved(false);
        }
        answer
    }
}

/// Checks that ClickHouse itself answers, with the headers that prove an INSERT, and gets the request's
/// settings: a proxy may answer instead, or drop either.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn prove(server: &Server) -> Result<(), Hold> {
    const SETTING: &str = "insert_deduplication_token";
    let token = uuid::Uuid::new_v4().to_string();
    let query = || server.query("SELECT getSetting(?)").bind(SETTING).with_setting(SETTING, &token);
    let fetch = async |query: clickhouse::query::Query| {
        let mut answer = query.fetch_bytes("TSV")?;
        let told = answer.collect().await?;
        // Some servers of 2025 omit counts of 0; the count of rows read is 1.
        let has_counts = answer.summary().and_then(clickhouse::QuerySummary::read_rows) > Some(0);
        Ok((has_counts, told))
    };
    let asked = || super::table::answered(server, query(), fetch);
    let (has_counts, told) = server.with_or_without_cache(asked).await?;
    let url = server.url();
    if !has_counts {
        return Err(Hold::Paused(format!(
            "answers from CLICKHOUSE_HOST {url} come without the counts of ClickHouse's header \
             X-ClickHouse-Summary, by which it tells how many rows are written: something else answers \
             there, a proxy drops the header, or the server is older than 22.5"
        )));
    }
    if told.trim_ascii() != token.as_bytes() {
        return Err(Hold::Paused(format!(
            "ClickHouse at CLICKHOUSE_HOST {url} does not get the settings of a request ({SETTING}): a proxy \
             drops them; let it pass every parameter, or connect to ClickHouse itself"
        )));
    }
    if let Err(failed) = server.poster.look_at_ids().await {
        let one = TableName { database: "system".to_owned(), name: "one".to_owned() };
        let error = errors::judge_failure(&failed, url, &one).error;
        return Err(errors::hold_of_query(error, ToString::to_string));
    }
    if !server.keeps_ids() {
        tracing::warn!(
            "a proxy at CLICKHOUSE_HOST {url} gives queries ids of its own: the answer to an earlier INSERT cannot be \
             told from that to the INSERT that was sent"
        );
    }
    server.set_proved(true);
    Ok(())
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

    use super::super::answer;
    use super::*;
    use crate::config::{KeyValues, Secret};

    /// A client of this listener, with short timeouts.
    fn server(listener: &TcpListener) -> Server {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = Server::new(&config(url)).unwrap();
        server.answer_timeout = Duration::from_millis(50);
        server
    }

    /// The hold for a server that answers each connection with these bytes, at a URL of this scheme.
    async fn told(scheme: &str, answer: &'static [u8]) -> Hold {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config(format!("{scheme}://{}", listener.local_addr().unwrap()));
        let answering = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _read = connection.read(&mut [0; 1_000]).await;
                let _sent = connection.write_all(answer).await;
            }
        });
        let server = Server::new(&config).unwrap();
        let hold = crate::clickhouse::read_table(&server, "d", "t").await.unwrap_err();
        answering.abort();
        hold
    }

    #[tokio::test]
    async fn a_scheme_that_the_port_does_not_speak_is_laid_to_its_variable() {
        let hold = told("https", b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let Hold::Paused(text) = &hold else { panic!("{hold:?}") };
        assert!(text.contains("write http:// into CLICKHOUSE_HOST"), "{text}");
        // An alert of TLS: an unexpected message.
        let hold = told("http", b"\x15\x03\x03\x00\x02\x02\x0a").await;
        assert!(hold.text().contains("write https:// into CLICKHOUSE_HOST"), "{hold:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_another_is_laid_to_its_variable() {
        let page = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html";
        let hold = told("http", page).await;
        assert!(hold.text().contains("something else"), "{hold:?}");
        assert!(hold.text().contains("CLICKHOUSE_HOST"), "{hold:?}");
    }

    /// The hold for a server that has proved to be ClickHouse and then answers each query with these bytes.
    async fn told_of_rows(body: Vec<u8>) -> Hold {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Server::new(&config(format!("http://{}", listener.local_addr().unwrap()))).unwrap();
        server.set_proved(true);
        let answering = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _read = connection.read(&mut [0; 4_096]).await;
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nX-ClickHouse-Query-Id: 1\r\nconnection: close\r\n\
                     content-length: {length}\r\n\r\n"
                );
                let _sent = connection.write_all(head.as_bytes()).await;
                let _sent = connection.write_all(&body).await;
                // A connection closed before the whole request is read would be reset.
                let _rest = connection.read_to_end(&mut Vec::new()).await;
            }
        });
        let hold = crate::clickhouse::read_table(&server, "d", "t").await.unwrap_err();
        answering.abort();
        hold
    }

    /// A number as `RowBinary` writes a length.
    fn leb128(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        bytes.push(number.to_le_bytes()[0]);
        bytes
    }

    #[tokio::test]
    async fn no_header_of_an_answer_ends_the_process() {
        let column = |ty: &str| {
            let length = leb128(ty.len() as u64);
            [&[1, 1, b'a'], &*length, ty.as_bytes()].concat()
        };
        let nested =
            |of: &str| column(&[&*of.repeat(100_000), "UInt8", &*")".repeat(100_000)].concat());
        for body in [
            leb128(1 << 62),
            leb128(1 << 40),
            leb128(u64::from(b'"')),
            nested("Array("),
            nested("Nullable("),
            column(&["Tuple(", &*"UInt8,".repeat(1 << 20), "UInt8)"].concat()),
            [leb128(1 << 62), b"abc".to_vec()].concat(),
            b"\"a".to_vec(),
            b"\"a\",".repeat(1 << 20),
            Vec::new(),
            b"<html>no</html>".to_vec(),
        ] {
            let hold = told_of_rows(body).await;
            let Hold::Paused(text) = &hold else { panic!("{hold:?}") };
            assert!(
                text.starts_with("something else than ClickHouse answers at CLICKHOUSE_HOST"),
                "{text}"
            );
        }
        let names: Vec<String> = (0..6).map(|n| format!("\"{n}\"")).collect();
        let names = names.join(",") + "\n";
        for (row, is_transient) in [("\"M", true), ("\"M\",1,", false), ("\"M\"\n", false)] {
            let hold = told_of_rows([&*names, row].concat().into_bytes()).await;
            assert_eq!(matches!(hold, Hold::Transient(_)), is_transient, "{hold:?}");
            assert!(hold.text().starts_with("CLICKHOUSE_HOST http://127.0.0.1:"), "{hold:?}");
        }
        let code = format!("{names}Code: 241. DB::Exception: Memory limit");
        let hold = told_of_rows(code.into_bytes()).await;
        assert!(matches!(&hold, Hold::Transient(text) if text.contains("Code: 241")), "{hold:?}");
    }

    /// How many of 64 MiB a server can send in answer to a query, after this head.
    async fn sent_of_a_long_answer(head: &'static str, ask: impl AsyncFnOnce(Server)) -> usize {
        sent_of_many(head, "x", ask).await
    }

    /// The same with a repeated `word`.
    async fn sent_of_many(
        head: &'static str,
        word: &'static str,
        ask: impl AsyncFnOnce(Server),
    ) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(&config(format!("http://{}", listener.local_addr().unwrap())));
        let answering = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _read = connection.read(&mut [0; 1_000]).await;
            connection.write_all(head.as_bytes()).await.unwrap();
            let (mut sent, part) = (0, word.as_bytes().repeat(65_536 / word.len()));
            while sent < 64 << 20 && connection.write_all(&part).await.is_ok() {
                sent += part.len();
            }
            sent
        });
        ask(server.unwrap()).await;
        answering.await.unwrap()
    }

    #[tokio::test]
    async fn no_answer_is_read_past_its_bound() {
        let table = async |server: Server| {
            let hold = crate::clickhouse::read_table(&server, "d", "t").await.unwrap_err();
            assert!(matches!(hold, Hold::Transient(_) | Hold::Paused(_)), "{hold:?}");
        };
        let lookup = async |server: Server| {
            let answer = server.query_as_written("SELECT 1").fetch_bytes("TSV");
            answer.unwrap().collect().await.unwrap_err();
        };
        // Plus what the sockets hold.
        let head = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\n\r\n";
        assert!(sent_of_a_long_answer(head, table).await < 16 << 20);
        assert!(sent_of_a_long_answer(head, lookup).await < 16 << 20);
        let head = "HTTP/1.1 200 OK\r\nX-ClickHouse-Query-Id: 1\r\nconnection: close\r\n\r\n";
        assert!(sent_of_a_long_answer(head, table).await < 40 << 20);
        let whole = async |server: Server| {
            let answer = server.query_as_written("SELECT 1").fetch_bytes("TSV");
            assert_eq!(answer.unwrap().collect().await.unwrap().len(), 64 << 20);
        };
        assert_eq!(sent_of_a_long_answer(head, whole).await, 64 << 20);
    }

    #[tokio::test]
    async fn an_answer_that_is_announced_for_ever_ends() {
        let insert = async |server: Server| {
            let body = bytes::Bytes::from_static(b"rows");
            let sent = server.poster.insert("INSERT", [], body, (1, false), "id").await;
            assert!(matches!(sent, Err(Failed::Broken(_))), "{sent:?}");
        };
        let announced = "HTTP/1.1 100 Continue\r\n\r\n";
        // Plus what the sockets hold.
        assert!(sent_of_many("", announced, insert).await < 16 << 20);
    }

    #[tokio::test]
    async fn no_profile_cuts_the_answer_to_a_query() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = server(&listener);
        for query in [server.query("SELECT 1"), server.query_as_written("SELECT 1")] {
            let asked = tokio::spawn(async move { answer::one::<u64>(query).await });
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = connection.read(&mut request).await.unwrap();
            let head = String::from_utf8_lossy(&request[..read]).into_owned();
            for (name, value) in WHOLE.iter().chain([&CACHE]) {
                assert!(head.contains(&format!("{name}={value}")), "{name}: {head}");
            }
            assert!(head.contains("format_csv_delimiter=%2C"), "{head}");
            asked.abort();
        }
    }

    #[tokio::test]
    async fn a_server_without_a_query_cache_is_asked_without_its_setting() {
        let server = Server::new(&config("http://127.0.0.1:1".into())).unwrap();
        let has = |server: &Server| server.whole().any(|setting| setting == CACHE);
        let said = |text: &str| clickhouse::error::Error::BadResponse(text.to_owned());
        let other = said("Code: 115. DB::Exception: Unknown setting other. (UNKNOWN_SETTING)");
        server.note_cache(&other);
        assert!(has(&server));
        let asked = std::cell::Cell::new(0);
        let ask = async || {
            asked.set(asked.get() + 1);
            match has(&server) {
                true => {
                    let unknown = "Code: 115. DB::Exception: Unknown setting use_query_cache.";
                    server.note_cache(&said(unknown));
                    Err(Hold::Transient(unknown.to_owned()))
                }
                false => Ok(()),
            }
        };
        assert_eq!(server.with_or_without_cache(ask).await, Ok(()));
        assert_eq!((asked.get(), has(&server)), (2, false));
    }

    #[tokio::test]
    async fn a_server_that_takes_a_connection_and_says_nothing_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = server(&listener);
        let silent = tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok(connection) = listener.accept().await {
                taken.push(connection);
            }
        });
        let Err(Hold::Transient(text)) = crate::clickhouse::read_table(&server, "d", "t").await
        else {
            panic!("it answered");
        };
        assert!(text.starts_with("CLICKHOUSE_HOST http://127.0.0.1:"), "{text}");
        silent.abort();
    }

    fn config(url: String) -> ClickHouse {
        ClickHouse {
            url,
            database: "d".into(),
            user: "u".into(),
            password: Secret::default(),
            table: "t".into(),
            settings: KeyValues::default(),
            ca_location: None,
            async_insert: false,
            compression: Compression::None,
        }
    }
}
