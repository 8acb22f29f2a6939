//! What a run found: one JSON object, and whether it passes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::Audit;
use crate::kind::Kind;
use crate::options::{Control, Mode, Options, Protocol};

/// Fewer kinds of faults than this were no chaos, unless fewer were asked for.
const FEWEST_KINDS: usize = 12;

/// The last line of stdout.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What chose the faults.
    pub seed: u64,
    /// What the hosts promised.
    pub mode: Mode,
    /// How the hosts shared the partitions.
    pub protocol: Protocol,
    /// How the promise was broken on purpose.
    pub control: Option<Control>,
    /// How long rounds of faults began.
    pub minutes: f64,
    /// How often each kind of fault was done; those of the engine's answers count only where a host
    /// met them.
    pub faults: BTreeMap<Kind, u64>,
    /// How many kinds that are.
    pub kinds: usize,
    /// Kinds that were begun at least twice and struck nothing.
    pub missed: Vec<Kind>,
    /// Rounds of faults.
    pub rounds: usize,
    /// Records that Kafka acknowledged.
    pub records: i64,
    /// What the audit counted.
    #[serde(flatten)]
    pub audit: Audit,
    /// The largest time, over all rounds, from the moment when the last outage of the round was
    /// mended, so that nothing was wrong any more, until the group had committed every record that
    /// Kafka had acknowledged by that moment. No round begins before that.
    pub worst_recovery_seconds: f64,
    /// What went wrong beside what the audit counts, such as a host that ended by itself.
    pub troubles: Vec<String>,
}

impl Report {
    /// Why the run fails; nothing, if it passes.
    pub fn failures(&self, options: &Options) -> Vec<String> {
        let Audit { lost, doubled, wrong, changed, stuck, letters_wrong, unsettled, .. } =
            self.audit;
        let mut failures = self.troubles.clone();
        let mut unless = |is_fine: bool, text: String| {
            if !is_fine {
                failures.push(text);
            }
        };
        unless(lost == 0, format!("{lost} records are lost"));
        let may_double = !options.forbids_doubles();
        unless(may_double || doubled == 0, format!("{doubled} rows too many"));
        unless(wrong == 0, format!("{wrong} rows should not be there"));
        unless(changed == 0, format!("{changed} rows have other values than their records"));
        unless(stuck == 0, format!("{stuck} partitions were stuck while nothing was wrong"));
        unless(letters_wrong == 0, format!("{letters_wrong} dead letters should not be there"));
        unless(unsettled == 0, format!("{unsettled} records were left uncommitted"));
        unless(self.records > 0, "no record was produced".to_owned());
        let kinds = self.kinds;
        unless(
            kinds >= FEWEST_KINDS.min(options.kinds().len()),
            format!("{kinds} kinds of faults are too few to mean anything: raise --minutes"),
        );
        for kind in &self.missed {
            unless(false, format!("{} was begun several times and struck nothing", kind.name()));
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn report(audit: Audit, kinds: usize) -> Report {
        let faults: BTreeMap<Kind, u64> =
            Kind::ALL.iter().take(kinds).map(|kind| (*kind, 1)).collect();
        Report {
            seed: 1,
            mode: Mode::AtLeastOnce,
            protocol: Protocol::Cooperative,
            control: None,
            minutes: 2.0,
            kinds: faults.len(),
            faults,
            missed: Vec::new(),
            rounds: 6,
            records: 1_000,
            audit,
            worst_recovery_seconds: 1.5,
            troubles: Vec::new(),
        }
    }

    #[test]
    fn a_loss_a_wrong_row_and_too_little_chaos_fail_and_a_double_does_not() {
        let options = Options::parse_from(["chaos"]);
        let failures = |audit, kinds| report(audit, kinds).failures(&options).len();
        assert_eq!(failures(Audit::default(), 29), 0);
        assert_eq!(failures(Audit { doubled: 7, letters_doubled: 3, ..Audit::default() }, 29), 0);
        assert_eq!(failures(Audit { lost: 1, wrong: 1, ..Audit::default() }, 29), 2);
        assert_eq!(failures(Audit::default(), 11), 1);
        let odd = Audit { changed: 1, stuck: 1, letters_wrong: 1, ..Audit::default() };
        assert_eq!(failures(odd, 29), 3);
        let missed = Report { missed: vec![Kind::DiskFull], ..report(Audit::default(), 29) };
        assert_eq!(missed.failures(&options).len(), 1);
        let exact = Options { mode: Mode::ExactlyOnce, ..options.clone() };
        let doubled = report(Audit { doubled: 1, ..Audit::default() }, 29);
        assert_eq!(doubled.failures(&exact), ["1 rows too many"]);
    }

    #[test]
    fn the_report_is_one_flat_line_of_json() {
        let line = serde_json::to_string(&report(Audit::default(), 2)).unwrap();
        assert_eq!(
            line,
            r#"{"seed":1,"mode":"at_least_once","protocol":"cooperative","control":null,"minutes":2.0,"faults":{"broker_stopped":1,"broker_killed":1},"kinds":2,"missed":[],"rounds":6,"records":1000,"lost":0,"doubled":0,"wrong":0,"changed":0,"stuck":0,"letters_wrong":0,"letters_doubled":0,"unsettled":0,"worst_recovery_seconds":1.5,"troubles":[]}"#
        );
    }
}
