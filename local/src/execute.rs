//! Running statements in the engine, on blocking threads, a bounded number at a time.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::chdb::{Connection, Engine, EngineError, QueryOutput};
use crate::request::Request;
use crate::statement::{quote, quote_name};

/// Statements that run at once; the others wait.
const MAX_RUNNING: u32 = 8;

/// Body chunks between the socket and the engine; past them the socket is not read.
const CHUNKS_IN_FLIGHT: usize = 8;

/// The engine and its queue.
pub struct Executor {
    engine: Engine,
    permits: Arc<Semaphore>,
}

/// How much of an INSERT's body the engine gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// All of it, and then the commit.
    Whole,
    /// The first chunk, and then a cancel.
    FirstChunk,
}

/// How an INSERT with a streamed body ended.
pub struct InsertOutcome {
    /// Bytes read of the body.
    pub body_bytes: u64,
    /// What the engine says; None where the insert was cancelled.
    pub result: Option<Result<QueryOutput, EngineError>>,
}

enum Chunk {
    Data(Bytes),
    End,
}

impl Executor {
    /// An executor over `engine`.
    pub fn new(engine: Engine) -> Self {
        Self { engine, permits: Arc::new(Semaphore::new(MAX_RUNNING as usize)) }
    }

    /// Waits until nothing runs, and lets nothing run from then on.
    pub async fn drain(&self) {
        if let Ok(all) = self.permits.acquire_many(MAX_RUNNING).await {
            all.forget();
        }
    }

    /// Runs a statement in a session of its own and collects the result.
    pub async fn query(
        &self,
        request: Request,
        sql: String,
        format: String,
    ) -> Result<QueryOutput, EngineError> {
        let permit = self.permit().await?;
        let engine = self.engine.clone();
        blocking(move || {
            let _permit = permit;
            let mut connection = session(&engine, &request)?;
            if request.parameters.is_empty() {
                connection.query(&sql, &format)
            } else {
                connection.query_with(&sql, &format, &request.parameters)
            }
        })
        .await
    }

    /// Runs an INSERT fed by `body`, whose backpressure reaches the socket. An aborted body
    /// cancels it.
    ///
    /// # Cancel safety
    /// Dropping the future before the body's end cancels the insert; after it, the commit may
    /// still happen, as on the real server.
    pub async fn insert(
        &self,
        request: Request,
        sql: String,
        format: String,
        body: Body,
        feed: Feed,
    ) -> InsertOutcome {
        let permit = match self.permit().await {
            Ok(permit) => permit,
            Err(error) => return InsertOutcome { body_bytes: 0, result: Some(Err(error)) },
        };
        let (sender, chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let engine = self.engine.clone();
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            run_insert(&engine, &request, &sql, &format, chunks)
        });
        let (body_bytes, is_complete) = pump(body.into_data_stream(), sender, feed).await;
        let result = match running.await {
            Ok(result) => result.transpose(),
            Err(error) => Some(Err(lost(&error))),
        };
        // An error that came first is the answer, whatever became of the body.
        let result = if is_complete { result } else { result.filter(Result::is_err) };
        InsertOutcome { body_bytes, result }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| EngineError::new(394, "QUERY_WAS_CANCELLED", "the server shuts down"))
    }
}

/// Moves the body to the engine and counts it. Returns whether all of it was read.
async fn pump(mut body: BodyDataStream, sender: mpsc::Sender<Chunk>, feed: Feed) -> (u64, bool) {
    let mut bytes = 0;
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else { return (bytes, false) };
        bytes += chunk.len() as u64;
        // A refused chunk means that the engine has failed; the rest is still read, so that
        // the client gets to its answer.
        sender.send(Chunk::Data(chunk)).await.ok();
        if feed == Feed::FirstChunk && bytes > 0 {
            return (bytes, false);
        }
    }
    if feed == Feed::Whole {
        sender.send(Chunk::End).await.ok();
    }
    (bytes, feed == Feed::Whole)
}

/// The blocking half of an INSERT. None where it was cancelled.
fn run_insert(
    engine: &Engine,
    request: &Request,
    sql: &str,
    format: &str,
    mut chunks: mpsc::Receiver<Chunk>,
) -> Result<Option<QueryOutput>, EngineError> {
    let mut connection = session(engine, request)?;
    let mut stream = connection.insert(sql, format)?;
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Chunk::Data(data) => stream.append(&data)?,
            Chunk::End => return stream.finish().map(Some),
        }
    }
    Ok(None)
}

/// Opens a connection with the request's database and settings.
fn session(engine: &Engine, request: &Request) -> Result<Connection, EngineError> {
    let mut connection = engine.connect()?;
    if let Some(database) = &request.database {
        connection.query(&format!("USE {}", quote_name(database)), "Null")?;
    }
    // After `readonly` nothing more could be set, so it goes last.
    let (last, first): (Vec<_>, Vec<_>) =
        request.settings.iter().partition(|(name, _)| name == "readonly");
    for (name, value) in first.into_iter().chain(last) {
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
            let message = format!("Unknown setting '{name}'");
            return Err(EngineError::new(115, "UNKNOWN_SETTING", &message));
        }
        connection.query(&format!("SET {name} = {}", quote(value)), "Null")?;
    }
    Ok(connection)
}

async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::task::spawn_blocking(task).await {
        Ok(result) => result,
        Err(error) => Err(lost(&error)),
    }
}

fn lost(error: &tokio::task::JoinError) -> EngineError {
    EngineError::from_text(format!("the statement's thread ended: {error}"))
}
