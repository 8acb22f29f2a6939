use std::borrow::Cow;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::Unreadable;

/// What a payload can be read as.
///
/// Every type that implements serde's `Deserialize` is, from JSON; one that borrows
/// (`#[serde(borrow)] Cow<'a, str>`) copies nothing. [`Raw`] takes the bytes as they are. For
/// another format, implement it on a type of your own that is not `Deserialize`.
pub trait FromPayload<'a>: Sized {
    /// Reads one payload.
    ///
    /// # Errors
    ///
    /// [`RowsPlugin::unreadable`](crate::RowsPlugin::unreadable) decides what becomes of one that
    /// is something else.
    fn from_payload(payload: &'a [u8]) -> Result<Self, Unreadable>;
}

/// What can be written as a payload: every type that implements serde's `Serialize`, as JSON, and
/// [`Raw`], as its bytes.
pub trait IntoPayload {
    /// Appends the payload to `out`, and nothing else.
    ///
    /// # Errors
    ///
    /// The record is rejected with this text, which many read: it must not quote the record.
    fn into_payload(self, out: &mut Vec<u8>) -> Result<(), String>;
}

impl<'a, T: Deserialize<'a>> FromPayload<'a> for T {
    fn from_payload(payload: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(serde_json::from_slice(payload)?)
    }
}

impl<T: Serialize> IntoPayload for T {
    fn into_payload(self, out: &mut Vec<u8>) -> Result<(), String> {
        serde_json::to_writer(out, &self)
            .map_err(|_| "the plugin's answer cannot be written as JSON".to_owned())
    }
}

/// A payload as bytes, in and out, whatever its format is.
///
/// ```
/// use sluicegate_plugin::Raw;
///
/// assert_eq!(Raw::from("text"), Raw::from(b"text".to_vec()));
/// assert!(Raw::from("").is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw<'a>(Cow<'a, [u8]>);

impl Raw<'_> {
    /// The bytes, copied if they were borrowed.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_owned()
    }
}

impl Deref for Raw<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> From<&'a [u8]> for Raw<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a str> for Raw<'a> {
    fn from(text: &'a str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<Vec<u8>> for Raw<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }
}

impl From<String> for Raw<'_> {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl<'a> FromPayload<'a> for Raw<'a> {
    fn from_payload(payload: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(Self::from(payload))
    }
}

impl IntoPayload for Raw<'_> {
    fn into_payload(self, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&self);
        Ok(())
    }
}
