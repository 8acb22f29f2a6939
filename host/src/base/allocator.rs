//! Settings of the C library's allocator, made once.
#![allow(unsafe_code)]

/// Limits glibc to two arenas instead of one for each thread: batches are filled on one thread and
/// dropped on another, so each arena would keep memory that the others need. Does nothing if the
/// environment configures glibc's arenas, or with another C library. Call it before threads start.
pub fn share_arenas() {
    let is_told = |name| std::env::var_os(name).is_some();
    if is_told("MALLOC_ARENA_MAX") || is_told("GLIBC_TUNABLES") {
        return;
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes two integers by value, and no other thread uses the allocator yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
