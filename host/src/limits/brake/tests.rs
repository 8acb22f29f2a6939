use std::time::Duration;

use super::*;
use crate::flow::record::{Origin, RawRecord, TopicPartition};
use crate::flow::rejection::{Fault, Reason, Stage};

fn told(text: &str) -> String {
    text.to_uppercase()
}

fn brake(share: f64) -> Arc<Brake> {
    Arc::new(Brake::new(share, told))
}

/// A batch of `records` records from offset `first` on.
fn batch(records: u64, first: i64) -> Batch {
    let partition = TopicPartition { topic: "t".into(), partition: 3 };
    let mut batch = Batch::default();
    for offset in first..first + i64::try_from(records).unwrap() {
        batch.push(&partition, 1, &RawRecord { offset, ..RawRecord::default() });
    }
    batch
}

fn rejection(origin: Origin, reason: Reason, column: Option<&str>) -> Rejection {
    let fault = Fault {
        reason,
        column: column.map(Into::into),
        pointer: String::new(),
        expected: "an integer".into(),
        got_kind: "string",
        got: "got".into(),
    };
    let stage = if reason == Reason::InsertRefused { Stage::Insert } else { Stage::Decode };
    Rejection { origin, stage, fault }
}

fn rejections(count: u64) -> Vec<Rejection> {
    let count = Origin::try_from(count).unwrap();
    (0..count).map(|origin| rejection(origin, Reason::TypeMismatch, Some("id"))).collect()
}

/// Judges a whole batch with this many rejected records; settles it if it is let through.
fn is_held(brake: &Arc<Brake>, records: u64, rejected: u64, now: Instant) -> bool {
    let mut judged = brake.batch();
    judged.set_records(records);
    let hold = judged.judge(&batch(records, 0), &rejections(rejected), 0, now);
    if hold.is_none() {
        judged.settle(now);
    }
    hold.is_some()
}

#[test]
fn a_large_batch_is_judged_alone() {
    let (brake, now) = (brake(0.5), Instant::now());
    for _ in 0..20 {
        assert!(!is_held(&brake, 1_000, 0, now));
    }
    assert!(!is_held(&brake, 2_000, 1_000, now));
    assert!(is_held(&brake, 2_000, 1_001, now));
    let strict = Arc::new(Brake::new(0.001, told));
    assert!(is_held(&strict, 1_000, 2, now));
}

#[test]
fn small_batches_are_judged_together_with_those_before() {
    let (brake, now) = (brake(0.5), Instant::now());
    for _ in 0..50 {
        assert!(!is_held(&brake, 100, 0, now));
    }
    let held = (0..20).position(|_| is_held(&brake, 100, 100, now));
    assert_eq!(held, Some(5), "500 of the last 1,000 were let through");
}

#[test]
fn of_the_first_records_after_the_start_a_few_bad_ones_pull_nothing() {
    let now = Instant::now();
    assert!(!is_held(&brake(0.5), 10, 10, now));
    assert!(!is_held(&brake(0.5), 49, 49, now));
    assert!(is_held(&brake(0.5), 50, 50, now));
    assert!(!is_held(&brake(0.5), 100, 50, now));
    let one_by_one = brake(0.5);
    let held = (0..200).position(|_| is_held(&one_by_one, 1, 1, now));
    assert_eq!(held, Some(49));
}

#[test]
fn a_record_a_minute_pulls_after_fifty_and_a_bad_one_among_good_ones_never() {
    let (slow, start) = (brake(0.5), Instant::now());
    let at = |minute: u64| start + Duration::from_secs(60 * minute);
    for minute in 0..3_000 {
        assert!(!is_held(&slow, 1, 0, at(minute)));
    }
    let held = (3_000..5_000).find(|minute| is_held(&slow, 1, 1, at(*minute)));
    assert_eq!(held, Some(3_050), "fifty of the last hundred, whatever their age");
    let fine = brake(0.5);
    for minute in 0..3_000 {
        assert!(!is_held(&fine, 1, u64::from(minute % 3 == 0), at(minute)));
    }
}

#[test]
fn what_is_older_than_an_hour_counts_only_where_there_are_few() {
    let start = Instant::now();
    let held = |hours, rejected| {
        let brake = brake(0.5);
        assert!(!is_held(&brake, 900, 0, start));
        is_held(&brake, 60, rejected, start + Duration::from_hours(hours))
    };
    assert!(!held(0, 60), "of 960");
    assert!(!held(2, 50), "with 40 of those before");
    assert!(held(2, 51));
}

#[test]
fn a_batch_that_is_held_counts_for_nothing_however_often_it_is_tried() {
    let (brake, now) = (brake(0.5), Instant::now());
    let (records, rejected) = (batch(100, 0), rejections(100));
    let mut judged = brake.batch();
    judged.set_records(100);
    for _ in 0..30 {
        assert!(judged.judge(&records, &rejected, 0, now).is_some());
        assert!(brake.is_holding());
        assert!((brake.share(now) - 1.0).abs() < 1e-9);
    }
    assert!(!is_held(&brake, 90, 40, now), "judged as if the other were not there");
    judged.release();
    judged.settle(now);
    assert!(!brake.is_holding());
    let share = 40.0 / 190.0;
    assert!((brake.share(now) - share).abs() < 1e-9, "{}", brake.share(now));
}

#[test]
fn batches_that_are_judged_side_by_side_share_one_allowance() {
    let (brake, now) = (brake(0.5), Instant::now());
    for _ in 0..10 {
        assert!(!is_held(&brake, 100, 0, now));
    }
    let mut judged: Vec<JudgedBatch> = (0..8).map(|_| brake.batch()).collect();
    let mut let_through = 0;
    for _ in 0..100 {
        for judged in &mut judged {
            judged.set_records(100);
            if judged.judge(&batch(100, 0), &rejections(1), 0, now).is_none() {
                let_through += 1;
            }
        }
    }
    assert_eq!(let_through, 500, "half of the window, not of each batch's own");
}

