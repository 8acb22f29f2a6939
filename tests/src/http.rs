//! The test's own end of HTTP: one request, one answer.

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// The value of a series in Prometheus' text format, written as it stands there: the name,
    /// with labels in braces where it has any.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let mut lines = self.body.lines();
        lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

/// Asks `address` for a path, without a body.
pub async fn request(address: &str, method: &str, path: &str) -> anyhow::Result<Answer> {
    let mut server = TcpStream::connect(address).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    server.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    server.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok(Answer { status, body: body.to_owned() })
}
