//! Several members of one group on the real broker, under load: one is stopped, one is killed,
//! one is added, and nothing is lost.

use sluicegate_tests::{Broker, Host, Job, Load, NUMBERED};

async fn scaled_out(properties: &str) -> anyhow::Result<()> {
    scaled_out_on(Job::on_broker(Broker::start().await?, NUMBERED, 6).await?, properties).await
}

async fn scaled_out_on(job: Job, properties: &str) -> anyhow::Result<()> {
    let mut job = job.with("KAFKA_PROPERTIES", properties).with("NUM_MESSAGES", "500");
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

#[tokio::test]
async fn groups_of_both_protocols_change_under_load_and_double_nothing_with_exactly_once()
-> anyhow::Result<()> {
    for properties in
        ["session.timeout.ms=3000,heartbeat.interval.ms=500", "group.protocol=consumer"]
    {
        let job = Job::on_broker(Broker::start().await?, NUMBERED, 6).await?;
        scaled_out_on(job.exactly_once(10_000).await?, properties).await?;
    }
    Ok(())
}

/// Kafka keeps the share of a member with a name of its own for as long as its session lasts.
#[tokio::test]
async fn a_named_member_that_is_back_in_time_moves_no_partition_of_another() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, NUMBERED, 6).await?;
    let load = Load::start(&job, 5_000)?;
    let named = |job: Job, name: &str| {
        let properties = format!("group.instance.id={name},session.timeout.ms=20000");
        job.with("KAFKA_PROPERTIES", &properties)
    };
    job = named(job, "stays");
    let mut stays = job.start()?;
    stays.wait_for(&["batch settled"]).await?;
    job = named(job, "returns");
    let mut returns = job.start()?;
    returns.wait_for(&["batch settled"]).await?;
    let revoked = |host: &Host| host.log().iter().filter(|l| l.contains("revoked")).count();
    let before = revoked(&stays);
    returns.kill().await?;
    let mut returns = job.start()?;
    returns.wait_for(&["batch settled"]).await?;
    assert_eq!(revoked(&stays), before, "{}", stays.log().join("\n"));
    let records = load.stop(&mut job).await?;
    job.wait_until_committed(&returns).await?;
    stays.stop().await?;
    returns.stop().await?;
    records.audit(&job).await
}

#[tokio::test]
async fn a_member_whose_name_another_took_ends_and_says_so() -> anyhow::Result<()> {
    let mut job = Job::on_broker(Broker::start().await?, NUMBERED, 2)
        .await?
        .with("KAFKA_PROPERTIES", "group.instance.id=same");
    let mut fenced = job.start()?;
    fenced.wait_for(&["partitions assigned"]).await?;
    let mut taker = job.start()?;
    assert_eq!(fenced.wait().await?.code(), Some(70));
    let log = fenced.log().join("\n");
    assert!(log.contains("fenced this member off"), "{log}");
    taker.wait_for(&["partitions assigned"]).await?;
    let load = Load::start(&job, 1_000)?;
    taker.wait_for(&["batch settled"]).await?;
    let records = load.stop(&mut job).await?;
    job.wait_until_committed(&taker).await?;
    taker.stop().await?;
    records.audit(&job).await
}
