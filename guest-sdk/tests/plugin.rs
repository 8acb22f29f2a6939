//! Plugins as their authors write them, run as the component runs them.

use std::borrow::Cow;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sluicegate_plugin::testing::{Answer, Input, run, run_inputs};
use sluicegate_plugin::{
    Batch, FromPayload, IntoPayload, Meta, NoConfig, Outcome, Raw, Rejection, RowsPlugin,
    Unreadable, Verdict, Wants, counter_add, each_record, log, wire,
};

/// Overrides nothing.
struct Default;

impl RowsPlugin for Default {
    type Config = NoConfig;
    type Record<'a> = Raw<'a>;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }
}

sluicegate_plugin::export!(Default);

proptest! {
    #[test]
    fn by_default_every_payload_is_kept(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40)
    ) {
        let answers = run::<Default>("{}", &payloads).unwrap();
        prop_assert_eq!(answers, vec![Answer::Keep; payloads.len()]);
    }

    #[test]
    fn payloads_come_in_and_go_out_as_they_are(
        payloads in prop::collection::vec("\\PC{0,20}", 0..40)
    ) {
        let answers = run::<Echo>("{}", &payloads).unwrap();
        let expected: Vec<_> = payloads.into_iter().map(Answer::Replace).collect();
        prop_assert_eq!(answers, expected);
    }
}

/// Answers with what it was given.
struct Echo;

impl RowsPlugin for Echo {
    type Config = NoConfig;
    type Record<'a> = Raw<'a>;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn record<'a>(&'a mut self, record: Raw<'a>, _: &Meta<'a>) -> Verdict<Raw<'a>> {
        Verdict::Replace(record)
    }
}

#[derive(Deserialize, Serialize)]
struct Event<'a> {
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    topic: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Label {
    label: String,
}

/// Every verdict, in words of the record; the answers borrow from record, meta and plugin.
struct Typed(Label);

impl RowsPlugin for Typed {
    type Config = Label;
    type Record<'a> = Event<'a>;

    fn new(config: Label) -> Result<Self, String> {
        if config.label.is_empty() {
            return Err("config, key `label`: is empty".to_owned());
        }
        Ok(Self(config))
    }

    fn record<'a>(&'a mut self, mut event: Event<'a>, meta: &Meta<'a>) -> Verdict<Event<'a>> {
        counter_add("seen", 1);
        match &*event.kind {
            "drop" => Verdict::Drop,
            "reject" => Rejection::new("told to").at("kind").into(),
            "many" => Verdict::Many(vec![
                Event { kind: Cow::Borrowed(&self.0.label), topic: event.topic },
                Event { kind: event.kind, topic: Cow::Borrowed("") },
            ]),
            "topic" => {
                event.topic = Cow::Borrowed(meta.topic());
                Verdict::Replace(event)
            }
            _ => Verdict::Keep,
        }
    }
}

#[test]
fn a_typed_record_gives_every_verdict() {
    let kinds = ["keep", "drop", "reject", "many", "topic"];
    let payloads = kinds.map(|kind| format!(r#"{{"kind":"{kind}"}}"#));
    let expected = [
        Answer::Keep,
        Answer::Drop,
        Answer::Reject { message: "told to".to_owned(), column: Some("kind".to_owned()) },
        Answer::Many(vec![
            r#"{"kind":"L","topic":""}"#.to_owned(),
            r#"{"kind":"many","topic":""}"#.to_owned(),
        ]),
        Answer::Replace(r#"{"kind":"topic","topic":"test"}"#.to_owned()),
    ];
    assert_eq!(run::<Typed>(r#"{"label":"L"}"#, &payloads), Ok(expected.to_vec()));
}

#[test]
fn what_a_typed_record_cannot_be_read_from_is_rejected_without_its_values() {
    let payloads: [&[u8]; 5] = [b"", b"null", b"{\"kind\":4111}", b"{\"secret\":1}", b"\xff"];
    for answer in run::<Typed>(r#"{"label":"L"}"#, &payloads).unwrap() {
        let Answer::Reject { message, column: None } = answer else { panic!("{answer:?}") };
        assert!(message.starts_with("not the JSON that this plugin reads: "), "{message}");
        assert!(!message.contains("4111") && !message.contains("secret"), "{message}");
    }
}

#[test]
fn a_config_that_is_refused_names_its_key() {
    let error = |config| run::<Typed>(config, &["{}"]).unwrap_err();
    assert_eq!(error(r#"{"label":""}"#), "config, key `label`: is empty");
    assert_eq!(error("{}"), "config: missing field `label` at line 1 column 2");
}

/// Reads numbers of its own format; keeps what it cannot read.
struct Doubles;

struct Number(u64);

impl FromPayload<'_> for Number {
    fn from_payload(payload: &[u8]) -> Result<Self, Unreadable> {
        let text = str::from_utf8(payload).map_err(|_| Unreadable::new("not UTF-8"))?;
        text.parse().map(Self).map_err(|_| Unreadable::new("not a number"))
    }
}

impl IntoPayload for Number {
    fn into_payload(self, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(self.0.to_string().as_bytes());
        Ok(())
    }
}

impl RowsPlugin for Doubles {
    type Config = NoConfig;
    type Record<'a> = Number;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn record(&mut self, Number(number): Number, _: &Meta<'_>) -> Verdict<Number> {
        number.checked_mul(2).map_or(Verdict::Drop, |twice| Verdict::Replace(Number(twice)))
    }

    fn unreadable<'a>(
        &'a mut self,
        payload: Raw<'a>,
        error: Unreadable,
        _: &Meta<'a>,
    ) -> Verdict<Raw<'a>> {
        if payload.is_empty() { Verdict::Keep } else { Verdict::Reject(error.into()) }
    }
}

#[test]
fn a_format_of_ones_own_is_read_and_what_is_unreadable_is_decided() {
    let answers = run::<Doubles>("{}", &["21", "", "x"]).unwrap();
    let rejected = Answer::Reject { message: "not a number".to_owned(), column: None };
    assert_eq!(answers, [Answer::Replace("42".to_owned()), Answer::Keep, rejected]);
}

/// Answers by the batch: fails on offset 13, leaves a row out on 14, else record by record.
struct ByBatch;

impl RowsPlugin for ByBatch {
    type Config = NoConfig;
    type Record<'a> = Raw<'a>;
    const WANTS: Wants = Wants::OFFSETS;

    fn new(_: NoConfig) -> Result<Self, String> {
        log::info("ready");
        Ok(Self)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Outcome, String> {
        match batch.meta(0).and_then(|meta| meta.offset()) {
            Some(13) => Err("unlucky".to_owned()),
            Some(14) => Ok(Outcome::keep_all(batch.rows() - 1)),
            Some(15) => Ok(Outcome::from(wire::Outcome {
                actions: vec![wire::Action::Replace],
                values: b"ab".to_vec(),
                value_ends: vec![3],
                counts: Vec::new(),
                rejections: Vec::new(),
            })),
            _ => each_record(self, batch),
        }
    }
}

#[test]
fn a_batch_is_answered_as_a_whole_and_checked_as_the_host_does() {
    let at = |offset| run_inputs::<ByBatch>("{}", &[Input::new("a").offset(offset)]);
    assert_eq!(at(1), Ok(vec![Answer::Keep]));
    assert_eq!(at(13), Err("unlucky".to_owned()));
    assert_eq!(at(14), Err("0 actions for 1 rows".to_owned()));
    assert_eq!(at(15), Err("value-ends do not fit values".to_owned()));
    assert_eq!(run::<ByBatch>("{}", &[""; 0]), Ok(Vec::new()));
}
