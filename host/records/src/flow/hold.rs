//! The outcomes that are no fault of a record; its own is [`crate::flow::rejection::Rejection`].
//!
//! | outcome | what happens | who mends it |
//! |---|---|---|
//! | rejection | the record goes to the dead letter topic | whoever produced it |
//! | transient | tried again for ever, felt upstream as backpressure | time |
//! | paused | the same, but not ready and alarmed | an operator |
//! | fatal | what is settled is committed, exit 70 | a developer |

/// A wait for something outside the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// It heals by itself: a connection reset, a server that starts.
    Transient(String),
    /// An operator must mend something; the text says what and where to look.
    Paused(String),
}

impl Hold {
    /// What is waited for.
    pub fn text(&self) -> &str {
        match self {
            Self::Transient(text) | Self::Paused(text) => text,
        }
    }
}

/// A bug, or a fenced membership: the host stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);
