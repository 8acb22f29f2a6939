//! ClickHouse's HTTP interface: from a request to the engine and back, faults in between.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sluicegate_local::{FalseSuccess, FaultKind, Reset, SeenInsert};
use tokio::task::JoinHandle;
use tower_http::decompression::RequestDecompressionLayer;

use crate::answer::Server;
use crate::chdb::{EngineError, QueryOutput};
use crate::control;
use crate::execute::{Executor, Feed};
use crate::faults::{FaultPlane, Target, Verdict};
use crate::journal::Journal;
use crate::kafka::Kafka;
use crate::request::{Credentials, Request, multipart_boundary, multipart_fields};
use crate::server::KillSwitch;
use crate::sessions::Sessions;
use crate::statement::{has_second, is_insert, reaches_out, split_format};

/// The largest body of a statement that is not a streamed INSERT.
const MAX_STATEMENT_BYTES: usize = 1 << 30;

/// The format of results where neither statement nor request names one.
const DEFAULT_FORMAT: &str = "TabSeparated";

/// The journal's code of an INSERT that got no ClickHouse code.
const NO_CODE: i32 = -1;

/// What the handlers share.
pub struct Front {
    /// Runs the statements.
    pub executor: Executor,
    /// Words the answers.
    pub server: Server,
    /// Demanded of every statement, and by the control plane.
    pub credentials: Credentials,
    /// What goes wrong.
    pub faults: FaultPlane,
    /// The sessions of its clients.
    pub sessions: Sessions,
    /// The server's UUID.
    pub uuid: String,
    /// What was inserted.
    pub journal: Journal,
    /// The Kafka that the control plane steers.
    pub kafka: Option<Kafka>,
}

/// Every route: ClickHouse's own, and the control plane under `/_`.
pub fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/ping", get(ping))
        .merge(control::routes(&front))
        .fallback(statement)
        // Of the encodings that the server takes, the one that the bench measures.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .with_state(front)
}

async fn ping(
    State(front): State<Arc<Front>>,
    Extension(switch): Extension<KillSwitch>,
) -> Response {
    let verdict = front.faults.judge(Target::Ping, "/ping");
    tokio::time::sleep(verdict.delay).await;
    match verdict.fault {
        Some(FaultKind::Reset(_)) => switch.kill_and_hang().await,
        Some(fault) => front.refusal(&fault, "").0,
        None => "Ok.\n".into_response(),
    }
}

async fn statement(
    State(front): State<Arc<Front>>,
    Extension(switch): Extension<KillSwitch>,
    method: Method,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut request = Request::new(parameters, &headers);
    if method == Method::GET && !request.settings.iter().any(|(name, _)| name == "readonly") {
        request.settings.push(("readonly".to_owned(), "2".to_owned()));
    }
    let query_id = request.query_id.clone().unwrap_or_else(|| front.server.query_id());
    let allowed = request
        .authenticate(&front.credentials)
        .and_then(|()| request.refuse_compression(&headers))
        .and_then(|()| front.sessions.enter(&request));
    match allowed {
        // Used until the engine is done with the statement, whatever becomes of the connection.
        Ok(in_use) => request.in_use = Some(Arc::new(in_use)),
        Err(error) => {
            discard(body).await;
            return front.server.exception(&error, &query_id);
        }
    }
    let exchange = Exchange { front, switch, query_id };
    if is_insert(&request.query)
        && request.parameters.is_empty()
        && let Some((sql, format)) = split_format(&request.query)
    {
        if let Err(error) = stays_inside(&request.query) {
            discard(body).await;
            return exchange.front.server.exception(&error, &exchange.query_id);
        }
        let (sql, format) = (sql.to_owned(), format.to_owned());
        return exchange.streamed_insert(request, sql, format, body).await;
    }
    let sql = whole_statement(&mut request, &headers, body).await;
    match sql.and_then(|sql| stays_inside(&sql).map(|()| sql)) {
        Ok(sql) if sql.trim().is_empty() => "Ok.\n".into_response(),
        // The engine would run them all; the server runs none.
        Ok(sql) if !is_insert(&sql) && has_second(&sql) => {
            let message = "Syntax error (Multi-statements are not allowed)";
            let error = EngineError::new(62, "SYNTAX_ERROR", message);
            exchange.front.server.exception(&error, &exchange.query_id)
        }
        Ok(sql) => exchange.whole_statement(request, sql).await,
        Err(error) => exchange.front.server.exception(&error, &exchange.query_id),
    }
}

