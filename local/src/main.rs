//! `sluicegate-local`: a Kafka and a ClickHouse in one child process.

fn main() {}
