//! Splits kinds of records into lists, each in an order in which no value changes another.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};

use super::text::{PathHash, victims_of};

/// Each list is chosen from this many times as many kinds as the previous list took. Without this bound, kinds of which
/// no two go together would cost the square of their number, since each new list looks again at all that are left. With
/// it, all lists together cost a multiple of that number.
const WINDOW: usize = 16;

/// The contested places of a record, sorted and distinct.
pub type Of = Vec<(PathHash, u8)>;

/// Records with the same facts.
#[derive(Debug, Clone)]
pub struct RecordsOf {
    /// The contested places of each of them.
    pub of: Of,
    /// Their rows.
    pub rows: Vec<usize>,
}

impl RecordsOf {
    /// Whether each of these records would have to go both before and after any other of them.
    pub fn is_both(&self) -> bool {
        self.of.iter().any(|(_, bits)| bits & victims_of(*bits) != 0)
    }
}

/// Lists of rows, each in an order in which no value changes another; one list if one order keeps all values. Counts
/// the work in `steps`.
pub fn lists(kinds: Vec<RecordsOf>, steps: &mut usize) -> Vec<Vec<usize>> {
    let mut window = kinds.len();
    let mut open = VecDeque::from(kinds);
    let mut lists = Vec::new();
    while !open.is_empty() {
        let candidates = open.drain(..window.min(open.len())).collect();
        let (taken, left) = one_list(candidates, steps);
        open.extend(left);
        window = taken.len().max(1).saturating_mul(WINDOW);
        lists.push(taken.into_iter().flat_map(|records| records.rows).collect());
    }
    lists
}

/// One list: as many kinds as it finds an order for, at least one, and those that are left.
fn one_list(kinds: Vec<RecordsOf>, steps: &mut usize) -> (Vec<RecordsOf>, Vec<RecordsOf>) {
    let mut waits = KindWaits::of(&kinds);
    let mut free: BTreeSet<usize> = waits.free().collect();
    // A cycle is broken by moving one kind to another list: first kinds of which a list holds only one anyway, then
    // those with the fewest rows.
    let mut spare: Vec<usize> = (0..kinds.len()).collect();
    spare.sort_by_cached_key(|number| {
        kinds.get(*number).map(|kind| (Reverse(kind.is_both()), kind.rows.len()))
    });
    let mut spare = spare.into_iter();
    let mut kinds: Vec<Option<RecordsOf>> = kinds.into_iter().map(Some).collect();
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    let mut at = 0;
    loop {
        // Takes free kinds in their given order, again and again from the first.
        let next = free.range(at..).next().or_else(|| free.first()).copied();
        let is_open = |number: &usize| kinds.get(*number).is_some_and(Option::is_some);
        let Some(number) = next.or_else(|| spare.find(is_open)) else { break };
        at = if next.is_some() { number + 1 } else { 0 };
        free.remove(&number);
        if let Some(records) = kinds.get_mut(number).and_then(Option::take) {
            if next.is_some() { &mut taken } else { &mut left }.push(records);
            waits.release(number, &mut free);
        }
    }
    *steps += waits.steps;
    (taken, left)
}

/// Which kinds wait for others.
#[derive(Default)]
struct KindWaits {
    values: Vec<ChangedValue>,
    /// For each kind, its values.
    held: Vec<Vec<usize>>,
    /// For each kind, how many values held by others it would change.
    waits_for: Vec<usize>,
    steps: usize,
}

/// A value that others would change.
#[derive(Default)]
struct ChangedValue {
    /// How many kinds that hold it are not taken yet.
    holders: usize,
    /// The XOR of their numbers: the number of the last one, once it is alone.
    numbers: usize,
    /// The kinds that would change it, ascending.
    changed_by: Vec<usize>,
}

impl KindWaits {
    fn of(kinds: &[RecordsOf]) -> Self {
        let mut waits = Self::default();
        let mut known: HashMap<(PathHash, u8), usize> = HashMap::new();
        for (number, kind) in kinds.iter().enumerate() {
            let mut held = Vec::new();
            for (place, bits) in &kind.of {
                let changed = victims_of(*bits);
                for bit in each_bit((bits & victims_of(u8::MAX)) | changed) {
                    let at = *known.entry((*place, bit)).or_insert(waits.values.len());
                    if at == waits.values.len() {
                        waits.values.push(ChangedValue::default());
                    }
                    let Some(value) = waits.values.get_mut(at) else { continue };
                    waits.steps += 1;
                    if bits & bit != 0 {
                        value.holders += 1;
                        value.numbers ^= number;
                        held.push(at);
                    }
                    if changed & bit != 0 {
                        value.changed_by.push(number);
                    }
                }
            }
            waits.held.push(held);
        }
        waits.waits_for = vec![0; kinds.len()];
        for value in &waits.values {
            for number in &value.changed_by {
                let is_alone = value.holders == 1 && value.numbers == *number;
                if let Some(count) = waits.waits_for.get_mut(*number)
                    && value.holders > 0
                    && !is_alone
                {
                    *count += 1;
                }
            }
        }
        waits
    }

