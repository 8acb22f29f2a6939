//! What was done when, to be read beside what went wrong.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

/// What happened so far, told on stderr and kept in a file.
pub struct Events {
    started_ms: i64,
    file: File,
    kept: Vec<(i64, String)>,
}

impl Events {
    /// Begins now; writes `events.log` in this folder.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let file = File::create(folder.join("events.log")).context("creating events.log")?;
        Ok(Self { started_ms: now_ms(), file, kept: Vec::new() })
    }

    /// Tells of something that happened just now.
    pub fn tell(&mut self, what: &str) {
        let at_ms = now_ms();
        let line = self.line(at_ms, what);
        eprintln!("{line}");
        // A full disk must not end the run.
        let _written = writeln!(self.file, "{line}");
        self.kept.push((at_ms, what.to_owned()));
    }

    /// What happened at moments of which `is_wanted`, in milliseconds since 1970.
    pub fn when(&self, is_wanted: impl Fn(&i64) -> bool) -> Vec<String> {
        let wanted = self.kept.iter().filter(|(at_ms, _)| is_wanted(at_ms));
        wanted.map(|(at_ms, what)| self.line(*at_ms, what)).collect()
    }

    /// A moment as seconds since the start.
    pub fn seconds(&self, at_ms: i64) -> f64 {
        (at_ms - self.started_ms) as f64 / 1_000.0
    }

    fn line(&self, at_ms: i64, what: &str) -> String {
        format!("{:8.2} s  {what}", self.seconds(at_ms))
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
