/// A plugin's answer for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T> {
    /// It goes on as it came, byte for byte, whatever the plugin did to its copy.
    Keep,
    /// This goes on in its place.
    Replace(T),
    /// These go on in its place, in their order, and share its fate; none is the same as `Drop`.
    Many(Vec<T>),
    /// It ends here, and counts as settled.
    Drop,
    /// It goes to the dead letter topic.
    Reject(Rejection),
}

/// Why a record is refused.
///
/// The message is for people and goes to the dead letter: it says what is wrong, never a value of the record.
/// The host keeps its first 1,000 characters.
///
/// ```
/// use sluicegate_plugin::Rejection;
///
/// let rejection = Rejection::new("expected an array").at("items");
/// assert_eq!(rejection.column(), Some("items"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    message: String,
    column: Option<String>,
}

impl Rejection {
    /// A rejection of the record as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), column: None }
    }

    /// Names the column or field that is at fault.
    #[must_use]
    pub fn at(self, column: impl Into<String>) -> Self {
        Self { column: Some(column.into()), ..self }
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The column or field at fault, if one is.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.message, self.column)
    }
}

impl<T> From<Rejection> for Verdict<T> {
    fn from(rejection: Rejection) -> Self {
        Self::Reject(rejection)
    }
}
