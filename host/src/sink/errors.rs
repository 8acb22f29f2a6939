//! What an error of ClickHouse means for the rows: one table of codes, read by text only where a
//! code has two meanings, and then only by its beginning: further on it may quote rows.
//!
//! The class never follows from the HTTP status, which is 500 for most of these codes. Codes and
//! their behaviour were measured on ClickHouse 26.7 unless marked as assumed.

use super::client::Server;
use super::text::{Place, Said, code_of, loggable, message, views_of, violated};
use crate::outcome::Hold;

/// The class of a refused or failed INSERT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertError {
    /// A value of a row is at fault: split between records down to the one.
    Data(Said),
    /// The rows go into more partitions than an INSERT may: split by partition, never
    /// dead-letter.
    TooManyPartitions(String),
    /// The server has no memory for the rows as they are: try again, then split, never
    /// dead-letter.
    Memory(String),
    /// A materialized view threw, it seems: if there is such a view, the rows are in the table
    /// already.
    View {
        /// The views on the way, innermost first: the last one reads from the table itself.
        views: Vec<Place>,
        /// What ClickHouse said.
        said: Said,
    },
    /// The table is not what the plan says: read it again, decode again.
    Schema(String),
    /// Nothing is wrong with the rows: try again, or let an operator mend.
    Hold(Hold),
    /// A code that is not in the table: tried again like a transient one, alarmed after a while.
    Unknown(String),
}

/// The class of a code, before its text is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Data,
    Schema,
    Transient,
    Operator,
}

use Class::{Data, Operator, Schema, Transient};

/// The table, sorted by code.
const CODES: &[(u32, Class)] = &[
    (6, Data),        // CANNOT_PARSE_TEXT
    (8, Schema),      // THERE_IS_NO_COLUMN
    (10, Schema),     // NOT_FOUND_COLUMN_IN_BLOCK, assumed
    (15, Schema),     // DUPLICATE_COLUMN
    (16, Schema),     // NO_SUCH_COLUMN_IN_TABLE
    (20, Schema),     // NUMBER_OF_COLUMNS_DOESNT_MATCH, assumed
    (26, Data),       // CANNOT_PARSE_QUOTED_STRING
    (27, Data),       // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    (33, Transient),  // CANNOT_READ_ALL_DATA: the body was cut
    (36, Schema),     // BAD_ARGUMENTS, assumed
    (38, Data),       // CANNOT_PARSE_DATE
    (41, Data),       // CANNOT_PARSE_DATETIME
    (43, Schema),     // ILLEGAL_TYPE_OF_ARGUMENT
    (44, Schema),     // ILLEGAL_COLUMN
    (46, Operator),   // UNKNOWN_FUNCTION
    (47, Schema),     // UNKNOWN_IDENTIFIER
    (48, Schema),     // NOT_IMPLEMENTED
    (50, Schema),     // UNKNOWN_TYPE
    (53, Schema),     // TYPE_MISMATCH
    (60, Schema),     // UNKNOWN_TABLE
    (62, Operator),   // SYNTAX_ERROR
    (69, Data),       // ARGUMENT_OUT_OF_BOUND: an expression's, over one row's values
    (70, Schema),     // CANNOT_CONVERT_TYPE
    (73, Operator),   // UNKNOWN_FORMAT
    (81, Schema),     // UNKNOWN_DATABASE
    (115, Operator),  // UNKNOWN_SETTING
    (117, Data),      // INCORRECT_DATA
    (130, Data),      // CANNOT_READ_ARRAY_FROM_TEXT
    (131, Data),      // TOO_LARGE_STRING_SIZE
    (153, Data),      // ILLEGAL_DIVISION: an expression's, over one row's values
    (159, Transient), // TIMEOUT_EXCEEDED
    (164, Operator),  // READONLY
    (190, Data),      // SIZES_OF_ARRAYS_DONT_MATCH
    (192, Operator),  // UNKNOWN_USER, assumed
    (193, Operator),  // WRONG_PASSWORD, assumed
    (194, Operator),  // REQUIRED_PASSWORD, assumed
    (201, Operator),  // QUOTA_EXCEEDED, assumed
    (202, Transient), // TOO_MANY_SIMULTANEOUS_QUERIES, assumed
    (209, Transient), // SOCKET_TIMEOUT, assumed
    (210, Transient), // NETWORK_ERROR, assumed
    (236, Transient), // ABORTED, assumed
    (241, Transient), // MEMORY_LIMIT_EXCEEDED
    (242, Transient), // TABLE_IS_READ_ONLY: a replica without its keeper, assumed
    (243, Transient), // NOT_ENOUGH_SPACE, assumed
    (252, Transient), // TOO_MANY_PARTS
    (279, Transient), // ALL_CONNECTION_TRIES_FAILED, assumed
    (285, Transient), // TOO_FEW_LIVE_REPLICAS, assumed
    (286, Transient), // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, assumed
    (319, Transient), // UNKNOWN_STATUS_OF_INSERT: the token decides, assumed
    (321, Data),      // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    (349, Data),      // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    (376, Data),      // CANNOT_PARSE_UUID
    (394, Transient), // QUERY_WAS_CANCELLED
    (395, Data),      // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
    (407, Data),      // DECIMAL_OVERFLOW
    (425, Transient), // SYSTEM_ERROR, assumed
    (439, Transient), // CANNOT_SCHEDULE_TASK, assumed
    (452, Operator),  // SETTING_CONSTRAINT_VIOLATION, assumed
    (467, Data),      // CANNOT_PARSE_BOOL
    (469, Data),      // VIOLATED_CONSTRAINT
    (473, Transient), // DEADLOCK_AVOIDED, assumed
    (497, Operator),  // ACCESS_DENIED
    (516, Operator),  // AUTHENTICATION_FAILED
    (675, Data),      // CANNOT_PARSE_IPV4
    (676, Data),      // CANNOT_PARSE_IPV6
    (691, Data),      // UNKNOWN_ELEMENT_OF_ENUM
    (999, Transient), // KEEPER_EXCEPTION, assumed
];

