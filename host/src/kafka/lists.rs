//! Conversions between librdkafka's partition lists and ours.

use std::collections::BTreeSet;

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::delivery::offsets::Commit;
use crate::flow::record::TopicPartition;

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

/// A list of offsets to commit, each with its metadata.
pub fn list_of(commits: &[Commit]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for Commit { partition, offset, metadata } in commits {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(*offset))?;
        if !metadata.is_empty() {
            element.set_metadata(metadata);
        }
    }
    Ok(list)
}
