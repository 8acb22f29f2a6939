//! Names of fields that cannot be columns, alone or beside others.

use super::Column;
use super::choose::Choice;
use crate::schema::table::TableSchema;
use crate::schema::types::Kind;

/// Why ClickHouse accepts no column of this name; `None` if it does.
pub fn refused(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("ClickHouse takes no column without a name"),
        "_row_exists" | "_block_number" | "_block_offset" => {
            Some("ClickHouse keeps the name for itself")
        }
        _ => None,
    }
}

/// In ClickHouse, `a.b` is a part of a column `a`, and arrays `n.a` and `n.b` are parts of one Nested
/// with equal lengths. Leaves out columns that conflict with earlier ones, or with those that are
/// `there`.
pub fn part_dotted(columns: &mut [Column], there: Option<&TableSchema>) {
    let typed = columns.iter().filter(|column| column.type_text().is_some());
    let mut names: Vec<String> = typed.map(|column| column.name.to_string()).collect();
    let mut nested: Vec<String> = Vec::new();
    if let Some(table) = there {
        names.extend(table.columns.iter().map(|column| column.name.to_string()));
        names.extend(table.left_out.iter().map(|column| column.name.clone()));
        let arrays = table.columns.iter().filter(|column| matches!(column.ty.kind, Kind::Array(_)));
        nested.extend(arrays.filter_map(|column| first_part(&column.name)));
    }
    for column in columns {
        let name = column.name.clone();
        let mut parts = name.match_indices('.').filter_map(|(at, _)| name.get(..at));
        if let Some(whole) = parts.find(|part| names.iter().any(|name| name == part)) {
            column.refuse(|| format!("ClickHouse takes it for a part of `{whole}`"), |_| true);
            continue;
        }
        let Some(part) = first_part(&name).filter(|_| column.choices.first().is_some_and(is_array))
        else {
            continue;
        };
        if nested.contains(&part) {
            let why = || format!("ClickHouse takes it and another array `{part}.` for one Nested");
            column.refuse(why, is_array);
        } else {
            nested.push(part);
        }
    }
}

/// The name of the Nested that a column may belong to.
fn first_part(name: &str) -> Option<String> {
    let (part, rest) = name.split_once('.')?;
    (!part.is_empty() && !rest.is_empty()).then(|| part.to_owned())
}

fn is_array(choice: &Choice) -> bool {
    choice.text.starts_with("Array(")
}
