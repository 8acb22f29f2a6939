//! Answers that are right, and answers that break the contract.

use sluicegate_plugin::wire::{Action, Outcome, Rejection};

const HUGE_BYTES: usize = 200 << 20;

/// The answer that breaks nothing, until a row does.
pub fn keep_all(rows: usize) -> Outcome {
    Outcome {
        actions: vec![Action::Keep; rows],
        values: Vec::new(),
        value_ends: Vec::new(),
        counts: Vec::new(),
        rejections: Vec::new(),
    }
}

/// Changes the answer as the row says; what is no lie passes. Meant for one such row in a batch:
/// two that put out values, or reject, break the contract together.
pub fn lie(what: &str, row: usize, lists: &mut Outcome) {
    let Some(action) = lists.actions.get_mut(row) else { return };
    match what {
        "drop" => *action = Action::Drop,
        "reject" => {
            *action = Action::Reject;
            let column = Some("do".to_owned());
            lists.rejections.push(Rejection { message: "told to reject".to_owned(), column });
        }
        "long_rejection" => {
            *action = Action::Reject;
            let (message, column) = ("x".repeat(2 << 20), Some("x".repeat(2 << 20)));
            lists.rejections.push(Rejection { message, column });
        }
        "many_rows" => {
            *action = Action::Many;
            lists.counts = vec![1_000_000];
            lists.value_ends = vec![0; 1_000_000];
        }
        "few_rejections" => *action = Action::Reject,
        "few_counts" => *action = Action::Many,
        "huge_output" => {
            *action = Action::Replace;
            lists.values = vec![b' '; HUGE_BYTES];
            lists.value_ends = u32::try_from(HUGE_BYTES).into_iter().collect();
        }
        "bad_ends" => {
            *action = Action::Replace;
            lists.values = b"{}".to_vec();
            lists.value_ends = vec![1_000];
        }
        "descending_ends" => {
            *action = Action::Many;
            lists.counts = vec![2];
            lists.values = b"{}{}{}".to_vec();
            lists.value_ends = vec![4, 2];
        }
        "few_actions" => {
            lists.actions.pop();
        }
        "many_actions" => lists.actions.push(Action::Keep),
        _ => {}
    }
}