/// Refuses a statement that reads files or asks other servers: it would do so as whoever started the
/// stack.
fn stays_inside(sql: &str) -> Result<(), EngineError> {
    let Some(name) = reaches_out(sql) else { return Ok(()) };
    let text = format!("{name}: the local stack reads no files and asks no other server");
    Err(EngineError::new(497, "ACCESS_DENIED", &text))
}

/// The statement of URL and body together; a multipart body adds parameters too.
async fn whole_statement(
    request: &mut Request,
    headers: &HeaderMap,
    body: Body,
) -> Result<String, EngineError> {
    let body = axum::body::to_bytes(body, MAX_STATEMENT_BYTES)
        .await
        .map_err(|error| EngineError::new(33, "CANNOT_READ_ALL_DATA", &error.to_string()))?;
    if let Some(boundary) = multipart_boundary(headers) {
        let fields = multipart_fields(&body, &boundary).ok_or_else(|| {
            EngineError::new(36, "BAD_ARGUMENTS", "the multipart form of the request is broken")
        })?;
        for (name, value) in fields {
            request.add(name, value);
        }
        return Ok(request.query.clone());
    }
    let body = String::from_utf8(body.into()).map_err(|_| {
        let advice = "the body is not UTF-8: send binary rows with INSERT .. FORMAT in the URL";
        EngineError::new(36, "BAD_ARGUMENTS", advice)
    })?;
    Ok(if request.query.is_empty() { body } else { format!("{}\n{body}", request.query) })
}

/// One request under way.
struct Exchange {
    front: Arc<Front>,
    switch: KillSwitch,
    query_id: String,
}

impl Exchange {
    /// An INSERT whose statement is in the URL and whose rows are the body.
    async fn streamed_insert(
        &self,
        request: Request,
        sql: String,
        format: String,
        body: Body,
    ) -> Response {
        let front = &self.front;
        let mut seen = seen(&request.query, &request);
        let Verdict { delay, fault } = front.faults.judge(Target::Insert, &request.query);
        if fault.is_none() && !delay.is_zero() {
            return self.slow_insert(delay, request, (sql, format), body, seen).await;
        }
        tokio::time::sleep(delay).await;
        let feed = match fault {
            None
            | Some(
                FaultKind::Reset(Reset::AfterCommit)
                | FaultKind::Delay { .. }
                | FaultKind::Success(FalseSuccess::InPart | FalseSuccess::WithoutHeaders),
            ) => Feed::Whole,
            Some(FaultKind::Late { late_ms }) => {
                let late = Duration::from_millis(late_ms);
                return self.late_insert(late, request, (sql, format), body, seen).await;
            }
            Some(FaultKind::Reset(Reset::During)) => Feed::FirstChunk,
            Some(FaultKind::Reset(Reset::Before)) => return self.drop_insert(seen).await,
            Some(fault) => {
                seen.body_bytes = discard(body).await;
                let (response, code) = front.refusal(&fault, &self.query_id);
                seen.outcome_code = code;
                front.journal.add(seen);
                return response;
            }
        };
        let outcome = front.executor.insert(request, sql, format, body, feed).await;
        seen.body_bytes = outcome.body_bytes;
        match outcome.result {
            Some(Ok(output)) => {
                seen.written_rows = output.written_rows;
                let success = match fault {
                    None => None,
                    Some(FaultKind::Success(success)) => Some(success),
                    Some(_) => return self.drop_insert(seen).await,
                };
                seen.outcome_code = 0;
                front.journal.add(seen);
                self.success(output, success)
            }
            Some(Err(error)) if fault.is_none() => {
                seen.outcome_code = error.code;
                front.journal.add(seen);
                front.server.exception(&error, &self.query_id)
            }
            Some(Err(_)) | None => self.drop_insert(seen).await,
        }
    }

