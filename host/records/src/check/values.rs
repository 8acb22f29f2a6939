//! Checks what a hook wrote against the column's type. The Arrow type alone allows values that the server would cut,
//! wrap, or refuse a whole batch for.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Int32Type, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, Int32Array, StringArray, UnionArray,
    make_array,
};
use arrow_buffer::{OffsetBuffer, i256};
use arrow_cmp::make_comparator;
use arrow_schema::{ArrowError, DataType, SortOptions, TimeUnit};

use crate::flow::rejection::{Fault, Reason};
use crate::flow::rows::JudgeText;
use crate::schema::plan::{ColumnPlan, ValueRules};
use crate::schema::ranges::fits;
use crate::schema::types::{Kind, Type};

/// Most characters of a value that a fault shows.
const GOT_CHARS: usize = 128;

/// A value that its column does not hold, and its row.
struct MisfitValue {
    row: usize,
    reason: Reason,
    got: String,
}

/// The faults of a column, each with its row. Replaces the label list of an Enum with the column's own, whatever list
/// the plugin kept.
pub fn judge_values(
    column: &mut ArrayRef,
    plan: &ColumnPlan,
    judge_text: JudgeText,
) -> Vec<(usize, Fault)> {
    let misfits = Judge { rules: plan.values, judge_text }.look(column, &plan.ty);
    let rewritten =
        with_labels(column, &plan.ty).and_then(|column| match plan.ty.holds(Kind::is_union) {
            true => without_hidden_nulls(&column),
            false => Ok(column),
        });
    *column = match rewritten {
        Ok(column) => column,
        // The column and its parts have the plan's types.
        Err(error) => unreachable!("column `{}`: {error}", plan.name),
    };
    misfits.iter().map(|misfit| (misfit.row, fault(misfit, plan))).collect()
}

fn fault(misfit: &MisfitValue, plan: &ColumnPlan) -> Fault {
    Fault {
        reason: misfit.reason,
        column: Some(Arc::clone(&plan.name)),
        pointer: String::new(),
        expected: format!("a value of {} from the plugin that writes it", plan.type_text),
        got_kind: if misfit.reason == Reason::NullNotAllowed { "null" } else { "" },
        got: misfit.got.chars().take(GOT_CHARS).collect(),
    }
}

struct Judge {
    rules: ValueRules,
    judge_text: JudgeText,
}

impl Judge {
    /// The misfits of an array, without its own nulls: they have rules of their own.
    fn look(&self, array: &ArrayRef, ty: &Type) -> Vec<MisfitValue> {
        match (&ty.kind, array.data_type()) {
            (_, DataType::Utf8) if ty.is_text || ty.kind.is_json() => self.texts(array, ty),
            (Kind::Date | Kind::Date32, _) => times::<Date32Type>(array, &ty.kind),
            (Kind::DateTime { .. } | Kind::DateTime64 { .. }, DataType::Timestamp(unit, _)) => {
                match unit {
                    TimeUnit::Second => times::<TimestampSecondType>(array, &ty.kind),
                    TimeUnit::Millisecond => times::<TimestampMillisecondType>(array, &ty.kind),
                    TimeUnit::Microsecond => times::<TimestampMicrosecondType>(array, &ty.kind),
                    TimeUnit::Nanosecond => times::<TimestampNanosecondType>(array, &ty.kind),
                }
            }
            (Kind::Time, _) => times::<Int32Type>(array, &ty.kind),
            (Kind::Time64 { .. }, DataType::Time64(TimeUnit::Microsecond)) => {
                times::<Time64MicrosecondType>(array, &ty.kind)
            }
            (Kind::Time64 { .. }, _) => times::<Time64NanosecondType>(array, &ty.kind),
            // The server would cut off the lower half of a Float32.
            (Kind::BFloat16, _) => numbers::<Float32Type>(array, Reason::OutOfRange, |value| {
                value.to_bits().trailing_zeros() >= 16
            }),
            (Kind::Decimal { precision, .. }, DataType::Decimal128(..)) => {
                let bound = 10_i128.pow(u32::from(*precision));
                let fits = |value| -bound < value && value < bound;
                numbers::<Decimal128Type>(array, Reason::BadDecimal, fits)
            }
            (Kind::Decimal { precision, .. }, _) => {
                let bound = i256::from_i128(10).wrapping_pow(u32::from(*precision));
                let fits = |value| bound.wrapping_neg() < value && value < bound;
                numbers::<Decimal256Type>(array, Reason::BadDecimal, fits)
            }
            (Kind::Enum(labels, _), _) => unknown_labels(array, labels),
            (Kind::Array(element), _) => array.as_list_opt::<i32>().map_or_else(Vec::new, |list| {
                in_rows(array, list.offsets(), self.parts(list.values(), element))
            }),
            (Kind::Map(key, value), _) => array.as_map_opt().map_or_else(Vec::new, |map| {
                let mut inner = self.parts(map.keys(), key);
                inner.extend(self.parts(map.values(), value));
                inner.extend(repeated(map.keys(), map.offsets()));
                in_rows(array, map.offsets(), inner)
            }),
            (Kind::Tuple(elements), _) => array.as_struct_opt().map_or_else(Vec::new, |tuple| {
                let columns = tuple.columns().iter().zip(elements.iter());
                let inner = columns.flat_map(|(column, element)| self.parts(column, &element.ty));
                inner.filter(|misfit| array.is_valid(misfit.row)).collect()
            }),
            (Kind::Variant(members) | Kind::Dynamic(members), _) => {
                array.as_union_opt().map_or_else(Vec::new, |union| self.members(union, members))
            }
            _ => Vec::new(),
        }
    }

