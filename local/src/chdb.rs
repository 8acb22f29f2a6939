//! The embedded ClickHouse engine: libchdb, loaded at run time.
//!
//! All `unsafe` of this crate is here, so two calls that are no business of the engine are
//! too: [`exit_now`] and [`set_group_join_delay`]. The declarations below are our own, written for the
//! roughly twenty functions of the library's C API that are called. The rules they obey:
//!
//! - the library is never unloaded: its threads outlive every connection;
//! - its signal handlers are switched off before the first connection;
//! - a process uses one data path for its whole life;
//! - a process that used it ends by [`exit_now`], never by returning from `main`, as the
//!   library's destructors race its own threads.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use libloading::Library;
use sluicegate_local::CHDB_LIB_VARIABLE;

/// A failure of the engine, with ClickHouse's own code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    /// The first `Code: N` of the text, or 1001 (`STD_EXCEPTION`) where it holds none.
    pub code: i32,
    /// The engine's own text.
    pub text: String,
}

impl EngineError {
    /// Reads the code out of the engine's text.
    pub fn from_text(text: impl Into<String>) -> Self {
        const STD_EXCEPTION: i32 = 1001;
        let text = text.into();
        let code = parse_code(&text).unwrap_or(STD_EXCEPTION);
        Self { code, text }
    }

    /// An error of this front's own making, worded as ClickHouse words its own.
    pub fn new(code: i32, name: &str, message: &str) -> Self {
        Self { code, text: format!("Code: {code}. DB::Exception: {message}. ({name})") }
    }
}

