//! Check: rules on absent and null fields for every column, and rules on values for the columns that hooks wrote.

mod nested;
mod values;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, new_null_array,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_schema::{ArrowError, DataType};
use arrow_select::filter::filter_record_batch;

use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Reason, Rejection, Stage};
use crate::flow::rows::{Checked, JudgeText, Rows};
use crate::json_order::{Clash, JsonColumns, clashes};
use crate::schema::plan::{ColumnPlan, TablePlan, WhenAbsent, WhenNull};
use crate::schema::source::escaped;

/// Applies the rules. A record loses all of its rows if one of them breaks a rule or did not decode, or if it violates
/// the user's schema, unless a hook dropped it. If a record has several faults, the first wins: decode, then rules,
/// then the user's schema. `judge_text` judges the texts that hooks wrote.
pub fn check(
    plan: &TablePlan,
    rows: Rows,
    violations: Vec<Rejection>,
    judge_text: JudgeText,
) -> Checked {
    let Rows { batch, origins, mut absent, rejections, mut dropped, written, noticed } = rows;
    absent.sort_unstable();
    let mut refused: HashMap<Origin, Rejection> = HashMap::with_capacity(rejections.len());
    for rejection in rejections {
        refused.entry(rejection.origin).or_insert(rejection);
    }
    let (mut defaulted, mut refused_rows) = (Vec::new(), Vec::new());
    let mut columns = batch.columns().to_vec();
    for (at, plugin) in written.iter() {
        let (Some(column), Some(plan)) = (columns.get_mut(*at), plan.columns.get(*at)) else {
            continue;
        };
        for (row, fault) in values::judge_values(column, plan, judge_text) {
            let Some(origin) = origins.get(row) else { continue };
            let stage = Stage::Check(Some(Arc::clone(plugin)));
            let rejection = || Rejection { origin: *origin, stage, fault };
            refuse(&mut refused, &mut refused_rows, (*origin, row), rejection);
        }
    }
    for (at, (column, plan)) in columns.iter().zip(&plan.columns).enumerate() {
        let Some(objects) = JsonColumns::of(std::iter::once((column, &plan.ty))) else { continue };
        for (origin, clash) in clashes(&objects, &origins) {
            let plugin = written.get(&at).cloned();
            refused.entry(origin).or_insert_with(|| clashing(origin, plugin, plan, clash));
        }
    }
    for (at, (column, plan)) in columns.iter_mut().zip(&plan.columns).enumerate() {
        let Some(nulls) = column.logical_nulls().filter(|nulls| nulls.null_count() > 0) else {
            continue;
        };
        if plan.is_required || plan.when_null == WhenNull::Reject {
            let plugin = written.get(&at);
            let may_be_absent = !plan.is_required && plugin.is_none();
            let mut left = 0;
            for row in (!nulls.inner()).set_indices() {
                let Some(origin) = origins.get(row).copied() else { continue };
                let is_absent = absent.binary_search(&(at, row)).is_ok();
                if is_absent && may_be_absent {
                    left += 1;
                    continue;
                }
                let is_missing = plan.is_required && is_absent;
                let rejection = || rejection(origin, plugin.cloned(), plan, is_missing);
                refuse(&mut refused, &mut refused_rows, (origin, row), rejection);
            }
            if left > 0 {
                defaulted.push((at, left));
                if let WhenAbsent::Text(text) = &plan.when_absent {
                    *column = filled(column, &nulls, &WhenNull::Label(Arc::clone(text)), plan);
                }
            }
            continue;
        }
        if plan.when_null != WhenNull::Keep {
            defaulted.push((at, nulls.null_count()));
        }
        *column = filled(column, &nulls, &plan.when_null, plan);
    }
    for structure in &plan.nested {
        let is_absent = |at: usize, row: usize| {
            !written.contains_key(&at) && absent.binary_search(&(at, row)).is_ok()
        };
        for (row, fault) in nested::settle_lengths(plan, &mut columns, structure, is_absent) {
            let Some(origin) = origins.get(row).copied() else { continue };
            let plugin = structure.iter().find_map(|at| written.get(at).cloned());
            let stage = Stage::Check(plugin);
            let rejection = || Rejection { origin, stage, fault };
            refuse(&mut refused, &mut refused_rows, (origin, row), rejection);
        }
    }
    let gone: HashSet<Origin> = dropped.iter().copied().collect();
    for violation in violations.into_iter().filter(|violation| !gone.contains(&violation.origin)) {
        refused.entry(violation.origin).or_insert(violation);
    }
    let filled = RecordBatch::try_new(Arc::clone(&plan.arrow), columns);
    let kept = filled.and_then(|batch| withdraw(batch, origins, &refused));
    let (batch, origins) = match kept {
        Ok(kept) => kept,
        Err(error) => unreachable!("columns and plan differ: {error}"),
    };
    let mut rejections: Vec<Rejection> = refused.into_values().collect();
    rejections.sort_by_key(|rejection| rejection.origin);
    dropped.retain(|origin| rejections.binary_search_by_key(origin, |r| r.origin).is_err());
    Checked { batch, origins, rejections, refused_rows, dropped, defaulted, noticed }
}

