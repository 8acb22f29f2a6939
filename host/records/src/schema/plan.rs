//! How a record becomes a row of one table: made once per state of the table, immutable.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use chrono_tz::Tz;

use super::arrow::field;
use super::literal::{integer_literal, is_empty_array, is_empty_map, text_literal};
use super::names::FieldNames;
use super::nested::{Dotted, structures};
pub use super::rules::{PlanError, Rules, TimestampUnit};
use super::source::{ColumnSource, Encoding, Metadata, OnInvalid, UnknownFields};
use super::table::{Column, TableSchema};
use super::types::{self, Element, Kind, Type, TypeCount, TypeError};

/// The label that STRING_ENUM_COLUMNS stores for a null.
const DEFAULT_LABEL: &str = "DEFAULT";

/// What becomes of an absent or null field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhenNull {
    /// NULL is stored.
    Keep,
    /// The server fills in the column's DEFAULT, or the type's zero.
    ServerDefault,
    /// 1970-01-01 00:00:00.
    Epoch,
    /// This text.
    Label(Arc<str>),
    /// The record is rejected.
    Reject,
}

/// What becomes of an absent field whose null is rejected: no record is at fault for a column that an ALTER adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhenAbsent {
    /// The same as of a null.
    AsNull,
    /// This text, the same that the server would fill in.
    Text(Arc<str>),
    /// The server fills in the column's DEFAULT: the row goes in an INSERT without the column.
    LeftOut,
}

/// One column of a plan.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    /// The column's name.
    pub name: Arc<str>,
    /// The type.
    pub ty: Type,
    /// The type as ClickHouse prints it, for messages.
    pub type_text: String,
    /// Where its value comes from.
    pub source: ColumnSource,
    /// What becomes of a value that does not fit.
    pub on_invalid: OnInvalid,
    /// Absent or null rejects the record.
    pub is_required: bool,
    /// Otherwise, what becomes of a null.
    pub when_null: WhenNull,
    /// Otherwise, what becomes of an absent field.
    pub when_absent: WhenAbsent,
    /// How values are read.
    pub values: ValueRules,
}

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueRules {
    /// The zone of date texts without an offset, where the column has none of its own.
    pub zone: Tz,
    /// More date layouts are accepted, and an empty text is 1970.
    pub is_wide: bool,
    /// The unit of a number in a date or time, see [`ValueRules::unit_of`].
    pub unit: Option<TimestampUnit>,
    /// The unit was set for this column by name.
    pub is_unit_named: bool,
    /// Which forms of JSON are accepted.
    pub forms: Forms,
    /// The server reads some texts within JSON as times, and rewrites them.
    pub is_inferred: bool,
}

/// The forms of JSON that a column accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// Those of its type.
    Strict,
    /// Also those that JSONEachRow accepts, if nothing is lost.
    Lenient,
    /// Those of its type, one of several types that the value may have.
    Member,
    /// The same, but no strings for numbers: another of the types may hold strings.
    MemberExact,
    /// Strings that encode bytes.
    Encoded(Encoding),
}

/// What becomes of a field that fills no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownField {
    /// It is counted by name.
    Ignore,
    /// It rejects the record.
    Reject,
    /// It goes into this column.
    Column(usize),
}

/// What becomes of a record of which no field fills a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfilled {
    /// It is rejected.
    Reject,
    /// It is a row of defaults, and counted.
    Accept,
    /// It is like any other, since no field fills a column.
    Usual,
}

/// How a record becomes a row.
#[derive(Debug)]
pub struct TablePlan {
    /// The columns, in the table's order.
    pub columns: Vec<ColumnPlan>,
    /// The same as an Arrow schema.
    pub arrow: SchemaRef,
    /// Which columns a record's fields fill.
    pub names: FieldNames,
    /// What becomes of those that fill none.
    pub unknown: UnknownField,
    /// What becomes of a record of which no field fills a column.
    pub unfilled: Unfilled,
    /// The columns of each Nested structure that has several, by index.
    pub nested: Vec<Vec<usize>>,
    fingerprint: String,
    ignores_case: bool,
    /// How fields that are not columns are read.
    values: ValueRules,
}

