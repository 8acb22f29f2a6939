//! docs/producers.md, run as it stands: the records of each recipe go through a host with its variables into its table.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use sluicegate_tests::{Host, Job, Message, PATIENCE, committed, produce, read_all};
use tokio::time::{Instant, sleep};

/// The page, read where it stands, so that a recipe is tried without a build.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/producers.md");
    std::fs::read_to_string(path).unwrap()
});

/// Recipes that run at a time.
const AT_ONCE: usize = 4;

/// One recipe of the page: what stands below a heading.
#[derive(Debug, Default)]
struct Recipe {
    name: &'static str,
    /// The CREATE TABLE, and the SELECT where the page has one.
    sql: Vec<&'static str>,
    variables: Vec<&'static str>,
    records: Vec<Message>,
    /// What the SELECT prints, and then the reasons of what is rejected.
    lands: &'static str,
}

/// The recipes of the page, in order. A heading without a table is none.
fn recipes() -> Vec<Recipe> {
    let parts = PAGE.split("\n### ").skip(1);
    let recipes = parts.map(|part| {
        // What stands behind the next heading of a higher level belongs to it.
        let part = part.split("\n## ").next().unwrap_or_default();
        let mut recipe =
            Recipe { name: part.lines().next().unwrap_or_default(), ..Recipe::default() };
        for block in part.split("```").skip(1).step_by(2) {
            let (language, text) = block.split_once('\n').unwrap_or_default();
            match language {
                "sql" => recipe.sql.push(text.trim_end()),
                "sh" => recipe.variables.extend(text.lines()),
                "json" | "jsonc" => recipe.records = records(text, &recipe.variables),
                "text" => recipe.lands = text.trim_end(),
                other => assert_eq!(other, "sql, sh, json, jsonc or text", "{}", recipe.name),
            }
        }
        recipe
    });
    recipes.filter(|recipe| !recipe.sql.is_empty()).collect()
}

/// One record a line; a line that begins with a blank goes on with the one before. `// key` and `// header NAME` stand
/// before the record that they belong to. With RECORD_SPLIT all is one message.
fn records(text: &str, variables: &[&str]) -> Vec<Message> {
    if variables.iter().any(|variable| variable.starts_with("RECORD_SPLIT")) {
        return vec![text.into()];
    }
    let (mut records, mut next) = (Vec::<Message>::new(), Message::default());
    for line in text.lines() {
        if let Some(key) = line.strip_prefix("// key ") {
            next.key = Some(key.into());
        } else if let Some(header) = line.strip_prefix("// header ") {
            let (name, value) = header.split_once(' ').unwrap();
            next.headers.push((name.to_owned(), value.into()));
        } else if line.starts_with(' ') {
            let payload = records.last_mut().and_then(|record| record.payload.as_mut());
            payload.unwrap().extend(line.bytes());
        } else {
            let payload = Some(line.into());
            records.push(Message { payload, ..std::mem::take(&mut next) });
        }
    }
    records
}

/// The name of the table in a CREATE TABLE.
fn table(sql: &str) -> anyhow::Result<&str> {
    let name = sql.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split([' ', '\n']).next());
    name.context("a CREATE TABLE")
}

/// The reason codes of what a recipe has rejected, one a line.
fn reasons(kafka: &str, dead: &str) -> anyhow::Result<String> {
    let letters = read_all(kafka, dead)?;
    let lines = letters.iter().map(|letter| format!("rejected: {}\n", letter.reason()));
    Ok(lines.collect())
}

/// Runs one recipe on a stack that others share, and tells what is not as the page has it.
async fn run(job: &Job, at: usize, recipe: &Recipe) -> anyhow::Result<Option<String>> {
    let (source, dead) = (format!("source-{at}"), format!("dead-{at}"));
    for topic in [&source, &dead] {
        job.stack.create_topic(topic, 1).await?;
    }
    let create = recipe.sql.first().context("a table")?;
    let table = table(create)?;
    job.query(create).await?;
    let mut environment: BTreeMap<String, String> = job.environment.clone();
    let own = [
        ("KAFKA_SOURCE_TOPIC", &*source),
        ("KAFKA_DLQ_TOPIC", &dead),
        ("KAFKA_CONSUMER_GROUP_ID", &source),
        ("CLICKHOUSE_TABLE", table),
    ];
    let named = recipe.variables.iter().filter_map(|line| line.split_once('='));
    let named = named.map(|(name, value)| (name, value.trim_matches('\'')));
    environment.extend(own.into_iter().chain(named).map(|(n, v)| (n.to_owned(), v.to_owned())));
    produce(job.kafka(), &source, 0, &recipe.records).await?;
    let host = Host::start(&environment)?;
    let deadline = Instant::now() + PATIENCE;
    let all = vec![i64::try_from(recipe.records.len())?];
    while committed(job.kafka(), &source, &source, 1).ok() != Some(all.clone()) {
        let log = || host.log().join("\n");
        anyhow::ensure!(Instant::now() < deadline, "{}:\n{}", recipe.name, log());
        sleep(Duration::from_millis(50)).await;
    }
    host.stop().await?;
    let all = format!("SELECT * FROM {table} ORDER BY ALL");
    let select = recipe.sql.get(1).copied().unwrap_or(&all);
    let rows = job.query(&format!("{select} FORMAT JSONEachRow")).await?;
    let found = format!("{rows}\n{}", reasons(job.kafka(), &dead)?);
    let is_it = found.trim() == recipe.lands;
    Ok((!is_it).then(|| format!("## {}\n{}", recipe.name, found.trim())))
}

#[tokio::test]
async fn each_recipe_does_what_the_page_says() -> anyhow::Result<()> {
    let recipes = recipes();
    assert!(recipes.len() > 20, "{} recipes", recipes.len());
    let job = Job::new("CREATE TABLE t (id UInt64) ENGINE = Memory").await?;
    let runs =
        recipes.iter().enumerate().map(|(at, recipe)| {
            let run = run(&job, at, recipe);
            async move {
                run.await.unwrap_or_else(|error| Some(format!("## {}\n{error:#}", recipe.name)))
            }
        });
    let found: Vec<_> = stream::iter(runs).buffered(AT_ONCE).collect().await;
    let found: Vec<String> = found.into_iter().flatten().collect();
    assert!(found.is_empty(), "other than the page:\n{}", found.join("\n"));
    Ok(())
}
