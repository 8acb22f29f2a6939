use std::cell::RefCell;

use arrow_schema::FieldRef;

use super::{ArrowPlugin, Table, ipc};
use crate::instance::read_config;
use crate::wire;
use crate::wire::arrow::{Column, Outcome, Planned};

/// An arrow plugin between its `init` and its end: what both the component and the tests call.
pub struct ArrowInstance<P> {
    state: RefCell<Option<State<P>>>,
}

struct State<P> {
    plugin: P,
    /// What it writes, once it has planned.
    writes: Option<Vec<FieldRef>>,
}

impl<P: ArrowPlugin> ArrowInstance<P> {
    /// One that `init` has not been called on.
    #[allow(clippy::new_without_default, reason = "called by `export!`, in a constant")]
    pub const fn new() -> Self {
        Self { state: RefCell::new(None) }
    }

    /// Reads the config and makes the plugin.
    ///
    /// # Errors
    ///
    /// When the config is not what the plugin reads, with the key, or is refused by it.
    pub fn init(&self, config: &str) -> Result<wire::Wants, String> {
        let plugin = P::new(read_config(config)?)?;
        self.state.replace(Some(State { plugin, writes: None }));
        Ok(wire::Wants::empty())
    }

    /// Shows the plugin the table.
    ///
    /// # Errors
    ///
    /// Those of the plugin; a call before `init`; a table that breaks the contract.
    pub fn plan(&self, table: Vec<Column>, schema: Vec<u8>) -> Result<Planned, String> {
        let mut state = self.state.borrow_mut();
        let State { plugin, writes } = state.as_mut().ok_or("plan was called before init")?;
        let table = Table::from_wire(table, schema)?;
        let planned = plugin.plan(&table)?.into_wire();
        *writes = Some(table.fields(&planned.writes));
        Ok(planned)
    }

    /// Answers for a batch.
    ///
    /// # Errors
    ///
    /// Those of the plugin; an answer that is not what it planned; a call before `plan`; a batch
    /// that breaks the contract.
    pub fn transform(&self, rows: Vec<u8>) -> Result<Outcome, String> {
        let mut state = self.state.borrow_mut();
        let state = state.as_mut().ok_or("transform was called before init")?;
        let writes = state.writes.as_deref().ok_or("transform was called before plan")?;
        let (_, batch) = ipc::read(rows).map_err(|text| format!("the host's batch: {text}"))?;
        let batch = batch.ok_or("the host's batch: there is none in its stream")?;
        let rows = batch.num_rows();
        state.plugin.batch(batch)?.into_wire(writes, rows)
    }
}
