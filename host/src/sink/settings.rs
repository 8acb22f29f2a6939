//! Settings of an INSERT: those of every table, and those that the types of one need.

use super::client::Server;
use super::table::knows_setting;
use crate::outcome::Hold;
use crate::schema::table::TableSchema;
use crate::schema::types::Kind;

/// Names and values.
pub type Settings = Vec<(&'static str, &'static str)>;

/// Of every table: a null becomes the column's DEFAULT row by row, and a column that is listed but
/// not sent is an error.
pub const ALWAYS: &[(&str, &str)] = &[
    ("input_format_null_as_default", "1"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("input_format_arrow_allow_missing_columns", "0"),
];

/// Of an INSERT that lands exactly once. Its parts in all partitions are written before the first is
/// committed, so that a row that cannot be written leaves nothing (measured on 26.7: otherwise each
/// partition is committed before the next is written). Its views drop what they have already.
pub const PLANNED: &[(&str, &str)] = &[
    ("insert_deduplicate", "1"),
    ("max_insert_delayed_streams_for_parallel_write", "1000000"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
];

/// What newer servers decide by whether tokens count; older ones lack it.
const DEDUPLICATE: &str = "deduplicate_insert";

/// The settings beside [`PLANNED`] that the server needs.
///
/// # Errors
/// What to wait for, as of [`super::read`].
pub async fn planned_settings(server: &Server) -> Result<Settings, Hold> {
    let is_known = knows_setting(server, DEDUPLICATE).await?;
    Ok(if is_known { vec![(DEDUPLICATE, "enable")] } else { Settings::new() })
}

/// Of a table with JSON: what is in an object keeps its type, where `2026-1-1` would become a date
/// written otherwise, and true beside a number 1.
const JSON: &[(&str, &str)] = &[
    ("input_format_try_infer_dates", "0"),
    ("input_format_try_infer_datetimes", "0"),
    ("input_format_json_read_bools_as_numbers", "0"),
    ("input_format_json_read_bools_as_strings", "0"),
];

/// Which of its two readers of Arrow a server takes; older ones have but one, and not the setting.
const READER: &str = "input_format_arrow_use_native_reader";

/// What the types of a table need. The newer reader does not heed the settings for JSON, and only
/// it takes Variant and Dynamic (measured on 26.7). Where a table has both, decode takes only JSON that
/// the newer one leaves as it is.
///
/// # Errors
/// What to wait for, as of [`super::read`]; that the server is too old for a column is for an
/// operator to mend.
pub async fn needed_settings(server: &Server, schema: &TableSchema) -> Result<Settings, Hold> {
    let union = schema.columns.iter().find(|column| column.ty.holds(Kind::is_union));
    if union.is_none() && !schema.holds(Kind::is_json) {
        return Ok(Settings::new());
    }
    let has_newer_reader = knows_setting(server, READER).await?;
    match union {
        Some(_) if has_newer_reader => Ok(vec![(READER, "1")]),
        Some(column) => Err(Hold::Paused(format!(
            "column `{}`: type `{}` is not supported on this server, which has no setting {READER}: \
             upgrade it, or drop the column",
            column.name, column.type_text
        ))),
        None => {
            let reader = has_newer_reader.then_some((READER, "0"));
            Ok(JSON.iter().copied().chain(reader).collect())
        }
    }
}
