//! Connections that break when an answer exceeds its bound. The `clickhouse` crate collects an error's whole
//! text, and the server decides how long that is. Interim heads (`100 Continue`) count too.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// Most bytes of an error, which a client collects whole.
pub const MAX_ERROR_BYTES: usize = 1024 * 1024;
/// How a success begins, unless its head names an exception.
const SUCCESS: &[u8] = b"HTTP/1.1 200";
/// How an interim head begins, before the final answer.
const ANNOUNCED: &[u8] = b"HTTP/1.1 1";
/// The header of an error, in lower case. The `clickhouse` crate's client collects the body after it whole,
/// whatever the status.
const EXCEPTION: &[u8] = b"\nx-clickhouse-exception-code:";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// Most bytes of a head that are parsed. An answer with a longer one counts as an error.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How a request begins.
const REQUESTS: [&[u8]; 2] = [b"POST /", b"GET /"];
/// Most bytes read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Makes bounded connections.
#[derive(Debug, Clone)]
pub struct Bounded<C> {
    connector: C,
    max_bytes: usize,
    max_error_bytes: usize,
}

impl<C> Bounded<C> {
    /// Bounds the connections of `connector`: an answer, with its head, has at most `max_bytes` bytes, and an
    /// error at most `max_error_bytes`.
    pub fn new(connector: C, max_bytes: usize, max_error_bytes: usize) -> Self {
        Self { connector, max_bytes, max_error_bytes }
    }
}

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = Stream<C::Response>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Self::Response, C::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (max_bytes, max_error_bytes) = (self.max_bytes, self.max_error_bytes);
        let connecting = self.connector.call(uri);
        Box::pin(async move {
            let inner = connecting.await?;
            let answer = AnswerProgress::default();
            Ok(Stream { inner, max_bytes, max_error_bytes, answer })
        })
    }
}

/// A bounded connection.
#[derive(Debug)]
pub struct Stream<S> {
    inner: S,
    max_bytes: usize,
    max_error_bytes: usize,
    answer: AnswerProgress,
}

/// The state of the answer being read.
#[derive(Debug, Default)]
struct AnswerProgress {
    head: AnswerHead,
    /// Bytes read so far, head included.
    bytes: usize,
}

#[derive(Debug)]
enum AnswerHead {
    /// The bytes so far of a head that has not ended.
    Open(Vec<u8>),
    Success,
    Error,
}

impl Default for AnswerHead {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl AnswerProgress {
    /// Counts further bytes, and parses them until the head ends.
    fn add(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        let AnswerHead::Open(head) = &mut self.head else { return };
        // The end mark may have begun in earlier bytes.
        let mut from = head.len().saturating_sub(END_OF_HEAD.len());
        head.extend(bytes.iter().take(MAX_HEAD_BYTES - head.len()));
        while let Some(end) = place(head.get(from..).unwrap_or_default(), END_OF_HEAD) {
            let rest = head.split_off(from + end + END_OF_HEAD.len());
            let ended = std::mem::replace(head, rest);
            if !ended.starts_with(ANNOUNCED) {
                let names_none = place(&ended.to_ascii_lowercase(), EXCEPTION).is_none();
                let is_success = ended.starts_with(SUCCESS) && names_none;
                self.head = if is_success { AnswerHead::Success } else { AnswerHead::Error };
                return;
            }
            from = 0;
        }
        if head.len() >= MAX_HEAD_BYTES {
            self.head = AnswerHead::Error;
        }
    }
}

fn place(bytes: &[u8], of: &[u8]) -> Option<usize> {
    bytes.windows(of.len()).position(|window| window == of)
}

impl<S> Stream<S> {
    /// A new request starts a new answer; more of its body does not, since a server may answer before it has
    /// read everything.
    fn wrote(&mut self, bytes: &[u8]) {
        if REQUESTS.iter().any(|request| bytes.starts_with(request)) {
            self.answer = AnswerProgress::default();
        }
    }

    /// Counts bytes of an answer.
    ///
    /// # Errors
    /// The answer exceeds its bound.
    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.answer.add(bytes);
        let is_success = matches!(self.answer.head, AnswerHead::Success);
        let most = if is_success { self.max_bytes } else { self.max_error_bytes };
        if self.answer.bytes > most {
            return Err(io::Error::other(format!("the answer is longer than {most} bytes")));
        }
        Ok(())
    }
}

