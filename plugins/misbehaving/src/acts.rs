//! What the plugin does to the host while it is called.

use std::hint::black_box;
use std::time::Duration;

use sluicegate_plugin::{counter_add, log};

/// Does what it says; what is no act passes.
pub fn act(what: &str, slow_ms: u64) -> Result<(), String> {
    match what {
        "loop" => run_for_ever(),
        "allocate" => allocate(),
        "recurse" => {
            black_box(recurse(0));
        }
        "panic" => fail("told to panic"),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(3),
        "error" => return Err("told to fail".to_owned()),
        "long_error" => return Err("x".repeat(10 << 20)),
        "log_flood" => (0..100_000).for_each(|line| log::info(&format!("line {line}"))),
        "counter_flood" => (0..1_000).for_each(|name| counter_add(&format!("name_{name}"), 1)),
        "slow" => work(slow_ms),
        #[cfg(feature = "files")]
        "file" => crate::forbidden::file(),
        #[cfg(feature = "network")]
        "network" => crate::forbidden::network(),
        "sleep" => std::thread::sleep(Duration::from_mins(1)),
        _ => {}
    }
    Ok(())
}

/// Calls nothing, so that only an interrupt ends it.
pub fn run_for_ever() -> ! {
    let mut steps = 0_u64;
    loop {
        steps = black_box(steps.wrapping_add(1));
    }
}

/// Takes a MiB at a time, and writes it, until there is none left.
pub fn allocate() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[allow(clippy::panic, reason = "what the fixture is for")]
pub fn fail(message: &str) -> ! {
    panic!("{message}");
}

/// Each call needs its own frame, since it is not done when it calls the next.
#[allow(unconditional_recursion, reason = "what the fixture is for")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(depth.wrapping_add(1)).wrapping_add(black_box(frame).iter().sum())
}

/// Works by counting, not by the clock, so that it imports none and takes the same steps each
/// time. One step is a multiplication that waits for the one before it, and a trip through memory:
/// 1.2 ns, measured in wasmtime with the epoch on. It may take longer on a busy machine.
fn work(ms: u64) {
    const STEPS_A_MS: u64 = 850_000;
    let mut state = 1_u64;
    for _ in 0..ms.saturating_mul(STEPS_A_MS) {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
