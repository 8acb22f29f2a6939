use sluicegate_plugin::testing::{Answer, run};

use super::*;

/// The row stands between two that are kept.
fn told(what: &str) -> Result<Answer, String> {
    let payloads = ["not JSON".to_owned(), format!(r#"{{"do":"{what}"}}"#), "{}".to_owned()];
    let mut answers = run::<Misbehaving>(r#"{"slow_ms":1}"#, &payloads)?;
    assert_eq!((&answers[0], &answers[2]), (&Answer::Keep, &Answer::Keep));
    Ok(answers.remove(1))
}

#[test]
fn what_is_told_right_is_answered_right() {
    for what in ["", "something else", "slow", "counter_flood", "log_flood"] {
        assert_eq!(told(what), Ok(Answer::Keep));
    }
    assert_eq!(told("drop"), Ok(Answer::Drop));
    let column = Some("do".to_owned());
    assert_eq!(told("reject"), Ok(Answer::Reject { message: "told to reject".into(), column }));
    let huge = told("huge_output").unwrap();
    assert!(matches!(huge, Answer::Replace(text) if text.len() == 200 << 20));
}

#[test]
fn each_lie_breaks_the_contract_as_it_says() {
    let lies = [
        ("error", "told to fail"),
        ("few_actions", "2 actions for 3 rows"),
        ("many_actions", "4 actions for 3 rows"),
        ("bad_ends", "value-ends do not fit values"),
        ("descending_ends", "value-ends do not fit values"),
        ("few_counts", "fewer counts than actions `many`"),
        ("few_rejections", "fewer rejections than actions `reject`"),
    ];
    for (what, error) in lies {
        assert_eq!(told(what), Err(error.to_owned()), "{what}");
    }
}

#[test]
#[should_panic(expected = "told to panic")]
fn it_panics_with_a_text() {
    let _ = told("panic");
}

#[test]
fn init_refuses_when_it_is_told_to() {
    let error = run::<Misbehaving>(r#"{"init":"error"}"#, &["{}"]).unwrap_err();
    assert_eq!(error, "config, key `init`: told to refuse");
}
