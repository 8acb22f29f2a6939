//! The bytes that rows of a column take.

use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;

/// Bytes of an offset, or of a key of a dictionary.
const OFFSET_BYTES: usize = 4;

/// Bytes of these rows in all columns, without what is stored once for any number of rows.
pub fn of_rows(batch: &RecordBatch, rows: &Range<usize>) -> usize {
    batch.columns().iter().map(|column| of(column, rows.clone())).sum()
}

/// About how many rows from `first` on fit into `max_bytes`; at least 1.
pub fn rows_within(batch: &RecordBatch, first: usize, most: usize, max_bytes: usize) -> usize {
    let mut rows = most.min(batch.num_rows().saturating_sub(first)).max(1);
    while rows > 1 && of_rows(batch, &(first..first + rows)) > max_bytes {
        rows = rows.div_ceil(2);
    }
    rows
}

/// Bytes of repeated rows, for each repetition after the first. `rows` count from `first` and never
/// descend.
pub fn of_repeated(batch: &RecordBatch, first: usize, rows: &[u32]) -> usize {
    let runs = rows.chunk_by(|one, next| one == next).filter_map(|run| match run {
        [row, again @ ..] if !again.is_empty() => Some((first + *row as usize, again.len())),
        _ => None,
    });
    runs.map(|(row, times)| times.saturating_mul(of_rows(batch, &(row..row + 1))))
        .fold(0, usize::saturating_add)
}

/// Bytes of rows of a column. Arrow's own measure counts the whole child of a nested column, even
/// if the rows use only a part of it.
fn of(array: &dyn Array, rows: Range<usize>) -> usize {
    match array.data_type() {
        DataType::List(_) => {
            array.as_list_opt::<i32>().map_or(0, |list| held(list.offsets(), list.values(), rows))
        }
        DataType::Map(..) => {
            array.as_map_opt().map_or(0, |map| held(map.offsets(), map.entries(), rows))
        }
        DataType::Struct(_) => array
            .as_struct_opt()
            .map_or(0, |tuple| tuple.columns().iter().map(|column| of(column, rows.clone())).sum()),
        // Each member is as long as the union itself, plus one byte for the type id.
        DataType::Union(members, _) => array.as_union_opt().map_or(0, |union| {
            let members = members.iter().map(|(id, _)| of(union.child(id), rows.clone()));
            rows.len() + members.sum::<usize>()
        }),
        // The labels are stored once.
        DataType::Dictionary(..) if array.as_dictionary_opt::<Int32Type>().is_some() => {
            OFFSET_BYTES * rows.len()
        }
        _ => {
            let part = array.slice(rows.start, rows.len()).to_data();
            part.get_slice_memory_size().unwrap_or_default()
        }
    }
}

/// Bytes of rows and of their elements.
fn held(offsets: &OffsetBuffer<i32>, elements: &dyn Array, rows: Range<usize>) -> usize {
    let at = |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok());
    let (Some(first), Some(end)) = (at(rows.start), at(rows.end)) else { return 0 };
    OFFSET_BYTES * rows.len() + of(elements, first..end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{ArrayRef, DictionaryArray, Int64Array, StringArray, StructArray};
    use arrow_schema::{Field, Fields};

    use super::*;

    /// Rows of one text each, with these numbers of bytes.
    fn lists(bytes: &[usize]) -> ArrayRef {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for bytes in bytes {
            lists.append_value([Some("x".repeat(*bytes))]);
        }
        Arc::new(lists.finish())
    }

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("a", column, true)]).unwrap()
    }

    #[test]
    fn a_call_has_the_rows_of_a_nested_column_that_fit() {
        let batch = batch(lists(&vec![1_000; 10_000]));
        let rows = rows_within(&batch, 5_000, 8_000, 4 << 20);
        assert!((2_000..4_200).contains(&rows), "{rows}");
        let one = rows_within(&batch, 9_999, 8_000, 10);
        assert_eq!((one, rows_within(&batch, 0, 8_000, 10)), (1, 1));
    }

    #[test]
    fn a_row_that_comes_again_counts_by_its_own_bytes() {
        let batch = batch(Arc::new(StringArray::from(vec!["", &*"x".repeat(1_000), ""])));
        assert_eq!(of_repeated(&batch, 0, &[0, 1, 2]), 0);
        let bytes = of_repeated(&batch, 1, &vec![0; 100_000]);
        assert!(bytes >= 99_999 * 1_000, "{bytes}");
        assert!(of_repeated(&batch, 2, &[0; 100]) < 10_000);
    }

    #[test]
    fn of_a_nested_column_the_elements_count_that_the_rows_hold() {
        let lists = lists(&[10, 1_000, 10]);
        // An offset for the list, one for its text, and one for the end of the text.
        for (rows, text_bytes) in [(0..1, 10), (1..2, 1_000), (0..3, 1_020), (2..2, 0)] {
            let bytes = of(&lists, rows.clone());
            let offsets = 8 * rows.len() + 4;
            assert!((text_bytes..=text_bytes + offsets).contains(&bytes), "{rows:?}: {bytes}");
        }
        let field = Field::new("a", lists.data_type().clone(), true);
        let tuple = StructArray::new(Fields::from(vec![field]), vec![Arc::clone(&lists)], None);
        assert_eq!(of(&tuple, 1..2), of(&lists, 1..2));
        assert_eq!(of(&lists.slice(1, 2), 1..2), of(&lists, 2..3));
    }

    #[test]
    fn labels_count_once_and_numbers_by_their_width() {
        let label = "x".repeat(1_000);
        let labels: DictionaryArray<Int32Type> = std::iter::repeat_n(&*label, 5).collect();
        assert_eq!(of(&labels, 0..5), 20);
        assert_eq!(of(&Int64Array::from(vec![1, 2, 3]), 1..3), 16);
        assert_eq!(of(&StringArray::from(vec!["", "abc"]), 1..2), 11);
    }
}
