//! A fixed number of changed inputs for each target, from the seed 0 or SLUICEGATE_SEED.

#![allow(clippy::unwrap_used, clippy::panic)]

mod seeds;

use sluicegate_fuzz::corpus;
use sluicegate_fuzz::engine::Engine;
use sluicegate_fuzz::targets::ALL;

/// Tries the number of inputs that the target names.
fn fuzz(name: &str) {
    let target = ALL.iter().find(|target| target.name == name).unwrap();
    let seed = std::env::var("SLUICEGATE_SEED").map_or(0, |seed| seed.parse().unwrap());
    let engine = Engine::new(target, seed, corpus::seeds(name).unwrap());
    let mut engine = engine.unwrap_or_else(|failure| panic!("a seed fails: {failure}"));
    for _ in 0..target.cases {
        engine.step().unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    }
    let outcomes = engine.outcomes();
    println!(
        "{name}: {} cases, {outcomes} outcomes, slowest {:.1?}",
        engine.cases, engine.slowest.0
    );
    // Fewer would mean that nearly all inputs are refused at once.
    assert!(outcomes >= 10, "{name}: {outcomes} outcomes");
}

#[test]
fn a_record_is_read_as_by_serde_json() {
    fuzz("json");
}

#[test]
fn a_type_text_is_a_type_or_an_error() {
    fuzz("types");
}

#[test]
fn commit_metadata_is_a_plan_or_none() {
    fuzz("plan");
}

#[test]
fn an_answer_of_a_plugin_is_a_batch_or_an_error() {
    fuzz("answer");
}

#[test]
fn a_schema_of_a_user_judges_or_is_refused() {
    fuzz("schema");
}

#[test]
fn every_target_has_a_test() {
    let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
    assert_eq!(names, ["json", "types", "plan", "answer", "schema"]);
}
