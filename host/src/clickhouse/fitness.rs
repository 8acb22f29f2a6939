//! Whether a table supports exactly once: it remembers tokens for long enough, and so does every table that
//! its views fill.

use std::collections::VecDeque;

use super::answer;
use super::client::Server;
use super::engine::Keeping;
use super::error_text::TableName;
use super::key::{Changing, changing_behind, changing_columns};
use super::sight::row_policies;
use super::table::{Fed, TableFacts, answered, hidden_views, targets};
use super::tokens::{index_statements, losing_ttl};
use crate::flow::hold::Hold;
use crate::schema::quoted::identifier;

/// The smallest window: ten times the planned INSERTs of a host (16 batches of a topic partition and the
/// halves of one), for a handful of partitions and hosts.
const MIN_WINDOW: u64 = 1_000;
/// The same if an INSERT goes into several table partitions: each takes one token.
const MIN_WINDOW_PARTITIONED: u64 = 10_000;
/// Most tables followed behind a table.
const MAX_TARGETS: usize = 100;

/// Why the table does not support exactly once, and what to do; `None` if it does.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn why_not_exactly_once(
    server: &Server,
    place: &TableName,
    facts: &TableFacts,
) -> Result<Option<String>, Hold> {
    if !server.keeps_ids() {
        return Ok(Some(format!(
            "a proxy at CLICKHOUSE_HOST {} gives queries ids of its own, so that an INSERT which still runs cannot be \
             told by its token: connect to ClickHouse itself",
            server.url()
        )));
    }
    let own = changing_columns(server, facts).await?;
    if let Some(text) = why_not(place, facts, &own) {
        return Ok(Some(text));
    }
    // A table is visited once for each set of its changing columns.
    let mut seen = vec![(place.clone(), own.clone())];
    let mut open = VecDeque::from([(place.clone(), facts.clone(), own)]);
    while let Some((from, facts, changing)) = open.pop_front() {
        let hidden = hidden_views(server, &from).await?;
        if let Some(view) = hidden.first() {
            let what = format!(
                "has a view `{view}` that CLICKHOUSE_USER may not see, so that what it fills cannot be looked at: \
                 grant SHOW TABLES on the view and on what it fills"
            );
            return Ok(Some(told(&what, &from)));
        }
        for fed in targets(server, &from).await? {
            let behind = changing_behind(server, (&facts, &changing), &fed).await?;
            let Fed { view, place, facts, .. } = fed;
            if seen.contains(&(place.clone(), behind.clone())) {
                continue;
            }
            // A table without rows needs no window; the targets of its views do.
            let keeps_rows = Keeping::of(&facts.engine) != Keeping::Nowhere;
            if keeps_rows && let Some(text) = why_not(&place, &facts, &behind) {
                return Ok(Some(format!("{text}; it is filled by the view `{view}`")));
            }
            seen.push((place.clone(), behind.clone()));
            open.push_back((place, facts, behind));
        }
        if seen.len() > MAX_TARGETS {
            return Ok(Some(told(&format!("has more than {MAX_TARGETS} tables behind it"), &from)));
        }
    }
    Ok(None)
}

/// Advice that saves an operator questions, or the server a long search, when a host must find out what
/// landed: rights to see every row, a token column, named by `token_column`, and an index on it. `None` if
/// there is none. What the server does not tell is mentioned, and never waited for.
pub async fn advice(
    server: &Server,
    place: &TableName,
    facts: &TableFacts,
    token_column: Option<&str>,
) -> Option<String> {
    let mut advice = Vec::new();
    if let Some(what) = token_column.and_then(|column| losing_ttl(&facts.definition, column)) {
        advice.push(format!(
            "cannot be asked for tokens, so that the host pauses and asks an operator: {what}. Remove it by ALTER TABLE"
        ));
    }
    match row_policies(server, place).await {
        Ok(policies) if policies.is_empty() => {}
        Ok(policies) => advice.push(format!(
            "has a row policy that holds for CLICKHOUSE_USER (`{}`): where rows are hidden, a search that \
             finds none proves nothing, so that the host pauses and asks. Leave CLICKHOUSE_USER out of it",
            policies.join("`, `")
        )),
        Err(hold) => advice.push(format!(
            "may have a row policy that hides rows from CLICKHOUSE_USER: the server does not tell ({})",
            hold.text()
        )),
    }
    match token_column {
        None => advice.push(
            "has no column for tokens: where what landed cannot be told from its newest parts, as after \
             merges, the host pauses and asks. Add one, token LowCardinality(String), and name it: \
             METADATA_COLUMNS=token=token"
                .to_owned(),
        ),
        // Another check reports that the table has no such column.
        Some(column) if !facts.columns.iter().any(|known| known.name == column) => {}
        Some(column) => match has_index(server, place, column).await {
            Ok(true) => {}
            Ok(false) => advice.push(format!(
                "has no index on `{column}`, by which tokens are searched: a search reads the whole column. {}",
                index_statements(place, column)
            )),
            Err(hold) => advice.push(format!(
                "may have no index on `{column}`, by which tokens are searched: system.data_skipping_indices \
                 does not tell ({})",
                hold.text()
            )),
        },
    }
    (!advice.is_empty()).then(|| told(&advice.join(". It "), place))
}

