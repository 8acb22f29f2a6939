//! Settings of an INSERT: those of every table, and those that the types of one need.

use super::client::Server;
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

/// What the types of a table need. Of the two readers of Arrow the newer one does not heed the
/// settings for JSON (measured on 26.7).
///
/// # Errors
/// What to wait for, as of [`super::read`].
pub async fn of_types(server: &Server, schema: &TableSchema) -> Result<Settings, Hold> {
    if !schema.holds(|kind| matches!(kind, Kind::Json(_))) {
        return Ok(Settings::new());
    }
    let mut settings = JSON.to_vec();
    if super::table::knows_setting(server, READER).await? {
        settings.push((READER, "0"));
    }
    Ok(settings)
}
