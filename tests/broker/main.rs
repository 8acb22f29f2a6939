//! What the mock broker cannot decide: the same host between a real Apache Kafka broker and the
//! real engine, killed, scaled out and cut off.

#![allow(clippy::unwrap_used)]

mod kills;
mod letters;
mod limits;
mod outages;
mod remade;
mod scale_out;
mod unreadable;
mod wire;
