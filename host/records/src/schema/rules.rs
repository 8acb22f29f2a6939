//! The rules that the configuration adds to a table's own, and whether they fit the table.

use super::plan::WhenNull;
use super::source::{ColumnSource, Encoding, Metadata, OnInvalid, Pointer, UnknownFields};
use super::table::{Column, TableSchema};
use super::types::Kind;
pub use super::unit::TimestampUnit;
use crate::words::near;

/// The rules that the configuration adds to the table's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// REQUIRED_COLUMNS: absent or null rejects the record.
    pub required: Vec<String>,
    /// DATETIME_COLUMNS: empty or null is 1970, and more layouts are accepted.
    pub datetime: Vec<String>,
    /// STRING_ENUM_COLUMNS: null is the label `DEFAULT`, or the column's default.
    pub string_enum: Vec<String>,
    /// TIMESTAMP_UNIT without a column: the unit of a number in a DateTime or DateTime64; `None` refuses numbers.
    pub timestamp_unit: Option<TimestampUnit>,
    /// TIMESTAMP_UNIT of columns: the unit of a number in any of their dates or times.
    pub column_units: Vec<(String, TimestampUnit)>,
    /// COERCION=lenient: also accepts the forms that JSONEachRow accepts.
    pub is_lenient: bool,
    /// FIELD_CASE=insensitive: the names of fields ignore case.
    pub ignores_case: bool,
    /// COLUMN_FROM: columns that are filled from a place in the record.
    pub column_from: Vec<(String, Pointer)>,
    /// UNKNOWN_FIELDS: what becomes of fields that fill no column.
    pub unknown_fields: UnknownFields,
    /// UNFILLED_RECORDS=accept: a record whose fields fill no column becomes a row of defaults.
    pub takes_unfilled: bool,
    /// METADATA_COLUMNS: columns filled with Kafka's metadata of the record.
    pub metadata: Vec<(String, Metadata)>,
    /// COLUMN_ENCODING: columns whose strings encode bytes.
    pub encodings: Vec<(String, Encoding)>,
    /// COLUMN_ON_INVALID: what becomes of a value that does not fit its column.
    pub on_invalid: Vec<(String, OnInvalid)>,
}

/// A name in a rule that fits no column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: `{column}` {problem}")]
pub struct PlanError {
    /// The variable to look at.
    pub variable: &'static str,
    /// The name in it.
    pub column: String,
    /// What is wrong.
    pub problem: String,
}

impl Rules {
    /// The source of the column of this name.
    pub fn source(&self, name: &str) -> ColumnSource {
        let metadata = self.metadata.iter().find(|(column, _)| column == name);
        let pointer = self.column_from.iter().find(|(column, _)| column == name);
        match (&self.unknown_fields, metadata, pointer) {
            (UnknownFields::Column(column), ..) if column == name => ColumnSource::Unknown,
            (_, Some((_, metadata)), _) => ColumnSource::Metadata(*metadata),
            (_, None, Some((_, pointer))) => ColumnSource::Pointer(pointer.clone()),
            (_, None, None) => ColumnSource::Name,
        }
    }

    /// What becomes of a value that does not fit the column of this name. Kafka's metadata rejects a record only if
    /// configured so.
    pub fn on_invalid(&self, name: &str) -> OnInvalid {
        let found = self.on_invalid.iter().find(|(column, _)| column == name);
        match (found, self.source(name)) {
            (Some((_, on_invalid)), _) => *on_invalid,
            (None, ColumnSource::Metadata(_)) => OnInvalid::Default,
            (None, _) => OnInvalid::Reject,
        }
    }

    /// How strings in the column of this name encode bytes.
    pub fn encoding(&self, name: &str) -> Option<Encoding> {
        self.encodings.iter().find(|(column, _)| column == name).map(|(_, encoding)| *encoding)
    }

    /// Every name that is not a column, or whose type does not fit the rule.
    pub fn errors(&self, schema: &TableSchema) -> Vec<PlanError> {
        let is_date = |kind: &Kind| {
            matches!(
                kind,
                Kind::Date | Kind::Date32 | Kind::DateTime { .. } | Kind::DateTime64 { .. }
            )
        };
        let is_text = |kind: &Kind| matches!(kind, Kind::String | Kind::Enum(..));
        let mut look = NameCheck { schema, errors: Vec::new() };
        for name in &self.required {
            look.at("REQUIRED_COLUMNS", name, |_| None);
        }
        for name in &self.datetime {
            look.at("DATETIME_COLUMNS", name, |column| {
                unfit(is_date(&column.ty.kind), column, "a date or time")
            });
        }
        for name in &self.string_enum {
            look.at("STRING_ENUM_COLUMNS", name, |column| {
                unfit(is_text(&column.ty.kind), column, "String or Enum")
            });
        }
        for (name, unit) in &self.column_units {
            look.at("TIMESTAMP_UNIT", name, |column| self.unfit_unit(column, *unit));
        }
        self.look_at_sources(&mut look);
        for (name, _) in &self.encodings {
            let is_fit = |kind: &Kind| {
                matches!(kind, Kind::String | Kind::FixedString(_) | Kind::Decimal { .. })
            };
            look.at("COLUMN_ENCODING", name, |column| match self.source(name) {
                ColumnSource::Unknown => Some(twice("UNKNOWN_FIELDS")),
                ColumnSource::Metadata(_) => Some(twice("METADATA_COLUMNS")),
                _ => unfit(is_fit(&column.ty.kind), column, "String, FixedString or Decimal"),
            });
        }
        for (name, on_invalid) in &self.on_invalid {
            look.at("COLUMN_ON_INVALID", name, |column| self.unfit_on_invalid(column, *on_invalid));
        }
        for name in &self.required {
            let is_replaced = self.on_invalid(name) != OnInvalid::Reject;
            if is_replaced && self.on_invalid.iter().any(|(column, _)| column == name) {
                look.at("REQUIRED_COLUMNS and COLUMN_ON_INVALID", name, |_| {
                    let problem = "is named by both: a value that is replaced is null, and its record \
                                   rejected; take it out of one";
                    Some(problem.to_owned())
                });
            }
        }
        if self.ignores_case {
            look.at_cases();
        }
        look.errors
    }