fn parse_code(text: &str) -> Option<i32> {
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What a statement put out, and its counters.
#[derive(Debug, Clone, Default)]
pub struct QueryOutput {
    /// The result in the asked format.
    pub data: Vec<u8>,
    /// Rows and bytes read from storage.
    pub read_rows: u64,
    /// Bytes read from storage, as stored in memory.
    pub read_bytes: u64,
    /// Rows in the result.
    pub result_rows: u64,
    /// Rows written, those of materialized views included.
    pub written_rows: u64,
    /// Bytes written, as stored in memory.
    pub written_bytes: u64,
    /// Seconds the statement ran.
    pub elapsed_s: f64,
}

type RawResult = c_void;
type RawConnection = *mut c_void;
type RawInsert = *mut c_void;

/// Declares the functions once: their types, and the loading of each by name.
macro_rules! symbols {
    ($($name:ident : fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        struct Symbols { $($name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)* }

        impl Symbols {
            fn load(library: &Library, path: &Path) -> anyhow::Result<Self> {
                Ok(Self { $(
                    $name: {
                        // SAFETY: the type is the C declaration of this symbol in chDB 26.7,
                        // and the library stays loaded for the life of the process.
                        *unsafe {
                            library.get::<unsafe extern "C" fn($($arg),*) $(-> $ret)?>(
                                concat!(stringify!($name), "\0").as_bytes(),
                            )
                        }
                        .map_err(|_| anyhow::anyhow!(
                            "engine library {}: function `{}` is missing, so this is not the \
                             pinned version; run cargo xtask setup",
                            path.display(), stringify!($name),
                        ))?
                    },
                )* })
            }
        }
    };
}

symbols! {
    chdb_version: fn() -> *const c_char;
    chdb_set_signal_handlers_enabled: fn(c_int);
    chdb_connect: fn(c_int, *mut *mut c_char) -> *mut RawConnection;
    chdb_close_conn: fn(*mut RawConnection);
    chdb_query_n: fn(RawConnection, *const c_char, usize, *const c_char, usize) -> *mut RawResult;
    chdb_query_with_params_n: fn(
        RawConnection, *const c_char, usize, *const c_char, usize,
        *const *const c_char, *const usize, *const *const c_char, *const usize, usize
    ) -> *mut RawResult;
    chdb_destroy_query_result: fn(*mut RawResult);
    chdb_result_buffer: fn(*mut RawResult) -> *mut c_char;
    chdb_result_length: fn(*mut RawResult) -> usize;
    chdb_result_elapsed: fn(*mut RawResult) -> f64;
    chdb_result_rows_read: fn(*mut RawResult) -> u64;
    chdb_result_storage_rows_read: fn(*mut RawResult) -> u64;
    chdb_result_storage_bytes_read: fn(*mut RawResult) -> u64;
    chdb_result_rows_written: fn(*mut RawResult) -> u64;
    chdb_result_bytes_written: fn(*mut RawResult) -> u64;
    chdb_result_error: fn(*mut RawResult) -> *const c_char;
    chdb_stream_insert_n: fn(
        RawConnection, *const c_char, usize, *const c_char, usize
    ) -> RawInsert;
    chdb_stream_append: fn(RawInsert, *const c_void, usize) -> c_int;
    chdb_stream_done: fn(RawInsert) -> *mut RawResult;
    chdb_stream_insert_error: fn(RawInsert) -> *const c_char;
    chdb_destroy_insert_stream: fn(RawInsert);
}

/// The loaded library, bound to one data path.
#[derive(Clone)]
pub struct Engine {
    symbols: Arc<Symbols>,
    arguments: Vec<CString>,
}

impl Engine {
    /// Loads the library and binds it to the folder `data`, which must exist; `config` is the server's configuration.
    ///
    /// # Errors
    /// The library is missing, is not loadable here, or lacks a function.
    pub fn open(library: &Path, data: &Path, config: Option<&Path>) -> anyhow::Result<Self> {
        anyhow::ensure!(
            library.is_file(),
            "engine library {}: no such file; run cargo xtask setup, or name another with \
             --chdb-lib or {CHDB_LIB_VARIABLE}",
            library.display(),
        );
        // SAFETY: the operator names this file as libchdb, whose initialisers may run here;
        // it is loaded once, before any other thread uses it.
        let loaded = unsafe { Library::new(library) }.with_context(|| {
            format!(
                "engine library {}: cannot be loaded; run cargo xtask setup to fetch the one for \
                 this platform, or name another with {CHDB_LIB_VARIABLE}",
                library.display(),
            )
        })?;
        let symbols = Symbols::load(&loaded, library)?;
        // Unloading would pull the code from under the engine's own threads.
        std::mem::forget(loaded);
        // SAFETY: takes a plain int, and no connection is open yet.
        unsafe { (symbols.chdb_set_signal_handlers_enabled)(0) };
        let config = config.map(|file| format!("--config-file={}", file.display()));
        let arguments = [format!("--path={}", data.display())].into_iter().chain(config);
        let arguments = arguments.map(CString::new).collect::<Result<_, _>>()?;
        Ok(Self { symbols: Arc::new(symbols), arguments })
    }

    /// The library's own version, such as `26.7.3`.
    pub fn version(&self) -> String {
        // SAFETY: returns a static NUL-terminated text, or null.
        unsafe { text((self.symbols.chdb_version)()) }.unwrap_or_default()
    }

    /// Opens a connection: its settings and current database are its own.
    ///
    /// # Errors
    /// The engine refuses, which it does without a reason: mostly as another process holds
    /// the data folder.
    pub fn connect(&self) -> Result<Connection, EngineError> {
        let program = c"sluicegate-local";
        let given = self.arguments.iter().map(|argument| argument.as_ptr().cast_mut());
        let mut arguments: Vec<_> =
            std::iter::once(program.as_ptr().cast_mut()).chain(given).collect();
        let count = c_int::try_from(arguments.len()).unwrap_or(c_int::MAX);
        // SAFETY: as many NUL-terminated texts, which outlive the call; the engine copies them and
        // does not write to them.
        let handle = unsafe { (self.symbols.chdb_connect)(count, arguments.as_mut_ptr()) };
        if handle.is_null() {
            return Err(EngineError::from_text(format!(
                "the engine refused a connection ({}); is another process using this folder?",
                self.arguments.first().map(|path| path.to_string_lossy()).unwrap_or_default(),
            )));
        }
        Ok(Connection { symbols: Arc::clone(&self.symbols), handle })
    }
}

/// One connection: runs one statement at a time. Closed on drop.
pub struct Connection {
    symbols: Arc<Symbols>,
    handle: *mut RawConnection,
}

// SAFETY: the engine ties a connection to no thread; `&mut self` on every call keeps it to
// one statement at a time.
unsafe impl Send for Connection {}

impl Connection {
    fn raw(&self) -> RawConnection {
        // SAFETY: `handle` was non-null when it was made and is freed only on drop.
        unsafe { *self.handle }
    }

    /// Runs a statement and collects its whole result.
    pub fn query(&mut self, sql: &str, format: &str) -> Result<QueryOutput, EngineError> {
        // SAFETY: both texts are given with their lengths and outlive the call.
        let result = unsafe {
            (self.symbols.chdb_query_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
            )
        };
        collect(&self.symbols, result)
    }

    /// Runs a statement with bound `{name:Type}` parameters, given as name and value.
    pub fn query_with(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<QueryOutput, EngineError> {
        let names: Vec<*const c_char> = parameters.iter().map(|p| p.0.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = parameters.iter().map(|p| p.0.len()).collect();
        let values: Vec<*const c_char> = parameters.iter().map(|p| p.1.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = parameters.iter().map(|p| p.1.len()).collect();
        // SAFETY: four arrays of `parameters.len()` each; every text has its length beside it
        // and outlives the call.
        let result = unsafe {
            (self.symbols.chdb_query_with_params_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        collect(&self.symbols, result)
    }

    /// Begins an INSERT whose rows come in `format`; `sql` has no FORMAT clause.
    pub fn insert(&mut self, sql: &str, format: &str) -> Result<InsertStream<'_>, EngineError> {
        // SAFETY: both texts are given with their lengths and outlive the call.
        let handle = unsafe {
            (self.symbols.chdb_stream_insert_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
            )
        };
        if handle.is_null() {
            return Err(EngineError::from_text("the engine gave no insert stream"));
        }
        let stream =
            InsertStream { symbols: Arc::clone(&self.symbols), handle, borrow: PhantomData };
        match stream.error() {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: closed once; no stream can be open, since it borrows the connection.
        unsafe { (self.symbols.chdb_close_conn)(self.handle) };
    }
}

/// An INSERT being fed. Dropped before [`InsertStream::finish`] it is cancelled.
pub struct InsertStream<'c> {
    symbols: Arc<Symbols>,
    handle: RawInsert,
    borrow: PhantomData<&'c mut Connection>,
}

impl InsertStream<'_> {
    /// Feeds bytes; waits while the engine is behind.
    pub fn append(&mut self, data: &[u8]) -> Result<(), EngineError> {
        // SAFETY: the engine copies `data` within the call.
        let state = unsafe {
            (self.symbols.chdb_stream_append)(self.handle, data.as_ptr().cast(), data.len())
        };
        if state == 0 {
            return Ok(());
        }
        Err(self.error().unwrap_or_else(|| {
            EngineError::from_text("the engine refused a chunk of the insert without a reason")
        }))
    }

    /// Ends the data and commits it; the counters of the output are those of the write.
    pub fn finish(self) -> Result<QueryOutput, EngineError> {
        // SAFETY: called once, as it takes `self`; the result is freed by `collect`, the
        // handle by drop.
        let result = unsafe { (self.symbols.chdb_stream_done)(self.handle) };
        collect(&self.symbols, result)
    }

    fn error(&self) -> Option<EngineError> {
        // SAFETY: null or a NUL-terminated text that lives as long as the handle.
        unsafe { text((self.symbols.chdb_stream_insert_error)(self.handle)) }
            .map(EngineError::from_text)
    }
}

impl Drop for InsertStream<'_> {
    fn drop(&mut self) {
        // SAFETY: freed once; the library cancels a stream that was not finished.
        unsafe { (self.symbols.chdb_destroy_insert_stream)(self.handle) };
    }
}

/// Copies a result out and frees it.
fn collect(symbols: &Symbols, result: *mut RawResult) -> Result<QueryOutput, EngineError> {
    if result.is_null() {
        return Err(EngineError::from_text("the engine gave no result"));
    }
    // SAFETY: `result` is non-null and freed only at the end of this block; buffer and length
    // belong together, and the buffer is copied before it is freed.
    unsafe {
        let error = text((symbols.chdb_result_error)(result));
        let buffer: *const u8 = (symbols.chdb_result_buffer)(result).cast();
        let length = (symbols.chdb_result_length)(result);
        let data = if buffer.is_null() || length == 0 {
            Vec::new()
        } else {
            std::slice::from_raw_parts(buffer, length).to_vec()
        };
        let output = QueryOutput {
            data,
            read_rows: (symbols.chdb_result_storage_rows_read)(result),
            read_bytes: (symbols.chdb_result_storage_bytes_read)(result),
            result_rows: (symbols.chdb_result_rows_read)(result),
            written_rows: (symbols.chdb_result_rows_written)(result),
            written_bytes: (symbols.chdb_result_bytes_written)(result),
            elapsed_s: (symbols.chdb_result_elapsed)(result),
        };
        (symbols.chdb_destroy_query_result)(result);
        error.map_or(Ok(output), |text| Err(EngineError::from_text(text)))
    }
}

/// Copies a C text; None where it is null or empty.
///
/// # Safety
/// `pointer` is null or points to a NUL-terminated text.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: non-null, and NUL-terminated by this function's contract.
    let copied = unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned();
    (!copied.is_empty()).then_some(copied)
}

/// Ends the process at once, with no destructor run: see the rules above.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: async-signal-safe and takes a plain int; nothing of ours needs a destructor by
    // the time it is called.
    unsafe { nix::libc::_exit(code) }
}

/// Sets how long the mock Kafka behind `client` waits for more members before a new consumer
/// group gets its partitions. librdkafka has no property for it, and the `rdkafka` crate no
/// function. Does nothing where `client` has no mock cluster.
pub fn set_group_join_delay<C: rdkafka::ClientContext>(
    client: &rdkafka::client::Client<C>,
    milliseconds: i32,
) {
    // SAFETY: the client is alive, and with it the cluster that it owns, if it has one.
    unsafe {
        let cluster = rdkafka_sys::rd_kafka_handle_mock_cluster(client.native_ptr());
        if !cluster.is_null() {
            rdkafka_sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, milliseconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_code_of_a_nested_text() {
        let error = EngineError::from_text("Code: 60. DB::Exception: Code: 47. DB::Exception");
        assert_eq!(error.code, 60);
        assert_eq!(EngineError::from_text("no code here").code, 1001);
        assert_eq!(EngineError::from_text("Code: x").code, 1001);
    }

    #[test]
    fn a_missing_library_names_the_way_out() {
        let error = Engine::open(Path::new("no/such/libchdb.so"), Path::new("."), None).err();
        let text = format!("{:#}", error.expect("must fail"));
        for part in ["no/such/libchdb.so", "cargo xtask setup", "SLUICEGATE_CHDB_LIB"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
