//! How each column of the table is filled.

use serde_json::{Value, json};

use crate::decode::forms;
use crate::schema::arrow::data_type;
use crate::schema::nested::Dotted;
use crate::schema::plan::{ColumnPlan, Rules, TablePlan, WhenAbsent, WhenNull};
use crate::schema::source::{ColumnSource, OnInvalid, escaped};
use crate::schema::table::{Column, TableSchema};

/// One column, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapping {
    name: String,
    type_text: String,
    fill: Result<Fill, String>,
}

/// How a column is filled.
#[derive(Debug, PartialEq, Eq)]
struct Fill {
    /// The Arrow type that is sent.
    sent_as: String,
    /// The JSON values that are accepted.
    takes: String,
    /// What happens if the field is absent or null.
    missing: String,
}

/// Every column: first those that records fill, then those that are left out. With plugins on
/// decoded rows, `asks` tells which columns are read from records.
pub fn mappings(schema: &TableSchema, rules: &Rules, asks: Option<&TablePlan>) -> Vec<Mapping> {
    let names = schema.columns.iter().map(|column| &*column.name);
    let dotted = Dotted::new(names, rules.ignores_case);
    let filled = schema.columns.iter().map(|column| {
        let plan = ColumnPlan::new(column, schema, rules);
        let asked = asks.and_then(|asks| asks.columns.iter().find(|c| c.name == column.name));
        let source = asked.map_or(&plan.source, |asked| &asked.source);
        Mapping {
            name: column.name.to_string(),
            type_text: column.type_text.clone(),
            fill: Ok(Fill {
                sent_as: data_type(&plan.ty).to_string(),
                takes: takes(source, &plan, &dotted),
                missing: missing(column, &plan, rules),
            }),
        }
    });
    let left_out = schema.left_out.iter().map(|column| Mapping {
        name: column.name.clone(),
        type_text: column.type_text.clone(),
        fill: Err(column.why.clone()),
    });
    filled.chain(left_out).collect()
}

fn takes(source: &ColumnSource, plan: &ColumnPlan, dotted: &Dotted) -> String {
    let forms = || match plan.on_invalid {
        OnInvalid::Reject => forms(&plan.ty, plan.values),
        other => {
            let forms = forms(&plan.ty, plan.values);
            format!("{forms}; else {} (COLUMN_ON_INVALID)", other.as_str())
        }
    };
    match source {
        ColumnSource::Name if dotted.is_parted(&plan.name) => {
            let steps: Vec<_> = plan.name.split('.').map(escaped).collect();
            format!("{}, from /{} too", forms(), steps.join("/"))
        }
        ColumnSource::Name => forms(),
        ColumnSource::Pointer(pointer) => format!("{}, from {pointer} (COLUMN_FROM)", forms()),
        ColumnSource::Metadata(what) => {
            format!("nothing: it is the record's {} (METADATA_COLUMNS)", what.as_str())
        }
        ColumnSource::Unknown => "the fields that fill no column (UNKNOWN_FIELDS)".into(),
        ColumnSource::Plugin => "nothing: a plugin gives it".into(),
    }
}

fn missing(column: &Column, plan: &ColumnPlan, rules: &Rules) -> String {
    if plan.is_required {
        return "rejected (REQUIRED_COLUMNS)".into();
    }
    let is_string_enum = rules.string_enum.iter().any(|name| **name == *column.name);
    match (&plan.when_null, &column.default) {
        (WhenNull::Keep, _) => "NULL".into(),
        (WhenNull::Epoch, _) => "1970-01-01 00:00:00 (DATETIME_COLUMNS)".into(),
        (WhenNull::Label(label), _) if is_string_enum => {
            format!("'{label}' (STRING_ENUM_COLUMNS)")
        }
        (WhenNull::Label(label), Some(_)) => format!("'{label}' (its DEFAULT)"),
        (WhenNull::ServerDefault, _) if plan.when_absent == WhenAbsent::LeftOut => {
            "as many elements as the others of its structure have".into()
        }
        (WhenNull::ServerDefault, Some(default)) => format!("DEFAULT {default}"),
        (WhenNull::ServerDefault | WhenNull::Label(_), None) => "the type's zero".into(),
        (WhenNull::Reject, default) => {
            let absent = match (&plan.when_absent, default) {
                (WhenAbsent::AsNull, _) => return "rejected".into(),
                (WhenAbsent::Text(text), _) => format!("'{text}'"),
                (WhenAbsent::LeftOut, Some(default)) => format!("DEFAULT {default}"),
                (WhenAbsent::LeftOut, None) => "the type's zero".into(),
            };
            format!("{absent}; a null is rejected")
        }
    }
}

