//! Bounds on what records take in columns: a larger record is refused, and a batch is cut before its bound.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use super::{Bounds, decode, decode_within};
use crate::flow::record::Origin;
use crate::flow::rejection::{Reason, Rejection};
use crate::schema::plan::{Rules, TablePlan};
use crate::schema::source::OnInvalid;
use crate::schema::width::RowBytes;

/// The pieces that are decoded within a bound, and the refused records.
fn pieces(
    plan: &TablePlan,
    payloads: &[(Origin, String)],
    batch_bytes: usize,
    record_bytes: usize,
) -> (Vec<(RecordBatch, Vec<Origin>)>, Vec<Rejection>) {
    let bounds = Bounds { batch_bytes, is_first_free: true, record_bytes, ..Bounds::NONE };
    let (mut pieces, mut rejections, mut next) = (Vec::new(), Vec::new(), Some(0));
    while let Some(from) = next {
        let left = payloads.iter().filter(|(origin, _)| *origin >= from);
        let left = left.map(|(origin, payload)| (*origin, payload.as_bytes()));
        let (rows, rest) = decode_within(plan, left, &bounds);
        assert!(rest.is_none_or(|rest| rest > from), "nothing was decoded from record {from} on");
        pieces.push((rows.batch, rows.origins));
        rejections.extend(rows.rejections);
        next = rest;
    }
    (pieces, rejections)
}

fn whole(plan: &TablePlan, payloads: &[(Origin, String)]) -> RecordBatch {
    decode(plan, payloads.iter().map(|(origin, payload)| (*origin, payload.as_bytes()))).batch
}

fn joined(plan: &TablePlan, pieces: &[(RecordBatch, Vec<Origin>)]) -> RecordBatch {
    concat_batches(&plan.arrow, pieces.iter().map(|(batch, _)| batch)).unwrap()
}

#[test]
fn a_few_bytes_do_not_become_many() {
    let repeated = |element: &str, times: usize| vec![element; times].join(",");
    let wide = format!(
        "Array(Tuple({}))",
        (0..50).map(|at| format!("c{at} Nullable(Decimal(76, 0))")).collect::<Vec<_>>().join(", ")
    );
    let keys =
        |times: usize| (0..times).map(|at| format!("\"{at}\":1")).collect::<Vec<_>>().join(",");
    let path = "p".repeat(1_000);
    let table = [
        (&*wide, format!("[{}]", repeated("{}", 1_000))),
        ("Array(Decimal(76, 0))", format!("[{}]", repeated("1", 10_000))),
        ("Array(Array(Decimal(76, 0)))", format!("[[{}]]", repeated("1", 10_000))),
        ("Array(Array(UInt8))", format!("[{}]", repeated("[]", 30_000))),
        ("Array(FixedString(1000))", format!("[{}]", repeated("\"\"", 500))),
        ("Array(Dynamic)", format!("[{}]", repeated("1", 10_000))),
        ("Array(Variant(Bool, FixedString(900)))", format!("[{}]", repeated("true", 500))),
        ("Array(LowCardinality(UInt256))", format!("[{}]", repeated("1e70", 5_000))),
        ("Map(UInt64, Decimal(76, 0))", format!("{{{}}}", keys(10_000))),
        ("Variant(Array(FixedString(900)), Bool)", format!("[{}]", repeated("\"\"", 500))),
        ("Tuple(a Array(FixedString(900)))", format!("{{\"a\":[{}]}}", repeated("\"\"", 500))),
        ("JSON", format!("{{\"{path}\":{{{}}}}}", keys(1_000))),
        ("JSON", format!("{{\"a\":[{{\"{path}\":{{{}}}}}]}}", keys(1_000))),
        ("JSON(a Array(FixedString(1000)))", format!("{{\"a\":[{}]}}", repeated("\"\"", 500))),
    ];
    for (ty, value) in table {
        let plan = TablePlan::of_types(&[("id", "UInt8"), ("c", ty)], &Rules::default());
        let small = |id: u8| format!("{{\"id\":{id}}}");
        let payloads = [(0, small(1)), (1, format!("{{\"c\":{value},\"id\":2}}")), (2, small(3))];
        let (decoded, rejections) = pieces(&plan, &payloads, usize::MAX, 200_000);
        let found: Vec<_> = rejections.iter().map(|r| (r.origin, r.fault.reason)).collect();
        assert_eq!(found, [(1, Reason::TooLarge)], "{ty}");
        let text = rejections[0].fault.to_string();
        assert!(text.contains("MEMORY_BUDGET_BYTES") && text.contains("`c`"), "{ty}: {text}");
        assert_eq!(decoded[0].1, [0, 2], "{ty}");
        let (bytes, read) = (decoded[0].0.get_array_memory_size(), payloads[1].1.len());
        assert!(bytes < 1_000_000, "{ty}: {bytes} bytes of columns are kept of {read}");
        // With room it is a row like any other.
        let (decoded, rejections) = pieces(&plan, &payloads, usize::MAX, 40_000_000);
        assert_eq!((&*decoded[0].1, &*rejections), (&[0, 1, 2][..], &[][..]), "{ty}");
    }
}

