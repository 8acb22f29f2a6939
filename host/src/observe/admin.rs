//! The admin server: two probes and the metrics. It only reads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};

use super::connections::{ConnectionBounds, serve_connections};
use super::exposition::{Exposition, UPKEEP};
use crate::words::plain::Plain;

/// The text format of Prometheus.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A scrape takes a few dozen milliseconds, and the headers of a request a few hundred bytes.
const BOUNDS: ConnectionBounds =
    ConnectionBounds { connections: 64, life: Duration::from_secs(10), head_bytes: 16 << 10 };

/// The server: bound, but not answering yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
}

impl AdminServer {
    /// Binds the port and logs its address.
    ///
    /// # Errors
    /// The address is in use, or does not belong to this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "admin server listens");
        Ok(Self { listener })
    }

    /// Answers until the process ends.
    pub async fn serve(self, exposition: Exposition) {
        let exposition = Arc::new(exposition);
        let routes = Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .fallback(unknown)
            .with_state(Arc::clone(&exposition));
        tokio::spawn(async move {
            let mut ticks = interval(UPKEEP);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                exposition.upkeep();
            }
        });
        serve_connections(self.listener, routes, BOUNDS).await;
    }
}

async fn live(State(exposition): State<Arc<Exposition>>) -> Response {
    match exposition.observed().status.stalled() {
        None => "alive\n".into_response(),
        Some(quiet) => {
            let text = format!("source: the poll thread is stuck for {} s\n", quiet.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn ready(State(exposition): State<Arc<Exposition>>) -> Response {
    let reasons = exposition.observed().status.unready();
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    // Keeps a server's text on one line.
    let lines = reasons.iter().map(|reason| format!("{}\n", Plain(reason)));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}

async fn metrics(State(exposition): State<Arc<Exposition>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], exposition.render()).into_response()
}

async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n").into_response()
}
