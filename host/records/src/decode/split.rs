//! Splits a message into several records (RECORD_SPLIT): each becomes a row, and the rows of a message share its fate.
//! No payload is copied: a row is a range of the message.

use crate::decode::each_part;
use crate::flow::parts::{Split, lines};
use crate::flow::payloads::{Hooked, Payloads, ROW_BYTES};
use crate::flow::record::{Batch, Origin};
use crate::flow::rejection::{Fault, Reason, Rejection, Stage};

/// Most parts of a message: the rows of one INSERT are one block of ClickHouse, and are split only between messages.
const MAX_PARTS: usize = 1_000_000;
/// Fewest bytes of a part and its separator.
const LEAST_BYTES: usize = 2;

/// Splits the payloads of these records. `dropped` lists those without parts. The parts of one record may take at most
/// `record_bytes`.
pub fn split(batch: &Batch, split: Split, pending: &[Origin], record_bytes: usize) -> Hooked {
    let most = MAX_PARTS.min(record_bytes / ROW_BYTES);
    let (mut payloads, mut rejections) = (Payloads::of_parts(split), Vec::new());
    for origin in pending.iter().copied() {
        let Some(payload) = batch.payload(origin) else { continue };
        let before = payloads.len();
        if let Err(fault) = parts(&mut payloads, (batch, origin), split, payload, most) {
            payloads.truncate(before);
            rejections.push(Rejection { origin, stage: Stage::Decode, fault: *fault });
        }
    }
    let mut dropped = payloads.without_row(pending);
    dropped.retain(|origin| rejections.binary_search_by_key(origin, |r| r.origin).is_err());
    Hooked { payloads, rejections, dropped }
}

/// Adds the parts of one record.
fn parts(
    payloads: &mut Payloads,
    (batch, origin): (&Batch, Origin),
    split: Split,
    payload: &[u8],
    most: usize,
) -> Result<(), Box<Fault>> {
    // Counted only if there may be too many.
    if payload.len() / LEAST_BYTES >= most && split.parts_at_most(payload) > most {
        return Err(too_many(most));
    }
    match split {
        Split::None => payloads.put_part(batch, origin, payload),
        Split::Lines => lines(payload).for_each(|line| payloads.put_part(batch, origin, line)),
        Split::Array => each_part(payload, |part| payloads.put_part(batch, origin, part))?,
    }
    Ok(())
}

