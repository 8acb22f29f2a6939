//! Checks made before a payload is read: tombstones, and records too large for a batch or for librdkafka.

use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::{Fault, Reason, Rejection, Stage};
use crate::flow::settlement::{Fate, Fates};

/// The rules for records without a payload, and for large ones.
#[derive(Debug, Clone, Copy)]
pub struct Admission {
    /// Tombstones are skipped; otherwise they are dead-lettered.
    pub skips_tombstones: bool,
    /// The largest payload, in bytes: a batch's own bound.
    pub max_record_bytes: usize,
}

impl Admission {
    /// Settles skipped records and returns rejected ones, by ascending origin.
    pub fn judge(&self, batch: &Batch, fates: &mut Fates) -> Vec<Rejection> {
        let mut refused = Vec::new();
        for (origin, payload) in (0..).zip(batch.payloads()) {
            match payload {
                None if self.skips_tombstones => fates.settle([origin], Fate::Skipped),
                None => refused.push(rejection(
                    origin,
                    Reason::NullNotAllowed,
                    "a payload: with TOMBSTONES=skip a record without one is passed over".into(),
                    "null",
                    String::new(),
                )),
                Some(payload) if payload.len() > self.max_record_bytes => refused.push(rejection(
                    origin,
                    Reason::TooLarge,
                    format!("at most {} bytes (BATCH_MAX_BYTES)", self.max_record_bytes),
                    "",
                    format!("{} bytes", payload.len()),
                )),
                Some(_) if batch.lacks_headers(origin) => refused.push(rejection(
                    origin,
                    Reason::TooLarge,
                    "at most 100000 headers, or what librdkafka reads of them".into(),
                    "",
                    "headers that could not be read: none is kept".into(),
                )),
                Some(_) => {}
            }
        }
        refused
    }
}

fn rejection(
    origin: Origin,
    reason: Reason,
    expected: String,
    got_kind: &'static str,
    got: String,
) -> Rejection {
    let fault = Fault { reason, column: None, pointer: String::new(), expected, got_kind, got };
    Rejection { origin, stage: Stage::Admit, fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::record::{RawRecord, TopicPartition};

    fn batch() -> Batch {
        let mut batch = Batch::default();
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        for payload in [Some(&b"12345"[..]), None, Some(&b"123456"[..])] {
            batch.push(&partition, 1, &RawRecord { payload, ..RawRecord::default() });
        }
        batch
    }

    #[test]
    fn a_tombstone_is_skipped_and_a_large_record_refused() {
        let admission = Admission { skips_tombstones: true, max_record_bytes: 5 };
        let mut fates = Fates::new(3);
        let refused = admission.judge(&batch(), &mut fates);
        assert_eq!(fates.count(Fate::Skipped), 1);
        let codes: Vec<_> = refused.iter().map(|r| (r.origin, r.fault.reason)).collect();
        assert_eq!(codes, [(2, Reason::TooLarge)]);
    }

    #[test]
    fn a_record_whose_headers_could_not_be_read_is_refused_and_says_so() {
        let admission = Admission { skips_tombstones: true, max_record_bytes: 100 };
        let (mut batch, mut fates) = (batch(), Fates::new(3));
        batch.lack_headers();
        let refused = admission.judge(&batch, &mut fates);
        let codes: Vec<_> = refused.iter().map(|r| (r.origin, r.fault.reason)).collect();
        assert_eq!(codes, [(2, Reason::TooLarge)]);
        assert!(refused[0].fault.to_string().contains("headers"), "{}", refused[0].fault);
    }

    #[test]
    fn a_tombstone_can_be_dead_lettered() {
        let admission = Admission { skips_tombstones: false, max_record_bytes: 100 };
        let mut fates = Fates::new(3);
        let refused = admission.judge(&batch(), &mut fates);
        let codes: Vec<_> = refused.iter().map(|r| (r.origin, r.fault.reason)).collect();
        assert_eq!(codes, [(1, Reason::NullNotAllowed)]);
        assert!(fates.is_pending(1));
    }
}