#[test]
fn a_text_is_bounded_by_its_record_alone() {
    let plan = TablePlan::of_types(&[("c", "String"), ("j", "JSON")], &Rules::default());
    let text = "x".repeat(100_000);
    let payloads =
        [(0, format!("{{\"c\":\"{text}\"}}")), (1, format!("{{\"j\":{{\"a\":\"{text}\"}}}}"))];
    let (decoded, rejections) = pieces(&plan, &payloads, usize::MAX, 1_000);
    assert_eq!((&*decoded[0].1, &*rejections), (&[0, 1][..], &[][..]));
}

#[test]
fn a_batch_is_cut_where_its_columns_reach_the_bound_and_nothing_of_it_is_lost() {
    let columns: Vec<String> = (0..500).map(|at| format!("c{at}")).collect();
    let columns: Vec<(&str, &str)> =
        columns.iter().map(|name| (name.as_str(), "Nullable(Float64)")).collect();
    let plan = TablePlan::of_types(&columns, &Rules::default());
    let row = RowBytes::of(&plan).fixed();
    let payloads: Vec<_> = (0..300).map(|id| (id, format!("{{\"c7\":{id}}}"))).collect();
    let (decoded, rejections) = pieces(&plan, &payloads, 50 * row, row);
    assert!(rejections.is_empty(), "{rejections:?}");
    assert!((6..=7).contains(&decoded.len()), "{} pieces", decoded.len());
    for (batch, _) in &decoded {
        let bytes: usize =
            batch.columns().iter().map(|column| column.get_buffer_memory_size()).sum();
        assert!(bytes <= 100 * row, "{bytes} bytes where {} were allowed", 50 * row);
    }
    assert_eq!(joined(&plan, &decoded), whole(&plan, &payloads));
}

#[test]
fn a_batch_is_cut_between_records_whose_arrays_grow_and_no_value_is_replaced_for_it() {
    let rules = Rules { on_invalid: vec![("a".into(), OnInvalid::Default)], ..Rules::default() };
    let types = [("id", "UInt32"), ("a", "Array(Decimal(76, 0))"), ("s", "Nullable(String)")];
    let plan = TablePlan::of_types(&types, &rules);
    let payloads: Vec<_> = (0..100)
        .map(|id| (id, format!("{{\"id\":{id},\"a\":[{}],\"s\":\"é\"}}", vec!["1"; 300].join(","))))
        .collect();
    let (decoded, rejections) = pieces(&plan, &payloads, 100_000, 50_000);
    assert!(rejections.is_empty(), "{rejections:?}");
    assert!(decoded.len() >= 10, "{} pieces", decoded.len());
    assert_eq!(joined(&plan, &decoded), whole(&plan, &payloads));
}

#[test]
fn what_text_is_counted_for_and_does_not_take_cuts_no_batch() {
    let plan = TablePlan::of_types(&[("a", "String")], &Rules::default());
    let payloads: Vec<_> = (0..100)
        .map(|id| (id, format!("{{\"other\":\"{}\",\"a\":\"x\"}}", "y".repeat(1_000))))
        .collect();
    assert_eq!(pieces(&plan, &payloads, 50_000, 50_000).0.len(), 1);
}

