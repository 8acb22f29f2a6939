//! Whatever schema is proved to be covered by a table, no record that the table takes violates it.

use fastrand::Rng;
use serde_json::{Value, json};
use sluicegate::schema::json_schema::json_schema;
use sluicegate::user_schema::UserSchema;

use crate::tables::{Table, count, seed};
use crate::values;

/// How many records that the table takes each schema is tried with.
const RECORDS: usize = 500;
/// How many schemas of a table are tried, for 200,000 records of the other loops.
const SCHEMAS: u64 = 2_000;

/// A schema near that of the table: a few of its keywords loosened, tightened, moved or left out.
fn near(rng: &mut Rng, derived: &Value) -> Value {
    let mut schema = derived.clone();
    // Texts of numbers may have an exponent, which the derived patterns refuse: no schema with one of
    // them is covered, so most are left out.
    let keeps_patterns = rng.u8(..20) == 0;
    for _ in 0..rng.usize(..4) {
        mutate(rng, &mut schema);
    }
    if !keeps_patterns {
        without_patterns(&mut schema);
    }
    match rng.u8(..8) {
        0 => schema["$schema"] = json!("http://json-schema.org/draft-07/schema#"),
        1 => schema["$schema"] = json!("http://json-schema.org/draft-04/schema#"),
        2 => schema["$schema"] = json!("https://json-schema.org/draft/2019-09/schema"),
        3 => schema = json!({"allOf": [schema, true]}),
        4 => schema = json!({"anyOf": [{"required": ["i8", "id"]}, schema]}),
        5 => schema = json!({"$ref": "#/$defs/record", "$defs": {"record": schema}}),
        _ => {}
    }
    schema
}

fn without_patterns(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            if keywords.get("pattern").is_some_and(Value::is_string) {
                keywords.remove("pattern");
            }
            keywords.values_mut().for_each(without_patterns);
        }
        Value::Array(parts) => parts.iter_mut().for_each(without_patterns),
        _ => {}
    }
}

/// Changes one keyword of one place.
fn mutate(rng: &mut Rng, schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    let names: Vec<String> = keywords.keys().cloned().collect();
    let Some(name) = rng.choice(&names) else { return };
    let value = keywords.get_mut(name).unwrap();
    match (name.as_str(), value) {
        ("properties", Value::Object(fields)) if rng.u8(..10) > 0 => {
            let fields: Vec<&mut Value> = fields.values_mut().collect();
            let at = rng.usize(..fields.len());
            mutate(rng, fields.into_iter().nth(at).unwrap());
        }
        ("items" | "additionalProperties" | "propertyNames", part) if rng.u8(..10) > 0 => {
            mutate(rng, part);
        }
        ("prefixItems", Value::Array(parts)) => {
            let at = rng.usize(..parts.len());
            mutate(rng, &mut parts[at]);
        }
        ("required" | "enum" | "type", Value::Array(list)) if !list.is_empty() => {
            let at = rng.usize(..list.len());
            let extra = if name == "type" { "string" } else { "more" };
            match rng.u8(..3) {
                0 => drop(list.remove(at)),
                1 if !list.contains(&json!(extra)) => list.push(json!(extra)),
                _ => {}
            }
            if list.is_empty() {
                keywords.remove(name);
            }
        }
        ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", limit) => {
            let near = [0, 1, -1, 100, -100, 127, 255, 4_294_967_295_i64];
            *limit = json!(near[rng.usize(..near.len())]);
        }
        ("minLength" | "maxLength" | "minItems" | "maxItems", limit) => {
            *limit = json!(rng.u8(..40));
        }
        ("multipleOf", step) => {
            *step = rng.choice(&[json!(1), json!(0.1), json!(1000)]).unwrap().clone();
        }
        _ => {
            let further = [
                ("minimum", json!(rng.i16(-200..200))),
                ("maximum", json!(rng.i16(..))),
                ("minLength", json!(rng.u8(..12))),
                ("maxLength", json!(rng.u8(..50))),
                ("multipleOf", json!(1)),
                ("minItems", json!(rng.u8(..3))),
                ("maxItems", json!(rng.u8(..4))),
                ("items", json!({"type": ["integer", "null", "array", "string", "boolean"]})),
                ("additionalProperties", json!({"type": ["integer", "null", "string"]})),
                ("required", json!(["a"])),
                ("minProperties", json!(rng.u8(..4))),
                ("enum", json!([true, false, null, "on", "off"])),
                ("const", json!("on")),
                ("uniqueItems", json!(true)),
                ("title", json!("a place")),
            ];
            if rng.bool() {
                keywords.remove(name);
            }
            let (further, value) = rng.choice(&further).unwrap().clone();
            keywords.insert(further.to_owned(), value);
        }
    }
}

fn search(table: &Table) {
    let derived = json_schema(&table.plan).unwrap();
    let (mut taken, mut number) = (Vec::new(), 0);
    while taken.len() < RECORDS {
        let record = values::record(&mut Rng::with_seed(seed(table, number)), &table.plan);
        let record = vec![record.into_bytes()];
        if table.decide(&record)[0].is_none() {
            taken.extend(record);
        }
        number += 1;
    }
    let (mut covered, mut violated, all) = (0, 0, SCHEMAS * count() / 200_000);
    for number in 0..all {
        let mut rng = Rng::with_seed(seed(table, number));
        let text = near(&mut rng, &derived).to_string();
        // Some of them break the rules of their draft.
        let Ok(schema) = UserSchema::new(&text) else { continue };
        let is_covered = schema.is_covered_by(&table.plan).is_ok();
        let violation = taken.iter().find(|record| schema.judge(record).is_err());
        covered += u64::from(is_covered);
        violated += u64::from(violation.is_some());
        if let Some(record) = violation.filter(|_| is_covered) {
            panic!(
                "schema {number} of `{}` is proved, and violated by {}: {text}",
                table.name,
                String::from_utf8_lossy(record)
            );
        }
    }
    println!("{}: of {all} schemas {covered} proved, {violated} violated", table.name);
    assert!(covered > all / 20 && violated > all / 20, "{}: {covered}, {violated}", table.name);
}

#[test]
fn no_record_that_a_table_takes_violates_a_schema_that_is_proved() {
    for table in Table::all() {
        search(&table);
    }
}
