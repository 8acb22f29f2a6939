//! Why a record was refused: the first of the four outcomes.
//!
//! A rejection goes to the dead letter topic with its record; the other records go on. The other three outcomes
//! (transient, paused, fatal) never touch a record: see `hold`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::flow::record::Origin;

/// The stable code of a rejection: the `failure_reason` header, a metric label, and what consumers of the dead letter
/// topic may branch on. Codes are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Not JSON, cut short, more than one value, or a string with an invalid escape.
    MalformedJson,
    /// Invalid UTF-8 anywhere in the payload.
    InvalidUtf8,
    /// A field that fills a column occurs twice in one object.
    DuplicateKey,
    /// Arrays and objects nested deeper than the decoder reads.
    TooDeep,
    /// A payload larger than a batch may be, or a text longer than its column.
    TooLarge,
    /// A JSON type that the column does not take.
    TypeMismatch,
    /// A number outside of the column's range.
    OutOfRange,
    /// A text that is no label of the column's Enum.
    UnknownLabel,
    /// A text that is no date or time in the accepted layouts, or one outside of the column's range.
    BadDatetime,
    /// A text that is no UUID.
    BadUuid,
    /// A number that does not fit the column's precision or scale.
    BadDecimal,
    /// Arrays of one Nested structure that have different lengths.
    UnequalLengths,
    /// A field that fills no column, if UNKNOWN_FIELDS rejects these.
    UnknownField,
    /// A record whose fields fill no column.
    NoKnownField,
    /// A required column is absent from the record.
    MissingColumn,
    /// A null in a column that holds none.
    NullNotAllowed,
    /// Violates the user's JSON Schema.
    SchemaViolation,
    /// Refused by a plugin.
    HookRejected,
    /// A plugin failed on this record alone.
    HookFailed,
    /// ClickHouse refused the record inserted alone.
    InsertRefused,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 20] = [
        Self::MalformedJson,
        Self::InvalidUtf8,
        Self::DuplicateKey,
        Self::TooDeep,
        Self::TooLarge,
        Self::TypeMismatch,
        Self::OutOfRange,
        Self::UnknownLabel,
        Self::BadDatetime,
        Self::BadUuid,
        Self::BadDecimal,
        Self::UnequalLengths,
        Self::UnknownField,
        Self::NoKnownField,
        Self::MissingColumn,
        Self::NullNotAllowed,
        Self::SchemaViolation,
        Self::HookRejected,
        Self::HookFailed,
        Self::InsertRefused,
    ];

    /// The stable `snake_case` code.
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::DuplicateKey => "duplicate_key",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::TypeMismatch => "type_mismatch",
            Self::OutOfRange => "out_of_range",
            Self::UnknownLabel => "unknown_label",
            Self::BadDatetime => "bad_datetime",
            Self::BadUuid => "bad_uuid",
            Self::BadDecimal => "bad_decimal",
            Self::UnequalLengths => "unequal_lengths",
            Self::UnknownField => "unknown_field",
            Self::NoKnownField => "no_known_field",
            Self::MissingColumn => "missing_column",
            Self::NullNotAllowed => "null_not_allowed",
            Self::SchemaViolation => "schema_violation",
            Self::HookRejected => "hook_rejected",
            Self::HookFailed => "hook_failed",
            Self::InsertRefused => "insert_refused",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// The stage that refused a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before the payload is read.
    Admit,
    /// A plugin, by its name and version, on payloads.
    RowsHook(Arc<str>),
    /// JSON to columns.
    Decode,
    /// A plugin, by its name and version, on decoded rows.
    ArrowHook(Arc<str>),
    /// Required, default and value rules; with the name and version of the plugin that wrote the value, if one did.
    Check(Option<Arc<str>>),
    /// The INSERT.
    Insert,
}

impl Stage {
    /// The name in headers and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::RowsHook(_) => "rows_hook",
            Self::Decode => "decode",
            Self::ArrowHook(_) => "arrow_hook",
            Self::Check(_) => "check",
            Self::Insert => "insert",
        }
    }

    /// The plugin that refused the record or wrote the refused value, if one did.
    pub fn plugin(&self) -> Option<&str> {
        match self {
            Self::RowsHook(plugin) | Self::ArrowHook(plugin) => Some(plugin),
            Self::Check(plugin) => plugin.as_deref(),
            Self::Admit | Self::Decode | Self::Insert => None,
        }
    }
}

/// What is wrong with one record.
///
/// Logs carry `reason`, `column`, `expected` and `got_kind`; `got` may hold a value of the record
/// and goes to the dead letter only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The stable code.
    pub reason: Reason,
    /// The column at fault, if there is one.
    pub column: Option<Arc<str>>,
    /// JSON pointer into the record (RFC 6901); empty for the record as a whole. If each line is a record, the line
    /// precedes it: `line 4, /price`.
    pub pointer: String,
    /// What would be accepted, e.g. `integer from 0 to 255`.
    pub expected: String,
    /// The JSON kind of what was found: `null`, `boolean`, `number`, `string`, `array`, `object`, `nothing` for a
    /// missing field, or empty where it does not apply.
    pub got_kind: &'static str,
    /// What was found: a value of the record, cut at 128 bytes, or the message of a plugin or of ClickHouse.
    pub got: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(column) = &self.column {
            write!(f, "column `{column}`")?;
            if !self.pointer.is_empty() && self.pointer.get(1..) != Some(column) {
                write!(f, " at {}", self.pointer)?;
            }
            f.write_str(": ")?;
        } else if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        write!(
            f,
            "expected {}, got {}",
            self.expected,
            if self.got.is_empty() { self.got_kind } else { &self.got }
        )
    }
}

/// Most bytes of a value that a fault shows.
const GOT_BYTES: usize = 128;

/// At most 128 bytes of a text, cut between characters.
pub fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, GOT_BYTES)
}

/// At most `bytes` bytes of a text, cut between characters, with dots if some are missing.
pub fn cut_to(text: &str, bytes: usize) -> Cow<'_, str> {
    match text.get(..text.floor_char_boundary(bytes)) {
        Some(start) if start.len() < text.len() => format!("{start}...").into(),
        _ => text.into(),
    }
}

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Which record of the batch.
    pub origin: Origin,
    /// Who refused it.
    pub stage: Stage,
    /// Why.
    pub fault: Fault,
}
