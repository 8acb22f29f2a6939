//! Files that are made to take time or memory when they are loaded: each ends at a bound, which is named.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sluicegate::plugins::hooks::{ComponentLoader, Manifest, Worker, WorkerBounds};
use sluicegate_tests::path_of;

const MIB: u64 = 1024 * 1024;

/// The host, with less than it may take, so that a test is quick.
fn worker(cpu_seconds: u64, data_bytes: u64) -> anyhow::Result<Worker> {
    let deadline = Duration::from_mins(10);
    let bounds = WorkerBounds { cpu_seconds, data_bytes, deadline };
    Ok(Worker::new(path_of("SLUICEGATE_BIN")?).with_bounds(bounds))
}

/// A component with one function in which so many values live through as many blocks: what the compiler
/// takes grows with the square.
fn entangled(values: usize) -> anyhow::Result<Vec<u8>> {
    let of_each =
        |text: &dyn Fn(usize) -> String| (1..=values).map(text).collect::<Vec<_>>().concat();
    let sets =
        of_each(&|at| format!("(local.set {at} (i32.load offset={} (i32.const 0)))", 4 * at));
    let block = "(block (br_if 0 (local.get 0)) (i32.store (i32.const 0) (local.get 0)))";
    let sums = of_each(&|at| format!("(i32.add (local.get {at}))"));
    let (blocks, locals) = (block.repeat(values), "i32 ".repeat(values));
    let function = format!(
        "(func (export \"f\") (param i32) (result i32) (local {locals}) {sets} {blocks}
           local.get 0 {sums})"
    );
    Ok(wat::parse_str(format!("(component (core module (memory 1) {function}))"))?)
}

/// What is said of a component by a host with these bounds.
fn refusal(bytes: &[u8], worker: Worker) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let path: PathBuf = folder.path().join("entangled.wasm");
    std::fs::write(&path, bytes)?;
    let error = ComponentLoader::new(None, worker)?.read(&path).err();
    let text = format!("{:#}", error.ok_or_else(|| anyhow::anyhow!("it is loaded"))?);
    assert!(text.contains("entangled.wasm: "), "{text}");
    Ok(text)
}

#[test]
fn a_file_that_takes_too_long_to_compile_ends_at_its_cpu_time() -> anyhow::Result<()> {
    let text = refusal(&entangled(4_000)?, worker(1, 64 * 1024 * MIB)?)?;
    assert!(text.contains("compiling it takes more than 1 s of CPU time"), "{text}");
    assert!(text.contains("if you trust the plugin"), "{text}");
    Ok(())
}

#[test]
fn a_file_that_takes_too_much_memory_to_compile_ends_at_its_memory() -> anyhow::Result<()> {
    let text = refusal(&entangled(4_000)?, worker(600, 48 * MIB)?)?;
    assert!(text.contains("compiling it takes more than 48 MiB of memory"), "{text}");
    Ok(())
}

#[test]
fn a_small_one_of_the_same_kind_is_compiled() -> anyhow::Result<()> {
    let text = refusal(&entangled(10)?, worker(60, 1024 * MIB)?)?;
    assert!(text.contains("it exports no world of sluicegate:plugin"), "{text}");
    Ok(())
}

/// What is said of a configuration by a schema of a plugin.
fn judged(schema: Value, config: &Value, worker: &Worker) -> String {
    let (name, version) = ("p".to_owned(), "1".to_owned());
    let manifest = Manifest { name, version, config_schema: Some(schema) };
    let judged = manifest.judge(worker, &config.to_string());
    judged.err().map(|error| format!("{error:#}")).unwrap_or_default()
}

#[test]
fn a_schema_that_takes_too_long_to_judge_by_ends_at_its_cpu_time() -> anyhow::Result<()> {
    let levels = 60;
    let mut rules: serde_json::Map<String, Value> = (0..levels)
        .map(|level| {
            let next = json!({"$ref": format!("#/$defs/r{}", level + 1)});
            (format!("r{level}"), json!({"anyOf": [next, {"allOf": [next]}]}))
        })
        .collect();
    rules.insert(format!("r{levels}"), json!({"type": "string"}));
    let schema = json!({"$defs": rules, "$ref": "#/$defs/r0"});
    let text = judged(schema, &json!({"a": 1}), &worker(1, 1024 * MIB)?);
    let said =
        "judging its configuration by the plugin's own schema takes more than 1 s of CPU time";
    assert!(text.contains(said), "{text}");
    Ok(())
}

#[test]
fn a_schema_that_takes_too_much_memory_ends_at_its_memory() -> anyhow::Result<()> {
    let levels = 60;
    let deep = (0..levels).fold(json!({"type": "string"}), |inner, _| json!({"not": inner}));
    let schema = json!({"items": {"anyOf": vec![deep; 300]}});
    let config = Value::Array(vec![json!("x".repeat(1_000)); 8_000]);
    let text = judged(schema, &config, &worker(600, 8 * MIB)?);
    assert!(text.contains("the plugin's own schema takes more than 8 MiB of memory"), "{text}");
    Ok(())
}

#[test]
fn a_schema_that_is_honest_is_judged_in_the_same_way() -> anyhow::Result<()> {
    let worker = worker(60, 1024 * MIB)?;
    let schema = json!({"properties": {"fields": {"type": "array"}}});
    assert_eq!(judged(schema.clone(), &json!({"fields": []}), &worker), "");
    let text = judged(schema, &json!({"fields": "hunter2"}), &worker);
    assert!(text.contains("at `/fields`") && !text.contains("hunter2"), "{text}");
    Ok(())
}