impl Mapping {
    /// A row of text cells.
    pub fn cells(&self) -> Vec<String> {
        let start = [self.name.clone(), self.type_text.clone()];
        let rest = match &self.fill {
            Ok(fill) => [fill.sent_as.clone(), fill.takes.clone(), fill.missing.clone()],
            Err(why) => ["-".into(), "-".into(), format!("left out: {why}")],
        };
        start.into_iter().chain(rest).collect()
    }

    /// A JSON object.
    pub fn json(&self) -> Value {
        match &self.fill {
            Ok(fill) => json!({
                "name": self.name,
                "type": self.type_text,
                "sent_as": fill.sent_as,
                "takes": fill.takes,
                "missing": fill.missing,
            }),
            Err(why) => {
                json!({ "name": self.name, "type": self.type_text, "left_out": why })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::ColumnRow;

    fn row((name, ty, default): (&str, &str, &str)) -> ColumnRow {
        ColumnRow {
            name: name.into(),
            ty: ty.into(),
            default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
            default_expression: default.into(),
        }
    }

    #[test]
    fn each_column_says_what_goes_out_and_what_a_null_becomes() {
        let rows = [
            ("id", "UInt64", ""),
            ("n", "Nullable(Int8)", "5"),
            ("d", "DateTime64(3)", "now64()"),
            ("at", "DateTime", ""),
            ("s", "String", "'none'"),
            ("e", "Enum8('x' = 1)", "'x'"),
            ("f", "Enum8('x' = 1)", ""),
            ("u", "LowCardinality(UUID)", ""),
            ("a", "Array(Int8)", "[1]"),
            ("z", "Float64", ""),
            ("p.a", "Array(Int8)", ""),
            ("z.a", "Int8", ""),
            ("m", "Geometry", ""),
        ];
        let (schema, errors) = TableSchema::survey("d", "t", "UTC", rows.map(row));
        assert_eq!(errors.len(), 1);
        let only = |name: &str| vec![name.to_owned()];
        let rules = Rules {
            required: only("id"),
            datetime: only("at"),
            string_enum: only("s"),
            timestamp_unit: None,
            ..Rules::default()
        };
        let found = mappings(&schema, &rules, None);
        let found: Vec<String> = found.iter().map(|column| column.cells().join(" | ")).collect();
        insta::assert_snapshot!(found.join("\n"), @r"
        id | UInt64 | UInt64 | integer, or as string | rejected (REQUIRED_COLUMNS)
        n | Nullable(Int8) | Int8 | integer | NULL
        d | DateTime64(3) | Timestamp(ms) | time as string (UTC) | DEFAULT now64()
        at | DateTime | Timestamp(s) | time as string (UTC, more layouts) | 1970-01-01 00:00:00 (DATETIME_COLUMNS)
        s | String | Utf8 | string | 'DEFAULT' (STRING_ENUM_COLUMNS)
        e | Enum8('x' = 1) | Dictionary(Int32, Utf8) | label as string | 'x' (its DEFAULT)
        f | Enum8('x' = 1) | Dictionary(Int32, Utf8) | label as string | 'x'; a null is rejected
        u | LowCardinality(UUID) | Utf8 | UUID as string | the type's zero
        a | Array(Int8) | List(Int8) | array of: integer | DEFAULT [1]; a null is rejected
        z | Float64 | Float64 | number | the type's zero
        p.a | Array(Int8) | List(Int8) | array of: integer, from /p/a too | the type's zero
        z.a | Int8 | Int8 | integer | the type's zero
        m | Geometry | - | - | left out: type `Geometry` is not supported
        ");
    }
}
