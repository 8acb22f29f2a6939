//! CPU time by stage: each stage adds the CPU time of its thread once for a batch. Waiting and other
//! threads do not count.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::metrics::STAGE_CPU_SECONDS;

/// What CPU time is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuOf {
    /// The poll thread: reading librdkafka's queue into batches, without librdkafka's own threads.
    Consume,
    /// Plugins on payloads.
    RowsHooks,
    /// The user's JSON Schema.
    UserSchema,
    /// JSON to columns.
    Decode,
    /// Plugins on decoded rows.
    ArrowHooks,
    /// Required, default and value rules.
    Check,
    /// Columns to the body of an INSERT.
    Ipc,
    /// Making dead letters and handing them to their producer.
    DeadLetters,
}

impl CpuOf {
    fn label(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::RowsHooks => "rows_hooks",
            Self::UserSchema => "user_schema",
            Self::Decode => "decode",
            Self::ArrowHooks => "arrow_hooks",
            Self::Check => "check",
            Self::Ipc => "ipc",
            Self::DeadLetters => "dead_letters",
        }
    }

    fn count(self, took: Duration) {
        STAGE_CPU_SECONDS.measure(&[self.label()], took.as_secs_f64());
    }

    /// Runs and measures work that stays on this thread.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let before = of_this_thread();
        let done = work();
        self.count(of_this_thread().saturating_sub(before));
        done
    }

    /// Runs and measures work that waits in between, on any threads; it is counted once it is done.
    /// # Cancel safety
    /// As for `work`; if dropped, it is not counted.
    pub async fn run_async<T>(self, work: impl Future<Output = T>) -> T {
        let (mut work, mut took) = (pin!(work), Duration::ZERO);
        let done = std::future::poll_fn(|context| {
            let before = of_this_thread();
            let polled: Poll<T> = work.as_mut().poll(context);
            took += of_this_thread().saturating_sub(before);
            polled
        })
        .await;
        self.count(took);
        done
    }
}

/// Measures the work of a dedicated thread, from its start.
#[derive(Debug, Default)]
pub struct Laps {
    counted: Duration,
}

impl Laps {
    /// Adds the CPU time since the last call.
    pub fn count(&mut self, work: CpuOf) {
        let now = of_this_thread();
        work.count(now.saturating_sub(self.counted));
        self.counted = now;
    }
}

/// The CPU time of the calling thread since its start; 0 if the system does not provide it.
fn of_this_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn spin(until: Duration) {
        let started = Instant::now();
        while started.elapsed() < until {
            std::hint::black_box(of_this_thread());
        }
    }

    #[test]
    fn the_clock_of_a_thread_counts_work_and_not_sleep() {
        let before = of_this_thread();
        let since = || of_this_thread().saturating_sub(before);
        std::thread::sleep(Duration::from_millis(50));
        assert!(since() < Duration::from_millis(40));
        while since() < Duration::from_millis(20) {
            spin(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn work_gives_what_it_gave() {
        assert_eq!(CpuOf::Decode.run(|| 1), 1);
        let later = async {
            tokio::task::yield_now().await;
            2
        };
        assert_eq!(CpuOf::DeadLetters.run_async(later).await, 2);
        let mut laps = Laps::default();
        laps.count(CpuOf::Consume);
        assert!(laps.counted > Duration::ZERO);
    }
}