impl TablePlan {
    /// Joins a table with the rules.
    ///
    /// # Errors
    /// Every name in a rule that is not a column, or whose type does not fit the rule.
    pub fn new(schema: &TableSchema, rules: &Rules) -> Result<Self, Vec<PlanError>> {
        let errors = rules.errors(schema);
        if !errors.is_empty() {
            return Err(errors);
        }
        let columns =
            schema.columns.iter().map(|column| ColumnPlan::new(column, schema, rules)).collect();
        // A field that is not a column is not sent to the server.
        let values = ValueRules { is_inferred: false, ..ValueRules::new(schema, rules) };
        let rest = if rules.unknown_fields == UnknownFields::Reject {
            UnknownField::Reject
        } else {
            UnknownField::Ignore
        };
        let unfilled = if rules.takes_unfilled { Unfilled::Accept } else { Unfilled::Reject };
        let (fingerprint, ignores_case) = (schema.fingerprint.clone(), rules.ignores_case);
        Ok(Self::of((columns, Vec::new()), (rest, unfilled), fingerprint, ignores_case, values))
    }

    /// Joins the columns of a table with further fields.
    fn of(
        (mut columns, further): (Vec<ColumnPlan>, Vec<ColumnPlan>),
        (rest, unfilled): (UnknownField, Unfilled),
        fingerprint: String,
        ignores_case: bool,
        values: ValueRules,
    ) -> Self {
        let dotted = Dotted::new(columns.iter().map(|column| &*column.name), ignores_case);
        columns.extend(further);
        let fields: Vec<_> = columns.iter().map(|column| field(&column.name, &column.ty)).collect();
        let mut names = FieldNames::new(ignores_case);
        let mut unknown = rest;
        for (at, column) in columns.iter().enumerate() {
            match &column.source {
                ColumnSource::Name => {
                    names.add(std::slice::from_ref(&column.name), at);
                    if dotted.is_parted(&column.name) {
                        names.add_dotted(&column.name, at);
                    }
                }
                ColumnSource::Pointer(pointer) => names.add(pointer.steps(), at),
                ColumnSource::Unknown => unknown = UnknownField::Column(at),
                ColumnSource::Metadata(_) | ColumnSource::Plugin => {}
            }
        }
        let arrow = Arc::new(Schema::new(fields));
        let nested = structures(columns.iter().map(|column| (&*column.name, &column.ty.kind)));
        let unfilled = if names.is_empty() { Unfilled::Usual } else { unfilled };
        Self { columns, arrow, names, unknown, unfilled, nested, fingerprint, ignores_case, values }
    }

    /// A field of records that is not a column, to be decoded to a ClickHouse type; `parts` counts the parts of all
    /// such fields.
    ///
    /// # Errors
    /// The type is not supported, or there are too many parts.
    pub fn field(
        &self,
        name: &str,
        type_text: &str,
        parts: &TypeCount,
    ) -> Result<ColumnPlan, TypeError> {
        Ok(ColumnPlan {
            name: name.into(),
            ty: types::parse_as_part(type_text, parts)?,
            type_text: type_text.to_owned(),
            source: ColumnSource::Name,
            on_invalid: OnInvalid::Reject,
            is_required: false,
            when_null: WhenNull::Keep,
            when_absent: WhenAbsent::AsNull,
            values: self.values,
        })
    }

    /// A plan that also reads `fields`, after the table's columns, and does not read the columns `unasked` from the
    /// record.
    #[must_use]
    pub fn with_fields(&self, fields: Vec<ColumnPlan>, unasked: &BTreeSet<usize>) -> Self {
        let mut columns = self.columns.clone();
        for (at, column) in columns.iter_mut().enumerate() {
            if unasked.contains(&at) {
                column.source = ColumnSource::Plugin;
            }
        }
        let rest = if self.unknown == UnknownField::Reject {
            UnknownField::Reject
        } else {
            UnknownField::Ignore
        };
        let (fingerprint, ignores_case) = (self.fingerprint.clone(), self.ignores_case);
        let rules = (rest, self.unfilled);
        Self::of((columns, fields), rules, fingerprint, ignores_case, self.values)
    }

