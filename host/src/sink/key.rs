//! What the partition key of a table reads.

use std::collections::BTreeSet;

use crate::schema::quoted::identifier;
use crate::schema::table::ColumnRow;

/// A column that the server fills with another value each time, and that the partition key reads, be it by
/// way of other columns that the server fills.
pub fn volatile(partition_columns: &[String], columns: &[ColumnRow]) -> Option<String> {
    const VOLATILE: &[&str] = &[
        "now",
        "today",
        "yesterday",
        "rand",
        "generate",
        "uuid",
        "host",
        "server",
        "current",
        "query",
        // What they read changes.
        "dictget",
        "dicthas",
        "dictis",
        "joinget",
        "file(",
        "getsetting",
        "getmacro",
        "uptime",
    ];
    let mut open: Vec<&ColumnRow> = Vec::new();
    let is_key = |column: &&ColumnRow| partition_columns.contains(&column.name);
    open.extend(columns.iter().filter(is_key));
    let mut seen = BTreeSet::new();
    while let Some(column) = open.pop() {
        if !seen.insert(&column.name) {
            continue;
        }
        let expression = column.default_expression.to_ascii_lowercase();
        if VOLATILE.iter().any(|name| expression.contains(name)) {
            return Some(format!(
                "`{}` ({} {})",
                column.name, column.default_kind, column.default_expression
            ));
        }
        let is_read = |other: &&ColumnRow| names(&column.default_expression, &other.name);
        open.extend(columns.iter().filter(is_read));
    }
    None
}

/// Whether an expression holds this name, and not only as a part of another.
fn names(expression: &str, name: &str) -> bool {
    behind(expression, name).next().is_some()
}

/// Whether a key reads a part of the column alone, such as `tup.a`: the server tells of whole columns.
pub fn reads_part(key: &str, column: &str) -> bool {
    behind(key, column).any(|rest| rest.starts_with('.'))
        || key.contains(&format!("{}.", identifier(column)))
}

/// What follows this name wherever an expression holds it, and not only as a part of another.
fn behind<'a>(expression: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    expression.match_indices(name).filter_map(move |(at, name)| {
        let (before, after) = (expression.get(..at)?, expression.get(at + name.len()..)?);
        (!before.ends_with(is_of_name) && !after.starts_with(is_of_name)).then_some(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_key_may_not_read_what_changes() {
        let column = |name: &str, kind: &str, expression: &str| ColumnRow {
            name: name.into(),
            ty: "String".into(),
            default_kind: kind.into(),
            default_expression: expression.into(),
        };
        let columns = [
            column("id", "", ""),
            column("region", "MATERIALIZED", "dictGet('d', 'region', id)"),
            column("zone", "MATERIALIZED", "upper(region)"),
            column("half", "MATERIALIZED", "intDiv(id, 2)"),
            column("at", "DEFAULT", "now()"),
            column("i", "", ""),
            column("d", "DEFAULT", "today()"),
            column("day", "DEFAULT", "toDate(i)"),
        ];
        let of = |name: &str| volatile(&[name.to_owned()], &columns);
        let region = Some("`region` (MATERIALIZED dictGet('d', 'region', id))".to_owned());
        assert_eq!((of("region"), of("zone")), (region.clone(), region));
        assert_eq!(of("at").as_deref(), Some("`at` (DEFAULT now())"));
        assert_eq!((of("id"), of("half"), of("day")), (None, None, None));
    }

    #[test]
    fn a_key_may_read_a_part_of_a_column() {
        let key = "(tup.a, j.`k k`, length(arr), `a b`.`x y`, `n.a`, upper(plain))";
        let read = ["tup", "j", "a b", "up", "arr", "a", "plain", "n.a", "x"];
        let read: Vec<&str> = read.into_iter().filter(|name| reads_part(key, name)).collect();
        assert_eq!(read, ["tup", "j", "a b"]);
    }
}
