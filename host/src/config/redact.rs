//! Keeps secrets out of logs, errors and pages.

use std::fmt;
use std::ops::Deref;

/// The replacement of a secret.
pub const REDACTED: &str = "***";

/// Parts of a key that mark its value as a secret.
const SECRET_PARTS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "key",
    "credential",
    "sasl.jaas",
    "oauthbearer.config",
];

/// Whether a value must be hidden, judged by its key alone.
///
/// It errs towards hiding: a path such as `ssl.key.location` is hidden too.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| key.contains(part))
}

/// The value, or `***` if the key marks a secret.
pub fn redact<'a>(key: &str, value: &'a str) -> &'a str {
    if is_secret_key(key) { REDACTED } else { value }
}

/// The part of an address that an error may show: without user and password, and without the text after `?`, `#` or
/// `=`.
pub(super) fn redact_address(address: &str) -> String {
    let (scheme, rest) = match address.find("://") {
        Some(at) => address.split_at(at + "://".len()),
        None => ("", address),
    };
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("***@", rest));
    let end = rest.find(['?', '#', '=']).map(|at| rest.split_at(at + 1).0);
    match end {
        Some(shown) => format!("{scheme}{user}{shown}{REDACTED}"),
        None => format!("{scheme}{user}{rest}"),
    }
}

/// A text that `Debug` and `Display` do not show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty, which is no secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Name and value pairs in the given order, without duplicate names.
///
/// Reads as a slice of pairs; `Debug` and `Display` hide the values of secret names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyValues(Vec<(String, String)>);

impl KeyValues {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl From<Vec<(String, String)>> for KeyValues {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
}

impl Deref for KeyValues {
    type Target = [(String, String)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a> IntoIterator for &'a KeyValues {
    type Item = &'a (String, String);
    type IntoIter = std::slice::Iter<'a, (String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Debug for KeyValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, value)| (key, redact(key, value)))).finish()
    }
}

impl fmt::Display for KeyValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, value)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{key}={}", redact(key, value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_hidden_by_the_name_of_its_key() {
        for key in ["sasl.password", "ssl.key.pem", "sasl.jaas.config", "AccessToken", "s3_secret"]
        {
            assert!(is_secret_key(key), "{key}");
        }
        for key in ["fetch.min.bytes", "client.rack", "sasl.username", "max_insert_threads"] {
            assert!(!is_secret_key(key), "{key}");
        }
    }

    #[test]
    fn an_address_is_shown_without_user_and_query() {
        for (address, expected) in [
            ("http://db:8123?password=hunter2", "http://db:8123?***"),
            ("db:8123/?user=me&password=hunter2", "db:8123/?***"),
            ("db:8123#hunter2", "db:8123#***"),
            ("db;password=hunter2", "db;password=***"),
            ("https://me:hunter2@db:8443/?a=1", "https://***@db:8443/?***"),
            ("me:hunter2@kafka:9092", "***@kafka:9092"),
            ("http://me@hunter2@db", "http://***@db"),
            ("http://db?password=hunter2@x", "http://***@x"),
            ("tcp://db:9000", "tcp://db:9000"),
            ("", ""),
        ] {
            assert_eq!(redact_address(address), expected);
        }
    }

    #[test]
    fn neither_debug_nor_display_shows_a_secret() {
        let secret = Secret::new("hunter2");
        let pairs = KeyValues::from(vec![
            ("sasl.password".to_owned(), "hunter2".to_owned()),
            ("client.rack".to_owned(), "a".to_owned()),
        ]);
        let shown = format!("{secret:?} {secret} {pairs:?} {pairs}");
        insta::assert_snapshot!(shown, @r#"*** *** {"sasl.password": "***", "client.rack": "a"} sasl.password=***,client.rack=a"#);
        assert_eq!(secret.expose(), "hunter2");
    }
}
