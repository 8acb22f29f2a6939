//! Columns with changing values, and what a table's partition key reads.

use std::collections::{BTreeMap, BTreeSet};

use super::client::Server;
use super::functions::{SqlToken, called, changing, names_read, tokens};
use super::select::{Unnamed, deciding, unnamed};
use super::table::{Fed, TableFacts};
use crate::flow::hold::Hold;
use crate::schema::quoted::identifier;

/// Columns whose value changes when the same record is sent again, each with the reason.
pub type Changing = BTreeMap<String, String>;

/// The columns of a table that the server fills with changing values, directly or from other columns.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn changing_columns(server: &Server, facts: &TableFacts) -> Result<Changing, Hold> {
    let functions = changing(server, called_by_defaults(facts)).await?;
    Ok(by_defaults(facts, Changing::new(), &functions))
}

/// The changing columns of a table that a view fills from a table with such columns.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn changing_behind(
    server: &Server,
    from: (&TableFacts, &Changing),
    fed: &Fed,
) -> Result<Changing, Hold> {
    let select = tokens(&fed.select);
    let mut asked = called_by_defaults(&fed.facts);
    asked.extend(called(&select, |name| has_column(from.0, name)));
    let functions = changing(server, asked).await?;
    Ok(by_defaults(&fed.facts, by_view(from, fed, &select, &functions), &functions))
}

fn has_column(facts: &TableFacts, name: &str) -> bool {
    facts.columns.iter().any(|column| column.name == name)
}

fn called_by_defaults(facts: &TableFacts) -> BTreeSet<String> {
    let of = |expression| called(&tokens(expression), |name| has_column(facts, name));
    facts.columns.iter().flat_map(|column| of(&column.default_expression)).collect()
}

/// Adds the columns whose expression calls one of the functions, or reads a changing column.
fn by_defaults(facts: &TableFacts, mut found: Changing, functions: &BTreeSet<String>) -> Changing {
    loop {
        let before = found.len();
        for column in &facts.columns {
            let tokens = tokens(&column.default_expression);
            let is_called =
                || !called(&tokens, |name| has_column(facts, name)).is_disjoint(functions);
            let why = match read(&tokens, &found) {
                _ if found.contains_key(&column.name) => None,
                Some(why) => Some(why.clone()),
                None => is_called().then(|| {
                    let (name, kind) = (&column.name, &column.default_kind);
                    format!("`{name}` ({kind} {})", column.default_expression)
                }),
            };
            found.extend(why.map(|why| (column.name.clone(), why)));
        }
        if found.len() == before {
            return found;
        }
    }
}

/// The columns whose part of the view's SELECT calls one of the functions, or reads a changing column.
fn by_view(
    (from, changing): (&TableFacts, &Changing),
    fed: &Fed,
    select: &[SqlToken<'_>],
    functions: &BTreeSet<String>,
) -> Changing {
    let mut found = Changing::new();
    for column in &fed.facts.columns {
        let parts = deciding(select, &column.name);
        let why = parts.iter().find_map(|part| {
            let called = called(part, |name| has_column(from, name));
            match called.intersection(functions).next() {
                Some(function) => Some(format!("`{}` (by {function}())", column.name)),
                None => read(part, changing)
                    .or_else(|| read_unnamed(part, changing, &column.name))
                    .cloned(),
            }
        });
        found.extend(why.map(|why| (column.name.clone(), why)));
    }
    found
}

/// The reason if the tokens read a changing column.
fn read<'a>(tokens: &[SqlToken<'_>], changing: &'a Changing) -> Option<&'a String> {
    names_read(tokens).find_map(|token| changing.get(&*token.text))
}

/// The same for columns that they read without naming them.
fn read_unnamed<'a>(
    tokens: &[SqlToken<'_>],
    changing: &'a Changing,
    column: &str,
) -> Option<&'a String> {
    unnamed(tokens).find_map(|unnamed| match unnamed {
        Unnamed::Columns => changing.get(column),
        Unnamed::Arguments => changing.values().next(),
    })
}

