//! Faults: what was expected and what was found. Built only after a record has failed.

use crate::flow::rejection::{Fault, Reason, cut};
use crate::schema::source::escaped;
use crate::schema::types::{Kind, Type};

/// A fault of one value; its pointer is built while unwinding.
#[cold]
pub fn fault(reason: Reason, expected: impl Into<String>, token: &str) -> Box<Fault> {
    Box::new(Fault {
        reason,
        column: None,
        pointer: String::new(),
        expected: expected.into(),
        got_kind: kind_of(token),
        got: cut(token).into_owned(),
    })
}

/// A fault that shows this token.
#[cold]
pub fn found(mut fault: Box<Fault>, token: &str) -> Box<Fault> {
    (fault.got_kind, fault.got) = (kind_of(token), cut(token).into_owned());
    fault
}

/// The fault of a string or a name with an invalid escape: one half of a surrogate pair.
#[cold]
pub fn no_character(token: &str) -> Box<Fault> {
    fault(Reason::MalformedJson, "a string without a lone surrogate escape", token)
}

/// The fault of an absent value.
#[cold]
pub fn nothing(reason: Reason, expected: String) -> Box<Fault> {
    let mut fault = fault(reason, expected, "");
    fault.got_kind = "nothing";
    fault
}

/// The fault of a record whose fields fill no column; `asked` are the fields that would.
#[cold]
pub fn no_known_field(asked: &[String], names: &[String]) -> Box<Fault> {
    let list = |names: &[String]| some(names.iter().map(String::as_str).collect());
    let expected = format!("a field that fills a column, such as {}", list(asked));
    let mut fault = fault(Reason::NoKnownField, expected, "{}");
    fault.got = match names.is_empty() {
        true => "an object without fields".into(),
        false => cut(&format!("only {}", list(names))).into_owned(),
    };
    fault
}

/// The fault of a name that occurs twice in one object.
#[cold]
pub fn twice(expected: &str) -> Box<Fault> {
    let mut fault = fault(Reason::DuplicateKey, expected, "");
    "a duplicate".clone_into(&mut fault.got);
    fault
}

/// The JSON kind of a token.
pub fn kind_of(token: &str) -> &'static str {
    match token.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "number",
        _ => "",
    }
}

/// Prefixes a fault's pointer with an index or a name.
pub fn within(mut fault: Box<Fault>, place: impl std::fmt::Display) -> Box<Fault> {
    let mut pointer = format!("/{place}");
    let step = pointer.get(1..).unwrap_or_default();
    // A map's keys are values of the record, so they are cut like any other value.
    let shown = cut(step);
    let shown = escaped(&shown);
    if *shown != *step {
        pointer = format!("/{shown}");
    }
    pointer.push_str(&fault.pointer);
    fault.pointer = pointer;
    fault
}

/// What a column takes, in words.
pub fn expected(ty: &Type) -> String {
    let text = match &ty.kind {
        Kind::Int(kind) => {
            let (low, high) = kind.range();
            format!("integer from {low} to {high}")
        }
        Kind::WideInt(kind) => {
            let (low, high) = kind.range();
            format!("integer from {low} to {high}")
        }
        Kind::Float32 => "number within Float32".into(),
        Kind::Float64 => "number within Float64".into(),
        Kind::BFloat16 => "number within BFloat16".into(),
        Kind::Bool => "true or false".into(),
        Kind::String => "string".into(),
        Kind::FixedString(width) => format!("string of at most {width} bytes"),
        Kind::Uuid => "UUID as text".into(),
        Kind::Ipv4 => "IPv4 address as text".into(),
        Kind::Ipv6 => "IPv6 or IPv4 address as text".into(),
        Kind::Date => "date from 1970-01-01 to 2149-06-06".into(),
        Kind::Date32 => "date from 1900-01-01 to 2299-12-31".into(),
        Kind::DateTime { .. } => {
            "date and time in whole seconds from 1970-01-01 to 2106-02-07 06:28:15 UTC".into()
        }
        Kind::DateTime64 { precision: 9, .. } => {
            "date and time from 1900-01-01 to 2262-04-11, at most 9 digits of a second".into()
        }
        Kind::DateTime64 { precision, .. } => {
            format!("date and time from 1900 to 2299, at most {precision} digits of a second")
        }
        Kind::Time => "time from -999:59:59 to 999:59:59, in whole seconds".into(),
        Kind::Time64 { precision } => {
            format!("time from -999:59:59 to 999:59:59, at most {precision} digits of a second")
        }
        Kind::Decimal { precision, scale } => {
            format!("number of at most {precision} digits, {scale} of them behind the point")
        }
        Kind::Enum(labels, _) => {
            format!("one of {}", some(labels.iter().map(|label| &**label).collect()))
        }
        Kind::Variant(members) => {
            let members: Vec<String> = members.iter().map(expected).collect();
            format!("one of: {}", some(members.iter().map(String::as_str).collect()))
        }
        Kind::Dynamic(_) => "number, string, true or false, or array of one kind of these".into(),
        Kind::Array(_) => "array".into(),
        Kind::Map(..) | Kind::Json(_) => "object".into(),
        Kind::Tuple(elements) => {
            let array = format!("array of {} values", elements.len());
            match elements.iter().map(|element| element.name.as_deref()).collect() {
                Some(names) => format!("object with {}, or {array}", some(names)),
                None => array,
            }
        }
    };
    if ty.is_nullable { format!("{text}, or null") } else { text }
}

/// The first eight of a list.
pub fn some(mut names: Vec<&str>) -> String {
    let more = if names.len() > 8 { ", ..." } else { "" };
    names.truncate(8);
    format!("{}{more}", names.join(", "))
}
