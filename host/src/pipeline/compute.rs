//! The pure computation on a batch: decode, arrow hooks and check.

use std::sync::Arc;
use std::time::Instant;

use super::Pipeline;
use crate::base::blocking::run_blocking;
use crate::check::check;
use crate::clickhouse::target::TableAndPlan;
use crate::decode::{
    Bounds, decode_within, has_metadata, judge_text, metadata_bytes, with_metadata,
};
use crate::flow::hold::Hold;
use crate::flow::payloads::Payloads;
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::{Fault, Rejection};
use crate::flow::rows::{Checked, Rows};
use crate::limits::budget::Lease;
use crate::observe::count;
use crate::observe::cpu::CpuOf;
use crate::plugins::hooks::{ArrowHooks, Tally};
use crate::schema::plan::TablePlan;
use crate::schema::width::RowBytes;
use crate::user_schema::UserSchema;

/// Checked rows of the first pending records.
pub(super) struct Computed<'a> {
    pub checked: Checked,
    /// The tally for the plugins on decoded rows, if there are any.
    pub tally: Option<(&'a ArrowHooks, Tally)>,
    /// How many records the rows come from.
    pub records: usize,
    /// How many records are pending.
    pub of: usize,
}

impl Pipeline {
    /// Runs the computing stages off the network threads. If the columns exceed the room, only the first records are
    /// decoded, and the rest in a later turn. A batch whose first record alone exceeds it waits until it is the
    /// oldest; so does a planned batch that does not fit whole.
    ///
    /// # Errors
    /// A plugin on decoded rows cannot go on; nothing has happened to any record.
    pub(super) async fn compute(
        &self,
        known: &Arc<TableAndPlan>,
        batch: &Arc<Batch>,
        hooked: Option<&Arc<Payloads>>,
        pending: Vec<Origin>,
        (lease, is_planned): (&mut Lease, bool),
    ) -> Result<Computed<'_>, Hold> {
        let fit = match &self.hooks.arrow {
            Some(hooks) => Some((hooks, hooks.fit(&known.plan).await?)),
            None => None,
        };
        let plan = Arc::clone(fit.as_ref().map_or(&known.plan, |(_, fit)| &fit.decode));
        let expected = hooked.map_or(pending.len(), |hooked| hooked.len());
        let row = RowBytes::of(&plan);
        let held = batch.held_bytes() + hooked.map_or(0, |hooked| hooked.held_beside(batch));
        let copies = 1 + self.sink.body_bytes(1);
        let mut room = ColumnRoom {
            batch_bytes: lease.room(held, row, expected, copies),
            is_first_free: false,
            record_bytes: lease.most_record_bytes(),
        };
        let pending = Arc::new(pending);
        let of = pending.len();
        let decode = |room: ColumnRoom| {
            let (known, batch, hooked) = (Arc::clone(known), Arc::clone(batch), hooked.cloned());
            let (plan, pending) = (Arc::clone(&plan), Arc::clone(&pending));
            run_blocking(move || {
                decode_pending(&known, &plan, &batch, hooked.as_deref(), &pending, room)
            })
        };
        let mut decoded = decode(room).await;
        if decoded.records < of && (decoded.records == 0 || is_planned) {
            drop(decoded);
            lease.become_oldest().await;
            room.is_first_free = true;
            if is_planned {
                room.batch_bytes = usize::MAX;
            }
            decoded = decode(room).await;
        }
        let Decoded { mut rows, violations, records } = decoded;
        let mut tally = None;
        let is_as_decoded = fit.is_none();
        if let Some((hooks, fit)) = fit {
            let (hooked, asked) = hooks.run(&fit, rows).await?;
            (rows, tally) = (hooked, Some((hooks, asked)));
        }
        let split = hooked.filter(|hooked| is_as_decoded && hooked.is_split());
        let origins = split.map(|_| rows.origins.clone()).unwrap_or_default();
        let plan = Arc::clone(&known.plan);
        let check = move || check(&plan, rows, violations, judge_text);
        let mut checked = run_blocking(move || CpuOf::Check.run(check)).await;
        if let Some(split) = split {
            tell_rows(batch, split, &origins, &mut checked);
        }
        Ok(Computed { checked, tally, records, of })
    }
}

