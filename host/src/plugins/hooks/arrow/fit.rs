//! Fits plugins to a table: which columns each plugin reads and writes.
//!
//! Between decode and check, the columns have one order for all plugins: first the table's columns,
//! then the further fields that plugins read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::flow::hold::Hold;
use crate::plugins::hooks::bindings::arrow;
use crate::plugins::hooks::failure::cut;
use crate::schema::plan::{ColumnPlan, TablePlan};
use crate::schema::types::TypeCount;
use crate::schema::width::{RowBytes, too_wide, widths};

/// The column with the row number in the question.
pub const ROW: &str = "__row";
/// Most fields that a plugin may plan beside the table's columns.
const MAX_FIELDS: usize = 1_000;

/// The description of a table that plugins get.
pub struct ToldTable {
    /// The columns that records may fill.
    pub columns: Vec<arrow::Column>,
    /// The same as an IPC stream without batches.
    pub schema: Vec<u8>,
    /// The fingerprint of this state of the table.
    pub fingerprint: Arc<str>,
}

impl ToldTable {
    /// Describes a table.
    ///
    /// # Errors
    /// A column has the name that is reserved for the row number.
    pub fn new(table: &TablePlan) -> Result<Self, Hold> {
        let columns = table.columns.iter().map(|column| arrow::Column {
            name: column.name.to_string(),
            clickhouse_type: column.type_text.clone(),
        });
        let columns: Vec<_> = columns.collect();
        if columns.iter().any(|column| column.name == ROW) {
            let text =
                format!("the table has a column `{ROW}`, which plugins on decoded rows need");
            return Err(Hold::Paused(text));
        }
        let schema = stream(&table.arrow, None).map_err(|error| {
            Hold::Paused(format!("the table's columns cannot be passed to plugins: {error}"))
        })?;
        Ok(Self { columns, schema, fingerprint: table.fingerprint().into() })
    }
}

/// An Arrow IPC stream of a schema and at most one batch.
pub fn stream(
    schema: &Schema,
    batch: Option<&RecordBatch>,
) -> Result<Vec<u8>, arrow_schema::ArrowError> {
    let mut encoder = StreamEncoder::try_new(schema)?;
    let mut parts = match batch {
        Some(batch) => encoder.encode(batch)?,
        None => Vec::new(),
    };
    parts.extend(encoder.finish()?);
    // The parts share the columns' bytes, so these are copied once.
    Ok(parts.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat())
}

/// Plugins and one state of a table.
pub struct Fit {
    /// How records are decoded: the table's columns, and the fields beside them.
    pub decode: Arc<TablePlan>,
    /// Each plugin's part, in their order.
    pub steps: Vec<FittedPlugin>,
    /// The table's columns that plugins write, each with the title of its last writer.
    pub written: Arc<BTreeMap<usize, Arc<str>>>,
    /// The description of the table that the plugins got.
    pub told: ToldTable,
    table_columns: usize,
}

/// One plugin's part; columns are indices into all of them.
pub struct FittedPlugin {
    /// The columns that it reads.
    pub reads: Vec<usize>,
    /// The columns that it gets: the row number, and what it reads.
    pub schema: SchemaRef,
    /// The columns that it writes.
    pub writes: Vec<usize>,
    /// The same columns, with the types that its answer must have.
    pub gives: Vec<FieldRef>,
    planned: (Vec<String>, Vec<(String, String)>, Vec<String>),
}

impl Fit {
    /// Combines the table with the plan of each plugin, which is named by its title.
    ///
    /// # Errors
    /// A plugin asks for something that is missing; its author or an operator must fix it.
    pub fn new<'a>(
        table: &TablePlan,
        told: ToldTable,
        plans: impl Iterator<Item = (&'a Arc<str>, arrow::Planned)>,
        most_row_bytes: usize,
    ) -> Result<Self, Hold> {
        let plans: Vec<_> = plans.collect();
        let (of_table, parts) = (RowBytes::of(table).fixed(), TypeCount::default());
        let (mut touched, mut unasked, mut written) =
            (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let mut fields: Vec<ColumnPlan> = Vec::new();
        for (title, plan) in &plans {
            let hold = |text: String| Hold::Paused(cut(&format!("plugin `{title}` plans {text}")));
            if plan.fields.len() > MAX_FIELDS {
                let fields = plan.fields.len();
                return Err(hold(format!("with {fields} fields; {MAX_FIELDS} are the most")));
            }
            let at = |list: &[String]| places(table, list).map_err(hold);
            touched.extend(at(&plan.reads)?);
            for field in &plan.fields {
                add_field(table, &mut fields, field, &parts).map_err(hold)?;
            }
            let of_fields = widths(fields.iter().map(|field| &field.ty));
            let too_wide = too_wide(of_table.saturating_add(of_fields), most_row_bytes);
            if let Some(text) = too_wide.filter(|_| !plan.fields.is_empty()) {
                return Err(hold(format!("with fields by which {text}")));
            }
            for place in at(&plan.writes)? {
                if touched.insert(place) {
                    unasked.insert(place);
                }
                written.insert(place, Arc::clone(title));
            }
        }
        let decode = table.with_fields(fields, &unasked);
        let steps =
            plans.into_iter().map(|(_, plan)| FittedPlugin::new(table, &decode, plan)).collect();
        let (written, table_columns) = (Arc::new(written), table.columns.len());
        Ok(Self { decode: Arc::new(decode), steps, written, told, table_columns })
    }

    /// The fingerprint of its table.
    pub fn fingerprint(&self) -> &str {
        &self.told.fingerprint
    }

    /// The indices of the table's own columns.
    pub fn of_the_table(&self) -> Vec<usize> {
        (0..self.table_columns).collect()
    }
}

/// The indices of columns of the table; the error names a missing one.
fn places(table: &TablePlan, names: &[String]) -> Result<Vec<usize>, String> {
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let place = table.column_of(name).ok_or_else(|| {
            format!("with the column `{name}`, which no record of this table fills")
        })?;
        if places.contains(&place) {
            return Err(format!("with the column `{name}` twice in one list"));
        }
        places.push(place);
    }
    Ok(places)
}

