//! Bytes changed by chance: nothing panics, and the verdict is that of UTF-8, JSON's grammar and the
//! derived schema, as far as these can say it.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sluicegate::flow::rejection::{Fault, Reason};
use sluicegate_tests::changed;

use crate::excuses::Excuses;
use crate::tables::{Table, count, seed};
use crate::values;

/// Good records that the changed ones are made from.
const ORIGINALS: u64 = 500;

/// What a reader of JSON alone finds wrong.
fn is_json(record: &[u8]) -> bool {
    std::str::from_utf8(record).is_ok() && serde_json::from_slice::<IgnoredAny>(record).is_ok()
}

/// Whether a name stands twice in an object, or an escape is no character: no schema sees either.
fn is_out_of_sight(record: &[u8], fault: &Fault) -> bool {
    fault.reason == Reason::DuplicateKey
        || serde_json::from_slice::<Repeats>(record).map_or(true, |repeats| repeats.0)
}

/// Whether a name stands twice in an object; no value where an escape is no character.
struct Repeats(bool);

impl<'de> Deserialize<'de> for Repeats {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(RepeatsOf)
    }
}

struct RepeatsOf;

impl<'de> Visitor<'de> for RepeatsOf {
    type Value = Repeats;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_str<E>(self, _: &str) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Repeats, A::Error> {
        let mut found = false;
        while let Some(Repeats(inner)) = elements.next_element()? {
            found |= inner;
        }
        Ok(Repeats(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Repeats, A::Error> {
        let (mut names, mut found) = (HashSet::new(), false);
        while let Some((name, Repeats(inner))) = members.next_entry::<String, Repeats>()? {
            found |= inner || !names.insert(name);
        }
        Ok(Repeats(found))
    }
}

fn withstand(table: &Table) {
    let originals: Vec<String> = (0..ORIGINALS)
        .map(|number| values::record(&mut Rng::with_seed(seed(table, number)), &table.plan))
        .collect();
    let (mut taken, mut json, mut excuses) = (0, 0, Excuses::default());
    for number in 0..count() {
        let mut rng = Rng::with_seed(seed(table, number));
        let original = &originals[rng.usize(..originals.len())];
        let record = changed(&mut rng, original.as_bytes());
        let about =
            || format!("record {number} of `{}`: {}", table.name, String::from_utf8_lossy(&record));
        let decide = || table.decide(std::slice::from_ref(&record)).pop().unwrap();
        let Ok(decided) = catch_unwind(AssertUnwindSafe(decide)) else {
            panic!("a panic, see above, by {}", about());
        };
        taken += u64::from(decided.is_none());
        if !is_json(&record) {
            assert!(decided.is_some(), "the decoder takes what is no JSON: {}", about());
            continue;
        }
        json += 1;
        let judged = table.schema.judge(&record).err();
        let is_same = decided.is_none() == judged.is_none();
        let is_excused = |excuses: &mut Excuses| {
            decided.as_ref().is_some_and(|fault| is_out_of_sight(&record, fault))
                || excuses.hold(&record, decided.as_ref(), judged.as_deref())
        };
        assert!(
            is_same || is_excused(&mut excuses),
            "the decoder says {decided:?}, the schema says {judged:?}: {}",
            about()
        );
    }
    let all = count();
    println!("{}: {json} of {all} still JSON, {taken} taken; left unsaid: {excuses:?}", table.name);
    assert!(json > all / 10 && taken > all / 50, "{}: {json}, {taken}", table.name);
}

#[test]
fn changed_bytes_of_scalars_are_judged_alike_and_nothing_panics() {
    let [scalars, ..] = Table::all();
    withstand(&scalars);
}

#[test]
fn changed_bytes_of_further_types_are_judged_alike_and_nothing_panics() {
    let [_, further, ..] = Table::all();
    withstand(&further);
}

#[test]
fn changed_bytes_of_nested_values_are_judged_alike_and_nothing_panics() {
    let [.., nested, _] = Table::all();
    withstand(&nested);
}

#[test]
fn changed_bytes_are_judged_alike_where_rules_say_more_and_nothing_panics() {
    let [.., ruled] = Table::all();
    withstand(&ruled);
}