    /// The misfits of a part of a value, forbidden nulls among them.
    fn parts(&self, array: &ArrayRef, ty: &Type) -> Vec<MisfitValue> {
        let mut misfits = self.look(array, ty);
        let nulls = array.logical_nulls().filter(|n| !ty.is_nullable && n.null_count() > 0);
        if let Some(nulls) = nulls {
            let reason = Reason::NullNotAllowed;
            let rows = nulls.iter().enumerate().filter(|(_, is_valid)| !is_valid);
            misfits.extend(rows.map(|(row, _)| MisfitValue { row, reason, got: String::new() }));
        }
        misfits
    }

    /// The misfits of the members that hold the values; a null is a member of its own.
    fn members(&self, union: &UnionArray, members: &[Type]) -> Vec<MisfitValue> {
        let ids = union.type_ids();
        let of = |(id, ty): (i8, &Type)| {
            let misfits = self.parts(union.child(id), ty).into_iter();
            misfits.filter(move |misfit| ids.get(misfit.row) == Some(&id))
        };
        (0..).zip(members).flat_map(of).collect()
    }

    fn texts(&self, array: &ArrayRef, ty: &Type) -> Vec<MisfitValue> {
        let Some(texts) = array.as_string_opt::<i32>() else { return Vec::new() };
        let misfit = |(row, text): (usize, Option<&str>)| {
            let fault = (self.judge_text)(ty, self.rules, text?).err()?;
            Some(MisfitValue { row, reason: fault.reason, got: fault.got })
        };
        texts.iter().enumerate().filter_map(misfit).collect()
    }
}

/// Maps misfits of elements to the rows that hold them; skips elements that no row holds.
fn in_rows(
    array: &ArrayRef,
    offsets: &OffsetBuffer<i32>,
    inner: Vec<MisfitValue>,
) -> Vec<MisfitValue> {
    let row_of = |misfit: MisfitValue| {
        let at = i32::try_from(misfit.row).ok()?;
        let row = offsets.partition_point(|offset| *offset <= at).checked_sub(1)?;
        (row < array.len() && array.is_valid(row)).then_some(MisfitValue { row, ..misfit })
    };
    inner.into_iter().filter_map(row_of).collect()
}

