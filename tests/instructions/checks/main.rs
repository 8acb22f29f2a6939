//! A guard against growth: how many instructions decode and the path of a batch take for a record, against
//! `expected.txt`. Times are noisy where tests run; counts are not.
//!
//! The counts are of the profile `dev`, which the other suites have built already: with debug assertions and
//! overflow checks, in many units. So they guard against growth and say nothing of speed; that is what
//! `cargo xtask bench speed` is for. They are of one toolchain as well, and a new one means new figures:
//! `expected.txt` names its own. Neither the processor nor what else the machine does is in them.
//!
//! Figures are written anew by `SLUICEGATE_UPDATE_INSTRUCTIONS=1 cargo xtask test --suite instructions`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cases;
mod figures;
mod valgrind;

use std::env::consts::ARCH;
use std::path::Path;

use figures::{Figures, UPDATE};

/// How many times as much decode may take with COERCION=lenient, of records that need none of it.
const LENIENT: f64 = 1.03;

#[test]
fn no_record_takes_more_instructions_than_are_written_down() {
    let profile = if cfg!(debug_assertions) { "dev" } else { "another" };
    assert_eq!((profile, ARCH), ("dev", "x86_64"), "the figures are of the right side alone");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected.txt");
    let counted = Figures { toolchain: valgrind::toolchain(), of_case: cases::count() };
    for set in ["telemetry", "github", "clicks"] {
        let of = |stage: &str| counted.of_case[&format!("{stage} {set}, 0 % bad")];
        let (strict, lenient) = (of("decode"), of("lenient"));
        assert!(
            lenient <= strict * LENIENT,
            "{set}: {lenient} with COERCION=lenient, {strict} without"
        );
    }
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, counted.to_string()).unwrap();
        return;
    }
    let expected = Figures::read(&std::fs::read_to_string(&file).unwrap());
    let complaint = counted.complaint(&expected);
    assert!(complaint.is_none(), "{}", complaint.unwrap());
}
