//! A Kafka and a ClickHouse in one child process, for the demo, the tests and the bench.
//!
//! This library is the light half: [`LocalStack`] starts the `sluicegate-local` binary, talks
//! to it over HTTP and ends it. The engines (librdkafka's mock cluster, libchdb) live in the
//! binary only, so that the process under test is measured apart from them.

mod http;
mod protocol;
mod stack;

use std::path::PathBuf;
use std::sync::LazyLock;

pub use http::Answer;
pub use protocol::{
    AppliesTo, FalseSuccess, Fault, FaultKind, FaultStatus, KafkaErrors, ReadyLine, Reset,
    SeenInsert,
};
pub use stack::{LocalStack, StackOptions};

/// The environment variable that names the engine library.
pub const CHDB_LIB_VARIABLE: &str = "SLUICEGATE_CHDB_LIB";

/// The user of a stack that is given no other.
pub const USER: &str = "default";

/// The environment variable by which the binary is given its password: arguments can be read by every
/// user of the machine.
pub const PASSWORD_VARIABLE: &str = "SLUICEGATE_LOCAL_PASSWORD";

/// The password of the stacks that this process starts, known to nobody else.
pub fn password() -> &'static str {
    static PASSWORD: LazyLock<String> = LazyLock::new(|| uuid::Uuid::new_v4().simple().to_string());
    &PASSWORD
}

/// The engine's pinned version: of the npm package `@chdb/lib-<platform>`.
pub const CHDB_VERSION: &str = "26.7.3-stable.1";

/// The engine library to use: the file that [`CHDB_LIB_VARIABLE`] names, else the place where
/// `cargo xtask setup` puts it, `sluicegate/chdb-<version>/libchdb.so` under the user's cache
/// folder. The file need not exist.
pub fn engine_library() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = set(CHDB_LIB_VARIABLE) {
        return named.into();
    }
    let cache = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_default();
    cache.join("sluicegate").join(format!("chdb-{CHDB_VERSION}")).join("libchdb.so")
}
