//! Checks whether `run` could bind the port of the admin server.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::CONFIGURATION;
use super::report::Check;

/// Longest wait for the process that has the port.
const TIMEOUT: Duration = Duration::from_secs(1);
/// A metric that every host serves.
const OURS: &str = "sluicegate_build_info";

/// The problem with the port, if there is one. A running host rightly has it.
pub async fn look_at_port(address: Option<SocketAddr>) -> Option<Check> {
    let address = address?;
    let error = TcpListener::bind(address).await.err()?;
    let is_taken = error.kind() == ErrorKind::AddrInUse;
    if is_taken && timeout(TIMEOUT, is_a_host(address)).await.is_ok_and(|is_ours| is_ours) {
        let text = format!("a sluicegate that runs has ADMIN_ADDR {address}");
        return Some(Check::warning(CONFIGURATION, text));
    }
    let text = format!(
        "cannot listen on ADMIN_ADDR {address}: {error}; give another port (port 0 takes a free one), \
         or `off`"
    );
    Some(Check::problem(CONFIGURATION, text))
}

/// Whether the process that has the port is a host.
async fn is_a_host(mut address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    let _cut = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).contains(OURS)
}
