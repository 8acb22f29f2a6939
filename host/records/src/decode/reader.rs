//! How the values of a record are read. `record` and `nested` define once what they mean for the columns, for two
//! readers: [`Parser`](super::parser::Parser), which reads a record in one pass, and [`Token`], in which serde cuts
//! each value out of the one around it. The second favours correctness over speed, and is the oracle of the first.

use super::member_order::Order;
use super::number::Short;
use super::scalar::text_of;
use super::serde_walk::{each_element, each_member, each_spelled};
use crate::flow::rejection::Fault;
use crate::schema::names::FindField;

/// A reader's position.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The byte.
    pub at: usize,
    /// Arrays and objects open there.
    pub depth: usize,
}

/// The name of an object's member.
#[derive(Debug, Clone, Copy)]
pub enum Name<'n> {
    /// The field at this index.
    Field(usize),
    /// Not a field.
    Other(&'n str),
    /// Not a field: a token with an invalid escape.
    Broken(&'n str),
}

/// A reader positioned before a value. Each value is read once, by one of the methods that advance past it.
///
/// A syntax fault has the reason `malformed_json` and any text: the whole record is then judged again.
pub trait Reader<'r>: Sized {
    /// Whether a refused value is read again in the `lenient` forms.
    const IS_LENIENT: bool = false;

    /// A reader of one complete value.
    fn of(token: &'r str) -> Self;

    /// The first byte of the value, which shows its kind.
    fn first(&self) -> Option<u8>;

    /// Reads the value as written in the record.
    fn token(&mut self) -> Result<&'r str, Box<Fault>>;

    /// Reads a string, if one is next: the text between its quotes, and whether it is free of escapes. If it returns
    /// `None`, the position is unspecified: call `go_back`.
    fn string(&mut self) -> Option<(&'r str, bool)> {
        None
    }

    /// Reads a short number, likewise.
    fn short(&mut self) -> Option<Short> {
        None
    }

    /// Reads the elements of an array, up to the first fault. `put` reads each through the reader passed to it.
    fn each_element(
        &mut self,
        put: impl FnMut(usize, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>>;

    /// Reads the members of an object with their names, up to the first fault.
    fn each_member(
        &mut self,
        put: impl FnMut(&str, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>>;

    /// Reads the members of an object, each with its field, if it is one.
    fn each_field<F: FindField + ?Sized>(
        &mut self,
        fields: &F,
        _order: &mut Order,
        mut put: impl FnMut(Name<'_>, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        let mut guess = 0;
        each_spelled(self.token()?, |spelled, value| {
            let value = &mut Self::of(value);
            let Some(name) = text_of(spelled) else { return put(Name::Broken(spelled), value) };
            match fields.find(&name, guess) {
                Some(at) => {
                    guess = at + 1;
                    put(Name::Field(at), value)
                }
                None => put(Name::Other(&name), value),
            }
        })
    }

    /// The current position.
    fn place(&self) -> Place;

    /// The text read since `place`.
    fn since(&self, place: Place) -> &'r str;

    /// Returns to an earlier position.
    fn go_back(&mut self, place: Place);

    /// The value that began at `place`, for a fault; empty if it is incomplete.
    #[cold]
    fn again(&mut self, place: Place) -> &'r str {
        self.go_back(place);
        self.token().unwrap_or_default()
    }
}

/// A complete value.
pub struct Token<'r>(pub &'r str);

impl<'r> Reader<'r> for Token<'r> {
    fn of(token: &'r str) -> Self {
        Self(token)
    }

    fn first(&self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    fn token(&mut self) -> Result<&'r str, Box<Fault>> {
        Ok(self.0)
    }

    fn each_element(
        &mut self,
        mut put: impl FnMut(usize, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        each_element(self.0, |index, token| put(index, &mut Self(token)))
    }

    fn each_member(
        &mut self,
        mut put: impl FnMut(&str, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>> {
        each_member(self.0, |name, token| put(name, &mut Self(token)))
    }

    fn place(&self) -> Place {
        Place::default()
    }

    fn since(&self, _place: Place) -> &'r str {
        self.0
    }

    fn go_back(&mut self, _place: Place) {}
}
