//! The control plane: faults, the journal of INSERTs, and Kafka's switches.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use sluicegate_local::{Fault, FaultKind, KafkaErrors};

use crate::front::Front;
use crate::kafka::{ALL_BROKERS, Kafka};
use crate::request;

type Shared = State<Arc<Front>>;

/// Every route of the control plane, for those who know the password.
pub fn routes(front: &Arc<Front>) -> Router<Arc<Front>> {
    Router::new()
        .route("/_fault", post(add_fault).get(list_faults).delete(clear_faults))
        .route("/_inserts", get(list_inserts))
        .route("/_kafka/topic", post(create_topic))
        .route("/_kafka/broker_down", post(broker_down))
        .route("/_kafka/broker_up", post(broker_up))
        .route("/_kafka/errors", post(kafka_errors))
        .route_layer(from_fn_with_state(Arc::clone(front), guard))
}

async fn guard(
    State(front): Shared,
    Query(parameters): Query<Vec<(String, String)>>,
    request: Request,
    next: Next,
) -> Response {
    let asked = request::Request::new(parameters, request.headers());
    match asked.authenticate(&front.credentials) {
        Ok(()) => next.run(request).await,
        Err(error) => front.server.exception(&error, ""),
    }
}

async fn add_fault(State(front): Shared, body: Bytes) -> Response {
    let fault: Fault = match serde_json::from_slice(&body) {
        Ok(fault) => fault,
        Err(error) => return refused(&format!("fault: {error}")),
    };
    if let FaultKind::Status { http_status, .. } = fault.kind
        && StatusCode::from_u16(http_status).is_err()
    {
        return refused("fault: `http_status` must be from 100 to 999");
    }
    match front.faults.add(fault) {
        Some(status) => Json(status).into_response(),
        None => refused("fault: too many of them; clear them with DELETE /_fault"),
    }
}

async fn list_faults(State(front): Shared) -> Response {
    Json(front.faults.list()).into_response()
}

#[derive(Deserialize)]
struct ClearQuery {
    id: Option<u64>,
}

async fn clear_faults(State(front): Shared, Query(query): Query<ClearQuery>) -> Response {
    match query.id {
        Some(id) => front.faults.remove(id),
        None => front.faults.clear(),
    }
    done()
}

#[derive(Deserialize)]
struct InsertsQuery {
    #[serde(rename = "match", default)]
    matches: String,
}

async fn list_inserts(State(front): Shared, Query(query): Query<InsertsQuery>) -> Response {
    Json(front.journal.list(&query.matches)).into_response()
}

#[derive(Deserialize)]
struct TopicQuery {
    name: String,
    #[serde(default = "one")]
    partitions: i32,
}

fn one() -> i32 {
    1
}

async fn create_topic(State(front): Shared, Query(topic): Query<TopicQuery>) -> Response {
    match kafka(&front) {
        Ok(kafka) => answer(kafka.create_topic(topic.name, topic.partitions).await),
        Err(response) => *response,
    }
}

#[derive(Deserialize)]
struct BrokerQuery {
    #[serde(default = "all_brokers")]
    broker: i32,
}

fn all_brokers() -> i32 {
    ALL_BROKERS
}

async fn broker_down(State(front): Shared, Query(query): Query<BrokerQuery>) -> Response {
    match kafka(&front) {
        Ok(kafka) => answer(kafka.broker_down(query.broker).await),
        Err(response) => *response,
    }
}

async fn broker_up(State(front): Shared, Query(query): Query<BrokerQuery>) -> Response {
    match kafka(&front) {
        Ok(kafka) => answer(kafka.broker_up(query.broker).await),
        Err(response) => *response,
    }
}

async fn kafka_errors(State(front): Shared, body: Bytes) -> Response {
    let errors: KafkaErrors = match serde_json::from_slice(&body) {
        Ok(errors) => errors,
        Err(error) => return refused(&format!("kafka errors: {error}")),
    };
    match kafka(&front) {
        Ok(kafka) => answer(kafka.request_errors(&errors).await),
        Err(response) => *response,
    }
}

fn kafka(front: &Front) -> Result<&Kafka, Box<Response>> {
    front.kafka.as_ref().ok_or_else(|| Box::new(refused("no kafka here: start without --no-kafka")))
}

fn answer(result: anyhow::Result<()>) -> Response {
    match result {
        Ok(()) => done(),
        Err(error) => refused(&format!("{error:#}")),
    }
}

fn done() -> Response {
    "ok\n".into_response()
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}
