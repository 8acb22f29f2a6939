//! The columns of a table that records fill.

use std::sync::Arc;

use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::nested::structure;
use super::types::{self, Kind, MAX_PARTS, Type, TypeCount, TypeError};

/// A row of `system.columns`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ColumnRow {
    pub name: String,
    pub ty: String,
    pub default_kind: String,
    pub default_expression: String,
}

/// The parts of a table that matter to records. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// The zone of date texts without an offset, where the column has none of its own.
    pub server_zone: Tz,
    /// The columns to fill, in the table's order.
    pub columns: Vec<Column>,
    /// Columns that no record fills.
    pub left_out: Vec<LeftOut>,
    /// Changes with every name, type and default of the columns.
    pub fingerprint: String,
}

/// A column to fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name; a record's field of the same name fills it.
    pub name: Arc<str>,
    /// The type.
    pub ty: Type,
    /// The type as ClickHouse prints it.
    pub type_text: String,
    /// The DEFAULT expression, if any; that of an EPHEMERAL column too.
    pub default: Option<String>,
}

/// A column that no record fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The name.
    pub name: String,
    /// The type as ClickHouse prints it.
    pub type_text: String,
    /// Why.
    pub why: String,
}

impl Column {
    fn structure(&self) -> Option<&str> {
        structure(&self.name, &self.ty.kind)
    }
}

/// Everything that prevents a table from being filled, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct TableErrors(pub Vec<String>);

impl TableSchema {
    /// Reads the rows of `system.columns` in the order of their position. Leaves out MATERIALIZED and ALIAS columns,
    /// which the server computes.
    ///
    /// # Errors
    /// Every column that can neither be filled nor left out, with its type.
    pub fn from_rows(
        database: &str,
        table: &str,
        server_zone: &str,
        rows: impl IntoIterator<Item = ColumnRow>,
    ) -> Result<Self, TableErrors> {
        let (schema, errors) = Self::survey(database, table, server_zone, rows);
        if errors.is_empty() { Ok(schema) } else { Err(TableErrors(errors)) }
    }

