use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;

use super::{ROW, ipc};
use crate::Rejection;
use crate::wire;
use crate::wire::arrow::{Outcome, Refused};

/// The answer to a batch: rows, each of which says by [`ROW`] which row of the batch it comes from,
/// and the rows that are rejected.
///
/// It begins with rows of the batch that came in: all of them, or what
/// [`select`](super::select)'s `filter_record_batch` and `take_record_batch` make of them, which
/// drops and multiplies rows. Of their columns go back those that the plan writes, as they are or
/// as they are [`set`](Self::set); the others are left out. What does not fit the plan is found
/// when the answer is given, in a test as in the component.
///
/// ```
/// use sluicegate_plugin::arrow::array::{Int64Array, RecordBatch};
/// use sluicegate_plugin::arrow::{Answer, column};
///
/// fn double(rows: RecordBatch) -> Result<Answer, String> {
///     let doubled: Int64Array = column::<Int64Array>(&rows, "n")?.unary(|n| n.wrapping_mul(2));
///     Ok(Answer::of(rows).set("n", doubled))
/// }
/// # let _ = double;
/// ```
#[derive(Debug)]
pub struct Answer(Form);

#[derive(Debug)]
enum Form {
    Rows(Rows),
    Made(Outcome),
}

#[derive(Debug)]
struct Rows {
    batch: RecordBatch,
    set: BTreeMap<String, ArrayRef>,
    rejections: BTreeMap<usize, Rejection>,
}

impl Answer {
    /// These rows go on.
    pub fn of(rows: RecordBatch) -> Self {
        Self(Form::Rows(Rows { batch: rows, set: BTreeMap::new(), rejections: BTreeMap::new() }))
    }

    /// Gives a column, with a value for each of the rows in their order; the last one of a name
    /// counts.
    #[must_use]
    pub fn set(mut self, column: impl Into<String>, values: impl Array + 'static) -> Self {
        if let Form::Rows(rows) = &mut self.0 {
            rows.set.insert(column.into(), Arc::new(values));
        }
        self
    }

    /// The record of a row goes to the dead letter topic; the row counts from 0 in the batch that
    /// came in. It is left out of the rows, and its first rejection counts.
    #[must_use]
    pub fn reject(mut self, row: usize, why: Rejection) -> Self {
        if let Form::Rows(rows) = &mut self.0
            && let Entry::Vacant(first) = rows.rejections.entry(row)
        {
            first.insert(why);
        }
        self
    }

    /// The answer as it crosses, if it gives the columns that were planned for so many rows.
    pub(crate) fn into_wire(self, writes: &[FieldRef], asked: usize) -> Result<Outcome, String> {
        match self.0 {
            Form::Rows(rows) => rows.into_wire(writes, asked),
            Form::Made(outcome) => Ok(outcome),
        }
    }
}

/// Takes the answer as it is, for code that makes its stream itself. Nothing is checked here: the
/// host refuses an answer that breaks the contract, and takes it for a failure of the plugin.
impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self(Form::Made(outcome))
    }
}

impl Rows {
    fn into_wire(self, writes: &[FieldRef], asked: usize) -> Result<Outcome, String> {
        if let Some(name) = self.set.keys().find(|name| !has(writes, name)) {
            return Err(format!("column `{name}`: set, but `plan` does not write it"));
        }
        if let Some(row) = self.rejections.keys().next_back().filter(|row| **row >= asked) {
            return Err(format!("row {row} is rejected, of {asked} rows"));
        }
        let mut batch = self.written(writes, asked)?;
        if !self.rejections.is_empty() {
            let goes_on = |row: &u32| !self.rejections.contains_key(&(*row as usize));
            let rows = origins(&batch, asked)?.values();
            let goes_on: BooleanArray = rows.iter().map(goes_on).map(Some).collect();
            batch = filter_record_batch(&batch, &goes_on).map_err(|error| error.to_string())?;
        }
        let rows = ipc::stream(&batch.schema(), Some(&batch)).map_err(|error| error.to_string())?;
        Ok(Outcome { rows, rejections: refused(self.rejections)? })
    }

    /// The rows' numbers, and the columns that are written.
    fn written(&self, writes: &[FieldRef], asked: usize) -> Result<RecordBatch, String> {
        let origins: ArrayRef = Arc::new(origins(&self.batch, asked)?.clone());
        let mut columns = vec![origins];
        for field in writes {
            let (name, rows) = (field.name(), self.batch.num_rows());
            let column = self.set.get(name).or_else(|| self.batch.column_by_name(name));
            let column = column.ok_or_else(|| {
                format!("column `{name}`: `plan` writes it, and the answer does not set it")
            })?;
            if column.data_type() != field.data_type() {
                let (expected, got) = (field.data_type(), column.data_type());
                return Err(format!("column `{name}`: expected {expected}, got {got}"));
            }
            if column.len() != rows {
                let values = column.len();
                return Err(format!("column `{name}`: {values} values for {rows} rows"));
            }
            columns.push(Arc::clone(column));
        }
        RecordBatch::try_new(with_row(writes), columns).map_err(|error| error.to_string())
    }
}

/// The row's number, and these columns.
pub(crate) fn with_row(columns: &[FieldRef]) -> SchemaRef {
    let row: FieldRef = Arc::new(Field::new(ROW, DataType::UInt32, false));
    let fields: Vec<FieldRef> = std::iter::once(row).chain(columns.iter().cloned()).collect();
    Arc::new(Schema::new(fields))
}

fn has(fields: &[FieldRef], name: &str) -> bool {
    fields.iter().any(|field| field.name() == name)
}