/// Classes an error of the client. `url` is the server that it was to reach, `into` the table of
/// an INSERT.
pub fn classify(error: &clickhouse::error::Error, url: &str, into: Option<&Place>) -> InsertError {
    use clickhouse::error::Error;
    match error {
        Error::BadResponse(text) => match code_of(text) {
            Some(code) => classify_code(code, text, into),
            // A proxy's page or a cut response.
            None => {
                let text = format!("CLICKHOUSE_HOST {url} answered: {}", loggable(text));
                InsertError::Hold(Hold::Transient(text))
            }
        },
        Error::Network(_) if is_untrusted(error) => {
            let text = format!("CLICKHOUSE_HOST {url}: {}", chain(error));
            let hint = "look at CLICKHOUSE_SSL_CA_LOCATION";
            InsertError::Hold(Hold::Paused(format!("{text}: {hint}")))
        }
        Error::Network(_) | Error::TimedOut => {
            let text = format!("CLICKHOUSE_HOST {url}: {}", chain(error));
            InsertError::Hold(Hold::Transient(text))
        }
        _ => InsertError::Unknown(chain(error)),
    }
}

/// Whether the connection was given up over the server's certificate.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    // An `io::Error` hides what it wraps from `source`.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => is_untrusted(wrapped),
        None => error.source().is_some_and(is_untrusted),
    }
}

fn classify_code(code: u32, text: &str, into: Option<&Place>) -> InsertError {
    // Before any view is looked for: the table's constraints are checked before its views are
    // pushed to, and the text quotes the row.
    if code == 469
        && let Some((_, table)) = violated(text)
        && into == Some(&table)
    {
        return InsertError::Data(Said::new(text));
    }
    let views = views_of(text);
    if !views.is_empty() {
        return InsertError::View { views, said: Said::new(text) };
    }
    let short = loggable(text);
    let message = message(text);
    let head = message.split(':').next().unwrap_or_default();
    match code {
        // Of a setting's value; one of a row is parsed while a function or a format is executed.
        27 if !message.contains("hile executing") => return operator(code, &short),
        70 if message.starts_with("Unexpected inf or nan") => {
            return InsertError::Data(Said::new(text));
        }
        117 if head.contains("Arrow IPC") || head.contains("stream is empty") => {
            return InsertError::Unknown(short);
        }
        241 => return InsertError::Memory(short),
        252 if message.starts_with("Too many partitions") => {
            return InsertError::TooManyPartitions(short);
        }
        _ => {}
    }
    match class_of(code) {
        Some(Data) => InsertError::Data(Said::new(text)),
        Some(Schema) => InsertError::Schema(short),
        Some(Transient) => InsertError::Hold(Hold::Transient(short)),
        Some(Operator) => operator(code, &short),
        // Whether it quotes rows is not known, unless there are none.
        None if into.is_none() => InsertError::Unknown(short),
        None => InsertError::Unknown(Said::new(text).to_string()),
    }
}

fn class_of(code: u32) -> Option<Class> {
    let at = CODES.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    CODES.get(at).map(|(_, class)| *class)
}

