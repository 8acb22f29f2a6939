//! The form of a dead letter: the record as it was, and the facts as headers or an envelope.
//! docs/dead-letters.md describes it for readers.

use std::borrow::Cow;

use super::cut::{Cut, CutStep, HEADER_OVERHEAD, Kept, KeptHeader, LetterPart};
use super::earlier::LEFT_OUT;
use super::envelope::{self, Envelope, EnvelopeText};
use crate::config::DlqFormat;
use crate::flow::record::Record;
use crate::flow::rejection::{Rejection, cut_to};
use crate::words::plain::Plain;

/// Most characters of the message header, so that headers stay small beside the payload.
const MESSAGE_CHARS: usize = 1_000;
/// Most bytes of a column or plugin name, which may come from the record or from a plugin.
const NAME_BYTES: usize = 256;
/// Most headers of a letter's own: those of ALWAYS and SOMETIMES, two for each cut, and one for how many are
/// left out.
const OWN_HEADERS: usize = 24;
/// Upper bound on the names of a letter's own headers, numbers, digests, reason, stage and version.
const OWN_BYTES: usize = 1_500;
/// librdkafka's memory for a header besides name and value: an allocation of at least 48 bytes, rounded up,
/// and its place in a list.
const IN_LIBRDKAFKA: usize = 72;
/// Copies of each header's name and value: for librdkafka, in its request, and compressed there.
const COPIES: usize = 3;
/// Upper bound on a header's memory for each byte it counts when cut, which includes 10 besides name and
/// value.
const MOST_PER_BYTE: usize = 32;
/// Most bytes of a Kafka message besides key, payload and headers.
const MESSAGE_OVERHEAD: usize = 100;

/// What every dead letter of this host says about its origin.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The consumer group.
    pub group: String,
    /// The table, as `database.table`.
    pub table: String,
    /// The form.
    pub format: DlqFormat,
}

/// A dead letter, ready to be produced.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// The record's payload, or the envelope; `None` for a tombstone.
    pub payload: Option<Cow<'a, [u8]>>,
    /// The record's headers, then ours.
    pub headers: Vec<LetterHeader<'a>>,
    /// What was cut off the record.
    pub cuts: Vec<Cut>,
}

/// Name and value of a header.
pub type LetterHeader<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

impl<'a> Letter<'a> {
    /// The letter of a record, cut by `step`.
    pub fn new(
        record: &Record<'a>,
        rejection: &'a Rejection,
        from: &'a Provenance,
        failed_at_ms: u128,
        step: CutStep,
    ) -> Self {
        let kept = step.keep(record);
        match from.format {
            DlqFormat::Headers => with_headers(record, kept, rejection, from, failed_at_ms),
            DlqFormat::Envelope => envelope(record, kept, rejection, from, failed_at_ms),
        }
    }

