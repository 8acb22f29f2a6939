//! The accept loop, with a switch on each connection that drops it without an answer.

use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Wait after a failed accept (mostly: too many open files), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Drops one TCP connection with a reset.
#[derive(Clone, Default)]
pub struct KillSwitch {
    inner: Arc<(AtomicBool, Notify)>,
}

impl KillSwitch {
    /// Drops the connection; the caller's request gets no answer.
    pub fn kill(&self) {
        self.inner.0.store(true, Ordering::Release);
        self.inner.1.notify_one();
    }

    /// Drops the connection, and with it the handler that awaits this.
    pub async fn kill_and_hang<T>(&self) -> T {
        self.kill();
        pending().await
    }

    async fn killed(&self) {
        self.inner.1.notified().await;
    }

    fn is_killed(&self) -> bool {
        self.inner.0.load(Ordering::Acquire)
    }
}

/// Serves `router` until `shutdown` completes; handlers find their connection's
/// [`KillSwitch`] as an extension. Connections still open are left to the process's end.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "clickhouse front: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    stream.set_nodelay(true).ok();
    let switch = KillSwitch::default();
    let io = TokioIo::new(Socket { stream, switch: switch.clone() });
    let service = TowerToHyperService::new(router.layer(Extension(switch.clone())));
    let served = http1::Builder::new().header_read_timeout(None).serve_connection(io, service);
    tokio::select! {
        result = served => {
            if let Err(error) = result {
                tracing::debug!(%error, "clickhouse front: connection ended");
            }
        }
        () = switch.killed() => tracing::debug!("clickhouse front: connection dropped by a fault"),
    }
}

/// A socket that is closed with a reset, and not in order, where its switch was used.
struct Socket {
    stream: TcpStream,
    switch: KillSwitch,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.switch.is_killed() {
            self.stream.set_zero_linger().ok();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
