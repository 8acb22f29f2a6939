//! Rows that a plugin enriches from a lookup, through the whole path.

use std::time::Duration;

use sluicegate_tests::{Job, PATIENCE, path_of};
use tokio::time::{Instant, sleep};

const TABLE: &str = "CREATE TABLE t (id UInt64, fleet String, owner String DEFAULT 'nobody',
    region Nullable(String)) ENGINE = MergeTree ORDER BY id";
const CONFIG: &str =
    r#"{"table":"fleets","key":"fleet","columns":{"owner":"owner","region":"place"}}"#;

/// A job whose records are enriched from the lookup `fleets`.
async fn enriched(lookup: &str) -> anyhow::Result<Job> {
    let path = path_of("SLUICEGATE_PLUGINS")?.join("enrich.wasm");
    Ok(Job::new(TABLE)
        .await?
        .with("PLUGINS", &format!("enrich={}", path.display()))
        .with("PLUGIN_ENRICH_CONFIG", CONFIG)
        .with("PLUGIN_ENRICH_LOOKUPS", "fleets")
        .with("LOOKUP_FLEETS", lookup)
        .with("LOOKUP_FLEETS_KEY", "name")
        .with("LOOKUP_FLEETS_REFRESH_MS", "1000"))
}

fn record(id: u64, fleet: &str) -> String {
    // What a plugin gives is not taken from the record.
    format!(r#"{{"id":{id},"fleet":"{fleet}","owner":7}}"#)
}

#[tokio::test]
async fn rows_take_what_a_file_says_and_the_default_where_it_says_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fleets.csv");
    std::fs::write(&path, "name,owner,place\na,\"x, y\",north\nb,z,\n")?;
    let mut job = enriched(&format!("file:{}", path.display())).await?;
    job.produce([record(1, "a"), record(2, "b"), record(3, "?"), r#"{"id":4}"#.to_owned()]).await?;
    let ledger = job.run_to_the_end().await?;
    assert_eq!(ledger.landed, 4);
    let rows = job.query("SELECT id, owner, region FROM t ORDER BY id").await?;
    assert_eq!(rows, "1\tx, y\tnorth\n2\tz\t\n3\tnobody\t\\N\n4\tnobody\t\\N");
    Ok(())
}

#[tokio::test]
async fn a_select_is_read_again_and_what_was_known_is_kept_while_it_fails() -> anyhow::Result<()> {
    let select = "SELECT name, owner, place FROM fleets";
    let mut job = enriched(select).await?;
    job.query(
        "CREATE TABLE fleets (name String, owner String, place Nullable(String)) \
         ENGINE = MergeTree ORDER BY name",
    )
    .await?;
    job.query("INSERT INTO fleets VALUES ('a', 'first', NULL)").await?;
    job.produce([record(1, "a")]).await?;
    let mut host = job.start()?;
    job.wait_until_committed(&host).await?;
    assert_eq!(job.query("SELECT owner, region FROM t").await?, "first\t\\N");

    job.query("RENAME TABLE fleets TO away").await?;
    let failures = "sluicegate_lookup_refresh_failures_total{lookup=\"fleets\"}";
    let failed = |page: &sluicegate_tests::Answer| page.metric(failures) >= Some(1.0);
    host.wait_for_answer("/metrics", failed).await?;
    job.produce([record(2, "a")]).await?;
    job.wait_until_committed(&host).await?;
    assert_eq!(job.query("SELECT owner FROM t WHERE id = 2").await?, "first");
    assert_eq!(host.admin("GET", "/readyz").await?.status, 200);

    job.query("ALTER TABLE away UPDATE owner = 'second' WHERE 1 SETTINGS mutations_sync = 1")
        .await?;
    job.query("RENAME TABLE away TO fleets").await?;
    let deadline = Instant::now() + PATIENCE;
    for id in 3.. {
        job.produce([record(id, "a")]).await?;
        job.wait_until_committed(&host).await?;
        let owner = job.query(&format!("SELECT owner FROM t WHERE id = {id}")).await?;
        if owner == "second" {
            break;
        }
        assert_eq!(owner, "first");
        assert!(Instant::now() < deadline, "the refreshed table never came:\n{:?}", host.log());
        sleep(Duration::from_millis(200)).await;
    }
    host.stop().await.map(drop)
}

#[tokio::test]
async fn a_select_that_the_server_refuses_is_waited_for_before_the_first_batch()
-> anyhow::Result<()> {
    let mut job = enriched("SELECT name, owner, place FROM fleets").await?;
    job.produce([record(1, "a")]).await?;
    let mut host = job.start()?;
    let says = |body: &str| body.contains("LOOKUP_FLEETS") && body.contains("fleets");
    host.wait_for_answer("/readyz", |ready| ready.status == 503 && says(&ready.body)).await?;
    job.query("CREATE VIEW fleets AS SELECT 'a' AS name, 'x' AS owner, 'y' AS place").await?;
    job.wait_until_committed(&host).await?;
    host.stop().await?;
    assert_eq!(job.query("SELECT owner, region FROM t").await?, "x\ty");
    Ok(())
}

#[tokio::test]
async fn a_lookup_that_cannot_be_is_refused_at_the_start_by_its_variable() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fleets.csv");
    let file = format!("file:{}", path.display());
    let twice = "name,owner,place\na,x,\na,y,\n";
    let no_key = "fleet,owner,place\na,x,\n";
    let no_column = "name,owner\na,x\n";
    for (content, words) in [
        (None, ["LOOKUP_FLEETS", "fleets.csv"]),
        (Some(twice), ["fleets.csv", "3"]),
        (Some(no_key), ["LOOKUP_FLEETS_KEY", "`name`"]),
        (Some(no_column), ["PLUGINS: `enrich`", "place"]),
    ] {
        if let Some(content) = content {
            std::fs::write(&path, content)?;
        }
        let mut host = enriched(&file).await?.start()?;
        let status = host.wait().await?;
        let log = host.log().join("\n");
        assert_eq!(status.code(), Some(64), "{log}");
        assert!(words.iter().all(|word| log.contains(word)), "{words:?} in {log}");
    }
    std::fs::write(&path, "name,owner,place\na,x,\n")?;
    let mut host = enriched(&file).await?.with("PLUGIN_ENRICH_LOOKUPS", "").start()?;
    assert_eq!(host.wait().await?.code(), Some(64));
    let log = host.log().join("\n");
    assert!(log.contains("PLUGIN_ENRICH_LOOKUPS"), "{log}");
    Ok(())
}
