//! What the host does not give: a component that uses one of these is refused when it is loaded.

use std::hint::black_box;

#[cfg(feature = "files")]
pub fn file() {
    black_box(std::fs::read("/etc/hostname").is_ok());
}

#[cfg(feature = "network")]
pub fn network() {
    black_box(std::net::TcpStream::connect(("127.0.0.1", 9)).is_ok());
}
