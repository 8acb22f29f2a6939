//! Three brokers, of which one after another goes away and comes back: leaders and the group's coordinator
//! move, and every record is where it should be.

use std::time::Duration;

use sluicegate_tests::{Broker, Job, Load, NUMBERED};
use tokio::time::sleep;

/// Longer than the cluster takes to notice that a node is gone.
const AWAY: Duration = Duration::from_secs(3);

/// Has each node go away once under load, killed and stopped in turn.
#[tokio::test]
async fn leaders_and_coordinators_that_move_lose_and_double_nothing() -> anyhow::Result<()> {
    let mut nodes = Broker::start_cluster().await?;
    let first = nodes.remove(0);
    let job = Job::on_broker(first, NUMBERED, 6).await?;
    let mut job = job.exactly_once(10_000).await?;
    let load = Load::start(&job, 1_000)?;
    let (mut host, other) = (job.start()?, job.start()?);
    host.wait_for(&["batch settled"]).await?;
    for at in 0..=nodes.len() {
        let node = match at.checked_sub(1) {
            None => job.broker()?,
            Some(at) => &mut nodes[at],
        };
        match at % 2 == 0 {
            true => node.kill().await?,
            false => node.stop().await?,
        }
        sleep(AWAY).await;
        node.restart().await?;
        // What it led is in step again before the next one goes.
        sleep(AWAY).await;
    }
    let records = load.stop(&mut job).await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    other.stop().await?;
    records.audit(&job).await
}
