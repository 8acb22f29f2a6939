//! Arrow plugins as their authors write them, run as the component runs them.
#![cfg(feature = "arrow")]

use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;
use sluicegate_plugin::arrow::array::cast::AsArray as _;
use sluicegate_plugin::arrow::array::types::{Decimal128Type, UInt32Type};
use sluicegate_plugin::arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use sluicegate_plugin::arrow::schema::DataType;
use sluicegate_plugin::arrow::select::filter::filter_record_batch;
use sluicegate_plugin::arrow::select::take::take_record_batch;
use sluicegate_plugin::arrow::{Answer, ArrowPlugin, Column, Plan, ROW, Table, column};
use sluicegate_plugin::testing::{self, Answer as Given, run_arrow, run_batch, table};
use sluicegate_plugin::{Lookup, NoConfig, Rejection};

fn replaced(rows: &[&str]) -> Vec<Given> {
    rows.iter().map(|row| Given::Replace((*row).to_owned())).collect()
}

/// Does with a row what its `n` says: below 0 it is rejected, else it stands there so many times,
/// with its place in the field `tag`.
struct Times;

impl ArrowPlugin for Times {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn plan(&mut self, table: &Table) -> Result<Plan, String> {
        table.column_of("n", "Int64")?;
        Ok(Plan::new().read("n").field("tag", "Nullable(String)").write("n").write("text"))
    }

    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
        let n = column::<Int64Array>(&rows, "n")?;
        let times = |n: Option<i64>| usize::try_from(n.unwrap_or(1).abs()).unwrap_or(0);
        let taken: UInt32Array =
            (0..).zip(n).flat_map(|(row, n)| std::iter::repeat_n(row, times(n))).collect();
        let taken = take_record_batch(&rows, &taken).map_err(|error| error.to_string())?;
        let tags = column::<StringArray>(&taken, "tag")?;
        let text: StringArray = tags.iter().map(|tag| Some(tag.unwrap_or("none"))).collect();
        let mut answer = Answer::of(taken).set("text", text);
        for (row, _) in n.iter().enumerate().filter(|(_, n)| n.is_some_and(|n| n < 0)) {
            answer = answer.reject(row, Rejection::new("below 0").at("n"));
        }
        Ok(answer)
    }
}

sluicegate_plugin::export!(arrow Times);

