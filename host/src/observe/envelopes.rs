//! Detects columns that get defaults because their fields are nested in an object of the record, such as a
//! Debezium envelope. Such a record lands if a single top-level field fills a column.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::flow::rows::Noticed;
use crate::infer::{Envelope, remark};
use crate::schema::plan::{TablePlan, UnknownField};

/// Most columns that the log names.
const MAX_TOLD: usize = 20;
/// Most characters of the text about fields.
const SHOWN: usize = 1_000;

/// The text used when fields may not be named.
const ADVICE: &str =
    "COLUMN_FROM as `sluicegate schema infer --topic <topic> --against-table` prints it";

/// Logs an envelope once.
#[derive(Debug)]
pub struct Envelopes {
    with_names: bool,
    was_told: AtomicBool,
}

impl Envelopes {
    /// A detector that logs names of fields, or does not.
    pub fn new(with_names: bool) -> Self {
        Self { with_names, was_told: AtomicBool::new(false) }
    }

    /// Examines one record of a batch with fields that fill no column, and logs a finding once.
    pub fn look(&self, noticed: &Noticed, plan: &TablePlan, record: Option<&[u8]>) {
        let is_kept = matches!(plan.unknown, UnknownField::Column(_));
        let has_unknown = !noticed.unknown.is_empty() || noticed.other_unknown > 0 || is_kept;
        if !has_unknown || self.was_told.load(Ordering::Relaxed) {
            return;
        }
        if let Some(text) = record.and_then(|record| self.told(plan, record)) {
            self.was_told.store(true, Ordering::Relaxed);
            tracing::warn!("{text}");
        }
    }

    /// The text about a record.
    fn told(&self, plan: &TablePlan, record: &[u8]) -> Option<String> {
        let envelope = Envelope::of(plan, std::iter::once(record));
        let envelope = envelope.filter(Envelope::has_most_missing)?;
        let names = envelope.columns.iter().take(MAX_TOLD).map(|(name, _)| &**name);
        let (names, pointer) = (names.collect::<Vec<_>>(), &envelope.pointer);
        let (field, advice) = match self.with_names {
            true => {
                let ways = envelope.column_from(MAX_TOLD);
                (
                    format!("`{}`", remark(pointer, SHOWN)),
                    format!("COLUMN_FROM={}", remark(&ways, SHOWN)),
                )
            }
            false => ("a field".to_owned(), ADVICE.to_owned()),
        };
        Some(format!(
            "{field} of a record is an object with the names of columns that the record does not fill, {names:?}, as \
             in an envelope of Debezium; to fill them from there, set {advice}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::plan::Rules;
    use crate::schema::table::{ColumnRow, TableSchema};

    fn plan(columns: &[(&str, &str)]) -> TablePlan {
        let rows = columns.iter().map(|(name, ty)| ColumnRow {
            name: (*name).into(),
            ty: (*ty).into(),
            default_kind: String::new(),
            default_expression: String::new(),
        });
        let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
        TablePlan::new(&schema, &Rules::default()).unwrap()
    }

    #[test]
    fn an_envelope_is_told_with_names_of_fields_only_where_they_may_be_told() {
        let columns = [("id", "Int64"), ("name", "String"), ("op", "String")];
        let plan = plan(&columns);
        let record = br#"{"before":null,"after":{"id":1,"name":"secret"},"op":"c"}"#;
        let told = |with_names| Envelopes::new(with_names).told(&plan, record).unwrap_or_default();
        let with = told(true);
        assert!(with.starts_with("`/after` of a record is an object"), "{with}");
        assert!(with.contains("set COLUMN_FROM=id=/after/id,name=/after/name"), "{with}");
        let without = told(false);
        assert!(without.starts_with("a field of a record is an object"), "{without}");
        assert!(without.contains(r#"["id", "name"]"#) && !without.contains("after"), "{without}");
        assert!(!with.contains("secret") && !without.contains("secret"));
        let flat = br#"{"id":1,"op":"c","name":"x","other":{"id":2}}"#;
        assert_eq!(Envelopes::new(true).told(&plan, flat), None);
    }

    #[test]
    fn a_record_is_looked_at_only_where_fields_are_unknown() {
        let plan = plan(&[("id", "Int64"), ("op", "String")]);
        let (envelopes, mut noticed) = (Envelopes::new(false), Noticed::default());
        let is_told_of = |noticed: &Noticed, record: &str| {
            envelopes.look(noticed, &plan, Some(record.as_bytes()));
            envelopes.was_told.load(Ordering::Relaxed)
        };
        assert!(!is_told_of(&noticed, r#"{"op":"c","after":{"id":1}}"#), "no field is unknown");
        noticed.unknown("after", &mut 0);
        assert!(!is_told_of(&noticed, r#"{"op":"c","after":null}"#));
        assert!(is_told_of(&noticed, r#"{"op":"c","after":{"id":1}}"#));
    }
}