    /// Upper bound on its memory while it is sent: itself, librdkafka's copy, and the compressed copy.
    pub fn room_bytes(
        record: &Record<'_>,
        rejection: &Rejection,
        from: &Provenance,
        step: CutStep,
    ) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let [payload, key] = step.payload_and_key(record);
        let message = message(rejection);
        let names = [rejection.stage.plugin(), rejection.fault.column.as_deref()];
        let names = names.map(|of| of.map_or(Cow::Borrowed(""), name));
        let texts = [&*message, &*record.partition.topic, &*from.group, &*from.table];
        let texts = texts.into_iter().chain(names.iter().map(|name| &**name));
        // The list of kept headers is made of all headers before some are cut.
        let kept = record.headers().count() * size_of::<KeptHeader<'_>>();
        let header = |bytes: usize| size_of::<LetterHeader<'_>>() + IN_LIBRDKAFKA + COPIES * bytes;
        let own = OWN_HEADERS * header(HEADER_OVERHEAD) + COPIES * OWN_BYTES;
        let of_format = match from.format {
            DlqFormat::Headers => {
                let of = |(name, value): KeptHeader<'_>| {
                    header(name.len() + length(value) + HEADER_OVERHEAD)
                };
                // Two headers hold the group. The payload is borrowed.
                let facts = texts.map(str::len).sum::<usize>() + from.group.len();
                step.headers(record, of, MOST_PER_BYTE) + COPIES * facts + 2 * length(payload)
            }
            DlqFormat::Envelope => {
                let of = |header: KeptHeader<'_>| COPIES * envelope::header_bytes(header);
                let parts = EnvelopeText::of(payload).bytes() + EnvelopeText::of(key).bytes();
                let text = parts + envelope::facts_bytes(texts);
                step.headers(record, of, MOST_PER_BYTE) + COPIES * text
            }
        };
        kept + own + of_format + 2 * length(key)
    }

    /// Upper bound on its bytes in the topic: Kafka counts compressed bytes.
    pub fn size_bytes(&self) -> usize {
        let value = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
        let headers = self.headers.iter();
        let headers = headers.map(|(name, of)| name.len() + value(of.as_deref()) + HEADER_OVERHEAD);
        let record = value(self.key) + value(self.payload.as_deref());
        record + headers.sum::<usize>() + MESSAGE_OVERHEAD
    }
}

/// The record as it was, with the facts as text headers.
fn with_headers<'a>(
    record: &Record<'a>,
    kept: Kept<'a>,
    rejection: &'a Rejection,
    from: &'a Provenance,
    failed_at_ms: u128,
) -> Letter<'a> {
    let fault = &rejection.fault;
    let own = kept.headers.iter().map(|(name, value)| (*name, value.map(Cow::Borrowed)));
    let mut headers: Vec<LetterHeader<'a>> = Vec::with_capacity(own.len() + OWN_HEADERS);
    headers.extend(own);
    let mut fact = |name: &'static str, value: Cow<'a, str>| headers.push(header(name, value));
    fact("failure_reason", fault.reason.code().into());
    fact("__connect.errors.topic", Cow::from(&*record.partition.topic));
    fact("__connect.errors.partition", owned(&record.partition.partition));
    fact("__connect.errors.offset", owned(&record.offset()));
    fact("__connect.errors.connector.name", from.group.as_str().into());
    fact("__connect.errors.stage", rejection.stage.name().into());
    let class = format!("sluicegate.{}", fault.reason.code());
    fact("__connect.errors.exception.class.name", class.into());
    fact("__connect.errors.exception.message", message(rejection).into());
    fact("sluicegate.group", from.group.as_str().into());
    fact("sluicegate.table", from.table.as_str().into());
    fact("sluicegate.attempt", owned(&kept.attempts.saturating_add(1)));
    fact("sluicegate.failed-at-ms", owned(&failed_at_ms));
    fact("sluicegate.version", env!("CARGO_PKG_VERSION").into());
    if let Some(plugin) = rejection.stage.plugin() {
        fact("sluicegate.plugin", name(plugin));
    }
    if let Some(column) = &fault.column {
        fact("sluicegate.column", name(column));
    }
    if let Some(timestamp_ms) = record.timestamp_ms() {
        fact("sluicegate.timestamp-ms", owned(&timestamp_ms));
    }
    headers.extend(of_cuts(&kept));
    let payload = kept.payload.map(Cow::Borrowed);
    Letter { key: kept.key, payload, headers, cuts: kept.cuts }
}

