//! Runs an arrow plugin natively, through its streams, and checks its plan and answer as the host
//! does.

mod answered;
mod json;
mod types;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{Field, FieldRef, Schema};
use serde_json::{Map, Value};

use super::Answer;
use crate::ArrowInstance;
use crate::arrow::{ArrowPlugin, Column, ROW, Table, stream, with_row};
use crate::wire;
use crate::wire::arrow::Planned;

pub use answered::Answered;

/// A table of columns, each with its ClickHouse type.
///
/// Covered are the integers up to 64 bits, `Float32`, `Float64`, `Bool`, `String`, `FixedString`,
/// `UUID`, `Date`, `Date32`, `DateTime`, `DateTime64`, `Decimal`, `Enum8`, `Enum16` and `Array` of
/// them, with `Nullable` and `LowCardinality`. A column of another type is added by
/// [`Table::with`], with the Arrow type that the host sends for it.
///
/// # Errors
///
/// A type that is not covered, with its column.
pub fn table(columns: &[(&str, &str)]) -> Result<Table, String> {
    let column = |(name, text): &(&str, &str)| {
        let data_type =
            types::data_type(text).map_err(|text| format!("column `{name}`: {text}"))?;
        Ok(Column::new(*name, *text, data_type))
    };
    columns.iter().map(column).collect::<Result<Vec<_>, String>>().map(Table::new)
}

/// Makes a plugin from its config, shows it the table, and gives it the rows as one batch: JSON
/// objects, of which it gets what its plan reads. Its answer for each row is [`Answer::Drop`],
/// [`Answer::Reject`], or what it writes as JSON objects in the order of its plan;
/// [`Answer::Keep`] if it writes nothing.
///
/// Dates and times are the numbers that Arrow holds: days, or seconds and parts of them, since 1970.
/// `FixedString`, `UUID` and `Decimal` have no JSON here; [`run_batch`] takes every type.
///
/// # Errors
///
/// That of `new`, of the config, of `plan` or of `batch`; a plan or an answer that breaks the
/// contract; rows that do not fit the table.
///
/// ```
/// use sluicegate_plugin::NoConfig;
/// use sluicegate_plugin::arrow::array::{RecordBatch, StringArray};
/// use sluicegate_plugin::arrow::{Answer, ArrowPlugin, Plan, Table, column};
/// use sluicegate_plugin::testing::{self, run_arrow, table};
///
/// struct Trim;
///
/// impl ArrowPlugin for Trim {
///     type Config = NoConfig;
///
///     fn new(_: NoConfig) -> Result<Self, String> {
///         Ok(Self)
///     }
///
///     fn plan(&mut self, table: &Table) -> Result<Plan, String> {
///         table.column_of("name", "String")?;
///         Ok(Plan::new().read("name").write("name"))
///     }
///
///     fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
///         let names = column::<StringArray>(&rows, "name")?;
///         let trimmed: StringArray = names.iter().map(|name| name.map(str::trim)).collect();
///         Ok(Answer::of(rows).set("name", trimmed))
///     }
/// }
///
/// let table = table(&[("id", "UInt64"), ("name", "String")])?;
/// let answers = run_arrow::<Trim>("{}", &table, &[r#"{"id":1,"name":" a "}"#, "{}"])?;
/// let written = [r#"{"name":"a"}"#, r#"{"name":null}"#];
/// assert_eq!(answers, written.map(|row| testing::Answer::Replace(row.to_owned())));
/// # Ok::<(), String>(())
/// ```
pub fn run_arrow<P: ArrowPlugin>(
    config: &str,
    table: &Table,
    rows: &[impl AsRef<str>],
) -> Result<Vec<Answer>, String> {
    let trial = Trial::<P>::start(config, table)?;
    let read = |(at, row): (usize, &_)| {
        let row: &str = AsRef::as_ref(row);
        serde_json::from_str(row).map_err(|error| format!("row {at}: {error}"))
    };
    let rows: Vec<Map<String, Value>> =
        rows.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let column = |field: &FieldRef| {
        let values: Vec<&Value> =
            rows.iter().map(|row| row.get(field.name()).unwrap_or(&Value::Null)).collect();
        let array = json::array(field.data_type(), &values);
        array.map_err(|text| format!("column `{}`: {text}", field.name()))
    };
    let columns = trial.reads.iter().map(column).collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    trial.answer(columns, rows.len())?.answers()
}