/// Why the column cannot hold tokens, and what to do; `None` if it can.
pub fn why_no_tokens(
    place: &TableName,
    facts: &TableFacts,
    token_column: Option<&str>,
) -> Option<String> {
    let name = token_column?;
    let column = facts.columns.iter().find(|column| column.name == name)?;
    let is_stored = !matches!(&*column.default_kind, "EPHEMERAL" | "ALIAS");
    (!is_stored).then(|| {
        let kind = &column.default_kind;
        told(
            &format!(
                "does not store the column `{name}`, which METADATA_COLUMNS names for tokens: it is {kind}. Make it \
                 an ordinary column, token LowCardinality(String)"
            ),
            place,
        )
    })
}

async fn has_index(server: &Server, place: &TableName, column: &str) -> Result<bool, Hold> {
    let query = server
        .query(
            "SELECT count() FROM system.data_skipping_indices \
             WHERE database = ? AND table = ? AND position(expr, ?) > 0",
        )
        .bind(&place.database)
        .bind(&place.name)
        .bind(column);
    let indices: u64 = answered(server, query, answer::one).await?;
    Ok(indices > 0)
}

fn told(what: &str, of: &TableName) -> String {
    format!("DELIVERY=exactly_once: table `{of}` {what}")
}

fn why_not(of: &TableName, facts: &TableFacts, changing: &Changing) -> Option<String> {
    let TableFacts { engine, window, partition_columns, .. } = facts;
    if !engine.ends_with("MergeTree") {
        return Some(told(&format!("is of the engine {engine}, which remembers no tokens"), of));
    }
    if facts.is_replicated() {
        let what = format!(
            "is of the engine {engine}, for which it is not proved: use DELIVERY=at_least_once"
        );
        return Some(told(&what, of));
    }
    let min = if partition_columns.is_empty() { MIN_WINDOW } else { MIN_WINDOW_PARTITIONED };
    if window.unwrap_or(0) < min {
        let what = format!(
            "remembers {} tokens by {}, and {min} are needed: run ALTER TABLE {}.{} MODIFY SETTING \
             non_replicated_deduplication_window = {min}",
            window.unwrap_or(0),
            facts.window_from(),
            identifier(&of.database),
            identifier(&of.name)
        );
        return Some(told(&what, of));
    }
    partition_columns.iter().find_map(|column| changing.get(column)).map(|column| {
        let what = format!(
            "is partitioned by column {column}, which has another value when the same record is sent \
             again: ClickHouse remembers tokens for each partition"
        );
        told(&what, of)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::ColumnRow;

    fn facts(engine: &str, window: u64) -> TableFacts {
        TableFacts { engine: engine.into(), window: Some(window), ..TableFacts::of_merge_tree() }
    }

    #[test]
    fn a_table_is_refused_with_what_to_do_about_it() {
        let place = TableName { database: "d".into(), name: "t".into() };
        let why_not = |facts: &TableFacts| super::why_not(&place, facts, &Changing::new());
        assert_eq!(why_not(&facts("MergeTree", 1_000)), None);
        let small = why_not(&facts("ReplacingMergeTree", 999)).unwrap();
        assert!(small.ends_with(
            "run ALTER TABLE `d`.`t` MODIFY SETTING non_replicated_deduplication_window = 1000"
        ));
        let partition_columns = vec!["day".to_owned()];
        let partitioned = TableFacts { partition_columns, ..facts("MergeTree", 9_999) };
        assert!(why_not(&partitioned).unwrap().ends_with("= 10000"));
        assert!(why_not(&facts("Memory", 1_000)).unwrap().contains("the engine Memory"));
        assert!(why_not(&facts("Distributed", 1_000)).unwrap().contains("the engine Distributed"));
        assert!(why_not(&facts("ReplicatedMergeTree", 1_000)).unwrap().contains("not proved"));
        let day = ("day".to_owned(), "`day` (DEFAULT today())".to_owned());
        let partition_columns = vec!["day".to_owned()];
        let moving = TableFacts { partition_columns, ..facts("MergeTree", 10_000) };
        let text = super::why_not(&place, &moving, &Changing::from([day])).unwrap();
        assert!(text.contains("`day` (DEFAULT today())"));
    }

    #[test]
    fn a_column_for_tokens_is_one_that_is_stored() {
        let place = TableName { database: "d".into(), name: "t".into() };
        let why = |kind: &str| {
            let (name, ty) = ("token".to_owned(), "String".to_owned());
            let (default_kind, default_expression) = (kind.to_owned(), String::new());
            let columns = vec![ColumnRow { name, ty, default_kind, default_expression }];
            let facts = TableFacts { columns, ..facts("MergeTree", 1_000) };
            why_no_tokens(&place, &facts, Some("token"))
        };
        assert_eq!((why(""), why("DEFAULT")), (None, None));
        assert!(why("EPHEMERAL").unwrap().contains("does not store the column `token`"));
    }
}
