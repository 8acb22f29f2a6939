//! What a ClickHouse error means for the rows: the class of its code. The text matters only for codes with
//! two meanings, and mostly only its start: the rest may quote rows.
//!
//! The class never follows from the HTTP status, which is 500 for most codes, unless something other than
//! ClickHouse answered.

use std::error::Error as StdError;

use super::client::Server;
use super::codes::{self, CodeClass, Leaves};
use super::error_text::{
    Said, TableName, code_of, is_computed, is_lookup, is_over_rows, loggable, message_of, views_of,
    violated, without_literals,
};
use super::foreign::{by_another, foreign};
use super::post::Failed;
use crate::flow::hold::Hold;

/// The class of a refused or failed INSERT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertError {
    /// A row's value violates a constraint of the table: split down to that record.
    Violation(Said),
    /// A row's value is at fault, or the table refuses every row: split likewise, but only once an INSERT
    /// without rows has landed.
    Data(Said),
    /// The rows have more table partitions than an INSERT may: split by partition, never dead-letter.
    TooManyPartitions(String),
    /// The body is too large for something on the way: split, never dead-letter.
    TooLarge(String),
    /// The server lacks memory, or files, for the rows as they are: try again, then split; dead-letter only a
    /// single record that is proved to be at fault.
    Memory(Said),
    /// A materialized view threw, by the text.
    View {
        /// The views on the way, innermost first: the last one reads from the table itself.
        views: Vec<TableName>,
        /// What ClickHouse said.
        said: Said,
        /// The code's meaning without the view.
        cause: Box<InsertError>,
    },
    /// The table is not what the plan says: read it again, decode again.
    Schema(String),
    /// The rows are not at fault: try again, or let an operator mend it.
    Hold(Hold),
    /// The answer proves nothing: whether the rows landed is unknown, and each further try may double them.
    Unproved(String),
    /// A code that is not in the table: retried like a transient one, reported after a while.
    Unknown(String),
}

/// An error, and what the failed INSERT may have left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedError {
    /// Its class.
    pub error: InsertError,
    /// Whether it may have left rows in the table.
    pub leaves: Leaves,
}

/// Classifies a failed INSERT into a table. `url` is its server.
pub fn judge_failure(failed: &Failed, url: &str, into: &TableName) -> JudgedError {
    let (error, leaves) = match failed {
        Failed::Refused(text) => return judge_refused(text, into),
        Failed::Foreign { status, text } => foreign(*status, text, url),
        Failed::Unproved(text) => {
            let text = format!(
                "CLICKHOUSE_HOST {url} answers that the INSERT is done, but {text}: whether the rows \
                 landed is not known; look for a proxy that changes answers"
            );
            (InsertError::Unproved(text), Leaves::Unclear)
        }
        Failed::Unreached(error) => (InsertError::Hold(unreached(error, url)), Leaves::Nothing),
        Failed::Broken(error) => (InsertError::Hold(unreached(&**error, url)), Leaves::Unclear),
        Failed::TimedOut => {
            let text = format!("CLICKHOUSE_HOST {url}: no answer in time");
            (InsertError::Hold(Hold::Transient(text)), Leaves::Unclear)
        }
    };
    JudgedError { error, leaves }
}

fn judge_refused(text: &str, into: &TableName) -> JudgedError {
    let code = code_of(text).unwrap_or(0);
    let error = classify_code(code, text, Some(into));
    let leaves = match &error {
        InsertError::View { .. } => Leaves::Unclear,
        _ => codes::find_code(code).map_or(Leaves::Unclear, |code| code.leaves),
    };
    JudgedError { error, leaves }
}

/// Classifies an error of a query that sent no rows.
pub fn classify(error: &clickhouse::error::Error, url: &str) -> InsertError {
    use clickhouse::error::Error;
    match error {
        Error::BadResponse(text) => match code_of(text) {
            Some(code) => classify_code(code, text, None),
            // A proxy's page, or a truncated response.
            None => {
                let text = format!("CLICKHOUSE_HOST {url} answered: {}", loggable(text));
                InsertError::Hold(Hold::Transient(text))
            }
        },
        Error::Network(_) | Error::TimedOut => InsertError::Hold(unreached(error, url)),
        Error::InvalidColumnsHeader(_) => stranger(url),
        Error::NotEnoughData => {
            let text = format!("CLICKHOUSE_HOST {url}: the answer to a query ends within a row");
            InsertError::Hold(Hold::Transient(text))
        }
        Error::SchemaMismatch(text) => InsertError::Hold(Hold::Paused(format!(
            "CLICKHOUSE_HOST {url} answered a query as ClickHouse does not, {text}: look for a proxy that changes \
             answers, and at the server's version"
        ))),
        _ => InsertError::Unknown(chain(error)),
    }
}