    /// The same for a table that may not be fit to fill: returns the part that is, and everything that prevents the
    /// rest. Columns at fault are left out.
    pub fn survey(
        database: &str,
        table: &str,
        server_zone: &str,
        rows: impl IntoIterator<Item = ColumnRow>,
    ) -> (Self, Vec<String>) {
        let (mut columns, mut left_out, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let mut digest = Sha256::new_with_prefix(server_zone);
        let parts = TypeCount::default();
        for (at, row) in rows.into_iter().enumerate() {
            if at >= MAX_PARTS || parts.is_full() {
                errors.push(format!("the columns have more than {MAX_PARTS} types"));
                break;
            }
            for part in [&row.name, &row.ty, &row.default_kind, &row.default_expression] {
                digest.update(part.as_bytes());
                digest.update([0]);
            }
            let is_filled = ["", "DEFAULT", "EPHEMERAL"].contains(&row.default_kind.as_str());
            let ty = if is_filled {
                types::parse_as_part(&row.ty, &parts).map_err(|error| {
                    errors.extend(problem(&row, &error));
                    error.to_string()
                })
            } else {
                Err(format!("{}: ClickHouse computes it", row.default_kind))
            };
            match ty {
                Ok(ty) => columns.push(Column {
                    name: row.name.into(),
                    ty,
                    type_text: row.ty,
                    // ClickHouse prints an EPHEMERAL column without an expression of its own like this.
                    default: Some(row.default_expression).filter(|expression| {
                        !expression.is_empty() && !expression.starts_with("defaultValueOfTypeName(")
                    }),
                }),
                Err(why) => left_out.push(LeftOut { name: row.name, type_text: row.ty, why }),
            }
        }
        let server_zone = server_zone.parse().unwrap_or_else(|_| {
            errors.push(format!("the server's time zone `{server_zone}` is unknown"));
            Tz::UTC
        });
        if columns.is_empty() && errors.is_empty() {
            errors.push("no column can be filled".into());
        }
        let fingerprint = hex::encode(digest.finalize());
        let (database, table) = (database.to_owned(), table.to_owned());
        (Self { database, table, server_zone, columns, left_out, fingerprint }, errors)
    }

    /// Whether a column, or anything within one, is of this kind.
    pub fn holds(&self, is_wanted: fn(&Kind) -> bool) -> bool {
        self.columns.iter().any(|column| column.ty.holds(is_wanted))
    }

    /// Whether the column is an array of a Nested structure that has another column to fill.
    pub fn has_sibling(&self, column: &Column) -> bool {
        let is_other = |other: &Column| other.name != column.name;
        let structure = column.structure();
        let is_sibling = |other: &Column| is_other(other) && other.structure() == structure;
        structure.is_some() && self.columns.iter().any(is_sibling)
    }

    /// Why no record fills a column of the table; `None` if one does, or there is no such column.
    pub fn why_not_filled(&self, name: &str) -> Option<String> {
        let column = self.left_out.iter().find(|column| column.name == name)?;
        Some(format!("is a column that no record fills ({})", column.why))
    }
}

/// What prevents a column of this type from being filled, unless it may be left out.
fn problem(row: &ColumnRow, error: &TypeError) -> Option<String> {
    let is_unsupported = matches!(error, TypeError::Unsupported { .. });
    if is_unsupported && !row.default_kind.is_empty() {
        return None;
    }
    let hint = if is_unsupported { "; give the column a DEFAULT and it is left out" } else { "" };
    Some(format!("column `{}`: {error}{hint}", row.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, ty: &str, default_kind: &str, default: &str) -> ColumnRow {
        ColumnRow {
            name: name.into(),
            ty: ty.into(),
            default_kind: default_kind.into(),
            default_expression: default.into(),
        }
    }

    #[test]
    fn computed_columns_are_left_out_and_others_by_their_default() {
        let schema = TableSchema::from_rows(
            "d",
            "t",
            "UTC",
            [
                row("a", "Int8", "", ""),
                row("b", "Int8", "MATERIALIZED", "a + 1"),
                row("c", "Int8", "ALIAS", "a"),
                row("d", "Geometry", "DEFAULT", "CAST((1, 2), 'Point')"),
                row("e", "Int8", "EPHEMERAL", "0"),
                row("f", "Int8", "DEFAULT", "a * 2"),
                row("g", "Array(Int8)", "EPHEMERAL", "defaultValueOfTypeName('Array(Int8)')"),
            ],
        )
        .unwrap();
        let names: Vec<_> = schema.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["a", "e", "f", "g"]);
        let left_out: Vec<_> = schema.left_out.iter().map(|l| (&*l.name, &*l.why)).collect();
        assert_eq!(
            left_out,
            [
                ("b", "MATERIALIZED: ClickHouse computes it"),
                ("c", "ALIAS: ClickHouse computes it"),
                ("d", "type `Geometry` is not supported"),
            ]
        );
        let defaults: Vec<_> = schema.columns.iter().map(|c| c.default.as_deref()).collect();
        assert_eq!(defaults, [None, Some("0"), Some("a * 2"), None]);
    }

    #[test]
    fn every_column_that_cannot_be_filled_is_named_at_once() {
        let rows =
            [row("a", "Geometry", "", ""), row("b", "Int8", "", ""), row("c", "Whatever", "", "")];
        let errors = TableSchema::from_rows("d", "t", "Moon/Sea", rows).unwrap_err().0;
        assert_eq!(errors.len(), 3);
        assert!(errors[0].contains("`a`") && errors[0].contains("Geometry"));
        assert!(errors[2].contains("Moon/Sea"));
        let (rest, _) = TableSchema::survey("d", "t", "UTC", [row("a", "Geometry", "", "")]);
        assert_eq!((rest.columns.len(), rest.left_out.len()), (0, 1));
    }

    #[test]
    fn columns_of_too_many_types_are_refused_before_they_are_made() {
        let tuple = |parts: usize| format!("Tuple({})", vec!["Int8"; parts].join(", "));
        let errors = |rows: Vec<ColumnRow>| {
            let (schema, errors) = TableSchema::survey("d", "t", "UTC", rows);
            assert!(schema.columns.len() <= MAX_PARTS);
            errors
        };
        assert_eq!(errors(vec![row("a", &tuple(15_000), "", "")]), [""; 0]);
        let found = errors(vec![row("a", &tuple(2_000_000), "", "")]);
        assert!(found[0].contains("column `a`") && found[0].len() < 500, "{found:?}");
        let both = vec![row("a", &tuple(15_000), "", ""), row("b", &tuple(15_000), "", "")];
        let found = errors(both);
        assert!(found[0].contains("column `b`") && found[0].contains("20000"), "{found:?}");
        for kind in ["", "ALIAS"] {
            let rows = |count| (0..count).map(|at| row(&format!("c{at}"), "Int8", kind, ""));
            assert_eq!(errors(rows(MAX_PARTS + 9).collect()).len(), 1);
        }
    }

    #[test]
    fn the_fingerprint_follows_names_types_and_defaults() {
        let of = |row| TableSchema::from_rows("d", "t", "UTC", [row]).unwrap().fingerprint;
        let base = of(row("a", "Int8", "", ""));
        assert_eq!(base, of(row("a", "Int8", "", "")));
        assert_ne!(base, of(row("a", "Int16", "", "")));
        assert_ne!(base, of(row("b", "Int8", "", "")));
        assert_ne!(base, of(row("a", "Int8", "DEFAULT", "1")));
    }
}
