use std::fmt;

use serde_json::error::Category;

use crate::Rejection;

/// Why a payload could not be read, in words that hold nothing of the payload.
///
/// serde's own messages quote what they found (`invalid type: string "4111 1111", expected u64`),
/// and a rejection's message goes to the dead letter, which others read. So of an error of JSON's syntax the whole text is kept,
/// which is serde_json's own; of a field that does not fit, only what the plugin's type expects
/// and the place; of any other message of a `Deserialize` only the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    message: String,
}

impl Unreadable {
    /// For a [`FromPayload`](crate::FromPayload) of your own. The message is read by many: it must
    /// not quote the payload.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unreadable {}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self::new(format!("not the JSON that this plugin reads: {}", describe(&error)))
    }
}

impl From<Unreadable> for Rejection {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(unreadable.message)
    }
}

/// The error without anything that was read.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        Category::Syntax | Category::Eof => text,
        Category::Io => "reading failed".to_owned(),
        Category::Data => {
            let place = format!(" at line {} column {}", error.line(), error.column());
            let found = text.strip_suffix(&place);
            format!("{}{}", expectation(found.unwrap_or(&text)), found.map_or("", |_| &place))
        }
    }
}

/// The part of one of serde's messages that comes from the plugin's types.
fn expectation(message: &str) -> String {
    const FROM_CODE: [&str; 3] = [
        "missing field `",
        "duplicate field `",
        "data did not match any variant of untagged enum ",
    ];
    const QUOTES: [(&str, &str); 5] = [
        ("invalid type: ", "invalid type"),
        ("invalid value: ", "invalid value"),
        ("invalid length ", "invalid length"),
        ("unknown field `", "unknown field"),
        ("unknown variant `", "unknown variant"),
    ];
    if FROM_CODE.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    let kind = QUOTES.iter().find(|(start, _)| message.starts_with(start)).map(|(_, kind)| kind);
    // The last one: what was found stands before it, and may hold the same words.
    match (kind, message.rsplit_once(", expected ")) {
        (Some(kind), Some((_, expected))) => format!("{kind}, expected {expected}"),
        (Some(kind), None) => (*kind).to_owned(),
        (None, _) => "a value that its type refuses".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::{DeserializeOwned, Error};

    use super::*;

    fn text<T: DeserializeOwned>(json: &str) -> String {
        describe(&serde_json::from_str::<T>(json).err().unwrap())
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Typed {
        #[serde(rename = "n")]
        _n: u8,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    #[derive(Debug)]
    struct Custom;

    impl<'de> Deserialize<'de> for Custom {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            Err(D::Error::custom(format!("secret, expected {}", String::deserialize(from)?)))
        }
    }

    #[test]
    fn says_what_was_expected_and_where_but_never_what_was_found() {
        let cases = [
            (text::<Typed>(""), "EOF while parsing a value at line 1 column 0"),
            (text::<Typed>(r#"{"n":secret}"#), "expected value at line 1 column 6"),
            (text::<Typed>(r#"{"n":"secret"}"#), "invalid type, expected u8 at line 1 column 13"),
            (
                text::<Typed>(r#"{"n":"secret, expected secret"}"#),
                "invalid type, expected u8 at line 1 column 30",
            ),
            (text::<Typed>(r#"{"n":4111}"#), "invalid value, expected u8 at line 1 column 9"),
            (text::<Typed>("{}"), "missing field `n` at line 1 column 2"),
            (text::<Typed>(r#"{"n":1,"n":2}"#), "duplicate field `n` at line 1 column 10"),
            (text::<Typed>(r#"{"secret":1}"#), "unknown field, expected `n` at line 1 column 9"),
            (text::<Nothing>(r#"{"secret":1}"#), "unknown field at line 1 column 9"),
            (text::<Custom>(r#""secret""#), "a value that its type refuses"),
        ];
        for (text, expected) in cases {
            assert_eq!(text, expected);
            assert!(!text.contains("secret"));
        }
    }
}