/// The error for an answer that is not ClickHouse's.
fn stranger(url: &str) -> InsertError {
    InsertError::Hold(Hold::Paused(format!(
        "something else than ClickHouse answers at CLICKHOUSE_HOST {url}: look at its host and its port, by \
         custom 8123 for http and 8443 for https"
    )))
}

/// The hold for a server that did not answer: paused if certificates or protocols do not match.
fn unreached(error: &(dyn StdError + 'static), url: &str) -> Hold {
    let text = format!("CLICKHOUSE_HOST {url}: {}", chain(error));
    match tls(error) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            Hold::Paused(format!("{text}: look at CLICKHOUSE_SSL_CA_LOCATION"))
        }
        Some(rustls::Error::InvalidMessage(_)) => Hold::Paused(format!(
            "{text}: the port does not speak https; write http:// into CLICKHOUSE_HOST, or the port of \
             https, by custom 8443"
        )),
        _ if url.starts_with("http://") && (is_reset(error) || is_no_http(&text)) => {
            Hold::Transient(format!(
                "{text}: if the port speaks https, write https:// into CLICKHOUSE_HOST"
            ))
        }
        _ => Hold::Transient(text),
    }
}

/// The TLS error that broke a connection.
fn tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    // An `io::Error` does not return the error it wraps from `source`.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => tls(wrapped),
        None => error.source().and_then(tls),
    }
}

fn is_reset(error: &(dyn StdError + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::ConnectionReset) || error.source().is_some_and(is_reset)
}

/// Whether the server's answer is not HTTP, such as a TLS alert.
fn is_no_http(text: &str) -> bool {
    text.contains("invalid HTTP")
}

/// A code's meaning for rows of an INSERT into `into`; for a query if that is `None`.
fn classify_code(code: u32, text: &str, into: Option<&TableName>) -> InsertError {
    // Checked before any view is looked for: constraints of the table come before its views, and the text
    // quotes the row.
    if code == 469
        && let Some((_, table)) = violated(text)
        && into == Some(&table)
    {
        return InsertError::Violation(Said::new(text));
    }
    let views = views_of(text);
    let cause = cause_of(code, text, into);
    if views.is_empty() {
        return cause;
    }
    InsertError::View { views, said: Said::new(text), cause: Box::new(cause) }
}

