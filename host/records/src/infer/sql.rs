//! Writes the statements, with the evidence as comments.

use super::evidence::evidence;
use super::remark::remark;
use super::{Column, MAX_FIELDS, Survey};
use crate::schema::quoted::identifier;

/// Widest declaration to which comments are aligned.
const MAX_WIDTH: usize = 60;
/// Most characters of a name, or of a reason, in a comment.
const SHOWN: usize = 200;

/// CREATE TABLE for the columns; `None` if there are none. `table` is the name in SQL, `origin` the
/// source of the records, `unfilled` the number of records that fill no column.
pub fn create_table(
    table: &str,
    origin: &str,
    survey: &Survey,
    columns: &[Column],
    unfilled: u64,
) -> Option<String> {
    let declarations: Vec<String> = columns.iter().filter_map(declaration).collect();
    if declarations.is_empty() {
        return None;
    }
    let (records, origin) = (super::records(survey.records()), remark(origin, SHOWN));
    let lands = match unfilled {
        0 => "all of them land in this table".to_owned(),
        _ => format!(
            "all of them land in this table, but for {unfilled} that fill no column (UNFILLED_RECORDS)"
        ),
    };
    let mut lines = vec![
        format!("-- Inferred from {records} of {origin}: {lands}."),
        format!("CREATE TABLE {table}"),
        "(".to_owned(),
    ];
    lines.extend(lined_up(declarations, "", survey, columns));
    lines.extend(left_out(survey, columns).iter().map(|remark| format!("    -- {remark}")));
    let (key, why) = order_by(columns);
    lines.extend([
        ")".to_owned(),
        "ENGINE = MergeTree".to_owned(),
        "-- ORDER BY is the one decision that is yours, and cannot be changed later: put first what"
            .to_owned(),
        format!("-- queries filter by. {why}"),
        format!("ORDER BY {key};\n"),
    ]);
    Some(lines.join("\n"))
}

/// ALTER TABLE for columns missing in a table; empty if there are none.
pub fn alter_table(table: &str, survey: &Survey, columns: &[Column]) -> String {
    let add = |column: &Column| declaration(column).map(|text| format!("ADD COLUMN {text}"));
    let declarations: Vec<String> = columns.iter().filter_map(add).collect();
    let mut lines = Vec::new();
    if !declarations.is_empty() {
        lines.push(format!("ALTER TABLE {table}"));
        lines.extend(lined_up(declarations, ";", survey, columns));
    }
    lines.extend(left_out(survey, columns).iter().map(|remark| format!("-- {remark}")));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn declaration(column: &Column) -> Option<String> {
    let default = column.default().map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
    Some(format!("{} {}{default}", identifier(&column.name), column.type_text()?))
}

/// A line for each declaration, with its column's evidence; `end` follows the last.
fn lined_up(
    declarations: Vec<String>,
    end: &str,
    survey: &Survey,
    columns: &[Column],
) -> Vec<String> {
    let width = |text: &String| text.chars().count() + 1;
    let widest = declarations.iter().map(width).filter(|width| *width <= MAX_WIDTH).max();
    let (widest, last) = (widest.unwrap_or(0), declarations.len());
    let typed = columns.iter().filter(|column| column.type_text().is_some());
    let line = |((at, declaration), column): ((usize, String), &Column)| {
        let behind = if at == last { end } else { "," };
        let declared = format!("{declaration}{behind}");
        format!("    {declared:<widest$}  -- {}", evidence(column, survey.records()))
    };
    (1..).zip(declarations).zip(typed).map(line).collect()
}

/// The reasons of fields without a column.
fn left_out(survey: &Survey, columns: &[Column]) -> Vec<String> {
    let refused = columns.iter().filter(|column| column.type_text().is_none());
    let line = |column: &Column| {
        let (name, why) = (remark(&column.name, SHOWN), remark(&column.why, SHOWN));
        format!("left out: \"{name}\": {why} ({})", evidence(column, survey.records()))
    };
    let mut lines: Vec<String> = refused.map(line).collect();
    if survey.passed_over > 0 {
        let values = survey.passed_over;
        lines.push(format!("left out: {values} values of fields beyond the first {MAX_FIELDS}"));
    }
    lines
}

/// The sorting key, and its reason.
fn order_by(columns: &[Column]) -> (String, &'static str) {
    let of = |prefix: &str| {
        columns.iter().find(|column| {
            column.is_everywhere() && column.type_text().is_some_and(|ty| ty.starts_with(prefix))
        })
    };
    if let Some(column) = of("DateTime64") {
        return (identifier(&column.name), "This is the first time that every record has.");
    }
    match of("Date32") {
        Some(column) => (identifier(&column.name), "This is the first date that every record has."),
        None => ("tuple()".to_owned(), "No date or time is in every record, so nothing is sorted."),
    }
}