fn numbers<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    reason: Reason,
    fits: impl Fn(T::Native) -> bool,
) -> Vec<MisfitValue> {
    let Some(values) = array.as_primitive_opt::<T>() else { return Vec::new() };
    let rows = values.iter().enumerate();
    rows.filter_map(|(row, value)| value.filter(|value| !fits(*value)).map(|value| (row, value)))
        .map(|(row, value)| MisfitValue { row, reason, got: format!("{value:?}") })
        .collect()
}

fn times<T: ArrowPrimitiveType>(array: &ArrayRef, kind: &Kind) -> Vec<MisfitValue>
where
    T::Native: Into<i64>,
{
    numbers::<T>(array, Reason::BadDatetime, |value| fits(kind, value.into()))
}

fn unknown_labels(array: &ArrayRef, labels: &[Box<str>]) -> Vec<MisfitValue> {
    let places = places(array, labels);
    let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else { return Vec::new() };
    let values = dictionary.values().as_string_opt::<i32>();
    let keys = dictionary.keys().iter().enumerate();
    let unknown = keys.filter_map(|(row, key)| {
        let key = usize::try_from(key?).ok()?;
        let is_known = places.get(key).is_none_or(Option::is_some);
        let got = values.filter(|values| values.is_valid(key)).map(|values| values.value(key));
        (!is_known).then(|| MisfitValue {
            row,
            reason: Reason::UnknownLabel,
            got: got.unwrap_or_default().to_owned(),
        })
    });
    unknown.collect()
}

/// The index of each dictionary label among the column's labels; `None` for a null, which is no misfit.
fn places(array: &ArrayRef, labels: &[Box<str>]) -> Vec<Option<i32>> {
    let dictionary = array.as_dictionary_opt::<Int32Type>();
    let values = dictionary.and_then(|dictionary| dictionary.values().as_string_opt::<i32>());
    let place = |label: Option<&str>| {
        let at = labels.iter().position(|known| Some(&**known) == label)?;
        i32::try_from(at).ok()
    };
    values.map_or_else(Vec::new, |values| values.iter().map(place).collect())
}

/// The column with its own label list in every Enum, at any depth. An unknown label becomes the first one: its row is
/// refused, or no row holds it.
fn with_labels(array: &ArrayRef, ty: &Type) -> Result<ArrayRef, ArrowError> {
    let elements: Vec<&Type> = match &ty.kind {
        Kind::Enum(labels, _) => return Ok(relabelled(array, labels)),
        Kind::Array(element) => vec![element],
        Kind::Map(key, value) => vec![key, value],
        Kind::Tuple(elements) => elements.iter().map(|element| &element.ty).collect(),
        _ => return Ok(Arc::clone(array)),
    };
    let data = array.to_data();
    // A map holds its keys and values in one child.
    let is_map = matches!(ty.kind, Kind::Map(..));
    let holder = if is_map { data.child_data().first().cloned() } else { Some(data.clone()) };
    let Some(holder) = holder else { return Ok(Arc::clone(array)) };
    let children = holder.child_data().iter().zip(elements);
    let children = children
        .map(|(child, ty)| Ok(with_labels(&make_array(child.clone()), ty)?.to_data()))
        .collect::<Result<Vec<_>, ArrowError>>()?;
    let holder = holder.into_builder().child_data(children).build()?;
    let whole = match is_map {
        true => data.into_builder().child_data(vec![holder]).build()?,
        false => holder,
    };
    Ok(make_array(whole))
}

/// Replaces nulls with zeros in parts declared non-nullable. In a Variant these belong to rows in which another member
/// holds the value, and the server refuses them all the same.
fn without_hidden_nulls(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data();
    let told: Vec<bool> = match data.data_type() {
        DataType::Struct(fields) => fields.iter().map(|field| field.is_nullable()).collect(),
        _ => vec![true; data.child_data().len()],
    };
    let children = data.child_data().iter().zip(told).map(|(child, is_nullable)| {
        let child = without_hidden_nulls(&make_array(child.clone()))?.to_data();
        match is_nullable {
            true => Ok(child),
            false => child.into_builder().nulls(None).build(),
        }
    });
    let children = children.collect::<Result<Vec<_>, ArrowError>>()?;
    Ok(make_array(data.into_builder().child_data(children).build()?))
}

