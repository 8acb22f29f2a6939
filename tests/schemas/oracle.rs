//! The reader of one pass against the one by serde: the same rows, and the same words for each record
//! that is refused.

use fastrand::Rng;
use sluicegate::decode::{decode, seed_path};
use sluicegate::schema::plan::{Rules, TablePlan};
use sluicegate::schema::source::{OnInvalid, Pointer, UnknownFields};
use sluicegate_tests::changed;

use crate::tables::{Table, count, plan};
use crate::values;

/// Records of one batch: what a bad one leaves behind would show in its neighbours.
const BATCH: u64 = 50;

/// Puts space, by chance, wherever JSON allows it.
fn spaced(rng: &mut Rng, record: &str) -> String {
    let (mut spaced, mut is_quoted, mut is_escaped) = (String::new(), false, false);
    for char in record.chars() {
        let may_stand_apart = !is_quoted && "{}[],:".contains(char);
        let mut space = || {
            if may_stand_apart && rng.u8(..4) == 0 {
                [" ", "\n", "\t", "\r "][rng.usize(..4)]
            } else {
                ""
            }
        };
        let (before, behind) = (space(), space());
        spaced.extend([before, char.encode_utf8(&mut [0; 4]), behind]);
        if char == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = char == '\\' && !is_escaped;
    }
    spaced
}

/// Reads records both ways; `made_for` is what they are made for, `plan` what they are read for.
fn compare(name: &str, plan: &TablePlan, made_for: &TablePlan) {
    let (mut taken, mut refused) = (0, 0);
    for start in (0..count()).step_by(usize::try_from(BATCH).unwrap()) {
        let mut rng = Rng::with_seed(start);
        let records: Vec<Vec<u8>> = (0..BATCH)
            .map(|_| {
                let mut record = values::record(&mut rng, made_for);
                if rng.bool() {
                    record = spaced(&mut rng, &record);
                }
                match rng.u8(..3) {
                    0 => changed(&mut rng, record.as_bytes()),
                    _ => record.into_bytes(),
                }
            })
            .collect();
        let numbered = || (0..).zip(records.iter().map(Vec::as_slice));
        let (rows, oracle) = (decode(plan, numbered()), seed_path(plan, numbered()));
        let about = || {
            let text = |record: &Vec<u8>| String::from_utf8_lossy(record).into_owned();
            let records = records.iter().map(text).collect::<Vec<_>>().join("\n");
            format!("`{name}` from {start}:\n{records}")
        };
        for (found, wanted) in rows.rejections.iter().zip(&oracle.rejections) {
            let record = String::from_utf8_lossy(&records[wanted.origin as usize]);
            assert_eq!(found, wanted, "`{name}`: {record}");
        }
        assert_eq!(rows.rejections.len(), oracle.rejections.len(), "{}", about());
        assert_eq!(rows.origins, oracle.origins, "{}", about());
        assert_eq!(rows.absent, oracle.absent, "{}", about());
        assert_eq!(rows.noticed, oracle.noticed, "{}", about());
        assert!(rows.batch == oracle.batch, "rows differ: {}", about());
        taken += rows.origins.len();
        refused += rows.rejections.len();
    }
    println!("{name}: {taken} taken, {refused} refused alike");
    let all = usize::try_from(count()).unwrap();
    assert!(taken > all / 10 && refused > all / 10, "{name}: {taken}, {refused}");
}

#[test]
fn scalars_are_read_as_by_serde() {
    let [scalars, ..] = Table::all();
    compare(scalars.name, &scalars.plan, &scalars.plan);
}

#[test]
fn further_types_are_read_as_by_serde() {
    let [_, further, ..] = Table::all();
    compare(further.name, &further.plan, &further.plan);
}

#[test]
fn nested_values_are_read_as_by_serde() {
    let [.., nested, _] = Table::all();
    compare(nested.name, &nested.plan, &nested.plan);
}

#[test]
fn values_under_rules_are_read_as_by_serde() {
    let [.., ruled] = Table::all();
    compare(ruled.name, &ruled.plan, &ruled.plan);
}

#[test]
fn lenient_values_are_read_as_by_serde() {
    for table in Table::all() {
        compare(table.name, &table.lenient(), &table.plan);
    }
}

#[test]
fn fields_within_others_and_replaced_values_are_read_as_by_serde() {
    let fields: &[(&str, &str, &str)] = &[
        ("P", "Tuple(x Int8, y Nullable(String), z Array(UInt8))", ""),
        ("Q", "Array(Tuple(a Int16, b Map(String, Float64)))", ""),
        ("n", "Int32", ""),
        ("extra", "Map(String, Array(String))", ""),
    ];
    let columns: &[(&str, &str, &str)] = &[
        ("whole", "String", ""),
        ("x", "Int8", ""),
        ("x_again", "Nullable(Int8)", ""),
        ("y", "LowCardinality(String)", ""),
        ("z", "Array(UInt8)", "[7]"),
        ("second", "Nullable(Int16)", ""),
        ("b", "Map(String, Float64)", ""),
        ("n", "Nullable(Int8)", ""),
        ("extra.k", "Array(String)", ""),
        ("p.y", "Nullable(String)", ""),
        ("rest", "JSON", ""),
    ];
    let pointer =
        |(column, pointer): (&str, &str)| (column.to_owned(), Pointer::parse(pointer).unwrap());
    let places = [
        ("whole", "/n"),
        ("x", "/p/x"),
        ("x_again", "/p/x"),
        ("y", "/p/y"),
        ("z", "/p/z"),
        ("second", "/q/1/a"),
        ("b", "/q/0/b"),
    ];
    let rules = Rules {
        is_lenient: true,
        ignores_case: true,
        column_from: places.map(pointer).into(),
        unknown_fields: UnknownFields::Column("rest".to_owned()),
        on_invalid: vec![
            ("whole".to_owned(), OnInvalid::Default),
            ("x_again".to_owned(), OnInvalid::Null),
            ("n".to_owned(), OnInvalid::Null),
        ],
        ..Rules::default()
    };
    let made_for = plan(fields, &Rules::default());
    compare("mapped", &plan(columns, &rules), &made_for);
}