/// Refuses a record because of one of its rows, unless it is already refused.
fn refuse(
    refused: &mut HashMap<Origin, Rejection>,
    rows: &mut Vec<(Origin, usize)>,
    (origin, row): (Origin, usize),
    rejection: impl FnOnce() -> Rejection,
) {
    if let Entry::Vacant(vacant) = refused.entry(origin) {
        vacant.insert(rejection());
        rows.push((origin, row));
    }
}

/// Removes every row of the refused records.
fn withdraw(
    batch: RecordBatch,
    origins: Vec<Origin>,
    refused: &HashMap<Origin, Rejection>,
) -> Result<(RecordBatch, Vec<Origin>), ArrowError> {
    if refused.is_empty() {
        return Ok((batch, origins));
    }
    debug_assert!(origins.is_sorted(), "rows stand in the order of their records");
    let mut keep = BooleanBufferBuilder::new(origins.len());
    keep.append_n(origins.len(), true);
    for origin in refused.keys() {
        let start = origins.partition_point(|of| of < origin);
        let end = origins.partition_point(|of| of <= origin);
        (start..end).for_each(|row| keep.set_bit(row, false));
    }
    let keep = BooleanArray::from(keep.finish());
    if keep.false_count() == 0 {
        return Ok((batch, origins));
    }
    let kept = keep.values().set_indices().filter_map(|row| origins.get(row).copied()).collect();
    Ok((filter_record_batch(&batch, &keep)?, kept))
}

/// Replaces the rows that are `true` with the empty value of the column's type.
fn emptied(column: &ArrayRef, rows: &BooleanArray, plan: &ColumnPlan) -> ArrayRef {
    let filled = empty(column)
        .and_then(|one| arrow_select::zip::zip(rows, &arrow_array::Scalar::new(one), column));
    match filled {
        Ok(filled) => filled,
        Err(error) => unreachable!("column `{}`: {error}", plan.name),
    }
}

/// [`fill`] for a column of the plan.
fn filled(
    column: &ArrayRef,
    nulls: &NullBuffer,
    when_null: &WhenNull,
    plan: &ColumnPlan,
) -> ArrayRef {
    match fill(column, nulls, when_null) {
        Ok(filled) => filled,
        // The column's type is the plan's, and so is the rule for it.
        Err(error) => unreachable!("column `{}`: {error}", plan.name),
    }
}

/// Replaces nulls with the rule's value, if it has one; otherwise the server fills them.
fn fill(
    column: &ArrayRef,
    nulls: &NullBuffer,
    when_null: &WhenNull,
) -> Result<ArrayRef, ArrowError> {
    let fill = match when_null {
        WhenNull::Epoch => empty(column)?,
        WhenNull::Label(label) => text(column, label)?,
        WhenNull::Keep | WhenNull::ServerDefault | WhenNull::Reject => {
            return Ok(Arc::clone(column));
        }
    };
    let is_valid = BooleanArray::new(nulls.inner().clone(), None);
    arrow_select::zip::zip(&is_valid, column, &arrow_array::Scalar::new(fill))
}

/// The zero of the column's type, such as 1970-01-01 00:00:00 or an empty array.
fn empty(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let zero = new_null_array(column.data_type(), 1).to_data().into_builder().nulls(None);
    Ok(arrow_array::make_array(zero.build()?))
}

