//! How the rows of a body are sent, whatever is tried for them.

use super::home::Promised;
use crate::clickhouse::client::Sent;

/// How rows are sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending<'a> {
    /// Makes a server that deduplicates take the same body once.
    pub token: &'a str,
    /// Whether they may go through the server's queue of async inserts.
    pub may_be_async: bool,
    /// Whether want of memory comes back after some tries, since they can be split.
    pub may_split_for_memory: bool,
    /// How many INSERTs had landed when rows of one record last found no memory, and went behind the others.
    pub landed_before: Option<u64>,
    /// What the plan says that names the token; `None` where none does, and nobody else sends under it.
    pub planned: Option<Promised<'a>>,
}

impl Sending<'_> {
    /// One INSERT of them, bound to the session if there is one.
    pub fn in_session<'s>(&'s self, session: Option<&'s str>) -> Sent<'s> {
        let is_planned = self.planned.is_some();
        Sent { token: self.token, session, may_be_async: self.may_be_async, is_planned }
    }
}
