//! Sends one INSERT over HTTP, and judges what the answer proves.
//!
//! The `clickhouse` crate's client takes any HTTP 200 for success and discards the answer's headers. An
//! INSERT counts as landed only by ClickHouse's own word, so it is sent here.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, interval, timeout_at};
use url::Url;

use super::bounded::Bounded;
use crate::config::ClickHouse;

/// Longest wait for the server to accept a part of a body.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for the answer once the body is sent, views and an async flush included.
pub const END_TIMEOUT: Duration = Duration::from_mins(5);
/// How often a body's progress is checked.
const TICK: Duration = Duration::from_secs(1);
/// Bytes of a body sent at a time.
const FRAME_BYTES: usize = 256 * 1024;
/// Most bytes read of an answer: an error text may quote rows of any length.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Most bytes of an answer, heads included, before the connection breaks.
const MAX_TAKEN_BYTES: usize = 2 * MAX_ANSWER_BYTES;
/// Below the 3 s after which a server closes an idle connection by default, so that an INSERT
/// is not sent into a connection that is being closed.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// The query id of an answer: that of its request.
const QUERY_ID: &str = "X-ClickHouse-Query-Id";
/// Headers that only ClickHouse sends. Every answer since 20.x has the first two.
const OWN_HEADERS: [&str; 3] =
    [QUERY_ID, "X-ClickHouse-Server-Display-Name", "X-ClickHouse-Exception-Code"];
/// Counts of a statement, as JSON: `{"written_rows":"3",...}`. They include rows written to views.
const SUMMARY: &str = "X-ClickHouse-Summary";

/// Why an INSERT is not proved to have landed.
#[derive(Debug)]
pub enum Failed {
    /// ClickHouse refused it; the text begins with `Code: N.`.
    Refused(String),
    /// Something other than ClickHouse answered.
    Foreign {
        /// The HTTP status.
        status: StatusCode,
        /// The start of its text.
        text: String,
    },
    /// ClickHouse reports the end of the statement, but not that all rows are written.
    Unproved(String),
    /// No connection was made, so nothing was sent.
    Unreached(hyper_util::client::legacy::Error),
    /// The connection broke.
    Broken(Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    TimedOut,
}

/// Sends INSERTs to one server.
#[derive(Clone)]
pub struct Poster {
    http: Client<Bounded<HttpsConnector<HttpConnector>>, Paced>,
    url: Url,
    user: HeaderValue,
    password: HeaderValue,
    /// Whether queries keep their request's ids.
    keeps_ids: Arc<AtomicBool>,
}

/// A raw answer.
struct HttpAnswer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Poster {
    /// Prepares the client; nothing is sent yet.
    ///
    /// # Errors
    /// An address or a login that is not valid in HTTP, naming the variable.
    pub fn new(
        config: &ClickHouse,
        connector: HttpsConnector<HttpConnector>,
    ) -> anyhow::Result<Self> {
        let http = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build(Bounded::new(connector, MAX_TAKEN_BYTES, MAX_TAKEN_BYTES));
        let mut url = Url::parse(&config.url).context("CLICKHOUSE_HOST")?;
        url.query_pairs_mut()
            .append_pair("database", &config.database)
            // Status and counts are sent only after the statement has ended.
            .append_pair("send_progress_in_http_headers", "0")
            .extend_pairs(config.settings.iter());
        let user = HeaderValue::from_bytes(config.user.as_bytes()).context("CLICKHOUSE_USER")?;
        let password = HeaderValue::from_bytes(config.password.expose().as_bytes());
        let mut password = password.context("CLICKHOUSE_PASSWORD")?;
        password.set_sensitive(true);
        Ok(Self { http, url, user, password, keeps_ids: Arc::new(AtomicBool::new(true)) })
    }

    /// Whether queries keep their request's ids, as last checked: a proxy may replace them.
    pub fn keeps_ids(&self) -> bool {
        self.keeps_ids.load(Ordering::Relaxed)
    }

