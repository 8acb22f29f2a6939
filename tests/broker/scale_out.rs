//! Several members of one group on the real broker, under load: one is stopped, one is killed,
//! one is added, and nothing is lost.

use sluicegate_tests::{Broker, Host, Job, Load, NUMBERED};

async fn scaled_out(properties: &str) -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, NUMBERED, 6)
        .await?
        .with("KAFKA_PROPERTIES", properties)
        .with("NUM_MESSAGES", "500");
    let load = Load::start(&job, 5_000)?;
    let mut hosts = Vec::new();
    for _ in 0..3 {
        let mut host = job.start()?;
        host.wait_for(&["partitions assigned"]).await?;
        hosts.push(host);
    }
    let [mut killed, stopped, mut stayed]: [Host; 3] =
        hosts.try_into().map_err(|_| anyhow::anyhow!("three hosts"))?;
    stayed.wait_for(&["batch settled"]).await?;
    let stopped = stopped.stop().await?;
    killed.wait_for(&["batch settled"]).await?;
    killed.kill().await?;
    let mut added = job.start()?;
    added.wait_for(&["batch settled"]).await?;
    let records = load.stop(&mut job).await?;
    job.wait_until_committed(&added).await?;
    let (stayed, added) = (stayed.stop().await?, added.stop().await?);
    assert_eq!((stopped.in_flight, stayed.in_flight, added.in_flight), (0, 0, 0));
    assert!(added.landed > 0 && stayed.landed > 0, "{stayed:?} {added:?}");
    records.audit(&job).await
}

#[tokio::test]
async fn a_cooperative_group_changes_under_load_and_loses_nothing() -> anyhow::Result<()> {
    scaled_out("session.timeout.ms=3000,heartbeat.interval.ms=500").await
}

#[tokio::test]
async fn an_eager_group_changes_under_load_and_loses_nothing() -> anyhow::Result<()> {
    let eager = "session.timeout.ms=3000,heartbeat.interval.ms=500,\
                 partition.assignment.strategy=range";
    scaled_out(eager).await
}

#[tokio::test]
async fn a_group_of_the_new_protocol_changes_under_load_and_loses_nothing() -> anyhow::Result<()> {
    scaled_out("group.protocol=consumer").await
}
