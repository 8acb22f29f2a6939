//! JSON Schema: the derived one against the decoder, over seeded records, and the official test suite
//! through the path that runs the schemas of users.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod agreement;
mod bytes;
mod cover;
mod excuses;
mod further;
mod official;
mod oracle;
mod tables;
mod values;
