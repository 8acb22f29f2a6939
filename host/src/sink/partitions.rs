//! Orders records by table partition, so that each half of them goes into fewer partitions than the whole.

use std::cmp::Ordering;

use arrow_array::RecordBatch;
use arrow_cmp::make_comparator;
use arrow_schema::{ArrowError, SortOptions};

use super::ordered::taken;
use crate::flow::record::Origin;

/// Sorts records by the partition-key columns of their first row; rows of a record stay together. Most keys
/// keep that order, such as `toYYYYMM(at)`. `origins` names each row's record.
///
/// # Errors
/// Arrow cannot compare values of such a column.
pub fn by_partition(
    rows: &RecordBatch,
    origins: &[Origin],
    key: &[String],
) -> Result<(RecordBatch, Vec<Origin>), ArrowError> {
    let columns = key.iter().filter_map(|name| rows.column_by_name(name));
    let comparators: Vec<_> = columns
        .map(|column| make_comparator(column, column, SortOptions::default()))
        .collect::<Result<_, _>>()?;
    let mut records = records(origins);
    records.sort_by(|(a, _), (b, _)| {
        let orders = comparators.iter().map(|compare| compare(*a, *b));
        orders.fold(Ordering::Equal, Ordering::then)
    });
    let order = || records.iter().flat_map(|(first, end)| *first..*end);
    let origins = order().filter_map(|row| origins.get(row).copied()).collect();
    Ok((taken(rows, order())?, origins))
}

/// The first row of each record, and the row after its last.
fn records(origins: &[Origin]) -> Vec<(usize, usize)> {
    let mut first = 0;
    let of = |record: &[Origin]| {
        let begin = first;
        first += record.len();
        (begin, first)
    };
    origins.chunk_by(|a, b| a == b).map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn records_of_one_partition_stand_together_and_keep_their_rows() {
        let day: ArrayRef = Arc::new(Int64Array::from(vec![2, 9, 1, 2, 1, 1]));
        let zone: ArrayRef = Arc::new(StringArray::from(vec!["b", "b", "b", "a", "a", "b"]));
        let rows = RecordBatch::try_from_iter([("day", day), ("zone", zone)]).unwrap();
        let key = ["zone".to_owned(), "day".to_owned()];
        // The first record has two rows; its first row decides.
        let (sorted, origins) = by_partition(&rows, &[4, 4, 5, 6, 7, 8], &key).unwrap();
        assert_eq!(origins, [7, 6, 5, 8, 4, 4]);
        assert_eq!(sorted.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 1, 1, 2, 9]);
    }

    #[test]
    fn records_stay_as_they_are_where_the_key_reads_no_column_of_theirs() {
        let id: ArrayRef = Arc::new(Int64Array::from(vec![3, 1, 2]));
        let rows = RecordBatch::try_from_iter([("id", id)]).unwrap();
        let (sorted, origins) = by_partition(&rows, &[0, 1, 2], &["made".to_owned()]).unwrap();
        assert_eq!((sorted, origins), (rows, vec![0, 1, 2]));
    }
}
