//! The Kafka of the stack: librdkafka's mock cluster.
//!
//! The cluster is not `Send` and each call to it takes about 100 ms, so it lives on a thread
//! of its own that runs closures in turn.

use std::sync::mpsc;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use sluicegate_local::KafkaErrors;
use tokio::sync::oneshot;

use crate::chdb::set_group_join_delay;

type Cluster<'c> = MockCluster<'c, DefaultProducerContext>;
type Task = Box<dyn FnOnce(&Cluster<'_>) + Send>;

/// Every broker, in the mock cluster's numbering.
pub const ALL_BROKERS: i32 = -1;

/// The running mock cluster.
pub struct Kafka {
    bootstrap_servers: String,
    tasks: mpsc::Sender<Task>,
}

impl Kafka {
    /// Starts a cluster of `brokers` on free ports of 127.0.0.1. A new consumer group waits
    /// `group_join_delay_ms` for more members, as by the brokers' own setting
    /// `group.initial.rebalance.delay.ms`. Blocks.
    pub fn start(brokers: u16, group_join_delay_ms: u16) -> anyhow::Result<Self> {
        let (tasks, queue) = mpsc::channel::<Task>();
        let (started, bootstrap) = mpsc::channel();
        std::thread::Builder::new().name("mock-kafka".to_owned()).spawn(move || {
            // The cluster belongs to a client, which is never used as a producer.
            let owner: KafkaResult<BaseProducer> =
                ClientConfig::new().set("test.mock.num.brokers", brokers.to_string()).create();
            let owner = match owner {
                Ok(owner) => owner,
                Err(error) => {
                    started.send(Err(error)).ok();
                    return;
                }
            };
            set_group_join_delay(owner.client(), i32::from(group_join_delay_ms));
            let Some(cluster) = owner.client().mock_cluster() else { return };
            started.send(Ok(cluster.bootstrap_servers())).ok();
            for task in queue {
                task(&cluster);
            }
        })?;
        let bootstrap_servers = bootstrap
            .recv()
            .context("mock kafka: its thread ended")?
            .context("mock kafka: cannot start")?;
        Ok(Self { bootstrap_servers, tasks })
    }

    /// `127.0.0.1:PORT` of each broker, comma-separated.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates a topic.
    pub async fn create_topic(&self, name: String, partitions: i32) -> anyhow::Result<()> {
        let context = format!("mock kafka: topic `{name}` with {partitions} partitions");
        self.run(move |cluster| cluster.create_topic(&name, partitions, 1)).await.context(context)
    }

    /// Drops the broker's connections and refuses new ones.
    pub async fn broker_down(&self, broker: i32) -> anyhow::Result<()> {
        self.run(move |cluster| cluster.broker_down(broker)).await
    }

    /// Undoes [`Kafka::broker_down`].
    pub async fn broker_up(&self, broker: i32) -> anyhow::Result<()> {
        self.run(move |cluster| cluster.broker_up(broker)).await
    }

    /// Sets errors for the next requests of one kind; an empty list clears them.
    pub async fn request_errors(&self, errors: &KafkaErrors) -> anyhow::Result<()> {
        let api = api_key(&errors.api)?;
        let codes = errors
            .errors
            .iter()
            .map(|name| error_code(name))
            .collect::<anyhow::Result<Vec<_>>>()?;
        self.run(move |cluster| {
            if codes.is_empty() {
                cluster.clear_request_errors(api);
            } else {
                cluster.request_errors(api, &codes);
            }
            Ok(())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Cluster<'_>) -> KafkaResult<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (sender, answer) = oneshot::channel();
        let task: Task = Box::new(move |cluster: &Cluster<'_>| {
            sender.send(task(cluster)).ok();
        });
        self.tasks.send(task).ok().context("mock kafka: its thread ended")?;
        let result = answer.await.context("mock kafka: its thread ended")?;
        // As text, since its text holds that of its source.
        result.map_err(|error| anyhow::anyhow!("{error}"))
    }
}

fn api_key(name: &str) -> anyhow::Result<RDKafkaApiKey> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "produce" => RDKafkaApiKey::Produce,
        "fetch" => RDKafkaApiKey::Fetch,
        "list_offsets" => RDKafkaApiKey::ListOffsets,
        "metadata" => RDKafkaApiKey::Metadata,
        "offset_commit" => RDKafkaApiKey::OffsetCommit,
        "offset_fetch" => RDKafkaApiKey::OffsetFetch,
        "find_coordinator" => RDKafkaApiKey::FindCoordinator,
        "join_group" => RDKafkaApiKey::JoinGroup,
        "heartbeat" => RDKafkaApiKey::Heartbeat,
        "leave_group" => RDKafkaApiKey::LeaveGroup,
        "sync_group" => RDKafkaApiKey::SyncGroup,
        "init_producer_id" => RDKafkaApiKey::InitProducerId,
        "offset_for_leader_epoch" => RDKafkaApiKey::OffsetForLeaderEpoch,
        "add_partitions_to_txn" => RDKafkaApiKey::AddPartitionsToTxn,
        "add_offsets_to_txn" => RDKafkaApiKey::AddOffsetsToTxn,
        "end_txn" => RDKafkaApiKey::EndTxn,
        "txn_offset_commit" => RDKafkaApiKey::TxnOffsetCommit,
        _ => anyhow::bail!(
            "kafka api `{name}`: unknown; use one such as produce, fetch, metadata, \
             list_offsets, offset_commit, offset_fetch, find_coordinator, join_group, \
             heartbeat, sync_group or init_producer_id"
        ),
    })
}

/// Finds an error by librdkafka's own name for it, with or without its long prefix.
fn error_code(name: &str) -> anyhow::Result<RDKafkaRespErr> {
    const PREFIX: &str = "RD_KAFKA_RESP_ERR_";
    /// librdkafka's local errors are above -200; the brokers' are below 200.
    const CODES: std::ops::Range<i32> = -200..200;
    let wanted = name.strip_prefix(PREFIX).unwrap_or(name);
    CODES
        .filter_map(|code| RDKafkaRespErr::try_from(code).ok())
        .find(|code| format!("{code:?}").strip_prefix(PREFIX) == Some(wanted))
        .with_context(|| {
            format!("kafka error `{name}`: unknown; use librdkafka's name, as MSG_SIZE_TOO_LARGE")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_errors_by_name() {
        let found = |name| error_code(name).expect("known");
        assert_eq!(
            found("MSG_SIZE_TOO_LARGE"),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
        );
        assert_eq!(found("_TRANSPORT"), RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT);
        assert_eq!(found("NO_ERROR"), RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
        assert!(error_code("NO_SUCH").is_err());
        assert!(api_key("offset_commit").is_ok());
        assert!(api_key("nonsense").is_err());
    }
}