/// Adds a field that is no column of the table, once for all plugins.
fn add_field(
    table: &TablePlan,
    fields: &mut Vec<ColumnPlan>,
    field: &arrow::Column,
    parts: &TypeCount,
) -> Result<(), String> {
    let arrow::Column { name, clickhouse_type } = field;
    if table.column_of(name).is_some() || name == ROW {
        return Err(format!("with the field `{name}`, which is a column: it belongs into `reads`"));
    }
    match fields.iter().find(|known| *known.name == **name) {
        Some(known) if known.type_text == *clickhouse_type => {}
        Some(known) => {
            return Err(format!(
                "with the field `{name}` as {clickhouse_type} and as {}",
                known.type_text
            ));
        }
        None => {
            let field = table.field(name, clickhouse_type, parts);
            fields.push(field.map_err(|error| format!("with the field `{name}`: {error}"))?);
        }
    }
    Ok(())
}

impl FittedPlugin {
    fn new(table: &TablePlan, decode: &TablePlan, plan: arrow::Planned) -> Self {
        let of = |names: &[String]| names.iter().filter_map(|name| table.column_of(name)).collect();
        let mut reads: Vec<usize> = of(&plan.reads);
        reads.extend(plan.fields.iter().filter_map(|field| decode.column_of(&field.name)));
        let writes: Vec<usize> = of(&plan.writes);
        let field = |at: &usize| decode.arrow.fields().get(*at).cloned();
        let row = Arc::new(Field::new(ROW, DataType::UInt32, false));
        let schema = std::iter::once(row).chain(reads.iter().filter_map(field));
        let gives = writes.iter().filter_map(field).collect();
        let schema = Arc::new(Schema::new(schema.collect::<Vec<_>>()));
        Self { schema, gives, reads, writes, planned: parts(plan) }
    }

    /// Whether another instance returned the same plan.
    pub fn is_as_planned(&self, plan: &arrow::Planned) -> bool {
        self.planned == parts(plan.clone())
    }
}

