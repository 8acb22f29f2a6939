//! Runs the program that is counted, alike on every machine.

use std::path::Path;
use std::process::Command;

/// The function of the program that is counted, with all that it calls.
const COUNTED: &str = "sluicegate_instructions::counted*";

/// Has libc take the copies and searches that every x86-64 has: it chooses by processor.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-BMI2,\
                        -ERMS,-FSRM,-SSE4_2,-SSE4_1,-SSSE3:glibc.cpu.x86_non_temporal_threshold=0x40000000";

/// How many instructions the program takes for the work that these arguments name.
pub fn instructions(args: &[&str]) -> u64 {
    let program = Path::new(env!("CARGO_BIN_EXE_sluicegate-instructions"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(Path::new(".").join(program.file_name().unwrap()))
        .args(args)
        // Neither options of valgrind's in variables, nor a stack that starts elsewhere.
        .current_dir(program.parent().unwrap())
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("GLIBC_TUNABLES", TUNABLES)
        .output()
        .unwrap_or_else(|error| panic!("valgrind: {error}: `cargo xtask setup` installs it"));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} failed under valgrind:\n{log}");
    let count = log.lines().find_map(|line| line.split_once("Collected :"));
    let count = count.unwrap_or_else(|| panic!("valgrind told no count:\n{log}"));
    let count = count.1.trim().parse().unwrap();
    assert!(count > 0, "no function of the program is named {COUNTED}");
    count
}

/// The compiler that the program was built by.
pub fn toolchain() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