/// Whether a key reads only a part of the column, such as `tup.a`: the server names whole columns.
pub fn reads_part(key: &str, column: &str) -> bool {
    behind(key, column).any(|rest| rest.starts_with('.'))
        || key.contains(&format!("{}.", identifier(column)))
}

/// The text after each whole occurrence of this name in an expression.
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
    use crate::clickhouse::TableName;
    use crate::schema::table::ColumnRow;

    fn facts(columns: &[(&str, &str, &str)]) -> TableFacts {
        let column = |(name, kind, expression): &(&str, &str, &str)| ColumnRow {
            name: (*name).into(),
            ty: "String".into(),
            default_kind: (*kind).into(),
            default_expression: (*expression).into(),
        };
        TableFacts { columns: columns.iter().map(column).collect(), ..TableFacts::of_merge_tree() }
    }

    fn functions(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_partition_key_may_not_read_what_changes() {
        let facts = facts(&[
            ("id", "", ""),
            ("zone", "MATERIALIZED", "upper(region)"),
            ("region", "MATERIALIZED", "dictGet('d', 'region', id)"),
            ("half", "MATERIALIZED", "intDiv(id, 2)"),
            ("at", "DEFAULT", "now()"),
            ("i", "", ""),
            ("d", "DEFAULT", "today()"),
            ("day", "DEFAULT", "toDate(i)"),
        ]);
        let functions = functions(&["dictget", "now", "today"]);
        let found = by_defaults(&facts, Changing::new(), &functions);
        let names: Vec<&String> = found.keys().collect();
        assert_eq!(names, ["at", "d", "region", "zone"]);
        let region = "`region` (MATERIALIZED dictGet('d', 'region', id))";
        assert_eq!((&*found["region"], &*found["zone"]), (region, region));
        assert_eq!(found["at"], "`at` (DEFAULT now())");
    }

    #[test]
    fn a_view_fills_a_column_by_what_changes_or_from_what_does() {
        let source = facts(&[("id", "", ""), ("at", "DEFAULT", "now()"), ("user", "", "")]);
        let changing = by_defaults(&source, Changing::new(), &functions(&["now"]));
        let found = |select: &str| {
            let target =
                facts(&[("id", "", ""), ("at", "", ""), ("day", "MATERIALIZED", "toDate(at)")]);
            let place = TableName { database: "d".into(), name: "t".into() };
            let fed = Fed { view: "d.v".into(), place, facts: target, select: select.into() };
            let functions = functions(&["now", "user"]);
            let by_view = by_view((&source, &changing), &fed, &tokens(select), &functions);
            by_defaults(&fed.facts, by_view, &functions).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(found("SELECT id, now() AS at FROM d.s"), ["at", "day"]);
        assert_eq!(found("SELECT id, s.at FROM d.s"), ["at", "day"]);
        assert_eq!(found("SELECT * FROM d.s"), ["at", "day"]);
        assert_eq!(found("SELECT id, at FROM (SELECT * FROM d.s)"), ["at", "day"]);
        assert_eq!(found("SELECT cityHash64(*) AS id FROM d.s"), ["id"]);
        assert_eq!(found("SELECT user AS id, now() AS seen, 1 AS at FROM d.s"), [""; 0]);
        assert_eq!(found("SELECT count(*) AS id, user * 2 AS at FROM d.s"), [""; 0]);
    }

    #[test]
    fn a_key_may_read_a_part_of_a_column() {
        let key = "(tup.a, j.`k k`, length(arr), `a b`.`x y`, `n.a`, upper(plain))";
        let read = ["tup", "j", "a b", "up", "arr", "a", "plain", "n.a", "x"];
        let read: Vec<&str> = read.into_iter().filter(|name| reads_part(key, name)).collect();
        assert_eq!(read, ["tup", "j", "a b"]);
    }
}
