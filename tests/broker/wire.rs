//! Encryption and passwords on the wire, under an authority that only these tests trust.

use std::time::Duration;

use sluicegate_tests::{
    Authority, Broker, BrokerSecurity, Job, NUMBERED, Numbered, TlsProxy, once,
};

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

/// At its default time, though librdkafka tells the reason only once a connection was refused.
#[tokio::test]
async fn check_lays_a_refusal_to_its_variable() -> anyhow::Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let (mut job, _proxy) = job(&authority).await?;
    for (variable, wrong, reason) in [
        ("KAFKA_SASL_PASSWORD", "wrong-one".to_owned(), "invalid credentials"),
        ("KAFKA_SASL_USERNAME", "nobody".to_owned(), "invalid credentials"),
        ("KAFKA_SASL_MECHANISM", "PLAIN".to_owned(), "mechanism"),
        ("KAFKA_SSL_CA_LOCATION", stranger.root(), "certificate"),
        ("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext".to_owned(), ""),
    ] {
        let right = job.environment[variable].clone();
        job = job.with(variable, &wrong);
        let output = once(&job.environment, &["check"]).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let problem = |line: &&str| line.starts_with("problem") && line.contains("broker");
        let line = said.lines().find(problem).unwrap_or_default();
        let is_told = line.contains(variable) && line.to_lowercase().contains(reason);
        assert!(is_told, "{variable}: {said}");
        assert!(!said.contains("wrong-one"), "{said}");
        job = job.with(variable, &right);
    }
    let output = once(&job.environment, &["check"]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
