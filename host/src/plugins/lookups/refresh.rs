//! Keeps a lookup fresh, and logs when that fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::loader::{LoadedLookup, LookupLoader};
use crate::observe::count;
use crate::observe::lookups::LookupStates;

/// A failed refresh is retried after this long, or at the next refresh if that is sooner.
const RETRY: Duration = Duration::from_mins(1);
/// How often a lasting failure is logged again.
const REPEAT: Duration = Duration::from_mins(10);
/// The least time between two lines about failures, whatever their texts.
const LEAST: Duration = Duration::from_secs(10);

/// The current state of a lookup.
pub type CurrentLookup = Arc<Mutex<LoadedLookup>>;

/// Reads the lookup periodically; a failed read leaves the table as it is. Never ends.
pub async fn keep(loader: LookupLoader, current: CurrentLookup, states: Arc<LookupStates>) {
    let (name, refresh) = (loader.lookup().name.clone(), loader.lookup().refresh);
    let mut failures = Failures::default();
    let mut wait = refresh;
    loop {
        tokio::time::sleep(wait).await;
        // No other task replaces it.
        let before = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match loader.read(Some(&before)).await {
            Ok(loaded) => {
                states.loaded(&name, loaded.table.rows(), loaded.table.memory_bytes());
                *current.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
                if failures.end() {
                    tracing::info!(lookup = name, "lookup is fresh again");
                }
                wait = refresh;
            }
            Err(hold) => {
                count::lookup_refresh_failed(&name);
                if failures.is_worth_a_line(hold.text(), Instant::now()) {
                    let text = hold.text();
                    tracing::warn!(lookup = name, "lookup not refreshed, kept as it was: {text}");
                }
                wait = refresh.min(RETRY);
            }
        }
    }
}

/// What was logged of a lasting failure.
#[derive(Debug, Default)]
struct Failures {
    said: Option<(String, Instant)>,
}

impl Failures {
    /// Logs each new text, and repeats it every [`REPEAT`]; changing texts are logged at most once
    /// in [`LEAST`].
    fn is_worth_a_line(&mut self, text: &str, now: Instant) -> bool {
        let is_due = self.said.as_ref().is_none_or(|(said, at)| {
            let quiet = now.saturating_duration_since(*at);
            quiet >= if said == text { REPEAT } else { LEAST }
        });
        if is_due {
            self.said = Some((text.to_owned(), now));
        }
        is_due
    }

    /// Ends the failure; returns whether there was one.
    fn end(&mut self) -> bool {
        self.said.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_once_for_each_text_and_now_and_again() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let mut at =
            |text, seconds| failures.is_worth_a_line(text, start + Duration::from_secs(seconds));
        assert!(at("a", 0));
        assert!(!at("a", 30));
        assert!(at("b", 31));
        assert!(!at("a", 32), "texts that take turns");
        assert!(at("a", 41));
        assert!(!at("a", 640));
        assert!(at("a", 641));
        assert!(failures.end() && !failures.end());
        assert!(failures.is_worth_a_line("a", start));
    }
}
