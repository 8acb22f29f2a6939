//! The only place where commands print. Text from a plugin, a server, a record or a file name cannot
//! forge a line or control the terminal.

use std::fmt::Display;

use crate::words::plain::{Json, Plain, PlainLines};

/// Prints one line to stdout.
pub fn say(text: impl Display) {
    println!("{}", Plain(text));
}

/// Prints lines of our own layout to stdout; foreign text in them must be [`Plain`] already.
pub fn say_lines(text: impl Display) {
    println!("{}", PlainLines(text));
}

/// Prints a JSON text to stdout.
pub fn say_json(text: impl Display) {
    println!("{}", Json(text));
}

/// Prints one line to stderr.
pub fn note(text: impl Display) {
    eprintln!("{}", Plain(text));
}