    fn look_at_sources(&self, look: &mut NameCheck<'_>) {
        if let UnknownFields::Column(name) = &self.unknown_fields {
            let is_fit = |kind: &Kind| matches!(kind, Kind::String | Kind::Json(_));
            look.at("UNKNOWN_FIELDS", name, |column| {
                unfit(is_fit(&column.ty.kind), column, "String or JSON")
            });
        }
        for (name, metadata) in &self.metadata {
            look.at("METADATA_COLUMNS", name, |column| match self.source(name) {
                ColumnSource::Unknown => Some(twice("UNKNOWN_FIELDS")),
                _ => unfit(metadata.fits(&column.ty), column, metadata.expected()),
            });
        }
        for (name, _) in &self.column_from {
            look.at("COLUMN_FROM", name, |_| match self.source(name) {
                ColumnSource::Unknown => Some(twice("UNKNOWN_FIELDS")),
                ColumnSource::Metadata(_) => Some(twice("METADATA_COLUMNS")),
                _ => None,
            });
        }
    }

    /// The unit of a number in the column of this name.
    pub fn unit(&self, name: &str) -> Option<TimestampUnit> {
        self.column_units.iter().find(|(column, _)| column == name).map(|(_, unit)| *unit)
    }

    fn unfit_unit(&self, column: &Column, unit: TimestampUnit) -> Option<String> {
        if matches!(self.source(&column.name), ColumnSource::Metadata(_)) {
            return Some("is filled by METADATA_COLUMNS, which knows the unit".to_owned());
        }
        let is_time = |kind: &Kind| TimestampUnit::Seconds.fits(kind);
        let is_dated = |kind: &Kind| TimestampUnit::Days.fits(kind);
        match unit {
            TimestampUnit::Days => unfit(column.ty.holds(is_dated), column, "a date"),
            _ => unfit(column.ty.holds(is_time), column, "a date or time"),
        }
    }

    fn unfit_on_invalid(&self, column: &Column, on_invalid: OnInvalid) -> Option<String> {
        let is_nullable = column.ty.is_nullable;
        let plan = || super::plan::when_null(column, self);
        match on_invalid {
            OnInvalid::Null if !is_nullable => {
                Some(format!("is of type {}, which holds no null", column.type_text))
            }
            OnInvalid::Default if is_nullable => {
                Some("is Nullable: its DEFAULT cannot be asked for; use null".to_owned())
            }
            OnInvalid::Default if plan() == WhenNull::Reject => {
                Some("has no DEFAULT that ClickHouse puts in the place of a null".to_owned())
            }
            _ => None,
        }
    }
}

/// Checks the names in rules.
struct NameCheck<'a> {
    schema: &'a TableSchema,
    errors: Vec<PlanError>,
}

impl NameCheck<'_> {
    /// Notes what is wrong with one name.
    fn at(
        &mut self,
        variable: &'static str,
        name: &str,
        problem: impl FnOnce(&Column) -> Option<String>,
    ) {
        let found = self.schema.columns.iter().find(|column| *column.name == *name);
        let problem = match found {
            None => Some(self.schema.why_not_filled(name).unwrap_or_else(|| {
                format!("is no column of `{}`{}", self.schema.table, near_miss(self.schema, name))
            })),
            Some(column) => problem(column),
        };
        let error = |problem| PlanError { variable, column: name.to_owned(), problem };
        self.errors.extend(problem.map(error));
    }

    /// Notes columns that differ only by case.
    fn at_cases(&mut self) {
        for (at, column) in self.schema.columns.iter().enumerate() {
            let name = column.name.to_lowercase();
            let mut before = self.schema.columns.iter().take(at);
            if let Some(other) = before.find(|other| other.name.to_lowercase() == name) {
                self.errors.push(PlanError {
                    variable: "FIELD_CASE",
                    column: column.name.to_string(),
                    problem: format!("differs from `{}` only by case", other.name),
                });
            }
        }
    }
}

fn twice(other: &str) -> String {
    format!("is filled by {other} too; take it out of one")
}

fn unfit(is_fit: bool, column: &Column, expected: &str) -> Option<String> {
    (!is_fit).then(|| format!("is of type {}, expected {expected}", column.type_text))
}

fn near_miss(schema: &TableSchema, name: &str) -> String {
    let near = near::nearest(name, schema.columns.iter().map(|column| &*column.name));
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}
