//! The fate of each record of a batch, and the ledger of all of them.

use crate::flow::record::Origin;

/// A record's fate. Once settled it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not settled yet.
    Pending,
    /// Its rows are in the table.
    Landed,
    /// It is in the dead letter topic, and the broker acknowledged it.
    DeadLettered,
    /// A hook dropped it.
    Dropped,
    /// Skipped as configured: a tombstone, or a message that holds no record.
    Skipped,
}

/// The fates of one batch's records.
#[derive(Debug)]
pub struct Fates {
    of: Vec<Fate>,
}

impl Fates {
    /// All records pending.
    pub fn new(records: Origin) -> Self {
        Self { of: vec![Fate::Pending; records as usize] }
    }

    /// Settles the records that are still pending among `origins`.
    pub fn settle(&mut self, origins: impl IntoIterator<Item = Origin>, fate: Fate) {
        for origin in origins {
            if let Some(of) = self.of.get_mut(origin as usize)
                && *of == Fate::Pending
            {
                *of = fate;
            }
        }
    }

    /// How many records the batch has.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether the batch has no record.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Whether the record is not settled yet.
    pub fn is_pending(&self, origin: Origin) -> bool {
        self.of.get(origin as usize) == Some(&Fate::Pending)
    }

    /// Whether no record is pending.
    pub fn is_settled(&self) -> bool {
        !self.of.contains(&Fate::Pending)
    }

    /// How many records have this fate.
    pub fn count(&self, fate: Fate) -> u64 {
        self.of.iter().filter(|of| **of == fate).count() as u64
    }
}

/// Records counted by fate: consumed = landed + `dead_lettered` + dropped + skipped + in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Records taken from the source.
    pub consumed: u64,
    /// Records whose rows are in the table.
    pub landed: u64,
    /// Records in the dead letter topic.
    pub dead_lettered: u64,
    /// Records dropped by a hook.
    pub dropped: u64,
    /// Records skipped.
    pub skipped: u64,
    /// Records released before they were settled: their partition went to another member, which reads them again.
    pub released: u64,
}

impl Ledger {
    /// Counts in a batch taken from the source.
    pub fn take(&mut self, records: Origin) {
        self.consumed += u64::from(records);
    }

    /// Counts the fates of a settled batch.
    pub fn settle(&mut self, fates: &Fates) {
        self.landed += fates.count(Fate::Landed);
        self.dead_lettered += fates.count(Fate::DeadLettered);
        self.dropped += fates.count(Fate::Dropped);
        self.skipped += fates.count(Fate::Skipped);
    }

    /// Records taken and not settled yet.
    pub fn in_flight(&self) -> u64 {
        let settled =
            self.landed + self.dead_lettered + self.dropped + self.skipped + self.released;
        self.consumed.saturating_sub(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_record_keeps_its_fate() {
        let mut fates = Fates::new(3);
        fates.settle([0, 9], Fate::DeadLettered);
        fates.settle([0, 1], Fate::Landed);
        assert!(!fates.is_settled() && fates.is_pending(2));
        fates.settle([2], Fate::Skipped);
        let mut ledger = Ledger::default();
        ledger.take(3);
        assert_eq!(ledger.in_flight(), 3);
        ledger.settle(&fates);
        let expected =
            Ledger { consumed: 3, landed: 1, dead_lettered: 1, skipped: 1, ..Ledger::default() };
        assert_eq!((ledger, ledger.in_flight()), (expected, 0));
    }
}
