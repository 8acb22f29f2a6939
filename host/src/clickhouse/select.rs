//! A view's SELECT: which of its parts decide a column's value.

use super::functions::{SqlToken, names_read};

/// Most nested queries that are parsed.
const MAX_DEPTH: usize = 20;

/// The parts of a SELECT that may decide values.
struct Select<'a> {
    /// The expressions of the WITH clause.
    with: Vec<Item<'a>>,
    /// The expressions that it returns.
    items: Vec<Item<'a>>,
    /// What it reads from.
    from: &'a [SqlToken<'a>],
}

/// An expression, or a named query.
#[derive(Clone, Copy)]
struct Item<'a> {
    tokens: &'a [SqlToken<'a>],
}

impl<'a> Item<'a> {
    /// The name of the column that it returns.
    fn output(&self) -> Option<&'a str> {
        let is_column = || self.tokens.iter().all(|token| token.is_name() || token.is_sign("."));
        match self.tokens {
            [.., before, last] if before.is("AS") => Some(&last.text),
            [.., last] if is_column() => Some(&last.text),
            _ => None,
        }
    }

    /// Whether it returns columns without naming them.
    fn is_many(&self) -> bool {
        unnamed(self.tokens).any(|unnamed| unnamed == Unnamed::Columns)
    }

    /// Whether the tokens name it, or a named part of it.
    fn is_named_by(&self, tokens: &[SqlToken<'_>]) -> bool {
        let is_read = |name: &SqlToken<'_>| names_read(tokens).any(|token| token.text == name.text);
        let has_name = match self.tokens {
            [name, is_as, bracket, ..] => is_as.is("AS") && bracket.is_sign("(") && is_read(name),
            _ => false,
        };
        has_name
            || self.tokens.windows(2).any(|pair| match pair {
                [is_as, name] => is_as.is("AS") && name.is_name() && is_read(name),
                _ => false,
            })
    }
}

/// Columns that an expression reads without naming them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// It returns them, each under its own name.
    Columns,
    /// A function makes one value from them.
    Arguments,
}

/// What the tokens read by `*` or COLUMNS; as a product or in `count(*)`, `*` reads nothing.
pub fn unnamed<'a>(tokens: &'a [SqlToken<'a>]) -> impl Iterator<Item = Unnamed> {
    let is_one = |token: &SqlToken<'_>| token.is_sign("*") || token.is("COLUMNS");
    let places = tokens.iter().enumerate().filter(move |(_, token)| is_one(token));
    places.filter_map(|(at, token)| {
        let mut before = tokens.get(..at)?;
        // The table before a qualified star.
        while let [rest @ .., name, point] = before
            && point.is_sign(".")
            && name.is_name()
        {
            before = rest;
        }
        let begins = before.last().is_none_or(|before| {
            [",", "("].iter().any(|sign| before.is_sign(sign))
                || before.is("SELECT")
                || before.is("DISTINCT")
        });
        if !begins {
            return None;
        }
        let bracket = before.iter().rposition(|before| before.depth < token.depth);
        let Some(bracket) = bracket else { return Some(Unnamed::Columns) };
        let is_query = |first: &SqlToken<'_>| first.is("SELECT") || first.is("WITH");
        match tokens.get(..bracket)?.last() {
            _ if tokens.get(bracket + 1).is_some_and(is_query) => Some(Unnamed::Columns),
            Some(function) if function.is("count") => None,
            _ => Some(Unnamed::Arguments),
        }
    })
}

/// The parts of a SELECT that may decide a column's value: all of it if it cannot be parsed. WHERE decides
/// only which rows there are, so it is not among them.
pub fn deciding<'a>(select: &'a [SqlToken<'a>], column: &str) -> Vec<&'a [SqlToken<'a>]> {
    deciding_within(select, column, MAX_DEPTH)
}

fn deciding_within<'a>(
    select: &'a [SqlToken<'a>],
    column: &str,
    depth: usize,
) -> Vec<&'a [SqlToken<'a>]> {
    let (Some(Select { with, items, from }), Some(depth)) = (parts(select), depth.checked_sub(1))
    else {
        return vec![select];
    };
    let is_many = items.iter().any(Item::is_many);
    let (mut needed, mut others): (Vec<Item<'a>>, Vec<Item<'a>>) =
        items.into_iter().partition(|item| item.is_many() || item.output() == Some(column));
    if needed.is_empty() {
        return Vec::new();
    }
    others.extend(with);
    let inner = inner(from);
    let outer = if inner.is_none() { from } else { &[] };
    loop {
        let is_named = |item: &Item<'a>| {
            needed.iter().any(|by| item.is_named_by(by.tokens)) || item.is_named_by(outer)
        };
        let (named, left): (Vec<_>, Vec<_>) = others.into_iter().partition(is_named);
        others = left;
        if named.is_empty() {
            break;
        }
        needed.extend(named);
    }
    let mut found: Vec<_> = needed.iter().map(|item| item.tokens).chain([outer]).collect();
    match inner {
        Some(inner) if is_many => found.push(inner),
        Some(inner) => {
            let mut read: Vec<&str> = needed
                .iter()
                .flat_map(|item| names_read(item.tokens))
                .map(|token| &*token.text)
                .collect();
            read.sort_unstable();
            read.dedup();
            found.extend(read.iter().flat_map(|name| deciding_within(inner, name, depth)));
        }
        None => {}
    }
    found
}

