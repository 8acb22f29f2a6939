//! The forms that COERCION=lenient adds: those that ClickHouse's JSONEachRow accepts without loss, as `tests/matrix`
//! measures it.
//!
//! A field comes here only after the other readings have refused it, and is read again as a whole, so other fields pay
//! nothing. The room that the first reading took is not given back: the estimate of a batch's bytes is an upper bound.

mod moment;
mod number;

use super::columns::Column;
use super::date::nanos_of_number;
use super::fault::{expected, fault, kind_of};
use super::number::{Misfit, Number, is_number};
use super::reader::{Place, Reader, Token};
use super::scalar::{of_key, put_decimal, put_integer, text_of, ticks};
use super::serde_walk::{each_element, each_member};
use super::{hint, nested, scalar, time};
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::{TimestampUnit, ValueRules};
use crate::schema::ranges::fits;
use crate::schema::types::{Kind, Type};

/// Success, or why a value is refused; `None` to keep the fault of the earlier reading.
type Put = Result<(), Option<Reason>>;

/// Puts a value that was refused, or that holds one that was.
///
/// # Errors
/// It is refused here too.
#[cold]
#[inline(never)]
pub fn read(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    token: &str,
) -> Result<(), Box<Fault>> {
    nested::put(column, ty, rules, &mut Lenient(Token(token)))
}

/// A reader that tries every form.
struct Lenient<'r>(Token<'r>);

impl<'r> Reader<'r> for Lenient<'r> {
    const IS_LENIENT: bool = true;

    fn of(token: &'r str) -> Self {
        Self(Token(token))
    }

    fn first(&self) -> Option<u8> {
        self.0.first()
    }

    fn token(&mut self) -> Result<&'r str, Box<Fault>> {
        self.0.token()
    }

    fn each_element(
        &mut self,
        mut put: impl FnMut(usize, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        each_element(self.0.0, |index, token| put(index, &mut Self::of(token)))
    }

    fn each_member(
        &mut self,
        mut put: impl FnMut(&str, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        each_member(self.0.0, |name, token| put(name, &mut Self::of(token)))
    }

    fn place(&self) -> Place {
        self.0.place()
    }

    fn since(&self, place: Place) -> &'r str {
        self.0.since(place)
    }

    fn go_back(&mut self, place: Place) {
        self.0.go_back(place);
    }
}

/// Puts a token that was refused.
///
/// # Errors
/// It is refused here too.
pub fn put(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    token: &str,
    refused: Box<Fault>,
) -> Result<(), Box<Fault>> {
    let put = match kind_of(token) {
        "string" => match text_of(token) {
            Some(text) => put_text(column, ty, rules, &text),
            None => Err(None),
        },
        "number" => put_number(column, ty, rules, token),
        "boolean" => put_bool(column, ty, token),
        "object" | "array" => put_as_text(column, ty, token),
        _ => Err(None),
    };
    match put {
        Ok(()) => Ok(()),
        Err(None) => Err(refused),
        Err(Some(reason)) => {
            let (fault, number) = (fault(reason, expected(ty), token), token.trim_matches('"'));
            Err(hint::unit(fault, &ty.kind, rules, number))
        }
    }
}

/// Puts a map's key.
///
/// # Errors
/// It is no key.
pub fn put_key(
    column: &mut Column,
    ty: &Type,
    rules: ValueRules,
    name: &str,
) -> Result<(), Box<Fault>> {
    let Err(refused) = scalar::put_key(column, ty, rules, name) else { return Ok(()) };
    match put_text(column, ty, rules, name) {
        Ok(()) => Ok(()),
        Err(None) => Err(refused),
        Err(Some(reason)) => Err(of_key(fault(reason, expected(ty), name), name)),
    }
}

/// Puts a non-string as written in the record.
fn put_as_text(column: &mut Column, ty: &Type, token: &str) -> Put {
    match ty.kind {
        Kind::String => column.put_text(token).ok_or(Some(Reason::TooLarge)),
        _ => Err(None),
    }
}

fn put_bool(column: &mut Column, ty: &Type, token: &str) -> Put {
    match ty.kind {
        Kind::String => put_as_text(column, ty, token),
        _ => put_word(column, ty, token),
    }
}

/// `true` and `false` are the numbers 1 and 0.
fn put_word(column: &mut Column, ty: &Type, word: &str) -> Put {
    let number = match word {
        "true" => "1",
        "false" => "0",
        _ => return Err(None),
    };
    match ty.kind {
        Kind::Int(_) | Kind::WideInt(_) => put_whole(column, ty, number),
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => put_float(column, number),
        _ => Err(None),
    }
}