    /// Reads an INSERT to its end, drops its connection, and runs it later.
    async fn late_insert(
        &self,
        late: Duration,
        request: Request,
        statement: (String, String),
        body: Body,
        seen: SeenInsert,
    ) -> Response {
        match axum::body::to_bytes(body, MAX_STATEMENT_BYTES).await {
            Ok(body) => {
                let _runs = self.insert_later(late, request, statement, body, seen);
                self.switch.kill_and_hang().await
            }
            Err(_) => self.drop_insert(seen).await,
        }
    }

    /// Reads an INSERT to its end, runs it later, even if its connection is gone by then, and answers.
    async fn slow_insert(
        &self,
        delay: Duration,
        request: Request,
        statement: (String, String),
        body: Body,
        seen: SeenInsert,
    ) -> Response {
        let Ok(body) = axum::body::to_bytes(body, MAX_STATEMENT_BYTES).await else {
            return self.drop_insert(seen).await;
        };
        match self.insert_later(delay, request, statement, body, seen).await {
            Ok(Some(Ok(output))) => self.success(output, None),
            Ok(Some(Err(error))) => self.front.server.exception(&error, &self.query_id),
            Ok(None) | Err(_) => self.switch.kill_and_hang().await,
        }
    }

    /// Runs an INSERT after a while, in a task of its own.
    fn insert_later(
        &self,
        after: Duration,
        request: Request,
        (sql, format): (String, String),
        body: Bytes,
        mut seen: SeenInsert,
    ) -> JoinHandle<Option<Result<QueryOutput, EngineError>>> {
        let front = Arc::clone(&self.front);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let body = Body::from(body);
            let outcome = front.executor.insert(request, sql, format, body, Feed::Whole).await;
            seen.body_bytes = outcome.body_bytes;
            match &outcome.result {
                Some(Ok(output)) => {
                    (seen.outcome_code, seen.written_rows) = (0, output.written_rows);
                }
                Some(Err(error)) => seen.outcome_code = error.code,
                None => {}
            }
            front.journal.add(seen);
            outcome.result
        })
    }

    /// The answer to an INSERT whose rows are stored.
    fn success(&self, mut output: QueryOutput, success: Option<FalseSuccess>) -> Response {
        match success {
            Some(FalseSuccess::WithoutHeaders) => return StatusCode::OK.into_response(),
            Some(FalseSuccess::InPart | FalseSuccess::OfNothing) => output.written_rows /= 2,
            // Those that run nothing are answered by `Front::refusal`.
            Some(FalseSuccess::OfAnother) | None => {}
        }
        self.front.server.success(output, DEFAULT_FORMAT, &self.query_id)
    }

    /// A statement that is complete before it runs.
    async fn whole_statement(&self, request: Request, sql: String) -> Response {
        let front = &self.front;
        let insert = is_insert(&sql);
        let mut seen = insert.then(|| seen(&sql, &request));
        let mut record = |code: i32, written_rows: u64| {
            if let Some(seen) = seen.take() {
                let body_bytes = seen.sql.len() as u64;
                front.journal.add(SeenInsert {
                    body_bytes,
                    outcome_code: code,
                    written_rows,
                    ..seen
                });
            }
        };
        let target = if insert { Target::Insert } else { Target::Query };
        let fault = self.judge(target, &sql).await;
        let reset = match fault {
            None | Some(FaultKind::Delay { .. }) => None,
            // An INSERT that is one text has no middle to be cut in: nothing of it is run.
            Some(FaultKind::Reset(Reset::During)) if insert => Some(Reset::Before),
            // Those are for rows that follow their statement.
            Some(FaultKind::Late { .. }) => Some(Reset::Before),
            Some(FaultKind::Reset(reset)) => Some(reset),
            Some(fault) => {
                let (response, code) = front.refusal(&fault, &self.query_id);
                record(code, 0);
                return response;
            }
        };
        if reset == Some(Reset::Before) {
            record(NO_CODE, 0);
            return self.switch.kill_and_hang().await;
        }
        let default = request.format.clone().unwrap_or_else(|| DEFAULT_FORMAT.to_owned());
        let format = split_format(&sql).map_or_else(|| default.clone(), |(_, own)| own.to_owned());
        // The engine has none of its own.
        let sql = sql.replace("serverUUID()", &format!("toUUID('{}')", front.uuid));
        let result = front.executor.query(request, sql, default).await;
        if reset == Some(Reset::AfterCommit) {
            record(NO_CODE, result.map_or(0, |output| output.written_rows));
            return self.switch.kill_and_hang().await;
        }
        match result {
            Ok(output) if reset.is_some() => self.cut_short(output),
            Ok(output) => {
                record(0, output.written_rows);
                front.server.success(output, &format, &self.query_id)
            }
            Err(error) => {
                record(error.code, 0);
                front.server.exception(&error, &self.query_id)
            }
        }
    }

    /// Judges the statement and sits out its delays.
    async fn judge(&self, target: Target, sql: &str) -> Option<FaultKind> {
        let Verdict { delay, fault } = self.front.faults.judge(target, sql);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        fault
    }

    async fn drop_insert(&self, seen: SeenInsert) -> Response {
        self.front.journal.add(seen);
        self.switch.kill_and_hang().await
    }

    /// An answer that breaks off after half of its body.
    fn cut_short(&self, output: QueryOutput) -> Response {
        let data = Bytes::from(output.data);
        let half = data.slice(..data.len() / 2);
        let switch = self.switch.clone();
        let rest = stream::once(async move {
            // A turn of the loop, so that the first half is on its way before the cut.
            tokio::time::sleep(Duration::from_millis(20)).await;
            switch.kill();
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        });
        Response::new(Body::from_stream(stream::once(async { Ok(half) }).chain(rest)))
    }
}