/// As [`run_arrow`], for rows of any type: the batch has the columns that the plan reads, in any
/// order, without [`ROW`].
///
/// # Errors
///
/// Those of [`run_arrow`].
pub fn run_batch<P: ArrowPlugin>(
    config: &str,
    table: &Table,
    rows: &RecordBatch,
) -> Result<Answered, String> {
    let trial = Trial::<P>::start(config, table)?;
    let column = |field: &FieldRef| {
        let column = rows.column_by_name(field.name()).cloned();
        column.ok_or_else(|| format!("column `{}`: the plan reads it: give it", field.name()))
    };
    let columns = trial.reads.iter().map(column).collect::<Result<_, _>>()?;
    trial.answer(columns, rows.num_rows())
}

/// An instance that has planned.
struct Trial<P> {
    instance: ArrowInstance<P>,
    /// The columns of the table, then the fields beside them.
    reads: Vec<FieldRef>,
    writes: Vec<FieldRef>,
}

impl<P: ArrowPlugin> Trial<P> {
    fn start(config: &str, table: &Table) -> Result<Self, String> {
        let (instance, planned) = plan::<P>(config, table)?;
        let (_, again) = plan::<P>(config, table)?;
        if parts(&planned) != parts(&again) {
            return Err("plan: another instance plans otherwise".to_owned());
        }
        let plans = |text: String| format!("plan: {text}");
        let mut reads = of_the_table(table, &planned.reads).map_err(plans)?;
        for field in &planned.fields {
            let name = &field.name;
            let known = table.columns().iter().map(Column::field).chain(reads.iter().map(|f| &**f));
            if name == ROW || known.into_iter().any(|known| known.name() == name) {
                return Err(format!("plan: the field `{name}` is a column, or stands there twice"));
            }
            let data_type = types::data_type(&field.clickhouse_type);
            let data_type = data_type.map_err(|text| format!("plan: field `{name}`: {text}"))?;
            reads.push(Arc::new(Field::new(name, data_type, true)));
        }
        let writes = of_the_table(table, &planned.writes).map_err(plans)?;
        Ok(Self { instance, reads, writes })
    }

    fn answer(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<Answered, String> {
        let numbers = 0..u32::try_from(rows).map_err(|error| error.to_string())?;
        let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(numbers));
        let columns = std::iter::once(numbers).chain(columns).collect();
        let batch = RecordBatch::try_new(with_row(&self.reads), columns);
        let batch = batch.map_err(|error| error.to_string())?;
        let question = stream(&batch.schema(), Some(&batch)).map_err(|error| error.to_string())?;
        let asked_bytes = question.len();
        let outcome = self.instance.transform(question)?;
        Answered::of(outcome, &self.writes, rows, asked_bytes)
    }
}

/// A new instance, and what it plans.
fn plan<P: ArrowPlugin>(
    config: &str,
    table: &Table,
) -> Result<(ArrowInstance<P>, Planned), String> {
    let instance = ArrowInstance::<P>::new();
    instance.init(config)?;
    let told = table.columns().iter().map(|column| wire::arrow::Column {
        name: column.name().to_owned(),
        clickhouse_type: column.clickhouse_type().to_owned(),
    });
    let fields: Vec<Field> = table.columns().iter().map(Column::field).cloned().collect();
    let schema = stream(&Schema::new(fields), None).map_err(|error| error.to_string())?;
    let planned = instance.plan(told.collect(), schema)?;
    Ok((instance, planned))
}

/// A plan as what can be compared.
fn parts(planned: &Planned) -> (&[String], Vec<(&str, &str)>, &[String]) {
    let fields = planned.fields.iter().map(|field| (&*field.name, &*field.clickhouse_type));
    (&planned.reads, fields.collect(), &planned.writes)
}

/// The fields of columns of the table, each named once.
fn of_the_table(table: &Table, names: &[String]) -> Result<Vec<FieldRef>, String> {
    let mut fields: Vec<FieldRef> = Vec::with_capacity(names.len());
    for name in names {
        if fields.iter().any(|field| field.name() == name) {
            return Err(format!("column `{name}`: twice in one list"));
        }
        fields.push(Arc::new(table.column(name)?.field().clone()));
    }
    Ok(fields)
}
