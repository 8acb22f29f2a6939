//! What is counted.

use std::collections::BTreeMap;
use std::sync::Mutex;

use sluicegate_instructions::data::ALL;

use crate::valgrind::instructions;

/// Two runs differ in the records between; start, preparation and what is done once a batch cancel out.
const RECORDS: [u32; 2] = [1_000, 3_000];

/// The stages of the path of a batch, in their order, and what the program calls the path up to each.
const STAGES: [(&str, &str); 4] =
    [("push", "to-push"), ("decode", "to-decode"), ("check", "to-check"), ("IPC body", "to-body")];

/// One thing that the program can do with the records of a data set.
type Work = (&'static str, &'static str, u32);

/// Instructions a record, by case.
pub fn count() -> BTreeMap<String, f64> {
    let decode = ALL.iter().flat_map(|set| [0, 20].map(|bad| ("decode", set.name, bad)));
    let path = STAGES.iter().map(|(_, to)| (*to, "telemetry", 0));
    let counted = count_each(&decode.clone().chain(path.clone()).collect::<Vec<_>>());
    let decode =
        decode.map(|work| (format!("decode {}, {} % bad", work.1, work.2), counted[&work]));
    // A stage is what the path takes up to it, less what it takes up to the one before.
    let mut before = 0.0;
    let path = STAGES.iter().zip(path).map(|((stage, _), work)| {
        let up_to = counted[&work];
        let took = up_to - before;
        before = up_to;
        (format!("batch path telemetry, {stage}"), took)
    });
    decode.chain(path).collect()
}

/// As many at a time as there are cores: they do not disturb each other.
fn count_each(works: &[Work]) -> BTreeMap<Work, f64> {
    let (waiting, counted) = (Mutex::new(works.iter()), Mutex::new(BTreeMap::new()));
    let next = || waiting.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(work) = next() {
                    let count = a_record(*work);
                    counted.lock().unwrap().insert(*work, count);
                }
            });
        }
    });
    counted.into_inner().unwrap()
}

fn a_record((stage, set, percent_bad): Work) -> f64 {
    let run = |records: u32| {
        instructions(&[stage, set, &percent_bad.to_string(), &records.to_string()]) as f64
    };
    let [few, many] = RECORDS;
    (run(many) - run(few)) / f64::from(many - few)
}
