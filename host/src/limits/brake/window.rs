//! The records that the brake judges by: the last ones, whichever batches they came in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::reasons::Reasons;

/// How many of the last records are judged together. A batch that has more is judged alone.
pub const RECORDS: u64 = 1_000;
/// Records that were judged longer ago count only where there are fewer than [`FEWEST`] without them.
const AGE: Duration = Duration::from_hours(1);
/// So many records are judged together whatever their age: a slow topic has few in an hour.
const FEWEST: u64 = 100;

/// How many records were judged, and which of them were rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub records: u64,
    /// Why some were rejected, and how many.
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
    /// Puts the counts of a batch in, in the place of those that it had.
    pub fn put(&mut self, batch: u64, counts: Counts, now: Instant) {
        self.remove(batch);
        if counts.records == 0 {
            return;
        }
        self.records += counts.records;
        self.entries.push_back(WindowEntry { batch, at: now, counts });
        // What is left holds as many as are ever judged together.
        while let Some(oldest) = self.entries.front()
            && self.records - oldest.counts.records >= RECORDS
        {
            self.records -= oldest.counts.records;
            self.entries.pop_front();
        }
    }

    /// Takes a batch out.
    pub fn remove(&mut self, batch: u64) {
        let Self { entries, records } = self;
        entries.retain(|entry| {
            let stays = entry.batch != batch;
            *records -= if stays { 0 } else { entry.counts.records };
            stays
        });
    }

    /// What is judged together with `own` records that come now: the newest of the others.
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
    /// At most so many of the records, with the same share of rejected ones.
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
