use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::FieldRef;
use serde_json::Value;

use super::json;
use crate::Rejection;
use crate::arrow::{origins, read};
use crate::testing::Answer;
use crate::wire::arrow::{Outcome, Refused};

/// Most rows that one call may put out.
const MAX_ROWS: usize = 100_000;
/// Most bytes that one call may put out, if four times the batch is less.
const MAX_BYTES: usize = 16 << 20;

/// What an arrow plugin answered for a batch; it keeps the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    rows: RecordBatch,
    rejections: Vec<(usize, Rejection)>,
    /// How many rows came in.
    asked: usize,
}

impl Answered {
    /// The rows that go on: [`ROW`](crate::arrow::ROW) and the columns that the plan writes.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The rows that are rejected, ascending.
    pub fn rejections(&self) -> &[(usize, Rejection)] {
        &self.rejections
    }

    /// The answer for each row, as of [`run_arrow`](super::run_arrow).
    ///
    /// # Errors
    ///
    /// A column has a type that has no JSON here.
    pub fn answers(&self) -> Result<Vec<Answer>, String> {
        let mut written = vec![Vec::new(); self.asked];
        for (at, row) in origins(&self.rows, self.asked)?.values().iter().enumerate() {
            if let Some(written) = written.get_mut(*row as usize) {
                written.push(self.object(at)?);
            }
        }
        let mut rejections = self.rejections.iter().peekable();
        let answer = |(row, mut written): (usize, Vec<String>)| {
            if let Some((_, why)) = rejections.next_if(|(rejected, _)| *rejected == row) {
                let (message, column) = why.clone().into_parts();
                return Answer::Reject { message, column };
            }
            match (written.len(), written.pop()) {
                (1, Some(_)) if self.rows.num_columns() == 1 => Answer::Keep,
                (1, Some(row)) => Answer::Replace(row),
                (_, Some(last)) => {
                    written.push(last);
                    Answer::Many(written)
                }
                (_, None) => Answer::Drop,
            }
        };
        Ok(written.into_iter().enumerate().map(answer).collect())
    }

    /// The written columns of a row as a JSON object.
    fn object(&self, at: usize) -> Result<String, String> {
        let schema = self.rows.schema();
        let columns = schema.fields().iter().zip(self.rows.columns()).skip(1);
        let member = |(field, column): (&FieldRef, &ArrayRef)| {
            let value = json::value(column, at);
            let value = value.map_err(|text| format!("column `{}`: {text}", field.name()))?;
            Ok(format!("{}:{value}", Value::from(field.name().as_str())))
        };
        let members: Vec<String> = columns.map(member).collect::<Result<_, String>>()?;
        Ok(format!("{{{}}}", members.join(",")))
    }

    /// Reads an answer, and refuses one that breaks the contract.
    pub(super) fn of(
        outcome: Outcome,
        writes: &[FieldRef],
        asked: usize,
        asked_bytes: usize,
    ) -> Result<Self, String> {
        let bytes = outcome.rows.len();
        if bytes > MAX_BYTES.max(asked_bytes.saturating_mul(4)) {
            return Err(format!("{bytes} bytes; 16 MiB or four times the batch are the most"));
        }
        let (_, batch) = read(outcome.rows).map_err(|text| format!("its stream: {text}"))?;
        let batch = batch.ok_or("its stream: no batch")?;
        if batch.num_rows() > MAX_ROWS {
            return Err(format!("{} rows; {MAX_ROWS} are the most", batch.num_rows()));
        }
        let mut places = vec![0];
        let origins = origins(&batch, asked)?;
        for field in writes {
            let Some((at, given)) = batch.schema_ref().column_with_name(field.name()) else {
                return Err(format!("column `{}`: planned, and missing", field.name()));
            };
            if given.data_type() != field.data_type() {
                let (name, expected, got) = (field.name(), field.data_type(), given.data_type());
                return Err(format!("column `{name}`: expected {expected}, got {got}"));
            }
            places.push(at);
        }
        if batch.num_columns() != places.len() {
            return Err(format!("{} columns for {} planned", batch.num_columns(), places.len()));
        }
        let rejections = refused(outcome.rejections, asked, origins.values())?;
        let rows = batch.project(&places).map_err(|error| error.to_string())?;
        Ok(Self { rows, rejections, asked })
    }
}

fn refused(
    refused: Vec<Refused>,
    asked: usize,
    rows: &[u32],
) -> Result<Vec<(usize, Rejection)>, String> {
    if !refused.is_sorted_by(|one, next| one.row < next.row) {
        return Err("the rejected rows do not ascend".to_owned());
    }
    if let Some(last) = refused.last().filter(|last| last.row as usize >= asked) {
        return Err(format!("row {} is rejected, of {asked} rows", last.row));
    }
    if let Some(both) = refused.iter().find(|refused| rows.binary_search(&refused.row).is_ok()) {
        return Err(format!("row {} is rejected and goes on", both.row));
    }
    let rejection = |Refused { row, why }| {
        let rejection = Rejection::new(why.message);
        (row as usize, why.column.into_iter().fold(rejection, Rejection::at))
    };
    Ok(refused.into_iter().map(rejection).collect())
}
