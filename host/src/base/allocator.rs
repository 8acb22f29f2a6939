//! What the C library's allocator is told, once.
#![allow(unsafe_code)]

/// Has glibc keep freed memory in two places at most, not in one for each thread: batches are filled on
/// one thread and dropped on another, so each would keep what the others need. Left alone where the
/// environment tells glibc something else. To be called before threads are started; does nothing with
/// another C library.
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
