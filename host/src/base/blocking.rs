//! Runs computation that takes milliseconds off the network threads.

/// Runs `work` on a thread of its own and waits for it.
///
/// # Panics
/// If `work` panics, with the same panic.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels blocking work; then nobody waits for it.
            Err(_) => std::future::pending().await,
        },
    }
}
