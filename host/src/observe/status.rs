//! What the host waits for, in one place: the log says it once and then now and again, and
//! readiness is answered from it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::Hold;

/// How often a wait that goes on is logged again.
const REPEAT: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Held {
    hold: Hold,
    since: Instant,
    logged: Instant,
}

/// The waits of the host, each under the name of who waits.
#[derive(Debug, Default)]
pub struct Status {
    held: Mutex<BTreeMap<String, Held>>,
}

impl Status {
    /// Notes that `who` waits, and logs it when it is new, changed its text, or is 30 s old.
    /// WARN: it heals by itself. ERROR: an operator is needed. Nothing is lost in either.
    pub fn hold(&self, who: &str, hold: Hold) {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.get(who);
        let since = before.map_or(now, |before| before.since);
        let is_quiet = before.is_some_and(|before| {
            before.hold == hold && now.duration_since(before.logged) < REPEAT
        });
        if is_quiet {
            return;
        }
        let waited_s = now.duration_since(since).as_secs();
        match &hold {
            Hold::Transient(text) => tracing::warn!(who, waited_s, "waiting: {text}"),
            Hold::Paused(text) => tracing::error!(who, waited_s, "paused: {text}"),
        }
        held.insert(who.to_owned(), Held { hold, since, logged: now });
    }

    /// Notes that `who` goes on.
    pub fn release(&self, who: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = held.remove(who) {
            tracing::info!(who, waited_s = before.since.elapsed().as_secs(), "goes on");
        }
    }

    /// The texts of every wait, who first; empty when the host runs freely.
    pub fn texts(&self) -> Vec<String> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(who, held)| format!("{who}: {}", held.hold.text())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_until_it_is_over() {
        let status = Status::default();
        status.hold("clickhouse", Hold::Transient("connection refused".into()));
        status.hold("clickhouse", Hold::Paused("table `t` is unknown".into()));
        assert_eq!(status.texts(), ["clickhouse: table `t` is unknown"]);
        status.release("clickhouse");
        assert!(status.texts().is_empty());
    }
}
