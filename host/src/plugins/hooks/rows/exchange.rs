//! Encodes rows as a question to a guest, and applies its answer.

use crate::flow::payloads::{Payloads, Row};
use crate::flow::record::{Batch, Origin, TopicPartition};
use crate::plugins::hooks::bindings::{Action, Batch as GuestBatch, Header, Outcome, Run, Wants};
use crate::plugins::hooks::failure::CallFailure;
use crate::plugins::hooks::isolate::{MAX_ROWS_OUT, RefusedRow};

/// A question without rows.
pub fn empty() -> GuestBatch {
    GuestBatch {
        runs: Vec::new(),
        values: Vec::new(),
        value_ends: Vec::new(),
        offsets: Vec::new(),
        timestamps: Vec::new(),
        keys: Vec::new(),
        key_ends: Vec::new(),
        no_keys: Vec::new(),
        headers: Vec::new(),
    }
}

/// Writes some of the rows over the previous question: reused lists cost half of new ones.
pub fn fill_question(
    guest: &mut GuestBatch,
    payloads: &Payloads,
    batch: &Batch,
    rows: &[Row],
    wants: Wants,
) {
    guest.runs.clear();
    guest.values.clear();
    guest.value_ends.clear();
    guest.offsets.clear();
    guest.timestamps.clear();
    guest.keys.clear();
    guest.key_ends.clear();
    guest.no_keys.clear();
    guest.headers.clear();
    for (at, row) in (0u32..).zip(rows) {
        guest.values.extend_from_slice(payloads.payload(batch, row));
        guest.value_ends.push(end_of(&guest.values));
        if wants != Wants::empty() {
            tell(guest, batch, at, row.origin, wants);
        }
    }
    let mut rest = rows;
    for run in batch.runs() {
        let (of_run, others) =
            rest.split_at(rest.partition_point(|row| row.origin < run.origins.end));
        rest = others;
        if let Ok(rows @ 1..) = u32::try_from(of_run.len()) {
            let TopicPartition { topic, partition } = &run.partition;
            guest.runs.push(Run { topic: topic.to_string(), partition: *partition, rows });
        }
    }
}

/// Adds what the plugin wants of the row's record beside its payload.
fn tell(guest: &mut GuestBatch, batch: &Batch, at: u32, origin: Origin, wants: Wants) {
    let Some(record) = batch.record(origin) else { return };
    if wants.contains(Wants::OFFSETS) {
        guest.offsets.push(record.offset());
    }
    if wants.contains(Wants::TIMESTAMPS) {
        guest.timestamps.push(record.timestamp_ms().unwrap_or(-1));
    }
    if wants.contains(Wants::KEYS) {
        match record.key() {
            Some(key) => guest.keys.extend_from_slice(key),
            None => guest.no_keys.push(at),
        }
        guest.key_ends.push(end_of(&guest.keys));
    }
    if wants.contains(Wants::HEADERS) {
        guest.headers.extend(record.headers().map(|(name, value)| Header {
            row: at,
            name: String::from_utf8_lossy(name).into_owned(),
            value: value.map(<[u8]>::to_vec),
        }));
    }
}

/// The bytes of a row in a question.
pub fn size_bytes(payloads: &Payloads, batch: &Batch, row: &Row, wants: Wants) -> usize {
    let payload = payloads.payload(batch, row).len();
    if !wants.intersects(Wants::KEYS | Wants::HEADERS) {
        return payload;
    }
    let Some(record) = batch.record(row.origin) else { return payload };
    let key = record.key().map_or(0, <[u8]>::len);
    let header = |(name, value): (&[u8], Option<&[u8]>)| {
        size_of::<Header>() + name.len() + value.map_or(0, <[u8]>::len)
    };
    let headers = record.headers().map(header);
    payload + key + headers.sum::<usize>()
}