/// The query that a SELECT reads from, if it is the only one.
fn inner<'a>(from: &'a [SqlToken<'a>]) -> Option<&'a [SqlToken<'a>]> {
    let (first, rest) = from.split_first()?;
    let end = rest.iter().position(|token| token.depth <= first.depth)?;
    let (inner, behind) = rest.split_at_checked(end)?;
    let is_alone = match behind {
        [_] => true,
        [_, name] => name.is_name(),
        [_, is_as, _] => is_as.is("AS"),
        _ => false,
    };
    (first.is_sign("(") && is_alone).then_some(inner)
}

fn parts<'a>(tokens: &'a [SqlToken<'a>]) -> Option<Select<'a>> {
    let base = tokens.first()?.depth;
    let at = |keywords: &[&str]| {
        let is_one = |token: &SqlToken<'_>| keywords.iter().any(|keyword| token.is(keyword));
        tokens.iter().position(|token| token.depth == base && is_one(token))
    };
    if at(&["UNION", "INTERSECT", "EXCEPT"]).is_some() {
        return None;
    }
    let select = at(&["SELECT"])?;
    let end = at(&[
        "WHERE", "PREWHERE", "GROUP", "HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "SETTINGS",
    ])
    .unwrap_or(tokens.len());
    let from = at(&["FROM"]).unwrap_or(end);
    let with = match tokens.first()?.is("WITH") {
        true => items(tokens.get(1..select)?),
        false => Vec::new(),
    };
    let items = items(tokens.get(select + 1..from)?);
    Some(Select { with, items, from: tokens.get((from + 1).min(end)..end)? })
}

fn items<'a>(tokens: &'a [SqlToken<'a>]) -> Vec<Item<'a>> {
    let base = tokens.first().map_or(0, |token| token.depth);
    let items = tokens.split(|token| token.is_sign(",") && token.depth == base);
    items.map(|tokens| Item { tokens }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickhouse::functions::tokens;

    #[test]
    fn a_star_reads_columns_and_a_product_does_not() {
        let unnamed = |text: &str| super::unnamed(&tokens(text)).collect::<Vec<_>>();
        let columns = ["*", "t.*", "DISTINCT *", "COLUMNS('a')", "SELECT id, d.t.* FROM t"];
        for text in columns.into_iter().chain(["SELECT id FROM (SELECT 1, * FROM t)"]) {
            assert_eq!(unnamed(text), [Unnamed::Columns], "{text}");
        }
        for text in ["cityHash64(*)", "hash(1, t.*) AS h", "hash(COLUMNS('a'))", "(1, *)"] {
            assert_eq!(unnamed(text), [Unnamed::Arguments], "{text}");
        }
        for text in ["id * 2", "count(*)", "(a) * (b)", "f(a * b)"] {
            assert_eq!(unnamed(text), [], "{text}");
        }
    }

    /// Whether `now()` may decide the column `at`.
    fn is_decided(select: &str) -> bool {
        let tokens = tokens(select);
        deciding(&tokens, "at").iter().any(|part| part.iter().any(|token| token.is("now")))
    }

    #[test]
    fn a_column_is_decided_by_its_own_part_and_what_that_names() {
        for select in [
            "SELECT id, now() AS at FROM d.t",
            "SELECT DISTINCT id, toDate(now()) AS at FROM d.t",
            "WITH now() AS n SELECT id, n AS at FROM d.t",
            "WITH s AS (SELECT id, now() AS at FROM d.t) SELECT id, at FROM s",
            "SELECT now() AS seen, toDate(seen) AS at FROM d.t",
            "SELECT id, q AS at FROM (SELECT id, now() AS q FROM d.t) AS s",
            "SELECT * FROM (SELECT id, now() AS at FROM d.t)",
            "SELECT * REPLACE (now() AS at) FROM d.t",
            "SELECT id, a.at FROM d.t INNER JOIN (SELECT id, now() AS at FROM d.u) AS a USING (id)",
            "SELECT id, 1 AS at FROM d.t UNION ALL SELECT id, now() AS at FROM d.t",
        ] {
            assert!(is_decided(select), "{select}");
        }
        for select in [
            "SELECT id, now() AS seen, at FROM d.t",
            "SELECT id, toUnixTimestamp(now()) * 1000 AS seen, t.at FROM d.t",
            "SELECT id, at FROM d.t WHERE at > (now() - toIntervalDay(1)) LIMIT 5",
            "WITH now() AS n SELECT n AS seen, at FROM d.t",
            "SELECT id, at FROM (SELECT id, now() AS seen, at FROM d.t)",
            "SELECT id, 'now()' AS at, now() AS seen FROM d.t GROUP BY id",
            "SELECT now() AS seen, id FROM d.t",
            "SELECT count(*) AS n, now() AS seen, at FROM d.t",
        ] {
            assert!(!is_decided(select), "{select}");
        }
    }
}