#[test]
fn rows_are_kept_dropped_multiplied_and_rejected_each_on_its_own() {
    let table = table(&[("id", "UInt64"), ("n", "Int64"), ("text", "String")]).unwrap();
    let rows = [r#"{"n":1,"id":7}"#, r#"{"n":0}"#, r#"{"n":2,"tag":"t"}"#, r#"{"n":-3}"#, "{}"];
    let twice = r#"{"n":2,"text":"t"}"#.to_owned();
    let expected = [
        Given::Replace(r#"{"n":1,"text":"none"}"#.to_owned()),
        Given::Drop,
        Given::Many(vec![twice.clone(), twice]),
        Given::Reject { message: "below 0".to_owned(), column: Some("n".to_owned()) },
        Given::Replace(r#"{"n":null,"text":"none"}"#.to_owned()),
    ];
    assert_eq!(run_arrow::<Times>("{}", &table, &rows), Ok(expected.to_vec()));
    assert_eq!(run_arrow::<Times>("{}", &table, &[""; 0]), Ok(Vec::new()));
}

#[test]
fn a_table_that_a_plan_refuses_and_rows_that_do_not_fit_are_errors() {
    let error = |columns: &[(&str, &str)], row| {
        run_arrow::<Times>("{}", &table(columns).unwrap(), &[row]).unwrap_err()
    };
    assert_eq!(
        error(&[("m", "Int64")], "{}"),
        "column `n`: the table has none that records fill; did you mean `m`?"
    );
    assert_eq!(error(&[("n", "UInt8")], "{}"), "column `n`: expected Int64, got UInt8");
    let text = "plan: column `text`: the table has none that records fill";
    assert_eq!(error(&[("n", "Int64")], "{}"), text);
    let tag = "plan: the field `tag` is a column, or stands there twice";
    assert_eq!(error(&[("n", "Int64"), ("tag", "String")], "{}"), tag);
    let whole = [("n", "Int64"), ("text", "String")];
    let misfit = "column `n`: row 0: invalid type: string \"1\", expected i64, for Int64";
    assert_eq!(error(&whole, r#"{"n":"1"}"#), misfit);
    assert_eq!(
        error(&whole, "[]"),
        "row 0: invalid type: sequence, expected a map at line 1 column 0"
    );
}

proptest! {
    #[test]
    fn every_row_stands_there_as_often_as_it_says(
        times in prop::collection::vec(prop::option::of(-3_i64..4), 1..60)
    ) {
        let table = table(&[("n", "Int64"), ("text", "String")]).unwrap();
        let n: ArrayRef = Arc::new(Int64Array::from(times.clone()));
        let tag: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; times.len()]));
        let rows = RecordBatch::try_from_iter([("tag", tag), ("n", n)]).unwrap();
        let answered = run_batch::<Times>("{}", &table, &rows).unwrap();
        let rejected = times.iter().filter(|n| n.is_some_and(|n| n < 0)).count();
        prop_assert_eq!(answered.rejections().len(), rejected);
        let expected: Vec<u32> = (0..)
            .zip(&times)
            .flat_map(|(row, n)| (0..n.unwrap_or(1)).map(move |_| row))
            .collect();
        let back = answered.rows().column(0).as_any().downcast_ref::<UInt32Array>().unwrap();
        prop_assert_eq!(back.values(), &expected);
    }
}

/// Keeps what has a price of at least so much, in columns that have no JSON in tests.
struct AtLeast(i128);

#[derive(Deserialize)]
struct Least {
    cents: u32,
}

impl ArrowPlugin for AtLeast {
    type Config = Least;

    fn new(config: Least) -> Result<Self, String> {
        Ok(Self(config.cents.into()))
    }

    fn plan(&mut self, table: &Table) -> Result<Plan, String> {
        let read = |plan: Plan, column: &Column| plan.read(column.name()).write(column.name());
        Ok(table.columns().iter().fold(Plan::new(), read))
    }

    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
        let prices = column::<Decimal128Array>(&rows, "price")?;
        let kept: BooleanArray =
            prices.iter().map(|price| Some(price.is_some_and(|price| price >= self.0))).collect();
        Ok(Answer::of(filter_record_batch(&rows, &kept).map_err(|error| error.to_string())?))
    }
}

#[test]
fn columns_of_any_type_go_in_and_out_as_arrow() {
    let table = table(&[("price", "Decimal(9, 2)")]).unwrap();
    let table = table.with(Column::new("ip", "IPv4", DataType::UInt32));
    let run = |columns: &[(&str, ArrayRef)]| {
        let rows = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
        run_batch::<AtLeast>(r#"{"cents":100}"#, &table, &rows)
    };
    let prices = Decimal128Array::from(vec![Some(100), None, Some(99), Some(250)]);
    let prices: ArrayRef = Arc::new(prices.with_precision_and_scale(9, 2).unwrap());
    let ips: ArrayRef = Arc::new(UInt32Array::from(vec![Some(1), Some(2), Some(3), None]));
    let answered = run(&[("ip", ips), ("price", Arc::clone(&prices))]).unwrap();
    let column = |name| answered.rows().column_by_name(name).unwrap();
    assert_eq!(column("price").as_primitive::<Decimal128Type>().values(), &[100, 250]);
    assert_eq!(column("ip").as_primitive::<UInt32Type>(), &UInt32Array::from(vec![Some(1), None]));
    let no_json = answered.answers().unwrap_err();
    assert!(no_json.starts_with("column `price`: type Decimal128(9, 2) has no JSON"), "{no_json}");
    let missing = run(&[("price", prices)]).unwrap_err();
    assert_eq!(missing, "column `ip`: the plan reads it: give it");
}

/// Looks up the owner of a fleet, in any world.
struct Owner(Lookup);

impl ArrowPlugin for Owner {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self(Lookup::open("fleets", ["owner"])?))
    }

    fn plan(&mut self, _: &Table) -> Result<Plan, String> {
        Ok(Plan::new().read("fleet").write("owner"))
    }

    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
        let found = self.0.get(column::<StringArray>(&rows, "fleet")?)?;
        let owners: StringArray = found.column("owner")?.iter().collect();
        Ok(Answer::of(rows).set("owner", owners))
    }
}

#[test]
fn a_column_is_looked_up_for_a_whole_batch() {
    let table = table(&[("fleet", "String"), ("owner", "LowCardinality(String)")]).unwrap();
    let rows = [r#"{"fleet":"f1"}"#, "{}", r#"{"fleet":"f9","owner":"x"}"#];
    let fleets = [r#"{"id":"f1","owner":"Ann"}"#];
    let answers =
        testing::with_table("fleets", "id", &fleets, || run_arrow::<Owner>("{}", &table, &rows));
    let expected = [r#"{"owner":"Ann"}"#, r#"{"owner":null}"#, r#"{"owner":null}"#];
    assert_eq!(answers, Ok(replaced(&expected)));
    let refused = run_arrow::<Owner>("{}", &table, &rows).unwrap_err();
    assert!(
        refused.starts_with("table `fleets`: not granted by PLUGIN_<NAME>_LOOKUPS"),
        "{refused}"
    );
}

/// Writes nothing.
struct Judge;

impl ArrowPlugin for Judge {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn plan(&mut self, _: &Table) -> Result<Plan, String> {
        Ok(Plan::new().read("ok"))
    }

    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
        assert_eq!(rows.schema().field(0).name(), ROW);
        let kept = column::<BooleanArray>(&rows, "ok")?;
        Ok(Answer::of(filter_record_batch(&rows, kept).map_err(|error| error.to_string())?))
    }
}

#[test]
fn a_plugin_that_writes_nothing_keeps_or_drops() {
    let table = table(&[("ok", "Bool")]).unwrap();
    let answers = run_arrow::<Judge>("{}", &table, &[r#"{"ok":true}"#, r#"{"ok":false}"#]);
    assert_eq!(answers, Ok(vec![Given::Keep, Given::Drop]));
}