    /// Checks whether they do.
    ///
    /// # Errors
    /// Anything but an answer of ClickHouse.
    pub async fn look_at_ids(&self) -> Result<(), Failed> {
        let id = uuid::Uuid::new_v4().to_string();
        let HttpAnswer { status, headers, text } =
            self.send("SELECT 1 FORMAT TSV", [], Bytes::new(), &id).await?;
        let keeps_ids = told(&headers) == Some(&id);
        judge_text(status, &headers, text)?;
        self.keeps_ids.store(keeps_ids, Ordering::Relaxed);
        Ok(())
    }

    /// Sends one INSERT of `rows` rows under this query id, and waits for its answer. `is_async`: it goes
    /// through the server's queue, whose answers need not count rows.
    ///
    /// # Errors
    /// Anything but proof that every row landed.
    ///
    /// # Cancel safety
    /// If dropped, the request is cut off; whether its rows landed is then unknown.
    pub async fn insert<'a>(
        &self,
        sql: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
        (rows, is_async): (usize, bool),
        query_id: &str,
    ) -> Result<(), Failed> {
        let HttpAnswer { status, headers, text } = self.send(sql, settings, body, query_id).await?;
        let bound = self.keeps_ids().then_some(query_id);
        judge_bound(status, &headers, &text, (!is_async).then_some(rows), bound)
    }

    /// Asks a query of this id the way INSERTs go, and returns the text of its answer.
    ///
    /// # Errors
    /// Anything but an answer of ClickHouse.
    ///
    /// # Cancel safety
    /// If dropped, the request is cut off; the server may still work on it.
    pub async fn ask<'a>(
        &self,
        sql: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        query_id: &str,
    ) -> Result<String, Failed> {
        let HttpAnswer { status, headers, text } =
            self.send(sql, settings, Bytes::new(), query_id).await?;
        if self.keeps_ids() {
            is_to(&headers, query_id)?;
        }
        judge_text(status, &headers, text)
    }

    async fn send<'a>(
        &self,
        sql: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
        query_id: &str,
    ) -> Result<HttpAnswer, Failed> {
        let mut url = self.url.clone();
        let id = [("query", sql), ("query_id", query_id)];
        url.query_pairs_mut().extend_pairs(id).extend_pairs(settings);
        let (length, taken) = (body.len(), Arc::new(AtomicUsize::new(0)));
        let body = Paced { left: body, taken: Arc::clone(&taken) };
        let request = Request::post(url.as_str())
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", &self.password)
            .header(hyper::header::USER_AGENT, concat!("sluicegate/", env!("CARGO_PKG_VERSION")))
            .body(body)
            .map_err(|error| Failed::Broken(error.into()))?;
        let response = self.http.request(request);
        tokio::pin!(response);
        let (mut ticks, mut seen, mut since) = (interval(TICK), 0, Instant::now());
        let response = loop {
            tokio::select! {
                response = &mut response => break response,
                _ = ticks.tick() => {
                    let taken = taken.load(Ordering::Relaxed);
                    if std::mem::replace(&mut seen, taken) != taken {
                        since = Instant::now();
                    }
                    let patience = if taken == length { END_TIMEOUT } else { SEND_TIMEOUT };
                    if since.elapsed() > patience {
                        return Err(Failed::TimedOut);
                    }
                }
            }
        };
        let response = response.map_err(|error| match error.is_connect() {
            true => Failed::Unreached(error),
            false => Failed::Broken(error.into()),
        })?;
        read(response).await
    }
}

/// The text of a query's answer, if it is ClickHouse's and not an error.
fn judge_text(status: StatusCode, headers: &HeaderMap, text: String) -> Result<String, Failed> {
    match judge(status, headers, "", None) {
        Ok(()) if !text.starts_with("Code: ") => Ok(text),
        Err(Failed::Foreign { status, .. }) if !text.starts_with("Code: ") => {
            Err(Failed::Foreign { status, text })
        }
        _ => Err(Failed::Refused(text)),
    }
}

