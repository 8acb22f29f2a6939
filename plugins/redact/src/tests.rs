use sluicegate_plugin::testing::{Answer, run};

use super::*;

const CONFIG: &str = r#"{"fields":["email","note"],"mask":"[masked]"}"#;

fn answer(payload: &str) -> Answer {
    run::<Redact>(CONFIG, &[payload]).unwrap().remove(0)
}

#[test]
fn only_the_configured_fields_are_masked_and_all_else_stays_byte_for_byte() {
    assert_eq!(
        answer(r#"{"id":1.50,"email":"a@b.org","other":"a@b.org","o":{ "email": "a@b.org"}}"#),
        Answer::Replace(
            r#"{"id":1.50,"email":"[masked]","other":"a@b.org","o":{ "email": "a@b.org"}}"#
                .to_owned()
        )
    );
}

#[test]
fn a_record_in_which_nothing_is_masked_is_kept() {
    let payloads =
        ["{}", r#"{"email":"none"}"#, r#"{"email":null,"note":["a@b.org"]}"#, r#"{"email":4}"#];
    assert_eq!(run::<Redact>(CONFIG, &payloads), Ok(vec![Answer::Keep; 4]));
}

#[test]
fn neither_a_name_that_stands_twice_nor_an_escape_hides_an_address() {
    assert_eq!(
        answer(r#"{"email":"a@b.org","\u0065mail":"c\u0040d.org","email":"none"}"#),
        Answer::Replace(r#"{"email":"[masked]","email":"[masked]","email":"none"}"#.to_owned())
    );
}

#[test]
fn what_cannot_be_looked_into_is_rejected() {
    let half = answer(r#"{"email":"a@b.org \ud800"}"#);
    assert!(matches!(half, Answer::Reject { column: Some(column), .. } if column == "email"));
    for payload in ["", "a@b.org", r#"["a@b.org"]"#, r#"{"email":"a@b.org"#] {
        assert!(matches!(answer(payload), Answer::Reject { .. }), "{payload}");
    }
}

#[test]
fn the_config_names_fields_and_has_a_mask_by_default() {
    let error = |config| run::<Redact>(config, &["{}"]).unwrap_err();
    assert_eq!(error(r#"{"fields":[]}"#), "config, key `fields`: name at least one field");
    assert!(error(r#"{"fields":["a"],"masks":""}"#).contains("key `masks`"));
    assert!(error("{}").contains("`fields`"));
    let answers = run::<Redact>(r#"{"fields":["a"]}"#, &[r#"{"a":"x a@b.org"}"#]);
    assert_eq!(answers, Ok(vec![Answer::Replace(r#"{"a":"x ***"}"#.to_owned())]));
}