/// A plan in comparable form.
fn parts(plan: arrow::Planned) -> (Vec<String>, Vec<(String, String)>, Vec<String>) {
    let fields = plan.fields.into_iter().map(|field| (field.name, field.clickhouse_type));
    (plan.reads, fields.collect(), plan.writes)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::schema::plan::Rules;
    use crate::schema::source::ColumnSource;
    use crate::schema::table::{ColumnRow, TableSchema};

    /// A table of `id UInt64, fleet String, owner String`, of which the last two are required.
    pub fn table() -> TablePlan {
        let row = |(name, ty): (&str, &str)| ColumnRow {
            name: name.into(),
            ty: ty.into(),
            default_kind: String::new(),
            default_expression: String::new(),
        };
        let rows = [("id", "UInt64"), ("fleet", "String"), ("owner", "String")].map(row);
        let schema = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
        let required = vec!["fleet".to_owned(), "owner".to_owned()];
        TablePlan::new(&schema, &Rules { required, ..Rules::default() }).unwrap()
    }

    /// A plan, its fields as `name Type`.
    pub fn planned(reads: &[&str], fields: &[&str], writes: &[&str]) -> arrow::Planned {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let field = |field: &&str| {
            let (name, clickhouse_type) = field.split_once(' ').unwrap();
            arrow::Column { name: name.into(), clickhouse_type: clickhouse_type.into() }
        };
        arrow::Planned {
            reads: names(reads),
            fields: fields.iter().map(field).collect(),
            writes: names(writes),
        }
    }

    /// What a row may take in these tests.
    const MOST_ROW_BYTES: usize = 1_000_000;

    /// The plans of plugins `a`, `b` and so on, joined with the table.
    pub fn fit(plans: Vec<arrow::Planned>) -> Result<Fit, String> {
        let table = table();
        let told = ToldTable::new(&table).unwrap();
        let titles: [Arc<str>; 2] = ["a".into(), "b".into()];
        let plans = titles.iter().zip(plans);
        Fit::new(&table, told, plans, MOST_ROW_BYTES).map_err(|hold| hold.text().to_owned())
    }

    #[test]
    fn a_column_that_is_written_and_not_read_before_is_not_asked_of_the_record() {
        let first = planned(&["fleet"], &["vin String"], &["owner"]);
        let second = planned(&["owner"], &["vin String"], &["owner", "fleet"]);
        let fit = fit(vec![first, second]).unwrap();
        let names: Vec<_> = fit.decode.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["id", "fleet", "owner", "vin"]);
        let sources: Vec<_> = fit.decode.columns.iter().map(|column| &column.source).collect();
        assert_eq!(
            sources,
            [&ColumnSource::Name, &ColumnSource::Name, &ColumnSource::Plugin, &ColumnSource::Name]
        );
        let written: Vec<_> = fit.written.iter().map(|(at, title)| (*at, &**title)).collect();
        assert_eq!(written, [(1, "b"), (2, "b")]);
        let [a, b] = &*fit.steps else { panic!("two plugins") };
        assert_eq!((&*a.reads, &*a.writes), (&[1, 3][..], &[2][..]));
        assert_eq!((&*b.reads, &*b.writes), (&[2, 3][..], &[2, 1][..]));
        let fields: Vec<_> = b.schema.fields().iter().map(|field| &**field.name()).collect();
        assert_eq!(fields, [ROW, "owner", "vin"]);
    }

    #[test]
    fn a_plan_holds_fields_up_to_a_bound_and_is_not_told_at_any_length() {
        let fields: Vec<String> = (0..=MAX_FIELDS).map(|at| format!("f{at} String")).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert!(fit(vec![planned(&[], &fields[1..], &[])]).is_ok());
        let error = fit(vec![planned(&[], &fields, &[])]).err().unwrap();
        assert_eq!(error, "plugin `a` plans with 1001 fields; 1000 are the most");
        let error = fit(vec![planned(&[&"x".repeat(1 << 20)], &[], &[])]).err().unwrap();
        assert_eq!(error.len(), 1_000);
    }

    #[test]
    fn a_plan_whose_fields_would_take_too_much_is_refused_before_they_do() {
        let error = |fields: &[&str]| {
            let plans = vec![planned(&[], &[], &[]), planned(&[], fields, &[])];
            fit(plans).err().unwrap()
        };
        assert_eq!(
            error(&["f FixedString(2147483647)"]),
            "plugin `b` plans with fields by which a row takes 2147483675 bytes before any text; 1000000 are the \
             most (a quarter of MEMORY_BUDGET_BYTES)"
        );
        let fixed = ["f FixedString(600000)", "g FixedString(600000)"];
        assert!(fit(vec![planned(&[], &fixed[..1], &[]), planned(&[], &fixed[..1], &[])]).is_ok());
        let plans = [&fixed[..1], &fixed[1..]].map(|fields| planned(&[], fields, &[]));
        let error_of_both = fit(plans.into()).err().unwrap();
        assert!(error_of_both.starts_with("plugin `b` plans with fields"), "{error_of_both}");
        let tuple = format!("f Tuple({})", vec!["Int8"; 2_000_000].join(", "));
        assert!(error(&[&tuple]).contains("field `f`"), "{}", error(&[&tuple]));
        let text = error(&[&tuple[..100_000].replace("Tuple(", "Tuple(Int8)")]);
        assert!(text.len() <= 1_000);
        let tuple = format!("Tuple({})", vec!["Int8"; 15_000].join(", "));
        let (f, g) = (format!("f {tuple}"), format!("g {tuple}"));
        assert!(fit(vec![planned(&[], &[&f], &[])]).is_ok());
        let text = error(&[&f, &g]);
        assert!(text.contains("plugin `b`") && text.contains("`g`"), "{text}");
        assert!(text.contains("more than 20000"), "{text}");
    }

    #[test]
    fn what_is_planned_and_not_there_is_named_with_its_plugin() {
        let error = |plan| fit(vec![planned(&[], &[], &[]), plan]).err().unwrap();
        insta::assert_snapshot!(
            [
                error(planned(&["onwer"], &[], &[])),
                error(planned(&[], &[], &["id", "id"])),
                error(planned(&[], &["id UInt64"], &[])),
                error(planned(&[], &["vin Strin"], &[])),
                error(planned(&[], &["vin String", "vin UUID"], &[])),
            ]
            .join("\n"),
            @"
        plugin `b` plans with the column `onwer`, which no record of this table fills
        plugin `b` plans with the column `id` twice in one list
        plugin `b` plans with the field `id`, which is a column: it belongs into `reads`
        plugin `b` plans with the field `vin`: type `Strin` is not supported
        plugin `b` plans with the field `vin` as UUID and as String
        "
        );
    }
}
