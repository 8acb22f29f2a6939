//! The JSON Schema of a user, and a payload that is held against it: a line `---` stands between them.
//!
//! - Any text is a schema or an error with a hint, and any payload satisfies it, violates it or is malformed.
//! - A payload is malformed if and only if `serde_json` does not read it or it nests too deep.
//! - A record that a table takes does not violate a schema which is proved to be covered by the table.

use std::sync::LazyLock;

use serde_json::value::RawValue;
use sluicegate::check::check;
use sluicegate::decode::{decode, judge_text};
use sluicegate::flow::parts::without_mark;
use sluicegate::flow::rejection::Reason;
use sluicegate::schema::plan::{Rules, TablePlan};
use sluicegate::user_schema::UserSchema;

use super::{ensure, outcome_of, plan_of, words};

const BREAK: &[u8] = b"\n---\n";

/// Deepest nesting that a payload may have.
const MAX_DEPTH: usize = 127;

static PLAN: LazyLock<Result<TablePlan, String>> = LazyLock::new(|| {
    let columns =
        [("i", "Int8"), ("s", "String"), ("a", "Array(UInt16)"), ("m", "Map(String, Bool)")];
    plan_of(&columns, &Rules::default())
});

/// See the module.
pub fn run(input: &[u8]) -> Result<u64, String> {
    let at = input.windows(BREAK.len()).position(|window| window == BREAK);
    let (schema, payload) = match at {
        Some(at) => (input.get(..at), input.get(at + BREAK.len()..)),
        None => (Some(input), None),
    };
    let (schema, payload) = (schema.unwrap_or_default(), payload.unwrap_or(b"{\"i\":1}"));
    let schema = match UserSchema::new(&String::from_utf8_lossy(schema)) {
        Ok(schema) => schema,
        Err(problem) => {
            let is_told = !problem.found.is_empty() && !problem.hint.is_empty();
            ensure(is_told, || "an error without words".to_owned())?;
            return Ok(outcome_of(&(words(&problem.found), problem.hint)));
        }
    };
    let judged = schema.judge(payload);
    let is_malformed = judged.as_ref().is_err_and(|fault| fault.reason == Reason::MalformedJson);
    ensure(is_malformed != is_json(payload), || {
        format!(
            "{judged:?}, and serde_json {}",
            if is_malformed { "reads it" } else { "refuses it" }
        )
    })?;
    let plan = PLAN.as_ref().map_err(Clone::clone)?;
    let covered = schema.is_covered_by(plan).is_ok();
    if covered {
        let rows = decode(plan, std::iter::once((0, payload)));
        let is_taken = check(plan, rows, Vec::new(), judge_text).rejections.is_empty();
        ensure(!is_taken || judged.is_ok(), || {
            format!("the table takes it, and the schema that it covers does not: {judged:?}")
        })?;
    }
    let violated = judged.err().map(|fault| {
        let keyword = fault.expected.split([' ', ':']).next().map(words);
        (fault.reason, keyword, fault.got_kind)
    });
    Ok(outcome_of(&(schema.draft(), covered, violated)))
}

fn is_json(payload: &[u8]) -> bool {
    let payload = without_mark(payload);
    serde_json::from_slice::<&RawValue>(payload).is_ok() && depth(payload) <= MAX_DEPTH
}

/// How deep a JSON text nests.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'[' | b'{' if !is_quoted => depth += 1,
            b']' | b'}' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
