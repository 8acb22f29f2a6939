use sluicegate_plugin::testing::{Answer, run};

use super::*;

fn answer(payload: &str) -> Answer {
    run::<Explode>(r#"{"array":"items"}"#, &[payload]).unwrap().remove(0)
}

fn many(payloads: &[&str]) -> Answer {
    Answer::Many(payloads.iter().map(|payload| (*payload).to_owned()).collect())
}

#[test]
fn an_element_that_is_an_object_is_merged_over_the_other_fields() {
    assert_eq!(
        answer(r#"{"id":1.50,"sku":"-","items":[{"sku":"a","n":1},{"n":2.0}],"z":null}"#),
        many(&[
            r#"{"id":1.50,"sku":"a","z":null,"n":1}"#,
            r#"{"id":1.50,"sku":"-","z":null,"n":2.0}"#
        ])
    );
}

#[test]
fn any_other_element_stands_under_the_arrays_name() {
    assert_eq!(
        answer(r#"{"id":1,"items":[7,"x",null,[1],{"items":2}]}"#),
        many(&[
            r#"{"id":1,"items":7}"#,
            r#"{"id":1,"items":"x"}"#,
            r#"{"id":1,"items":null}"#,
            r#"{"id":1,"items":[1]}"#,
            r#"{"id":1,"items":2}"#
        ])
    );
}

#[test]
fn without_the_field_it_is_kept_and_with_an_empty_array_dropped() {
    assert_eq!(answer(r#"{"id":1}"#), Answer::Keep);
    assert_eq!(answer(r#"{"id":1,"items":[ ]}"#), Answer::Drop);
}

#[test]
fn a_field_of_another_type_is_rejected_by_its_name() {
    let rejected =
        Answer::Reject { message: "expected an array".into(), column: Some("items".into()) };
    for value in ["null", "1", r#""x""#, r#"{"a":1}"#] {
        assert_eq!(answer(&format!(r#"{{"items":{value}}}"#)), rejected);
    }
}

#[test]
fn an_element_whose_names_are_no_texts_is_rejected() {
    assert!(matches!(answer(r#"{"items":[{"\ud800":1}]}"#), Answer::Reject { .. }));
}

#[test]
fn the_config_names_the_array() {
    let error = run::<Explode>("{}", &["{}"]).unwrap_err();
    assert_eq!(error, "config: missing field `array` at line 1 column 2");
}
