//! Does what an arrow plugin must not, when the column `do` tells it to: the fixture that shows
//! that the sandbox holds for columns too.

mod acts;
mod config;
mod lies;

use sluicegate_plugin::Rejection;
use sluicegate_plugin::arrow::array::{RecordBatch, StringArray, UInt32Array};
use sluicegate_plugin::arrow::select::take::take_record_batch;
use sluicegate_plugin::arrow::{Answer, ArrowPlugin, Plan, Table, column};

pub use config::{Config, Planning};

/// The plugin.
#[derive(Debug)]
pub struct MisbehavingArrow(Config);

impl ArrowPlugin for MisbehavingArrow {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn plan(&mut self, _: &Table) -> Result<Plan, String> {
        self.0.planned()
    }

    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
        let orders = column::<StringArray>(&rows, "do")?;
        for (row, order) in (0..).zip(orders).filter_map(|(row, order)| Some((row, order?))) {
            acts::act(order)?;
            let lie = lies::lie(order, row, &rows, &self.0.column);
            if let Some(outcome) = lie.map_err(|error| error.to_string())? {
                return Ok(outcome.into());
            }
        }
        honest(&rows, orders)
    }
}

/// Rows that stand there as often as they say.
fn honest(rows: &RecordBatch, orders: &StringArray) -> Result<Answer, String> {
    let times = |order| match order {
        Some("drop") => 0,
        Some("many") => 3,
        Some("million") => 1_000_000,
        _ => 1,
    };
    let taken = (0..).zip(orders);
    let taken = taken.flat_map(|(row, order)| std::iter::repeat_n(row, times(order)));
    let taken = take_record_batch(rows, &UInt32Array::from_iter_values(taken));
    let mut answer = Answer::of(taken.map_err(|error| error.to_string())?);
    for (row, _) in orders.iter().enumerate().filter(|(_, order)| *order == Some("reject")) {
        answer = answer.reject(row, Rejection::new("told to reject").at("do"));
    }
    Ok(answer)
}

sluicegate_plugin::export!(arrow MisbehavingArrow);

#[cfg(test)]
mod tests;
