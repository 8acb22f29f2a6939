//! Logs rejections: the first of each reason, then one in a while with a count. Values of records are
//! logged only with LOG_PAYLOADS; the dead letter has them anyway.

use std::time::Duration;

use super::throttle::Throttle;
use crate::flow::record::{Batch, Origin, Record, spans};
use crate::flow::rejection::{Reason, Rejection};

/// The least time between two lines about a reason.
const PER_REASON: Duration = Duration::from_secs(10);

/// Most bytes of a payload that are logged.
const MAX_PAYLOAD_BYTES: usize = 1_000;

/// Logs rejections, rate-limited by reason.
#[derive(Debug)]
pub struct RejectionLog {
    throttle: Throttle<Reason>,
    with_payloads: bool,
}

impl RejectionLog {
    /// A log with payloads or without.
    pub fn new(with_payloads: bool) -> Self {
        Self { throttle: Throttle::new(PER_REASON), with_payloads }
    }

    /// Logs the rejections whose reason was not logged for a while.
    pub fn note(&self, batch: &Batch, rejections: &[Rejection]) {
        for rejection in rejections {
            let fault = &rejection.fault;
            let Some(suppressed) = self.throttle.allow(fault.reason) else { continue };
            let record = batch.record(rejection.origin);
            let payload = record.as_ref().filter(|_| self.with_payloads).and_then(Record::payload);
            let payload = payload.map(|bytes| {
                String::from_utf8_lossy(bytes.get(..MAX_PAYLOAD_BYTES).unwrap_or(bytes))
            });
            // A pointer may contain keys of a map, which are values of the record.
            let pointer = self.with_payloads.then_some(&*fault.pointer);
            // The column that a plugin names is the plugin's own text, too.
            let is_ours = self.with_payloads || rejection.stage.plugin().is_none();
            tracing::warn!(
                reason = fault.reason.code(),
                stage = rejection.stage.name(),
                plugin = rejection.stage.plugin(),
                column = fault.column.as_deref().filter(|_| is_ours),
                pointer,
                expected = fault.expected,
                got = Some(fault.got_kind).filter(|got| !got.is_empty()),
                topic = record.as_ref().map(|record| &*record.partition.topic),
                partition = record.as_ref().map(|record| record.partition.partition),
                offset = record.as_ref().map(Record::offset),
                payload = payload.as_deref(),
                suppressed,
                "record dead-lettered"
            );
        }
    }

    /// Logs records that are in the table but missing in a view of it: no other output identifies them.
    pub fn note_without_view(&self, batch: &Batch, origins: &[Origin], view: &str) {
        let (records, at) = (origins.len(), spans(batch, origins));
        tracing::error!(
            view,
            records,
            "rows of one batch are in the table but not in the view: those of the records {at}"
        );
    }
}
