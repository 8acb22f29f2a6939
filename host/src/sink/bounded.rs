//! Connections that end when an answer passes its bound. The `clickhouse` crate collects the text of an error
//! whole, and the server decides how long that is.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// Most bytes of an error.
pub const MAX_ERROR_BYTES: usize = 1024 * 1024;
/// The beginning of an answer that is no error.
const SUCCESS: &[u8] = b"HTTP/1.1 200";
/// Most bytes read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Makes bounded connections.
#[derive(Debug, Clone)]
pub struct Bounded<C> {
    connector: C,
    max_bytes: usize,
}

impl<C> Bounded<C> {
    /// Bounds the connections of `connector`: an answer has at most `max_bytes` bytes with its head, and an error
    /// at most [`MAX_ERROR_BYTES`].
    pub fn new(connector: C, max_bytes: usize) -> Self {
        Self { connector, max_bytes }
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
        let (connecting, max_bytes) = (self.connector.call(uri), self.max_bytes);
        Box::pin(
            async move { Ok(Stream { inner: connecting.await?, max_bytes, most: 0, read: 0 }) },
        )
    }
}

/// A bounded connection.
#[derive(Debug)]
pub struct Stream<S> {
    inner: S,
    max_bytes: usize,
    /// The bound of the current answer, bytes.
    most: usize,
    /// Bytes read of the current answer. A write begins the next one.
    read: usize,
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
        if this.read == 0 {
            this.most = if bytes.starts_with(SUCCESS) { this.max_bytes } else { MAX_ERROR_BYTES };
        }
        this.read = this.read.saturating_add(bytes.len());
        if this.read > this.most {
            let text = format!("the answer is longer than {} bytes", this.most);
            return Poll::Ready(Err(io::Error::other(text)));
        }
        into.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.read = 0;
        Pin::new(&mut self.inner).poll_write(context, bytes)
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
        self.read = 0;
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
    }
}

impl<S: Connection> Connection for Stream<S> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}
