//! Classifies answers of a proxy, a load balancer or any other server that is not ClickHouse. Those that time
//! alone heals are transient. Any other pauses, and its text names what to look at.

use clickhouse::error::Error;
use hyper::StatusCode;

use super::client::Server;
use super::codes::Leaves;
use super::error_text::{code_of, loggable};
use super::errors::{InsertError, hold_of_query};
use super::post::Failed;
use crate::flow::hold::Hold;

/// The answer's meaning, and what an INSERT with this answer may have left.
pub fn foreign(status: StatusCode, text: &str, url: &str) -> (InsertError, Leaves) {
    let answer = match loggable(text).trim() {
        "" => " and no text".to_owned(),
        text => format!(": {text}"),
    };
    let status_code = status.as_u16();
    let said = format!(
        "something else than ClickHouse answers at CLICKHOUSE_HOST {url} with status {status_code}{answer}"
    );
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let text = format!("{said}; raise the size of bodies that the proxy takes");
        return (InsertError::TooLarge(text), Leaves::Nothing);
    }
    if let Some(look) = paused(status) {
        // With a server error, the proxy may have passed the INSERT on to ClickHouse.
        let leaves = if status.is_server_error() { Leaves::Unclear } else { Leaves::Nothing };
        return (InsertError::Hold(Hold::Paused(format!("{said}; {look}"))), leaves);
    }
    if let Some(look) = transient(status) {
        return (InsertError::Hold(Hold::Transient(format!("{said}; {look}"))), Leaves::Unclear);
    }
    // A page, or a proxy that drops the headers that prove the rows written.
    let look = "an answer without ClickHouse's headers proves nothing; look at CLICKHOUSE_HOST";
    (InsertError::Unproved(format!("{said}; {look}")), Leaves::Unclear)
}

/// The hold if something other than ClickHouse answered a query. The client keeps only the text, so the query
/// is asked again the way INSERTs go, which tells the status.
pub async fn by_another(server: &Server, sql: &str, error: &Error) -> Option<Hold> {
    let Error::BadResponse(text) = error else { return None };
    if code_of(text).is_some() {
        return None;
    }
    let Err(Failed::Foreign { status, text }) = server.ask(sql, None).await else { return None };
    let (error, _) = foreign(status, &text, server.url());
    Some(hold_of_query(error, ToString::to_string))
}

/// What to look at if time does not heal it.
fn paused(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        300..=399 => {
            "redirects are not followed: write the address that it leads to into CLICKHOUSE_HOST"
        }
        400 => {
            "look at the scheme and the port of CLICKHOUSE_HOST, by custom 8123 for http and 8443 for https"
        }
        401 => {
            "the proxy wants a login of its own, and gets CLICKHOUSE_USER and CLICKHOUSE_PASSWORD in the headers \
             of ClickHouse: let it pass these, or look at CLICKHOUSE_HOST"
        }
        403 => {
            "a rule of the proxy forbids it: let requests of this host pass, or look at CLICKHOUSE_HOST"
        }
        404 => {
            "nothing is served at this address: look at the name and the port of CLICKHOUSE_HOST"
        }
        405 => "the proxy takes no POST: look at CLICKHOUSE_HOST and the proxy's rules",
        407 => "a proxy on the way wants a login: let CLICKHOUSE_HOST lead past it",
        411 => {
            "the proxy wants the length of each body, which is sent: look at what stands before it"
        }
        414 | 431 => "raise the length of request lines and headers that the proxy takes",
        421 => "the proxy serves other names than this: look at the name in CLICKHOUSE_HOST",
        408 | 425 | 429 | 499 => return None,
        501 | 505 | 508 | 511 => {
            "no server of ClickHouse says so: look at CLICKHOUSE_HOST and the proxy's rules"
        }
        402..=498 => "look at CLICKHOUSE_HOST and the proxy's rules",
        _ => return None,
    })
}

/// What to look at if time heals it, but it lasts.
fn transient(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        408 | 499 => "if it lasts, raise the time that the proxy gives a request",
        425 => "if it lasts, look at the proxy's rules",
        429 => "if it lasts, raise the rate that the proxy takes, or lower IN_FLIGHT_BATCHES",
        504 | 524 => {
            "if it lasts, look at ClickHouse, and at the time that the proxy waits for an answer"
        }
        500..=599 => "if it lasts, look at the proxy and at ClickHouse behind it",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_answers_is_told_apart_by_whether_time_heals_it() {
        let answered = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            foreign(status, "<html>no</html>", "http://db:8123")
        };
        for (status, look) in [
            (301, "the address that it leads to"),
            (302, "the address that it leads to"),
            (307, "the address that it leads to"),
            (308, "the address that it leads to"),
            (400, "the scheme and the port"),
            (401, "a login of its own"),
            (403, "a rule of the proxy"),
            (404, "the name and the port"),
            (405, "no POST"),
            (407, "lead past it"),
            (411, "the length of each body"),
            (414, "request lines and headers"),
            (421, "the name in CLICKHOUSE_HOST"),
            (431, "request lines and headers"),
            (451, "the proxy's rules"),
            (501, "the proxy's rules"),
            (511, "the proxy's rules"),
        ] {
            let (error, leaves) = answered(status);
            let InsertError::Hold(Hold::Paused(text)) = error else { panic!("{status} {error:?}") };
            assert!(text.contains(look) && text.contains("http://db:8123"), "{text}");
            assert!(text.contains(&format!("with status {status}: <html>no</html>")), "{text}");
            let is_unclear = leaves == Leaves::Unclear;
            assert_eq!(is_unclear, status >= 500, "{status}");
        }
        for (status, look) in [
            (408, "the time that the proxy gives"),
            (425, "the proxy's rules"),
            (429, "lower IN_FLIGHT_BATCHES"),
            (499, "the time that the proxy gives"),
            (500, "ClickHouse behind it"),
            (502, "ClickHouse behind it"),
            (503, "ClickHouse behind it"),
            (504, "waits for an answer"),
            (520, "ClickHouse behind it"),
            (524, "waits for an answer"),
        ] {
            let (error, leaves) = answered(status);
            let InsertError::Hold(Hold::Transient(text)) = error else {
                panic!("{status} {error:?}")
            };
            assert!(text.contains(look) && text.contains("CLICKHOUSE_HOST"), "{text}");
            assert_eq!(leaves, Leaves::Unclear, "{status}");
        }
        for status in [200, 404, 413, 502] {
            let status = StatusCode::from_u16(status).unwrap();
            let (error, _) = foreign(status, " \n", "http://db:8123");
            let text = format!("{error:?}");
            assert!(
                text.contains(&format!("with status {} and no text; ", status.as_u16())),
                "{text}"
            );
        }
        assert!(matches!(answered(413).0, InsertError::TooLarge(_)));
        for status in [200, 202, 204, 206] {
            let (error, leaves) = answered(status);
            assert!(matches!(error, InsertError::Unproved(_)), "{status}");
            assert_eq!(leaves, Leaves::Unclear, "{status}");
        }
    }
}
