//! One running instance of a plugin: its state, its limits, and its host functions.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasData, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::{Texts, Wants, host};
use super::engine::TICK;
use super::failure::CallFailure;
use super::guest_log::Voice;
use super::guest_lookups::GrantedLookups;
use super::limits::Limits;
use super::stderr::StderrTail;
use super::world::World;
use crate::limits::budget::Budget;

/// Minimum of the output limit of an answer; otherwise four times the question, in bytes.
const MIN_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// An instance is replaced after this many calls, which bounds what a guest leaks.
const MAX_CALLS: u32 = 10_000;
/// Most random bytes of one host call, which the deadline does not interrupt.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;
/// Most handles of streams and other resources.
const MAX_RESOURCES: usize = 1_000;

/// The state of one instance.
pub struct InstanceState {
    limits: Limits,
    wasi: WasiCtx,
    resources: ResourceTable,
    stderr: StderrTail,
    voice: Arc<Voice>,
    granted: Arc<GrantedLookups>,
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl HasData for InstanceState {
    type Data<'a> = &'a mut Self;
}

impl host::Host for InstanceState {
    fn log(&mut self, level: host::Level, message: String) {
        self.voice.log(level, &message);
    }

    fn lookup(
        &mut self,
        table: String,
        columns: Vec<String>,
        keys: Texts,
    ) -> Result<Vec<host::Found>, String> {
        self.granted.look_up(&table, &columns, &keys)
    }

    fn counter_add(&mut self, counter: String, by: u64) {
        self.voice.count(&counter, by);
    }
}

/// A plugin's limits for each instance and call.
#[derive(Debug, Clone)]
pub struct InstanceBounds {
    /// Longest call.
    pub timeout: Duration,
    /// Most memory of an instance.
    pub memory_bytes: usize,
    /// The budget that its memory counts in.
    pub budget: Arc<Budget>,
}

/// A running instance. After a failure it must be dropped: a guest stopped in mid-call may be in
/// any state.
pub struct Instance<W> {
    store: Store<InstanceState>,
    world: W,
    wants: Wants,
    /// Its memory after `init`.
    begun_bytes: usize,
    calls: u32,
    /// The table state that an arrow plugin has planned for.
    planned_for: Option<Arc<str>>,
}

impl<W: World> Instance<W> {
    /// Instantiates and calls `init`. Blocks for as long as a call may take.
    ///
    /// # Errors
    /// The error that `init` returned, of the kind `error`, or how it failed.
    pub fn new(
        engine: &Engine,
        linked: &W::Linked,
        bounds: &InstanceBounds,
        config: &str,
        (voice, granted): (Arc<Voice>, Arc<GrantedLookups>),
    ) -> Result<Self, CallFailure> {
        let stderr = StderrTail::default();
        let wasi = WasiCtx::builder()
            .stdout(stderr.clone())
            .stderr(stderr.clone())
            .max_random_size(MAX_RANDOM_BYTES)
            .build();
        let limits = Limits::new(bounds.memory_bytes, bounds.budget.hold());
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(MAX_RESOURCES);
        let mut store =
            Store::new(engine, InstanceState { limits, wasi, resources, stderr, voice, granted });
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(MIN_OUTPUT_BYTES);
        store.set_epoch_deadline(ticks(bounds.timeout));
        let world = W::instantiate(linked, &mut store).map_err(|error| failure(&store, &error))?;
        let wants = match world.init(&mut store, config) {
            Ok(Ok(wants)) => wants,
            Ok(Err(refusal)) => return Err(CallFailure::error(&refusal)),
            Err(error) => return Err(failure(&store, &error)),
        };
        let begun_bytes = store.data().limits.memory_bytes();
        Ok(Self { store, world, wants, begun_bytes, calls: 0, planned_for: None })
    }

    /// Which parts of a record it wants.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// The memory that it holds, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().limits.memory_bytes()
    }

    /// Whether to replace it: it has served many calls, or has used half of the memory that was
    /// left to it after `init`.
    pub fn is_worn(&self) -> bool {
        let max_bytes = self.store.data().limits.max_memory_bytes();
        let room = max_bytes.saturating_sub(self.begun_bytes);
        self.calls >= MAX_CALLS || self.memory_bytes() - self.begun_bytes > room / 2
    }

    /// Whether it has had no call since it began.
    pub fn is_unused(&self) -> bool {
        self.calls == 0
    }

    /// Whether it has planned for this state of the table.
    pub fn has_planned_for(&self, fingerprint: &str) -> bool {
        self.planned_for.as_deref() == Some(fingerprint)
    }

    /// Notes that it has planned for this state.
    pub fn set_planned_for(&mut self, fingerprint: &str) {
        self.planned_for = Some(fingerprint.into());
    }

    /// Calls one of its exports with a question of this many bytes. Blocks for at most `deadline`,
    /// rounded up to the engine's clock.
    ///
    /// # Errors
    /// [`CallFailure`], after which the instance must be dropped.
    pub fn call<T>(
        &mut self,
        deadline: Duration,
        question_bytes: usize,
        export: impl FnOnce(&W, &mut Store<InstanceState>) -> wasmtime::Result<Result<T, String>>,
    ) -> Result<T, CallFailure> {
        self.calls += 1;
        self.store.data_mut().limits.begin_call();
        self.store.set_hostcall_fuel(MIN_OUTPUT_BYTES.max(4 * question_bytes));
        self.store.set_epoch_deadline(ticks(deadline));
        match export(&self.world, &mut self.store) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(text)) => Err(CallFailure::error(&text)),
            Err(error) => Err(failure(&self.store, &error)),
        }
    }
}

fn failure(store: &Store<InstanceState>, error: &wasmtime::Error) -> CallFailure {
    let state = store.data();
    CallFailure::of(error, &state.limits, &state.stderr.take())
}

/// Rounded up: the clock may be about to tick.
fn ticks(deadline: Duration) -> u64 {
    u64::try_from(deadline.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 2) + 1
}
