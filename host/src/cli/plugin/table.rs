//! A table from a file, for a plugin on decoded rows that is tested without ClickHouse.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::schema::plan::{Rules, TablePlan};
use crate::schema::quoted::leading_name;
use crate::schema::table::{ColumnRow, TableSchema};

const DEFAULT: &str = " DEFAULT ";

/// Reads one column a line: `name Type`, optionally with `DEFAULT expression`. Ignores empty lines,
/// lines that begin with `--`, and a comma at the end of a line.
///
/// # Errors
/// An invalid line, or a type that records cannot fill.
pub fn read_table_file(path: &Path) -> anyhow::Result<TablePlan> {
    let place = || path.display().to_string();
    parse(&std::fs::read_to_string(path).with_context(place)?).with_context(place)
}

fn parse(text: &str) -> anyhow::Result<TablePlan> {
    let lines = (1..).zip(text.lines().map(|line| line.trim().trim_end_matches(',').trim_end()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("--"));
    let rows = lines.map(|(at, line)| {
        column(line).with_context(|| format!("line {at}: expected `name Type`, found `{line}`"))
    });
    let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!rows.is_empty(), "no column");
    let schema = TableSchema::from_rows("default", "table", "UTC", rows)?;
    // Without rules, none can fail to fit.
    TablePlan::new(&schema, &Rules::default()).map_err(|_| anyhow::anyhow!("no plan"))
}

fn column(line: &str) -> Option<ColumnRow> {
    let (name, ty) = leading_name(line)?;
    let (ty, default) = ty.split_once(DEFAULT).unwrap_or((ty, ""));
    let default_kind = if default.is_empty() { "" } else { DEFAULT.trim() };
    Some(ColumnRow {
        name,
        ty: ty.trim().to_owned(),
        default_kind: default_kind.to_owned(),
        default_expression: default.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_column_a_line() {
        let plan = parse(
            "-- of the table\nid UInt64,\n\n`a b` LowCardinality(String) DEFAULT 'x'\nm Map(String, Int8)",
        );
        let plan = plan.unwrap();
        let columns: Vec<_> =
            plan.columns.iter().map(|column| (&*column.name, &*column.type_text)).collect();
        assert_eq!(
            columns,
            [("id", "UInt64"), ("a b", "LowCardinality(String)"), ("m", "Map(String, Int8)")]
        );
    }

    #[test]
    fn a_line_that_is_no_column_is_named() {
        let error = |text| format!("{:#}", parse(text).unwrap_err());
        assert_eq!(error("id UInt64\n???"), "line 2: expected `name Type`, found `???`");
        assert!(error("a Sometype").contains("Sometype"));
        assert_eq!(error("\n"), "no column");
    }
}