    /// The fields that the plan reads from a record, by name or pointer.
    pub fn asked(&self) -> impl Iterator<Item = String> {
        self.columns.iter().filter_map(|column| match &column.source {
            ColumnSource::Name => Some(column.name.to_string()),
            ColumnSource::Pointer(pointer) => Some(pointer.to_string()),
            ColumnSource::Metadata(_) | ColumnSource::Unknown | ColumnSource::Plugin => None,
        })
    }

    /// The index of the column of this name.
    pub fn column_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| *column.name == *name)
    }

    /// Whether the names of fields ignore case.
    pub fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// Which state of the table the plan was made for.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

#[cfg(test)]
impl TablePlan {
    /// The plan of a table of these names and types, without DEFAULTs, on a server in UTC.
    ///
    /// # Panics
    /// A type is not supported, or a rule does not fit: the test is wrong.
    pub fn of_types(columns: &[(&str, &str)], rules: &Rules) -> Self {
        let rows = columns.iter().map(|(name, ty)| super::table::ColumnRow {
            name: (*name).into(),
            ty: (*ty).into(),
            default_kind: String::new(),
            default_expression: String::new(),
        });
        Self::new(&TableSchema::from_rows("d", "t", "UTC", rows).unwrap(), rules).unwrap()
    }
}

impl Default for ValueRules {
    /// Those of a server in UTC, with no variable set.
    fn default() -> Self {
        Self {
            zone: Tz::UTC,
            is_wide: false,
            unit: None,
            is_unit_named: false,
            forms: Forms::Strict,
            is_inferred: false,
        }
    }
}

impl ValueRules {
    fn new(schema: &TableSchema, rules: &Rules) -> Self {
        Self {
            zone: schema.server_zone,
            is_wide: false,
            unit: rules.timestamp_unit,
            is_unit_named: false,
            forms: if rules.is_lenient { Forms::Lenient } else { Forms::Strict },
            // `sink` chooses its reader so.
            is_inferred: schema.holds(Kind::is_union),
        }
    }

    fn of_column(column: &Column, schema: &TableSchema, rules: &Rules) -> Self {
        let of_all = Self::new(schema, rules);
        let unit = rules.unit(&column.name);
        Self {
            unit: unit.or(of_all.unit),
            is_unit_named: unit.is_some(),
            forms: rules.encoding(&column.name).map_or(of_all.forms, Forms::Encoded),
            ..of_all
        }
    }

    /// Whether the forms of JSONEachRow are accepted.
    pub fn is_lenient(&self) -> bool {
        self.forms == Forms::Lenient
    }

    /// How a string encodes the bytes of the column, if configured.
    pub fn encoding(&self) -> Option<Encoding> {
        match self.forms {
            Forms::Encoded(encoding) => Some(encoding),
            _ => None,
        }
    }

    /// The unit of a number in a value of this kind; `None` if not configured. A unit without a column's name applies
    /// to DateTime and DateTime64 only.
    pub fn unit_of(&self, kind: &Kind) -> Option<TimestampUnit> {
        let is_moment = matches!(kind, Kind::DateTime { .. } | Kind::DateTime64 { .. });
        self.unit.filter(|unit| (is_moment || self.is_unit_named) && unit.fits(kind))
    }
}

impl ColumnPlan {
    /// Joins a column of the table with the rules.
    pub fn new(column: &Column, schema: &TableSchema, rules: &Rules) -> Self {
        let is_in = |names: &[String]| names.iter().any(|name| **name == *column.name);
        let is_wide = is_in(&rules.datetime);
        let when_null = when_null(column, rules);
        let when_absent = match when_absent(column, &when_null) {
            // The server makes it as long as its siblings.
            _ if schema.has_sibling(column) => WhenAbsent::LeftOut,
            // An INSERT names at least one column.
            WhenAbsent::LeftOut if schema.columns.len() == 1 => WhenAbsent::AsNull,
            when_absent => when_absent,
        };
        let source = rules.source(&column.name);
        let holds_bytes =
            matches!(source, ColumnSource::Metadata(Metadata::Key | Metadata::Headers))
                || rules.encoding(&column.name).is_some();
        let ty = column.ty.clone();
        Self {
            name: Arc::clone(&column.name),
            ty: if holds_bytes { ty.of_bytes() } else { ty },
            type_text: column.type_text.clone(),
            source,
            on_invalid: rules.on_invalid(&column.name),
            is_required: is_in(&rules.required),
            when_null,
            when_absent,
            values: ValueRules { is_wide, ..ValueRules::of_column(column, schema, rules) },
        }
    }
}

