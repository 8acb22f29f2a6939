//! CPU time, of this thread and of other processes, to the nanosecond where Linux tells it.

use std::time::Duration;

use anyhow::Context as _;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// CPU time of this thread.
pub fn of_this_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// CPU time of a process, user and system, of all its threads, those that ended too.
pub fn of_process(pid: u32) -> anyhow::Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?));
    let time = clock.and_then(clock_gettime).with_context(|| format!("CPU clock of {pid}"))?;
    Ok(Duration::from(time))
}

/// CPU seconds of the threads of a process that run now, by thread name.
pub fn of_threads(pid: u32) -> anyhow::Result<Vec<(String, f64)>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = entry?.path();
        // A thread may end meanwhile.
        let (Ok(name), Ok(stat)) = (
            std::fs::read_to_string(folder.join("comm")),
            std::fs::read_to_string(folder.join("schedstat")),
        ) else {
            continue;
        };
        let nanoseconds = stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
        let nanoseconds = nanoseconds.context("schedstat without a number")?;
        threads.push((name.trim_end().to_owned(), nanoseconds as f64 / 1e9));
    }
    Ok(threads)
}

/// The middle one.
pub fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
