//! The fault plane: which requests go wrong, and how.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sluicegate_local::{AppliesTo, Fault, FaultKind, FaultStatus};

/// More faults than this are refused, those used up included.
const MAX_FAULTS: usize = 1_000;

/// What to do to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The sum of the matching delays.
    pub delay: Duration,
    /// The first matching fault that is not a delay.
    pub fault: Option<FaultKind>,
}

/// The statement of a request, as faults see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An INSERT.
    Insert,
    /// Another statement.
    Query,
    /// `/ping`.
    Ping,
}

/// The faults in the order they were added.
#[derive(Default)]
pub struct FaultPlane {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next_id: u64,
    faults: Vec<FaultStatus>,
}

impl FaultPlane {
    /// Adds a fault. None where there are too many.
    pub fn add(&self, fault: Fault) -> Option<FaultStatus> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.faults.len() >= MAX_FAULTS {
            return None;
        }
        inner.next_id += 1;
        let status = FaultStatus { id: inner.next_id, remaining: fault.times, fault, hits: 0 };
        inner.faults.push(status.clone());
        Some(status)
    }

    /// Removes the fault of this number, if it is there.
    pub fn remove(&self, id: u64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.faults.retain(|status| status.id != id);
    }

    /// Removes every fault.
    pub fn clear(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).faults.clear();
    }

    /// Every fault, those used up included.
    pub fn list(&self) -> Vec<FaultStatus> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).faults.clone()
    }

    /// Judges one request, and counts each fault that it meets.
    pub fn judge(&self, target: Target, statement: &str) -> Verdict {
        let mut verdict = Verdict::default();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for status in &mut inner.faults {
            if status.remaining == Some(0) || !applies(&status.fault, target, statement) {
                continue;
            }
            match &status.fault.kind {
                FaultKind::Delay { delay_ms } => verdict.delay += Duration::from_millis(*delay_ms),
                _ if verdict.fault.is_some() => continue,
                kind => verdict.fault = Some(kind.clone()),
            }
            status.hits += 1;
            status.remaining = status.remaining.map(|left| left.saturating_sub(1));
        }
        verdict
    }
}

fn applies(fault: &Fault, target: Target, statement: &str) -> bool {
    let kind_fits = match fault.applies_to {
        AppliesTo::Insert => target == Target::Insert,
        AppliesTo::Query => target == Target::Query,
        AppliesTo::All => true,
    };
    kind_fits && statement.contains(&fault.matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(code: i32) -> FaultKind {
        FaultKind::Exception { code, text: String::new() }
    }

    #[test]
    fn hits_the_matching_insert_the_given_number_of_times() {
        let plane = FaultPlane::default();
        plane.add(Fault::on_insert("db.t", exception(252)).with_times(Some(2)));
        assert_eq!(plane.judge(Target::Insert, "INSERT INTO other"), Verdict::default());
        assert_eq!(plane.judge(Target::Query, "SELECT FROM db.t"), Verdict::default());
        for _ in 0..2 {
            let verdict = plane.judge(Target::Insert, "INSERT INTO db.t");
            assert_eq!(verdict.fault, Some(exception(252)));
        }
        assert_eq!(plane.judge(Target::Insert, "INSERT INTO db.t"), Verdict::default());
        let status = plane.list().remove(0);
        assert_eq!((status.hits, status.remaining), (2, Some(0)));
    }

    #[test]
    fn delays_add_up_and_do_not_hide_another_fault() {
        let plane = FaultPlane::default();
        for delay_ms in [30, 12] {
            plane.add(Fault::on_insert("", FaultKind::Delay { delay_ms }).with_times(None));
        }
        plane.add(Fault::on_insert("", exception(1)));
        plane.add(Fault::on_insert("", exception(2)));
        let verdict = plane.judge(Target::Insert, "INSERT");
        assert_eq!(verdict.delay, Duration::from_millis(42));
        assert_eq!(verdict.fault, Some(exception(1)));
        assert_eq!(plane.judge(Target::Insert, "INSERT").fault, Some(exception(2)));
        assert_eq!(plane.judge(Target::Insert, "INSERT").fault, None);
        let ids: Vec<u64> = plane.list().iter().map(|status| status.id).collect();
        plane.remove(ids[0]);
        assert_eq!(plane.judge(Target::Insert, "INSERT").delay, Duration::from_millis(12));
        plane.clear();
        assert!(plane.list().is_empty());
    }

    #[test]
    fn all_reaches_queries_and_ping() {
        let plane = FaultPlane::default();
        plane.add(
            Fault::on_insert("", exception(3)).with_applies_to(AppliesTo::All).with_times(None),
        );
        for target in [Target::Insert, Target::Query, Target::Ping] {
            assert!(plane.judge(target, "/ping").fault.is_some());
        }
    }

    #[test]
    fn refuses_an_endless_list() {
        let plane = FaultPlane::default();
        for _ in 0..MAX_FAULTS {
            assert!(plane.add(Fault::on_insert("", exception(1))).is_some());
        }
        assert!(plane.add(Fault::on_insert("", exception(1))).is_none());
    }
}
