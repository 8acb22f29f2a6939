//! Settings of INSERTs: those for every table, and those for certain types and engines.

use std::collections::BTreeSet;

use super::client::Server;
use super::table::{TableFacts, known_settings, knows_setting};
use crate::flow::hold::Hold;
use crate::schema::table::TableSchema;
use crate::schema::types::Kind;

/// Names and values.
pub type Settings = Vec<(&'static str, &'static str)>;

/// For every table: a null becomes the column's DEFAULT row by row, and a column that is listed but not sent
/// is an error.
pub const ALWAYS: &[(&str, &str)] = &[
    ("input_format_null_as_default", "1"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("input_format_arrow_allow_missing_columns", "0"),
];

/// Also for every table, if the server has them: with other values, which a user's profile may set, an INSERT
/// or a view's SELECT succeeds with only some of the rows, or a repeated INSERT lands again.
const SAFE: &[(&str, &str)] = &[
    ("timeout_overflow_mode", "throw"),
    ("timeout_overflow_mode_leaf", "throw"),
    ("read_overflow_mode", "throw"),
    ("read_overflow_mode_leaf", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("result_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("distinct_overflow_mode", "throw"),
    ("transfer_overflow_mode", "throw"),
    ("limit", "0"),
    ("offset", "0"),
    ("additional_table_filters", "{}"),
    ("additional_result_filter", ""),
    ("input_format_allow_errors_num", "0"),
    ("input_format_allow_errors_ratio", "0"),
    // Column names match exactly.
    ("input_format_arrow_case_insensitive_column_matching", "0"),
    ("input_format_column_name_matching_mode", "auto"),
    ("input_format_arrow_import_nested", "0"),
    // JSON values keep their types and names (measured on 26.7: with other values `[true, 1]` became
    // `[true, true]`, and `{"a.b": 1}` another path).
    ("allow_simdjson", "1"),
    ("input_format_try_infer_variants", "0"),
    ("input_format_json_infer_array_of_dynamic_from_array_of_different_types", "1"),
    ("json_type_escape_dots_in_keys", "0"),
    // A function without a time zone of its own uses the server's.
    ("session_timezone", ""),
    ("materialized_views_ignore_errors", "0"),
    ("ignore_materialized_views_with_dropped_target_table", "0"),
    ("insert_deduplicate", "1"),
    (DEDUPLICATE, "enable"),
    ("async_insert_deduplicate", "0"),
    // A Distributed table answers once its shards have the rows; older servers know the second name.
    ("distributed_foreground_insert", "1"),
    ("insert_distributed_sync", "1"),
    // An INSERT, and what a view makes of it, is one block, so that a constraint or an expression that
    // refuses a row leaves none. With other values, blocks are cut or merged other than by
    // `super::body::max_rows`.
    ("use_strict_insert_block_limits", "0"),
    ("max_block_size", "65409"),
    ("max_insert_block_size", "1048449"),
    ("max_insert_block_size_rows", "1048449"),
    ("max_insert_block_size_bytes", "0"),
    ("min_insert_block_size_rows", "1048449"),
    ("min_insert_block_size_bytes", "268402944"),
    ("min_insert_block_size_rows_for_materialized_views", "0"),
    ("min_insert_block_size_bytes_for_materialized_views", "0"),
    ("input_format_max_block_size_bytes", "0"),
];

/// For a table that deduplicates: its views drop rows they have, and get rows they lack, which no server
/// before 26.2 does by default. Not for others, since it excludes async inserts on some servers.
const WITH_VIEWS: &[(&str, &str)] = &[
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    // Otherwise servers of 2024 give the blocks of all views the same token, so that of two views into one
    // target the second's rows are dropped. Newer servers know the name, but ignore it.
    ("update_insert_deduplication_token_in_dependent_materialized_views", "1"),
];

/// For a table with partitions: all parts are written before the first is committed, so that rows that cannot
/// be written leave nothing (measured on 26.7: by default each is committed before the next is written).
const ALL_OR_NOTHING: (&str, &str) = ("max_insert_delayed_streams_for_parallel_write", "1000000");

/// For exactly-once INSERTs. The parts of all table partitions are written before the first is committed, so
/// that a row that cannot be written leaves nothing (measured on 26.7: otherwise each is committed before the
/// next is written). Views drop rows they have. Rows are stored as they come: an engine that merges rows
/// within an INSERT may leave fewer, or no part at all, which proves nothing.
pub const PLANNED: &[(&str, &str)] = &[
    ("insert_deduplicate", "1"),
    ("max_insert_delayed_streams_for_parallel_write", "1000000"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    ("optimize_on_insert", "0"),
];

/// Decides on newer servers whether tokens count; older ones lack it.
const DEDUPLICATE: &str = "deduplicate_insert";

/// The settings besides [`PLANNED`] that the server needs.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn planned_settings(server: &Server) -> Result<Settings, Hold> {
    let is_known = knows_setting(server, DEDUPLICATE).await?;
    Ok(if is_known { vec![(DEDUPLICATE, "enable")] } else { Settings::new() })
}

/// For a table with JSON: values keep their types, where `2026-1-1` would become a date written differently,
/// and true beside a number 1.
const JSON: &[(&str, &str)] = &[
    ("input_format_try_infer_dates", "0"),
    ("input_format_try_infer_datetimes", "0"),
    ("input_format_json_read_bools_as_numbers", "0"),
    ("input_format_json_read_bools_as_strings", "0"),
];

/// Selects one of the server's two Arrow readers; older servers have only one, and lack the setting.
const READER: &str = "input_format_arrow_use_native_reader";

/// The settings that a table's engine and types need on this server. The newer reader ignores the settings
/// for JSON, and only it takes Variant and Dynamic (measured on 26.7). If a table has both, decode takes only
/// JSON that the newer reader leaves unchanged.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`]; that the server is too old for a column is for an
/// operator to mend.
pub async fn needed_settings(
    server: &Server,
    schema: &TableSchema,
    facts: &TableFacts,
) -> Result<Settings, Hold> {
    let names: Vec<&str> =
        SAFE.iter().chain(WITH_VIEWS).map(|(name, _)| *name).chain([READER]).collect();
    needed(&known_settings(server, &names).await?, schema, facts)
}

fn needed(
    known: &BTreeSet<String>,
    schema: &TableSchema,
    facts: &TableFacts,
) -> Result<Settings, Hold> {
    let is_known = |(name, _): &(&'static str, &'static str)| known.contains(*name);
    let views = if facts.is_deduplicating { WITH_VIEWS } else { &[] };
    let mut settings: Settings = SAFE.iter().chain(views).copied().filter(is_known).collect();
    if known.contains("distributed_foreground_insert") {
        settings.retain(|(name, _)| *name != "insert_distributed_sync");
    }
    if !facts.partition_columns.is_empty() {
        settings.push(ALL_OR_NOTHING);
    }
    let union = schema.columns.iter().find(|column| column.ty.holds(Kind::is_union));
    let has_newer_reader = known.contains(READER);
    match union {
        Some(_) if has_newer_reader => settings.push((READER, "1")),
        Some(column) => {
            return Err(Hold::Paused(format!(
                "column `{}`: type `{}` is not supported on this server, which has no setting {READER}: \
                 upgrade it, or drop the column",
                column.name, column.type_text
            )));
        }
        None if schema.holds(Kind::is_json) => {
            settings.extend_from_slice(JSON);
            settings.extend(has_newer_reader.then_some((READER, "0")));
        }
        None => {}
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::refusal_of_setting;

    /// Settings of 26.7 that CLICKHOUSE_SETTINGS may not name.
    const REFUSED: &[&str] = &[
        "additional_result_filter",
        "additional_table_filters",
        "allow_experimental_query_deduplication",
        "allow_simdjson",
        "async_insert",
        "async_insert_deduplicate",
        "deduplicate_blocks_in_dependent_materialized_views",
        "deduplicate_insert",
        "deduplicate_insert_select",
        "distinct_overflow_mode",
        "distributed_foreground_insert",
        "group_by_overflow_mode",
        "ignore_materialized_views_with_dropped_target_table",
        "input_format_allow_errors_num",
        "input_format_allow_errors_ratio",
        "input_format_arrow_allow_missing_columns",
        "input_format_arrow_case_insensitive_column_matching",
        "input_format_arrow_import_nested",
        "input_format_arrow_skip_columns_with_unsupported_types_in_schema_inference",
        "input_format_arrow_use_native_reader",
        "input_format_avro_null_as_default",
        "input_format_column_name_matching_mode",
        "input_format_defaults_for_omitted_fields",
        "input_format_json_infer_array_of_dynamic_from_array_of_different_types",
        "input_format_max_block_size_bytes",
        "input_format_null_as_default",
        "input_format_try_infer_variants",
        "insert_deduplicate",
        "insert_deduplication_token",
        "insert_distributed_sync",
        "insert_null_as_default",
        "insert_select_deduplicate",
        "join_overflow_mode",
        "json_type_escape_dots_in_keys",
        "limit",
        "materialized_views_ignore_errors",
        "max_block_size",
        "max_insert_block_size",
        "max_insert_block_size_bytes",
        "max_insert_block_size_rows",
        "min_insert_block_size_bytes",
        "min_insert_block_size_bytes_for_materialized_views",
        "min_insert_block_size_rows",
        "min_insert_block_size_rows_for_materialized_views",
        "offset",
        "read_overflow_mode",
        "read_overflow_mode_leaf",
        "readonly",
        "result_overflow_mode",
        "send_progress_in_http_headers",
        "session_timezone",
        "set_overflow_mode",
        "sort_overflow_mode",
        "throw_if_deduplication_in_dependent_materialized_views_enabled_with_async_insert",
        "timeout_overflow_mode",
        "timeout_overflow_mode_leaf",
        "transfer_overflow_mode",
        "update_insert_deduplication_token_in_dependent_materialized_views",
        "use_strict_insert_block_limits",
        "wait_for_async_insert",
    ];

    /// Those that no profile can use to break the host's INSERTs, and why.
    const HARMLESS: &[(&str, &str)] = &[
        ("readonly", "the server refuses the INSERT"),
        ("allow_experimental_query_deduplication", "obsolete, and of SELECTs before"),
        ("deduplicate_insert_select", "of INSERT ... SELECT alone"),
        ("insert_select_deduplicate", "of INSERT ... SELECT alone"),
        ("insert_null_as_default", "a view that makes a null throws instead"),
        ("input_format_avro_null_as_default", "of another format"),
        (
            "input_format_arrow_skip_columns_with_unsupported_types_in_schema_inference",
            "the statement names the columns, so nothing is inferred",
        ),
        (
            "throw_if_deduplication_in_dependent_materialized_views_enabled_with_async_insert",
            "an INSERT that it refuses leaves nothing",
        ),
        // Sent by `super::super::client` and `super::super::post` with each INSERT.
        ("async_insert", "sent"),
        ("wait_for_async_insert", "sent"),
        ("insert_deduplication_token", "sent"),
        ("send_progress_in_http_headers", "sent"),
    ];

    #[test]
    fn what_clickhouse_settings_may_not_name_is_kept_from_the_profile_too() {
        let everywhere = || ALWAYS.iter().chain(SAFE).chain(WITH_VIEWS).map(|(name, _)| *name);
        let is_harmless = |name: &str| HARMLESS.iter().any(|(harmless, _)| *harmless == name);
        for name in REFUSED.iter().copied() {
            assert!(refusal_of_setting(name).is_some(), "{name} is taken");
            let is_pinned = everywhere().any(|pinned| pinned == name) || name == READER;
            assert!(is_pinned != is_harmless(name), "{name}: pinned is {is_pinned}");
        }
        for name in everywhere() {
            assert!(
                REFUSED.contains(&name),
                "{name} is pinned, so CLICKHOUSE_SETTINGS may not name it"
            );
        }
    }

    #[test]
    fn a_server_gets_the_settings_that_it_has() {
        let columns = [crate::schema::table::ColumnRow {
            name: "id".into(),
            ty: "UInt64".into(),
            default_kind: String::new(),
            default_expression: String::new(),
        }];
        let schema = TableSchema::from_rows("d", "t", "UTC", columns).unwrap();
        let mut facts = TableFacts::of_merge_tree();
        let names = |known: &[&str], facts: &TableFacts| -> Vec<&str> {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            needed(&known, &schema, facts).unwrap().iter().map(|(name, _)| *name).collect()
        };
        let strict = "use_strict_insert_block_limits";
        assert_eq!(names(&[strict], &facts), [strict]);
        assert_eq!(names(&[], &facts), [""; 0]);
        let of_views = [WITH_VIEWS[0].0, WITH_VIEWS[1].0];
        assert_eq!(names(&of_views, &facts), of_views);
        facts.is_deduplicating = false;
        assert_eq!(names(&of_views, &facts), [""; 0]);
    }
}
