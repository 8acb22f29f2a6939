//! The window of the brake: the last records across all batches.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::reasons::Reasons;

/// How many of the last records are judged together. A larger batch is judged alone.
pub const RECORDS: u64 = 1_000;
/// Older records count only if there are fewer than [`FEWEST`] without them.
const AGE: Duration = Duration::from_hours(1);
/// This many records are judged together at any age: a slow topic has few in an hour.
const FEWEST: u64 = 100;

/// How many records were judged, and how many were rejected for which reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub records: u64,
    /// The rejected records, by reason.
    pub rejected: Reasons,
}

impl Counts {
    /// Adds more records.
    pub fn add(&mut self, more: &Self) {
        self.records += more.records;
        self.rejected.add(&more.rejected);
    }

    /// The share of rejected records, 0 to 1; 0 without records.
    pub fn share(&self) -> f64 {
        if self.records == 0 { 0.0 } else { self.rejected.total() as f64 / self.records as f64 }
    }
}

/// The last records by batch, oldest first.
#[derive(Debug, Default)]
pub struct BrakeWindow {
    entries: VecDeque<WindowEntry>,
    records: u64,
}

#[derive(Debug)]
struct WindowEntry {
    batch: u64,
    at: Instant,
    counts: Counts,
}

impl BrakeWindow {
    /// Sets the counts of a batch, replacing earlier ones.
    pub fn put(&mut self, batch: u64, counts: Counts, now: Instant) {
        self.remove(batch);
        if counts.records == 0 {
            return;
        }
        self.records += counts.records;
        self.entries.push_back(WindowEntry { batch, at: now, counts });
        // What remains holds as many as are ever judged together.
        while let Some(oldest) = self.entries.front()
            && self.records - oldest.counts.records >= RECORDS
        {
            self.records -= oldest.counts.records;
            self.entries.pop_front();
        }
    }

    /// Removes a batch.
    pub fn remove(&mut self, batch: u64) {
        let Self { entries, records } = self;
        entries.retain(|entry| {
            let stays = entry.batch != batch;
            *records -= if stays { 0 } else { entry.counts.records };
            stays
        });
    }

    /// The newest other records that are judged together with `own` new records.
    pub fn before(&self, own: u64, but: impl Fn(u64) -> bool, now: Instant) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.iter().rev().filter(|entry| !but(entry.batch)) {
            let is_old = now.saturating_duration_since(entry.at) > AGE;
            let most = if is_old { FEWEST } else { RECORDS };
            let room = most.saturating_sub(own + counts.records);
            if room == 0 {
                break;
            }
            counts.add(&entry.counts.part(room));
        }
        counts
    }
}

impl Counts {
    /// At most this many of the records, with the same share of rejections.
    fn part(&self, at_most: u64) -> Self {
        if self.records <= at_most {
            return self.clone();
        }
        Self { records: at_most, rejected: self.rejected.part(at_most, self.records) }
    }
}

#[cfg(test)]
impl BrakeWindow {
    pub fn entries(&self) -> impl Iterator<Item = &Counts> {
        self.entries.iter().map(|entry| &entry.counts)
    }

    pub fn records(&self) -> u64 {
        self.records
    }
}
