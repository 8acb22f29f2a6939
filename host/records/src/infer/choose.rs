//! Chooses the types that may accept the values of a place, by the rules of docs/infer.md.

use super::profile::{Arrays, MAX_DISTINCT, MAX_LEVELS, Objects, Profile, Room};
use super::scalar::{FORMS, INTEGERS};
use crate::schema::quoted::identifier;

/// Fewest strings for which few distinct values are meaningful.
const MANY_STRINGS: u64 = 100;
/// How often each distinct value of a LowCardinality must occur, on average.
const REPEATS: u64 = 10;
/// Most elements of a Tuple.
const MAX_ELEMENTS: usize = 32;
const DYNAMIC: &str = "Dynamic";
const JSON: &str = "JSON";

/// Which types may be chosen that affect how a whole table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Variant and Dynamic.
    pub unions: bool,
    /// JSON.
    pub json: bool,
}

/// How the type represents null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// `Nullable(...)` may wrap it.
    Wraps,
    /// It represents null itself.
    Holds,
    /// It cannot represent null.
    Never,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name in ClickHouse.
    pub text: String,
    /// How it represents null.
    pub null: Null,
    /// Whether it is or contains JSON.
    pub has_json: bool,
    /// Whether it is or contains Variant or Dynamic.
    pub has_union: bool,
}

/// Why no type is chosen, as a text that follows the column's name.
pub type Why = String;

impl Choice {
    fn of(text: impl Into<String>, null: Null) -> Self {
        Self { text: text.into(), null, has_json: false, has_union: false }
    }

    /// The type for values that include nulls.
    fn nullable(self) -> Option<Self> {
        match self.null {
            Null::Never => None,
            Null::Holds => Some(self),
            Null::Wraps => Some(Self { text: nullable(&self.text), null: Null::Holds, ..self }),
        }
    }

    /// Whether it does not change how other columns are read.
    fn is_plain(&self) -> bool {
        !self.has_json && !self.has_union
    }
}

fn nullable(text: &str) -> String {
    match text.strip_prefix("LowCardinality(").and_then(|text| text.strip_suffix(')')) {
        Some(inner) => format!("LowCardinality(Nullable({inner}))"),
        None => format!("Nullable({text})"),
    }
}

/// The types that may accept a column's values, best first; `missing` records have no such field. A
/// null or absent value becomes NULL, the type's zero, or the DEFAULT of JSON.
///
/// # Errors
/// Why no type accepts them.
pub fn column(profile: &Profile, missing: u64, allowed: Allowed) -> Result<Vec<Choice>, Why> {
    let has_gaps = missing + profile.nulls > 0;
    let allowed = Allowed { json: allowed.json && !profile.may_repeat_paths, ..allowed };
    let place = Place { allowed, is_member: false, has_gaps };
    let choices = types(profile, place)?;
    Ok(choices
        .into_iter()
        .map(|choice| match &choice {
            Choice { null: Null::Wraps, .. } if has_gaps => {
                Choice { text: nullable(&choice.text), null: Null::Holds, ..choice }
            }
            _ => choice,
        })
        .collect())
}

/// The context of a type.
#[derive(Debug, Clone, Copy)]
struct Place {
    allowed: Allowed,
    /// Within a Variant.
    is_member: bool,
    /// The column, or the object that holds this value, is absent in some records. Then elements of
    /// a Tuple are Nullable, so that an absent value does not look like a zero.
    has_gaps: bool,
}

fn types(profile: &Profile, place: Place) -> Result<Vec<Choice>, Why> {
    let kinds: Vec<&str> = profile.kinds().into_iter().map(|(kind, _)| kind).collect();
    match kinds.as_slice() {
        [] => Err("only null was seen".into()),
        ["boolean"] => Ok(vec![Choice::of("Bool", Null::Wraps)]),
        ["number"] => Ok(vec![Choice::of(number(profile, place)?, Null::Wraps)]),
        ["string"] => Ok(vec![Choice::of(string(profile, place), Null::Wraps)]),
        ["array"] => array(&profile.arrays, place),
        ["object"] => object(&profile.objects, place),
        _ => mixed(profile, &kinds, place),
    }
}

fn number(profile: &Profile, place: Place) -> Result<&'static str, Why> {
    let numbers = &profile.numbers;
    // A Variant may contain only those of 64 bits.
    let known = INTEGERS.get(..if place.is_member { 2 } else { INTEGERS.len() });
    let integer = numbers.integers.first(known.unwrap_or_default());
    match integer {
        // `1.0` is an integer, but not one of a counter.
        Some(integer) if numbers.fractions == 0 => Ok(integer),
        _ if numbers.beyond_float == 0 => Ok("Float64"),
        _ => Err("a number is beyond Float64".into()),
    }
}

fn string(profile: &Profile, place: Place) -> &'static str {
    let strings = &profile.strings;
    match strings.forms.first(&FORMS) {
        Some("IPv4" | "IPv6") if place.is_member => "String",
        Some(form) => form,
        None if !place.is_member && is_repetitive(profile) => "LowCardinality(String)",
        None => "String",
    }
}

/// Whether many strings have few distinct values.
fn is_repetitive(profile: &Profile) -> bool {
    let count = profile.strings.count;
    let is_few = |distinct: usize| count / REPEATS >= distinct as u64;
    count >= MANY_STRINGS && profile.distinct().is_some_and(is_few)
}