fn text(column: &ArrayRef, label: &str) -> Result<ArrayRef, ArrowError> {
    let Some(labels) = column.as_dictionary_opt::<Int32Type>() else {
        if column.data_type() == &DataType::Binary {
            return Ok(Arc::new(BinaryArray::from(vec![label.as_bytes()])));
        }
        return Ok(Arc::new(StringArray::from(vec![label])));
    };
    let values = labels.values();
    let at = values.as_string_opt::<i32>().and_then(|values| {
        values.iter().position(|value| value == Some(label)).and_then(|at| i32::try_from(at).ok())
    });
    let at = at.ok_or_else(|| ArrowError::InvalidArgumentError(format!("no label `{label}`")))?;
    let keys = arrow_array::Int32Array::from(vec![at]);
    Ok(Arc::new(arrow_array::DictionaryArray::try_new(keys, Arc::clone(values))?))
}

fn rejection(
    origin: Origin,
    plugin: Option<Arc<str>>,
    plan: &ColumnPlan,
    is_absent: bool,
) -> Rejection {
    let fault = Fault {
        reason: if is_absent { Reason::MissingColumn } else { Reason::NullNotAllowed },
        column: Some(Arc::clone(&plan.name)),
        pointer: format!("/{}", escaped(&plan.name)),
        expected: match plan.is_required {
            true => format!("a value of {} (REQUIRED_COLUMNS)", plan.type_text),
            false => format!("a value of {}: a null has no default there", plan.type_text),
        },
        got_kind: if is_absent { "nothing" } else { "null" },
        got: String::new(),
    };
    Rejection { origin, stage: Stage::Check(plugin), fault }
}

