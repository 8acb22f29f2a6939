//! How the rows of a body are sent, the same for every try.

use super::home::Promised;
use crate::clickhouse::client::Sent;

/// How rows are sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending<'a> {
    /// The deduplication token: a server that deduplicates takes the same body once.
    pub token: &'a str,
    /// Whether they may go through the server's queue of async inserts.
    pub may_be_async: bool,
    /// Whether a lack of memory is returned after some tries, since the rows can be split.
    pub may_split_for_memory: bool,
    /// How many INSERTs had landed when one record's rows last found no memory and let others go first.
    pub landed_before: Option<u64>,
    /// The plan of the token; `None` if it is not planned, so that nobody else sends under it.
    pub planned: Option<Promised<'a>>,
}

impl Sending<'_> {
    /// One INSERT of them, bound to the session if there is one.
    pub fn in_session<'s>(&'s self, session: Option<&'s str>) -> Sent<'s> {
        let is_planned = self.planned.is_some();
        Sent { token: self.token, session, may_be_async: self.may_be_async, is_planned }
    }
}
