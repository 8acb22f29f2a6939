//! Between librdkafka's lists of partitions and ours.

use std::collections::BTreeSet;

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::record::TopicPartition;

/// The list's partitions, in its order.
pub fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition {
            topic: element.topic().into(),
            partition: element.partition(),
        })
        .collect()
}

/// The list's topics, each once, as text.
pub fn topics(list: &TopicPartitionList) -> String {
    let names: BTreeSet<String> =
        list.elements().iter().map(|element| element.topic().to_owned()).collect();
    names.into_iter().collect::<Vec<_>>().join(",")
}

/// A list of offsets to commit.
pub fn list_of(offsets: &[(TopicPartition, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (source, offset) in offsets {
        list.add_partition_offset(&source.topic, source.partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