/// Reads an answer up to its bound, and leaves the rest.
async fn read(response: Response<Incoming>) -> Result<HttpAnswer, Failed> {
    let (parts, mut body) = response.into_parts();
    let (mut bytes, until) = (Vec::new(), Instant::now() + END_TIMEOUT);
    while bytes.len() < MAX_ANSWER_BYTES {
        let frame = timeout_at(until, body.frame()).await.map_err(|_| Failed::TimedOut)?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| Failed::Broken(error.into()))?;
        if let Some(data) = frame.data_ref() {
            let room = MAX_ANSWER_BYTES - bytes.len();
            bytes.extend_from_slice(data.get(..room).unwrap_or(data));
        }
    }
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok(HttpAnswer { status: parts.status, headers: parts.headers, text })
}

/// The query id that an answer names.
fn told(headers: &HeaderMap) -> Option<&str> {
    headers.get(QUERY_ID)?.to_str().ok()
}

/// Refuses the answer to another query, such as one from a cache, or one left on the connection by an earlier
/// request.
fn is_to(headers: &HeaderMap, query_id: &str) -> Result<(), Failed> {
    match told(headers) {
        Some(told) if told != query_id => Err(unproved(
            "the answer is to another query: something in between answers for ClickHouse",
        )),
        _ => Ok(()),
    }
}

/// What an answer proves about the query with the id `bound`, if the server keeps ids.
fn judge_bound(
    status: StatusCode,
    headers: &HeaderMap,
    text: &str,
    rows: Option<usize>,
    bound: Option<&str>,
) -> Result<(), Failed> {
    let Some(id) = bound else { return judge(status, headers, text, rows) };
    is_to(headers, id)?;
    judge(status, headers, text, rows)?;
    match told(headers) {
        Some(_) => Ok(()),
        None => Err(unproved(format!("the answer has no {QUERY_ID}"))),
    }
}

/// What an answer proves. `rows` is the row count that it must confirm.
fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    text: &str,
    rows: Option<usize>,
) -> Result<(), Failed> {
    let code = headers.get("X-ClickHouse-Exception-Code").and_then(|code| code.to_str().ok());
    let is_own = OWN_HEADERS.iter().any(|name| headers.contains_key(*name));
    // A proxy may drop headers; ClickHouse's texts start with the code, and pages do not.
    if text.starts_with("Code: ") {
        return Err(Failed::Refused(text.to_owned()));
    }
    match code {
        // If the answer began before the error, the head has only the code, and the text comes at the end.
        Some(code) => return Err(Failed::Refused(format!("Code: {code}. DB::Exception: {text}"))),
        None if status != StatusCode::OK || !is_own => {
            return Err(Failed::Foreign { status, text: text.to_owned() });
        }
        None if !text.is_empty() => {
            let said = text.rfind("Code: ").and_then(|at| text.get(at..));
            return Err(match said {
                Some(said) => Failed::Refused(said.to_owned()),
                None => unproved("the answer to an INSERT has a text"),
            });
        }
        None => {}
    }
    let Some(rows) = rows else { return Ok(()) };
    match written_rows(headers) {
        Some(written) if written >= rows as u64 => Ok(()),
        Some(written) => Err(unproved(format!("{written} of {rows} rows are written"))),
        None => Err(unproved(format!("{SUMMARY} does not tell how many rows are written"))),
    }
}

fn unproved(text: impl Display) -> Failed {
    Failed::Unproved(text.to_string())
}

fn written_rows(headers: &HeaderMap) -> Option<u64> {
    let summary: serde_json::Value =
        serde_json::from_str(headers.get(SUMMARY)?.to_str().ok()?).ok()?;
    // Some servers of 2025 omit counts of 0.
    let Some(written) = summary.get("written_rows") else { return Some(0) };
    written.as_u64().or_else(|| written.as_str()?.parse().ok())
}

