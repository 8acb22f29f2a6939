//! Whether the host sees every row of a table. A search without a result proves nothing if a row policy, a
//! setting of the user's profile or a lightweight DELETE hides rows.

use super::answer;
use super::client::Server;
use super::error_text::TableName;
use super::settings::Settings;
use super::table::{Table, answered, known_settings};
use crate::flow::hold::Hold;
use crate::schema::quoted::{identifier, literal};

/// For each SELECT from the host's own table, if the server has them: with other values, which a user's
/// profile may set, it reads less than is stored, or is answered from elsewhere.
const SEEING: &[(&str, &str)] = &[
    ("additional_table_filters", "{}"),
    ("additional_result_filter", ""),
    ("final", "0"),
    // Deleted rows had landed, and must not be inserted again.
    ("apply_deleted_mask", "0"),
    ("apply_mutations_on_fly", "0"),
    ("apply_patch_parts", "0"),
    ("enable_parallel_replicas", "0"),
    ("allow_experimental_parallel_reading_from_replicas", "0"),
    ("max_parallel_replicas", "1"),
    ("parallel_replicas_count", "0"),
    ("parallel_replica_offset", "0"),
    ("force_index_by_date", "0"),
    ("force_primary_key", "0"),
    ("force_optimize_projection", "0"),
    ("optimize_use_projections", "0"),
    ("optimize_use_implicit_projections", "0"),
    ("optimize_trivial_count_query", "0"),
    ("use_query_cache", "0"),
    ("use_query_condition_cache", "0"),
    ("ignore_cold_parts_seconds", "0"),
    ("partial_result_on_first_cancel", "0"),
    ("read_overflow_mode_leaf", "throw"),
    ("timeout_overflow_mode_leaf", "throw"),
    ("empty_result_for_aggregation_by_empty_set", "0"),
    ("join_use_nulls", "0"),
];

/// The settings with which a SELECT from a table reads all of it.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn seeing_settings(server: &Server) -> Result<Settings, Hold> {
    let names: Vec<&str> = SEEING.iter().map(|(name, _)| *name).collect();
    let known = known_settings(server, &names).await?;
    Ok(SEEING.iter().copied().filter(|(name, _)| known.contains(*name)).collect())
}

/// Counts the parts with rows that a SELECT with `SEEING` does not read, and names the server.
pub fn hidden_sql(table: &Table) -> String {
    let (database, name) = (&table.schema.database, &table.schema.table);
    // The parts are read first, so that few change in between. Columns may have any name, so no alias is read
    // next to them.
    format!(
        "SELECT toString(countIf(seen.rows != stored.rows)), toString(serverUUID()) FROM \
         (SELECT toString(_part) AS part, count() AS rows FROM {}.{} GROUP BY _part) AS seen RIGHT JOIN \
         (SELECT name AS part, rows FROM system.parts WHERE database = {} AND table = {} AND active AND \
         rows > 0 AND NOT startsWith(partition_id, 'patch-')) AS stored ON seen.part = stored.part \
         FORMAT JSONCompactEachRow",
        identifier(database),
        identifier(name),
        literal(database),
        literal(name)
    )
}

/// The names of a table's row policies for CLICKHOUSE_USER; none if the user may not see policies.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub(super) async fn row_policies(server: &Server, of: &TableName) -> Result<Vec<String>, Hold> {
    let query = server
        .query(
            "SELECT short_name FROM system.row_policies WHERE database IN (?, '') AND table IN (?, '') AND \
             (hasAny(apply_to_list, arrayConcat([currentUser()], enabledRoles())) OR (apply_to_all AND NOT \
             hasAny(apply_to_except, arrayConcat([currentUser()], enabledRoles())))) ORDER BY short_name",
        )
        .bind(&of.database)
        .bind(&of.name);
    match answered(server, query, answer::all).await {
        // A search without a result is compared with the table's parts anyway.
        Err(Hold::Paused(_)) => Ok(Vec::new()),
        answer => answer,
    }
}
