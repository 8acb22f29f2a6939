//! An HTTP server for a port that strangers may reach: few connections, each for a short time.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The pause after a failed accept, usually for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The limits of clients.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionBounds {
    /// Most connections at a time.
    pub connections: usize,
    /// The longest life of a connection, including its request and answer.
    pub life: Duration,
    /// Most bytes of a request's line and headers; at least 8192.
    pub head_bytes: usize,
}

/// Answers one request for each connection, until the future is dropped.
///
/// A connection beyond the limit replaces the oldest, so that clients with open connections cannot
/// keep others out.
pub async fn serve_connections(listener: TcpListener, routes: Router, bounds: ConnectionBounds) {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let accepted = listener.accept().await;
        open.retain(|connection| !connection.is_finished());
        let has_place = accepted.is_ok() && open.len() < bounds.connections;
        if !has_place && let Some(oldest) = open.pop_front() {
            oldest.abort();
            // Its descriptor is free after this.
            let _ended = oldest.await;
        }
        match accepted {
            Ok((stream, _)) => open.push_back(tokio::spawn(answer(stream, routes.clone(), bounds))),
            Err(error) => {
                tracing::warn!(%error, "admin server: accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, routes: Router, bounds: ConnectionBounds) {
    let mut http = http1::Builder::new();
    // The life of the connection also bounds the reading of its headers.
    http.keep_alive(false).header_read_timeout(None).max_buf_size(bounds.head_bytes);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match timeout(bounds.life, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin server: connection ended"),
        Err(_) => tracing::debug!("admin server: connection closed, its time is over"),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Longer than any test waits.
    const LONG: Duration = Duration::from_hours(1);

    async fn started(bounds: ConnectionBounds) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let large = || async { "x".repeat(64 << 20) };
        let routes = Router::new().route("/", get(|| async { "ok" })).route("/large", get(large));
        tokio::spawn(serve_connections(listener, routes, bounds));
        address
    }

    async fn half(address: std::net::SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        stream
    }

    /// Everything received until the server closes; a reset counts as the end.
    async fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        let _reset = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn get_with(address: std::net::SocketAddr, headers: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        // The server may close after it has read enough, before it was sent everything.
        let _refused = stream.write_all(request.as_bytes()).await;
        rest(stream).await
    }

    #[tokio::test]
    async fn half_open_connections_keep_nobody_out_and_the_oldest_goes_first() {
        let address =
            started(ConnectionBounds { connections: 4, life: LONG, head_bytes: 8192 }).await;
        let mut held = VecDeque::new();
        for _ in 0..40 {
            held.push_back(half(address).await);
        }
        assert!(get_with(address, "").await.ends_with("ok"));
        // All but the last three were closed to make room.
        for old in held.drain(..37) {
            assert_eq!(rest(old).await, "");
        }
        for mut young in held {
            young.write_all(b"\r\n").await.unwrap();
            assert!(rest(young).await.ends_with("ok"));
        }
    }

    #[tokio::test]
    async fn half_a_request_and_an_answer_that_nobody_reads_end_with_their_time() {
        let life = Duration::from_millis(50);
        let address = started(ConnectionBounds { connections: 4, life, head_bytes: 8192 }).await;
        assert_eq!(rest(half(address).await).await, "");
        let mut lazy = TcpStream::connect(address).await.unwrap();
        lazy.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // The socket accepts no write until it is read from or closed.
        sleep(life * 4).await;
        let answer = rest(lazy).await;
        assert!(!answer.is_empty() && answer.len() < 64 << 20, "{}", answer.len());
    }

    #[tokio::test]
    async fn headers_are_bounded() {
        let address =
            started(ConnectionBounds { connections: 4, life: LONG, head_bytes: 16 << 10 }).await;
        let of = |bytes: usize| format!("x-long: {}\r\n", "x".repeat(bytes));
        assert!(get_with(address, &of(15 << 10)).await.ends_with("ok"));
        assert!(get_with(address, &of(17 << 10)).await.starts_with("HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn each_connection_gets_one_answer() {
        let address =
            started(ConnectionBounds { connections: 4, life: LONG, head_bytes: 8192 }).await;
        let answer = get_with(address, "connection: keep-alive\r\n").await;
        assert!(answer.contains("connection: close") && answer.ends_with("ok"), "{answer}");
    }
}
