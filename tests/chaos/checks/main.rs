//! Bounded runs of the whole: each quick kind of fault once, and the control that must lose records.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sluicegate_chaos::kind::{Kind, Pace};

fn chaos(arguments: &[&str]) -> (Output, Value) {
    chaos_in(&std::env::temp_dir(), arguments)
}

/// The logs of a run that fails are kept in the folder.
fn chaos_in(folder: &Path, arguments: &[&str]) -> (Output, Value) {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_sluicegate-chaos"));
    let output = chaos.args(arguments).env("TMPDIR", folder).output().unwrap();
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    println!("{stderr}\n{stdout}");
    let report = serde_json::from_str(stdout.lines().last().unwrap_or_default());
    (output, report.unwrap_or_default())
}

/// A run of every kind of fault that keeps its promise.
fn ensure_kept(mode: &[&str], minutes: &str) {
    let bounded = ["--minutes", minutes, "--seed", "1", "--per-second", "500", "--only", "quick"];
    // As many as have each kind come up; a busy machine takes longer for them.
    let (output, report) = chaos(&[&bounded[..], &["--rounds", "6"], mode].concat());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report["lost"], 0);
    for kind in Kind::ALL.iter().filter(|kind| kind.pace() == Pace::Quick) {
        assert!(report["faults"][kind.name()].as_u64() > Some(0), "{kind:?} did not come up");
    }
}

/// What a run reports that must fail.
fn ensure_broken(control: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (output, report) = chaos_in(folder.path(), &[control, &["--only", "quick"]].concat());
    assert_eq!(output.status.code(), Some(1));
    report
}

#[test]
fn at_least_once_loses_nothing_and_a_host_that_commits_early_is_seen_to_lose() {
    ensure_kept(&[], "1");
    let control = ["--minutes", "0.1", "--seed", "1", "--control", "early-commit"];
    assert!(ensure_broken(&control)["lost"].as_i64() > Some(0), "the loss was not seen");
}

#[test]
fn exactly_once_doubles_nothing_and_a_host_without_a_plan_is_seen_to_double() {
    let mode = ["--mode", "exactly_once"];
    ensure_kept(&mode, "1");
    let control = ["--minutes", "0.5", "--seed", "1", "--control", "no-plan"];
    let report = ensure_broken(&[&mode[..], &control].concat());
    assert_eq!(report["lost"], 0);
    assert!(report["doubled"].as_i64() > Some(0), "the doubles were not seen");
}
