//! What the mock broker cannot decide: the same host between a real Apache Kafka broker and the
//! real engine, killed, scaled out and cut off.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

mod cluster;
mod kills;
mod letters;
mod limits;
mod outages;
mod remade;
mod scale_out;
mod transactions;
mod unreadable;
mod wire;