/// Applies the answer for some of the rows.
///
/// # Errors
/// The answer breaks a rule of the contract; nothing is applied then.
pub fn apply(
    payloads: &mut Payloads,
    rows: &[Row],
    outcome: Outcome,
) -> Result<Vec<RefusedRow>, CallFailure> {
    judge(rows.len(), &outcome)?;
    let mut begin = 0;
    let mut spans = outcome.value_ends.iter().map(|end| {
        let span = begin..*end;
        begin = span.end;
        span
    });
    let mut counts = outcome.counts.iter();
    let mut rejections = outcome.rejections.into_iter();
    let mut refused = Vec::new();
    for (at, (row, action)) in rows.iter().zip(&outcome.actions).enumerate() {
        match action {
            Action::Keep => payloads.keep(row.clone()),
            Action::Replace => payloads.put(row.origin, spans.next()),
            Action::Many => {
                let count = counts.next().copied().unwrap_or_default() as usize;
                payloads.put(row.origin, spans.by_ref().take(count));
            }
            Action::Drop => {}
            Action::Reject => {
                refused.extend(rejections.next().map(|why| RefusedRow::new(at, row.origin, why)));
            }
        }
    }
    payloads.write(outcome.values);
    Ok(refused)
}

/// Checks that the answer's lists fit each other and the rows that were asked for.
fn judge(rows: usize, outcome: &Outcome) -> Result<(), CallFailure> {
    let Outcome { actions, values, value_ends, counts, rejections } = outcome;
    let wrong = |text: String| Err(CallFailure::wrong_answer(&text));
    if actions.len() != rows {
        return wrong(format!("{} actions for {rows} rows", actions.len()));
    }
    let of = |wanted: Action| actions.iter().filter(|action| **action == wanted).count();
    if counts.len() != of(Action::Many) {
        return wrong(format!("{} counts for {} `many`", counts.len(), of(Action::Many)));
    }
    if rejections.len() != of(Action::Reject) {
        return wrong(format!(
            "{} rejections for {} `reject`",
            rejections.len(),
            of(Action::Reject)
        ));
    }
    let written = of(Action::Replace) + counts.iter().map(|count| *count as usize).sum::<usize>();
    if written > MAX_ROWS_OUT {
        let text = format!("{written} payloads of one call; {MAX_ROWS_OUT} are the most");
        return Err(CallFailure::too_much_output(&text));
    }
    if value_ends.len() != written {
        return wrong(format!("{} payloads where {written} are announced", value_ends.len()));
    }
    if !value_ends.is_sorted() {
        return wrong("the ends of payloads descend".to_owned());
    }
    let end = value_ends.last().copied().unwrap_or_default() as usize;
    if end != values.len() {
        return wrong(format!("payloads end at byte {end} of {}", values.len()));
    }
    Ok(())
}