#[test]
fn what_clickhouse_refuses_is_judged_one_by_one_and_counts_once() {
    let (brake, now) = (brake(0.5), Instant::now());
    let records = batch(200, 0);
    let mut judged = brake.batch();
    judged.set_records(200);
    assert!(judged.judge(&records, &rejections(20), 0, now).is_none());
    assert_eq!(judged.allowance(now), 80);
    for _ in 0..80 {
        assert!(judged.judge(&records, &rejections(1), 60, now).is_none());
    }
    assert_eq!(judged.allowance(now), 0);
    assert!(judged.judge(&records, &rejections(1), 60, now).is_some());
    let Counts { records, rejected } = brake.state().window.before(0, |_| false, now);
    assert_eq!((records, rejected.total()), (160, 100), "what landed, and the letters");
    drop(judged);
    assert_eq!(brake.state().window.before(0, |_| false, now), Counts::default());
}

#[test]
fn records_that_are_rejected_are_judged_though_they_were_dropped_too() {
    let (brake, now) = (brake(0.5), Instant::now());
    let mut judged = brake.batch();
    judged.set_records(0);
    assert!(judged.judge(&batch(40, 0), &rejections(40), 0, now).is_none());
    judged.settle(now);
    assert!((brake.share(now) - 1.0).abs() < 1e-9);
}

#[test]
fn a_share_of_0_lets_none_through_and_one_of_1_all() {
    let now = Instant::now();
    assert!(is_held(&brake(0.0), 10, 1, now));
    assert!(!is_held(&brake(0.0), 10, 0, now));
    let all = brake(1.0);
    for _ in 0..30 {
        assert!(!is_held(&all, 300, 300, now));
        assert!(!is_held(&all, 3_000, 3_000, now));
    }
}

#[test]
fn the_window_holds_no_more_than_is_judged() {
    let (brake, now) = (brake(1.0), Instant::now());
    for records in (0..5_000).map(|n| n % 7) {
        assert!(!is_held(&brake, records, 0, now));
        let state = brake.state();
        let sum: u64 = state.window.entries().map(|counts| counts.records).sum();
        assert_eq!(sum, state.window.records());
        assert!(sum < RECORDS + 7);
    }
}

#[test]
fn the_pause_tells_share_window_the_top_reasons_with_a_place_each_and_what_to_do() {
    let (brake, now) = (brake(0.5), Instant::now());
    assert!(!is_held(&brake, 940, 0, now));
    let mut judged = brake.batch();
    judged.set_records(999);
    let mut rejected = rejections(500);
    let of = |range: std::ops::Range<Origin>, reason, column| {
        range.map(move |origin| rejection(origin, reason, column))
    };
    rejected.extend(of(500..560, Reason::InsertRefused, None));
    rejected.extend(of(560..570, Reason::MalformedJson, None));
    rejected.extend(of(570..572, Reason::OutOfRange, Some("size")));
    rejected.extend(of(572..573, Reason::BadUuid, Some("key")));
    let hold = judged.judge(&batch(999, 100), &rejected, 0, now).unwrap();
    assert_eq!(
        hold,
        Hold::Paused(
            "573 of the last 1000 records are rejected, more than 50 % (DLQ_MAX_SHARE), so no more is \
             dead-lettered: 500 type_mismatch in column `id` (expected an integer), such as at topic `t`, \
             partition 3, offset 100; 60 insert_refused (GOT), such as at topic `t`, partition 3, offset 600; \
             10 malformed_json (expected an integer), such as at topic `t`, partition 3, offset 660; 3 for 2 \
             other reasons; mend the table or the producer, and the host goes on by itself, or restart it \
             with a larger DLQ_MAX_SHARE"
                .into()
        )
    );
}

#[test]
fn on_a_slow_topic_the_pause_tells_the_reasons_of_the_batches_before() {
    let (brake, now) = (brake(0.5), Instant::now());
    for offset in 0..49 {
        let mut judged = brake.batch();
        judged.set_records(1);
        let column = if offset < 30 { "id" } else { "size" };
        let rejected = [rejection(0, Reason::TypeMismatch, Some(column))];
        assert!(judged.judge(&batch(1, offset), &rejected, 0, now).is_none());
        judged.settle(now);
    }
    let mut judged = brake.batch();
    judged.set_records(1);
    let hold = judged.judge(&batch(1, 49), &rejections(1), 0, now).unwrap();
    let text = hold.text();
    assert!(text.starts_with("50 of the last 50 records"), "{text}");
    assert!(text.contains("31 type_mismatch in column `id`"), "{text}");
    assert!(text.contains("19 type_mismatch in column `size`"), "{text}");
    assert!(text.contains("partition 3, offset 48"), "{text}");
}

#[test]
fn the_share_is_told_as_it_was_set() {
    for (share, told) in [(0.07, "7 %"), (0.29, "29 %"), (0.0005, "0.05 %"), (1.0, "100 %")] {
        let hold = brake(share).hold(&Counts::default());
        assert!(hold.text().contains(&format!("more than {told} (DLQ_MAX_SHARE)")), "{hold:?}");
    }
    assert!(!is_held(&brake(0.29), 1_000, 290, Instant::now()), "0.29 * 1000 is 290 less a bit");
}

#[test]
fn a_name_that_a_record_made_up_is_not_told() {
    let rejections = [rejection(0, Reason::SchemaViolation, Some("somebody@example.org"))];
    let top = Reasons::of(&batch(1, 0), &rejections, told).top();
    assert!(top.contains("schema_violation") && !top.contains("example.org"), "{top}");
}
