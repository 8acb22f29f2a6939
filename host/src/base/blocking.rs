//! Computation that takes milliseconds, off the threads that serve the network.

/// Runs `work` on a thread of its own and waits for it.
///
/// # Panics
/// With the panic of `work`, if it has one.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels blocking work; nobody waits for it then.
            Err(_) => std::future::pending().await,
        },
    }
}