/// Rejects a record in which ClickHouse would change one JSON value because of another.
fn clashing(
    origin: Origin,
    plugin: Option<Arc<str>>,
    plan: &ColumnPlan,
    clash: Clash,
) -> Rejection {
    let (reason, expected) = match clash {
        Clash::Integer => (
            Reason::OutOfRange,
            "no integer beyond 2^53 behind a fraction at the same path: ClickHouse makes it a float",
        ),
        Clash::Null => (
            Reason::TypeMismatch,
            "no null in an array behind one of arrays or objects at the same path: ClickHouse makes it \
             an empty one",
        ),
    };
    let fault = Fault {
        reason,
        column: Some(Arc::clone(&plan.name)),
        pointer: format!("/{}", escaped(&plan.name)),
        expected: expected.to_owned(),
        got_kind: "both",
        got: String::new(),
    };
    Rejection { origin, stage: Stage::Check(plugin), fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::rows::Noticed;
    use crate::schema::plan::Rules;
    use crate::schema::table::{ColumnRow, TableSchema};

    /// Rows of one column `c`; `None` is a null.
    fn rows(ty: &str, default: &str, rules: &Rules, column: ArrayRef) -> (TablePlan, Rows) {
        let row = ColumnRow {
            name: "c".into(),
            ty: ty.into(),
            default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
            default_expression: default.into(),
        };
        let schema = TableSchema::from_rows("d", "t", "UTC", [row]).unwrap();
        let plan = TablePlan::new(&schema, rules).unwrap();
        let origins = (0..).take(column.len()).collect();
        let batch = RecordBatch::try_new(Arc::clone(&plan.arrow), vec![column]).unwrap();
        let (absent, rejections, dropped) = (vec![], vec![], vec![]);
        let (written, noticed) = (Arc::default(), Noticed::default());
        (plan, Rows { batch, origins, absent, rejections, dropped, written, noticed })
    }

    /// Checks rows without texts of a hook.
    fn check_read(plan: &TablePlan, rows: Rows) -> Checked {
        check(plan, rows, vec![], |_, _, _| unreachable!("no hook wrote"))
    }

    fn texts(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    fn only_c() -> Vec<String> {
        vec!["c".into()]
    }

    #[test]
    fn a_required_column_tells_an_absent_field_from_a_null_one() {
        let rules = Rules { required: only_c(), ..Rules::default() };
        let column = texts(&[Some("a"), None, None]);
        let (plan, mut rows) = rows("Nullable(String)", "", &rules, column);
        rows.absent = vec![(0, 2)];
        let checked = check_read(&plan, rows);
        let reasons: Vec<_> =
            checked.rejections.iter().map(|r| (r.origin, r.fault.reason)).collect();
        assert_eq!(reasons, [(1, Reason::NullNotAllowed), (2, Reason::MissingColumn)]);
        assert_eq!((checked.origins, checked.batch.num_rows()), (vec![0], 1));
    }

    #[test]
    fn one_refused_row_withdraws_every_row_of_its_record() {
        let rules = Rules { required: only_c(), ..Rules::default() };
        let column = texts(&[Some("a"), None, Some("b"), Some("c")]);
        let (plan, mut rows) = rows("String", "", &rules, column);
        rows.origins = vec![4, 4, 4, 5];
        let checked = check_read(&plan, rows);
        assert_eq!((checked.rejections.len(), checked.origins), (1, vec![5]));
    }

    #[test]
    fn a_record_whose_rows_did_not_all_decode_is_rejected_once_and_whole() {
        let column = texts(&[Some("a"), Some("b"), Some("c")]);
        let (plan, mut rows) = rows("String", "", &Rules::default(), column);
        rows.origins = vec![4, 4, 5];
        let first = rejection(4, None, &plan.columns[0], false);
        let second = rejection(4, None, &plan.columns[0], true);
        rows.rejections = vec![first.clone(), second];
        let checked = check_read(&plan, rows);
        assert_eq!((checked.rejections, checked.origins), (vec![first], vec![5]));
    }

    #[test]
    fn a_refused_value_or_null_that_a_plugin_wrote_names_the_plugin() {
        let rules = Rules { required: only_c(), ..Rules::default() };
        let column = arrow_array::Date32Array::from(vec![Some(0), Some(-1), None]);
        let (plan, mut rows) = rows("Date", "", &rules, Arc::new(column));
        rows.written = Arc::new([(0, Arc::from("p 1.0"))].into());
        let checked = check_read(&plan, rows);
        let stages = checked.rejections.iter().map(|rejection| &rejection.stage);
        let named: Vec<_> = stages.map(|stage| (stage.name(), stage.plugin())).collect();
        assert_eq!(named, [("check", Some("p 1.0")); 2]);
        assert_eq!(checked.origins, [0]);
    }

    #[test]
    fn a_violation_of_a_record_that_a_hook_dropped_is_none() {
        let (plan, mut rows) = rows("String", "", &Rules::default(), texts(&[Some("a")]));
        rows.dropped = vec![7];
        let mut violation = rejection(7, None, &plan.columns[0], false);
        violation.fault.reason = Reason::SchemaViolation;
        let checked = check(&plan, rows, vec![violation], |_, _, _| unreachable!("no hook wrote"));
        assert_eq!((checked.rejections, checked.dropped), (vec![], vec![7]));
    }

    #[test]
    fn a_violation_counts_only_where_nothing_else_is_wrong() {
        let rules = Rules { required: only_c(), ..Rules::default() };
        let column = texts(&[Some("a"), None, Some("b")]);
        let (plan, rows) = rows("String", "", &rules, column);
        let violation = |origin| {
            let mut violation = rejection(origin, None, &plan.columns[0], false);
            violation.fault.reason = Reason::SchemaViolation;
            violation
        };
        let violations = vec![violation(0), violation(0), violation(1)];
        let checked = check(&plan, rows, violations, |_, _, _| unreachable!("no hook wrote"));
        let reasons: Vec<_> =
            checked.rejections.iter().map(|r| (r.origin, r.fault.reason)).collect();
        assert_eq!(reasons, [(0, Reason::SchemaViolation), (1, Reason::NullNotAllowed)]);
        assert_eq!(checked.origins, [2]);
    }

    #[test]
    fn a_null_takes_the_label_that_its_rule_names() {
        let rules = Rules { string_enum: only_c(), ..Rules::default() };
        let (plan, rows) = rows("String", "", &rules, texts(&[None, Some("a")]));
        let checked = check_read(&plan, rows);
        let values: Vec<_> = checked.batch.column(0).as_string::<i32>().iter().collect();
        assert_eq!(values, [Some("DEFAULT"), Some("a")]);
        assert_eq!(checked.defaulted, [(0, 1)]);
    }

    #[test]
    fn a_null_enum_takes_its_literal_default_or_is_refused() {
        let labels: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let keys = arrow_array::Int32Array::from(vec![Some(0), None]);
        let column: ArrayRef =
            Arc::new(arrow_array::DictionaryArray::try_new(keys, labels).unwrap());
        let ty = "Enum8('x' = 1, 'y' = 2)";
        let (plan, with_default) = rows(ty, "'y'", &Rules::default(), Arc::clone(&column));
        let checked = check_read(&plan, with_default);
        let filled = checked.batch.column(0).as_dictionary::<Int32Type>().clone();
        let filled = filled.downcast_dict::<StringArray>().unwrap();
        assert_eq!(filled.into_iter().collect::<Vec<_>>(), [Some("x"), Some("y")]);

        let (plan, without) = rows(ty, "", &Rules::default(), column);
        let checked = check_read(&plan, without);
        assert_eq!(checked.rejections[0].fault.reason, Reason::NullNotAllowed);
        assert_eq!(checked.origins, [0]);
    }

    #[test]
    fn an_absent_field_is_no_fault_where_a_null_is_one() {
        let labels: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let keys = arrow_array::Int32Array::from(vec![Some(1), None, None]);
        let column: ArrayRef =
            Arc::new(arrow_array::DictionaryArray::try_new(keys, labels).unwrap());
        let ty = "Enum8('x' = 1, 'y' = 2)";
        let (plan, mut absent) = rows(ty, "", &Rules::default(), Arc::clone(&column));
        absent.absent = vec![(0, 2)];
        let checked = check_read(&plan, absent);
        let filled = checked.batch.column(0).as_dictionary::<Int32Type>().clone();
        let filled = filled.downcast_dict::<StringArray>().unwrap();
        assert_eq!(filled.into_iter().collect::<Vec<_>>(), [Some("y"), Some("x")]);
        assert_eq!((checked.origins, checked.defaulted), (vec![0, 2], vec![(0, 1)]));
        assert_eq!(checked.rejections[0].fault.reason, Reason::NullNotAllowed);

        let rules = Rules { required: only_c(), ..Rules::default() };
        let (plan, mut absent) = rows(ty, "", &rules, column);
        absent.absent = vec![(0, 2)];
        assert_eq!(check_read(&plan, absent).origins, [0]);
    }

    #[test]
    fn a_null_of_one_row_is_no_absent_field_of_another_row_of_its_record() {
        let labels: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let keys = arrow_array::Int32Array::from(vec![None, None, None]);
        let column: ArrayRef =
            Arc::new(arrow_array::DictionaryArray::try_new(keys, labels).unwrap());
        let ty = "Enum8('x' = 1, 'y' = 2)";
        let (plan, mut rows) = rows(ty, "", &Rules::default(), column);
        rows.origins = vec![4, 4, 5];
        rows.absent = vec![(0, 0), (0, 2)];
        let checked = check_read(&plan, rows);
        assert_eq!((checked.rejections.len(), checked.origins), (1, vec![5]));
        let rejection = &checked.rejections[0];
        assert_eq!((rejection.origin, rejection.fault.reason), (4, Reason::NullNotAllowed));
    }

    /// The lengths of each array row by row; `None` is a null.
    type Lengths = Vec<Vec<Option<usize>>>;

    /// The row-by-row lengths of two arrays of one structure, and what is absent; `None` is a null.
    fn siblings(
        lengths: [&[Option<usize>]; 2],
        default: &str,
        absent: &[(usize, usize)],
    ) -> (Vec<(Origin, String)>, Lengths) {
        let row = |name: &str, default: &str| ColumnRow {
            name: name.into(),
            ty: "Array(Int8)".into(),
            default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
            default_expression: default.into(),
        };
        let columns = [row("n.a", ""), row("n.b", default)];
        let schema = TableSchema::from_rows("d", "t", "UTC", columns).unwrap();
        let plan = TablePlan::new(&schema, &Rules::default()).unwrap();
        let list = |lengths: &&[Option<usize>]| -> ArrayRef {
            let one = |length: &Option<usize>| length.map(|length| vec![Some(1); length]);
            let lists = lengths.iter().map(one);
            Arc::new(arrow_array::ListArray::from_iter_primitive::<
                arrow_array::types::Int8Type,
                _,
                _,
            >(lists))
        };
        let arrays: Vec<ArrayRef> = lengths.iter().map(list).collect();
        let cast = |(array, field): (&ArrayRef, &arrow_schema::FieldRef)| {
            let data = array.to_data().into_builder().data_type(field.data_type().clone());
            arrow_array::make_array(data.build().unwrap())
        };
        let arrays = arrays.iter().zip(plan.arrow.fields()).map(cast).collect();
        let batch = RecordBatch::try_new(Arc::clone(&plan.arrow), arrays).unwrap();
        let (origins, absent) = ((0..).take(batch.num_rows()).collect(), absent.to_vec());
        let (written, noticed) = (Arc::default(), Noticed::default());
        let (rejections, dropped) = (vec![], vec![]);
        let rows = Rows { batch, origins, absent, rejections, dropped, written, noticed };
        let checked = check_read(&plan, rows);
        let told = |rejection: &Rejection| (rejection.origin, rejection.fault.to_string());
        let lengths = |column: &ArrayRef| {
            let lists = column.as_list::<i32>().iter();
            lists.map(|list| list.map(|list| list.len())).collect()
        };
        let columns = checked.batch.columns().iter().map(lengths).collect();
        (checked.rejections.iter().map(told).collect(), columns)
    }

    #[test]
    fn arrays_of_one_structure_have_equal_lengths_or_reject_the_record() {
        let (rejections, lengths) =
            siblings([&[Some(2), Some(2), None], &[Some(2), Some(3), Some(1)]], "", &[]);
        let text = |length, other: usize| {
            format!("column `n.b`: expected as many elements as `n.a` has, {other}, got {length}")
        };
        assert_eq!(rejections, [(1, text(3, 2)), (2, text(1, 0))]);
        assert_eq!(lengths, [[Some(2)], [Some(2)]]);
    }

    #[test]
    fn what_is_absent_beside_elements_is_left_to_the_server_and_is_empty_otherwise() {
        let (none, empty) = (None, Some(0));
        let a = [Some(2), empty, none, none, none];
        let b = [none, none, none, none, empty];
        let absent = [(1, 0), (1, 1), (0, 2), (1, 2), (1, 3), (0, 4)];
        let (rejections, lengths) = siblings([&a, &b], "", &absent);
        assert_eq!(rejections, []);
        assert_eq!(lengths[0], [Some(2), empty, empty, empty, empty]);
        assert_eq!(lengths[1], [none, none, none, none, empty], "for all rows that lack it");
        let (_, lengths) = siblings([&a[1..], &b[1..]], "", &[(1, 0), (0, 1), (1, 1), (1, 2)]);
        assert_eq!(lengths, [[empty; 4]; 2]);
        // The server computes a DEFAULT.
        let default = "arrayMap(x -> 7, `n.a`)";
        let (rejections, lengths) =
            siblings([&a[1..3], &b[1..3]], default, &[(1, 0), (1, 1), (0, 1)]);
        assert_eq!(rejections, []);
        assert_eq!(lengths, [[empty, empty], [none, none]]);
    }

    #[test]
    fn an_epoch_takes_the_place_of_a_null_and_nothing_else() {
        let rules = Rules { datetime: only_c(), ..Rules::default() };
        let column = arrow_array::TimestampSecondArray::from(vec![None, Some(7)]);
        let (plan, rows) = rows("DateTime", "now()", &rules, Arc::new(column));
        let checked = check_read(&plan, rows);
        let values =
            checked.batch.column(0).as_primitive::<arrow_array::types::TimestampSecondType>();
        assert_eq!(values.iter().collect::<Vec<_>>(), [Some(0), Some(7)]);
    }

    #[test]
    fn a_value_that_another_of_its_record_would_change_rejects_it() {
        let column = texts(&[
            Some(r#"{"a":[{"b":[0.5]},{"b":[9007199254740993]}]}"#),
            Some(r#"{"a":[9007199254740993]}"#),
            Some(r#"{"a":[[[1]],[null]]}"#),
        ]);
        let (plan, rows) = rows("JSON", "", &Rules::default(), column);
        let checked = check_read(&plan, rows);
        let found: Vec<_> = checked.rejections.iter().map(|r| (r.origin, r.fault.reason)).collect();
        assert_eq!(found, [(0, Reason::OutOfRange), (2, Reason::TypeMismatch)]);
        assert_eq!(checked.origins, [1]);
    }

    #[test]
    fn other_nulls_go_out_for_the_server_to_default() {
        let column = arrow_array::Int8Array::from(vec![None, Some(7)]);
        let (plan, rows) = rows("Int8", "", &Rules::default(), Arc::new(column));
        let checked = check_read(&plan, rows);
        assert_eq!(checked.batch.column(0).null_count(), 1);
        assert_eq!(checked.defaulted, [(0, 1)]);
    }
}
