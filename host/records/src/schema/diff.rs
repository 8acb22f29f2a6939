//! The differences of a table that was read again, in words for the log.

use std::collections::BTreeMap;

use super::table::TableSchema;

/// Every column added, removed or changed, by name. Defaults are not shown: their expressions may hold secrets.
pub fn changes(before: &TableSchema, after: &TableSchema) -> Vec<String> {
    let (mut was, is) = (columns(before), columns(after));
    let mut changes = Vec::new();
    for (name, now) in is {
        match was.remove(name) {
            None => changes.push(format!("column `{name}` added: {}", now.type_text)),
            Some(then) => changes.extend(then.changes(&now, name)),
        }
    }
    changes.extend(was.into_keys().map(|name| format!("column `{name}` dropped")));
    if names(before, after) != names(after, before) {
        changes.push("columns stand in another order".to_owned());
    }
    if before.server_zone != after.server_zone {
        let (then, now) = (before.server_zone, after.server_zone);
        changes.push(format!("the server's time zone was {then} and is {now}"));
    }
    changes
}

/// The columns to fill that the other table has too, in their order.
fn names<'a>(of: &'a TableSchema, other: &TableSchema) -> Vec<&'a str> {
    let is_shared = |name: &&str| other.columns.iter().any(|column| *column.name == **name);
    of.columns.iter().map(|column| &*column.name).filter(is_shared).collect()
}

struct SeenColumn<'a> {
    type_text: &'a str,
    default: Option<&'a str>,
    left_out: Option<&'a str>,
}

impl SeenColumn<'_> {
    fn changes(&self, now: &Self, name: &str) -> Vec<String> {
        let mut changes = Vec::new();
        if self.type_text != now.type_text {
            changes
                .push(format!("column `{name}` was {} and is {}", self.type_text, now.type_text));
        }
        match (self.left_out, now.left_out) {
            (None, Some(why)) => changes.push(format!("column `{name}` is left out: {why}")),
            (Some(_), None) => changes.push(format!("column `{name}` is filled now")),
            _ if self.default != now.default => {
                let what = match (self.default, now.default) {
                    (None, _) => "has a DEFAULT now",
                    (_, None) => "has no DEFAULT any more",
                    _ => "has another DEFAULT",
                };
                changes.push(format!("column `{name}` {what}"));
            }
            _ => {}
        }
        changes
    }
}

fn columns(schema: &TableSchema) -> BTreeMap<&str, SeenColumn<'_>> {
    let filled = schema.columns.iter().map(|column| {
        let (type_text, default) = (&*column.type_text, column.default.as_deref());
        (&*column.name, SeenColumn { type_text, default, left_out: None })
    });
    let left_out = schema.left_out.iter().map(|column| {
        let (type_text, left_out) = (&*column.type_text, Some(&*column.why));
        (&*column.name, SeenColumn { type_text, default: None, left_out })
    });
    filled.chain(left_out).collect()
}

#[cfg(test)]
mod tests {
    use super::super::table::ColumnRow;
    use super::*;

    fn table(columns: &[(&str, &str, &str, &str)]) -> TableSchema {
        let row = |(name, ty, kind, default): &(&str, &str, &str, &str)| ColumnRow {
            name: (*name).into(),
            ty: (*ty).into(),
            default_kind: (*kind).into(),
            default_expression: (*default).into(),
        };
        TableSchema::from_rows("d", "t", "UTC", columns.iter().map(row)).unwrap()
    }

    #[test]
    fn a_table_that_is_as_it_was_has_no_changes() {
        let table = table(&[("a", "UInt8", "", ""), ("b", "UInt8", "MATERIALIZED", "a")]);
        assert!(changes(&table, &table).is_empty());
    }

    #[test]
    fn each_column_that_is_otherwise_is_told_in_one_line() {
        let before = table(&[
            ("gone", "String", "", ""),
            ("made", "UInt8", "", ""),
            ("retyped", "UInt8", "", ""),
            ("with", "UInt8", "", ""),
            ("without", "UInt8", "DEFAULT", "7"),
            ("other", "UInt8", "DEFAULT", "7"),
        ]);
        let after = table(&[
            ("made", "UInt8", "MATERIALIZED", "1"),
            ("new", "Array(String)", "", ""),
            ("other", "UInt8", "DEFAULT", "'secret'"),
            ("retyped", "UInt16", "", ""),
            ("with", "UInt8", "DEFAULT", "7"),
            ("without", "UInt8", "", ""),
        ]);
        let expected = [
            "column `made` is left out: MATERIALIZED: ClickHouse computes it",
            "column `new` added: Array(String)",
            "column `other` has another DEFAULT",
            "column `retyped` was UInt8 and is UInt16",
            "column `with` has a DEFAULT now",
            "column `without` has no DEFAULT any more",
            "column `gone` dropped",
            "columns stand in another order",
        ];
        assert_eq!(changes(&before, &after), expected);
        let zone = TableSchema { server_zone: chrono_tz::Europe::Berlin, ..before.clone() };
        let expected = ["the server's time zone was UTC and is Europe/Berlin"];
        assert_eq!(changes(&before, &zone), expected);
    }
}
