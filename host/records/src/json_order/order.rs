//! The order of rows in which no value changes another.

use std::collections::HashMap;

use super::JsonColumns;
use super::lists::{Of, RecordsOf, lists};
use super::text::{PathHash, PlaceFacts, victims_of};
use crate::flow::record::Origin;

/// The order in which rows are sent.
#[derive(Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// One INSERT, in the given order.
    AsTheyStand,
    /// One INSERT for each list, in its order.
    Lists(Vec<Vec<usize>>),
}

/// Orders the rows and keeps those of one record together. `origins` is the record of each row; without it each row
/// counts as a record. The same rows always get the same order.
pub fn order(objects: &JsonColumns<'_>, rows: usize, origins: Option<&[Origin]>) -> RowOrder {
    let contested = contested(objects, rows);
    if contested.is_empty() {
        return RowOrder::AsTheyStand;
    }
    let lists = lists(kinds(objects, rows, origins, &contested), &mut 0);
    match lists.as_slice() {
        [list] if list.is_sorted() => RowOrder::AsTheyStand,
        _ => RowOrder::Lists(lists),
    }
}

/// The places at which a row holds what another would change.
fn contested(objects: &JsonColumns<'_>, rows: usize) -> HashMap<PathHash, u8> {
    let mut victims = HashMap::new();
    let mut facts = PlaceFacts::default();
    let all = victims_of(u8::MAX);
    for row in (0..rows).filter(|row| objects.is_at_risk(*row)) {
        facts.clear();
        objects.read(row, &mut facts);
        for (place, bits) in facts.0.iter().filter(|(_, bits)| bits & all != 0) {
            *victims.entry(*place).or_insert(0) |= bits & all;
        }
    }
    let mut contested = HashMap::new();
    for row in (0..rows).take_while(|_| !victims.is_empty()) {
        facts.clear();
        objects.read(row, &mut facts);
        for (place, bits) in &facts.0 {
            let victims = victims.get(place).copied().unwrap_or(0) & victims_of(*bits);
            if victims != 0 {
                *contested.entry(*place).or_insert(0) |= victims;
            }
        }
    }
    contested
}

fn kinds(
    objects: &JsonColumns<'_>,
    rows: usize,
    origins: Option<&[Origin]>,
    contested: &HashMap<PathHash, u8>,
) -> Vec<RecordsOf> {
    let mut kinds: Vec<RecordsOf> = Vec::new();
    let mut by_facts: HashMap<Of, usize> = HashMap::new();
    let mut facts = PlaceFacts::default();
    let record_of = |row: usize| origins.and_then(|origins| origins.get(row));
    let mut start = 0;
    while start < rows {
        let is_of_record =
            |row: &usize| *row == start || origins.is_some() && record_of(*row) == record_of(start);
        let end = start + (start..rows).take_while(is_of_record).count();
        facts.clear();
        for row in start..end {
            objects.read(row, &mut facts);
        }
        let records =
            RecordsOf { of: what_matters(&facts, contested), rows: (start..end).collect() };
        // Two records that hold both would each have to go first.
        let is_both = records.is_both();
        let known = by_facts.get(&records.of).copied().filter(|_| !is_both);
        match known.and_then(|at| kinds.get_mut(at)) {
            Some(kind) => kind.rows.extend(start..end),
            None => {
                if !is_both {
                    by_facts.insert(records.of.clone(), kinds.len());
                }
                kinds.push(records);
            }
        }
        start = end;
    }
    kinds
}

/// The facts of a record that count at contested places.
fn what_matters(facts: &PlaceFacts, contested: &HashMap<PathHash, u8>) -> Of {
    let at_place = |(place, bits): &(PathHash, u8)| {
        let victims = contested.get(place)?;
        let matters = bits & victims | bits_that_change(*bits, *victims);
        (matters != 0).then_some((*place, matters))
    };
    let mut of: Of = facts.0.iter().filter_map(at_place).collect();
    of.sort_unstable_by_key(|(place, _)| *place);
    of.dedup_by(|(place, bits), (before, all)| {
        let is_same = place == before;
        if is_same {
            *all |= *bits;
        }
        is_same
    });
    of
}

/// The subset of `bits` that change one of the victims.
fn bits_that_change(bits: u8, victims: u8) -> u8 {
    let single = (0..u8::BITS).map(|bit| bits & (1 << bit));
    single.filter(|bit| victims_of(*bit) & victims != 0).fold(0, |all, bit| all | bit)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::*;
    use crate::schema::types::parse;

    const LONG: &str = r#"{"p":[9007199254740993]}"#;
    const FRACTION: &str = r#"{"p":[0.5]}"#;

    fn ordered(texts: &[&str], origins: Option<&[Origin]>) -> RowOrder {
        let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let ty = parse("JSON").unwrap();
        let objects = JsonColumns::of([(&column, &ty)].into_iter()).unwrap();
        order(&objects, texts.len(), origins)
    }

    fn in_lists<const N: usize>(lists: [&[usize]; N]) -> RowOrder {
        RowOrder::Lists(lists.iter().map(|list| list.to_vec()).collect())
    }

    #[test]
    fn what_would_be_changed_goes_first() {
        let other = r#"{"q":1}"#;
        assert_eq!(ordered(&[FRACTION, LONG, other, LONG], None), in_lists([&[1, 3, 2, 0]]));
        let nulls = [r#"{"p":[{"a":1}]}"#, r#"{"p":[[1]]}"#, r#"{"p":[null]}"#];
        assert_eq!(ordered(&nulls, None), in_lists([&[2, 0, 1]]));
    }

    #[test]
    fn rows_that_do_not_meet_stay_as_they_stand() {
        for texts in [
            &[LONG, FRACTION][..],
            &[FRACTION, r#"{"q":[9007199254740993]}"#],
            &[FRACTION, r#"{"p":[[9007199254740993]]}"#],
            &[r#"{"p":[{"a":1},null]}"#, r#"{"p":[{"a":1},null]}"#, r#"{"p":[{}]}"#],
            &[],
        ] {
            assert_eq!(ordered(texts, None), RowOrder::AsTheyStand, "{texts:?}");
        }
    }

    #[test]
    fn records_that_would_each_have_to_go_first_go_apart() {
        let [a, b] =
            [r#"{"p":[9007199254740993],"q":[0.5]}"#, r#"{"p":[0.5],"q":[9007199254740993]}"#];
        // By their facts, not one by one.
        assert_eq!(ordered(&[a, b, a, b, "{}"], None), in_lists([&[4, 1, 3], &[0, 2]]));
        let both = r#"{"p":[{"v":[9007199254740993]},{"v":[0.5]}]}"#;
        assert_eq!(ordered(&[both, both], None), in_lists([&[1], &[0]]));
        let [fraction, long] = [r#"{"p":[{"v":[0.5]}]}"#, r#"{"p":[{"v":[9007199254740993]}]}"#];
        assert_eq!(ordered(&[fraction, both, both, long], None), in_lists([&[3, 2, 0], &[1]]));
    }

    #[test]
    fn the_rows_of_a_record_stay_together() {
        let texts = [FRACTION, "{}", "{}", LONG];
        assert_eq!(ordered(&texts, Some(&[1, 1, 2, 2])), in_lists([&[2, 3, 0, 1]]));
    }
}