/// One JSON object with the record and the facts; bytes that are not UTF-8 as base64.
fn envelope<'a>(
    record: &Record<'a>,
    kept: Kept<'a>,
    rejection: &'a Rejection,
    from: &'a Provenance,
    failed_at_ms: u128,
) -> Letter<'a> {
    let cut = |part: LetterPart| kept.cuts.iter().find(|cut| cut.part == part);
    let truncated_from = |part: LetterPart| cut(part).map(|cut| cut.from);
    let sha256 = |part: LetterPart| cut(part).map(|cut| &*cut.sha256);
    let (payload, key) = (EnvelopeText::of(kept.payload), EnvelopeText::of(kept.key));
    let fault = &rejection.fault;
    let body = Envelope {
        attempt: kept.attempts.saturating_add(1),
        column: fault.column.as_deref().map(name),
        failed_at_ms: u64::try_from(failed_at_ms).unwrap_or(u64::MAX),
        failure_reason: fault.reason.code(),
        group: &from.group,
        headers: &kept.headers,
        headers_left_out: Some(kept.left_out).filter(|left_out| *left_out > 0),
        headers_sha256: sha256(LetterPart::Headers),
        headers_truncated_from: truncated_from(LetterPart::Headers),
        key,
        key_encoding: key.encoding(),
        key_sha256: sha256(LetterPart::Key),
        key_truncated_from: truncated_from(LetterPart::Key),
        message: &message(rejection),
        offset: record.offset(),
        partition: record.partition.partition,
        plugin: rejection.stage.plugin().map(name),
        record: payload,
        record_encoding: payload.encoding(),
        record_sha256: sha256(LetterPart::Payload),
        record_truncated_from: truncated_from(LetterPart::Payload),
        stage: rejection.stage.name(),
        table: &from.table,
        timestamp_ms: record.timestamp_ms(),
        topic: &record.partition.topic,
        version: env!("CARGO_PKG_VERSION"),
    };
    let payload = Some(body.to_bytes().into());
    let mut headers = vec![header("failure_reason", fault.reason.code().into())];
    headers.extend(of_cuts(&kept));
    Letter { key: kept.key, payload, headers, cuts: kept.cuts }
}

fn header<'a>(name: &'static str, value: Cow<'a, str>) -> LetterHeader<'a> {
    let value = match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    (name.as_bytes(), Some(value))
}

fn owned<'a>(value: &impl ToString) -> Cow<'a, str> {
    Cow::Owned(value.to_string())
}

/// The headers that describe the cuts.
fn of_cuts<'a>(kept: &Kept<'_>) -> impl Iterator<Item = LetterHeader<'a>> {
    let left_out = (kept.left_out > 0).then(|| header(LEFT_OUT, owned(&kept.left_out)));
    let cuts = kept.cuts.iter().flat_map(|cut| {
        let [from, sha256] = cut.part.headers();
        [header(from, owned(&cut.from)), header(sha256, cut.sha256.clone().into())]
    });
    cuts.chain(left_out)
}

/// A column or plugin name, bounded.
fn name(text: &str) -> Cow<'_, str> {
    cut_to(text, NAME_BYTES)
}