fn cause_of(code: u32, text: &str, into: Option<&TableName>) -> InsertError {
    let (short, said) = (loggable(text), || Said::new(text));
    let message = message_of(text);
    let head = message.split(':').next().unwrap_or_default();
    // It may quote rows, unless there are none.
    let unknown = || InsertError::Unknown(into.map_or(short.clone(), |_| said().to_string()));
    match code {
        // From sumMap states, which are merged at the INSERT.
        36 if message.starts_with("Sizes of keys and values arrays do not match") => {
            return InsertError::Data(said());
        }
        // The database of the request itself.
        81 if into.is_none() => return operator(code, &short),
        70 if message.starts_with("Unexpected inf or nan") => return InsertError::Data(said()),
        // Too many open files: a part has one for each path of a JSON column.
        76 if message.contains("errno: 24,") => return InsertError::Memory(said()),
        // A failed disk operation: the text after the type is not a row's value.
        1001 if message
            .split(", e.what()")
            .next()
            .is_some_and(|of| of.contains("filesystem_error")) =>
        {
            let text = format!("{short}; look at the server's disk, its free space and its rights");
            return InsertError::Hold(Hold::Paused(text));
        }
        117 if head.contains("Arrow IPC") || head.contains("stream is empty") => return unknown(),
        252 if message.starts_with("Too many partitions") => {
            return InsertError::TooManyPartitions(short);
        }
        _ => {}
    }
    let class = codes::find_code(code).map(|code| code.class);
    if is_lookup(text) && !matches!(class, Some(CodeClass::Transient | CodeClass::Memory)) {
        let text = format!("{}; a dictionary or a Join table that the table reads fails", said());
        return InsertError::Hold(Hold::Paused(text));
    }
    let perhaps = |is_of_rows: bool, otherwise: InsertError| match is_of_rows {
        true => InsertError::Data(said()),
        false => otherwise,
    };
    let is_computed = is_computed(text);
    // A broken body gives the same error as offsets out of bounds.
    let is_over_rows = if code == 69 { is_computed } else { is_over_rows(text) };
    match class {
        Some(CodeClass::Data) => InsertError::Data(said()),
        // A conversion that refuses a type refuses it for all rows.
        Some(CodeClass::Schema | CodeClass::DataOrSchema) => {
            perhaps(is_computed, InsertError::Schema(short))
        }
        Some(CodeClass::DataOrOperator) => perhaps(is_over_rows, operator(code, &short)),
        Some(CodeClass::Memory) => InsertError::Memory(said()),
        Some(CodeClass::Transient) => InsertError::Hold(Hold::Transient(match hint(code) {
            Some(hint) => format!("{short}; {hint}"),
            None => short,
        })),
        Some(CodeClass::Operator) => operator(code, &short),
        Some(CodeClass::Foreign) | None => perhaps(is_computed, unknown()),
    }
}

fn operator(code: u32, text: &str) -> InsertError {
    let look = match code {
        243 => "free space on the server's disk",
        497 if text.contains("necessary to have the grant") => "grant it to CLICKHOUSE_USER",
        497 => "grant INSERT and SELECT on the table to CLICKHOUSE_USER",
        164 => "the server or the user is read-only; look at CLICKHOUSE_USER's profile",
        _ => login(code).unwrap_or("look at CLICKHOUSE_HOST and the server's version"),
    };
    InsertError::Hold(Hold::Paused(format!("{text}; {look}")))
}

/// What an operator can do about a slow transient error.
fn hint(code: u32) -> Option<&'static str> {
    Some(match code {
        202 => "raise max_concurrent_queries, or lower IN_FLIGHT_BATCHES",
        242 => "a replica is read-only while it has no session with Keeper",
        243 => "a disk of ClickHouse is full: make room on it",
        252 => "the table gets parts faster than it merges them; raise BATCH_LINGER_MS",
        372 => {
            "servers that are no replicas answer at CLICKHOUSE_HOST in turn: the one that the rows are bound \
             to is sought; let CLICKHOUSE_HOST lead to one"
        }
        216 => "an earlier INSERT of the same rows is still under way, and is waited for",
        _ => return None,
    })
}

/// What to look at for a code about the sender, not the statement.
fn login(code: u32) -> Option<&'static str> {
    Some(match code {
        192..=194 | 516 => "look at CLICKHOUSE_USER and CLICKHOUSE_PASSWORD",
        201 => "a quota is used up; raise it for CLICKHOUSE_USER",
        27 | 115 => "look at CLICKHOUSE_SETTINGS",
        452 | 471 | 472 => {
            "a constraint in CLICKHOUSE_USER's profile forbids a setting of the host or of CLICKHOUSE_SETTINGS"
        }
        81 => "look at CLICKHOUSE_DATABASE",
        _ => return None,
    })
}

/// The hold for an error of the operator's SELECT `sql`, which runs with `readonly=1`: transient if it heals
/// by itself, otherwise, also for unknown codes, the operator's to mend. Its literals are left out, since one
/// may be a secret.
pub async fn hold_of_select(error: &clickhouse::error::Error, server: &Server, sql: &str) -> Hold {
    server.note_cache(error);
    // Not the SELECT itself, which would run without its bounds here.
    if let Some(hold) = by_another(server, "SELECT 1", error).await {
        return hold;
    }
    if let clickhouse::error::Error::BadResponse(text) = error
        && let Some(code) = code_of(text)
    {
        let text = match code {
            // The rest quotes the SELECT.
            62 => text.split(" (").next().unwrap_or_default().to_owned(),
            _ => without_literals(&loggable(text), sql),
        };
        let look = match code {
            _ if is_transient(code) => return Hold::Transient(text),
            164 => Some("it may read tables of this server, and set nothing"),
            396 => Some("select less, or raise LOOKUP_<NAME>_MEMORY_BYTES"),
            497 => Some("grant SELECT on what it reads to CLICKHOUSE_USER"),
            _ => login(code),
        };
        return Hold::Paused(look.map_or(text.clone(), |look| format!("{text}; {look}")));
    }
    hold_of_query(classify(error, server.url()), ToString::to_string)
}