fn operator(code: u32, text: &str) -> InsertError {
    let look = match code {
        497 => "grant INSERT and SELECT on the table to CLICKHOUSE_USER",
        164 => "the server or the user is read-only; look at CLICKHOUSE_USER's profile",
        _ => login(code).unwrap_or("look at CLICKHOUSE_HOST and the server's version"),
    };
    InsertError::Hold(Hold::Paused(format!("{text}; {look}")))
}

/// What to look at where the code is not about the statement, but about who sends it and how.
fn login(code: u32) -> Option<&'static str> {
    Some(match code {
        192..=194 | 516 => "look at CLICKHOUSE_USER and CLICKHOUSE_PASSWORD",
        201 => "a quota is used up; raise it for CLICKHOUSE_USER",
        27 | 115 | 452 => "look at CLICKHOUSE_SETTINGS",
        _ => return None,
    })
}

/// What an error of a SELECT of the operator's means: whatever heals by itself is transient, all
/// else is the operator's to mend, unknown codes too. It runs with `readonly=1`.
pub fn hold_of_select(error: &clickhouse::error::Error, server: &Server) -> Hold {
    if let clickhouse::error::Error::BadResponse(text) = error
        && let Some(code) = code_of(text)
    {
        let text = match code {
            // What follows quotes the SELECT, which may hold a secret.
            62 => text.split(" (").next().unwrap_or_default().to_owned(),
            _ => loggable(text),
        };
        let look = match code {
            _ if class_of(code) == Some(Transient) => return Hold::Transient(text),
            164 => Some("it may read tables of this server, and set nothing"),
            396 => Some("select less, or raise LOOKUP_<NAME>_MEMORY_BYTES"),
            497 => Some("grant SELECT on what it reads to CLICKHOUSE_USER"),
            _ => login(code),
        };
        return Hold::Paused(look.map_or(text.clone(), |look| format!("{text}; {look}")));
    }
    match classify(error, server.url(), None) {
        InsertError::Hold(hold) => hold,
        InsertError::Memory(text) => Hold::Transient(text),
        InsertError::Unknown(text)
        | InsertError::Schema(text)
        | InsertError::TooManyPartitions(text) => Hold::Paused(text),
        InsertError::Data(said) | InsertError::View { said, .. } => Hold::Paused(said.to_string()),
    }
}

fn chain(error: &clickhouse::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
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

    fn class(text: &str) -> InsertError {
        let into = Place { database: "d".into(), name: "t".into() };
        let error = clickhouse::error::Error::BadResponse(text.into());
        classify(&error, "http://db:8123", Some(&into))
    }

    #[test]
    fn the_table_is_sorted_by_code() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn each_class_is_told_by_its_code() {
        assert!(matches!(class("Code: 469. DB::Exception: Constraint"), InsertError::Data(_)));
        assert!(matches!(class("Code: 16. DB::Exception: No such"), InsertError::Schema(_)));
        assert!(matches!(class("Code: 241. DB::Exception: memory"), InsertError::Memory(_)));
        assert!(matches!(
            class("Code: 159. DB::Exception: timeout"),
            InsertError::Hold(Hold::Transient(_))
        ));
        assert!(matches!(
            class("Code: 516. DB::Exception: u: Authentication failed"),
            InsertError::Hold(Hold::Paused(text)) if text.contains("CLICKHOUSE_PASSWORD")
        ));
        assert!(matches!(class("Code: 4242. DB::Exception: new"), InsertError::Unknown(_)));
        assert!(matches!(class("<html>502</html>"), InsertError::Hold(Hold::Transient(_))));
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
        assert!(matches!(class(&cast), InsertError::Schema(_)));
        let nan = "Code: 70. DB::Exception: Unexpected inf or nan to integer conversion";
        assert!(matches!(class(nan), InsertError::Data(_)));
        let setting = "Code: 27. DB::Exception: Cannot parse input: expected 'eof' before: 'x'.";
        assert!(matches!(class(setting), InsertError::Hold(Hold::Paused(_))));
    }

    #[test]
    fn a_view_that_throws_is_no_data_error() {
        let text = "Code: 395. DB::Exception: Value passed to 'throwIf' is non-zero: while \
                    pushing to view d.v (6f1d): While executing X";
        let InsertError::View { views, .. } = class(text) else { panic!("no view: {text}") };
        assert_eq!(views, [Place { database: "d".into(), name: "v".into() }]);
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
        assert!(matches!(violated("d.t"), InsertError::Data(_)));
        assert!(matches!(violated("d.target"), InsertError::View { .. }));
    }
}
