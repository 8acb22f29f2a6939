use crate::bindings::host::Found;
use crate::bindings::types::Texts;

/// Adds to the host's metric `sluicegate_plugin_counter_total{plugin, counter}`; natively it prints
/// to stderr. The host keeps the first 20 names of a plugin. A row that comes again counts again.
pub fn counter_add(counter: &str, by: u64) {
    #[cfg(target_family = "wasm")]
    crate::bindings::host::counter_add(counter, by);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("counter {counter}: +{by}");
}

/// Asks the host; natively [`testing::with_table`](crate::testing::with_table).
pub(crate) fn lookup(table: &str, columns: &[String], keys: &Texts) -> Result<Vec<Found>, String> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::host::lookup(table, columns, keys);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::lookup(table, columns, keys)
}

/// Lines for the host's log; natively they go to stderr.
///
/// The host cuts a line after 1,000 characters, and counts those past 100 in ten seconds instead
/// of writing them. Logs are read by many: no values of records.
///
/// ```
/// sluicegate_plugin::log::info(&format!("{} rules", 3));
/// ```
pub mod log {
    /// Data is lost, or an operator is needed.
    pub fn error(message: &str) {
        write(Level::Error, message);
    }

    /// Something went wrong, and was mended.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }

    /// What an operator wants to know of a plugin that is well.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// For the plugin's author.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    use crate::bindings::host::Level;

    fn write(level: Level, message: &str) {
        #[cfg(target_family = "wasm")]
        crate::bindings::host::log(level, message);
        #[cfg(not(target_family = "wasm"))]
        eprintln!("{level:?}: {message}");
    }
}
