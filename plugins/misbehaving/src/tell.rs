//! The one thing it does well: it says what it was told of a record.

use sluicegate_plugin::Meta;
use sluicegate_plugin::wire::{Action, Outcome};

/// Puts a record of the offset, and of all else as one text, in the place of a row.
pub fn tell(row: usize, meta: &Meta<'_>, lists: &mut Outcome) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(&str, Option<String>)> =
        meta.headers().map(|header| (header.name, header.value.map(text))).collect();
    let (topic, partition, key) = (meta.topic(), meta.partition(), meta.key().map(text));
    let told = format!("{topic} {partition} {:?} {key:?} {headers:?}", meta.timestamp_ms());
    let record = serde_json::json!({"id": meta.offset(), "item": told}).to_string();
    lists.values.extend_from_slice(record.as_bytes());
    lists.value_ends.extend(u32::try_from(lists.values.len()));
    if let Some(action) = lists.actions.get_mut(row) {
        *action = Action::Replace;
    }
}
