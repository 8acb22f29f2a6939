//! Answers worded as the ClickHouse server words its own.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::chdb::{EngineError, QueryOutput};
use crate::status::http_status;

/// What every answer says of the server.
pub struct Server {
    version: String,
    timezone: HeaderValue,
    next_query: AtomicU64,
}

impl Server {
    /// `version` is that of ClickHouse, `timezone` the server's own.
    pub fn new(version: &str, timezone: &str) -> Self {
        Self {
            version: version.to_owned(),
            timezone: header(timezone),
            next_query: AtomicU64::new(1),
        }
    }

    /// The id of a query that was given none.
    pub fn query_id(&self) -> String {
        format!("local-{}", self.next_query.fetch_add(1, Ordering::Relaxed))
    }

    /// The answer to a statement that succeeded.
    pub fn success(&self, output: QueryOutput, format: &str, query_id: &str) -> Response {
        let mut response = Response::new(Body::empty());
        self.describe(&mut response, query_id);
        let headers = response.headers_mut();
        headers.insert("X-ClickHouse-Format", header(format));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(format)));
        headers.insert("X-ClickHouse-Summary", header(&summary(&output)));
        *response.body_mut() = Body::from(output.data);
        response
    }

    /// The answer to a statement that failed.
    pub fn exception(&self, error: &EngineError, query_id: &str) -> Response {
        // The engine adds its version to some texts and not to others; the server to all.
        let text = error.text.trim_end();
        let text = text.strip_suffix(&format!(" (version {})", self.version)).unwrap_or(text);
        let text = format!("{text} (version {} (official build))\n", self.version);
        let mut response = Response::new(Body::from(text));
        self.describe(&mut response, query_id);
        *response.status_mut() = StatusCode::from_u16(http_status(error.code))
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("X-ClickHouse-Exception-Code", error.code.into());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
        response
    }

    fn describe(&self, response: &mut Response, query_id: &str) {
        let headers = response.headers_mut();
        headers.insert("X-ClickHouse-Server-Display-Name", HeaderValue::from_static("local"));
        headers.insert("X-ClickHouse-Timezone", self.timezone.clone());
        headers.insert("X-ClickHouse-Query-Id", header(query_id));
    }
}

/// A header's value; empty where the text cannot be one.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn content_type(format: &str) -> &'static str {
    match format {
        "TabSeparated" | "TSV" => "text/tab-separated-values; charset=UTF-8",
        "CSV" => "text/csv; charset=UTF-8; header=absent",
        "JSON" | "JSONCompact" => "application/json; charset=UTF-8",
        "JSONEachRow" => "application/x-ndjson; charset=UTF-8",
        "RowBinary" | "RowBinaryWithNamesAndTypes" | "Native" => "application/octet-stream",
        _ => "text/plain; charset=UTF-8",
    }
}

/// `X-ClickHouse-Summary`: every number is a JSON string, as from the server.
fn summary(output: &QueryOutput) -> String {
    let elapsed_ns = std::time::Duration::try_from_secs_f64(output.elapsed_s).unwrap_or_default();
    format!(
        "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\
         \"written_bytes\":\"{}\",\"total_rows_to_read\":\"0\",\"result_rows\":\"{}\",\
         \"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
        output.read_rows,
        output.read_bytes,
        output.written_rows,
        output.written_bytes,
        if output.written_rows > 0 { output.written_rows } else { output.result_rows },
        output.data.len(),
        elapsed_ns.as_nanos(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_carries_code_status_and_version() {
        let server = Server::new("26.7.2.1", "UTC");
        let error = EngineError::from_text("Code: 60. DB::Exception: no table. (UNKNOWN_TABLE)");
        let response = server.exception(&error, "q");
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["X-ClickHouse-Exception-Code"], "60");
    }

    #[test]
    fn a_summary_is_json_of_texts() {
        let output = QueryOutput { written_rows: 3, elapsed_s: 0.5, ..QueryOutput::default() };
        let json: serde_json::Value = serde_json::from_str(&summary(&output)).expect("json");
        assert_eq!(json["written_rows"], "3");
        assert_eq!(json["elapsed_ns"], "500000000");
    }
}
