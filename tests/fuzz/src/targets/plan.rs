//! A plan of exactly_once, as commit metadata. Anybody with the right to commit may write some.
//!
//! - What is read is written again as a text that is read alike, and that fits into commit metadata.
//! - A member begins with a plan only if it is of this offset and topic.
//! - Metadata of ours that is no plan is unreadable; any other is passed over.

use sluicegate::delivery::plans::{Beginning, MAX_PLANNED, Plan, decide_beginning};

use super::{ensure, outcome_of};

/// Most bytes of a range with a nonce of 64 bits, and of what stands before the ranges.
const RANGE_BYTES: usize = 88;
const HEAD_BYTES: usize = 57;

/// See the module.
pub fn run(input: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(input);
    let Some(plan) = Plan::parse(&text) else {
        let expected =
            if text.starts_with("sg") { Beginning::Unreadable } else { Beginning::Unplanned(5) };
        let found = decide_beginning(Some((5, &text)), 1);
        ensure(found == expected, || format!("begins as {found:?}, expected {expected:?}"))?;
        let count = |mark| text.split(mark).count().min(6);
        return Ok(outcome_of(&(
            text.starts_with("sg2"),
            text.starts_with("sg"),
            count(';'),
            count(','),
        )));
    };
    let written = plan.to_text();
    let read = Plan::parse(&written);
    ensure(read.as_ref() == Some(&plan), || {
        format!("written as {written:?}, which reads as {read:?}")
    })?;
    let most = HEAD_BYTES + RANGE_BYTES * plan.planned.len();
    ensure(written.len() <= most, || format!("{} bytes, at most {most}", written.len()))?;
    ensure(plan.planned.len() <= MAX_PLANNED, || format!("{} ranges", plan.planned.len()))?;
    let (low, topic) = (plan.low, plan.topic);
    let found = [
        decide_beginning(Some((low, &text)), topic),
        decide_beginning(Some((low, &text)), topic ^ 1),
        decide_beginning(Some((low.wrapping_add(1), &text)), topic),
    ];
    let ranges = plan.planned.len();
    let homes = plan.planned.iter().filter(|range| range.home.is_some()).count();
    let expected = [
        Beginning::Planned(plan),
        Beginning::OfAnotherTopic,
        Beginning::Unplanned(low.wrapping_add(1)),
    ];
    ensure(found == expected, || format!("begins as {found:?}, expected {expected:?}"))?;
    Ok(outcome_of(&(text.starts_with("sg1"), low.signum(), ranges, homes)))
}
