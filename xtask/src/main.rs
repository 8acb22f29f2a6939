//! Set-up and test commands: `cargo xtask`.

fn main() {}
