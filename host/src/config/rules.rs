//! What happens to single records: columns with a rule, dead letters; and the log.

use tracing_subscriber::EnvFilter;

use super::fields::{entries_of, of_word};
use super::reader::{Reader, SWITCH};
use super::words::Words;
use crate::flow::parts::Split;
pub use crate::schema::plan::TimestampUnit;
use crate::user_schema::UserSchema;

/// The form of dead letters and the brake on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dlq {
    /// The form, default headers.
    pub format: DlqFormat,
    /// What becomes of a letter that the topic finds too large, default pause.
    pub on_too_large: OnTooLarge,
    /// Largest share of a batch that may be rejected before the host pauses; 0 to 1, default 0.5.
    pub max_share: f64,
}

/// The form of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DlqFormat {
    /// The payload unchanged, facts in headers.
    Headers,
    /// One JSON object with the record and the facts.
    Envelope,
}

impl Words for DlqFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("headers", Self::Headers), ("envelope", Self::Envelope)];
}

/// What becomes of a dead letter that is larger than the topic takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTooLarge {
    /// Its partition waits, with an alarm, until the topic takes it.
    Pause,
    /// Its payload is cut, then the record's headers and key, and the letter says so.
    Cut,
}

impl Words for OnTooLarge {
    const WORDS: &'static [(&'static str, Self)] = &[("pause", Self::Pause), ("cut", Self::Cut)];
}

/// How values become rows, by column. Whether the names are columns is known with the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Columns that reject a record in which they are missing or null.
    pub required: Vec<String>,
    /// Columns in which an empty string or null means 1970-01-01 00:00:00.
    pub datetime: Vec<String>,
    /// Columns in which a missing or null value means the label `DEFAULT`.
    pub string_enum: Vec<String>,
    /// Unit of numbers in DateTime and DateTime64 columns; `None` rejects them.
    pub timestamp_unit: Option<TimestampUnit>,
    /// Unit of numbers in date and time columns by their name, which comes before the one above.
    pub column_units: Vec<(String, TimestampUnit)>,
    /// How a payload holds records, default none: it is one.
    pub split: Split,
    /// What becomes of records with a null payload, default skip.
    pub tombstones: Tombstones,
    /// What records must satisfy as well, compiled.
    pub json_schema: Option<UserSchema>,
}

impl Words for Split {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("lines", Self::Lines), ("array", Self::Array)];
}

/// What becomes of a record with a null payload.
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

/// The form and the level of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The form, default text.
    pub format: LogFormat,
    /// A level or directives of `tracing_subscriber::EnvFilter`, which takes it; default `info`.
    pub level: String,
    /// Whether lines about rejected records hold a part of the payload.
    pub with_payloads: bool,
    /// Whether fields that fill no column are logged and counted by name.
    pub with_field_names: bool,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines to read.
    Text,
    /// One JSON object a line.
    Json,
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

pub(super) fn read_dlq(reader: &mut Reader<'_>) -> Dlq {
    let format = reader.choice("DLQ_FORMAT", DlqFormat::WORDS);
    let on_too_large = reader.choice("DLQ_ON_TOO_LARGE", OnTooLarge::WORDS);
    let max_share = reader.number("DLQ_MAX_SHARE", "a number", 0.0, 1.0);
    Dlq {
        format: format.unwrap_or(DlqFormat::Headers),
        on_too_large: on_too_large.unwrap_or(OnTooLarge::Pause),
        max_share: max_share.unwrap_or_default(),
    }
}

pub(super) fn read_rules(reader: &mut Reader<'_>) -> Rules {
    let (timestamp_unit, column_units) = read_units(reader);
    Rules {
        required: reader.list("REQUIRED_COLUMNS"),
        datetime: reader.list("DATETIME_COLUMNS"),
        string_enum: reader.list("STRING_ENUM_COLUMNS"),
        timestamp_unit,
        column_units,
        split: read_split(reader),
        tombstones: reader.choice("TOMBSTONES", Tombstones::WORDS).unwrap_or(Tombstones::Skip),
        json_schema: read_json_schema(reader),
    }
}

/// Reads RECORD_SPLIT alone.
pub(super) fn read_split(reader: &mut Reader<'_>) -> Split {
    reader.choice("RECORD_SPLIT", Split::WORDS).unwrap_or_default()
}

/// The unit of all columns, and those of columns by their name.
fn read_units(reader: &mut Reader<'_>) -> (Option<TimestampUnit>, Vec<(String, TimestampUnit)>) {
    const NAME: &str = "TIMESTAMP_UNIT";
    const EXPECTED: &str = "s, ms, us or ns for all columns, and column=d, s, ms, us or ns for one";
    const HINT: &str = "write ms,created=us,day=d, for example";
    let (of_columns, of_all): (Vec<String>, Vec<String>) =
        reader.list(NAME).into_iter().partition(|entry| entry.contains('='));
    let words = TimestampUnit::WORDS;
    let of_columns =
        entries_of(reader, (NAME, of_columns), EXPECTED, HINT, |text| of_word(words, text));
    let mut unit = None;
    for entry in of_all {
        match of_word(words, &entry).filter(|unit| *unit != TimestampUnit::Days) {
            None => reader.refuse(NAME, EXPECTED, &entry, HINT),
            Some(_) if unit.is_some() => {
                reader.refuse(NAME, "one unit without a column", &entry, HINT);
            }
            found => unit = found,
        }
    }
    (unit, of_columns)
}

/// The variable as it may be written.
pub(super) fn units_as_text(rules: &Rules) -> String {
    let of_all = rules.timestamp_unit.map(|unit| unit.as_str().to_owned());
    let of_columns = rules.column_units.iter();
    let of_columns = of_columns.map(|(column, unit)| format!("{column}={}", unit.as_str()));
    of_all.into_iter().chain(of_columns).collect::<Vec<_>>().join(",")
}

fn read_json_schema(reader: &mut Reader<'_>) -> Option<UserSchema> {
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

pub(super) fn read_log(reader: &mut Reader<'_>) -> Log {
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

/// Whether the text is a filter. A lone word that is no level would be one too, but of a module by
/// that name: everything else would fall silent.
fn is_filter(text: &str) -> bool {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
    text.split(',').all(|directive| directive.contains('=') || is_level(directive))
        && EnvFilter::try_new(text).is_ok()
}
