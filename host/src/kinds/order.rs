//! The order of rows in which no value changes another.

use std::collections::HashMap;

use super::Objects;
use super::text::{Facts, Place, victims_of};
use crate::record::Origin;

/// Most kinds of records that one INSERT takes: each is held against the others.
const MAX_KINDS: usize = 1_000;

/// Rows as they are to be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// One INSERT, as they stand.
    AsTheyStand,
    /// One INSERT for each list of rows, in its order.
    Lists(Vec<Vec<usize>>),
}

/// What matters of a record: its contested places, sorted.
type Of = Vec<(Place, u8)>;

/// Records that are alike.
struct RecordsOf {
    of: Of,
    rows: Vec<usize>,
}

/// Orders the rows; those of one record stay together. `origins` names the record of each row; without it each
/// row counts as one. The same rows always get the same order.
pub fn order(objects: &Objects<'_>, rows: usize, origins: Option<&[Origin]>) -> Order {
    let contested = contested(objects, rows);
    if contested.is_empty() {
        return Order::AsTheyStand;
    }
    let mut open = kinds(objects, rows, origins, &contested);
    let mut lists = Vec::new();
    while !open.is_empty() {
        let (taken, left) = one_list(open);
        lists.push(taken.into_iter().flat_map(|records| records.rows).collect::<Vec<_>>());
        open = left;
    }
    match lists.as_slice() {
        [list] if list.is_sorted() => Order::AsTheyStand,
        _ => Order::Lists(lists),
    }
}

/// The places at which some row holds what another would change.
fn contested(objects: &Objects<'_>, rows: usize) -> HashMap<Place, u8> {
    let mut victims = HashMap::new();
    let mut facts = Facts::default();
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
    objects: &Objects<'_>,
    rows: usize,
    origins: Option<&[Origin]>,
    contested: &HashMap<Place, u8>,
) -> Vec<RecordsOf> {
    let mut kinds: Vec<RecordsOf> = Vec::new();
    let mut by_facts: HashMap<Of, usize> = HashMap::new();
    let mut facts = Facts::default();
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
        let mut of: Of = Vec::new();
        for (place, bits) in &facts.0 {
            let Some(victims) = contested.get(place) else { continue };
            let matters = bits & victims | bits_that_change(*bits, *victims);
            match of.iter_mut().find(|(known, _)| known == place) {
                Some((_, known)) => *known |= matters,
                None => of.push((*place, matters)),
            }
        }
        of.retain(|(_, bits)| *bits != 0);
        of.sort_unstable();
        // Two records that hold both would each have to go first.
        let is_both = of.iter().any(|(_, bits)| bits & victims_of(*bits) != 0);
        let known = by_facts.get(&of).copied().filter(|_| !is_both);
        match known.and_then(|at| kinds.get_mut(at)) {
            Some(kind) => kind.rows.extend(start..end),
            None => {
                by_facts.insert(of.clone(), kinds.len());
                kinds.push(RecordsOf { of, rows: (start..end).collect() });
            }
        }
        start = end;
    }
    kinds
}

/// Those of the bits that change one of the victims.
fn bits_that_change(bits: u8, victims: u8) -> u8 {
    let single = (0..u8::BITS).map(|bit| bits & (1 << bit));
    single.filter(|bit| victims_of(*bit) & victims != 0).fold(0, |all, bit| all | bit)
}

/// As many as one INSERT takes, in an order that changes none of them, and those that are left.
fn one_list(mut open: Vec<RecordsOf>) -> (Vec<RecordsOf>, Vec<RecordsOf>) {
    let mut left = open.split_off(open.len().min(MAX_KINDS));
    // How many of what is open hold a value at a place that others change.
    let mut victims: HashMap<(Place, u8), usize> = HashMap::new();
    let each = |of: &Of| -> Vec<(Place, u8)> {
        let bits = |(place, bits): &(Place, u8)| {
            let held = bits & victims_of(u8::MAX);
            let place = *place;
            (0..u8::BITS).map(move |bit| (place, held & (1 << bit))).filter(|(_, bit)| *bit != 0)
        };
        of.iter().flat_map(bits).collect()
    };
    for victim in open.iter().flat_map(|records| each(&records.of)) {
        *victims.entry(victim).or_insert(0) += 1;
    }
    let mut taken = Vec::new();
    while !open.is_empty() {
        let before = open.len();
        let mut waiting = Vec::with_capacity(before);
        for records in open {
            let is_free = records.of.iter().all(|(place, bits)| {
                let changed = victims_of(*bits);
                (0..u8::BITS).map(|bit| changed & (1 << bit)).filter(|bit| *bit != 0).all(|bit| {
                    let others = victims.get(&(*place, bit)).copied().unwrap_or(0);
                    others == usize::from(bits & bit != 0)
                })
            });
            if is_free {
                release(&mut victims, each(&records.of));
                taken.push(records);
            } else {
                waiting.push(records);
            }
        }
        // Each of them would have to go before another: one goes into the next INSERT.
        if waiting.len() == before {
            let records = waiting.remove(0);
            release(&mut victims, each(&records.of));
            left.push(records);
        }
        open = waiting;
    }
    (taken, left)
}

fn release(victims: &mut HashMap<(Place, u8), usize>, of: Vec<(Place, u8)>) {
    for victim in of {
        if let Some(count) = victims.get_mut(&victim) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::*;
    use crate::schema::types::parse;

    const LONG: &str = r#"{"p":[9007199254740993]}"#;
    const FRACTION: &str = r#"{"p":[0.5]}"#;

    fn ordered(texts: &[&str], origins: Option<&[Origin]>) -> Order {
        let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let ty = parse("JSON").unwrap();
        let objects = Objects::of([(&column, &ty)].into_iter()).unwrap();
        order(&objects, texts.len(), origins)
    }

    fn lists<const N: usize>(lists: [&[usize]; N]) -> Order {
        Order::Lists(lists.iter().map(|list| list.to_vec()).collect())
    }

    #[test]
    fn what_would_be_changed_goes_first() {
        let other = r#"{"q":1}"#;
        assert_eq!(ordered(&[FRACTION, LONG, other, LONG], None), lists([&[1, 3, 2, 0]]));
        let nulls = [r#"{"p":[{"a":1}]}"#, r#"{"p":[[1]]}"#, r#"{"p":[null]}"#];
        assert_eq!(ordered(&nulls, None), lists([&[2, 0, 1]]));
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
            assert_eq!(ordered(texts, None), Order::AsTheyStand, "{texts:?}");
        }
    }

    #[test]
    fn records_that_would_each_have_to_go_first_go_apart() {
        let [a, b] =
            [r#"{"p":[9007199254740993],"q":[0.5]}"#, r#"{"p":[0.5],"q":[9007199254740993]}"#];
        // By what they are, not one by one.
        assert_eq!(ordered(&[a, b, a, b, "{}"], None), lists([&[4, 1, 3], &[0, 2]]));
        let both = r#"{"p":[{"v":[9007199254740993]},{"v":[0.5]}]}"#;
        assert_eq!(ordered(&[both, both], None), lists([&[1], &[0]]));
    }

    #[test]
    fn the_rows_of_a_record_stay_together() {
        let texts = [FRACTION, "{}", "{}", LONG];
        assert_eq!(ordered(&texts, Some(&[1, 1, 2, 2])), lists([&[2, 3, 0, 1]]));
    }
}