fn relabelled(array: &ArrayRef, labels: &[Box<str>]) -> ArrayRef {
    let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else {
        return Arc::clone(array);
    };
    let places = places(array, labels);
    let is_null = |key| dictionary.values().is_null(key);
    let place = |key: Option<i32>| {
        let key = usize::try_from(key?).ok()?;
        places.get(key)?.or_else(|| (!is_null(key)).then_some(0))
    };
    let keys: Int32Array = dictionary.keys().iter().map(place).collect();
    let labels = StringArray::from_iter_values(labels.iter());
    // Every key is an index among the labels.
    Arc::new(DictionaryArray::new(keys, Arc::new(labels)))
}

/// Keys that occur twice in one map.
fn repeated(keys: &ArrayRef, offsets: &OffsetBuffer<i32>) -> Vec<MisfitValue> {
    let Ok(compare) = make_comparator(keys, keys, SortOptions::default()) else {
        return Vec::new();
    };
    let reason = Reason::DuplicateKey;
    let mut misfits = Vec::new();
    let mut start = usize::try_from(offsets.first()).unwrap_or(0);
    for length in offsets.lengths() {
        let mut order: Vec<usize> = (start..start + length).collect();
        start += length;
        order.sort_by(|a, b| compare(*a, *b));
        let twice = order.windows(2).filter_map(|pair| match pair {
            [a, b] if compare(*a, *b).is_eq() => Some(*b),
            _ => None,
        });
        misfits.extend(twice.map(|row| MisfitValue {
            row,
            reason,
            got: "two of a key".to_owned(),
        }));
    }
    misfits
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
    use arrow_array::types::Decimal128Type;
    use arrow_array::{
        Date32Array, Float32Array, Int8Array, MapArray, NullArray, PrimitiveArray, StructArray,
        Time64MicrosecondArray, TimestampMillisecondArray,
    };
    use arrow_buffer::NullBuffer;
    use arrow_schema::{Field, Fields};

    use super::*;
    use crate::schema::arrow::data_type;
    use crate::schema::plan::{Rules, TablePlan};

    /// The faults of a column of this type, and the column as it goes on.
    fn judged(ty: &str, mut column: ArrayRef) -> (Vec<(usize, Reason)>, ArrayRef) {
        let plan = TablePlan::of_types(&[("c", ty)], &Rules::default());
        assert_eq!(*column.data_type(), data_type(&plan.columns[0].ty), "the test's own column");
        let found = judge_values(&mut column, &plan.columns[0], no_x);
        (found.into_iter().map(|(row, fault)| (row, fault.reason)).collect(), column)
    }

    /// Takes every text but `x`.
    fn no_x(_: &Type, _: ValueRules, text: &str) -> Result<(), Box<Fault>> {
        let fault = Fault {
            reason: Reason::BadUuid,
            column: None,
            pointer: String::new(),
            expected: String::new(),
            got_kind: "",
            got: text.to_owned(),
        };
        if text == "x" { Err(Box::new(fault)) } else { Ok(()) }
    }

    fn dictionary(keys: &[Option<i32>], labels: &[&str]) -> ArrayRef {
        let labels = Arc::new(StringArray::from(labels.to_vec()));
        Arc::new(DictionaryArray::try_new(Int32Array::from(keys.to_vec()), labels).unwrap())
    }

    #[test]
    fn dates_and_decimals_end_where_their_column_does() {
        let days = Arc::new(Date32Array::from(vec![Some(65_535), Some(65_536), None, Some(-1)]));
        let out = Reason::BadDatetime;
        assert_eq!(judged("Date", days).0, [(1, out), (3, out)]);
        let times = Arc::new(TimestampMillisecondArray::from(vec![100, 110]));
        assert_eq!(judged("DateTime64(1)", times).0, [(1, out)]);
        let times = Arc::new(Int32Array::from(vec![-3_599_999, 3_600_000]));
        assert_eq!(judged("Time", times).0, [(1, out)]);
        let times = Time64MicrosecondArray::from(vec![1_000, 1_100, 3_600_000_000_000]);
        assert_eq!(judged("Time64(3)", Arc::new(times)).0, [(1, out), (2, out)]);
        let out = Reason::BadDecimal;
        let decimals = PrimitiveArray::<Decimal128Type>::from(vec![999, 1_000, -1_000, i128::MIN])
            .with_precision_and_scale(3, 1)
            .unwrap();
        assert_eq!(judged("Decimal(3, 1)", Arc::new(decimals)).0, [(1, out), (2, out), (3, out)]);
        let bound = i256::from_i128(10).wrapping_pow(76);
        let values = [bound - i256::ONE, bound, bound.wrapping_neg(), i256::MIN];
        let decimals = PrimitiveArray::<Decimal256Type>::from_iter_values(values)
            .with_precision_and_scale(76, 1)
            .unwrap();
        assert_eq!(judged("Decimal(76, 1)", Arc::new(decimals)).0, [(1, out), (2, out), (3, out)]);
    }

    #[test]
    fn a_float_has_no_digits_that_the_server_would_cut_off() {
        let floats = Float32Array::from(vec![1.5, 1.001, f32::INFINITY, -0.0]);
        assert_eq!(judged("BFloat16", Arc::new(floats)).0, [(1, Reason::OutOfRange)]);
    }

    #[test]
    fn texts_are_judged_where_the_server_reads_them() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("x")]));
        let out = (2, Reason::BadUuid);
        assert_eq!(judged("JSON", Arc::clone(&texts)).0, [out]);
        assert_eq!(judged("LowCardinality(Nullable(UUID))", Arc::clone(&texts)).0, [out]);
        assert_eq!(judged("String", texts).0, []);
    }

    #[test]
    fn of_several_types_the_one_that_holds_the_value_is_judged() {
        let ty = "Variant(Date32, Int8)";
        let DataType::Union(fields, _) = data_type(&crate::schema::types::parse(ty).unwrap())
        else {
            panic!("a variant is a union");
        };
        let days = Date32Array::from(vec![Some(120_529), Some(120_530), Some(120_530), None, None]);
        let parts: Vec<ArrayRef> = vec![
            Arc::new(days),
            Arc::new(Int8Array::from(vec![None, None, Some(1), None, None])),
            Arc::new(NullArray::new(5)),
        ];
        let union = UnionArray::try_new(fields, vec![0, 0, 1, 2, 0].into(), None, parts).unwrap();
        let expected = [(1, Reason::BadDatetime), (4, Reason::NullNotAllowed)];
        assert_eq!(judged(ty, Arc::new(union)).0, expected);
    }

    #[test]
    fn a_part_that_is_told_to_hold_no_null_has_none_in_rows_of_another_member() {
        let ty = "Variant(Int8, Tuple(a Int8, b Nullable(Int8)))";
        let DataType::Union(fields, _) = data_type(&crate::schema::types::parse(ty).unwrap())
        else {
            panic!("a variant is a union");
        };
        let (_, tuple) = fields.iter().nth(1).unwrap();
        let DataType::Struct(elements) = tuple.data_type() else { panic!("a tuple is a struct") };
        let part = || -> ArrayRef { Arc::new(Int8Array::from(vec![None, Some(1)])) };
        let held = NullBuffer::from(vec![false, true]);
        let tuples = StructArray::new(elements.clone(), vec![part(), part()], Some(held));
        let parts: Vec<ArrayRef> = vec![
            Arc::new(Int8Array::from(vec![Some(7), None])),
            Arc::new(tuples),
            Arc::new(NullArray::new(2)),
        ];
        let union = UnionArray::try_new(fields, vec![0, 1].into(), None, parts).unwrap();
        let (found, column) = judged(ty, Arc::new(union));
        assert_eq!(found, []);
        let union = column.as_any().downcast_ref::<UnionArray>().unwrap();
        let tuples = union.child(1).as_struct();
        assert_eq!((tuples.column(0).null_count(), tuples.column(1).null_count()), (0, 1));
    }

    #[test]
    fn labels_are_those_of_the_column_whatever_list_a_plugin_keeps() {
        let given = dictionary(&[Some(0), Some(1), None, Some(2)], &["y", "x", "z"]);
        let (found, column) = judged("Enum8('x' = 1, 'y' = 2)", given);
        assert_eq!(found, [(3, Reason::UnknownLabel)]);
        // A refused label becomes the first label.
        assert_eq!(&column, &dictionary(&[Some(1), Some(0), None, Some(0)], &["x", "y"]));
    }

    #[test]
    fn a_key_of_a_map_that_is_no_label_is_its_rows_fault() {
        let ty = "Map(Enum8('x' = 1, 'y' = 2), String)";
        let DataType::Map(entries, _) = data_type(&crate::schema::types::parse(ty).unwrap()) else {
            panic!("a map is a map");
        };
        let DataType::Struct(fields) = entries.data_type() else { panic!("of keys and values") };
        let map = |keys: ArrayRef, offsets: Vec<i32>| -> ArrayRef {
            let values: ArrayRef = Arc::new(StringArray::from(vec!["v"; keys.len()]));
            let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
            let offsets = OffsetBuffer::new(offsets.into());
            Arc::new(MapArray::new(Arc::clone(&entries), offsets, pairs, None, false))
        };
        let keys = dictionary(&[Some(0), Some(1), Some(2)], &["y", "z", "x"]);
        let (found, column) = judged(ty, map(Arc::clone(&keys), vec![0, 1, 2, 3]));
        assert_eq!(found, [(1, Reason::UnknownLabel)]);
        let given = dictionary(&[Some(1), Some(0), Some(0)], &["x", "y"]);
        assert_eq!(column.as_map().keys(), &given);
        // No row holds it.
        assert_eq!(judged(ty, map(keys, vec![2, 3])).0, []);
    }

    #[test]
    fn what_is_wrong_within_an_array_is_its_rows_fault() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        lists.append_value([Some(1), None]);
        lists.append_null();
        lists.append_value([Some(2)]);
        let lists: ArrayRef = Arc::new(lists.finish());
        let null = Reason::NullNotAllowed;
        assert_eq!(judged("Array(Int32)", Arc::clone(&lists)).0, [(0, null)]);
        assert_eq!(judged("Array(Nullable(Int32))", Arc::clone(&lists)).0, []);
        // Sliced to its last row, whose element is the third.
        assert_eq!(judged("Array(Int32)", lists.slice(2, 1)).0, []);
    }

    #[test]
    fn labels_within_a_tuple_are_made_the_columns_too() {
        let ty = "Tuple(a Enum8('x' = 1, 'y' = 2))";
        let given = dictionary(&[Some(1), Some(0)], &["y", "x"]);
        let DataType::Struct(fields) = data_type(&crate::schema::types::parse(ty).unwrap()) else {
            panic!("a tuple is a struct");
        };
        let tuple = Arc::new(StructArray::new(fields, vec![given], None));
        let (found, column) = judged(ty, tuple);
        assert_eq!(found, []);
        let expected = dictionary(&[Some(0), Some(1)], &["x", "y"]);
        assert_eq!(column.as_struct().column(0), &expected);
    }

    #[test]
    fn a_key_that_stands_twice_in_a_map_is_a_fault() {
        let fields: Fields = vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Int32, true),
        ]
        .into();
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        for keys in [vec!["a", "b"], vec!["a", "c", "a"], vec![]] {
            for key in keys {
                maps.keys().append_value(key);
                maps.values().append_value(1);
            }
            maps.append(true).unwrap();
        }
        let (_, offsets, entries, nulls, is_sorted) = maps.finish().into_parts();
        let entries = StructArray::new(fields.clone(), entries.columns().to_vec(), None);
        let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
        let maps = MapArray::new(field, offsets, entries, nulls, is_sorted);
        let (found, _) = judged("Map(String, Int32)", Arc::new(maps));
        assert_eq!(found, [(1, Reason::DuplicateKey)]);
    }
}