fn put_number(column: &mut Column, ty: &Type, rules: ValueRules, token: &str) -> Put {
    // A number with a point has no known unit, and a large one may be in any.
    let whole = || match token.contains(['.', 'e', 'E']) {
        true => Err(None),
        false => Number::of(token).integer().map_err(|_| Some(Reason::OutOfRange)),
    };
    match &ty.kind {
        Kind::String => put_as_text(column, ty, token),
        Kind::Bool => match token {
            "0" | "1" => column.put_bool(token == "1").ok_or(None),
            _ => Err(None),
        },
        Kind::Decimal { .. } => put_cut_decimal(column, ty, token),
        Kind::Enum(_, numbers) => put_label(column, numbers, whole()?),
        kind => match (rules.unit_of(kind), kind) {
            (Some(unit), _) => put_counted(column, ty, unit, token),
            (None, Kind::Date | Kind::Date32) => put_days(column, ty, whole()?),
            (
                None,
                Kind::DateTime { .. } | Kind::DateTime64 { .. } | Kind::Time | Kind::Time64 { .. },
            ) => put_ticks(column, kind, whole()?),
            _ => Err(None),
        },
    }
}

fn put_text(column: &mut Column, ty: &Type, rules: ValueRules, text: &str) -> Put {
    if let Some(unit) = rules.unit_of(&ty.kind)
        && is_number(text)
    {
        return put_counted(column, ty, unit, text);
    }
    match &ty.kind {
        Kind::Int(_) | Kind::WideInt(_) => match number::plain(text) {
            Some(number) => put_whole(column, ty, &number),
            None => put_word(column, ty, text),
        },
        Kind::Float32 | Kind::Float64 | Kind::BFloat16 => match number::plain(text) {
            Some(number) => put_float(column, &number),
            None => match number::special(text) {
                Some(value) => column.put_special(value).ok_or(None),
                None => put_word(column, ty, text),
            },
        },
        Kind::Decimal { .. } => put_cut_decimal(column, ty, &number::plain(text).ok_or(None)?),
        Kind::Enum(_, numbers) => {
            let number = number::plain(text).filter(|number| !number.contains(['.', 'e', 'E']));
            let number = number.and_then(|number| Number::of(&number).integer().ok());
            put_label(column, numbers, number.ok_or(None)?)
        }
        Kind::Date | Kind::Date32 => {
            let (moment, _) = moment::parse(text).ok_or(None)?;
            let days = moment.days(rules.is_wide).ok_or(None)?;
            put_days(column, ty, days.into())
        }
        Kind::DateTime { zone } | Kind::DateTime64 { zone, .. } => {
            let (moment, is_cut) =
                moment::epoch(text).or_else(|| moment::parse(text)).ok_or(None)?;
            let nanos = moment.nanos(zone.unwrap_or(rules.zone)).ok_or(None)?;
            put_nanos(column, &ty.kind, nanos, is_cut, Reason::BadDatetime)
        }
        Kind::Time => put_span(column, ty, None, text),
        Kind::Time64 { precision } => put_span(column, ty, Some(*precision), text),
        _ => Err(None),
    }
}

fn put_whole(column: &mut Column, ty: &Type, number: &str) -> Put {
    put_integer(column, ty, Number::of(number)).map_err(|fault| Some(fault.reason))
}

fn put_float(column: &mut Column, number: &str) -> Put {
    column.put_float(Number::of(number)).ok_or(Some(Reason::OutOfRange))
}

/// Puts a decimal without the digits that its column does not keep.
fn put_cut_decimal(column: &mut Column, ty: &Type, number: &str) -> Put {
    let Kind::Decimal { scale, .. } = ty.kind else { return Err(None) };
    let cut = number::cut(number, scale);
    let kept = Number::of(cut.as_deref().unwrap_or(number));
    put_decimal(column, ty, kept).map_err(|fault| Some(fault.reason))?;
    if cut.is_some() {
        column.room().note_cut();
    }
    Ok(())
}

fn put_label(column: &mut Column, numbers: &[i16], number: i128) -> Put {
    let place = numbers.iter().position(|known| i128::from(*known) == number);
    let place = place.and_then(|place| i64::try_from(place).ok());
    column.put_count(place.ok_or(Some(Reason::UnknownLabel))?).ok_or(None)
}

fn put_days(column: &mut Column, ty: &Type, days: i128) -> Put {
    let days = i64::try_from(days).ok();
    let days = days.filter(|days| fits(&ty.kind, *days));
    column.put_count(days.ok_or(Some(Reason::OutOfRange))?).ok_or(None)
}

/// Nanoseconds per unit of an unquoted integer; as in JSONEachRow, the unit is the column's last digit.
fn nanos_of_digit(kind: &Kind) -> i128 {
    let digits = match kind {
        Kind::DateTime64 { precision, .. } | Kind::Time64 { precision } => u32::from(*precision),
        _ => 0,
    };
    10_i128.pow(9_u32.saturating_sub(digits))
}

fn put_ticks(column: &mut Column, kind: &Kind, count: i128) -> Put {
    let nanos = count.checked_mul(nanos_of_digit(kind)).ok_or(Some(Reason::OutOfRange))?;
    put_nanos(column, kind, nanos, false, Reason::OutOfRange)
}

