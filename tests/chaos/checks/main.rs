//! Bounded runs of the whole: all kinds of faults once, and the control that must lose records.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sluicegate_chaos::kind::Kind;

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

#[test]
fn every_kind_of_fault_loses_nothing_and_the_control_is_seen_to_lose() {
    // One after the other: each wants the machine for itself.
    let (output, report) = chaos(&["--minutes", "2", "--seed", "1", "--per-second", "2000"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report["lost"], 0);
    for kind in Kind::ALL {
        assert!(report["faults"][kind.name()].as_u64() > Some(0), "{kind:?} did not come up");
    }
    let control = ["--minutes", "0.1", "--seed", "1", "--control", "early-commit"];
    let folder = tempfile::tempdir().unwrap();
    let (output, report) = chaos_in(folder.path(), &control);
    assert_eq!(output.status.code(), Some(1));
    assert!(report["lost"].as_i64() > Some(0), "the loss was not seen");
}

#[test]
fn a_mode_that_the_host_lacks_is_refused_with_its_name() {
    let (output, _) = chaos(&["--mode", "exactly_once"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--mode exactly_once"));
}
