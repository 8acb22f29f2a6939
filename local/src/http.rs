//! The few lines of HTTP client that the handle needs.

use anyhow::Context as _;
use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::protocol::ReadyLine;

/// The largest answer that is read: a test's result, not a table.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// An answer of the ClickHouse front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `X-ClickHouse-Exception-Code`, where the answer carries one.
    pub exception_code: Option<i32>,
    /// `X-ClickHouse-Summary`, where the answer carries one.
    pub summary: Option<String>,
    /// The body, with bytes that are not UTF-8 replaced.
    pub body: String,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// The answer is an error: its text.
    pub fn into_body(self) -> anyhow::Result<String> {
        anyhow::ensure!(self.status == 200, "http status {}: {}", self.status, self.body.trim());
        Ok(self.body)
    }
}

/// A client bound to one front.
#[derive(Clone)]
pub(crate) struct HttpClient {
    base: String,
    headers: Vec<(&'static str, String)>,
    inner: Client<HttpConnector, Body>,
}

impl HttpClient {
    pub(crate) fn new(ready: &ReadyLine) -> Self {
        let ReadyLine { clickhouse: base, user, password, .. } = ready;
        let headers =
            vec![("X-ClickHouse-User", user.clone()), ("X-ClickHouse-Key", password.clone())];
        let inner = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { base: base.trim_end_matches('/').to_owned(), headers, inner }
    }

    /// The same client, which sends this header too.
    pub(crate) fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name, value.to_owned()));
        client
    }

    /// Sends one request; `parameters` are encoded into the URL.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut uri = format!("{}{path}", self.base);
        for (index, (name, value)) in parameters.iter().enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            encode(name, &mut uri);
            uri.push('=');
            encode(value, &mut uri);
        }
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body)).context("local stack: bad request")?;
        let response =
            self.inner.request(request).await.with_context(|| format!("local stack: {path}"))?;
        let (parts, body) = response.into_parts();
        let header = |name: &str| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let body = axum::body::to_bytes(Body::new(body), MAX_ANSWER_BYTES)
            .await
            .with_context(|| format!("local stack: reading the answer of {path}"))?;
        Ok(Answer {
            status: parts.status.as_u16(),
            exception_code: header("X-ClickHouse-Exception-Code").and_then(|c| c.parse().ok()),
            summary: header("X-ClickHouse-Summary"),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str, out: &mut String) {
    const HEX: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(HEX.get(usize::from(byte >> 4)));
            out.extend(HEX.get(usize::from(byte & 15)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn encodes_what_a_url_reserves() {
        let mut out = String::new();
        encode("a b&c=é/~", &mut out);
        assert_eq!(out, "a%20b%26c%3D%C3%A9%2F~");
    }
}