/// Puts a date or time from a number in the configured unit, which may have a fraction.
fn put_counted(column: &mut Column, ty: &Type, unit: TimestampUnit, token: &str) -> Put {
    // A part of a day is not a digit of a second.
    let cut = match unit {
        TimestampUnit::Days => None,
        _ => number::cut(token, unit.digits()),
    };
    let number = Number::of(cut.as_deref().unwrap_or(token));
    let nanos = nanos_of_number(number, unit).map_err(|misfit| match misfit {
        Misfit::Range => Some(Reason::OutOfRange),
        Misfit::Fraction | Misfit::NotANumber => None,
    })?;
    put_nanos(column, &ty.kind, nanos, cut.is_some(), Reason::OutOfRange)
}

/// Puts a time without the digits of a second that its column does not keep.
fn put_nanos(column: &mut Column, kind: &Kind, nanos: i128, is_cut: bool, beyond: Reason) -> Put {
    let digit = nanos_of_digit(kind);
    // A span of time is truncated; a moment before 1970 rounds down, as in ClickHouse.
    let kept = match kind {
        Kind::Time | Kind::Time64 { .. } => nanos / digit * digit,
        // A part of a day is not a digit of a second.
        Kind::Date | Kind::Date32 => nanos,
        _ => nanos.div_euclid(digit) * digit,
    };
    let ticks = ticks(kind, kept).ok_or(Some(beyond))?;
    column.put_count(ticks).ok_or(None)?;
    if is_cut || kept != nanos {
        column.room().note_cut();
    }
    Ok(())
}

/// Puts a time of day without the digits that its column does not keep, or seconds of one or two digits.
fn put_span(column: &mut Column, ty: &Type, precision: Option<u8>, text: &str) -> Put {
    let (kept, is_cut) = number::without_digits(text, precision).ok_or(None)?;
    let nanos = match time::parse(kept) {
        Some(nanos) => i128::from(nanos),
        None => number::short_seconds(kept).ok_or(None)?,
    };
    put_nanos(column, &ty.kind, nanos, is_cut, Reason::BadDatetime)
}

#[cfg(test)]
mod tests {
    use crate::decode::decode;
    use crate::schema::plan::{Rules, TablePlan};
    use crate::schema::source::OnInvalid;

    #[test]
    fn the_page_says_what_holds_without_lenient_too() {
        const PAGE: &str = include_str!("../../../../../docs/types.md");
        let lines = PAGE.lines().skip_while(|line| !line.starts_with("### What sluicegate takes"));
        let rows = lines.skip_while(|line| !line.starts_with('|')).skip(2);
        let rows = rows.take_while(|line| line.starts_with('|'));
        let cases = [
            ("Int8", "1e2"),
            ("UInt8", "-0"),
            ("Date", r#""Feb 3, 2026""#),
            ("DateTime", r#""1770091506.5""#),
            ("Time64(3)", r#"".5""#),
            ("UUID", r#""{123e4567-e89b-12d3-a456-426614174000}""#),
            ("Map(Bool, Int8)", r#"{"true":1}"#),
            ("Tuple(a Int8)", "[1]"),
            ("BFloat16", "0.1"),
        ];
        let taken = |(ty, form): &(&str, &str), is_lenient| {
            let plan = TablePlan::of_types(&[("c", ty)], &Rules { is_lenient, ..Rules::default() });
            let record = format!("{{\"c\":{form}}}");
            decode(&plan, std::iter::once((0, record.as_bytes()))).rejections.is_empty()
        };
        let found: Vec<bool> = rows.map(|row| row.ends_with("| taken too |")).collect();
        assert!(cases.iter().all(|case| taken(case, true)));
        assert_eq!(found, cases.iter().map(|case| taken(case, false)).collect::<Vec<_>>());
    }

    #[test]
    fn values_that_are_cut_are_counted_by_column_where_they_are_stored() {
        let rules = Rules {
            is_lenient: true,
            on_invalid: vec![("times".to_owned(), OnInvalid::Default)],
            ..Rules::default()
        };
        let columns =
            [("times", "Array(DateTime64(3))"), ("price", "Decimal(4, 2)"), ("id", "Int8")];
        let plan = TablePlan::of_types(&columns, &rules);
        let time = "\"2026-02-03T04:05:06.1239Z\"";
        let records = [
            format!(r#"{{"times":[{time},{time}],"price":1.255,"id":1}}"#),
            r#"{"price":1.255,"id":"x"}"#.to_owned(),
            format!(r#"{{"times":[{time},"x"],"price":"1.5","id":1}}"#),
            r#"{"price":".999","id":1}"#.to_owned(),
        ];
        let rows = decode(&plan, (0..).zip(records.iter().map(String::as_bytes)));
        assert_eq!((rows.origins, rows.noticed.replaced), (vec![0, 2, 3], vec![0]));
        assert_eq!(rows.noticed.cut, [(0, 0, 2), (1, 0, 1), (1, 2, 1)]);
    }
}
