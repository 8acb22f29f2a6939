//! How the values of a record are read. What they mean for the columns is told once, in `record` and
//! `nested`, over two readers: [`Parser`](super::parser::Parser), which reads a record in one pass, and
//! [`Token`], which has serde cut each value out of the one around it. The second is right before it
//! is fast, and the oracle of the first.

use super::member_order::Order;
use super::number::Short;
use super::scalar::text_of;
use super::serde_walk::{each_element, each_member, each_spelled};
use crate::flow::rejection::Fault;
use crate::schema::names::FindField;

/// Where a reader stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The byte.
    pub at: usize,
    /// Arrays and objects that are open there.
    pub depth: usize,
}

/// What an object's member is called.
#[derive(Debug, Clone, Copy)]
pub enum Name<'n> {
    /// As the field at this place.
    Field(usize),
    /// As no field.
    Other(&'n str),
    /// As no field, by a token with an escape that is no character.
    Broken(&'n str),
}

/// A reader that stands before a value. Each value is read once, by one of the methods that go on
/// behind it.
///
/// A fault of syntax has the reason `malformed_json` and any text: the record is judged anew as a
/// whole then.
pub trait Reader<'r>: Sized {
    /// Whether a value that is refused is read once more, as `lenient` has it.
    const IS_LENIENT: bool = false;

    /// A reader that stands before a value that was found whole.
    fn of(token: &'r str) -> Self;

    /// The first byte of the value, which tells its kind.
    fn first(&self) -> Option<u8>;

    /// Reads the value as it stands in the record.
    fn token(&mut self) -> Result<&'r str, Box<Fault>>;

    /// Reads a string, if one stands here: what is between its quotes, and whether that is free of
    /// escapes. With `None` it may stand anywhere within the value, and has to go back.
    fn string(&mut self) -> Option<(&'r str, bool)> {
        None
    }

    /// Reads a short number in the same way.
    fn short(&mut self) -> Option<Short> {
        None
    }

    /// Reads the elements of an array, up to the first fault. `put` reads each with the reader that
    /// it is given.
    fn each_element(
        &mut self,
        put: impl FnMut(usize, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>>;

    /// Reads the members of an object with their names, up to the first fault.
    fn each_member(
        &mut self,
        put: impl FnMut(&str, &mut Self) -> Result<(), Box<Fault>>,
    ) -> Result<(), Box<Fault>>;

    /// Reads the members of an object, each with the field that it is, if it is one.
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

    /// Where it stands.
    fn place(&self) -> Place;

    /// What was read since.
    fn since(&self, place: Place) -> &'r str;

    /// Goes back to where it stood.
    fn go_back(&mut self, place: Place);

    /// The value that began at `place`, for a fault of it; empty where it is not whole.
    #[cold]
    fn again(&mut self, place: Place) -> &'r str {
        self.go_back(place);
        self.token().unwrap_or_default()
    }
}

/// A value that was found whole.
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
