//! Kafka's metadata of a record as columns of its rows, and the units and encodings of columns.

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};

use super::fields_tests::read;
use super::*;
use crate::flow::record::{Batch, RawRecord, TopicPartition};
use crate::schema::plan::{Rules, TimestampUnit};
use crate::schema::source::{Encoding, Metadata, OnInvalid};
use crate::schema::table::{ColumnRow, TableSchema};

fn batch(key: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) -> Batch {
    let partition = TopicPartition { topic: "orders".into(), partition: 3 };
    let mut batch = Batch::default();
    let payload = Some(&br#"{"a":1,"topic":"x"}"#[..]);
    let record = RawRecord { offset: 7, timestamp_ms: Some(1_700_000_000_123), key, payload };
    batch.push(&partition, 0, &record);
    for (name, value) in headers {
        batch.push_header(name.as_bytes(), *value);
    }
    batch
}

fn with_all(batch: &Batch, headers: &str) -> Rows {
    let columns = [
        ("topic", "LowCardinality(String)"),
        ("partition", "Int32"),
        ("offset", "Int64"),
        ("at", "DateTime64(3)"),
        ("key", "Nullable(String)"),
        ("headers", headers),
        ("token", "String"),
    ];
    let words = Metadata::WORDS.iter();
    let metadata = columns.iter().zip(words).map(|((name, _), (_, what))| ((*name).into(), *what));
    let plan =
        TablePlan::of_types(&columns, &Rules { metadata: metadata.collect(), ..Rules::default() });
    let rows = decode(&plan, (0..).zip(batch.payloads().flatten()));
    with_metadata(&plan, batch, rows)
}

#[test]
fn what_kafka_says_of_a_record_fills_columns() {
    let headers: &[(&str, Option<&[u8]>)] = &[("b", Some(b"1")), ("a", None)];
    let rows = with_all(&batch(Some(b"k"), headers), "Map(String, Nullable(String))");
    assert_eq!(rows.rejections, []);
    let column = |at| rows.batch.column(at);
    assert_eq!(column(0).as_string::<i32>().value(0), "orders");
    assert_eq!(column(1).as_primitive::<Int32Type>().value(0), 3);
    assert_eq!(column(2).as_primitive::<Int64Type>().value(0), 7);
    assert_eq!(column(3).as_primitive::<TimestampMillisecondType>().value(0), 1_700_000_000_123);
    assert_eq!(column(4).as_binary::<i32>().value(0), b"k");
    assert_eq!(column(5).as_map().value_length(0), 2);
    let rows = with_all(&batch(None, &[]), "Map(String, String)");
    assert!(rows.batch.column(4).is_null(0));
    assert_eq!(rows.batch.column(5).as_map().value_length(0), 0);
}

#[test]
fn keys_and_headers_keep_their_bytes_and_reject_no_record() {
    let headers: &[(&str, Option<&[u8]>)] =
        &[("a", Some(b"1")), ("b", Some(b"\xff")), ("a", Some(b"2")), ("c", None)];
    let rows = with_all(&batch(Some(b"\xff\0"), headers), "Map(String, String)");
    assert_eq!((&*rows.rejections, &*rows.noticed.replaced), (&[][..], &[5][..]));
    assert_eq!(rows.batch.column(4).as_binary::<i32>().value(0), b"\xff\0");
    let entries = rows.batch.column(5).as_map().value(0);
    let texts = |at: usize| -> Vec<Vec<u8>> {
        entries.column(at).as_binary::<i32>().iter().flatten().map(<[u8]>::to_vec).collect()
    };
    assert_eq!(texts(0), [b"b", b"a", b"c"]);
    assert_eq!(texts(1), [&b"\xff"[..], b"2", b""]);

    let pairs = with_all(&batch(None, headers), "Array(Tuple(String, Nullable(String)))");
    assert_eq!((&*pairs.rejections, &*pairs.noticed.replaced), (&[][..], &[][..]));
    let pairs = pairs.batch.column(5).as_list::<i32>().value(0);
    let values = pairs.as_struct().column(1).as_binary::<i32>().clone();
    assert_eq!((values.len(), values.is_null(3), values.value(2)), (4, true, &b"2"[..]));
}

#[test]
fn metadata_that_does_not_fit_is_replaced_and_rejects_only_where_that_is_asked() {
    let twice: &[(&str, Option<&[u8]>)] = &[("a", Some(b"1")), ("a", Some(b"2"))];
    let null: &[(&str, Option<&[u8]>)] = &[("a", None)];
    let far = 253_402_300_800_000;
    for (ty, metadata, headers, ms, reason) in [
        ("Map(String, String)", Metadata::Headers, twice, 0, Reason::DuplicateKey),
        ("Map(String, String)", Metadata::Headers, null, 0, Reason::NullNotAllowed),
        ("DateTime64(3)", Metadata::Timestamp, &[], far, Reason::OutOfRange),
        ("Nullable(DateTime64(9))", Metadata::Timestamp, &[], far, Reason::OutOfRange),
    ] {
        let partition = TopicPartition { topic: "orders".into(), partition: 3 };
        let mut batch = Batch::default();
        let payload = Some(&b"{}"[..]);
        let record = RawRecord { offset: 7, timestamp_ms: Some(ms), key: None, payload };
        batch.push(&partition, 0, &record);
        for (name, value) in headers {
            batch.push_header(name.as_bytes(), *value);
        }
        let rows = |on_invalid: Vec<(String, OnInvalid)>| {
            let metadata = vec![("c".to_owned(), metadata)];
            let rules = Rules { metadata, on_invalid, ..Rules::default() };
            let plan = TablePlan::of_types(&[("c", ty)], &rules);
            with_metadata(&plan, &batch, decode(&plan, (0..).zip(batch.payloads().flatten())))
        };
        let kept = rows(Vec::new());
        assert_eq!((&*kept.rejections, &*kept.noticed.replaced), (&[][..], &[0][..]), "{ty}");
        let refused = rows(vec![("c".to_owned(), OnInvalid::Reject)]);
        // `check` removes the row, with every other row of the record.
        assert_eq!((refused.batch.num_rows(), refused.rejections.len()), (1, 1), "{ty}");
        assert_eq!(refused.rejections[0].fault.reason, reason, "{ty}");
        assert!(
            refused.rejections[0].fault.column.is_some() && refused.noticed.replaced.is_empty()
        );
    }
}

#[test]
fn a_number_counts_the_unit_of_its_column() {
    let unit = |column: &str, unit| (column.to_owned(), unit);
    let rules = Rules {
        timestamp_unit: Some(TimestampUnit::Milliseconds),
        column_units: vec![
            unit("s", TimestampUnit::Seconds),
            unit("d", TimestampUnit::Days),
            unit("t", TimestampUnit::Microseconds),
        ],
        ..Rules::default()
    };
    let columns = [
        ("ms", "DateTime64(3)"),
        ("s", "DateTime64(3)"),
        ("d", "Nullable(Date)"),
        ("t", "Time64(6)"),
        ("e", "Date"),
    ];
    let plan = TablePlan::of_types(&columns, &rules);
    for (record, reason) in [
        (r#"{"ms":1770091506789,"s":1770091506.789,"d":20487,"t":45296123456}"#, None),
        (r#"{"s":1.770091506789e9}"#, None),
        (r#"{"s":1770091506.7891}"#, Some(Reason::BadDatetime)),
        (r#"{"ms":1770091506789.5}"#, Some(Reason::BadDatetime)),
        (r#"{"s":1770091506789}"#, Some(Reason::OutOfRange)),
        (r#"{"d":65536}"#, Some(Reason::OutOfRange)),
        (r#"{"d":1.5}"#, Some(Reason::BadDatetime)),
        (r#"{"t":3600000000000}"#, Some(Reason::OutOfRange)),
        (r#"{"e":20487}"#, Some(Reason::TypeMismatch)),
    ] {
        let rows = read(&plan, record);
        let found = rows.rejections.first().map(|rejection| rejection.fault.reason);
        assert_eq!(found, reason, "{record}: {:?}", rows.rejections);
        if found.is_none() {
            let s = rows.batch.column(1).as_primitive::<TimestampMillisecondType>().value(0);
            assert_eq!(s, 1_770_091_506_789, "{record}");
        }
    }
}

#[test]
fn units_and_encodings_of_no_fit_column_are_named() {
    let rules = Rules {
        column_units: vec![
            ("gone".into(), TimestampUnit::Seconds),
            ("n".into(), TimestampUnit::Seconds),
            ("t".into(), TimestampUnit::Days),
        ],
        encodings: vec![("gone".into(), Encoding::Hex), ("n".into(), Encoding::Base64)],
        ..Rules::default()
    };
    let rows = [("n", "Int8"), ("t", "Array(Time)")].map(|(name, ty)| ColumnRow {
        name: name.into(),
        ty: ty.into(),
        default_kind: String::new(),
        default_expression: String::new(),
    });
    let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
    let errors = TablePlan::new(&schema, &rules).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    TIMESTAMP_UNIT: `gone` is no column of `t`
    TIMESTAMP_UNIT: `n` is of type Int8, expected a date or time
    TIMESTAMP_UNIT: `t` is of type Array(Time), expected a date
    COLUMN_ENCODING: `gone` is no column of `t`
    COLUMN_ENCODING: `n` is of type Int8, expected String, FixedString or Decimal
    ");
}
