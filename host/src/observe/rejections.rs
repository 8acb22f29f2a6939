//! Rejections in the log: the first of each reason, then one in a while with a count. Values of
//! records stay out of the log; they are in the dead letter.

use std::time::Duration;

use super::throttle::Throttle;
use crate::record::Batch;
use crate::rejection::{Reason, Rejection};

/// How often a reason is logged.
const PER_REASON: Duration = Duration::from_secs(10);

/// Logs rejections, rate-limited by reason.
#[derive(Debug)]
pub struct RejectionLog {
    throttle: Throttle<Reason>,
}

impl Default for RejectionLog {
    fn default() -> Self {
        Self { throttle: Throttle::new(PER_REASON) }
    }
}

impl RejectionLog {
    /// Logs those of the rejections whose reason was quiet for a while.
    pub fn note(&self, batch: &Batch, rejections: &[Rejection]) {
        for rejection in rejections {
            let fault = &rejection.fault;
            let Some(suppressed) = self.throttle.allow(fault.reason) else { continue };
            let record = batch.record(rejection.origin);
            tracing::warn!(
                reason = fault.reason.code(),
                stage = rejection.stage.name(),
                column = fault.column.as_deref(),
                pointer = fault.pointer,
                expected = fault.expected,
                got = fault.got_kind,
                topic = record.as_ref().map(|record| &*record.source.topic),
                partition = record.as_ref().map(|record| record.source.partition),
                offset = record.as_ref().map(crate::record::Record::offset),
                suppressed,
                "record dead-lettered"
            );
        }
    }
}