#[cold]
fn too_many(most: usize) -> Box<Fault> {
    Box::new(Fault {
        reason: Reason::TooLarge,
        column: None,
        pointer: String::new(),
        expected: format!(
            "at most {most} records in one message (RECORD_SPLIT: a million, or what a quarter of \
             MEMORY_BUDGET_BYTES has room for)"
        ),
        got_kind: "",
        got: "more".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::record::{RawRecord, TopicPartition};

    const MOST: usize = 1 << 20;

    fn batch<T: AsRef<[u8]>>(payloads: &[T]) -> Batch {
        let mut batch = Batch::default();
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        for payload in payloads {
            let payload = Some(payload.as_ref());
            batch.push(&partition, 1, &RawRecord { payload, ..RawRecord::default() });
        }
        batch
    }

    /// Parts with their records.
    type Parts = Vec<(Origin, String)>;

    /// The parts of payloads, the refusals, and the records without parts.
    fn read(how: Split, payloads: &[&str]) -> (Parts, Vec<(Origin, Reason)>, Vec<Origin>) {
        let batch = batch(payloads);
        let pending: Vec<Origin> = (0..batch.len()).collect();
        let hooked = split(&batch, how, &pending, MOST);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parts = hooked.payloads.iter(&batch).map(|(origin, part)| (origin, text(part)));
        let refused = hooked.rejections.iter().map(|r| (r.origin, r.fault.reason));
        (parts.collect(), refused.collect(), hooked.dropped)
    }

    fn owned(parts: &[(Origin, &str)]) -> Parts {
        parts.iter().map(|(origin, part)| (*origin, (*part).to_owned())).collect()
    }

    #[test]
    fn each_line_is_a_row_of_its_message_and_blank_lines_are_none() {
        let (parts, refused, none) = read(
            Split::Lines,
            &["{\"a\":1}\n{\"a\":2}", "\u{feff}{}\r\n\r\n x \n", "", "\n \n", "{}"],
        );
        let expected = [(0, "{\"a\":1}"), (0, "{\"a\":2}"), (1, "{}"), (1, " x "), (4, "{}")];
        assert_eq!((parts, refused, none), (owned(&expected), vec![], vec![2, 3]));
    }

    #[test]
    fn each_element_is_a_row_of_its_message_and_a_lone_object_is_one() {
        let (parts, refused, none) = read(
            Split::Array,
            &[" [ {\"a\":[1,{}]} , 2,\"],\" ] ", "[]", " {\"a\":1}", "\u{feff}[[]]", ""],
        );
        let expected =
            [(0, "{\"a\":[1,{}]}"), (0, "2"), (0, "\"],\""), (2, "{\"a\":1}"), (3, "[]"), (4, "")];
        assert_eq!((parts, refused, none), (owned(&expected), vec![], vec![1]));
    }

    #[test]
    fn an_array_that_is_no_json_is_refused_whole_and_its_neighbours_stay() {
        let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        let cases = ["[{},{}", "[{},]", "[{}] {}", "[{}}", &deep, "[{}]"];
        let (parts, refused, none) = read(Split::Array, &cases);
        let mut reasons = [Reason::MalformedJson; 5];
        reasons[4] = Reason::TooDeep;
        assert_eq!(parts, owned(&[(5, "{}")]));
        assert_eq!(refused, (0..).zip(reasons).collect::<Vec<_>>());
        assert!(none.is_empty());
    }

    #[test]
    fn an_array_that_is_no_json_says_where() {
        let told = |payload: &str| {
            let hooked = split(&batch(&[payload]), Split::Array, &[0], MOST);
            hooked.rejections[0].fault.to_string()
        };
        for (payload, expected) in [
            (
                "[{\"a\":1},\n]",
                "expected an array of JSON objects, got a comma before the closing bracket at line 2 column 1",
            ),
            (
                r#"[{"a":1},{"a":[1,]}]"#,
                "/1: expected an array of JSON objects, got expected value at line 1 column 18",
            ),
            (
                r#"[{"a":1},{"a" 1}]"#,
                "/1: expected an array of JSON objects, got expected `:` at line 1 column 15",
            ),
            (
                r#"[{},{"a":NaN}]"#,
                "/1: expected an array of JSON objects; JSON has no NaN and no Infinity: send null, or the word in \
                 quotes with COERCION=lenient, got expected value at line 1 column 10",
            ),
        ] {
            assert_eq!(told(payload), expected, "{payload}");
        }
    }

    #[test]
    fn a_message_with_too_many_parts_is_refused_before_any_is_kept() {
        let most = 1_000;
        for (how, part, between) in [(Split::Lines, "{}", "\n"), (Split::Array, "1", ",")] {
            for parts in [most, most + 1] {
                let joined = vec![part; parts].join(between);
                let payload = if how == Split::Array { format!("[{joined}]") } else { joined };
                let batch = batch(&[payload]);
                let hooked = split(&batch, how, &[0], most * ROW_BYTES);
                let refused: Vec<_> = hooked.rejections.iter().map(|r| r.fault.reason).collect();
                let (expected, kept) =
                    if parts > most { (vec![Reason::TooLarge], 0) } else { (vec![], most) };
                assert_eq!((refused, hooked.payloads.len()), (expected, kept));
            }
        }
        let blank = format!("{}{{}}", "\n".repeat(100 * most));
        let hooked = split(&batch(&[blank]), Split::Lines, &[0], most * ROW_BYTES);
        let found = (hooked.rejections.len(), hooked.payloads.len());
        assert_eq!(found, (0, 1), "blank lines are free");
    }

    proptest! {
        #[test]
        fn no_array_has_more_parts_than_the_source_counts_and_each_has_its_index(
            text in "[\\[\\]{}\",:1 \\\\]{0,24}",
        ) {
            let payload = format!("[{text}]");
            let batch = batch(&[&payload]);
            let hooked = split(&batch, Split::Array, &[0], MOST);
            prop_assert!(hooked.payloads.len() <= Split::Array.parts_at_most(payload.as_bytes()));
            for (index, (_, part)) in hooked.payloads.iter(&batch).enumerate() {
                let mut fault = *too_many(0);
                hooked.payloads.tell(&batch, 0, part, &mut fault);
                prop_assert_eq!(fault.pointer, format!("/{index}"));
            }
        }
    }
}