impl Front {
    /// The answer of a fault that runs nothing, and its code for the journal.
    fn refusal(&self, fault: &FaultKind, query_id: &str) -> (Response, i32) {
        match fault {
            FaultKind::Exception { code, text } => {
                let text = if text.starts_with("Code: ") {
                    text.clone()
                } else {
                    format!("Code: {code}. DB::Exception: {text}")
                };
                let error = EngineError { code: *code, text };
                (self.server.exception(&error, query_id), *code)
            }
            FaultKind::Status { http_status, body } => {
                let status =
                    StatusCode::from_u16(*http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                ((status, body.clone()).into_response(), NO_CODE)
            }
            FaultKind::Success(FalseSuccess::OfAnother) => {
                let output = QueryOutput { written_rows: 1_000_000, ..QueryOutput::default() };
                (self.server.success(output, DEFAULT_FORMAT, &self.server.query_id()), 0)
            }
            FaultKind::Success(FalseSuccess::WithoutHeaders) => {
                (StatusCode::OK.into_response(), NO_CODE)
            }
            FaultKind::Success(_) => {
                (self.server.success(QueryOutput::default(), DEFAULT_FORMAT, query_id), 0)
            }
            FaultKind::Delay { .. } | FaultKind::Late { .. } | FaultKind::Reset(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR.into_response(), NO_CODE)
            }
        }
    }
}

fn seen(sql: &str, request: &Request) -> SeenInsert {
    SeenInsert {
        sequence: 0,
        sql: sql.to_owned(),
        settings: request.shown.clone(),
        body_bytes: 0,
        outcome_code: NO_CODE,
        written_rows: 0,
    }
}

/// Reads a body to its end, so that the client comes to read the answer. Returns its bytes.
async fn discard(body: Body) -> u64 {
    let mut bytes = 0;
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        bytes += chunk.len() as u64;
    }
    bytes
}
