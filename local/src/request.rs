//! A request, taken apart: who asks, in which session, what.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::chdb::EngineError;
use crate::sessions::InUse;

/// URL parameters that are no settings.
const NOT_SETTINGS: [&str; 18] = [
    "query",
    "database",
    "default_format",
    "user",
    "password",
    "quota_key",
    "role",
    "query_id",
    "session_id",
    "session_check",
    "session_timeout",
    "compress",
    "decompress",
    "wait_end_of_query",
    "buffer_size",
    "stacktrace",
    "client_protocol_version",
    "close_session",
];

/// The user and password that the front demands.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password, never logged.
    pub password: String,
}

/// What a request says besides its body.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The statement, or the beginning of it, in the URL.
    pub query: String,
    /// The session's current database.
    pub database: Option<String>,
    /// The format of results that name none.
    pub format: Option<String>,
    /// Answered back in a header.
    pub query_id: Option<String>,
    /// Settings, in the order given.
    pub settings: Vec<(String, String)>,
    /// Bound parameters, without their `param_` prefix.
    pub parameters: Vec<(String, String)>,
    /// Every URL parameter but the statement, user and password: for the journal.
    pub shown: BTreeMap<String, String>,
    /// The session and the query's id that it has in use.
    pub in_use: Option<Arc<InUse>>,
    user: Option<String>,
    password: Option<String>,
}

impl Request {
    /// Reads the URL's parameters and the headers; headers win.
    pub fn new(parameters: Vec<(String, String)>, headers: &HeaderMap) -> Self {
        let mut request = Self::default();
        for (name, value) in parameters {
            request.add(name, value);
        }
        let header =
            |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        if let Some((user, password)) = basic_auth(headers) {
            request.user = Some(user);
            request.password = Some(password);
        }
        request.user = header("X-ClickHouse-User").or(request.user);
        request.password = header("X-ClickHouse-Key").or(request.password);
        request.database = header("X-ClickHouse-Database").or(request.database);
        request.format = header("X-ClickHouse-Format").or(request.format);
        request
    }

    /// Takes one parameter of the URL or of a multipart body.
    pub fn add(&mut self, name: String, value: String) {
        if !matches!(name.as_str(), "query" | "user" | "password") {
            self.shown.insert(name.clone(), value.clone());
        }
        match name.as_str() {
            "query" => self.query = value,
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "database" => self.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.format = Some(value),
            "query_id" => self.query_id = Some(value),
            other if NOT_SETTINGS.contains(&other) => {}
            other => match other.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((parameter.to_owned(), value)),
                None => self.settings.push((name, value)),
            },
        }
    }

    /// Checks user and password; the text of a refusal is the server's.
    pub fn authenticate(&self, demanded: &Credentials) -> Result<(), EngineError> {
        let user = self.user.as_deref().unwrap_or("default");
        let password = self.password.as_deref().unwrap_or_default();
        if user == demanded.user && password == demanded.password {
            return Ok(());
        }
        Err(EngineError::new(
            516,
            "AUTHENTICATION_FAILED",
            &format!(
                "{user}: Authentication failed: password is incorrect, or there is no user with \
                 such name"
            ),
        ))
    }

    /// Refuses compressed bodies, which this front does not read.
    pub fn refuse_compression(&self, headers: &HeaderMap) -> Result<(), EngineError> {
        let is_compressed = headers.get(CONTENT_ENCODING).is_some_and(|v| v != "identity")
            || ["decompress", "compress"].iter().any(|name| {
                self.shown.get(*name).is_some_and(|value| value != "0" && value != "false")
            });
        if is_compressed {
            return Err(EngineError::new(
                48,
                "NOT_IMPLEMENTED",
                "the local ClickHouse reads no compression but zstd as a content encoding, and writes none: \
                 switch it off in the client",
            ));
        }
        Ok(())
    }
}

fn basic_auth(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The boundary of a multipart form, which is how the `clickhouse` crate sends a statement
/// with bound parameters.
pub fn multipart_boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let rest = value.strip_prefix("multipart/form-data")?;
    let boundary = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"').to_owned())
}

/// The text fields of a multipart form. None where the form is broken or not UTF-8.
pub fn multipart_fields(body: &[u8], boundary: &str) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(body).ok()?;
    let delimiter = format!("--{boundary}");
    let mut fields = Vec::new();
    for part in text.split(delimiter.as_str()).skip(1) {
        if part.starts_with("--") {
            return Some(fields);
        }
        let (head, value) = part.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
        let (_, name) = head.split_once("name=\"")?;
        let (name, _) = name.split_once('"')?;
        fields.push((name.to_owned(), value.strip_suffix("\r\n")?.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(parameters: &[(&str, &str)], headers: &HeaderMap) -> Request {
        let owned = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Request::new(owned, headers)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn tells_settings_from_the_rest_and_hides_secrets() {
        let parsed = request(
            &[
                ("query", "SELECT 1"),
                ("database", "d"),
                ("user", "u"),
                ("password", "secret"),
                ("wait_end_of_query", "1"),
                ("async_insert", "1"),
                ("param_x", "7"),
            ],
            &HeaderMap::new(),
        );
        assert_eq!(parsed.settings, [("async_insert".to_owned(), "1".to_owned())]);
        assert_eq!(parsed.parameters, [("x".to_owned(), "7".to_owned())]);
        assert_eq!(parsed.database.as_deref(), Some("d"));
        assert!(!format!("{:?}", parsed.shown).contains("secret"));
        assert_eq!(parsed.shown.len(), 4);
    }

    #[test]
    fn takes_the_password_from_url_basic_or_headers() {
        let demanded = Credentials { user: "default".into(), password: "p:w".into() };
        let check = |parsed: &Request| parsed.authenticate(&demanded);
        assert!(check(&request(&[("password", "p:w")], &HeaderMap::new())).is_ok());
        let basic = headers(&[("authorization", "Basic ZGVmYXVsdDpwOnc=")]);
        assert!(check(&request(&[], &basic)).is_ok());
        let own = headers(&[("x-clickhouse-user", "default"), ("x-clickhouse-key", "p:w")]);
        assert!(check(&request(&[("password", "wrong")], &own)).is_ok());
        let error = check(&request(&[], &HeaderMap::new())).expect_err("refused");
        assert_eq!(error.code, 516);
        assert!(error.text.starts_with("Code: 516. DB::Exception: default: Authentication failed"));
    }

    #[test]
    fn refuses_compression_by_header_or_parameter() {
        let none = HeaderMap::new();
        assert!(request(&[("compress", "0")], &none).refuse_compression(&none).is_ok());
        assert!(request(&[("decompress", "1")], &none).refuse_compression(&none).is_err());
        let gzip = headers(&[("content-encoding", "gzip")]);
        assert!(request(&[], &gzip).refuse_compression(&gzip).is_err());
    }

    #[test]
    fn reads_a_multipart_form() {
        let form = headers(&[("content-type", "multipart/form-data; boundary=xyz")]);
        assert_eq!(multipart_boundary(&form).as_deref(), Some("xyz"));
        let body = "--xyz\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:Int8}\
                    \r\n--xyz\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\n1\r\n\
                    --xyz--\r\n";
        let fields = multipart_fields(body.as_bytes(), "xyz").expect("fields");
        assert_eq!(fields[0], ("query".to_owned(), "SELECT {a:Int8}".to_owned()));
        assert_eq!(fields[1], ("param_a".to_owned(), "1".to_owned()));
        assert_eq!(multipart_fields(b"--xyz\r\nbroken", "xyz"), None);
    }
}
