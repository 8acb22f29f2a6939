//! The delivery guarantee.

use super::clickhouse::ClickHouse;
use super::reader::VariableReader;
use super::words::{Words, word};
use crate::schema::plan::Rules;
use crate::schema::source::Metadata;

/// The delivery guarantee for each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// It lands at least once.
    #[default]
    AtLeastOnce,
    /// It lands exactly once, or the host pauses.
    ExactlyOnce,
}

impl Words for Delivery {
    const WORDS: &'static [(&'static str, Self)] =
        &[("at_least_once", Self::AtLeastOnce), ("exactly_once", Self::ExactlyOnce)];
}

/// An operator's answers about ranges whose fate the host could not determine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// Each token, and whether its rows are in the table.
    of: Vec<(String, bool)>,
}

impl Answers {
    const WORDS: &[(&str, bool)] = &[("landed", true), ("not_landed", false)];

    /// Whether the rows sent under a token are in the table; `None` without an answer.
    pub fn has_landed(&self, token: &str) -> Option<bool> {
        self.of.iter().find(|(of, _)| of == token).map(|(_, has_landed)| *has_landed)
    }

    /// The entries as the variable is written.
    pub fn as_text(&self) -> String {
        let entry = |(token, has_landed): &(String, bool)| {
            format!("{token}={}", word(Self::WORDS, *has_landed))
        };
        self.of.iter().map(entry).collect::<Vec<_>>().join(",")
    }
}

/// Reads DELIVERY_ANSWERS.
pub(super) fn read_answers(reader: &mut VariableReader<'_>) -> Answers {
    const NAME: &str = "DELIVERY_ANSWERS";
    let mut of = Vec::new();
    for entry in reader.list(NAME) {
        let parts = entry.split_once('=');
        let answer = parts.and_then(|(token, answer)| {
            let (_, answer) = Answers::WORDS.iter().find(|(word, _)| *word == answer.trim())?;
            let token = token.trim();
            let is_token = token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_token.then(|| (token.to_owned(), *answer))
        });
        match answer {
            Some(answer) => of.push(answer),
            None => reader.refuse(
                NAME,
                "a list of token=landed or token=not_landed",
                &entry,
                "copy the token, 32 hexadecimal digits, from the text that asks for the answer",
            ),
        }
    }
    Answers { of }
}

/// Reads the guarantee, and refuses settings that it rules out.
pub(super) fn read_delivery(
    reader: &mut VariableReader<'_>,
    clickhouse: &mut ClickHouse,
    rules: &Rules,
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
        rules.metadata.iter().find(|(_, metadata)| *metadata == Metadata::Token)
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
    fn answers_are_told_by_token() {
        let (here, there) = ("0123456789abcdef0123456789abcdef", "f".repeat(32));
        let text = format!("{here}=landed,{there}=not_landed");
        let answers = config(&[("DELIVERY_ANSWERS", &text)]).answers;
        assert_eq!(answers.has_landed(here), Some(true));
        assert_eq!(answers.has_landed(&there), Some(false));
        assert_eq!(answers.has_landed("another"), None);
        assert_eq!(answers.as_text(), text);
        assert!(errors(&[("DELIVERY_ANSWERS", "abc=landed")]).contains("32 hexadecimal digits"));
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
