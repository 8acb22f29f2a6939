//! The columns of a table that records fill.

use std::sync::Arc;

use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::types::{self, Type, TypeError};

/// A row of `system.columns`.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct ColumnRow {
    pub name: String,
    pub ty: String,
    pub default_kind: String,
    pub default_expression: String,
}

/// A table as far as records are concerned. Immutable.
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
    /// Columns that no record fills, since their type is not supported and they have a DEFAULT.
    pub left_out: Vec<String>,
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
    /// The DEFAULT expression, where there is one.
    pub default: Option<String>,
}

/// Everything that keeps a table from being filled, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct TableErrors(pub Vec<String>);

impl TableSchema {
    /// Reads the rows of `system.columns` in the order of their position. MATERIALIZED and ALIAS
    /// columns are the server's own and are passed over.
    ///
    /// # Errors
    /// Every column that cannot be filled and cannot be left out, with its type.
    pub fn from_rows(
        database: &str,
        table: &str,
        server_zone: &str,
        rows: impl IntoIterator<Item = ColumnRow>,
    ) -> Result<Self, TableErrors> {
        let (mut columns, mut left_out, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let mut digest = Sha256::new_with_prefix(server_zone);
        for row in rows {
            for part in [&row.name, &row.ty, &row.default_kind, &row.default_expression] {
                digest.update(part.as_bytes());
                digest.update([0]);
            }
            if !["", "DEFAULT", "EPHEMERAL"].contains(&row.default_kind.as_str()) {
                continue;
            }
            match types::parse(&row.ty) {
                Ok(ty) => columns.push(Column {
                    name: row.name.into(),
                    ty,
                    type_text: row.ty,
                    default: (row.default_kind == "DEFAULT").then_some(row.default_expression),
                }),
                Err(TypeError::Unsupported(_)) if !row.default_kind.is_empty() => {
                    left_out.push(row.name);
                }
                Err(TypeError::Unsupported(part)) => errors.push(format!(
                    "column `{}`: type `{part}` is not supported yet; give the column a DEFAULT \
                     and it is left out",
                    row.name
                )),
                Err(error) => errors.push(format!("column `{}`: {error}", row.name)),
            }
        }
        let server_zone = server_zone.parse().unwrap_or_else(|_| {
            errors.push(format!("the server's time zone `{server_zone}` is unknown"));
            Tz::UTC
        });
        if columns.is_empty() && errors.is_empty() {
            errors.push("no column can be filled".into());
        }
        if !errors.is_empty() {
            return Err(TableErrors(errors));
        }
        let fingerprint = hex::encode(digest.finalize());
        let (database, table) = (database.to_owned(), table.to_owned());
        Ok(Self { database, table, server_zone, columns, left_out, fingerprint })
    }
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
    fn computed_columns_are_passed_over_and_others_left_out_by_their_default() {
        let schema = TableSchema::from_rows(
            "d",
            "t",
            "UTC",
            [
                row("a", "Int8", "", ""),
                row("b", "Int8", "MATERIALIZED", "a + 1"),
                row("c", "Int8", "ALIAS", "a"),
                row("d", "IPv4", "DEFAULT", "toIPv4('127.0.0.1')"),
                row("e", "Int8", "EPHEMERAL", "0"),
                row("f", "Int8", "DEFAULT", "a * 2"),
            ],
        )
        .unwrap();
        let names: Vec<_> = schema.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["a", "e", "f"]);
        assert_eq!(schema.left_out, ["d"]);
        assert_eq!(schema.columns[2].default.as_deref(), Some("a * 2"));
    }

    #[test]
    fn every_column_that_cannot_be_filled_is_named_at_once() {
        let rows = [row("a", "IPv4", "", ""), row("b", "Int8", "", ""), row("c", "JSON", "", "")];
        let errors = TableSchema::from_rows("d", "t", "Moon/Sea", rows).unwrap_err().0;
        assert_eq!(errors.len(), 3);
        assert!(errors[0].contains("`a`") && errors[0].contains("IPv4"));
        assert!(errors[2].contains("Moon/Sea"));
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
