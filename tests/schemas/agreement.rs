//! The derived schema and the decoder agree on records whose values were changed by chance.

use fastrand::Rng;
use sluicegate::schema::shape::Unsaid;

use crate::excuses::Excuses;
use crate::tables::{Table, count, seed};
use crate::values;

const CHUNK: u64 = 1_000;

/// Judges so many records both ways; what is left unsaid is counted by name.
fn agree(table: &Table) -> Excuses {
    let (mut taken, mut excuses) = (0, Excuses::default());
    for start in (0..count()).step_by(usize::try_from(CHUNK).unwrap()) {
        let numbers = start..count().min(start + CHUNK);
        let records: Vec<Vec<u8>> = numbers
            .clone()
            .map(|number| {
                let mut rng = Rng::with_seed(seed(table, number));
                values::record(&mut rng, &table.plan).into_bytes()
            })
            .collect();
        for ((number, record), decided) in numbers.zip(&records).zip(table.decide(&records)) {
            let judged = table.schema.judge(record).err();
            taken += u64::from(decided.is_none());
            let is_same = decided.is_none() == judged.is_none();
            assert!(
                is_same || excuses.hold(record, decided.as_ref(), judged.as_deref()),
                "record {number} of `{}`: the decoder says {decided:?}, the schema says \
                 {judged:?}: {}",
                table.name,
                String::from_utf8_lossy(record)
            );
        }
    }
    // Were nearly all of them good, or bad, little would have been seen.
    let all = count();
    println!("{}: {taken} of {all} taken; left unsaid: {excuses:?}", table.name);
    assert!((all / 5..all / 5 * 4).contains(&taken), "{}: {taken} of {all}", table.name);
    let unsaid: u64 = Unsaid::ALL.iter().map(|unsaid| excuses.count(*unsaid)).sum();
    assert!(unsaid < all / 10, "{}: {excuses:?}", table.name);
    excuses
}

#[test]
fn the_derived_schema_and_the_decoder_agree_on_scalars() {
    let [scalars, ..] = Table::all();
    let excuses = agree(&scalars);
    for unsaid in [Unsaid::Bytes, Unsaid::Exponent, Unsaid::FloatRange, Unsaid::Instant] {
        assert!(excuses.count(unsaid) > 0, "{unsaid:?} was never seen");
    }
}

#[test]
fn the_derived_schema_and_the_decoder_agree_on_further_types_and_unknown_fields() {
    let [_, further, ..] = Table::all();
    let excuses = agree(&further);
    for unsaid in [Unsaid::Exponent, Unsaid::Json, Unsaid::Member] {
        assert!(excuses.count(unsaid) > 0, "{unsaid:?} was never seen");
    }
}

#[test]
fn the_derived_schema_and_the_decoder_agree_within_arrays_maps_and_tuples() {
    let [.., nested, _] = Table::all();
    agree(&nested);
}

#[test]
fn the_derived_schema_and_the_decoder_agree_where_rules_say_more() {
    let [.., ruled] = Table::all();
    assert!(agree(&ruled).count(Unsaid::Layouts) > 0);
}
