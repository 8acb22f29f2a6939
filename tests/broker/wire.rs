//! Encryption and passwords on the wire, under an authority that only these tests trust.

use std::time::Duration;

use sluicegate_tests::{Authority, Broker, BrokerSecurity, Job, NUMBERED, Numbered, TlsProxy};

const USER: &str = "sluice";
const PASSWORD: &str = "right-one";

/// A job whose host speaks TLS and SCRAM with the broker, and TLS with ClickHouse.
async fn job(authority: &Authority) -> anyhow::Result<(Job, TlsProxy)> {
    let security = BrokerSecurity {
        scram_users: vec![(USER.into(), PASSWORD.into())],
        pem: Some(authority.server()),
    };
    let broker = Broker::start_with(&security).await?;
    let address = broker.secure_address().to_owned();
    let job = Job::on_broker(broker, NUMBERED, 2).await?;
    let proxy = authority.proxy(job.stack.clickhouse_url()).await?;
    let job = job
        .with("KAFKA_BROKER", &address)
        .with("KAFKA_SECURITY_PROTOCOL", "sasl_ssl")
        .with("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
        .with("KAFKA_SASL_USERNAME", USER)
        .with("KAFKA_SASL_PASSWORD", PASSWORD)
        .with("KAFKA_SSL_CA_LOCATION", &authority.root())
        .with("CLICKHOUSE_HOST", proxy.url())
        .with("CLICKHOUSE_SSL_CA_LOCATION", &authority.root());
    Ok((job, proxy))
}

#[tokio::test]
async fn records_land_over_tls_and_scram_under_a_private_authority() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let (mut job, _proxy) = job(&authority).await?;
    let mut records = Numbered::default();
    records.produce(&mut job, 10_000).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!((ledger.landed, ledger.dead_lettered), (9_900, 100));
    records.audit(&job).await
}

#[tokio::test]
async fn a_wrong_password_or_authority_is_laid_to_its_variable() -> anyhow::Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let (mut job, _proxy) = job(&authority).await?;
    for (variable, wrong) in [
        ("KAFKA_SASL_PASSWORD", "wrong-one".to_owned()),
        ("KAFKA_SSL_CA_LOCATION", stranger.root()),
        ("CLICKHOUSE_SSL_CA_LOCATION", stranger.root()),
    ] {
        let right = job.environment[variable].clone();
        job = job.with(variable, &wrong);
        let mut host = job.start()?;
        host.wait_for(&["paused", variable]).await?;
        // What is said stays said: no vaguer text takes its place.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let log = host.log();
        let last = log.iter().rfind(|line| line.contains("paused") || line.contains("waiting"));
        assert!(last.is_some_and(|line| line.contains(variable)), "{}", log.join("\n"));
        assert!(!log.iter().any(|line| line.contains("wrong-one")), "{}", log.join("\n"));
        host.stop().await?;
        job = job.with(variable, &right);
    }
    Ok(())
}
