//! A type text of `system.columns`.
//!
//! - Any text is a type or an error.
//! - A type within an Array or a Tuple is the same type.
//! - A table with such a column has a plan and a JSON Schema or an error, and decode and its slower twin agree
//!   on values for it.

use std::mem::{Discriminant, discriminant};

use sluicegate::decode::{decode, seed_path};
use sluicegate::schema::arrow::field;
use sluicegate::schema::json_schema::json_schema;
use sluicegate::schema::plan::Rules;
use sluicegate::schema::types::{Kind, Type, TypeError, parse};

use super::{ensure, outcome_of, plan_of};

/// Values that most types take one of.
const RECORDS: &[&[u8]] = &[
    br#"{"c":null}"#,
    br#"{"c":1}"#,
    br#"{"c":"1"}"#,
    br#"{"c":true}"#,
    br#"{"c":"2026-11-30 12:00:00"}"#,
    br#"{"c":[1,null,[]]}"#,
    br#"{"c":{"a":1,"1":{"a":[2]}}}"#,
];

/// See the module.
pub fn run(input: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(input);
    let ty = match parse(&text) {
        Ok(ty) => ty,
        Err(TypeError::Unsupported { place, .. }) => return Ok(outcome_of(&place)),
        Err(TypeError::Malformed { problem, .. }) => {
            // What follows may be a part of the text.
            let beginning: Vec<&str> = problem.split(' ').take(2).collect();
            return Ok(outcome_of(&beginning));
        }
    };
    within(&text, &ty)?;
    let _field = field("c", &ty);
    let mut kinds = Vec::new();
    outermost(&ty, 0, &mut kinds);
    let outcome = outcome_of(&kinds);
    // A row of `FixedString(1000000)` takes so many bytes: a bound of the table forbids it elsewhere.
    if has_long_number(&text) {
        return Ok(outcome);
    }
    for is_lenient in [false, true] {
        let rules = Rules { is_lenient, ..Rules::default() };
        let Ok(plan) = plan_of(&[("c", &text)], &rules) else { return Ok(outcome) };
        let _schema = json_schema(&plan);
        let records = || (0..).zip(RECORDS.iter().copied());
        let (rows, oracle) = (decode(&plan, records()), seed_path(&plan, records()));
        ensure(rows.rejections == oracle.rejections, || {
            format!("{:?}, by serde {:?}", rows.rejections, oracle.rejections)
        })?;
        ensure(rows.batch == oracle.batch, || "other values than by serde".to_owned())?;
    }
    Ok(outcome)
}

/// The kind of a type and those just within it.
fn outermost(ty: &Type, depth: usize, kinds: &mut Vec<(Discriminant<Kind>, bool)>) {
    kinds.push((discriminant(&ty.kind), ty.is_nullable));
    if depth > 0 {
        return;
    }
    match &ty.kind {
        Kind::Array(element) => outermost(element, depth + 1, kinds),
        Kind::Map(key, value) => {
            outermost(key, depth + 1, kinds);
            outermost(value, depth + 1, kinds);
        }
        Kind::Tuple(elements) | Kind::Json(elements) => {
            elements.iter().take(2).for_each(|part| outermost(&part.ty, depth + 1, kinds));
        }
        Kind::Variant(members) => {
            members.iter().take(2).for_each(|member| outermost(member, depth + 1, kinds));
        }
        _ => {}
    }
}

/// Puts the type into others.
fn within(text: &str, ty: &Type) -> Result<(), String> {
    let in_array = parse(&format!("Array({text})"));
    let in_tuple = parse(&format!("Tuple(a {text}, b {text})"));
    let is_same = |found: Result<&Type, &TypeError>| match found {
        Ok(found) => found == ty,
        // Only a bound may keep it out.
        Err(TypeError::Malformed { problem, .. }) => {
            problem.contains("too deeply")
                || problem.contains("more than")
                || problem.contains("longer")
        }
        Err(TypeError::Unsupported { .. }) => false,
    };
    let element = in_array.as_ref().map(|array| match &array.kind {
        Kind::Array(element) => element,
        _ => array,
    });
    ensure(is_same(element), || format!("in an Array: {in_array:?}, alone: {ty:?}"))?;
    let element = in_tuple.as_ref().map(|tuple| match &tuple.kind {
        Kind::Tuple(elements) => elements.last().map_or(tuple, |element| &element.ty),
        _ => tuple,
    });
    ensure(is_same(element), || format!("in a Tuple: {in_tuple:?}, alone: {ty:?}"))
}

fn has_long_number(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 3)
}
