//! Keeps a lookup fresh, and says when that fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::loader::{LoadedLookup, LookupLoader};
use crate::observe::count;
use crate::observe::lookups::LookupStates;

/// A refresh that failed is tried again after this long, if it would not be sooner.
const RETRY: Duration = Duration::from_mins(1);
/// How often a failure that goes on is logged again.
const REPEAT: Duration = Duration::from_mins(10);
/// The least time between two lines, whatever they say.
const LEAST: Duration = Duration::from_secs(10);

/// A lookup as it is now.
pub type CurrentLookup = Arc<Mutex<LoadedLookup>>;

/// Reads the lookup again and again; what cannot be read leaves the table as it is. Never ends.
pub async fn keep(loader: LookupLoader, current: CurrentLookup, states: Arc<LookupStates>) {
    let (name, refresh) = (loader.lookup().name.clone(), loader.lookup().refresh);
    let mut failures = Failures::default();
    let mut wait = refresh;
    loop {
        tokio::time::sleep(wait).await;
        // Only this task replaces it.
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

/// What was said of a failure that goes on.
#[derive(Debug, Default)]
struct Failures {
    said: Option<(String, Instant)>,
}

impl Failures {
    /// Each text is said once, and then now and again; texts that change all the time are said
    /// no more often than now and then.
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

    /// It works again; whether it had failed.
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
