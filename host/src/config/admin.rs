//! The address of the probes and the metrics.

use std::net::SocketAddr;

use super::reader::VariableReader;

/// The value that turns the admin server off.
const OFF: &str = "off";

/// The admin server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address it listens on, default `127.0.0.1:9464`; port 0 picks a free one. `None`: off.
    pub address: Option<SocketAddr>,
}

impl Admin {
    /// The address as the variable is written.
    pub fn as_text(&self) -> String {
        self.address.map_or_else(|| OFF.to_owned(), |address| address.to_string())
    }
}

pub(super) fn read_admin(reader: &mut VariableReader<'_>) -> Admin {
    let text = reader.text("ADMIN_ADDR").unwrap_or_default();
    if text.eq_ignore_ascii_case(OFF) {
        return Admin { address: None };
    }
    let address = text.parse().ok();
    if address.is_none() {
        let hint = match text.trim_start_matches(':').parse::<u16>() {
            Ok(port) => format!(
                "write 127.0.0.1:{port}, or 0.0.0.0:{port} for every address of the machine"
            ),
            Err(_) => "write the address in numbers, such as 127.0.0.1:9464 or [::]:9464".into(),
        };
        reader.refuse("ADMIN_ADDR", "address:port of this machine, or off", &text, &hint);
    }
    Admin { address }
}