impl<S: Read + Unpin> Read for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut chunk = [MaybeUninit::uninit(); CHUNK_BYTES];
        let room = into.remaining().min(CHUNK_BYTES);
        let mut chunk = ReadBuf::uninit(chunk.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut this.inner).poll_read(context, chunk.unfilled()))?;
        let bytes = chunk.filled();
        let counted = this.count(bytes);
        into.put_slice(bytes);
        Poll::Ready(counted)
    }
}

impl<S: Write + Unpin> Write for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        self.wrote(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, bytes))?;
        if written > 0 {
            self.wrote(bytes.first().map(|bytes| &**bytes).unwrap_or_default());
        }
        Poll::Ready(Ok(written))
    }
}

impl<S: Connection> Connection for Stream<S> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// Most bytes of a success.
    const MAX_BYTES: usize = 3 * MAX_ERROR_BYTES;

    /// A client over a bounded connection, and the server's end.
    fn bounded() -> (TokioIo<Stream<TokioIo<DuplexStream>>>, DuplexStream) {
        let (client, server) = duplex(8 * MAX_ERROR_BYTES);
        let inner = TokioIo::new(client);
        let stream = Stream {
            inner,
            max_bytes: MAX_BYTES,
            max_error_bytes: MAX_ERROR_BYTES,
            answer: AnswerProgress::default(),
        };
        (TokioIo::new(stream), server)
    }

    /// Sends an answer of this length, head included, with `first` bytes at first.
    async fn answer(server: &mut DuplexStream, head: &str, bytes: usize, first: usize) {
        let mut answer = head.as_bytes().to_vec();
        answer.resize(bytes, b'x');
        let (first, rest) = answer.split_at(first);
        server.write_all(first).await.unwrap();
        tokio::task::yield_now().await;
        server.write_all(rest).await.unwrap();
    }

    /// Asks once, and reads an answer of this length.
    async fn ask(head: &str, bytes: usize, first: usize) -> io::Result<()> {
        let (mut client, mut server) = bounded();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
        let mut read = vec![0; bytes];
        let ((), read) =
            tokio::join!(answer(&mut server, head, bytes, first), client.read_exact(&mut read));
        read.map(drop)
    }

    #[tokio::test]
    async fn an_answer_ends_at_the_bound_of_its_kind() {
        for first in [0, 1, 11, 12, 13] {
            ask("HTTP/1.1 200 OK\r\n\r\n", MAX_BYTES, first).await.unwrap();
            ask("HTTP/1.1 500 Internal", MAX_ERROR_BYTES, first).await.unwrap();
            for (head, most) in [
                ("HTTP/1.1 200 OK\r\n\r\n", MAX_BYTES),
                ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\n", MAX_BYTES),
                ("HTTP/1.1 200 OK\r\nX-ClickHouse-Exception-Code: 241\r\n\r\n", MAX_ERROR_BYTES),
                ("HTTP/1.1 200 OK\r\nx-clickhouse-exception-code:241\r\n\r\n", MAX_ERROR_BYTES),
                ("HTTP/1.1 200 OK\r\n", MAX_ERROR_BYTES),
                ("HTTP/1.1 201 Created\r\n\r\n", MAX_ERROR_BYTES),
                ("HTTP/1.1 500 Internal\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", MAX_ERROR_BYTES),
                ("no HTTP at all", MAX_ERROR_BYTES),
            ] {
                let error = ask(head, most + 1, first).await.unwrap_err().to_string();
                assert_eq!(error, format!("the answer is longer than {most} bytes"), "{head}");
            }
        }
    }

    #[tokio::test]
    async fn each_request_has_an_answer_of_its_own() {
        let (mut client, mut server) = bounded();
        for request in ["GET / HTTP/1.1\r\n\r\n", "POST /?query=x HTTP/1.1\r\n\r\n"] {
            client.write_all(request.as_bytes()).await.unwrap();
            answer(&mut server, "HTTP/1.1 500 Internal", MAX_ERROR_BYTES, 100).await;
            let mut read = vec![0; MAX_ERROR_BYTES];
            client.read_exact(&mut read).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_body_that_is_still_sent_gives_an_early_answer_no_more_room() {
        let (mut client, mut server) = bounded();
        client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        answer(&mut server, "HTTP/1.1 500 Internal", MAX_ERROR_BYTES + 1, 100).await;
        let mut read = vec![0; MAX_ERROR_BYTES / 2];
        client.read_exact(&mut read).await.unwrap();
        client.write_all(b"more of the body").await.unwrap();
        client.read_exact(&mut read).await.unwrap();
        client.write_all(b"more of the body").await.unwrap();
        let error = client.read_exact(&mut read).await.unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
    }
}
