//! Kafka as a neighbour: what its clients share, what its brokers answer, and what its errors mean.

pub mod client;
pub mod consumer;
pub mod describe;
pub mod headers;
pub mod lists;
mod probe;
pub mod queue;
mod sample;
pub mod topics;

pub use probe::Probe;
pub use queue::{DataQueue, Message};
pub use sample::{SampleCut, TopicSample};
