//! The seeds of the target `answer` are binary: SLUICEGATE_UPDATE_SEEDS=1 writes them, and they are held here.

use std::iter::once;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use sluicegate::decode::decode;
use sluicegate::plugins::hooks::batch_of_answer;
use sluicegate_fuzz::corpus;
use sluicegate_fuzz::targets::written;

/// Records whose decoded rows the answers hold.
const ROWS: [&[u8]; 3] = [
    br#"{"text":"a","tags":["x","yy"],"price":1.25,"at":"2026-11-30 12:00:00","label":"off",
        "map":{"k":1},"pair":[1,true]}"#,
    br#"{"text":null,"tags":[],"price":-1,"at":"1970-01-01 00:00:00","label":"on","map":{},"pair":[-128,false]}"#,
    br#"{"text":"","tags":[""],"price":0,"at":"2026-11-30 12:00:00.125","label":"off",
        "map":{"k":1,"l":-9223372036854775808},"pair":[127,true]}"#,
];

/// An answer of so many rows.
fn stream(rows: usize) -> Vec<u8> {
    let decoded = decode(written().unwrap(), (0..).zip(ROWS.into_iter().take(rows)));
    assert_eq!(decoded.batch.num_rows(), rows, "{:?}", decoded.rejections);
    let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values((0..).take(rows)));
    let number = Arc::new(Field::new("__row", DataType::UInt32, false));
    let schema = decoded.batch.schema();
    let fields: Vec<_> = once(number).chain(schema.fields().iter().cloned()).collect();
    let columns = once(numbers).chain(decoded.batch.columns().iter().cloned()).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn the_seeds_of_answers_are_answers() {
    let folder = corpus::folder("answer");
    for rows in [0, 1, 3] {
        let path = folder.join(format!("rows-{rows}"));
        if std::env::var_os("SLUICEGATE_UPDATE_SEEDS").is_some() {
            std::fs::write(&path, stream(rows)).unwrap();
        }
        let gives = written().unwrap().arrow.fields();
        let batch = batch_of_answer(gives, std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(batch.num_rows(), rows);
    }
}
