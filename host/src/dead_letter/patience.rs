//! Tracks what one letter was refused for, and since when, so that the reported text does not change with
//! each try.

use std::time::{Duration, Instant};

use crate::flow::hold::Hold;

/// How long a lasting refusal may last before an operator is called.
const GRACE: Duration = Duration::from_secs(10);

/// How long other answers may come between two equal ones that still count as one wait: a failing broker may
/// be away, or silent, in between.
const LAPSE: Duration = Duration::from_mins(1);

/// A letter's refusals so far; those with the same `mend` are alike.
#[derive(Debug, Default)]
pub struct Patience {
    refused: Option<RefusedSince>,
    paused: Option<(&'static str, Hold)>,
}

#[derive(Debug)]
struct RefusedSince {
    mend: &'static str,
    first: Instant,
    last: Instant,
}

impl Patience {
    /// Whether a refusal has lasted too long and needs an operator from now on.
    pub fn is_over(&mut self, mend: &'static str) -> bool {
        self.is_over_at(mend, Instant::now())
    }

    fn is_over_at(&mut self, mend: &'static str, now: Instant) -> bool {
        let is_paused = self.paused.as_ref().is_some_and(|(of, _)| *of == mend);
        let goes_on =
            |of: &&mut RefusedSince| of.mend == mend && now.duration_since(of.last) < LAPSE;
        match self.refused.as_mut().filter(goes_on) {
            Some(refused) => {
                refused.last = now;
                is_paused || now.duration_since(refused.first) >= GRACE
            }
            None => {
                self.refused = Some(RefusedSince { mend, first: now, last: now });
                is_paused
            }
        }
    }

    /// The hold that an operator was called for, which silence does not end.
    pub fn paused(&self) -> Option<&Hold> {
        self.paused.as_ref().map(|(_, hold)| hold)
    }

    /// Notes the hold that is reported now.
    pub fn note(&mut self, mend: &'static str, hold: &Hold) {
        self.paused = matches!(hold, Hold::Paused(_)).then(|| (mend, hold.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_called_once_it_has_lasted_and_not_called_off_by_another_code_of_the_same() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        assert!(!patience.is_over_at("disk", start));
        assert!(!patience.is_over_at("topic", start + GRACE), "another reason begins anew");
        assert!(patience.is_over_at("topic", start + GRACE * 2));
        patience.note("topic", &Hold::Paused("no topic".into()));
        assert_eq!(patience.paused().map(Hold::text), Some("no topic"));
        assert!(patience.is_over_at("topic", start + GRACE * 3));
        assert!(!patience.is_over_at("disk", start + GRACE * 3));
        patience.note("", &Hold::Transient("no broker".into()));
        assert_eq!(patience.paused(), None);
    }
    #[test]
    fn a_refusal_of_long_ago_calls_no_operator_and_one_that_is_broken_off_shortly_does() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        let away = Hold::Transient("no broker".into());
        assert!(!patience.is_over_at("topic", start));
        patience.note("", &away);
        assert!(patience.is_over_at("topic", start + GRACE * 2));
        patience.note("topic", &Hold::Paused("no topic".into()));
        patience.note("", &away);
        let later = start + GRACE * 2 + LAPSE;
        assert!(!patience.is_over_at("topic", later), "it has lasted for no time yet");
        assert!(!patience.is_over_at("topic", later + GRACE / 2));
        assert!(patience.is_over_at("topic", later + GRACE));
    }
}