/// What becomes of an absent field of a column whose nulls are treated as `when_null`.
fn when_absent(column: &Column, when_null: &WhenNull) -> WhenAbsent {
    match (&column.ty.kind, when_null) {
        (Kind::Enum(labels, _), WhenNull::Reject) if column.default.is_none() => {
            // ClickHouse lists labels by number, and defaults to the lowest.
            labels.first().map_or(WhenAbsent::LeftOut, |label| WhenAbsent::Text((**label).into()))
        }
        (Kind::Json(_), WhenNull::Reject) if column.default.is_none() => {
            WhenAbsent::Text("{}".into())
        }
        (_, WhenNull::Reject) => WhenAbsent::LeftOut,
        _ => WhenAbsent::AsNull,
    }
}

/// What becomes of an absent or null field of a column; for an absent one see [`WhenAbsent`] too.
pub fn when_null(column: &Column, rules: &Rules) -> WhenNull {
    let is_in = |names: &[String]| names.iter().any(|name| **name == *column.name);
    let (is_datetime, is_string_enum) = (is_in(&rules.datetime), is_in(&rules.string_enum));
    let default = column.default.as_deref();
    match &column.ty.kind {
        _ if column.ty.is_nullable => WhenNull::Keep,
        _ if is_datetime => WhenNull::Epoch,
        Kind::String if is_string_enum => WhenNull::Label(DEFAULT_LABEL.into()),
        // The server refuses a null Enum even if the column has a DEFAULT.
        Kind::Enum(labels, _) => {
            let holds = |label: &String| labels.iter().any(|held| **held == **label);
            let wanted = is_string_enum.then(|| DEFAULT_LABEL.to_owned()).filter(holds);
            match wanted.or_else(|| default.and_then(text_literal).filter(holds)) {
                Some(label) => WhenNull::Label(label.into()),
                None => WhenNull::Reject,
            }
        }
        // The server makes a null Array, Map or Tuple empty, or zeros, whatever the DEFAULT is.
        Kind::Array(_) if !default.is_none_or(is_empty_array) => WhenNull::Reject,
        Kind::Map(..) if !default.is_none_or(is_empty_map) => WhenNull::Reject,
        Kind::Tuple(elements) if default.is_some() || refuses_null(elements) => WhenNull::Reject,
        // The server reads a null as an empty text, which is not JSON.
        Kind::Json(_) => default
            .and_then(text_literal)
            .map_or(WhenNull::Reject, |label| WhenNull::Label(label.into())),
        _ if column.ty.is_text => as_text(&column.ty.kind, default),
        _ => WhenNull::ServerDefault,
    }
}

/// The DEFAULT, or the zero, of a column whose values go out as text.
fn as_text(kind: &Kind, default: Option<&str>) -> WhenNull {
    let label = match (kind, default) {
        (Kind::Uuid, None) => Some(uuid::Uuid::nil().to_string()),
        (Kind::Uuid, Some(default)) => text_literal(default),
        (_, None) => Some("0".into()),
        (_, Some(default)) => integer_literal(default),
    };
    label.map_or(WhenNull::Reject, |label| WhenNull::Label(label.into()))
}

