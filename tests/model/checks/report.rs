//! Runs one check and tells what it found.

use std::fmt::Write as _;

use sluicegate_model::explore::{Explored, Trace, explore};
use sluicegate_model::setup::Setup;

/// Explores the setup, which must have at least `floor` states: a model in which nothing happens
/// breaks nothing. Returns the properties that are broken, those first that break first.
pub fn broken(setup: &Setup, floor: usize) -> Vec<&'static str> {
    let Explored { states, steps, broken } = explore(setup);
    println!("{:?}: {states} states, {steps} steps", setup.variant);
    for (property, trace) in &broken {
        println!("\"{property}\" is broken:\n{}", told(trace));
    }
    assert!(states >= floor, "{states} states are fewer than the {floor} that there should be");
    broken.into_iter().map(|(property, _)| property).collect()
}

/// The steps, and what is committed, landed and dead-lettered where they change it.
fn told(trace: &Trace<Setup>) -> String {
    // Writing into a String never fails.
    let mut text = String::new();
    let mut before = String::new();
    for (at, (step, world)) in (1..).zip(trace) {
        let _ = writeln!(text, "{at:>3}. {step}");
        let now = world.to_string();
        if now != before {
            let _ = writeln!(text, "       {now}");
            before = now;
        }
    }
    text
}
