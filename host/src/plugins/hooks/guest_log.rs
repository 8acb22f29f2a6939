//! A plugin's log lines and counters, rate-limited and cut.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bindings::host::Level;
use crate::observe::count;

/// Most lines in one window.
const MAX_LINES: u32 = 100;
/// The window.
const WINDOW: Duration = Duration::from_secs(10);
/// Most characters of a line.
const MAX_LINE_CHARS: usize = 1_000;
/// Most counters of a plugin: each is a series of its own.
const MAX_COUNTERS: usize = 20;
/// Most bytes of a counter's name.
const MAX_COUNTER_BYTES: usize = 64;

/// The log and the counters of one plugin, shared by its instances.
#[derive(Debug)]
pub struct Voice {
    plugin: String,
    lines: Mutex<GuestLines>,
    counters: Mutex<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    names: BTreeSet<String>,
    was_refused: bool,
}

#[derive(Debug)]
struct GuestLines {
    since: Instant,
    written: u32,
    suppressed: u64,
}

impl Voice {
    /// The voice of a plugin.
    pub fn new(plugin: &str) -> Self {
        let lines = GuestLines { since: Instant::now(), written: 0, suppressed: 0 };
        Self { plugin: plugin.to_owned(), lines: Mutex::new(lines), counters: Mutex::default() }
    }

    /// Writes a line, or counts it as suppressed if there were too many.
    pub fn log(&self, level: Level, message: &str) {
        let Some(suppressed) = self.admit(Instant::now()) else { return };
        let message: String = message.chars().take(MAX_LINE_CHARS).collect();
        let plugin = &*self.plugin;
        match level {
            Level::Error => tracing::error!(plugin, suppressed, "{message}"),
            Level::Warn => tracing::warn!(plugin, suppressed, "{message}"),
            Level::Info => tracing::info!(plugin, suppressed, "{message}"),
            Level::Debug => tracing::debug!(plugin, suppressed, "{message}"),
        }
    }

    /// If this line may be written, how many were suppressed since the last one.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(lines.since) >= WINDOW {
            (lines.since, lines.written) = (now, 0);
        }
        if lines.written >= MAX_LINES {
            lines.suppressed += 1;
            return None;
        }
        lines.written += 1;
        Some(std::mem::take(&mut lines.suppressed))
    }

    /// Adds to a counter; ignores a counter beyond the maximum or with too long a name.
    pub fn count(&self, counter: &str, by: u64) {
        if self.is_kept(counter) {
            count::plugin_counted(&self.plugin, counter, by);
        }
    }

    fn is_kept(&self, counter: &str) -> bool {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.names.contains(counter) {
            return true;
        }
        if counters.names.len() < MAX_COUNTERS && counter.len() <= MAX_COUNTER_BYTES {
            return counters.names.insert(counter.to_owned());
        }
        if !std::mem::replace(&mut counters.was_refused, true) {
            tracing::warn!(
                plugin = &*self.plugin,
                "a plugin may have {MAX_COUNTERS} counters with names of {MAX_COUNTER_BYTES} bytes; \
                 the others are not kept"
            );
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_past_the_first_hundred_of_a_window_are_counted() {
        let voice = Voice::new("p");
        let now = Instant::now();
        for _ in 0..MAX_LINES {
            assert_eq!(voice.admit(now), Some(0));
        }
        assert_eq!((voice.admit(now), voice.admit(now)), (None, None));
        assert_eq!(voice.admit(now + WINDOW), Some(2));
    }

    #[test]
    fn counters_past_the_twentieth_are_not_kept() {
        let voice = Voice::new("p");
        let kept = (0..1_000).filter(|n| voice.is_kept(&format!("c{n}"))).count();
        assert_eq!(kept, MAX_COUNTERS);
        assert!(voice.is_kept("c0"));
        assert!(!voice.is_kept(&"x".repeat(MAX_COUNTER_BYTES + 1)));
    }
}