/// Whether a null of this Tuple implies a null of an element that the server refuses.
fn refuses_null(elements: &[Element]) -> bool {
    elements.iter().any(|element| match &element.ty.kind {
        _ if element.ty.is_nullable => false,
        Kind::Enum(..) | Kind::Json(_) => true,
        Kind::Tuple(elements) => refuses_null(elements),
        _ => element.ty.is_text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::ColumnRow;

    fn plan(columns: &[(&str, &str, &str)], rules: &Rules) -> Result<TablePlan, Vec<PlanError>> {
        let rows = columns.iter().map(|(name, ty, default)| ColumnRow {
            name: (*name).into(),
            ty: (*ty).into(),
            default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
            default_expression: (*default).into(),
        });
        TablePlan::new(&TableSchema::from_rows("d", "t", "UTC", rows).unwrap(), rules)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_null_follows_the_rule_of_its_column() {
        let label = |label: &str| WhenNull::Label(label.into());
        let table = [
            ("a", "Nullable(Int8)", "", WhenNull::Keep),
            ("b", "Int8", "", WhenNull::ServerDefault),
            ("c", "Int8", "a * 2", WhenNull::ServerDefault),
            ("d", "Enum8('x' = 1)", "", WhenNull::Reject),
            ("e", "Enum8('x' = 1)", "'x'", label("x")),
            ("f", "Enum8('x' = 1)", "lower('X')", WhenNull::Reject),
            ("g", "Array(Int8)", "", WhenNull::ServerDefault),
            ("h", "Array(Int8)", "[]", WhenNull::ServerDefault),
            ("i", "Array(Int8)", "[1]", WhenNull::Reject),
            ("j", "Map(String, Int8)", "", WhenNull::ServerDefault),
            ("k", "Map(String, Int8)", "map()", WhenNull::ServerDefault),
            ("l", "Map(String, Int8)", "map('a', 1)", WhenNull::Reject),
            ("m", "Tuple(a Int8, b Date)", "", WhenNull::ServerDefault),
            ("n", "Tuple(a Int8)", "tuple(0)", WhenNull::Reject),
            ("o", "Tuple(Tuple(e Enum8('x' = 1)))", "", WhenNull::Reject),
            ("p", "Tuple(e Nullable(Enum8('x' = 1)))", "", WhenNull::ServerDefault),
            ("q", "Tuple(e Array(Enum8('x' = 1)))", "", WhenNull::ServerDefault),
            ("r", "Nullable(Tuple(e Enum8('x' = 1)))", "tuple('x')", WhenNull::Keep),
            ("v", "Variant(Int8, String)", "", WhenNull::Keep),
            ("y", "Dynamic", "7", WhenNull::Keep),
            ("vt", "Tuple(v Dynamic)", "", WhenNull::ServerDefault),
            ("js", "JSON", "", WhenNull::Reject),
            ("jt", "JSON", r#"'{"a":1}'"#, label(r#"{"a":1}"#)),
            ("ju", "JSON", "toJSONString(a)", WhenNull::Reject),
            ("jn", "Nullable(JSON)", "", WhenNull::Keep),
            ("jo", "Tuple(j JSON)", "", WhenNull::Reject),
            ("lu", "LowCardinality(UUID)", "", label("00000000-0000-0000-0000-000000000000")),
            ("lv", "LowCardinality(UUID)", "'x'", label("x")),
            ("lw", "LowCardinality(UUID)", "generateUUIDv4()", WhenNull::Reject),
            ("li", "LowCardinality(Int128)", "", label("0")),
            ("lj", "LowCardinality(Int128)", "-7", label("-7")),
            ("lk", "LowCardinality(Int128)", "toInt128(7)", WhenNull::Reject),
            ("ln", "LowCardinality(Nullable(UUID))", "", WhenNull::Keep),
            ("lt", "Tuple(u LowCardinality(UUID))", "", WhenNull::Reject),
            ("iu", "UUID", "", WhenNull::ServerDefault),
            ("ii", "Int256", "a * 2", WhenNull::ServerDefault),
            ("dt", "DateTime", "now()", WhenNull::Epoch),
            ("dn", "Nullable(DateTime)", "", WhenNull::Keep),
            ("s", "LowCardinality(String)", "'x'", label("DEFAULT")),
            ("s1", "Enum8('DEFAULT' = 1, 'x' = 2)", "'x'", label("DEFAULT")),
            ("s2", "Enum8('x' = 2)", "'x'", label("x")),
            ("s3", "Nullable(String)", "", WhenNull::Keep),
        ];
        let columns: Vec<_> = table.iter().map(|(name, ty, d, _)| (*name, *ty, *d)).collect();
        let rules = Rules {
            datetime: names(&["dt", "dn"]),
            string_enum: names(&["s", "s1", "s2", "s3"]),
            ..Rules::default()
        };
        let plan = plan(&columns, &rules).unwrap();
        for (column, (name, .., expected)) in plan.columns.iter().zip(table) {
            assert_eq!(column.when_null, expected, "column {name}");
        }
    }

    #[test]
    fn an_absent_field_of_a_column_that_refuses_a_null_is_what_the_server_puts() {
        let text = |text: &str| WhenAbsent::Text(text.into());
        let table = [
            ("a", "Enum8('n' = -3, 'x' = 1)", "", text("n")),
            ("b", "Enum8('x' = 1)", "lower('X')", WhenAbsent::LeftOut),
            ("c", "JSON(a UInt8)", "", text("{}")),
            ("d", "JSON", "toJSONString(a)", WhenAbsent::LeftOut),
            ("e", "Array(Int8)", "[1]", WhenAbsent::LeftOut),
            ("f", "Tuple(j JSON)", "", WhenAbsent::LeftOut),
            ("g", "Enum8('x' = 1)", "'x'", WhenAbsent::AsNull),
            ("h", "Int8", "", WhenAbsent::AsNull),
            ("n.a", "Array(Int8)", "", WhenAbsent::LeftOut),
            ("n.b", "Array(Int8)", "", WhenAbsent::LeftOut),
            ("m.a", "Array(Int8)", "", WhenAbsent::AsNull),
        ];
        let columns: Vec<_> = table.iter().map(|(name, ty, d, _)| (*name, *ty, *d)).collect();
        let several = plan(&columns, &Rules::default()).unwrap();
        for (column, (name, .., expected)) in several.columns.iter().zip(table) {
            assert_eq!(column.when_absent, expected, "column {name}");
        }
        let alone = plan(&[("e", "Array(Int8)", "[1]")], &Rules::default()).unwrap();
        assert_eq!(alone.columns[0].when_absent, WhenAbsent::AsNull);
    }

    #[test]
    fn a_rule_on_a_column_that_no_record_fills_says_why() {
        let row = |name: &str, default_kind: &str| ColumnRow {
            name: name.into(),
            ty: "Int8".into(),
            default_kind: default_kind.into(),
            default_expression: "1".into(),
        };
        let rows = [row("id", "DEFAULT"), row("twice", "MATERIALIZED")];
        let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
        let rules = Rules { required: names(&["twice"]), ..Rules::default() };
        let errors = TablePlan::new(&schema, &rules).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "REQUIRED_COLUMNS: `twice` is a column that no record fills \
             (MATERIALIZED: ClickHouse computes it)"
        );
    }

    #[test]
    fn a_column_may_not_be_required_and_replaced() {
        let of = |on_invalid| {
            let on_invalid = vec![("n".to_owned(), on_invalid)];
            let rules = Rules { required: names(&["id", "n"]), on_invalid, ..Rules::default() };
            plan(&[("id", "Int8", ""), ("n", "Nullable(Int8)", "")], &rules)
        };
        let errors = of(OnInvalid::Null).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "REQUIRED_COLUMNS and COLUMN_ON_INVALID: `n` is named by both: a value that is replaced is \
             null, and its record rejected; take it out of one"
        );
        assert!(of(OnInvalid::Reject).is_ok());
    }

    #[test]
    fn a_rule_that_fits_no_column_is_named_with_the_near_miss() {
        let rules = Rules {
            required: names(&["craeted", "zzzzzzzz"]),
            datetime: names(&["id"]),
            string_enum: names(&["id"]),
            ..Rules::default()
        };
        let columns = [("id", "Int8", ""), ("created", "DateTime", "")];
        let errors = plan(&columns, &rules).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "REQUIRED_COLUMNS: `craeted` is no column of `t`; did you mean `created`?",
                "REQUIRED_COLUMNS: `zzzzzzzz` is no column of `t`",
                "DATETIME_COLUMNS: `id` is of type Int8, expected a date or time",
                "STRING_ENUM_COLUMNS: `id` is of type Int8, expected String or Enum",
            ]
        );
    }
}
