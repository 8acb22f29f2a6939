//! How often a record may land.

use super::clickhouse::ClickHouse;
use super::fields::Fields;
use super::kafka::word;
use super::reader::Reader;
use crate::schema::source::Metadata;

/// What is promised of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// It lands at least once.
    #[default]
    AtLeastOnce,
    /// It lands exactly once, or the host pauses.
    ExactlyOnce,
}

impl Delivery {
    const WORDS: &[(&str, Self)] =
        &[("at_least_once", Self::AtLeastOnce), ("exactly_once", Self::ExactlyOnce)];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        word(Self::WORDS, self)
    }
}

/// Reads the variable; what it rules out of the others is ruled out here.
pub(super) fn read(
    reader: &mut Reader<'_>,
    clickhouse: &mut ClickHouse,
    fields: &Fields,
) -> Delivery {
    let delivery = reader.choice("DELIVERY", Delivery::WORDS).unwrap_or_default();
    if delivery == Delivery::ExactlyOnce {
        if clickhouse.async_insert && reader.is_set("CLICKHOUSE_ASYNC_INSERT") {
            reader.refuse_found(
                "CLICKHOUSE_ASYNC_INSERT",
                "0 with DELIVERY=exactly_once",
                "1".to_owned(),
                "leave it out: a flush of asynchronous INSERTs has no token of its own",
            );
        }
        clickhouse.async_insert = false;
    } else if let Some((column, _)) =
        fields.metadata.iter().find(|(_, metadata)| *metadata == Metadata::Token)
    {
        reader.refuse_found(
            "METADATA_COLUMNS",
            "no token without DELIVERY=exactly_once",
            format!("{column}=token"),
            "take the entry out, or set DELIVERY=exactly_once",
        );
    }
    delivery
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{config, errors};

    #[test]
    fn exactly_once_sends_no_asynchronous_inserts() {
        let config = config(&[("DELIVERY", "exactly_once"), ("METADATA_COLUMNS", "t=token")]);
        assert_eq!(config.delivery, Delivery::ExactlyOnce);
        assert!(!config.clickhouse.async_insert);
    }

    #[test]
    fn what_does_not_go_with_it_is_told_by_variable() {
        insta::assert_snapshot!(
            errors(&[("DELIVERY", "exactly_once"), ("CLICKHOUSE_ASYNC_INSERT", "1")]),
            @r"
        1 problem in the configuration

        CLICKHOUSE_ASYNC_INSERT
          expected: 0 with DELIVERY=exactly_once
          found:    1
          hint:     leave it out: a flush of asynchronous INSERTs has no token of its own
        "
        );
        insta::assert_snapshot!(
            errors(&[("DELIVERY", "at_most_once"), ("METADATA_COLUMNS", "t=token")]),
            @r#"
        2 problems in the configuration

        DELIVERY
          expected: one of at_least_once, exactly_once
          found:    "at_most_once"
          hint:     use one of these words

        METADATA_COLUMNS
          expected: no token without DELIVERY=exactly_once
          found:    t=token
          hint:     take the entry out, or set DELIVERY=exactly_once
        "#
        );
    }
}
