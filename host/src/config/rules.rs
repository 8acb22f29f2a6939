//! The configuration of records, dead letters and the log.

use tracing_subscriber::EnvFilter;

use super::reader::{SWITCH, VariableReader};
use super::words::Words;
use crate::flow::parts::Split;
use crate::user_schema::UserSchema;

/// The format of dead letters, and the brake on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dlq {
    /// The format, default headers.
    pub format: DlqFormat,
    /// The policy for a letter that is too large for the topic, default pause.
    pub on_too_large: OnTooLarge,
    /// Largest share of a batch that may be rejected before the host pauses; 0 to 1, default 0.5.
    pub max_share: f64,
}

/// The format of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DlqFormat {
    /// The payload unchanged, with facts in headers.
    Headers,
    /// One JSON object with the record and the facts.
    Envelope,
}

impl Words for DlqFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("headers", Self::Headers), ("envelope", Self::Envelope)];
}

/// The policy for a dead letter that is too large for the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTooLarge {
    /// Its partition waits, with an alarm, until the topic takes it.
    Pause,
    /// The payload is cut, then the record's headers and key; the letter notes it.
    Cut,
}

impl Words for OnTooLarge {
    const WORDS: &'static [(&'static str, Self)] = &[("pause", Self::Pause), ("cut", Self::Cut)];
}

/// How payloads become records.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// How a payload holds records; default none, so that it is a single record.
    pub split: Split,
    /// The policy for records with a null payload, default skip.
    pub tombstones: Tombstones,
    /// The user's JSON Schema for records, compiled.
    pub json_schema: Option<UserSchema>,
}

impl Words for Split {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("lines", Self::Lines), ("array", Self::Array)];
}

/// The policy for a record with a null payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstones {
    /// It is settled without a row.
    Skip,
    /// It goes to the dead letter topic.
    DeadLetter,
}

impl Words for Tombstones {
    const WORDS: &'static [(&'static str, Self)] =
        &[("skip", Self::Skip), ("dead_letter", Self::DeadLetter)];
}

/// The format and the level of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The format, default text.
    pub format: LogFormat,
    /// A level or directives accepted by `tracing_subscriber::EnvFilter`; default `info`.
    pub level: String,
    /// Whether log lines about rejected records contain a part of the payload.
    pub with_payloads: bool,
    /// Whether fields that fill no column are logged and counted by name.
    pub with_field_names: bool,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable lines.
    Text,
    /// One JSON object on each line.
    Json,
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

pub(super) fn read_dlq(reader: &mut VariableReader<'_>) -> Dlq {
    let format = reader.choice("DLQ_FORMAT", DlqFormat::WORDS);
    let on_too_large = reader.choice("DLQ_ON_TOO_LARGE", OnTooLarge::WORDS);
    let max_share = reader.number("DLQ_MAX_SHARE", "a number", 0.0, 1.0);
    Dlq {
        format: format.unwrap_or(DlqFormat::Headers),
        on_too_large: on_too_large.unwrap_or(OnTooLarge::Pause),
        max_share: max_share.unwrap_or_default(),
    }
}

pub(super) fn read_records(reader: &mut VariableReader<'_>) -> Records {
    Records {
        split: read_split(reader),
        tombstones: reader.choice("TOMBSTONES", Tombstones::WORDS).unwrap_or(Tombstones::Skip),
        json_schema: read_json_schema(reader),
    }
}

/// Reads only RECORD_SPLIT.
pub(super) fn read_split(reader: &mut VariableReader<'_>) -> Split {
    reader.choice("RECORD_SPLIT", Split::WORDS).unwrap_or_default()
}

fn read_json_schema(reader: &mut VariableReader<'_>) -> Option<UserSchema> {
    const NAME: &str = "JSON_SCHEMA";
    const EXPECTED: &str = "a JSON Schema of draft 4, 6, 7, 2019-09 or 2020-12";
    let set_as = reader.set_as(NAME)?;
    if !reader.is_set(NAME) {
        let hint = "write a schema into it, or unset the variable";
        reader.refuse_found(&set_as, EXPECTED, "a file that is empty", hint);
    }
    match UserSchema::new(&reader.optional(NAME)?) {
        Ok(schema) => Some(schema),
        Err(problem) => {
            reader.refuse_found(&set_as, EXPECTED, problem.found, problem.hint);
            None
        }
    }
}

pub(super) fn read_log(reader: &mut VariableReader<'_>) -> Log {
    let format = reader.choice("LOG_FORMAT", LogFormat::WORDS).unwrap_or(LogFormat::Text);
    let level = reader.text("LOG_LEVEL").unwrap_or_default();
    if !is_filter(&level) {
        let expected =
            "error, warn, info, debug, trace, or directives such as info,sluicegate=debug";
        reader.refuse("LOG_LEVEL", expected, &level, "check the spelling of the level");
    }
    let with_payloads = reader.choice("LOG_PAYLOADS", SWITCH).unwrap_or_default();
    let with_field_names = reader.choice("UNKNOWN_FIELD_NAMES", SWITCH).unwrap_or_default();
    Log { format, level, with_payloads, with_field_names }
}

/// Whether the text is a valid filter. A lone word that is no level is refused: it would select a
/// module of that name and silence everything else.
fn is_filter(text: &str) -> bool {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
    text.split(',').all(|directive| directive.contains('=') || is_level(directive))
        && EnvFilter::try_new(text).is_ok()
}