/// A body sent in frames that counts the bytes taken.
struct Paced {
    left: Bytes,
    taken: Arc<AtomicUsize>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.left.len().min(FRAME_BYTES);
        let frame = self.left.split_to(length);
        self.taken.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_by_the_id_of_its_query_where_ids_are_kept() {
        let of = |headers: &[(&'static str, &str)], text: &str, bound| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            judge_bound(StatusCode::OK, &map, text, Some(3), bound)
        };
        let summary = (SUMMARY, r#"{"written_rows":"3"}"#);
        let (own, other) = ((QUERY_ID, "own"), (QUERY_ID, "other"));
        let display = ("X-ClickHouse-Server-Display-Name", "s");
        of(&[own, summary], "", Some("own")).unwrap();
        of(&[other, summary], "", None).unwrap();
        let unproved = |answer| matches!(answer, Err(Failed::Unproved(_)));
        assert!(unproved(of(&[other, summary], "", Some("own"))));
        assert!(unproved(of(&[other], "Code: 469. DB::Exception: no", Some("own"))));
        assert!(unproved(of(&[display, summary], "", Some("own"))), "no id");
        // What is refused before it becomes a query has no id.
        let refused = of(&[display], "Code: 516. DB::Exception: no", Some("own"));
        assert!(matches!(refused, Err(Failed::Refused(_))));
    }

    fn answer(status: u16, headers: &[(&'static str, &str)], text: &str) -> Result<(), Failed> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        judge(StatusCode::from_u16(status).unwrap(), &map, text, Some(3))
    }

    const ID: (&str, &str) = ("X-ClickHouse-Query-Id", "q");

    fn summary(written: &str) -> (&'static str, &str) {
        (SUMMARY, written)
    }

    #[test]
    fn only_clickhouse_s_own_count_of_all_rows_is_proof() {
        assert!(answer(200, &[ID, summary(r#"{"written_rows":"3"}"#)], "").is_ok());
        // Rows written by a view count too.
        assert!(answer(200, &[ID, summary(r#"{"written_rows":"6"}"#)], "").is_ok());
        assert!(answer(200, &[ID, summary(r#"{"written_rows":3}"#)], "").is_ok());
        for (headers, text) in [
            (vec![], ""),
            (vec![], "<html>We are under maintenance</html>"),
            (vec![ID], "<html>a login</html>"),
            (vec![ID], ""),
            (vec![ID, summary("{}")], ""),
            (vec![ID, summary(r#"{"written_rows":"2"}"#)], ""),
            (vec![summary(r#"{"written_rows":"3"}"#)], ""),
        ] {
            assert!(answer(200, &headers, text).is_err(), "{headers:?} {text}");
        }
        assert!(answer(204, &[ID, summary(r#"{"written_rows":"3"}"#)], "").is_err());
    }

    #[test]
    fn an_answer_of_the_queue_counts_no_rows() {
        let mut own = HeaderMap::new();
        own.insert(ID.0, ID.1.parse().unwrap());
        assert!(judge(StatusCode::OK, &own, "", None).is_ok());
        assert!(judge(StatusCode::OK, &HeaderMap::new(), "", None).is_err());
    }

    #[test]
    fn an_error_is_clickhouse_s_wherever_it_stands() {
        let text = "Code: 469. DB::Exception: Constraint";
        let code = ("X-ClickHouse-Exception-Code", "469");
        for (status, headers, text) in [
            (500, vec![ID, code], text.to_owned()),
            (500, vec![], text.to_owned()),
            (200, vec![ID], format!("half of a result\n{text}")),
            (200, vec![ID, code], String::new()),
        ] {
            let Err(Failed::Refused(said)) = answer(status, &headers, &text) else {
                panic!("{status} {headers:?} {text}");
            };
            assert!(said.starts_with("Code: 469"), "{said}");
        }
    }

    #[test]
    fn what_a_proxy_answers_is_foreign() {
        for status in [302, 403, 413, 502] {
            let page = format!("<html>{status} Code: 60</html>");
            let Err(Failed::Foreign { status: told, .. }) = answer(status, &[], &page) else {
                panic!("{status}");
            };
            assert_eq!(told.as_u16(), status);
        }
    }
}