/// Which row of the batch each row comes from, if that is said as the contract wants it.
pub(crate) fn origins(batch: &RecordBatch, asked: usize) -> Result<&UInt32Array, String> {
    let origins = super::column::<UInt32Array>(batch, ROW).ok();
    let origins = origins.filter(|origins| origins.null_count() == 0).ok_or_else(|| {
        format!("column `{ROW}`: missing, or not of numbers; make the rows of those that came in")
    })?;
    if !origins.values().is_sorted() {
        return Err(format!("column `{ROW}`: descends; keep the rows in their order"));
    }
    match origins.values().last() {
        Some(last) if *last as usize >= asked => {
            Err(format!("column `{ROW}`: holds {last}, of {asked} rows"))
        }
        _ => Ok(origins),
    }
}

fn refused(rejections: BTreeMap<usize, Rejection>) -> Result<Vec<Refused>, String> {
    let refused = |(row, why): (usize, Rejection)| {
        let (message, column) = why.into_parts();
        let row = u32::try_from(row).map_err(|error| error.to_string())?;
        Ok(Refused { row, why: wire::Rejection { message, column } })
    };
    rejections.into_iter().map(refused).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int8Array, StringArray};

    use super::*;
    use crate::arrow::read;

    fn batch(rows: &[u32], a: &[Option<&str>]) -> RecordBatch {
        let rows: ArrayRef = Arc::new(UInt32Array::from(rows.to_vec()));
        let a: ArrayRef = Arc::new(StringArray::from(a.to_vec()));
        RecordBatch::try_from_iter([(ROW, rows), ("a", a)]).unwrap()
    }

    fn writes(columns: &[(&str, DataType)]) -> Vec<FieldRef> {
        let field = |(name, data_type): &(&str, DataType)| {
            Arc::new(Field::new(*name, data_type.clone(), true))
        };
        columns.iter().map(field).collect()
    }

    fn given(answer: Answer) -> (RecordBatch, Vec<Refused>) {
        let fields = writes(&[("b", DataType::Int8), ("a", DataType::Utf8)]);
        let outcome = answer.into_wire(&fields, 3).unwrap();
        (read(outcome.rows).unwrap().1.unwrap(), outcome.rejections)
    }

    #[test]
    fn what_the_plan_writes_goes_back_as_it_is_or_as_it_is_set() {
        let rows = batch(&[0, 1, 2], &[Some("x"), None, Some("z")]);
        let numbers = Int8Array::from(vec![None, Some(1), Some(2)]);
        let (back, refused) = given(Answer::of(rows.clone()).set("b", numbers.clone()));
        let schema = back.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!((names, refused.len()), (vec![ROW, "b", "a"], 0));
        assert_eq!(back.column(0), rows.column(0));
        assert_eq!(back.column(1).as_ref(), &numbers as &dyn Array);
        assert_eq!(back.column(2), rows.column(1));
    }

    #[test]
    fn rejected_rows_are_left_out_once_each_in_their_order() {
        let rows = batch(&[0, 1, 1, 2], &[Some("x"), Some("y"), Some("y"), None]);
        let answer = Answer::of(rows)
            .set("b", Int8Array::from(vec![0, 1, 2, 3]))
            .reject(2, Rejection::new("first").at("a"))
            .reject(1, Rejection::new("other"))
            .reject(2, Rejection::new("second"));
        let (back, refused) = given(answer);
        assert_eq!(back.num_rows(), 1);
        assert_eq!(super::super::column::<Int8Array>(&back, "b").unwrap().values(), &[0]);
        let refused: Vec<_> = refused.into_iter().map(|one| (one.row, one.why.message)).collect();
        assert_eq!(refused, [(1, "other".to_owned()), (2, "first".to_owned())]);
    }

    #[test]
    fn an_answer_of_no_row_drops_all() {
        let rows = batch(&[0, 1, 2], &[None, None, None]);
        let answer = Answer::of(rows.slice(0, 0)).set("b", Int8Array::from(Vec::<i8>::new()));
        assert_eq!(given(answer).0.num_rows(), 0);
    }

    #[test]
    fn what_does_not_fit_the_plan_is_refused_with_its_column() {
        let rows = || batch(&[0, 1, 2], &[None, None, None]);
        let no_rows = batch(&[0], &[None]).project(&[1]).unwrap();
        let b = || Int8Array::from(vec![0, 1, 2]);
        let of = |numbers: &[u32]| Answer::of(batch(numbers, &vec![None; numbers.len()]));
        let cases = [
            (Answer::of(rows()), "column `b`: `plan` writes it, and the answer does not set it"),
            (Answer::of(rows()).set("c", b()), "column `c`: set, but `plan` does not write it"),
            (Answer::of(rows()).set("a", b()).set("b", b()), "column `a`: expected Utf8, got Int8"),
            (
                Answer::of(rows()).set("b", Int8Array::from(vec![0])),
                "column `b`: 1 values for 3 rows",
            ),
            (
                Answer::of(no_rows).set("b", Int8Array::from(vec![0])),
                "column `__row`: missing, or not of numbers; make the rows of those that came in",
            ),
            (of(&[1, 0]), "column `__row`: descends; keep the rows in their order"),
            (of(&[0, 3]), "column `__row`: holds 3, of 3 rows"),
            (
                Answer::of(rows()).set("b", b()).reject(3, Rejection::new("")),
                "row 3 is rejected, of 3 rows",
            ),
        ];
        let fields = writes(&[("a", DataType::Utf8), ("b", DataType::Int8)]);
        for (answer, expected) in cases {
            assert_eq!(answer.into_wire(&fields, 3).unwrap_err(), expected);
        }
    }
}