/// The hold for an error of a query without rows: transient, or an operator's to mend. `tell` displays texts
/// about values.
pub fn hold_of_query(error: InsertError, tell: impl Fn(&Said) -> String) -> Hold {
    match error {
        InsertError::Hold(hold) => hold,
        InsertError::Memory(said) => Hold::Transient(loggable(said.whole())),
        InsertError::Violation(said) | InsertError::Data(said) | InsertError::View { said, .. } => {
            Hold::Paused(tell(&said))
        }
        InsertError::TooManyPartitions(text)
        | InsertError::TooLarge(text)
        | InsertError::Schema(text)
        | InsertError::Unproved(text)
        | InsertError::Unknown(text) => Hold::Paused(text),
    }
}

fn is_transient(code: u32) -> bool {
    let class = codes::find_code(code).map(|code| code.class);
    matches!(class, Some(CodeClass::Transient | CodeClass::Memory))
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn into() -> TableName {
        TableName { database: "d".into(), name: "t".into() }
    }

    fn class(text: &str) -> InsertError {
        judge_failure(&Failed::Refused(text.into()), "http://db:8123", &into()).error
    }

    #[test]
    fn what_an_expression_throws_over_a_row_may_be_the_row_s_fault() {
        let thrown = |code: u32, text: &str| {
            let executing = ": while executing 'FUNCTION f(name :: 1) -> f(name) Float64 : 2'";
            class(&format!("Code: {code}. DB::Exception: {text}{executing}. (NAME)"))
        };
        for code in [12, 32, 36, 43, 70, 72, 128, 427, 4242] {
            let error = thrown(code, "x");
            assert!(matches!(error, InsertError::Data(_)), "{code}: {error:?}");
        }
        let dictionary =
            "Code: 481. DB::Exception: x: while executing 'FUNCTION dictGet('d' :: 1)'";
        assert!(matches!(class(dictionary), InsertError::Hold(Hold::Paused(_))));
        let tried = "Code: 44. DB::Exception: x: while executing function f on arguments a String";
        assert!(matches!(class(tried), InsertError::Schema(_)));
        for code in [159, 241, 394, 497] {
            let error = thrown(code, "x");
            assert!(!matches!(error, InsertError::Data(_)), "{code}");
        }
    }

    #[test]
    fn each_class_is_told_by_its_code() {
        assert!(matches!(class("Code: 469. DB::Exception: Constraint"), InsertError::Data(_)));
        assert!(matches!(class("Code: 16. DB::Exception: No such"), InsertError::Schema(_)));
        assert!(matches!(class("Code: 241. DB::Exception: memory"), InsertError::Memory(_)));
        let of_files = "Code: 76. DB::Exception: Cannot open file /d/j.a.bin: , errno: 24, strerror: Too many open \
                        files. (CANNOT_OPEN_FILE)";
        assert!(matches!(class(of_files), InsertError::Memory(_)));
        let of_rights = "Code: 76. DB::Exception: Cannot open file /d/j.a.bin: , errno: 13, strerror: Permission \
                         denied. (CANNOT_OPEN_FILE)";
        assert!(matches!(class(of_rights), InsertError::Hold(Hold::Transient(_))));
        // Whose limit it is comes before what may quote a row.
        let of_query = "Code: 241. DB::Exception: Query memory limit exceeded: would use 1 GiB: while executing \
                        'FUNCTION range(n)': ";
        let InsertError::Memory(said) = class(of_query) else { panic!("{of_query}") };
        assert!(said.whole().contains("Query memory limit") && !said.to_string().contains("range"));
        assert!(matches!(
            class("Code: 159. DB::Exception: timeout"),
            InsertError::Hold(Hold::Transient(_))
        ));
        assert!(matches!(
            class("Code: 516. DB::Exception: u: Authentication failed"),
            InsertError::Hold(Hold::Paused(text)) if text.contains("CLICKHOUSE_PASSWORD")
        ));
        assert!(matches!(class("Code: 4242. DB::Exception: new"), InsertError::Unknown(_)));
    }

    #[test]
    fn a_code_with_two_meanings_is_read_by_its_text() {
        let many_parts = "Code: 252. DB::Exception: Too many parts (300 with average size)";
        assert!(matches!(class(many_parts), InsertError::Hold(Hold::Transient(_))));
        let many_partitions =
            "Code: 252. DB::Exception: Too many partitions for single INSERT block";
        assert!(matches!(class(many_partitions), InsertError::TooManyPartitions(_)));
        let not_arrow = "Code: 117. DB::Exception: Not an Arrow IPC stream";
        assert!(matches!(class(not_arrow), InsertError::Unknown(_)));
        assert!(matches!(class("Code: 117. DB::Exception: x"), InsertError::Data(_)));
        let disk = "Code: 1001. DB::Exception: std::exception. Code: 1001, type: \
                    std::__1::filesystem::filesystem_error, e.what() = filesystem error: in rename: x";
        assert!(
            matches!(class(disk), InsertError::Hold(Hold::Paused(text)) if text.contains("disk"))
        );
    }

    #[test]
    fn a_value_of_a_row_does_not_change_the_meaning_of_a_code() {
        let value = "Setting partitions inf or nan stream is empty Arrow IPC";
        for (code, before) in [
            (27, "Cannot parse input: expected '[' before: "),
            (117, "Cannot parse JSON object here: "),
        ] {
            let text = format!("Code: {code}. DB::Exception: {before}{value}: While executing X");
            assert!(matches!(class(&text), InsertError::Data(_)), "{text}");
        }
        let cast = format!("Code: 70. DB::Exception: Cannot convert '{value}' to Int8");
        assert!(matches!(class(&cast), InsertError::Schema(_)), "{cast}");
        let nan = "Code: 70. DB::Exception: Unexpected inf or nan to integer conversion";
        assert!(matches!(class(nan), InsertError::Data(_)));
        let setting = "Code: 27. DB::Exception: Cannot parse input: expected 'eof' before: 'x'.";
        assert!(matches!(class(setting), InsertError::Hold(Hold::Paused(_))));
    }

    #[test]
    fn the_error_of_a_view_is_classed_by_its_code() {
        let pushing = ": while pushing to view d.v (6f1d): While executing X";
        for (text, is_data) in [
            ("Code: 395. DB::Exception: Value passed to 'throwIf' is non-zero", true),
            ("Code: 252. DB::Exception: Too many parts (300)", false),
        ] {
            let InsertError::View { views, cause, .. } = class(&format!("{text}{pushing}")) else {
                panic!("no view: {text}");
            };
            assert_eq!(views, [TableName { database: "d".into(), name: "v".into() }]);
            assert_eq!(matches!(*cause, InsertError::Data(_)), is_data, "{text}");
        }
    }

    #[test]
    fn what_a_shard_of_a_distributed_table_refuses_is_its_rows() {
        let of_shard = "Code: 469. DB::Exception: Received from shard-2:9000. DB::Exception: Constraint \
                        `c` for table d.local (6f1d) is violated at row 1. Column values: id = 4";
        assert!(matches!(class(of_shard), InsertError::Data(_)));
    }

    #[test]
    fn a_constraint_of_a_views_target_is_the_views_and_one_of_the_table_is_the_rows() {
        let violated = |table: &str| {
            class(&format!(
                "Code: 469. DB::Exception: Constraint `c` for table {table} (6f1d) is violated at \
                 row 1. Expression: (id != 4). Column values: id = 4: while pushing to view d.v. \
                 (VIOLATED_CONSTRAINT) (version 26.7.2.1 (official build))"
            ))
        };
        assert!(matches!(violated("d.t"), InsertError::Violation(_)));
        assert!(matches!(violated("d.target"), InsertError::View { .. }));
    }
}
