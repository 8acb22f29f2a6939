//! What commands print, in one place: nothing that a plugin, a server, a record or a file's name says
//! forges a line or moves a terminal.

use std::fmt::Display;

use crate::words::plain::{Json, Plain, PlainLines};

/// One line to stdout.
pub fn say(text: impl Display) {
    println!("{}", Plain(text));
}

/// Lines of our own layout to stdout; what is foreign within them must be [`Plain`] already.
pub fn say_lines(text: impl Display) {
    println!("{}", PlainLines(text));
}

/// A JSON text to stdout.
pub fn say_json(text: impl Display) {
    println!("{}", Json(text));
}

/// One line to stderr.
pub fn note(text: impl Display) {
    eprintln!("{}", Plain(text));
}