/// The limits of the columns.
#[derive(Clone, Copy)]
struct ColumnRoom {
    batch_bytes: usize,
    is_first_free: bool,
    record_bytes: usize,
}

/// Rows of the first records, as many as fit.
struct Decoded {
    rows: Rows,
    /// The violations of the user's schema.
    violations: Vec<Rejection>,
    records: usize,
}

/// Decodes the pending records of a batch.
fn decode_pending(
    known: &TableAndPlan,
    plan: &TablePlan,
    batch: &Batch,
    hooked: Option<&Payloads>,
    pending: &[Origin],
    room: ColumnRoom,
) -> Decoded {
    let payloads = || payloads(batch, hooked, pending);
    let tell = |origin, payload: &[u8], fault: &mut Fault| {
        if let Some(hooked) = hooked {
            hooked.tell(batch, origin, payload, fault);
        }
    };
    let (rows, rest) = decoded(plan, batch, payloads(), &tell, room);
    let is_taken = |(origin, _): &(Origin, &[u8])| rest.is_none_or(|rest| *origin < rest);
    let judge =
        |schema: &UserSchema| schema.violations(&known.plan, payloads().take_while(is_taken), tell);
    let schema = known.user_schema.as_ref();
    let violations = schema.map(|schema| CpuOf::UserSchema.run(|| judge(schema)));
    let records = rest.map_or(pending.len(), |rest| pending.partition_point(|o| *o < rest));
    Decoded { rows, violations: violations.unwrap_or_default(), records }
}

/// Decodes payloads; if the columns reach their limit, returns the record to continue with.
fn decoded<'a>(
    plan: &TablePlan,
    batch: &Batch,
    payloads: impl Iterator<Item = (Origin, &'a [u8])>,
    tell: &dyn Fn(Origin, &[u8], &mut Fault),
    ColumnRoom { batch_bytes, is_first_free, record_bytes }: ColumnRoom,
) -> (Rows, Option<Origin>) {
    let started = Instant::now();
    let has_metadata = has_metadata(plan);
    let beside = |origin| if has_metadata { metadata_bytes(plan, batch, origin) } else { 0 };
    let bounds = Bounds { batch_bytes, is_first_free, record_bytes, beside: &beside, tell };
    let decoded = CpuOf::Decode.run(|| {
        let (rows, rest) = decode_within(plan, payloads, &bounds);
        (with_metadata(plan, batch, rows), rest)
    });
    count::decoded(started.elapsed());
    decoded
}

/// Adds to each rejection by a rule which part of its record was rejected. The rows are as decoded.
fn tell_rows(batch: &Batch, hooked: &Payloads, origins: &[Origin], checked: &mut Checked) {
    for (origin, row) in &checked.refused_rows {
        let row = row - origins.partition_point(|of| of < origin);
        let at = checked.rejections.binary_search_by_key(origin, |rejection| rejection.origin);
        if let Some(rejection) = at.ok().and_then(|at| checked.rejections.get_mut(at))
            && let Some(payload) = hooked.nth(batch, *origin, row)
        {
            hooked.tell(batch, *origin, payload, &mut rejection.fault);
        }
    }
}

/// The payload of the first row to land.
pub(super) fn sample<'a>(
    batch: &'a Batch,
    hooked: Option<&'a Payloads>,
    checked: &Checked,
) -> Option<&'a [u8]> {
    let origin = *checked.origins.first()?;
    match hooked {
        Some(hooked) => hooked.nth(batch, origin, 0),
        None => batch.payload(origin),
    }
}

/// The payloads to decode for these records: their own, or those from hooks.
fn payloads<'a>(
    batch: &'a Batch,
    hooked: Option<&'a Payloads>,
    pending: &'a [Origin],
) -> Box<dyn Iterator<Item = (Origin, &'a [u8])> + 'a> {
    let Some(hooked) = hooked else {
        let payload = |origin: &Origin| Some((*origin, batch.payload(*origin)?));
        return Box::new(pending.iter().filter_map(payload));
    };
    let is_pending = |origin: &Origin| pending.binary_search(origin).is_ok();
    Box::new(hooked.iter(batch).filter(move |(origin, _)| is_pending(origin)))
}
