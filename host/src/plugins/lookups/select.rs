//! A lookup from a SELECT, run by the server that the rows go to.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use clickhouse::error::Error;
use clickhouse::query::BytesCursor;
use tokio::sync::mpsc;

use super::builder::{LEAST_ROW_BYTES, LookupBuilder};
use super::json;
use super::table::LookupTable;
use crate::clickhouse::{Server, hold_of_select};
use crate::config::Lookup;
use crate::flow::hold::Hold;

/// With names first, so that the columns are known even without rows.
const FORMAT: &str = "JSONCompactEachRowWithNames";
/// Longest time that the server may spend on the SELECT, in seconds.
const WORK_S: u64 = 60;
/// Longest wait for the whole answer, which the server streams. The server's own limit comes first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(WORK_S + 30);
/// Parts of the answer between the socket and the parser; when they are full, the socket is not read.
const PARTS: usize = 8;

/// Runs the SELECT with `readonly=1`, so it can neither write nor lift the limits that are sent along.
///
/// # Errors
/// What to wait for, without the lookup's name. A server that does not answer is transient. A refused SELECT,
/// or an answer that makes no table, is for an operator to fix.
pub async fn run_select(server: &Server, sql: &str, lookup: &Lookup) -> Result<LookupTable, Hold> {
    read_within(server, sql, lookup, ANSWER_TIMEOUT).await
}

async fn read_within(
    server: &Server,
    sql: &str,
    lookup: &Lookup,
    timeout: Duration,
) -> Result<LookupTable, Hold> {
    let most_rows = lookup.memory_bytes / LEAST_ROW_BYTES;
    // The server counts its own format, which is larger for many values: `0` of a UInt256 takes 32 bytes. This
    // only keeps it from needless work; the builder enforces the real limit.
    let most_bytes = lookup.memory_bytes.saturating_mul(8);
    let query = server
        .query_as_written(sql)
        .with_setting("max_result_rows", most_rows.to_string())
        .with_setting("max_result_bytes", most_bytes.to_string())
        .with_setting("result_overflow_mode", "throw")
        .with_setting("max_execution_time", WORK_S.to_string())
        .with_setting("timeout_overflow_mode", "throw")
        // Every value as the text that ClickHouse gives it: unquoted within arrays, and not null if it is no
        // JSON number.
        .with_setting("output_format_json_quote_64bit_integers", "0")
        .with_setting("output_format_json_quote_denormals", "1")
        .with_setting("readonly", "1");
    let answer = match query.fetch_bytes(FORMAT) {
        Ok(answer) => answer,
        Err(error) => return Err(hold_of_select(&error, server, sql).await),
    };
    let (parts, received) = mpsc::channel(PARTS);
    let builder = LookupBuilder::new(lookup);
    let parsing = crate::base::blocking::run_blocking(move || {
        json::rows(AnswerParts::new(received), builder)
    });
    let passing_on = async move {
        let passed_on = tokio::time::timeout(timeout, pass_on(answer, parts)).await;
        passed_on.unwrap_or(Err(Error::TimedOut))
    };
    let (passed_on, table) = tokio::join!(passing_on, parsing);
    // Checked first, because an answer that is cut short fails to parse too.
    if let Err(error) = passed_on {
        return Err(hold_of_select(&error, server, sql).await);
    }
    table.map_err(|fault| Hold::Paused(format!("the answer: {fault}")))
}

/// Forwards an answer as it arrives, until it ends or the receiver is gone.
async fn pass_on(mut answer: BytesCursor, parts: mpsc::Sender<Bytes>) -> Result<(), Error> {
    while let Some(part) = answer.next().await? {
        if parts.send(part).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads the parts of an answer, for a parser on a thread of its own.
struct AnswerParts {
    parts: mpsc::Receiver<Bytes>,
    part: Bytes,
}

impl AnswerParts {
    fn new(parts: mpsc::Receiver<Bytes>) -> Self {
        Self { parts, part: Bytes::new() }
    }
}

impl BufRead for AnswerParts {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.part.is_empty() {
            let Some(part) = self.parts.blocking_recv() else { break };
            self.part = part;
        }
        Ok(&self.part)
    }

    fn consume(&mut self, bytes: usize) {
        self.part.advance(bytes);
    }
}

impl Read for AnswerParts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::tests::lookup;
    use super::*;
    use crate::config::{ClickHouse, Compression, KeyValues, Secret};

    /// The error for a server that repeats these bytes for ever, so many times a second.
    async fn told(part: Vec<u8>, per_s: u32, timeout: Duration) -> Hold {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(&ClickHouse {
            url: format!("http://{}", listener.local_addr().unwrap()),
            database: "d".into(),
            user: "u".into(),
            password: Secret::default(),
            table: "t".into(),
            settings: KeyValues::default(),
            ca_location: None,
            async_insert: false,
            compression: Compression::None,
        });
        let answering = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _read = connection.read(&mut [0; 4_096]).await;
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[\"id\"]\n";
            connection.write_all(head.as_bytes()).await.unwrap();
            while connection.write_all(&part).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1) / per_s).await;
            }
        });
        let hold = read_within(&server.unwrap(), "SELECT 1", &lookup("id"), timeout).await;
        answering.abort();
        hold.unwrap_err()
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_not_waited_for() {
        let started = Instant::now();
        let hold = told(b"\n".to_vec(), 100, Duration::from_millis(200)).await;
        let Hold::Transient(text) = &hold else { panic!("{hold:?}") };
        assert!(text.starts_with("CLICKHOUSE_HOST http://127.0.0.1:"), "{text}");
        let hold = told(vec![b'\n'; 1 << 20], 1_000, Duration::from_mins(5)).await;
        let Hold::Paused(text) = &hold else { panic!("{hold:?}") };
        assert!(text.contains("the answer is longer than 8388608 bytes"), "{text}");
        assert!(started.elapsed() < Duration::from_mins(1));
    }
}