    /// Kinds that wait for none.
    fn free(&self) -> impl Iterator<Item = usize> {
        self.waits_for
            .iter()
            .enumerate()
            .filter(|(_, count)| **count == 0)
            .map(|(number, _)| number)
    }

    /// Marks a kind as taken. Adds those that wait for none now.
    fn release(&mut self, number: usize, free: &mut BTreeSet<usize>) {
        for at in self.held.get(number).into_iter().flatten() {
            let Some(value) = self.values.get_mut(*at) else { continue };
            value.holders = value.holders.saturating_sub(1);
            value.numbers ^= number;
            let last = [value.numbers];
            let no_longer_wait: &[usize] = match value.holders {
                0 => &value.changed_by,
                // The last holder need not wait for itself.
                1 if value.changed_by.binary_search(&value.numbers).is_ok() => &last,
                _ => &[],
            };
            self.steps += 1 + no_longer_wait.len();
            for other in no_longer_wait.iter().filter(|other| **other != number) {
                if let Some(count) = self.waits_for.get_mut(*other) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        free.insert(*other);
                    }
                }
            }
        }
    }
}

fn each_bit(bits: u8) -> impl Iterator<Item = u8> {
    (0..u8::BITS).map(move |bit| bits & (1 << bit)).filter(|bit| *bit != 0)
}

#[cfg(test)]
mod tests {
    use super::super::text::{FRACTION, LONG, NEST, NULL};
    use super::*;

    /// One row of each.
    fn kinds(of: impl IntoIterator<Item = Of>) -> Vec<RecordsOf> {
        of.into_iter().enumerate().map(|(row, of)| RecordsOf { of, rows: vec![row] }).collect()
    }

    fn is_changed_by(kind: &RecordsOf, other: &RecordsOf) -> bool {
        kind.of.iter().any(|(place, bits)| {
            let at = other.of.iter().find(|(at, _)| at == place);
            at.is_some_and(|(_, other)| bits & victims_of(*other) != 0)
        })
    }

    /// Whether one order keeps all, found by comparing each with each.
    fn go_together(mut open: Vec<RecordsOf>) -> bool {
        while let Some(next) = open.iter().enumerate().position(|(at, kind)| {
            let mut others = open.iter().enumerate().filter(|(other, _)| *other != at);
            !others.any(|(_, other)| is_changed_by(other, kind))
        }) {
            open.remove(next);
        }
        open.is_empty()
    }

    #[test]
    fn no_value_changes_another_of_its_list_and_what_goes_together_is_one_list() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut together = 0;
        for round in 0..3_000 {
            let of = |_| -> Of {
                let bits = [0, 0, LONG, FRACTION, LONG, FRACTION, NULL, NEST, LONG | FRACTION];
                (0..4).map(|place| (place, bits[random.usize(..bits.len())])).collect()
            };
            let count = 1 + round % 7;
            let kinds = kinds((0..count).map(of).collect::<Vec<_>>());
            let lists = lists(kinds.clone(), &mut 0);
            let mut rows = lists.concat();
            rows.sort_unstable();
            assert_eq!(rows, (0..count).collect::<Vec<_>>());
            for list in &lists {
                for (at, row) in list.iter().enumerate() {
                    let changed = |before: &usize| is_changed_by(&kinds[*row], &kinds[*before]);
                    assert!(!list[..at].iter().any(changed), "{kinds:?} as {lists:?}");
                }
            }
            assert_eq!(lists.len() == 1, go_together(kinds.clone()), "{kinds:?} as {lists:?}");
            together += usize::from(lists.len() == 1);
        }
        assert!((500..2_500).contains(&together), "{together}");
    }

    #[test]
    fn records_that_all_go_apart_cost_a_multiple_of_their_number() {
        const COUNT: usize = 25_000;
        let both = kinds((0..COUNT).map(|_| vec![(0, LONG | FRACTION)]));
        // None holds both at one place, and any two differ in a bit, for which each would have to go first.
        let circles = kinds((0..COUNT).map(|number| {
            let places =
                |bit: u64| [0, 1].map(|side| (2 * bit + side, (number >> bit) as u64 & 1 == side));
            let bits = |(place, is_long)| (place, if is_long { LONG } else { FRACTION });
            (0..15).flat_map(places).map(bits).collect()
        }));
        for (kinds, places) in [(both, 1), (circles, 30)] {
            let mut steps = 0;
            assert_eq!(lists(kinds, &mut steps).len(), COUNT);
            assert!(steps < COUNT * places * 4 * WINDOW, "{steps}");
        }
    }

    #[test]
    fn what_goes_together_is_in_the_first_list_whatever_does_not() {
        let both = vec![(0, LONG | FRACTION)];
        let fraction = vec![(0, FRACTION)];
        let of = [fraction, both.clone(), both.clone(), both, vec![(0, LONG)], vec![]];
        assert_eq!(lists(kinds(of), &mut 0), [vec![4, 5, 3, 0], vec![2], vec![1]]);
    }
}