/// The bytes of one call are bounded far below 4 GiB.
fn end_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::record::RawRecord;
    use crate::plugins::hooks::bindings::Rejection;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        for (partition, offset, key, payload) in
            [(0, 5, Some("k"), "a"), (0, 6, None, "bb"), (1, 0, Some(""), "ccc")]
        {
            let partition = TopicPartition { topic: "t".into(), partition };
            let key = key.map(str::as_bytes);
            let payload = Some(payload.as_bytes());
            batch.push(&partition, 1, &RawRecord { offset, timestamp_ms: None, key, payload });
        }
        batch.push_header(b"h", Some(b"v"));
        batch
    }

    fn outcome(actions: &[Action]) -> Outcome {
        let (values, value_ends, counts, rejections) = (vec![], vec![], vec![], vec![]);
        Outcome { actions: actions.to_vec(), values, value_ends, counts, rejections }
    }

    fn texts(payloads: &Payloads, batch: &Batch) -> Vec<(Origin, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        payloads.iter(batch).map(|(origin, payload)| (origin, text(payload))).collect()
    }

    #[test]
    fn a_guest_is_told_what_it_wants_and_no_more() {
        let batch = batch();
        let mut payloads = Payloads::of_records(0..3);
        let rows = payloads.take();
        let asked = |rows: &[Row], wants| {
            let mut guest = empty();
            fill_question(&mut guest, &payloads, &batch, rows, Wants::all());
            fill_question(&mut guest, &payloads, &batch, rows, wants);
            guest
        };
        let bare = asked(&rows, Wants::empty());
        assert_eq!((&*bare.values, &*bare.value_ends), (&b"abbccc"[..], &[1, 3, 6][..]));
        assert_eq!(bare.runs.iter().map(|run| run.rows).collect::<Vec<_>>(), [2, 1]);
        assert!(bare.offsets.is_empty() && bare.key_ends.is_empty() && bare.headers.is_empty());

        let all = asked(&rows[1..], Wants::all());
        assert_eq!((&*all.offsets, &*all.timestamps), (&[6, 0][..], &[-1, -1][..]));
        assert_eq!((&*all.key_ends, &*all.no_keys), (&[0, 0][..], &[0][..]));
        assert_eq!((all.headers[0].row, &*all.headers[0].name), (1, "h"));
    }

    #[test]
    fn each_action_makes_its_rows_and_they_go_through_the_next_hook() {
        let batch = batch();
        let mut rows = Payloads::of_records(0..3);
        let before = rows.take();
        let first = Outcome {
            values: b"xyzw".to_vec(),
            value_ends: vec![1, 2, 4],
            counts: vec![2],
            ..outcome(&[Action::Replace, Action::Many, Action::Keep])
        };
        assert_eq!(apply(&mut rows, &before, first).unwrap(), []);
        let expected = [(0, "x"), (1, "y"), (1, "zw"), (2, "ccc")];
        assert_eq!(texts(&rows, &batch), expected.map(|(origin, text)| (origin, text.into())));

        let before = rows.take();
        let rejection = Rejection { message: "m".repeat(2_000), column: Some("c".repeat(2_000)) };
        let second = Outcome {
            rejections: vec![rejection],
            ..outcome(&[Action::Drop, Action::Keep, Action::Reject, Action::Keep])
        };
        let refused = apply(&mut rows, &before, second).unwrap();
        assert_eq!((refused[0].origin, refused[0].message.len()), (1, 1_000));
        assert_eq!(refused[0].column.as_ref().map(String::len), Some(128));
        rows.withdraw(|origin| origin == 1);
        assert_eq!(texts(&rows, &batch), [(2, "ccc".into())]);
    }

    #[test]
    fn an_answer_whose_lists_do_not_fit_is_refused_whole() {
        let keep = || outcome(&[Action::Keep; 3]);
        let replace = || outcome(&[Action::Replace, Action::Keep, Action::Keep]);
        let many = outcome(&[Action::Many, Action::Keep, Action::Keep]);
        for (wrong, text) in [
            (outcome(&[Action::Keep; 2]), "2 actions for 3 rows"),
            (outcome(&[Action::Keep; 4]), "4 actions for 3 rows"),
            (
                Outcome {
                    counts: vec![u32::MAX; 3],
                    value_ends: vec![0; MAX_ROWS_OUT],
                    ..outcome(&[Action::Many; 3])
                },
                "payloads of one call",
            ),
            (many, "0 counts for 1 `many`"),
            (Outcome { counts: vec![1], ..keep() }, "1 counts for 0 `many`"),
            (outcome(&[Action::Reject, Action::Keep, Action::Keep]), "0 rejections for 1"),
            (replace(), "0 payloads where 1"),
            (Outcome { value_ends: vec![0], ..keep() }, "1 payloads where 0"),
            (Outcome { value_ends: vec![9], ..replace() }, "payloads end at byte 9 of 0"),
            (Outcome { values: b"x".to_vec(), ..keep() }, "payloads end at byte 0 of 1"),
            (
                Outcome {
                    values: b"ab".to_vec(),
                    value_ends: vec![2, 1],
                    ..outcome(&[Action::Replace, Action::Replace, Action::Keep])
                },
                "descend",
            ),
        ] {
            let mut rows = Payloads::of_records(0..3);
            let before = rows.take();
            let failure = apply(&mut rows, &before, wrong).unwrap_err();
            assert!(failure.text.contains(text), "{failure:?}");
            assert!(rows.take().is_empty());
        }
    }
}
