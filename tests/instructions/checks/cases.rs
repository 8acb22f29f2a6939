//! What is counted.

use std::collections::BTreeMap;
use std::sync::Mutex;

use sluicegate_instructions::RECORDS;

use crate::valgrind::instructions;

/// Stage, data set, and how many of a hundred records are bad; `lenient` is decode with COERCION=lenient. Decode costs differ by data set; the other
/// stages of the path of a batch are what surrounds it, and of those only check looks at bad records.
const CASES: [(&str, &str, u32); 13] = [
    ("push", "telemetry", 0),
    ("decode", "telemetry", 0),
    ("decode", "telemetry", 20),
    ("decode", "github", 0),
    ("decode", "github", 20),
    ("decode", "clicks", 0),
    ("decode", "clicks", 20),
    ("lenient", "telemetry", 0),
    ("lenient", "github", 0),
    ("lenient", "clicks", 0),
    ("check", "telemetry", 0),
    ("check", "telemetry", 20),
    ("body", "telemetry", 0),
];

/// Runs of a case; their median counts. Hashes are seeded by the clock, so that names collide in some runs
/// and not in others: a count of decode is then off by up to 0.2 %, and one of check by 1 %. All else is
/// the same in every run.
const RUNS: usize = 3;

/// Instructions a record, by case.
pub fn count() -> BTreeMap<String, f64> {
    // As many at a time as there are cores: they do not disturb each other.
    let (waiting, counted) = (Mutex::new(CASES.iter()), Mutex::new(BTreeMap::new()));
    let next = || waiting.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((stage, set, bad)) = next() {
                    let mut runs = [0; RUNS].map(|_| instructions(&[stage, set, &bad.to_string()]));
                    runs.sort_unstable();
                    let case = format!("{stage} {set}, {bad} % bad");
                    let a_record = runs[RUNS / 2] as f64 / RECORDS as f64;
                    counted.lock().unwrap().insert(case, a_record);
                }
            });
        }
    });
    counted.into_inner().unwrap()
}