fn array(arrays: &Arrays, place: Place) -> Result<Vec<Choice>, Why> {
    if arrays.is_cut {
        return Err(format!("it nests deeper than {MAX_LEVELS} levels, or is too wide"));
    }
    let empty = || "only arrays without elements were seen".to_owned();
    let elements = arrays.elements.as_deref().ok_or_else(empty)?;
    let choices = types(elements, Place { has_gaps: false, ..place })?;
    let fit = |choice: Choice| match elements.nulls {
        0 => Some(choice),
        _ => choice.nullable(),
    };
    let of = |choice: Choice| Choice {
        text: format!("Array({})", choice.text),
        null: Null::Never,
        ..choice
    };
    let choices: Vec<Choice> = choices.into_iter().filter_map(fit).map(of).collect();
    match choices.is_empty() {
        true => Err("null stands beside arrays or objects in an array".into()),
        false => Ok(choices),
    }
}

fn object(objects: &Objects, place: Place) -> Result<Vec<Choice>, Why> {
    let json = (place.allowed.json && !place.is_member)
        .then(|| Choice { has_json: true, ..Choice::of(JSON, Null::Never) });
    let choices: Vec<Choice> = match objects.is_cut {
        true => json.into_iter().collect(),
        // Fields are not the keys of a map, even if all have one type.
        false if is_stable(objects) => {
            tuple(objects, place).into_iter().chain(json).chain(map(objects, place)).collect()
        }
        false => map(objects, place).into_iter().chain(json).collect(),
    };
    match choices.is_empty() {
        true => Err("no type takes its objects but JSON, which does not stand here".into()),
        false => Ok(choices),
    }
}

/// Whether all objects have about the same few names, as fields do and keys do not.
fn is_stable(objects: &Objects) -> bool {
    let names = objects.members.len() as u64;
    let filled: u64 = objects.members.iter().map(|(_, member)| member.seen).sum();
    (1..=MAX_ELEMENTS as u64).contains(&names)
        && filled * 2 >= names * objects.count
        && objects.members.iter().all(|(name, _)| is_field(name))
}

fn is_field(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // ClickHouse reserves `null`.
    !matches!(name, "" | "null")
        && name.chars().all(is_part)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn tuple(objects: &Objects, place: Place) -> Option<Choice> {
    let mut elements = Vec::new();
    // Other members need no element: a Tuple ignores fields that it does not have.
    for (name, member) in objects.members.told() {
        let has_gaps = place.has_gaps || member.nulls > 0 || member.seen < objects.count;
        let is_absent = member.nulls > 0 || member.seen < objects.count;
        let choice = types(member, Place { has_gaps, ..place }).ok()?.into_iter().next()?;
        if !choice.is_plain() || (is_absent && choice.null == Null::Never) {
            return None;
        }
        let text = match choice.null {
            Null::Wraps if has_gaps => nullable(&choice.text),
            _ => choice.text,
        };
        elements.push(format!("{} {text}", identifier(name)));
    }
    (!elements.is_empty())
        .then(|| Choice::of(format!("Tuple({})", elements.join(", ")), Null::Never))
}

fn map(objects: &Objects, place: Place) -> Option<Choice> {
    // Merged places were tracked separately before, so they need no further room.
    let values = objects.merged(&mut Room::default());
    let choice = types(&values, Place { has_gaps: false, ..place }).ok()?.into_iter().next()?;
    let choice = if values.nulls > 0 { choice.nullable()? } else { choice };
    choice.is_plain().then(|| Choice::of(format!("Map(String, {})", choice.text), Null::Never))
}

/// Types for values of several kinds.
fn mixed(profile: &Profile, kinds: &[&str], place: Place) -> Result<Vec<Choice>, Why> {
    if kinds == ["number", "string"] && profile.numbers.fractions == 0 {
        let both = profile.numbers.integers.both(profile.strings.integers);
        if let Some(integer) = both.first(&INTEGERS) {
            return Ok(vec![Choice::of(integer, Null::Wraps)]);
        }
    }
    let refused = |why: &str| format!("{} were seen, {why}", told(profile));
    if !place.allowed.unions {
        return Err(refused("and a Variant is not possible beside JSON"));
    }
    let union = |text: String| Choice { has_union: true, ..Choice::of(text, Null::Holds) };
    let mut choices: Vec<Choice> = if place.is_member { None } else { variant(profile, place) }
        .map(union)
        .into_iter()
        .collect();
    if !place.is_member && !kinds.contains(&"object") {
        choices.push(union(DYNAMIC.into()));
    }
    if choices.is_empty() { Err(refused("which no one type takes")) } else { Ok(choices) }
}

/// A Variant with a type for each kind.
fn variant(profile: &Profile, place: Place) -> Option<String> {
    let place = Place { is_member: true, has_gaps: false, ..place };
    let mut members = Vec::new();
    for (kind, _) in profile.kinds() {
        members.push(match kind {
            "boolean" => "Bool".to_owned(),
            "number" => number(profile, place).ok()?.to_owned(),
            // Strings with and without a format together are String, so all are String here.
            "string" => "String".to_owned(),
            "array" => array(&profile.arrays, place).ok()?.into_iter().next()?.text,
            _ => object(&profile.objects, place).ok()?.into_iter().next()?.text,
        });
    }
    members.sort();
    Some(format!("Variant({})", members.join(", ")))
}

/// The kinds that were seen, with their counts.
pub fn told(profile: &Profile) -> String {
    let noun = |(kind, count): (&str, u64)| match count {
        1 => format!("1 {kind}"),
        _ => format!("{count} {kind}s"),
    };
    profile.kinds().into_iter().map(noun).collect::<Vec<_>>().join(", ")
}

/// The text about the number of distinct values.
pub fn distinct(profile: &Profile) -> String {
    match profile.distinct() {
        Some(distinct) => format!("{distinct} distinct"),
        None => format!("over {MAX_DISTINCT} distinct"),
    }
}
