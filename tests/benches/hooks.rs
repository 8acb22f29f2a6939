//! What hooks cost, each beside its baseline in the same run: `cargo xtask bench`.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redact::Redact;
use sluicegate::config::{Environment, Plugins};
use sluicegate::decode::decode;
use sluicegate::flow::hold::Hold;
use sluicegate::flow::payloads::Payloads;
use sluicegate::flow::record::{Batch, RawRecord, TopicPartition};
use sluicegate::limits::budget::Budget;
use sluicegate::plugins::hooks::{ArrowHooks, Fit, Hooks, RowsHooks, Worker};
use sluicegate::schema::plan::{Rules, TablePlan};
use sluicegate::schema::table::{ColumnRow, TableSchema};
use sluicegate_plugin::{Instance, wire};
use sluicegate_tests::path_of;

const RECORDS: u32 = 25_000;
const ROUNDS: usize = 21;
const CONFIG: &str = r#"{"fields":["email","note"]}"#;

/// The flat columns of a record.
const COLUMNS: &[(&str, &str)] = &[
    ("id", "UInt64"),
    ("email", "String"),
    ("note", "String"),
    ("at", "DateTime64(3)"),
    ("speed", "Float64"),
    ("fleet", "LowCardinality(String)"),
    ("state", "Enum8('driving' = 1, 'parked' = 2)"),
    ("odometer", "UInt32"),
];

/// A record of about 250 bytes, with an address and a card number in it.
fn record(id: u32) -> String {
    format!(
        r#"{{"id":{id},"email":"user{id}@example.com","note":"card 4111 1111 1111 1111 was used","at":"2026-03-01T10:00:00.123Z","speed":{}.25,"fleet":"fleet-{}","codes":[1,2,3],"position":{{"lat":48.1,"lon":11.5}},"state":"driving","odometer":{}}}"#,
        id % 180,
        id % 8,
        id.wrapping_mul(2_654_435_761) % 1_000_000,
    )
}

fn batch(payload: impl Fn(u32) -> String, records: u32) -> Arc<Batch> {
    let partition = TopicPartition { topic: "records".into(), partition: 0 };
    let mut batch = Batch::default();
    for id in 0..records {
        let payload = payload(id);
        let payload = Some(payload.as_bytes());
        let record = RawRecord { offset: id.into(), payload, ..RawRecord::default() };
        batch.push(&partition, 0, &record);
    }
    Arc::new(batch)
}

fn plugins(file: &str, config: &str, cache: Option<&Path>) -> anyhow::Result<Plugins> {
    let path = path_of("SLUICEGATE_PLUGINS")?.join(file);
    let mut variables = vec![
        ("PLUGINS", format!("p={}\n", path.display())),
        ("PLUGIN_P_CONFIG", config.to_owned()),
    ];
    variables.extend(cache.map(|cache| ("PLUGIN_CACHE_DIR", cache.display().to_string())));
    Ok(Plugins::from_env(&Environment::from_pairs(variables))?)
}

/// The host beside this bench, which compiles as it does for itself.
fn worker() -> anyhow::Result<Worker> {
    Ok(Worker::new(path_of("SLUICEGATE_BIN")?))
}

async fn load(plugins: &Plugins) -> anyhow::Result<RowsHooks> {
    let hooks = Hooks::load(plugins, worker()?, Arc::default(), budget(), Arc::default()).await?;
    hooks.rows.ok_or_else(|| anyhow::anyhow!("no plugin on payloads"))
}

/// Payload bytes after the hooks.
async fn hooked(hooks: &RowsHooks, batch: &Arc<Batch>) -> usize {
    let hooked = hooks.run(batch, Payloads::of_records(0..batch.len())).await;
    hooked.payloads.iter(batch).map(|(_, payload)| payload.len()).sum()
}

/// The records as a guest gets them, a thousand at a time.
fn questions(batch: &Batch) -> Vec<wire::Batch> {
    let payloads: Vec<&[u8]> = batch.payloads().flatten().collect();
    let question = |payloads: &[&[u8]]| {
        let mut end = 0;
        let value_ends = payloads.iter().map(|payload| {
            end += u32::try_from(payload.len()).unwrap_or(0);
            end
        });
        wire::Batch {
            runs: vec![wire::Run {
                topic: "records".into(),
                partition: 0,
                rows: u32::try_from(payloads.len()).unwrap_or(0),
            }],
            value_ends: value_ends.collect(),
            values: payloads.concat(),
            offsets: Vec::new(),
            timestamps: Vec::new(),
            keys: Vec::new(),
            key_ends: Vec::new(),
            no_keys: Vec::new(),
            headers: Vec::new(),
        }
    };
    payloads.chunks(1_000).map(question).collect()
}

fn median(mut taken: Vec<Duration>) -> Duration {
    taken.sort();
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}

fn ns_a_record(taken: Vec<Duration>) -> f64 {
    median(taken).as_nanos() as f64 / f64::from(RECORDS)
}

