//! The protocol of exactly-once delivery as a model that is checked to the end, within bounds: every
//! state that a few records, members, crashes and late requests can lead to is visited. What is
//! modelled is told in docs/exactly-once.md; the words are those of that page.
//!
//! Read in this order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`sluicegate::delivery::plans`] | the host's own: the text in the commit metadata, and where a new member begins |
//! | [`world`] | what Kafka, ClickHouse and each member remember |
//! | `member` | what a member does, by what it remembers alone: the protocol |
//! | `environment` | what happens to it: crashes, rebalances, lost and late requests, time |
//! | [`invariants`] | what must hold in every state |
//! | [`setup`] | bounds, and the variants of the protocol that lack one of its rules |
//! | [`explore`] | the search, which knows nothing of all this |
//!
//! There is one partition of one topic and one table, since plans of partitions have nothing in
//! common. A *member* is an assignment and what is remembered under it: it is named by its
//! generation, and a crash, a restart and a rebalance all make the next. A member of an older
//! generation that has not ended is a zombie, and acts on as if nothing had happened.
//!
//! Time is what it does. Plans *age* all at once, between any two steps, and later their tokens are
//! forgotten, but not while an INSERT of such a plan is under way. A random nonce is a number that
//! nobody else has. That a member *waits until nothing can arrive* is a look at what is under way.

mod environment;
pub mod explore;
pub mod invariants;
mod member;
pub mod offsets;
pub mod setup;
mod step;
pub mod world;
