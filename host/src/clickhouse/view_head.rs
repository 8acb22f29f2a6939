//! The head of a view's CREATE statement, before its SELECT.

use super::error_text::TableName;
use crate::schema::quoted::leading_identifier;

/// The table after TO, as ClickHouse prints it, with names quoted only where needed.
pub fn target_of(statement: &str) -> Option<TableName> {
    let (database, rest) = leading_identifier(behind("TO", statement)?)?;
    let (name, _) = leading_identifier(rest.strip_prefix('.')?)?;
    Some(TableName { database, name })
}

/// The engine of the inner table of a view without TO.
pub fn inner_engine_of(statement: &str) -> Option<String> {
    Some(leading_identifier(behind("ENGINE", statement)?.strip_prefix("= ")?)?.0)
}

/// The text after a word in the head of a view's statement, which ends with its ENGINE or before its SELECT.
/// Words within quotes or brackets do not count: names, comments and expressions may hold any.
fn behind<'a>(word: &str, statement: &'a str) -> Option<&'a str> {
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    let mut bytes = statement.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quote.is_some() => drop(bytes.next()),
            _ if quote == Some(byte) => quote = None,
            _ if quote.is_some() => {}
            b'\'' | b'`' | b'"' => quote = Some(byte),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if byte.is_ascii_whitespace() && depth == 0 => match statement.get(start..at)? {
                found if found == word => return statement.get(at + 1..),
                "AS" | "ENGINE" => return None,
                _ => start = at + 1,
            },
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_what_stands_behind_to_in_the_head_of_a_view() {
        let target = |statement: &str| target_of(statement).map(|of| (of.database, of.name));
        let of = |database: &str, name: &str| Some((database.to_owned(), name.to_owned()));
        for (statement, expected) in [
            (
                "CREATE MATERIALIZED VIEW d.v TO d.t (`id` UInt64) AS SELECT id FROM d.s",
                of("d", "t"),
            ),
            (
                "CREATE MATERIALIZED VIEW d.`a TO b.c` TO `e\\`f`.`g h` AS SELECT 1",
                of("e`f", "g h"),
            ),
            (
                "CREATE MATERIALIZED VIEW d.v REFRESH EVERY 1 HOUR APPEND TO d.t (`id` UInt64) \
                 DEFINER = default SQL SECURITY DEFINER AS SELECT 1 AS id",
                of("d", "t"),
            ),
        ] {
            assert_eq!(target(statement), expected, "{statement}");
            assert_eq!(inner_engine_of(statement), None, "{statement}");
        }
        for statement in [
            "CREATE MATERIALIZED VIEW d.v (`x` Float64) ENGINE = MergeTree ORDER BY x AS SELECT x FROM d.s \
             ORDER BY x ASC WITH FILL FROM 0 TO 1.5",
            "CREATE MATERIALIZED VIEW d.v (`x` String) ENGINE = MergeTree ORDER BY x AS SELECT ' TO a.b' AS x",
            "CREATE MATERIALIZED VIEW d.v (`x` String DEFAULT ' TO a.b' COMMENT 'it''s \\' TO a.b ENGINE = Log', \
             ` TO a.b` Int8) ENGINE = MergeTree ORDER BY x AS SELECT 1",
            "CREATE MATERIALIZED VIEW d.v (`x` Date) ENGINE = MergeTree ORDER BY x TTL x TO VOLUME 'v.w' AS \
             SELECT 1",
        ] {
            assert_eq!(target(statement), None, "{statement}");
            assert_eq!(inner_engine_of(statement).as_deref(), Some("MergeTree"), "{statement}");
        }
    }
}