/// Rounds of each variant in turn, so that what else the machine does falls on all alike.
async fn per_record() -> anyhow::Result<()> {
    let batch = batch(record, RECORDS);
    let passthrough = load(&plugins("passthrough.wasm", "{}", None)?).await?;
    let redact = load(&plugins("redact.wasm", CONFIG, None)?).await?;
    let native = Instance::<Redact>::new();
    native.init(CONFIG).map_err(anyhow::Error::msg)?;
    let questions = questions(&batch);
    let mut taken: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let [no_hook, pass, in_sandbox, in_host] = &mut taken;
        let started = Instant::now();
        black_box(batch.payloads().flatten().map(<[u8]>::len).sum::<usize>());
        no_hook.push(started.elapsed());
        let started = Instant::now();
        black_box(hooked(&passthrough, &batch).await);
        pass.push(started.elapsed());
        let started = Instant::now();
        black_box(hooked(&redact, &batch).await);
        in_sandbox.push(started.elapsed());
        let started = Instant::now();
        for question in &questions {
            black_box(native.transform(question).map_err(anyhow::Error::msg)?);
        }
        in_host.push(started.elapsed());
    }
    let [no_hook, pass, in_sandbox, in_host] = taken.map(ns_a_record);
    println!("| a batch of {RECORDS} records | ns a record | beside it |");
    println!("|---|---|---|");
    println!("| no hook | {no_hook:.0} | |");
    println!(
        "| a plugin that keeps everything | {pass:.0} | {:.0} ns on top of no hook |",
        pass - no_hook
    );
    println!("| redact, its code in the host | {in_host:.0} | |");
    println!(
        "| redact, in the sandbox | {in_sandbox:.0} | {:.2} times its code in the host |",
        in_sandbox / in_host
    );
    Ok(())
}

fn table() -> anyhow::Result<TablePlan> {
    let row = |(name, ty): &(&str, &str)| ColumnRow {
        name: (*name).into(),
        ty: (*ty).into(),
        default_kind: String::new(),
        default_expression: String::new(),
    };
    let schema = TableSchema::from_rows("d", "t", "UTC", COLUMNS.iter().map(row))?;
    TablePlan::new(&schema, &Rules::default()).map_err(|_| anyhow::anyhow!("no plan"))
}

/// The plugin that keeps decoded rows, which writes every column or none, and its fit to the table.
async fn load_arrow(is_writing: bool) -> anyhow::Result<(ArrowHooks, Arc<Fit>)> {
    let config = format!(r#"{{"write":{is_writing}}}"#);
    let plugins = plugins("passthrough-arrow.wasm", &config, None)?;
    let hooks = Hooks::load(&plugins, worker()?, Arc::default(), budget(), Arc::default()).await?;
    let hooks = hooks.arrow.ok_or_else(|| anyhow::anyhow!("no plugin on decoded rows"))?;
    let fit = hooks.fit(&Arc::new(table()?)).await.map_err(|hold| held(&hold))?;
    Ok((hooks, fit))
}

fn held(hold: &Hold) -> anyhow::Error {
    anyhow::anyhow!("{}", hold.text().to_owned())
}

/// Decoded rows through a plugin that reads every column.
async fn per_row() -> anyhow::Result<()> {
    let (reads, reads_fit) = load_arrow(false).await?;
    let (writes, writes_fit) = load_arrow(true).await?;
    let batch = batch(record, RECORDS);
    let payloads = || (0..).zip(batch.payloads().flatten());
    let (mut decoded, mut read, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let rows = black_box(decode(&reads_fit.decode, payloads()));
        decoded.push(started.elapsed());
        for (hooks, fit, taken) in
            [(&reads, &reads_fit, &mut read), (&writes, &writes_fit, &mut written)]
        {
            let rows = rows.clone();
            let started = Instant::now();
            black_box(hooks.run(fit, rows).await.map_err(|hold| held(&hold))?);
            taken.push(started.elapsed());
        }
    }
    let columns = COLUMNS.len();
    let (decoded, read, written) = (ns_a_record(decoded), ns_a_record(read), ns_a_record(written));
    println!("| decode into {columns} flat columns | {decoded:.0} | |");
    println!(
        "| a plugin that reads the columns and keeps every row | {read:.0} | {:.2} times decode |",
        read / decoded
    );
    println!(
        "| one that writes each of them back as well | {written:.0} | {:.2} times decode |",
        written / decoded
    );
    Ok(())
}

async fn failing() -> anyhow::Result<()> {
    let hooks = load(&plugins("misbehaving.wasm", "{}", None)?).await?;
    let told = |poison: Option<u32>| {
        let what = move |id| if Some(id) == poison { "panic" } else { "keep" };
        batch(move |id| format!(r#"{{"id":{id},"do":"{}"}}"#, what(id)), 1_000)
    };
    let (good, bad) = (told(None), told(Some(617)));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        black_box(hooked(&hooks, &good).await);
        without.push(started.elapsed());
        let started = Instant::now();
        black_box(hooked(&hooks, &bad).await);
        with.push(started.elapsed());
    }
    let (without, with) = (median(without), median(with));
    println!(
        "| a batch of 1,000 in which one record makes the plugin panic | {:.1} ms | {:.1} ms without it |",
        with.as_secs_f64() * 1e3,
        without.as_secs_f64() * 1e3
    );
    Ok(())
}

async fn loading() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let cached = plugins("redact.wasm", CONFIG, Some(&folder.path().join("cache")))?;
    let compiled = plugins("redact.wasm", CONFIG, None)?;
    load(&cached).await?;
    let (mut from_cache, mut from_file) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let started = Instant::now();
        drop(load(&cached).await?);
        from_cache.push(started.elapsed());
        let started = Instant::now();
        drop(load(&compiled).await?);
        from_file.push(started.elapsed());
    }
    let ms = |taken| median(taken).as_secs_f64() * 1e3;
    println!(
        "| loading a plugin of 200 KiB from the cache | {:.1} ms | {:.0} ms compiled |",
        ms(from_cache),
        ms(from_file)
    );
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    per_record().await?;
    per_row().await?;
    println!("\n| | | |\n|---|---|---|");
    failing().await?;
    loading().await
}

/// One that never stops anything.
fn budget() -> Arc<Budget> {
    Budget::new(1, usize::MAX)
}
