//! What the plugin does to the host while it is called.

use std::hint::black_box;

/// Does what it says; what is no act passes.
pub fn act(what: &str) -> Result<(), String> {
    match what {
        "loop" => run_for_ever(),
        "panic" => fail("told to panic"),
        "error" => Err("told to fail".to_owned()),
        _ => Ok(()),
    }
}

/// Calls nothing, so that only an interrupt ends it.
pub fn run_for_ever() -> ! {
    let mut steps = 0_u64;
    loop {
        steps = black_box(steps.wrapping_add(1));
    }
}

#[allow(clippy::panic, reason = "what the fixture is for")]
pub fn fail(message: &str) -> ! {
    panic!("{message}");
}
