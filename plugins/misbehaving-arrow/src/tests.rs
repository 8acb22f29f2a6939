use sluicegate_plugin::testing::{Answer, run_arrow, table};

use super::*;

fn run(config: &str, orders: &[&str]) -> Result<Vec<Answer>, String> {
    let table = table(&[("id", "Int64"), ("do", "String"), ("text", "String")]).unwrap();
    let row = |(id, order): (usize, &&str)| format!(r#"{{"id":{id},"do":"{order}","text":"t"}}"#);
    let rows: Vec<String> = orders.iter().enumerate().map(row).collect();
    run_arrow::<MisbehavingArrow>(config, &table, &rows)
}

/// The row stands between two that go on.
fn told(order: &str) -> Result<Answer, String> {
    let mut answers = run("{}", &["", order, ""])?;
    let goes_on = Answer::Replace(r#"{"do":""}"#.to_owned());
    assert_eq!((&answers[0], &answers[2]), (&goes_on, &goes_on), "{order}");
    Ok(answers.remove(1))
}

#[test]
fn what_is_told_right_is_answered_right() {
    let column = Some("do".to_owned());
    let many = vec![r#"{"do":"many"}"#.to_owned(); 3];
    let rights = [
        ("keep", Answer::Replace(r#"{"do":"keep"}"#.to_owned())),
        ("drop", Answer::Drop),
        ("many", Answer::Many(many)),
        ("reject", Answer::Reject { message: "told to reject".to_owned(), column }),
    ];
    for (order, expected) in rights {
        assert_eq!(told(order), Ok(expected));
    }
    let written = Answer::Replace(r#"{"text":"t"}"#.to_owned());
    assert_eq!(run(r#"{"column":"text"}"#, &["keep"]), Ok(vec![written]));
}

#[test]
fn each_lie_breaks_the_contract_as_it_says() {
    let lies = [
        ("error", "told to fail"),
        ("no_row", "column `__row`: missing, or not of numbers"),
        ("null_row", "column `__row`: missing, or not of numbers"),
        ("row_of_other_type", "column `__row`: missing, or not of numbers"),
        ("descending", "column `__row`: descends"),
        ("out_of_range", "column `__row`: holds 3, of 3 rows"),
        ("missing_column", "column `do`: planned, and missing"),
        ("extra_column", "3 columns for 2 planned"),
        ("column_twice", "3 columns for 2 planned"),
        ("wrong_type", "column `do`: expected Utf8, got Null"),
        ("bad_utf8", "its stream: Invalid argument error: Invalid UTF8 sequence"),
        ("bad_offsets", "its stream: Invalid argument error: Last offset 2147483647 of Utf8"),
        ("cut", "its stream: Ipc error: Unexpected End of Stream"),
        ("empty", "its stream: no schema"),
        ("no_batch", "its stream: no batch"),
        ("two_batches", "its stream: more than one batch"),
        ("huge_output", "209715200 bytes; 16 MiB or four times the batch are the most"),
        ("million", "1000002 rows; 100000 are the most"),
        ("reject_out_of_range", "row 3 is rejected, of 3 rows"),
        ("reject_and_keep", "row 1 is rejected and goes on"),
        ("reject_twice", "the rejected rows do not ascend"),
    ];
    for (order, expected) in lies {
        let error = told(order).unwrap_err();
        assert!(error.starts_with(expected), "{order}: {error}");
    }
}

#[test]
fn a_lie_is_one_also_where_its_row_stands_alone() {
    for order in ["descending", "out_of_range", "null_row", "bad_offsets", "reject_twice"] {
        assert!(run("{}", &[order]).is_err(), "{order}");
    }
}

#[test]
fn each_plan_that_is_wrong_is_refused() {
    let plans = [
        ("error", "config, key `plan`: told to refuse"),
        ("unknown_read", "plan: column `no_such`: the table has none that records fill"),
        ("unknown_write", "plan: column `no_such`: the table has none that records fill"),
        ("known_field", "plan: the field `id` is a column, or stands there twice"),
        ("unknown_type", "plan: field `beside`: type `NoSuch` is not covered by a test table"),
        ("differs", "plan: another instance plans otherwise"),
    ];
    for (plan, expected) in plans {
        let error = run(&format!(r#"{{"plan":"{plan}"}}"#), &["keep"]).unwrap_err();
        assert!(error.starts_with(expected), "{plan}: {error}");
    }
}

#[test]
#[should_panic(expected = "told to panic")]
fn it_panics_with_a_text() {
    let _ = told("panic");
}