#[test]
fn the_rows_of_a_record_stay_together_and_count_together() {
    let rules = Rules { takes_unfilled: true, ..Rules::default() };
    let plan = TablePlan::of_types(&[("c", "FixedString(100)")], &rules);
    let row = RowBytes::of(&plan).fixed();
    let payloads: Vec<_> = [0, 1, 1, 1, 1, 2].map(|origin| (origin, "{}".to_owned())).into();
    let (decoded, _) = pieces(&plan, &payloads, 3 * row, 10 * row);
    let origins: Vec<_> = decoded.iter().map(|(_, origins)| origins.clone()).collect();
    assert_eq!(origins, [vec![0], vec![1, 1, 1, 1], vec![2]]);
    let (decoded, rejections) = pieces(&plan, &payloads, usize::MAX, 3 * row);
    assert_eq!(decoded[0].1, [0, 2]);
    let found: Vec<_> = rejections.iter().map(|r| (r.origin, r.fault.reason)).collect();
    assert_eq!(found, [(1, Reason::TooLarge)]);
}

#[test]
fn no_row_of_a_table_that_is_too_wide_is_made() {
    let plan = TablePlan::of_types(&[("c", "FixedString(2147483647)")], &Rules::default());
    let payloads = [(0, "{}".to_owned()), (1, "{}".to_owned())];
    let (decoded, rejections) = pieces(&plan, &payloads, 1_000_000, 1_000_000);
    assert!(decoded[0].1.is_empty());
    assert_eq!(rejections.len(), 2);
    let text = rejections[0].fault.to_string();
    assert!(text.contains("2147483648 bytes") && text.contains("a table whose row"), "{text}");
}

#[test]
fn a_first_record_that_does_not_fit_is_left_unless_it_is_free() {
    let plan = TablePlan::of_types(&[("x", "Array(FixedString(1000))")], &Rules::default());
    let payload = format!(r#"{{"x":[{}]}}"#, [r#""""#; 10].join(","));
    let read = |is_first_free| {
        let bounds =
            Bounds { batch_bytes: 5_000, is_first_free, record_bytes: 100_000, ..Bounds::NONE };
        let (rows, rest) = decode_within(&plan, [(7, payload.as_bytes())].into_iter(), &bounds);
        (rows.origins, rows.rejections.len(), rest)
    };
    assert_eq!(read(false), (vec![], 0, Some(7)));
    assert_eq!(read(true), (vec![7], 0, None));
}

#[test]
fn a_record_is_refused_once_however_many_of_its_rows_are_wrong() {
    let plan = TablePlan::of_types(&[("a", "UInt64")], &Rules::default());
    for wrong in [&b"1"[..], b"{\"a\":-1}", b"{", b"{}"] {
        let rows = std::iter::repeat_n((0, wrong), 1_000).chain([(1, &b"{\"a\":1}"[..])]);
        let decoded = decode(&plan, rows);
        let refused: Vec<_> = decoded.rejections.iter().map(|r| r.origin).collect();
        assert_eq!((refused, decoded.origins), (vec![0], vec![1]));
    }
}

#[test]
fn a_million_lines_of_one_record_are_a_row_each_or_one_refusal() {
    let rules = Rules { takes_unfilled: true, ..Rules::default() };
    let plan = TablePlan::of_types(&[("a", "UInt64"), ("b", "String")], &rules);
    let rows = 1_000_000;
    let payloads = || std::iter::repeat_n((0 as Origin, &b"{}"[..]), rows);
    let least = (rows - 1) * RowBytes::of(&plan).of_payload(b"{}");
    for (record_bytes, landed) in [(least, rows), (least - 1, 0)] {
        let bounds = Bounds { record_bytes, ..Bounds::NONE };
        let (decoded, rest) = decode_within(&plan, payloads(), &bounds);
        let refused: Vec<_> = decoded.rejections.iter().map(|r| r.fault.reason).collect();
        let expected = if landed == 0 { vec![Reason::TooLarge] } else { vec![] };
        assert_eq!((decoded.batch.num_rows(), refused, rest), (landed, expected, None));
    }
}