fn message(rejection: &Rejection) -> String {
    Plain(&rejection.fault).to_string().chars().take(MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::earlier::{ALWAYS, SOMETIMES};
    use super::*;
    use crate::flow::record::{Batch, RawRecord, TopicPartition};
    use crate::flow::rejection::{Fault, Reason, Stage};

    fn rejected(payload: &[u8], headers: &[(&str, &str)]) -> (Batch, Rejection) {
        let mut batch = Batch::default();
        let partition = TopicPartition { topic: "orders".into(), partition: 3 };
        let record = RawRecord {
            offset: 41,
            timestamp_ms: Some(7),
            key: Some(b"k"),
            payload: Some(payload),
        };
        batch.push(&partition, 1, &record);
        for (name, value) in headers {
            batch.push_header(name.as_bytes(), Some(value.as_bytes()));
        }
        let fault = Fault {
            reason: Reason::OutOfRange,
            column: Some("soc".into()),
            pointer: "/soc".into(),
            expected: "integer from 0 to 255".into(),
            got_kind: "number",
            got: "300".into(),
        };
        (batch, Rejection { origin: 0, stage: Stage::Decode, fault })
    }

    fn from(format: DlqFormat) -> Provenance {
        Provenance { group: "g".into(), table: "d.t".into(), format }
    }

    /// The headers and payload of the letter of a batch's only record.
    fn told(
        (batch, rejection): &(Batch, Rejection),
        format: DlqFormat,
        step: CutStep,
    ) -> (Vec<(String, String)>, Vec<u8>) {
        let (record, from) = (batch.record(0).unwrap(), from(format));
        let letter = Letter::new(&record, rejection, &from, 99, step);
        assert_eq!(letter.key, record.key());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = letter.headers.iter();
        let headers = headers.map(|(name, value)| (text(name), text(value.as_deref().unwrap())));
        (headers.collect(), letter.payload.unwrap().into_owned())
    }

    /// A record with this letter's headers, as if produced again.
    fn replayed(headers: &[(String, String)]) -> (Batch, Rejection) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        rejected(b"{}", &headers)
    }

    fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
        headers.iter().filter(|(of, _)| of == name).map(|(_, value)| &**value).collect()
    }

    fn last(batch: &Batch) -> CutStep {
        let record = batch.record(0).unwrap();
        std::iter::successors(Some(CutStep::WHOLE), |step| step.next(&record)).last().unwrap()
    }

    #[test]
    fn no_control_character_of_a_record_stands_in_the_facts() {
        let (batch, mut rejection) = rejected(b"{}", &[]);
        rejection.fault.pointer = "/\u{1b}[31m\nname".into();
        rejection.fault.got = "`\r\u{202e}x`".into();
        let (headers, _) = told(&(batch, rejection), DlqFormat::Headers, CutStep::WHOLE);
        let text = values(&headers, "__connect.errors.exception.message").concat();
        assert!(text.contains(r"/\u{1b}[31m\nname") && text.contains(r"`\r\u{202e}x`"), "{text}");
    }

    #[test]
    fn a_letter_keeps_the_record_and_adds_the_facts() {
        let (batch, rejection) = rejected(b"{\"soc\":300}", &[("trace", "abc")]);
        let (headers, payload) = told(&(batch, rejection), DlqFormat::Headers, CutStep::WHOLE);
        assert_eq!(payload, b"{\"soc\":300}");
        let version = env!("CARGO_PKG_VERSION");
        let expected = [
            ("trace", "abc"),
            ("failure_reason", "out_of_range"),
            ("__connect.errors.topic", "orders"),
            ("__connect.errors.partition", "3"),
            ("__connect.errors.offset", "41"),
            ("__connect.errors.connector.name", "g"),
            ("__connect.errors.stage", "decode"),
            ("__connect.errors.exception.class.name", "sluicegate.out_of_range"),
            (
                "__connect.errors.exception.message",
                "column `soc`: expected integer from 0 to 255, got 300",
            ),
            ("sluicegate.group", "g"),
            ("sluicegate.table", "d.t"),
            ("sluicegate.attempt", "1"),
            ("sluicegate.failed-at-ms", "99"),
            ("sluicegate.version", version),
            ("sluicegate.column", "soc"),
            ("sluicegate.timestamp-ms", "7"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_second_failure_replaces_the_first_and_counts_on() {
        let of_another = ("__connect.errors.task.id", "3");
        let first = rejected(b"{}", &[("own", "x"), of_another]);
        let (first, _) = told(&first, DlqFormat::Headers, CutStep::WHOLE);
        let mut sorted = first.clone();
        sorted.sort();
        for first in [first, sorted] {
            let (mut batch, rejection) = replayed(&first);
            batch.push_header(b"later", Some(b"y"));
            let (headers, _) = told(&(batch, rejection), DlqFormat::Headers, CutStep::WHOLE);
            assert_eq!(headers.len(), first.len() + 1);
            assert_eq!(values(&headers, "sluicegate.attempt"), ["2"]);
            for (name, value) in [("own", "x"), of_another, ("later", "y")] {
                assert_eq!(values(&headers, name), [value]);
            }
        }
    }

    #[test]
    fn a_header_of_the_record_stays_whatever_its_name() {
        let of_cuts = LetterPart::ALL.map(LetterPart::headers).concat();
        let names = [&ALWAYS[..], &SOMETIMES, &of_cuts, &[LEFT_OUT]].concat();
        for missing in ALWAYS {
            let own: Vec<_> =
                names.iter().filter(|name| **name != missing).map(|name| (*name, "7")).collect();
            let (first, _) = told(&rejected(b"{}", &own), DlqFormat::Headers, CutStep::WHOLE);
            let (again, _) = told(&replayed(&first), DlqFormat::Headers, CutStep::WHOLE);
            for (headers, attempt) in [(first, "1"), (again, "2")] {
                let names = headers.iter().map(|(name, value)| (&**name, &**value));
                assert_eq!(names.take(own.len()).collect::<Vec<_>>(), own);
                assert_eq!(headers.len(), own.len() + ALWAYS.len() + 2, "column and timestamp");
                assert_eq!(values(&headers, "sluicegate.attempt").last(), Some(&attempt));
            }
        }
    }

    #[test]
    fn headers_of_any_bytes_stand_in_the_letter_as_they_were() {
        let (mut batch, rejection) = rejected(b"{}", &[]);
        let own: [(&[u8], Option<&[u8]>); 6] = [
            (b"b", None),
            (b"a", Some(b"\xff\0")),
            (b"b", Some(b"")),
            (b"\xfe", None),
            (b"a", Some(b"2")),
            (b"", Some(b"1")),
        ];
        for (name, value) in own {
            batch.push_header(name, value);
        }
        let (record, from) = (batch.record(0).unwrap(), from(DlqFormat::Headers));
        let letter = Letter::new(&record, &rejection, &from, 99, CutStep::WHOLE);
        let headers = letter.headers.iter().map(|(name, value)| (*name, value.as_deref()));
        assert_eq!(headers.take(own.len()).collect::<Vec<_>>(), own);
    }

    #[test]
    fn the_last_step_leaves_a_letter_of_16_kb_whatever_the_record_holds() {
        let hostile = "\u{1}".repeat(2_000_000);
        let unreadable = vec![0xff; 2_000_000];
        let forged: Vec<_> = ALWAYS.map(|name| (name, "1")).to_vec();
        let of_cuts = LetterPart::ALL
            .map(LetterPart::headers)
            .concat()
            .into_iter()
            .map(|name| (name, &*hostile));
        let forged = [forged, of_cuts.collect()].concat();
        for (headers, payload) in [
            (vec![("", ""); 100_000], hostile.as_bytes()),
            (forged, &unreadable),
            (vec![("sluicegate.sha256", &*hostile)], b"{}".as_slice()),
        ] {
            let (_, mut rejection) = rejected(b"", &[]);
            let partition = TopicPartition { topic: "t".repeat(249).into(), partition: i32::MAX };
            let mut batch = Batch::default();
            let (key, payload) = (Some(hostile.as_bytes()), Some(payload));
            let record = RawRecord { offset: i64::MAX, timestamp_ms: Some(7), key, payload };
            batch.push(&partition, 1, &record);
            for (name, value) in headers {
                batch.push_header(name.as_bytes(), Some(value.as_bytes()));
            }
            rejection.stage = Stage::ArrowHook(hostile.as_str().into());
            rejection.fault.column = Some(hostile.as_str().into());
            rejection.fault.pointer.clone_from(&hostile);
            let record = batch.record(0).unwrap();
            for format in [DlqFormat::Headers, DlqFormat::Envelope] {
                let from = from(format);
                let letter = Letter::new(&record, &rejection, &from, 99, last(&batch));
                assert!(letter.size_bytes() <= 16_000, "{} bytes", letter.size_bytes());
            }
        }
    }

    #[test]
    fn an_envelope_holds_bytes_that_are_no_text() {
        let (mut batch, rejection) = rejected(b"\xff\xfe", &[]);
        batch.push_header(b"\xff", Some(b"x"));
        let (_, payload) = told(&(batch, rejection), DlqFormat::Envelope, CutStep::WHOLE);
        let body: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((&body["record"], &body["record_encoding"]), (&json!("//4="), &json!("base64")));
        assert_eq!(
            (&body["failure_reason"], &body["offset"]),
            (&json!("out_of_range"), &json!(41))
        );
        let expected =
            json!({"name": "/w==", "name_encoding": "base64", "value": "x", "encoding": "utf-8"});
        assert_eq!(body["headers"], json!([expected]));
    }

    #[test]
    fn an_envelope_is_an_object_in_the_order_of_its_names_as_serde_json_writes_it() {
        let hostile = "\u{1}\"\\/\n\t\u{8}\u{c}\r\u{7f}\u{2028}\u{1f600}<é";
        let (mut batch, mut rejection) = rejected(hostile.as_bytes(), &[("h", hostile), ("", "")]);
        batch.push_header(b"\xff\xfe\xfd\xfc", None);
        batch.push_header(b"n", Some(&[0xff; 3_000]));
        rejection.fault.expected = hostile.into();
        let (of_all, of_cut) = (rejected(b"\xff", &[]), everything());
        let cut = last(&of_cut.0);
        for (rejected, step) in
            [((batch, rejection), CutStep::WHOLE), (of_all, CutStep::WHOLE), (of_cut, cut)]
        {
            let (record, from) = (rejected.0.record(0).unwrap(), from(DlqFormat::Envelope));
            let letter = Letter::new(&record, &rejected.1, &from, 99, step);
            let text = String::from_utf8(letter.payload.unwrap().into_owned()).unwrap();
            let body: Value = serde_json::from_str(&text).unwrap();
            let sorted = body.to_string();
            assert!(text == sorted, "{}", &text[..1_000.min(text.len())]);
        }
    }

    #[test]
    fn a_letter_takes_no_more_than_its_room_whatever_the_record_holds() {
        let hostile = "\u{1}".repeat(300_000);
        let unreadable = vec![0xff; 300_000];
        let dense = vec![(b"".as_slice(), Some(b"".as_slice())); 100_000];
        let odd = vec![(&b"\xff"[..], None); 50_000];
        let (hostile_bytes, unreadable, small) = (hostile.as_bytes(), &unreadable[..], &b"{}"[..]);
        let three = vec![(&b"h"[..], Some(hostile_bytes)); 3];
        let escaped = vec![(&b"\x01\x02"[..], Some(&b"\x03"[..])); 9_000];
        let large = vec![(unreadable, Some(unreadable))];
        let records: [(&[u8], &[u8], Vec<KeptHeader<'_>>); 6] = [
            (small, small, Vec::new()),
            (small, small, dense),
            (small, small, odd),
            (small, small, three),
            (hostile_bytes, hostile_bytes, escaped),
            (unreadable, unreadable, large),
        ];
        for (key, payload, headers) in records {
            let (_, mut rejection) = rejected(b"", &[]);
            let mut batch = Batch::default();
            let partition = TopicPartition { topic: "t".repeat(249).into(), partition: i32::MAX };
            let (key, payload) = (Some(key), Some(payload));
            let record = RawRecord { offset: i64::MAX, timestamp_ms: Some(7), key, payload };
            batch.push(&partition, 1, &record);
            for (name, value) in headers {
                batch.push_header(name, value);
            }
            rejection.stage = Stage::ArrowHook(hostile.as_str().into());
            rejection.fault.column = Some(hostile.as_str().into());
            rejection.fault.pointer.clone_from(&hostile);
            let record = batch.record(0).unwrap();
            for format in [DlqFormat::Headers, DlqFormat::Envelope] {
                let from = from(format);
                for step in std::iter::successors(Some(CutStep::WHOLE), |step| step.next(&record)) {
                    let room = Letter::room_bytes(&record, &rejection, &from, step);
                    let letter = Letter::new(&record, &rejection, &from, 99, step);
                    // librdkafka has its own copy, and a compressed one.
                    let copies = 2 * (letter.size_bytes() - MESSAGE_OVERHEAD);
                    let own = match &letter.payload {
                        Some(Cow::Owned(text)) => text.capacity(),
                        _ => 0,
                    };
                    let lists = letter.headers.capacity() * size_of::<LetterHeader<'_>>()
                        + letter.headers.len() * 64;
                    assert!(copies + own + lists <= room, "{} of {room}", copies + own + lists);
                }
            }
        }
    }

    #[test]
    fn a_cut_letter_says_what_it_was_cut_from() {
        let (batch, rejection) = rejected(&vec![b'x'; 70_000], &[]);
        let step = CutStep::WHOLE.next(&batch.record(0).unwrap()).unwrap();
        let rejected = (batch, rejection);
        let (headers, payload) = told(&rejected, DlqFormat::Headers, step);
        assert_eq!(payload.len(), 64_000);
        let digest =
            headers.iter().find(|(name, _)| name == "sluicegate.sha256").unwrap().1.clone();
        assert!(headers.contains(&("sluicegate.truncated-from".into(), "70000".into())));
        assert_eq!(digest.len(), 64);
        let (headers, payload) = told(&rejected, DlqFormat::Envelope, step);
        assert!(headers.contains(&("sluicegate.truncated-from".into(), "70000".into())));
        let body: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(body["record"].as_str().unwrap().len(), 64_000);
        assert_eq!(body["record_truncated_from"], 70_000);
        assert_eq!(body["record_sha256"], digest);
        assert_eq!(body["failure_reason"], "out_of_range");
    }

    /// The names in the first column of a table of docs/dead-letters.md.
    fn documented(title: &str) -> Vec<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/dead-letters.md");
        let page = std::fs::read_to_string(path).unwrap();
        let section = page.split(&format!("## {title}\n")).nth(1).expect(title);
        let section = section.split("\n## ").next().unwrap();
        let mut names: Vec<String> = section
            .lines()
            .filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// A record with everything that a letter can describe.
    fn everything() -> (Batch, Rejection) {
        let large = "x".repeat(70_000);
        let (_, mut rejection) = rejected(b"", &[]);
        let partition = TopicPartition { topic: "orders".into(), partition: 3 };
        let mut batch = Batch::default();
        let record = RawRecord {
            offset: 41,
            timestamp_ms: Some(7),
            key: Some(large.as_bytes()),
            payload: Some(large.as_bytes()),
        };
        batch.push(&partition, 1, &record);
        batch.push_header(b"h", Some(large.as_bytes()));
        rejection.stage = Stage::Check(Some("plugin 1".into()));
        (batch, rejection)
    }

    #[test]
    fn the_page_of_dead_letters_lists_every_header() {
        let (batch, rejection) = everything();
        let step = last(&batch);
        let (record, from) = (batch.record(0).unwrap(), from(DlqFormat::Headers));
        let letter = Letter::new(&record, &rejection, &from, 99, step);
        let names =
            letter.headers.iter().map(|(name, _)| String::from_utf8(name.to_vec()).unwrap());
        let mut names: Vec<String> = names.collect();
        assert_eq!(names.len(), ALWAYS.len() + SOMETIMES.len() + 2 * LetterPart::ALL.len() + 1);
        names.sort();
        assert_eq!(documented("Headers"), names);
    }

    #[test]
    fn the_page_of_dead_letters_lists_every_field_of_an_envelope() {
        let (batch, rejection) = everything();
        let step = last(&batch);
        let (record, from) = (batch.record(0).unwrap(), from(DlqFormat::Envelope));
        let letter = Letter::new(&record, &rejection, &from, 99, step);
        let body: Value = serde_json::from_slice(&letter.payload.unwrap()).unwrap();
        let mut names: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(documented("The envelope"), names);
    }

    #[test]
    fn the_page_of_dead_letters_lists_every_reason() {
        let mut codes = Reason::ALL.map(|reason| reason.code().to_owned()).to_vec();
        codes.sort();
        assert_eq!(documented("Reasons"), codes);
    }
}
